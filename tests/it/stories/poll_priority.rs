//! Two loops read tickets: a ticket that was just moved does not wait for a round of due tickets.

use std::{pin::pin, sync::Arc, time::Duration};

use fake_jira::{Fault, MIA, Operation, Times};
use flagger_jira_bridge::worker::{StepOutcome, Worker};

use crate::world::{World, process::Process};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Jira reads a ticket for a round and is slow to answer. Meanwhile a Jira user decides, and the webhook reports it:
/// the decision counts at once, and the round's reading is outdated.
#[tokio::test]
async fn a_decision_overtakes_a_slow_round() {
    for (before, decides, opens) in [("To Do", "Approved", true), ("Approved", "To Do", false)] {
        for world in World::both("jira.timeout = \"60s\"").await {
            let key = due_ticket(&world).await;
            if before == "Approved" {
                // The round is the first to read this move.
                world.jira.move_issue(&key, before, MIA).unwrap();
            }
            let [process] = world.workers().try_into().ok().unwrap();
            let status = if opens { 200 } else { 403 };
            let meanwhile = async {
                world.jira.move_issue(&key, decides, MIA).unwrap();
                let nudged = nudge_and_read(&world, &process, &key).await;
                assert_eq!(nudged, StepOutcome::Read { tickets: 1, changed: usize::from(opens) });
                assert_eq!(asks(&world).await, status);
            };
            let round = slow_round(&world, &process, meanwhile).await;
            assert_eq!(round, StepOutcome::Read { tickets: 1, changed: 0 });
            assert_eq!(asks(&world).await, status, "the round's reading is outdated");
            // The bridge cannot know which of the two readings is newer, so it reads a third time.
            world.advance(Duration::from_secs(1));
            assert_eq!(polls(&process).await, StepOutcome::Read { tickets: 1, changed: 0 });
            assert_eq!(polls(&process).await, StepOutcome::Idle);
            world.finish().await;
        }
    }
}

/// Jira reads the next requested tickets, and holds its answer back until [`release_answer`]. The returned future waits
/// until Jira has read them.
fn hold_answer(world: &World, reads: Operation) -> impl Future<Output = ()> {
    world.jira.fault(reads, Fault::Slow(HOUR), Times::Once);
    world.jira.clear_requests();
    async move {
        while !world.jira.requests().iter().any(|request| request.operation == reads) {
            tokio::task::yield_now().await;
        }
    }
}

/// Lets the hour of [`hold_answer`] pass, for the fake Jira alone.
async fn release_answer() {
    tokio::time::pause();
    tokio::time::advance(HOUR).await;
    tokio::time::resume();
}

async fn polls(process: &Process) -> StepOutcome {
    process.run_on_worker(async |worker: Arc<Worker>| worker.poll().await.unwrap()).await.unwrap()
}

async fn asks(world: &World) -> u16 {
    world.asks("confirm-promotion", "Progressing", "new").await.status
}

/// Opens a ticket that is due in the next round, and returns its key.
async fn due_ticket(world: &World) -> String {
    asks(world).await;
    world.run_worker().await;
    world.advance(MINUTE);
    asks(world).await;
    world.newest()
}

/// A webhook reports that the ticket was moved, and the worker reads it.
async fn nudge_and_read(world: &World, process: &Process, key: &str) -> StepOutcome {
    assert_eq!(world.nudges(key).await.status, 200);
    process.run_on_worker(async |worker: Arc<Worker>| worker.read_nudged().await.unwrap()).await.unwrap()
}

/// The same while Jira cannot show this ticket.
async fn nudge_and_fail(world: &World, process: &Process, key: &str) {
    world.jira.hide_issue(key, true).unwrap();
    let broken = Fault::Status { code: 500, retry_after: None, body: String::new() };
    world.jira.fault(Operation::GetIssue, broken, Times::Once);
    assert_eq!(nudge_and_read(world, process, key).await, StepOutcome::Read { tickets: 0, changed: 0 });
    world.jira.hide_issue(key, false).unwrap();
}

/// Runs a round for which Jira reads the tickets at once, but answers only after `meanwhile`.
async fn slow_round(world: &World, process: &Process, meanwhile: impl Future<Output = ()>) -> StepOutcome {
    let reads = if world.is_cloud() { Operation::BulkFetch } else { Operation::Search };
    let asked = hold_answer(world, reads);
    let mut round = pin!(polls(process));
    tokio::select! {
        seen = &mut round => panic!("Jira has answered the round: {seen:?}"),
        () = async { asked.await; meanwhile.await } => {}
    }
    release_answer().await;
    round.await
}

/// While a ticket is read for a nudge, a round skips it: it could not know which reading is newer.
#[tokio::test]
async fn a_round_skips_a_ticket_that_is_read_for_a_nudge() {
    for world in World::both("jira.timeout = \"60s\"").await {
        let key = due_ticket(&world).await;
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        assert_eq!(world.nudges(&key).await.status, 200);
        // On Data Center a nudged ticket is read from the issue itself, not from the search index.
        let reads = if world.is_cloud() { Operation::BulkFetch } else { Operation::GetIssue };
        let asked = hold_answer(&world, reads);
        let [process] = world.workers().try_into().ok().unwrap();
        let mut nudged =
            pin!(process.run_on_worker(async |worker: Arc<Worker>| worker.read_nudged().await.unwrap()));
        tokio::select! {
            seen = &mut nudged => panic!("Jira has answered: {seen:?}"),
            () = asked => {}
        }
        tokio::select! {
            seen = &mut nudged => panic!("Jira has answered: {seen:?}"),
            polled = polls(&process) => assert_eq!(polled, StepOutcome::Idle),
        }
        release_answer().await;
        assert_eq!(nudged.await.unwrap(), StepOutcome::Read { tickets: 1, changed: 1 });
        assert_eq!(asks(&world).await, 200);
        world.finish().await;
    }
}

