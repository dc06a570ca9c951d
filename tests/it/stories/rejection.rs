//! A rejection that was read closes the gate at once, even if the database cannot be written or the ticket is edited.

use std::{sync::Arc, time::Duration};

use fake_jira::{BOB, Fault, Flavour, IssueView, MIA, Operation, Times, Workflow};
use flagger_jira_bridge::worker::Worker;

use crate::world::{World, crash::Plan, poll_tickets};

crate::world::crash::crash_tests!(
    a_label_erases_no_rejection,
    a_label_before_a_rejection,
    a_move_elsewhere_erases_no_rejection,
    a_mapping_takes_no_rejection_back,
);

const MINUTE: Duration = Duration::from_secs(60);

/// Changes to an approved ticket that close its gate, each with words of the answer.
const CLOSING: [(&str, &str); 4] = [
    ("rejected", "rejected by Mia"),
    ("moved back", "waiting for a decision"),
    ("moved elsewhere", "project and issue type"),
    // The next question would open another ticket, which cannot be stored.
    ("labelled", "closed: stuck: "),
];

impl World {
    /// Opens the ticket of a promotion gate; it gets the label of ended tickets, and the bridge reads that.
    async fn labelled_ticket(&self) -> String {
        let key = self.promotion_waits().await;
        self.changes_ticket(&key, "labelled");
        self.advance(MINUTE / 3);
        self.run_worker().await;
        key
    }

    /// The same, and the next question opens a second ticket.
    async fn labelled_and_second_ticket(&self) -> String {
        let key = self.labelled_ticket().await;
        self.promotion_is_closed("closed: no ticket yet").await;
        self.run_worker().await;
        key
    }

    /// Makes the database refuse the first statement of each writing transaction.
    async fn blocks_writes(&self) {
        self.sql("ALTER TABLE turn RENAME TO elsewhere").await;
    }

    async fn unblocks_writes(&self) {
        self.sql("ALTER TABLE elsewhere RENAME TO turn").await;
    }

    /// The worker polls due tickets, and cannot store the result.
    async fn polls_without_storing(&self) {
        self.advance(MINUTE / 3);
        for process in self.workers() {
            let looked =
                process.run_on_worker(async |worker: Arc<Worker>| poll_tickets(&worker).await.is_err());
            assert_eq!(looked.await, Some(true), "nothing can be stored");
        }
    }

    fn changes_ticket(&self, key: &str, what: &str) {
        match what {
            "rejected" => self.jira.move_issue(key, "Rejected", MIA).unwrap(),
            "moved back" => self.jira.move_issue(key, "In Review", MIA).unwrap(),
            "moved elsewhere" => drop(self.jira.move_to_project(key, "PAY", MIA).unwrap()),
            "labelled" => self.jira.edit_labels(key, &["flagger-ended"], &[], MIA).unwrap(),
            other => panic!("{other}?"),
        };
    }
}

#[tokio::test]
async fn a_closing_change_counts_without_a_write() {
    for (what, why) in CLOSING {
        for world in World::both("").await {
            let key = world.promotion_approved().await;
            world.blocks_writes().await;
            world.changes_ticket(&key, what);
            world.polls_without_storing().await;
            // It stays closed.
            for _ in 0..3 {
                world.promotion_is_closed(why).await;
                world.polls_without_storing().await;
            }
            let shown = world.gates().await;
            assert_ne!(shown[0]["state"], "approved", "{what}: {shown}");
            let back = world.asks("rollback", "Progressing", "new").await;
            assert_eq!(back.status == 200, what == "rejected", "{what}: {}", back.body);

            // An opening decision must be stored first, so it opens nothing yet.
            if what == "rejected" {
                world.jira.move_issue(&key, "Approved", MIA).unwrap();
                world.polls_without_storing().await;
                assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
                assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 403, "taken back");
                world.jira.move_issue(&key, "Rejected", MIA).unwrap();
                world.polls_without_storing().await;
            }

            // Now the reading is stored, and recorded once.
            world.unblocks_writes().await;
            world.promotion_is_closed(if what == "labelled" { "closed: no ticket yet" } else { why }).await;
            world.advance(MINUTE / 3);
            world.run_worker().await;
            let seen = "audit WHERE kind = 'ticket_seen' AND detail LIKE '%\"shows\":\"rejected\"%'";
            assert_eq!(world.count(seen).await, i64::from(what == "rejected"), "{what}");
            if what == "rejected" {
                world.restarts().await;
                world.promotion_is_closed(why).await;
                assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
                world.decides(&key, "Approved").await;
                assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
            }
            world.finish().await;
        }
    }
}

