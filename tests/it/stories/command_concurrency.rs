//! Commands of different gates run concurrently, those of one gate in order. The tests measure no time: the fake Jira
//! holds its answers back until the test has checked what happens meanwhile.

use std::{sync::Arc, time::Duration};

use fake_jira::{Fault, IssueView, Operation, Times};
use flagger_jira_bridge::worker::Worker;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::world::{
    World,
    program::{PATIENCE, until},
    question,
};

const SETTINGS: &str =
    "jira.timeout = \"60s\"\nticket.transitions = { opened = \"In Review\", failed = \"Cancelled\" }";
/// The limit of concurrent commands, and the part of it that may open tickets.
const SLOTS: usize = 32;
const OPENING: usize = 24;

fn about(canary: usize, phase: &str) -> Value {
    let mut body = question(phase, "new");
    body["name"] = format!("cart-{canary}").into();
    body
}

/// A worker that runs in the background until it is stopped.
pub(crate) struct RunningWorker {
    stop: CancellationToken,
    ended: tokio::sync::oneshot::Receiver<()>,
}

impl RunningWorker {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.ended.await.unwrap();
    }
}

impl World {
    pub(crate) async fn starts_worker(&self) -> RunningWorker {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let (ends, ended) = tokio::sync::oneshot::channel();
        let [process] = self.workers().try_into().ok().unwrap();
        let run = async move |worker: Arc<Worker>| {
            drop(tokio::spawn(async move {
                worker.run(stopped, PATIENCE).await;
                ends.send(()).unwrap();
            }));
        };
        process.run_on_worker(run).await.unwrap();
        RunningWorker { stop, ended }
    }

    async fn first_questions(&self, canaries: std::ops::Range<usize>) {
        for canary in canaries {
            let answer = self.posts("/gate/confirm-promotion", &about(canary, "Progressing")).await;
            assert_eq!(answer.status, 403, "{}", answer.body);
        }
    }

    /// The ticket of a canary.
    fn ticket_of(&self, canary: usize) -> Option<IssueView> {
        let label = format!("flagger-canary-cart-{canary}");
        self.tickets().into_iter().find(|ticket| ticket.labels.contains(&label))
    }

    /// The writing requests for a ticket, in order.
    fn writes_to(&self, ticket: &IssueView) -> Vec<Operation> {
        let writes = [Operation::AddComment, Operation::EditIssue, Operation::DoTransition];
        let of = |path: &str| path.split('/').any(|part| part == ticket.id);
        let requests = self.jira.requests().into_iter();
        requests.filter(|it| writes.contains(&it.operation) && of(&it.path)).map(|it| it.operation).collect()
    }
}

/// Jira is slow to create each ticket: the bridge opens as many concurrently as the limit allows, and no more.
#[tokio::test]
async fn tickets_are_opened_concurrently() {
    for world in World::both(SETTINGS).await {
        world.jira.fault(Operation::CreateIssue, Fault::Held, Times::Always);
        world.first_questions(0..60).await;
        let working = world.starts_worker().await;
        until("the allowed number of tickets is being opened", async || world.jira.held() == OPENING).await;
        // They do not delay answers to Flagger.
        world.first_questions(60..61).await;
        assert_eq!(world.jira.held(), OPENING);
        world.jira.release();
        until("all are open", async || world.tickets().len() == 61).await;
        until("nothing is left", async || world.count("outbox").await == 0).await;
        assert!((0..61).all(|canary| world.ticket_of(canary).is_some()));
        working.stop().await;
        world.finish().await;
    }
}

/// Jira does not answer the request to open one ticket; all others are opened and commented on meanwhile.
#[tokio::test]
async fn a_stuck_gate_delays_no_other() {
    for world in World::both(SETTINGS).await {
        world.jira.fault(Operation::CreateIssue, Fault::Held, Times::Once);
        world.first_questions(0..3).await;
        let working = world.starts_worker().await;
        until("one is stuck", async || world.jira.held() == 1).await;
        until("the others are open", async || {
            let reviewed = world.tickets().into_iter().filter(|ticket| ticket.status == "In Review");
            reviewed.count() == 2
        })
        .await;
        world.posts("/post-rollout", &about(1, "Failed")).await;
        world.posts("/post-rollout", &about(2, "Failed")).await;
        until("the others get the comment about the end", async || {
            world.tickets().iter().filter(|ticket| ticket.status == "Cancelled").count() == 2
        })
        .await;
        assert_eq!(world.jira.held(), 1);
        world.jira.release();
        until("nothing is left", async || world.count("outbox").await == 0).await;
        working.stop().await;
        assert_eq!(world.tickets().len(), 3);
        world.finish().await;
    }
}

