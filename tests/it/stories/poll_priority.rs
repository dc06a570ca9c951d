//! Two looks at a time: whoever just decided does not wait for a round of other tickets.

use std::{pin::pin, sync::Arc, time::Duration};

use fake_jira::{Fault, MIA, Operation, Times};
use flagger_jira_bridge::worker::{CycleOutcome, Worker};

use crate::world::{World, process::Process};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Jira reads a ticket for a round and is slow to answer. Meanwhile somebody decides, and the webhook says so: that
/// counts at once, and what the round then shows is older.
#[tokio::test]
async fn a_decision_overtakes_a_slow_round() {
    for (before, decides, opens) in [("To Do", "Approved", true), ("Approved", "To Do", false)] {
        for world in World::both("jira.timeout = \"60s\"").await {
            let key = is_due(&world).await;
            if before == "Approved" {
                // The round will be the first to see that.
                world.jira.move_issue(&key, before, MIA).unwrap();
            }
            let [process] = world.workers().try_into().ok().unwrap();
            let status = if opens { 200 } else { 403 };
            let meanwhile = async {
                world.jira.move_issue(&key, decides, MIA).unwrap();
                let nudged = is_nudged(&world, &process, &key).await;
                assert_eq!(nudged, CycleOutcome::Read { tickets: 1, changed: usize::from(opens) });
                assert_eq!(asks(&world).await, status);
            };
            let round = slow_round(&world, &process, meanwhile).await;
            assert_eq!(round, CycleOutcome::Read { tickets: 1, changed: 0 });
            assert_eq!(asks(&world).await, status, "what the round saw is not so any more");
            // Which of the two readings was the newer cannot be told, so there is a third.
            world.later(Duration::from_secs(1));
            assert_eq!(polls(&process).await, CycleOutcome::Read { tickets: 1, changed: 0 });
            assert_eq!(polls(&process).await, CycleOutcome::Idle);
            world.finish().await;
        }
    }
}

/// Jira reads the tickets that it is asked for next, and keeps its answer to itself until [`answers`].
/// Returns what waits until it has read.
fn is_slow_to_answer(world: &World, reads: Operation) -> impl Future<Output = ()> {
    world.jira.fault(reads, Fault::Slow(HOUR), Times::Once);
    world.jira.clear_requests();
    async move {
        while !world.jira.requests().iter().any(|request| request.operation == reads) {
            tokio::task::yield_now().await;
        }
    }
}

/// The hour of [`is_slow_to_answer`] passes, for Jira alone.
async fn answers() {
    tokio::time::pause();
    tokio::time::advance(HOUR).await;
    tokio::time::resume();
}

async fn polls(process: &Process) -> CycleOutcome {
    process.does(async |worker: Arc<Worker>| worker.poll().await.unwrap()).await.unwrap()
}

async fn asks(world: &World) -> u16 {
    world.asks("confirm-promotion", "Progressing", "new").await.status
}

/// The key of a ticket that waits, and that is to be read by the next round.
async fn is_due(world: &World) -> String {
    asks(world).await;
    world.works().await;
    world.later(MINUTE);
    asks(world).await;
    world.newest()
}

/// A webhook says that the ticket was moved, and it is read for that.
async fn is_nudged(world: &World, process: &Process, key: &str) -> CycleOutcome {
    assert_eq!(world.nudges(key).await.status, 200);
    process.does(async |worker: Arc<Worker>| worker.read_nudged().await.unwrap()).await.unwrap()
}

/// The same while Jira cannot show this ticket.
async fn is_nudged_in_vain(world: &World, process: &Process, key: &str) {
    world.jira.hide_issue(key, true).unwrap();
    let broken = Fault::Status { code: 500, retry_after: None, body: String::new() };
    world.jira.fault(Operation::GetIssue, broken, Times::Once);
    assert_eq!(is_nudged(world, process, key).await, CycleOutcome::Read { tickets: 0, changed: 0 });
    world.jira.hide_issue(key, false).unwrap();
}

/// What a round does for which Jira reads the tickets, and answers only when `meanwhile` is over.
async fn slow_round(world: &World, process: &Process, meanwhile: impl Future<Output = ()>) -> CycleOutcome {
    let reads = if world.is_cloud() { Operation::BulkFetch } else { Operation::Search };
    let asked = is_slow_to_answer(world, reads);
    let mut round = pin!(polls(process));
    tokio::select! {
        seen = &mut round => panic!("Jira has answered the round: {seen:?}"),
        () = async { asked.await; meanwhile.await } => {}
    }
    answers().await;
    round.await
}

/// While a ticket is read because somebody moved it, a round leaves it alone: it would not know which reading is newer.
#[tokio::test]
async fn a_round_leaves_alone_what_is_read_for_a_nudge() {
    for world in World::both("jira.timeout = \"60s\"").await {
        let key = is_due(&world).await;
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        assert_eq!(world.nudges(&key).await.status, 200);
        // What is nudged is read from the issue itself where many are read from an index.
        let reads = if world.is_cloud() { Operation::BulkFetch } else { Operation::GetIssue };
        let asked = is_slow_to_answer(&world, reads);
        let [process] = world.workers().try_into().ok().unwrap();
        let mut nudged = pin!(process.does(async |worker: Arc<Worker>| worker.read_nudged().await.unwrap()));
        tokio::select! {
            seen = &mut nudged => panic!("Jira has answered: {seen:?}"),
            () = asked => {}
        }
        tokio::select! {
            seen = &mut nudged => panic!("Jira has answered: {seen:?}"),
            polled = polls(&process) => assert_eq!(polled, CycleOutcome::Idle),
        }
        answers().await;
        assert_eq!(nudged.await.unwrap(), CycleOutcome::Read { tickets: 1, changed: 1 });
        assert_eq!(asks(&world).await, 200);
        world.finish().await;
    }
}