/// A reading that could not be stored is stored with the next write, so that the older stored state opens nothing.
#[tokio::test]
async fn the_next_question_stores_what_was_read() {
    for world in World::both("").await {
        world.asks("confirm-rollout", "Initialized", "old").await;
        world.run_worker().await;
        let key = world.newest();
        world.decides(&key, "Approved").await;
        world.blocks_writes().await;
        world.changes_ticket(&key, "rejected");
        world.polls_without_storing().await;
        world.unblocks_writes().await;
        // This question advances the rollout, so it is stored; the ticket was not read again.
        let answer = world.asks("confirm-rollout", "Waiting", "old").await;
        assert!(answer.status == 403 && answer.body.contains("rejected by Mia"), "{}", answer.body);
        world.restarts().await;
        let answer = world.asks("confirm-rollout", "Waiting", "old").await;
        assert!(answer.status == 403 && answer.body.contains("rejected by Mia"), "{}", answer.body);
        world.finish().await;
    }
}

/// A rejected ticket gets the label of ended tickets, before or after the rejection was read.
#[tokio::test]
async fn a_label_erases_no_rejection() {
    for read_between in [true, false] {
        for world in World::both("").await {
            let key = world.promotion_waits().await;
            world.jira.move_issue(&key, "Rejected", MIA).unwrap();
            if read_between {
                world.advance(MINUTE);
                world.run_worker().await;
                assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
            }
            world.jira.edit_labels(&key, &["flagger-ended"], &[], MIA).unwrap();
            for _ in 0..3 {
                world.advance(MINUTE);
                world.run_worker().await;
                world.promotion_is_closed("rejected by Mia").await;
            }
            assert_eq!(world.tickets().len(), 1, "no new ticket replaces it");
            assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
            // Only a move takes the rejection back.
            world.decides(&key, "To Do").await;
            assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 403);
            world.finish().await;
        }
    }
}

/// A ticket gets the label of ended tickets, and the bridge reads that; it is rejected before Flagger's next question,
/// which opens another ticket.
#[tokio::test]
async fn a_label_before_a_rejection() {
    for told_between in [false, true] {
        for world in World::both("").await {
            let key = world.labelled_ticket().await;
            if !told_between {
                world.jira.move_issue(&key, "Rejected", MIA).unwrap();
            }
            world.promotion_is_closed("closed: ").await;
            world.run_worker().await;
            // A process that was killed while opening the second ticket searches for it first; meanwhile it may read
            // the rejection of the first.
            let tickets = world.tickets().len();
            assert!(tickets == 2 || Plan::current().is_some(), "{tickets} tickets");
            if told_between {
                world.advance(MINUTE / 3);
                world.jira.move_issue(&key, "Rejected", MIA).unwrap();
            }
            world.advance(MINUTE);
            world.run_worker().await;
            world.promotion_is_closed(&key).await;
            world.promotion_is_closed("rejected by Mia").await;
            assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
            world.finish().await;
        }
    }
}

