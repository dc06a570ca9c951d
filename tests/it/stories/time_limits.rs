//! Decisions that take long: reminders, and gates that nobody decided in time.

use std::time::Duration;

use fake_jira::{BOB, Fault, Field, MIA, Operation, Shape, Times, Workflow};

use crate::world::{Answer, World, crash::Plan};

// Without the tests that count comments while the database fails, or depend on the exact time of a reading.
crate::world::crash::crash_tests!(
    people_are_reminded_once,
    the_assignee_is_reminded,
    an_overdue_ticket_can_still_be_decided,
    a_gate_is_rejected_in_time,
    an_approval_that_was_made_in_time_counts,
    a_gate_that_was_opened_is_not_rejected,
);

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

const REMINDERS: &str = "approval.remind_after = [\"4h\", \"1d\"]\n";
const REJECTS: &str = "approval.decide_within = \"6h\"\napproval.on_timeout = \"reject\"\n";

impl World {
    /// Flagger asks every few minutes for this long, and the bridge reads the ticket.
    async fn waits_for(&self, long: Duration) -> Answer {
        let steps = 6;
        for _ in 0..steps {
            self.advance(long / steps);
            self.promotes().await;
            self.run_worker().await;
        }
        self.promotes().await
    }

    fn said_with(&self, key: &str, words: &str) -> Vec<String> {
        let comments = self.jira.issue(key).unwrap().comments;
        let texts = comments.iter().map(|comment| comment.text().replace('\n', " ").replace('\\', ""));
        texts.filter(|said| said.contains(words)).collect()
    }

    fn says_once(&self, key: &str, words: &str) -> String {
        let said = self.said_with(key, words);
        assert_eq!(said.len(), 1, "{words}: {said:?}");
        said[0].clone()
    }
}

fn is_closed(answer: &Answer, why: &str) {
    assert!(answer.status == 403 && answer.body.contains(why), "{why}: {} {}", answer.status, answer.body);
}

#[tokio::test]
async fn people_are_reminded_once() {
    for world in
        World::both(&format!("{REMINDERS}approval.approvers = [\"{MIA}\", \"mia\", \"group:cab\"]\n")).await
    {
        let key = world.promotion_waits().await;
        world.waits_for(3 * HOUR).await;
        assert_eq!(world.said_with(&key, "has been waiting"), [""; 0]);
        world.waits_for(2 * HOUR).await;
        world.waits_for(2 * HOUR).await;
        let said =
            world.says_once(&key, "Flagger has been waiting for a decision on this ticket for 4 hours.");
        assert!(said.contains("Who may approve it: "), "{said}");
        assert!(
            said.contains("Mia Change") || said.contains(&format!("[~{MIA}]")) || said.contains("[~mia]"),
            "{said}"
        );
        world.waits_for(20 * HOUR).await;
        world.says_once(&key, "for 1 day.");
        world.waits_for(48 * HOUR).await;
        assert_eq!(world.said_with(&key, "has been waiting").len(), 2);
        world.finish().await;
    }
}

/// Only the last of several that are due at once, and none for a ticket that was decided meanwhile.
#[tokio::test]
async fn reminders_after_an_outage() {
    for world in World::both(REMINDERS).await {
        let key = world.promotion_waits().await;
        world.jira.fault(Operation::Any, Fault::Dropped, Times::Always);
        world.waits_for(30 * HOUR).await;
        world.jira.clear_faults();
        world.waits_for(HOUR).await;
        assert_eq!(world.said_with(&key, "has been waiting").len(), 1);
        world.says_once(&key, "for 1 day. Any Jira user who can move it may decide.");
        world.finish().await;
    }
    for world in World::both(REMINDERS).await {
        let key = world.promotion_waits().await;
        world.jira.fault(Operation::Any, Fault::Dropped, Times::Always);
        world.waits_for(30 * HOUR).await;
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.jira.clear_faults();
        world.waits_for(HOUR).await;
        assert_eq!(world.said_with(&key, "has been waiting"), [""; 0]);
        world.finish().await;
    }
}