/// A moved ticket cannot be read, or the approver cannot be looked up: that does not delay the ticket's next poll.
#[tokio::test]
async fn a_failed_nudge_does_not_delay_the_next_poll() {
    for (hidden, seen) in [(true, 0), (false, 1)] {
        for world in World::both("jira.poll_every = \"3m\"\napproval.approvers = [\"group:cab\"]").await {
            world.jira.add_group("cab", &[MIA]);
            asks(&world).await;
            world.run_worker().await;
            let key = world.newest();
            let [process] = world.workers().try_into().ok().unwrap();
            world.advance(2 * MINUTE);
            asks(&world).await;
            assert_eq!(polls(&process).await, StepOutcome::Idle);
            world.jira.move_issue(&key, "Approved", MIA).unwrap();
            world.jira.hide_issue(&key, hidden).unwrap();
            let issue = if hidden { Operation::GetIssue } else { Operation::User };
            for operation in [issue, Operation::UserGroups, Operation::User] {
                let broken = Fault::Status { code: 500, retry_after: None, body: "{}".into() };
                world.jira.fault(operation, broken, Times::Always);
            }
            let nudged = nudge_and_read(&world, &process, &key).await;
            assert_eq!(nudged, StepOutcome::Read { tickets: seen, changed: seen });
            assert_eq!(asks(&world).await, 403);
            world.jira.clear_faults();
            world.jira.hide_issue(&key, false).unwrap();
            world.advance(MINUTE);
            assert_eq!(polls(&process).await, StepOutcome::Read { tickets: 1, changed: 1 });
            assert_eq!(asks(&world).await, 200);
            world.finish().await;
        }
    }
}

/// A slow round has read an approval. A nudge reads the withdrawal, and then a second nudge fails: the round's reading
/// is still discarded.
#[tokio::test]
async fn a_failed_nudge_does_not_undo_the_previous_one() {
    for world in World::both("jira.timeout = \"60s\"").await {
        let key = due_ticket(&world).await;
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        let [process] = world.workers().try_into().ok().unwrap();
        let meanwhile = async {
            world.jira.move_issue(&key, "To Do", MIA).unwrap();
            let nudged = nudge_and_read(&world, &process, &key).await;
            assert_eq!(nudged, StepOutcome::Read { tickets: 1, changed: 0 });
            world.advance(Duration::from_secs(2));
            nudge_and_fail(&world, &process, &key).await;
        };
        let round = slow_round(&world, &process, meanwhile).await;
        assert_eq!(round, StepOutcome::Read { tickets: 1, changed: 0 });
        assert_eq!(asks(&world).await, 403);
        world.finish().await;
    }
}

/// A round and a nudge read the same ticket, and Jira answers only the round: the round's reading counts.
#[tokio::test]
async fn a_round_does_not_yield_to_a_failed_nudge() {
    for world in World::both("jira.timeout = \"60s\"").await {
        let key = due_ticket(&world).await;
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        let [process] = world.workers().try_into().ok().unwrap();
        let round = slow_round(&world, &process, nudge_and_fail(&world, &process, &key)).await;
        assert_eq!(round, StepOutcome::Read { tickets: 1, changed: 1 });
        assert_eq!(asks(&world).await, 200);
        world.finish().await;
    }
}

/// More ended tickets were moved than one pass answers, and Jira cannot show them: the bridge retries after a pause.
#[tokio::test]
async fn late_moves_are_retried_after_a_pause() {
    for world in World::both("limits.tickets_per_canary_per_hour = 100").await {
        for n in 0..12 {
            let revision = format!("r{n}");
            world.asks("confirm-promotion", "Progressing", &revision).await;
            world.run_worker().await;
            world.reports("/post-rollout", "Failed", &revision).await;
            world.run_worker().await;
        }
        let tickets = world.tickets();
        assert_eq!(tickets.len(), 12);
        world.advance(MINUTE);
        world.jira.fault(
            Operation::GetIssue,
            Fault::Status { code: 500, retry_after: None, body: String::new() },
            Times::Always,
        );
        for ticket in &tickets {
            world.jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
            assert_eq!(world.nudges(&ticket.key).await.status, 200);
        }
        let [process] = world.workers().try_into().ok().unwrap();
        let steps = async |worker: Arc<Worker>| {
            (worker.read_nudged().await.unwrap(), worker.answer_late_moves().await.unwrap())
        };
        let tries = async || {
            world.jira.clear_requests();
            for _ in 0..5 {
                let (nudged, _) = process.run_on_worker(steps).await.unwrap();
                assert_eq!(nudged, StepOutcome::Idle);
            }
            let requests = world.jira.requests().into_iter().filter(|it| it.operation == Operation::GetIssue);
            let mut asked: Vec<_> = requests.map(|it| it.path).collect();
            asked.sort();
            asked
        };
        let first = tries().await;
        let mut each = first.clone();
        each.dedup();
        assert_eq!(
            (first.len(), each.len()),
            (12, 12),
            "each once: tickets that cannot be read delay no other"
        );
        assert_eq!(tries().await, Vec::<String>::new(), "no retry before the pause has passed");
        world.advance(HOUR);
        let _ =
            process.run_on_worker(async |worker: Arc<Worker>| worker.keep_lease(false).await.unwrap()).await;
        assert_eq!(tries().await, first);
        world.jira.clear_faults();
        world.advance(HOUR);
        world.run_worker().await;
        for (before, after) in tickets.iter().zip(world.tickets()) {
            assert_eq!(
                after.comments.len(),
                before.comments.len() + 1,
                "{} gets a comment that it opens nothing",
                after.key
            );
        }
        world.finish().await;
    }
}