/// The rejection of a labelled ticket counts, and the bridge writes no comment that its rollout ended. The label is not
/// forgotten if Jira does not show the ticket for a while.
#[tokio::test]
async fn a_labelled_ticket_can_be_rejected() {
    for hidden in [false, true] {
        for world in World::both("").await {
            let key = world.labelled_and_second_ticket().await;
            if hidden {
                world.jira.hide_issue(&key, true).unwrap();
                for _ in 0..10 {
                    world.advance(MINUTE);
                    world.run_worker().await;
                    world.promotion_is_closed(&world.newest()).await;
                }
                world.jira.hide_issue(&key, false).unwrap();
            }
            world.jira.move_issue(&key, "Rejected", MIA).unwrap();
            for _ in 0..20 {
                world.advance(MINUTE);
                world.run_worker().await;
                world.asks("confirm-promotion", "Progressing", "new").await;
            }
            world.promotion_is_closed("rejected by Mia").await;
            let comments = world.jira.issue(&key).unwrap().comments;
            let is_late = |said: &str| said.contains("no longer controls") && !said.contains("has the label");
            assert!(!comments.iter().any(|comment| is_late(&comment.text())), "{comments:?}");
            assert_eq!(world.count("audit WHERE kind = 'late_move'").await, 0);
            world.finish().await;
        }
    }
}

/// A ticket that was labelled and unlabelled causes no write at each poll.
#[tokio::test]
async fn a_labelled_ticket_costs_no_writes() {
    for world in World::both("").await {
        let key = world.labelled_and_second_ticket().await;
        world.jira.edit_labels(&key, &[], &["flagger-ended"], MIA).unwrap();
        world.jira.move_issue(&key, "In Review", MIA).unwrap();
        for _ in 0..20 {
            world.advance(MINUTE);
            world.run_worker().await;
            world.asks("confirm-promotion", "Progressing", "new").await;
        }
        let before = world.turns().await;
        for _ in 0..6 {
            world.advance(MINUTE / 3);
            world.run_worker().await;
        }
        assert_eq!(world.turns().await, before);
        world.finish().await;
    }
}

/// A ticket is rejected while Jira cannot return the workflow: the gate closes at once, and the bridge looks up later
/// who rejected it. It writes no comment about the workflow.
#[tokio::test]
async fn a_rejection_while_the_workflow_cannot_be_read() {
    for world in World::both("").await {
        let key = world.promotion_approved().await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 403);
        world.advance(MINUTE);
        let away = Fault::Status { code: 503, retry_after: None, body: "{\"errorMessages\":[]}".into() };
        world.jira.fault(Operation::ProjectStatuses, away, Times::Always);
        world.jira.move_issue(&key, "Rejected", MIA).unwrap();
        world.run_worker().await;
        world.promotion_is_closed("rejected by Mia").await;
        world.jira.clear_faults();
        world.advance(MINUTE);
        world.run_worker().await;
        world.promotion_is_closed("rejected by Mia").await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
        world.run_worker().await;
        let comments = world.jira.issue(&key).unwrap().comments;
        assert!(!comments.iter().any(|comment| comment.text().contains("workflow")), "{comments:?}");
        world.finish().await;
    }
}

/// A labelled ticket opens nothing any more, even after the label is removed; a later move is answered once.
#[tokio::test]
async fn a_labelled_ticket_opens_nothing_any_more() {
    for world in World::both("").await {
        let key = world.labelled_and_second_ticket().await;
        let fresh = world.newest();
        for step in 0..4 {
            world.advance(MINUTE);
            match step {
                0 => world.jira.move_issue(&key, "Approved", MIA).unwrap(),
                1 => world.jira.edit_labels(&key, &[], &["flagger-ended"], MIA).unwrap(),
                2 => world.jira.move_issue(&key, "To Do", MIA).unwrap(),
                _ => world.jira.move_issue(&key, "Approved", MIA).unwrap(),
            }
            world.run_worker().await;
            world.nudges(&key).await;
            world.run_worker().await;
            world.promotion_is_closed(&fresh).await;
        }
        let comments = world.jira.issue(&key).unwrap().comments;
        let late = comments.iter().filter(|comment| comment.text().contains(&fresh)).count();
        assert_eq!((comments.len(), late), (2, 1), "{comments:?}");
        world.finish().await;
    }
}