#[tokio::test]
async fn the_assignee_is_reminded() {
    for world in World::both(REMINDERS).await {
        let (project, kind) = ("OPS", "Change");
        world.jira.add_create_field(project, kind, Field::optional("assignee", "Assignee", Shape::User));
        let key = world.promotion_waits().await;
        world.jira.assign(&key, BOB).unwrap();
        world.waits_for(5 * HOUR).await;
        let said = world.says_once(&key, "for 4 hours. It is assigned to ");
        assert!(said.contains("Bob") || said.contains("[~bob]"), "{said}");
        world.finish().await;
    }
}

#[tokio::test]
async fn an_overdue_ticket_can_still_be_decided() {
    for world in World::both("approval.decide_within = \"6h\"\n").await {
        let key = world.promotion_waits().await;
        let answer = world.waits_for(5 * HOUR).await;
        is_closed(&answer, "waiting for a decision; a decision is due by ");
        assert!(world.gates().await[0]["decide_by"].is_string());
        let answer = world.waits_for(2 * HOUR).await;
        is_closed(&answer, "waiting for a decision; a decision has been due since ");
        let said = world.says_once(&key, "Nobody has decided on this ticket within 6 hours");
        assert!(said.ends_with("Any Jira user who can move it may decide."), "{said}");
        world.waits_for(2 * HOUR).await;
        world.says_once(&key, "Nobody has decided on this ticket");
        let metrics = world.sends(world.admin("GET", "/metrics")).await.body;
        assert!(metrics.contains("flagger_jira_bridge_overdue_gates 1\n"), "{metrics}");
        world.decides(&key, "Approved").await;
        world.promotion_is_open().await;
        world.finish().await;
    }
}

#[tokio::test]
async fn a_gate_is_rejected_in_time() {
    for world in World::both(REJECTS).await {
        let key = world.promotion_waits().await;
        let ticket = fake_jira::text(&world.jira.issue(&key).unwrap().description);
        assert!(
            ticket.contains("within 6 hours of Flagger's first question. After that the bridge rejects"),
            "{ticket}"
        );
        world.waits_for(5 * HOUR).await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 403);
        let answer = world.waits_for(2 * HOUR).await;
        is_closed(&answer, "rejected: not approved within 6h of the first question, so by ");
        assert_eq!(world.gates().await[0]["state"], "rejected");
        world.says_once(&key, "This ticket was not approved within 6 hours of Flagger's first question, so the bridge rejects it.");
        assert_eq!(world.jira.issue(&key).unwrap().status, "Rejected");
        // It counts like the rejection of an approver.
        let answer = world.asks("rollback", "Progressing", "new").await;
        assert!(answer.status == 200 && answer.body.contains("not approved within 6h"), "{}", answer.body);
        world.run_worker().await;
        let told = world.says_once(&key, "Flagger was told to roll back at ");
        assert!(told.ends_with("because nobody decided in time."), "{told}");
        assert_eq!(world.said_with(&key, "rolls nothing back"), [""; 0]);
        // A later approval does not count.
        world.decides(&key, "To Do").await;
        world.decides(&key, "Approved").await;
        is_closed(&world.promotes().await, "rejected: not approved within 6h");
        world.run_worker().await;
        world.says_once(&key, "This approval does not count, because it came too late");
        // The rollout fails, and the next one has a ticket of its own.
        world.reports("/post-rollout", "Failed", "new").await;
        world.run_worker().await;
        world.says_once(&key, "because nobody decided in time on ");
        world.asks("confirm-promotion", "Progressing", "newer").await;
        world.run_worker().await;
        assert_ne!(world.newest(), key);
        world.finish().await;
    }
}

