//! A rejection that was read closes the gate at once, whatever cannot be written, and whoever edits the ticket.

use std::{sync::Arc, time::Duration};

use fake_jira::{BOB, Fault, Flavour, IssueView, MIA, Operation, Times, Workflow};
use flagger_jira_bridge::worker::Worker;

use crate::world::{World, crash::Plan, looked};

crate::world::crash::crash_tests!(
    a_label_erases_no_rejection,
    a_label_before_a_rejection,
    a_move_elsewhere_erases_no_rejection,
    a_mapping_takes_no_rejection_back,
);

const MINUTE: Duration = Duration::from_secs(60);

/// What people and programs do to an approved ticket that closes its gate, and a word of the answer then.
const CLOSING: [(&str, &str); 4] = [
    ("rejected", "rejected by Mia"),
    ("moved back", "waiting for a decision"),
    ("moved elsewhere", "project and issue type"),
    // The next question would open another ticket, which cannot be stored.
    ("labelled", "closed: stuck: "),
];

impl World {
    /// The ticket of a promotion gate that waits is labelled as those are whose rollout is over, and that is read.
    async fn waits_labelled(&self) -> String {
        let key = self.promotion_waits().await;
        self.does(&key, "labelled");
        self.later(MINUTE / 3);
        self.works().await;
        key
    }

    /// The same, and the next question has another one opened.
    async fn waits_beside_a_labelled_one(&self) -> String {
        let key = self.waits_labelled().await;
        self.promotion_is_closed("closed: opening").await;
        self.works().await;
        key
    }

    /// Nothing can be written any more: not the first statement of any transaction.
    async fn is_full(&self) {
        self.sql("ALTER TABLE turn RENAME TO elsewhere").await;
    }

    async fn has_room_again(&self) {
        self.sql("ALTER TABLE elsewhere RENAME TO turn").await;
    }

    /// The worker looks at what is due, and cannot store what it sees.
    async fn looks_in_vain(&self) {
        self.later(MINUTE / 3);
        for process in self.workers() {
            let looked = process.does(async |worker: Arc<Worker>| looked(&worker).await.is_err());
            assert_eq!(looked.await, Some(true), "nothing can be stored");
        }
    }