/// Only a transition takes a rejection back, not a move to another project and back that maps the status.
#[tokio::test]
async fn a_mapping_takes_no_rejection_back() {
    for mapped in ["To Do", "Approved"] {
        for world in World::both("").await {
            let key = world.promotion_waits().await;
            world.decides(&key, "Rejected").await;
            assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
            world.advance(MINUTE);
            world.jira.move_with_wizard(&key, "OPS", "Task", "In Review", BOB).unwrap();
            world.advance(MINUTE);
            world.jira.move_with_wizard(&key, "OPS", "Change", mapped, BOB).unwrap();
            for _ in 0..3 {
                world.advance(MINUTE);
                world.run_worker().await;
                world.promotion_is_closed("rejected by Mia").await;
                assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 403);
            }
            // A person's transition does.
            world.decides(&key, "In Review").await;
            world.promotion_is_closed("waiting for a decision").await;
            assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 403);
            world.decides(&key, "Approved").await;
            let answer = world.asks("confirm-promotion", "Progressing", "new").await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            world.finish().await;
        }
    }
}

/// The configured status was renamed, so no status approves. A rejection by the ticket's original statuses still
/// counts; an approval does not.
#[tokio::test]
async fn a_rejection_while_the_statuses_are_renamed() {
    for status in ["Rejected", "To Do"] {
        for world in World::both("").await {
            let key = world.promotion_approved().await;
            let mut workflow = Workflow::change();
            let approved = workflow.statuses.iter_mut().find(|it| it.name == "Approved").unwrap();
            approved.name = "Waved through".into();
            world.jira.set_workflow("OPS", "Change", workflow);
            world.advance(2 * MINUTE);
            world.jira.move_issue(&key, status, MIA).unwrap();
            world.run_worker().await;
            let says = if status == "Rejected" { "rejected by Mia" } else { "waiting for a decision" };
            world.promotion_is_closed(says).await;
            let back = world.asks("rollback", "Progressing", "new").await;
            assert_eq!(back.status == 200, status == "Rejected", "{}", back.body);
            world.finish().await;
        }
    }
}

/// A rejected ticket is moved to another project: the gate stays closed, and the rejection still rolls back.
#[tokio::test]
async fn a_move_elsewhere_erases_no_rejection() {
    for world in World::both("").await {
        let key = world.promotion_waits().await;
        world.decides(&key, "Rejected").await;
        let moved: IssueView = world.jira.issue(&key).unwrap();
        world.jira.move_to_project(&key, "PAY", MIA).unwrap();
        for _ in 0..3 {
            world.advance(MINUTE);
            world.run_worker().await;
            world.promotion_is_closed("rejected by Mia").await;
            assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
        }
        let there = world.jira.issue(&moved.id).unwrap();
        world.jira.move_to_project(&there.key, "OPS", MIA).unwrap();
        let there = world.jira.issue(&moved.id).unwrap();
        world.advance(MINUTE);
        world.decides(&there.key, "Approved").await;
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        world.finish().await;
    }
}

/// Two replicas: the one that could not store a reading keeps it in memory, until the other one has stored a newer one.
#[tokio::test]
async fn a_newer_stored_reading_replaces_one_in_memory() {
    let world = World::start(Flavour::Cloud).await;
    if !world.database_url().starts_with("postgres") {
        return;
    }
    let key = world.promotion_approved().await;
    world.blocks_writes().await;
    world.changes_ticket(&key, "rejected");
    world.polls_without_storing().await;
    world.unblocks_writes().await;
    world.jira.move_issue(&key, "Approved", MIA).unwrap();
    // From now on the second process's worker runs.
    world.add_process().await;
    world.advance(MINUTE / 3);
    world.run_worker().await;
    assert_eq!(world.asks_first("confirm-promotion", "Progressing", "new").await.status, 200);
    world.finish().await;
}