/// No transition leads to a rejected status, or somebody approved a moment too late: then the ticket stays where it is.
#[tokio::test]
async fn a_ticket_that_cannot_be_moved() {
    for world in World::both(REJECTS).await {
        let mut workflow = Workflow::change();
        workflow.transitions.retain(|way| way.to != "10008");
        world.jira.set_workflow("OPS", "Change", workflow);
        let key = world.promotion_waits().await;
        is_closed(&world.waits_for(7 * HOUR).await, "rejected: not approved within 6h");
        world.says_once(&key, "The bridge could not move this ticket: no transition leads to \"Rejected\"");
        assert_eq!(world.jira.issue(&key).unwrap().status, "To Do");
        world.finish().await;
    }
    for world in World::both(REJECTS).await {
        let key = world.promotion_waits().await;
        world.waits_for(6 * HOUR - MINUTE).await;
        world.advance(3 * MINUTE);
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.advance(MINUTE);
        world.run_worker().await;
        is_closed(&world.promotes().await, "rejected: not approved within 6h");
        world.run_worker().await;
        assert_eq!(world.jira.issue(&key).unwrap().status, "Approved");
        world.finish().await;
    }
}

/// By Jira's clock, however late the bridge reads it.
#[tokio::test]
async fn an_approval_that_was_made_in_time_counts() {
    for world in World::both(REJECTS).await {
        let key = world.promotion_waits().await;
        world.waits_for(5 * HOUR).await;
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.jira.fault(Operation::Any, Fault::Dropped, Times::Always);
        world.waits_for(4 * HOUR).await;
        world.jira.clear_faults();
        world.advance(5 * MINUTE);
        world.run_worker().await;
        world.promotion_is_open().await;
        world.run_worker().await;
        assert_eq!(world.said_with(&key, "was not approved within"), [""; 0]);
        world.finish().await;
    }
}

#[tokio::test]
async fn a_gate_that_was_opened_is_not_rejected() {
    for world in World::both(&format!("{REJECTS}rollout.idle_after = \"1d\"\n")).await {
        let key = world.promotion_approved().await;
        world.waits_for(7 * HOUR).await;
        world.promotion_is_open().await;
        world.decides(&key, "To Do").await;
        is_closed(&world.waits_for(HOUR).await, "waiting for a decision");
        world.decides(&key, "Approved").await;
        world.promotion_is_open().await;
        if Plan::current().is_none() {
            assert_eq!(world.said_with(&key, "was not approved within"), [""; 0]);
        }
        world.finish().await;
    }
}

/// What did not count when the time was over does not count later, whoever becomes an approver.
#[tokio::test]
async fn a_rejection_by_time_outlives_new_approvers() {
    for mut world in World::both(&format!("{REJECTS}approval.approvers = [\"{MIA}\", \"mia\"]\n")).await {
        let key = world.promotion_waits().await;
        world.jira.move_issue(&key, "Approved", BOB).unwrap();
        is_closed(&world.waits_for(7 * HOUR).await, "not approved within");
        let settings = world.settings.replace("\"mia\"]", &format!("\"mia\", \"{BOB}\", \"bob\"]"));
        world.settings = settings;
        world.restarts().await;
        is_closed(&world.waits_for(HOUR).await, "not approved within");
        world.finish().await;
    }
}

/// A gate that asked nobody once has its time limit as soon as it asks somebody.
#[tokio::test]
async fn a_gate_that_asked_nobody_before() {
    for mut world in World::both("rollout.idle_after = \"12h\"\napproval.mode = \"record\"\n").await {
        world.promotes().await;
        world.run_worker().await;
        world.settings = world.settings.replace("approval.mode = \"record\"\n", REJECTS);
        world.restarts().await;
        is_closed(&world.waits_for(7 * HOUR).await, "not approved within");
        world.decides(&world.newest(), "Approved").await;
        is_closed(&world.promotes().await, "not approved within");
        world.finish().await;
    }
}
