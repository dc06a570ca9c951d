//! An answer that shows less than was seen before: kept on the way, in an index, or of a Jira that was restored.

use std::{sync::Arc, time::Duration};

use fake_jira::{Fault, MIA, Operation, Times};
use flagger_jira_bridge::worker::Worker;

use crate::world::{Answer, World, looked};

crate::world::crash::crash_tests!(a_decision_that_was_taken_back_stays_so);

const LATER: Duration = Duration::from_secs(20);

/// It was approved, and then rejected or moved back, which was read. Then Jira shows what it showed before.
#[tokio::test]
async fn a_decision_that_was_taken_back_stays_so() {
    for (status, says) in [("Rejected", "rejected by Mia"), ("To Do", "waiting for a decision")] {
        for world in World::both("").await {
            let key = world.promotion_approved().await;
            let before = world.jira.backup();
            world.later(LATER);
            world.decides(&key, status).await;
            world.promotion_is_closed(says).await;
            world.jira.restore(before);
            for _ in 0..3 {
                world.later(LATER);
                world.works().await;
                world.nudges(&key).await;
                world.works().await;
                world.promotion_is_closed(says).await;
            }
            // What is decided from then on counts.
            world.later(LATER);
            world.decides(&key, "In Review").await;
            world.later(LATER);
            world.decides(&key, "Approved").await;
            world.promotion_is_open().await;
            world.finish().await;
        }
    }
}

/// For a while the bridge asks another Jira, in which the ticket's number is somebody else's issue: what happened to that one is no
/// measure of how old the ticket's own history is.
#[tokio::test]
async fn the_moves_of_somebody_elses_issue() {
    for world in World::both("").await {
        let key = world.promotion_approved().await;
        world.later(LATER);
        world.jira.move_issue(&key, "Rejected", MIA).unwrap();
        let own = world.jira.backup();
        world.jira.restore_empty_backup();
        let theirs = world.jira.add_issue("OPS", "Change", "To Do", MIA).unwrap();
        world.later(LATER);
        world.jira.move_issue(&theirs, "Approved", MIA).unwrap();
        world.works().await;
        assert_eq!(world.gates().await[0]["state"], "gone");
        world.jira.restore(own);
        for _ in 0..3 {
            world.later(LATER);
            world.works().await;
        }
        assert_eq!(world.gates().await[0]["state"], "rejected");
        world.finish().await;
    }
}

/// Jira was restored, and shows less of tickets than it did: each is asked for again ever more seldom, but at once where somebody
/// moved it.
#[tokio::test]
async fn tickets_of_a_jira_that_was_restored_cost_little() {
    for world in World::both("").await {
        let key = world.promotion_approved().await;
        let before = world.jira.backup();
        world.later(LATER);
        world.decides(&key, "To Do").await;
        world.jira.restore(before);
        let asked_alone = || {
            let requests = world.jira.requests();
            requests.iter().filter(|request| request.operation == Operation::GetIssue).count()
        };
        world.jira.clear_requests();
        for _ in 0..10 {
            world.later(LATER);
            world.promotes().await;
            world.works().await;
        }
        assert!((2..=5).contains(&asked_alone()), "{}", asked_alone());
        let unread = world.gates().await[0].to_string();
        assert!(unread.contains("showed more of this ticket's history before"), "{unread}");
        world.jira.clear_requests();
        world.nudges(&key).await;
        world.works().await;
        assert_eq!(asked_alone(), 1, "somebody moved it");
        // What is decided from then on counts at once, and from then on it is read as others are.
        for status in ["To Do", "Approved"] {
            world.later(LATER);
            world.jira.move_issue(&key, status, MIA).unwrap();
            world.works().await;
        }
        world.promotion_is_open().await;
        world.finish().await;
    }
}

/// The rejection could not be stored when the older answer came.
#[tokio::test]
async fn a_rejection_that_is_only_in_memory_stays() {
    for world in World::both("").await {
        let key = world.promotion_approved().await;
        let before = world.jira.backup();
        world.sql("ALTER TABLE turn RENAME TO elsewhere").await;
        world.jira.move_issue(&key, "Rejected", MIA).unwrap();
        let looks = async || {
            world.later(LATER);
            for process in world.workers() {
                process.does(async |worker: Arc<Worker>| drop(looked(&worker).await)).await;
            }
        };
        looks().await;
        assert_eq!(world.promotes().await.status, 403);
        world.jira.restore(before);
        looks().await;
        looks().await;
        world.promotion_is_closed("rejected by Mia").await;
        world.sql("ALTER TABLE elsewhere RENAME TO turn").await;
        world.later(LATER);
        world.works().await;
        world.promotion_is_closed("rejected by Mia").await;
        world.finish().await;
    }
}

/// An index alone opens nothing: not while the issue itself cannot be read, and not for longer than an answer is trusted.
#[tokio::test]
async fn an_index_that_is_behind() {
    for world in World::both("").await {
        if world.is_cloud() {
            continue;
        }
        // It was approved and rejected before the bridge looked, and the index knows only the first.
        world.promotes().await;
        world.works().await;
        let key = world.newest();
        world.later(LATER);
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.jira.freeze_index(true);
        world.jira.move_issue(&key, "Rejected", MIA).unwrap();
        let broken = Fault::Status { code: 502, retry_after: None, body: "<html>".into() };
        world.jira.fault(Operation::GetIssue, broken.clone(), Times::Always);
        for _ in 0..3 {
            world.later(LATER);
            world.works().await;
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
            world.later(LATER);
            world.works().await;
            if world.gates().await[0]["state"] != "approved" {
                closed = Some(step);
                break;
            }
        }
        // No longer than an answer is trusted.
        assert!(closed.is_some_and(|step| step <= 30), "{closed:?}");
        world.finish().await;

        // The same where the issue cannot be read from then on.
        let world = World::start_with(fake_jira::Flavour::DataCenter, "").await;
        world.promotion_approved().await;
        world.jira.freeze_index(true);
        world.jira.fault(Operation::GetIssue, broken, Times::Always);
        for _ in 0..33 {
            world.later(LATER);
            world.works().await;
        }
        assert_eq!(world.gates().await[0]["state"], "stale");
        world.jira.clear_faults();
        world.finish().await;
    }
}
