//! Commands of different gates are performed side by side, those of one gate one after the other. Nothing here is timed:
//! Jira holds answers back until a test has seen what goes on meanwhile.

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
/// So many are performed at the same time at most, and of them so many tickets opened.
const PLACES: usize = 32;
const OPENING: usize = 24;

fn about(canary: usize, phase: &str) -> Value {
    let mut body = question(phase, "new");
    body["name"] = format!("cart-{canary}").into();
    body
}

/// A worker that works by itself, until it is told to stop.
struct Working {
    stop: CancellationToken,
    ended: tokio::sync::oneshot::Receiver<()>,
}

impl Working {
    async fn ends(self) {
        self.stop.cancel();
        self.ended.await.unwrap();
    }
}

impl World {
    async fn runs(&self) -> Working {
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
        process.does(run).await.unwrap();
        Working { stop, ended }
    }

    async fn first_questions(&self, canaries: std::ops::Range<usize>) {
        for canary in canaries {
            let answer = self.posts("/gate/confirm-promotion", &about(canary, "Progressing")).await;
            assert_eq!(answer.status, 403, "{}", answer.body);
        }
    }

    /// The ticket of a canary.
    fn of(&self, canary: usize) -> Option<IssueView> {
        let name = format!("shop/cart-{canary} ");
        self.tickets().into_iter().find(|ticket| format!("{} ", ticket.summary).contains(&name))
    }

    fn in_order(&self, ticket: &IssueView) -> Vec<Operation> {
        let tells = [Operation::AddComment, Operation::EditIssue, Operation::DoTransition];
        let of = |path: &str| path.split('/').any(|part| part == ticket.id);
        let requests = self.jira.requests().into_iter();
        requests.filter(|it| tells.contains(&it.operation) && of(&it.path)).map(|it| it.operation).collect()
    }
}

/// Jira takes its time for each ticket: as many are being opened as the budget is good for, and no more.
#[tokio::test]
async fn tickets_are_opened_side_by_side() {
    for world in World::both(SETTINGS).await {
        world.jira.fault(Operation::CreateIssue, Fault::Held, Times::Always);
        world.first_questions(0..60).await;
        let working = world.runs().await;
        until("as many as may are being opened", async || world.jira.held() == OPENING).await;
        // Whoever answers Flagger is not kept waiting by them.
        world.first_questions(60..61).await;
        assert_eq!(world.jira.held(), OPENING);
        world.jira.release();
        until("all are open", async || world.tickets().len() == 61).await;
        until("nothing is left", async || world.count("outbox").await == 0).await;
        assert!((0..61).all(|canary| world.of(canary).is_some()));
        working.ends().await;
        world.finish().await;
    }
}

/// Jira does not come back from opening one ticket, and all others are opened and told meanwhile.
#[tokio::test]
async fn a_stuck_gate_holds_up_no_other() {
    for world in World::both(SETTINGS).await {
        world.jira.fault(Operation::CreateIssue, Fault::Held, Times::Once);
        world.first_questions(0..3).await;
        let working = world.runs().await;
        until("one is stuck", async || world.jira.held() == 1).await;
        until("the others are open", async || {
            let reviewed = world.tickets().into_iter().filter(|ticket| ticket.status == "In Review");
            reviewed.count() == 2
        })
        .await;
        world.posts("/post-rollout", &about(1, "Failed")).await;
        world.posts("/post-rollout", &about(2, "Failed")).await;
        until("the others are told how it ended", async || {
            world.tickets().iter().filter(|ticket| ticket.status == "Cancelled").count() == 2
        })
        .await;
        assert_eq!(world.jira.held(), 1);
        world.jira.release();
        until("nothing is left", async || world.count("outbox").await == 0).await;
        working.ends().await;
        assert_eq!(world.tickets().len(), 3);
        world.finish().await;
    }
}

/// However many tickets are to be opened, those that are over are told so meanwhile.
#[tokio::test]
async fn openings_do_not_take_every_place() {
    for world in World::both(SETTINGS).await {
        world.first_questions(0..1).await;
        world.works().await;
        world.jira.fault(Operation::CreateIssue, Fault::Held, Times::Always);
        world.first_questions(1..PLACES + 10).await;
        let working = world.runs().await;
        until("as many as may are being opened", async || world.jira.held() == OPENING).await;
        world.posts("/post-rollout", &about(0, "Failed")).await;
        until("it is told", async || world.of(0).unwrap().status == "Cancelled").await;
        assert_eq!(world.jira.held(), OPENING);
        world.jira.release();
        until("nothing is left", async || world.count("outbox").await == 0).await;
        working.ends().await;
        world.finish().await;
    }
}

/// What one ticket is told is told in its order, also where Jira takes its time, or fails once; others do not wait.
#[tokio::test]
async fn commands_of_one_gate_go_in_order() {
    use Operation::{AddComment, DoTransition, EditIssue};
    for world in World::both(SETTINGS).await {
        world.first_questions(0..3).await;
        world.works().await;
        world.jira.clear_requests();
        let broken = Fault::Status { code: 500, retry_after: None, body: String::new() };
        world.jira.fault(AddComment, Fault::Held, Times::Once);
        world.jira.fault(AddComment, broken, Times::Once);
        world.posts("/post-rollout", &about(0, "Failed")).await;
        let working = world.runs().await;
        until("the first comment is being written", async || world.jira.held() == 1).await;
        world.posts("/post-rollout", &about(1, "Failed")).await;
        until("the next comment fails", async || world.in_order(&world.of(1).unwrap()) == [AddComment]).await;
        world.posts("/post-rollout", &about(2, "Failed")).await;
        // That comment is tried again when its time has come, and the clock stands still.
        let done = async || world.tickets().iter().filter(|ticket| ticket.status == "Cancelled").count();
        until("another is told", async || done().await == 1 && world.count("outbox").await == 6).await;
        assert_eq!(world.in_order(&world.of(0).unwrap()), [AddComment]);
        assert_eq!(world.in_order(&world.of(1).unwrap()), [AddComment]);
        assert_eq!(world.in_order(&world.of(2).unwrap()), [AddComment, EditIssue, DoTransition]);
        world.jira.release();
        world.later(Duration::from_secs(10));
        until("nothing is left", async || world.count("outbox").await == 0).await;
        let order = [AddComment, EditIssue, DoTransition];
        assert_eq!(world.in_order(&world.of(0).unwrap()), order);
        assert_eq!(world.in_order(&world.of(1).unwrap())[1..], order);
        working.ends().await;
        world.finish().await;
    }
}

/// Told to stop, it finishes all that is in hand, and begins nothing else.
#[tokio::test]
async fn what_is_in_hand_is_finished() {
    for world in World::both(SETTINGS).await {
        world.jira.fault(Operation::CreateIssue, Fault::Held, Times::Always);
        world.first_questions(0..OPENING + 5).await;
        let working = world.runs().await;
        until("as many as may are being opened", async || world.jira.held() == OPENING).await;
        working.stop.cancel();
        world.jira.release();
        working.ends().await;
        assert_eq!(world.count("ticket").await, i64::try_from(OPENING).unwrap());
        assert_eq!(world.count("outbox WHERE kind = 'open'").await, 5, "nothing else was begun");
        assert_eq!(world.count("outbox WHERE sent_at IS NOT NULL").await, 0);
        // The lease was given back.
        world.ticks().await;
        world.works().await;
        assert_eq!(world.tickets().len(), OPENING + 5);
        world.finish().await;
    }
}