/// A ticket that was moved cannot be read just then, or nobody can say whose approval counts: its own turn comes no later
/// for that.
#[tokio::test]
async fn a_nudge_in_vain_puts_nothing_off() {
    for (hidden, seen) in [(true, 0), (false, 1)] {
        for world in World::both("jira.poll_every = \"3m\"\napproval.approvers = [\"group:cab\"]").await {
            world.jira.add_group("cab", &[MIA]);
            asks(&world).await;
            world.works().await;
            let key = world.newest();
            let [process] = world.workers().try_into().ok().unwrap();
            world.later(2 * MINUTE);
            asks(&world).await;
            assert_eq!(polls(&process).await, CycleOutcome::Idle);
            world.jira.move_issue(&key, "Approved", MIA).unwrap();
            world.jira.hide_issue(&key, hidden).unwrap();
            let issue = if hidden { Operation::GetIssue } else { Operation::User };
            for operation in [issue, Operation::UserGroups, Operation::User] {
                let broken = Fault::Status { code: 500, retry_after: None, body: "{}".into() };
                world.jira.fault(operation, broken, Times::Always);
            }
            let nudged = is_nudged(&world, &process, &key).await;
            assert_eq!(nudged, CycleOutcome::Read { tickets: seen, changed: seen });
            assert_eq!(asks(&world).await, 403);
            world.jira.clear_faults();
            world.jira.hide_issue(&key, false).unwrap();
            world.later(MINUTE);
            assert_eq!(polls(&process).await, CycleOutcome::Read { tickets: 1, changed: 1 });
            assert_eq!(asks(&world).await, 200);
            world.finish().await;
        }
    }
}

/// A round read an approval, and is slow. The withdrawal is read for a nudge, and then a second nudge comes to nothing: the
/// round has no say all the same.
#[tokio::test]
async fn a_nudge_in_vain_does_not_undo_the_one_before() {
    for world in World::both("jira.timeout = \"60s\"").await {
        let key = is_due(&world).await;
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        let [process] = world.workers().try_into().ok().unwrap();
        let meanwhile = async {
            world.jira.move_issue(&key, "To Do", MIA).unwrap();
            let nudged = is_nudged(&world, &process, &key).await;
            assert_eq!(nudged, CycleOutcome::Read { tickets: 1, changed: 0 });
            world.later(Duration::from_secs(2));
            is_nudged_in_vain(&world, &process, &key).await;
        };
        let round = slow_round(&world, &process, meanwhile).await;
        assert_eq!(round, CycleOutcome::Read { tickets: 1, changed: 0 });
        assert_eq!(asks(&world).await, 403);
        world.finish().await;
    }
}

/// A round and a nudge read the same ticket, and Jira answers only the round: what that saw counts.
#[tokio::test]
async fn a_round_does_not_yield_to_a_nudge_in_vain() {
    for world in World::both("jira.timeout = \"60s\"").await {
        let key = is_due(&world).await;
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        let [process] = world.workers().try_into().ok().unwrap();
        let round = slow_round(&world, &process, is_nudged_in_vain(&world, &process, &key)).await;
        assert_eq!(round, CycleOutcome::Read { tickets: 1, changed: 1 });
        assert_eq!(asks(&world).await, 200);
        world.finish().await;
    }
}

/// More dead tickets were moved than are answered at a time, and Jira does not say what became of them: that is tried
/// again later, and not without a pause.
#[tokio::test]
async fn the_dead_wait_without_haste() {
    for world in World::both("limits.tickets_per_canary_per_hour = 100").await {
        for n in 0..12 {
            let revision = format!("r{n}");
            world.asks("confirm-promotion", "Progressing", &revision).await;
            world.works().await;
            world.reports("/post-rollout", "Failed", &revision).await;
            world.works().await;
        }
        let tickets = world.tickets();
        assert_eq!(tickets.len(), 12);
        world.later(MINUTE);
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
                let (nudged, _) = process.does(steps).await.unwrap();
                assert_eq!(nudged, CycleOutcome::Idle);
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
            "each once: those that cannot be read hold up no other"
        );
        assert_eq!(tries().await, Vec::<String>::new(), "and without haste");
        world.later(HOUR);
        let _ = process.does(async |worker: Arc<Worker>| worker.keep_lease(false).await.unwrap()).await;
        assert_eq!(tries().await, first);
        world.jira.clear_faults();
        world.later(HOUR);
        world.works().await;
        for (before, after) in tickets.iter().zip(world.tickets()) {
            assert_eq!(
                after.comments.len(),
                before.comments.len() + 1,
                "{} is told that it opens nothing",
                after.key
            );
        }
        world.finish().await;
    }
}
