//! Answers with a shorter history than one seen before: from a proxy's cache, a search index, or a restored Jira.

use std::{sync::Arc, time::Duration};

use fake_jira::{Fault, MIA, Operation, Times};
use flagger_jira_bridge::worker::Worker;

use crate::world::{Answer, World, poll_tickets};

crate::world::crash::crash_tests!(a_withdrawn_approval_stays_withdrawn);

const LATER: Duration = Duration::from_secs(20);

/// A ticket was approved, and then rejected or moved back, which the bridge read. Then Jira shows the older state
/// again.
#[tokio::test]
async fn a_withdrawn_approval_stays_withdrawn() {
    for (status, says) in [("Rejected", "rejected by Mia"), ("To Do", "waiting for a decision")] {
        for world in World::both("").await {
            let key = world.promotion_approved().await;
            let before = world.jira.backup();
            world.advance(LATER);
            world.decides(&key, status).await;
            world.promotion_is_closed(says).await;
            world.jira.restore(before);
            for _ in 0..3 {
                world.advance(LATER);
                world.run_worker().await;
                world.nudges(&key).await;
                world.run_worker().await;
                world.promotion_is_closed(says).await;
            }
            // A later decision counts.
            world.advance(LATER);
            world.decides(&key, "In Review").await;
            world.advance(LATER);
            world.decides(&key, "Approved").await;
            world.promotion_is_open().await;
            world.finish().await;
        }
    }
}

/// For a while the bridge reads another Jira, in which the ticket's number is a foreign issue: the foreign history does
/// not make the ticket's own history outdated.
#[tokio::test]
async fn moves_of_a_foreign_issue() {
    for world in World::both("").await {
        let key = world.promotion_approved().await;
        world.advance(LATER);
        world.jira.move_issue(&key, "Rejected", MIA).unwrap();
        let own = world.jira.backup();
        world.jira.restore_empty_backup();
        let theirs = world.jira.add_issue("OPS", "Change", "To Do", MIA).unwrap();
        world.advance(LATER);
        world.jira.move_issue(&theirs, "Approved", MIA).unwrap();
        world.run_worker().await;
        assert_eq!(world.gates().await[0]["state"], "gone");
        world.jira.restore(own);
        for _ in 0..3 {
            world.advance(LATER);
            world.run_worker().await;
        }
        assert_eq!(world.gates().await[0]["state"], "rejected");
        world.finish().await;
    }
}

/// Jira was restored, and shows shorter histories: each ticket is read again ever less often, but at once if a user
/// moves it.
#[tokio::test]
async fn tickets_of_a_jira_that_was_restored_cost_little() {
    for world in World::both("").await {
        let key = world.promotion_approved().await;
        let before = world.jira.backup();
        world.advance(LATER);
        world.decides(&key, "To Do").await;
        world.jira.restore(before);
        let asked_alone = || {
            let requests = world.jira.requests();
            requests.iter().filter(|request| request.operation == Operation::GetIssue).count()
        };
        world.jira.clear_requests();
        for _ in 0..10 {
            world.advance(LATER);
            world.promotes().await;
            world.run_worker().await;
        }
        assert!((2..=5).contains(&asked_alone()), "{}", asked_alone());
        let unread = world.gates().await[0].to_string();
        assert!(unread.contains("showed more of this ticket's history before"), "{unread}");
        world.jira.clear_requests();
        world.nudges(&key).await;
        world.run_worker().await;
        assert_eq!(
            asked_alone(),
            2,
            "a user moved it; and the issue is read before a comment says what is wrong"
        );
        let told = world.jira.issue(&key).unwrap().comments.last().unwrap().text();
        assert!(
            told.contains("cannot tell at the moment whether the decision on this ticket counts"),
            "{told}"
        );
        // A later decision counts at once, and from then on the ticket is read like others.
        for status in ["To Do", "Approved"] {
            world.advance(LATER);
            world.jira.move_issue(&key, status, MIA).unwrap();
            world.run_worker().await;
        }
        world.promotion_is_open().await;
        world.finish().await;
    }
}

/// The rejection could not be stored yet when the older answer arrives.
#[tokio::test]
async fn a_rejection_that_is_only_in_memory_stays() {
    for world in World::both("").await {
        let key = world.promotion_approved().await;
        let before = world.jira.backup();
        world.sql("ALTER TABLE turn RENAME TO elsewhere").await;
        world.jira.move_issue(&key, "Rejected", MIA).unwrap();
        let looks = async || {
            world.advance(LATER);
            for process in world.workers() {
                process.run_on_worker(async |worker: Arc<Worker>| drop(poll_tickets(&worker).await)).await;
            }
        };
        looks().await;
        assert_eq!(world.promotes().await.status, 403);
        world.jira.restore(before);
        looks().await;
        looks().await;
        world.promotion_is_closed("rejected by Mia").await;
        world.sql("ALTER TABLE elsewhere RENAME TO turn").await;
        world.advance(LATER);
        world.run_worker().await;
        world.promotion_is_closed("rejected by Mia").await;
        world.finish().await;
    }
}

/// An index alone opens nothing while the issue itself cannot be read, and keeps nothing open for longer than
/// `jira.trust_for`.
#[tokio::test]
async fn an_index_that_is_behind() {
    for world in World::both("").await {
        if world.is_cloud() {
            continue;
        }
        // The ticket was approved and rejected before the bridge read it, and the index shows only the approval.
        world.promotes().await;
        world.run_worker().await;
        let key = world.newest();
        world.advance(LATER);
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.jira.freeze_index(true);
        world.jira.move_issue(&key, "Rejected", MIA).unwrap();
        let broken = Fault::Status { code: 502, retry_after: None, body: "<html>".into() };
        world.jira.fault(Operation::GetIssue, broken.clone(), Times::Always);
        for _ in 0..3 {
            world.advance(LATER);
            world.run_worker().await;
            let Answer { status, body } = world.promotes().await;
            assert_eq!(status, 403, "{body}");
        }
        world.jira.clear_faults();
        world.jira.freeze_index(false);
        world.finish().await;

        let world = World::start_with(fake_jira::Flavour::DataCenter, "").await;
        let key = world.promotion_approved().await;
        world.jira.freeze_index(true);
        world.jira.move_issue(&key, "To Do", MIA).unwrap();
        let mut closed = None;
        for step in 0..60 {
            world.advance(LATER);
            world.run_worker().await;
            if world.gates().await[0]["state"] != "approved" {
                closed = Some(step);
                break;
            }
        }
        // It closes when the last answer is not trusted any more.
        assert!(closed.is_some_and(|step| step <= 30), "{closed:?}");
        world.finish().await;

        // The same if the issue cannot be read from then on.
        let world = World::start_with(fake_jira::Flavour::DataCenter, "").await;
        world.promotion_approved().await;
        world.jira.freeze_index(true);
        world.jira.fault(Operation::GetIssue, broken, Times::Always);
        for _ in 0..33 {
            world.advance(LATER);
            world.run_worker().await;
        }
        assert_eq!(world.gates().await[0]["state"], "stale");
        world.jira.clear_faults();
        world.finish().await;
    }
}