    fn does(&self, key: &str, what: &str) {
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
async fn what_closes_does_so_where_nothing_can_be_written() {
    for (what, why) in CLOSING {
        for world in World::both("").await {
            let key = world.promotion_approved().await;
            world.is_full().await;
            world.does(&key, what);
            world.looks_in_vain().await;
            // Not only once.
            for _ in 0..3 {
                world.promotion_is_closed(why).await;
                world.looks_in_vain().await;
            }
            let shown = world.gates().await;
            assert_ne!(shown[0]["state"], "approved", "{what}: {shown}");
            let back = world.asks("rollback", "Progressing", "new").await;
            assert_eq!(back.status == 200, what == "rejected", "{what}: {}", back.body);

            // What opens is stored first, so it opens nothing before.
            if what == "rejected" {
                world.jira.move_issue(&key, "Approved", MIA).unwrap();
                world.looks_in_vain().await;
                assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
                assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 403, "taken back");
                world.jira.move_issue(&key, "Rejected", MIA).unwrap();
                world.looks_in_vain().await;
            }

            // Then it is stored, and on record once.
            world.has_room_again().await;
            world.promotion_is_closed(if what == "labelled" { "closed: opening" } else { why }).await;
            world.later(MINUTE / 3);
            world.works().await;
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

/// What could not be stored is stored by whatever is stored next, before anything else can open by what was stored before.
#[tokio::test]
async fn the_next_question_stores_what_was_read() {
    for world in World::both("").await {
        world.asks("confirm-rollout", "Initialized", "old").await;
        world.works().await;
        let key = world.newest();
        world.decides(&key, "Approved").await;
        world.is_full().await;
        world.does(&key, "rejected");
        world.looks_in_vain().await;
        world.has_room_again().await;
        // It moves the rollout on, so it is stored; nobody has looked again.
        let answer = world.asks("confirm-rollout", "Waiting", "old").await;
        assert!(answer.status == 403 && answer.body.contains("rejected by Mia"), "{}", answer.body);
        world.restarts().await;
        let answer = world.asks("confirm-rollout", "Waiting", "old").await;
        assert!(answer.status == 403 && answer.body.contains("rejected by Mia"), "{}", answer.body);
        world.finish().await;
    }
}

/// A ticket that was rejected, and is labelled as those are whose rollout is over: before the rejection was read, or after.
#[tokio::test]
async fn a_label_erases_no_rejection() {
    for read_between in [true, false] {
        for world in World::both("").await {
            let key = world.promotion_waits().await;
            world.jira.move_issue(&key, "Rejected", MIA).unwrap();
            if read_between {
                world.later(MINUTE);
                world.works().await;
                assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
            }
            world.jira.edit_labels(&key, &["flagger-ended"], &[], MIA).unwrap();
            for _ in 0..3 {
                world.later(MINUTE);
                world.works().await;
                world.promotion_is_closed("rejected by Mia").await;
            }
            assert_eq!(world.tickets().len(), 1, "no fresh ticket takes its place");
            assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
            // Only a move takes it back.
            world.decides(&key, "To Do").await;
            assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 403);
            world.finish().await;
        }
    }
}

/// A ticket is labelled as one whose rollout is over, and that is read; it is rejected before Flagger asks the next time, which
/// opens another one.
#[tokio::test]
async fn a_label_before_a_rejection() {
    for told_between in [false, true] {
        for world in World::both("").await {
            let key = world.waits_labelled().await;
            if !told_between {
                world.jira.move_issue(&key, "Rejected", MIA).unwrap();
            }
            world.promotion_is_closed("closed: ").await;
            world.works().await;
            // One that was killed before it opened another looks first whether it did; meanwhile it may read that the first was rejected.
            let tickets = world.tickets().len();
            assert!(tickets == 2 || Plan::current().is_some(), "{tickets} tickets");
            if told_between {
                world.later(MINUTE / 3);
                world.jira.move_issue(&key, "Rejected", MIA).unwrap();
            }
            world.later(MINUTE);
            world.works().await;
            world.promotion_is_closed(&key).await;
            world.promotion_is_closed("rejected by Mia").await;
            assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
            world.finish().await;
        }
    }
}

/// The no lives again, and the ticket is not told that it is dead; nor is forgotten that it was labelled where Jira does not show
/// it for a while.
#[tokio::test]
async fn a_labelled_ticket_that_is_rejected_lives_on() {
    for hidden in [false, true] {
        for world in World::both("").await {
            let key = world.waits_beside_a_labelled_one().await;
            if hidden {
                world.jira.hide_issue(&key, true).unwrap();
                for _ in 0..10 {
                    world.later(MINUTE);
                    world.works().await;
                    world.promotion_is_closed(&world.newest()).await;
                }
                world.jira.hide_issue(&key, false).unwrap();
            }
            world.jira.move_issue(&key, "Rejected", MIA).unwrap();
            for _ in 0..20 {
                world.later(MINUTE);
                world.works().await;
                world.asks("confirm-promotion", "Progressing", "new").await;
            }
            world.promotion_is_closed("rejected by Mia").await;
            let told = world.jira.issue(&key).unwrap().comments;
            let is_late = |said: &str| said.contains("nothing any more") && !said.contains("labelled");
            assert!(!told.iter().any(|comment| is_late(&comment.text())), "{told:?}");
            assert_eq!(world.count("audit WHERE kind = 'late_move'").await, 0);
            world.finish().await;
        }
    }
}

/// A labelled ticket whose label was taken off is not news at each poll.
#[tokio::test]
async fn a_labelled_ticket_costs_no_writes() {
    for world in World::both("").await {
        let key = world.waits_beside_a_labelled_one().await;
        world.jira.edit_labels(&key, &[], &["flagger-ended"], MIA).unwrap();
        world.jira.move_issue(&key, "In Review", MIA).unwrap();
        for _ in 0..20 {
            world.later(MINUTE);
            world.works().await;
            world.asks("confirm-promotion", "Progressing", "new").await;
        }
        let before = world.turns().await;
        for _ in 0..6 {
            world.later(MINUTE / 3);
            world.works().await;
        }
        assert_eq!(world.turns().await, before);
        world.finish().await;
    }
}

/// Jira does not say which statuses the workflow has just when a ticket is rejected: the gate closes at once, and who rejected it
/// is found out later. The ticket is not told otherwise.
#[tokio::test]
async fn a_no_while_the_workflow_cannot_be_read() {
    for world in World::both("").await {
        let key = world.promotion_approved().await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 403);
        world.later(MINUTE);
        let away = Fault::Status { code: 503, retry_after: None, body: "{\"errorMessages\":[]}".into() };
        world.jira.fault(Operation::ProjectStatuses, away, Times::Always);
        world.jira.move_issue(&key, "Rejected", MIA).unwrap();
        world.works().await;
        world.promotion_is_closed("rejected by Mia").await;
        world.jira.clear_faults();
        world.later(MINUTE);
        world.works().await;
        world.promotion_is_closed("rejected by Mia").await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
        world.works().await;
        let told = world.jira.issue(&key).unwrap().comments;
        assert!(!told.iter().any(|comment| comment.text().contains("workflow")), "{told:?}");
        world.finish().await;
    }
}

/// Such a ticket opens nothing any more, with the label or without it; whoever moves it is told so once.
#[tokio::test]
async fn a_labelled_ticket_opens_nothing_any_more() {
    for world in World::both("").await {
        let key = world.waits_beside_a_labelled_one().await;
        let fresh = world.newest();
        for step in 0..4 {
            world.later(MINUTE);
            match step {
                0 => world.jira.move_issue(&key, "Approved", MIA).unwrap(),
                1 => world.jira.edit_labels(&key, &[], &["flagger-ended"], MIA).unwrap(),
                2 => world.jira.move_issue(&key, "To Do", MIA).unwrap(),
                _ => world.jira.move_issue(&key, "Approved", MIA).unwrap(),
            }
            world.works().await;
            world.nudges(&key).await;
            world.works().await;
            world.promotion_is_closed(&fresh).await;
        }
        let told = world.jira.issue(&key).unwrap().comments;
        let late = told.iter().filter(|comment| comment.text().contains(&fresh)).count();
        assert_eq!((told.len(), late), (2, 1), "{told:?}");
        world.finish().await;
    }
}

/// What takes a no back is a transition, not somebody who moves the ticket away and back so that its status is mapped.
#[tokio::test]
async fn a_mapping_takes_no_rejection_back() {
    for mapped in ["To Do", "Approved"] {
        for world in World::both("").await {
            let key = world.promotion_waits().await;
            world.decides(&key, "Rejected").await;
            assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
            world.later(MINUTE);
            world.jira.move_with_wizard(&key, "OPS", "Task", "In Review", BOB).unwrap();
            world.later(MINUTE);
            world.jira.move_with_wizard(&key, "OPS", "Change", mapped, BOB).unwrap();
            for _ in 0..3 {
                world.later(MINUTE);
                world.works().await;
                world.promotion_is_closed("rejected by Mia").await;
                assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 403);
            }
            // A person does.
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

/// The status that the configuration names is called otherwise by now, so it cannot be told what approves. A no to the ticket as
/// it was opened is one, and what is approved no more is not.
#[tokio::test]
async fn a_no_while_the_statuses_are_called_otherwise() {
    for status in ["Rejected", "To Do"] {
        for world in World::both("").await {
            let key = world.promotion_approved().await;
            let mut workflow = Workflow::change();
            let approved = workflow.statuses.iter_mut().find(|it| it.name == "Approved").unwrap();
            approved.name = "Waved through".into();
            world.jira.set_workflow("OPS", "Change", workflow);
            world.later(2 * MINUTE);
            world.jira.move_issue(&key, status, MIA).unwrap();
            world.works().await;
            let says = if status == "Rejected" { "rejected by Mia" } else { "waiting for a decision" };
            world.promotion_is_closed(says).await;
            let back = world.asks("rollback", "Progressing", "new").await;
            assert_eq!(back.status == 200, status == "Rejected", "{}", back.body);
            world.finish().await;
        }
    }
}

/// A rejected ticket that is moved to another project: the gate stays closed, and what rolls back still does.
#[tokio::test]
async fn a_move_elsewhere_erases_no_rejection() {
    for world in World::both("").await {
        let key = world.promotion_waits().await;
        world.decides(&key, "Rejected").await;
        let moved: IssueView = world.jira.issue(&key).unwrap();
        world.jira.move_to_project(&key, "PAY", MIA).unwrap();
        for _ in 0..3 {
            world.later(MINUTE);
            world.works().await;
            world.promotion_is_closed("rejected by Mia").await;
            assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
        }
        let there = world.jira.issue(&moved.id).unwrap();
        world.jira.move_to_project(&there.key, "OPS", MIA).unwrap();
        let there = world.jira.issue(&moved.id).unwrap();
        world.later(MINUTE);
        world.decides(&there.key, "Approved").await;
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        world.finish().await;
    }
}

/// Two replicas: the one that reads keeps what it could not store to itself, and forgets it once the other one has stored
/// what came after.
#[tokio::test]
async fn what_was_stored_since_counts() {
    let world = World::start(Flavour::Cloud).await;
    if !world.database_url().starts_with("postgres") {
        return;
    }
    let key = world.promotion_approved().await;
    world.is_full().await;
    world.does(&key, "rejected");
    world.looks_in_vain().await;
    world.has_room_again().await;
    world.jira.move_issue(&key, "Approved", MIA).unwrap();
    // The second works from now on.
    world.is_joined().await;
    world.later(MINUTE / 3);
    world.works().await;
    assert_eq!(world.asks_first("confirm-promotion", "Progressing", "new").await.status, 200);
    world.finish().await;
}