/// While many tickets are to be opened, the comments on ended rollouts still get through.
#[tokio::test]
async fn openings_do_not_use_every_slot() {
    for world in World::both(SETTINGS).await {
        world.first_questions(0..1).await;
        world.run_worker().await;
        world.jira.fault(Operation::CreateIssue, Fault::Held, Times::Always);
        world.first_questions(1..SLOTS + 10).await;
        let working = world.starts_worker().await;
        until("the allowed number of tickets is being opened", async || world.jira.held() == OPENING).await;
        world.posts("/post-rollout", &about(0, "Failed")).await;
        until("it is moved", async || world.ticket_of(0).unwrap().status == "Cancelled").await;
        assert_eq!(world.jira.held(), OPENING);
        world.jira.release();
        until("nothing is left", async || world.count("outbox").await == 0).await;
        working.stop().await;
        world.finish().await;
    }
}

/// Commands of one ticket run in order, also if Jira is slow or fails once; those of other tickets do not wait.
#[tokio::test]
async fn commands_of_one_gate_go_in_order() {
    use Operation::{AddComment, DoTransition, EditIssue};
    for world in World::both(SETTINGS).await {
        world.first_questions(0..3).await;
        world.run_worker().await;
        world.jira.clear_requests();
        let broken = Fault::Status { code: 500, retry_after: None, body: String::new() };
        world.jira.fault(AddComment, Fault::Held, Times::Once);
        world.jira.fault(AddComment, broken, Times::Once);
        world.posts("/post-rollout", &about(0, "Failed")).await;
        let working = world.starts_worker().await;
        until("the first comment is being written", async || world.jira.held() == 1).await;
        world.posts("/post-rollout", &about(1, "Failed")).await;
        until("the next comment fails", async || {
            world.writes_to(&world.ticket_of(1).unwrap()) == [AddComment]
        })
        .await;
        world.posts("/post-rollout", &about(2, "Failed")).await;
        // The failed comment is not retried yet, because the test's clock does not advance.
        let done = async || world.tickets().iter().filter(|ticket| ticket.status == "Cancelled").count();
        until("another one is done", async || done().await == 1 && world.count("outbox").await == 6).await;
        assert_eq!(world.writes_to(&world.ticket_of(0).unwrap()), [AddComment]);
        assert_eq!(world.writes_to(&world.ticket_of(1).unwrap()), [AddComment]);
        assert_eq!(world.writes_to(&world.ticket_of(2).unwrap()), [AddComment, EditIssue, DoTransition]);
        world.jira.release();
        world.advance(Duration::from_secs(10));
        until("nothing is left", async || world.count("outbox").await == 0).await;
        let order = [AddComment, EditIssue, DoTransition];
        assert_eq!(world.writes_to(&world.ticket_of(0).unwrap()), order);
        assert_eq!(world.writes_to(&world.ticket_of(1).unwrap())[1..], order);
        working.stop().await;
        world.finish().await;
    }
}

/// A worker that is stopped finishes its running commands and starts no others.
#[tokio::test]
async fn running_commands_are_finished_at_a_stop() {
    for world in World::both(SETTINGS).await {
        world.jira.fault(Operation::CreateIssue, Fault::Held, Times::Always);
        world.first_questions(0..OPENING + 5).await;
        let working = world.starts_worker().await;
        until("the allowed number of tickets is being opened", async || world.jira.held() == OPENING).await;
        working.stop.cancel();
        world.jira.release();
        working.stop().await;
        assert_eq!(world.count("ticket").await, i64::try_from(OPENING).unwrap());
        assert_eq!(world.count("outbox WHERE kind = 'open'").await, 5, "no other command was started");
        assert_eq!(world.count("outbox WHERE sent_at IS NOT NULL").await, 0);
        // The lease was released.
        world.ticks().await;
        world.run_worker().await;
        assert_eq!(world.tickets().len(), OPENING + 5);
        world.finish().await;
    }
}
