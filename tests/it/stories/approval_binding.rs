//! An approval is bound to the workflow, the issue, the statuses and the person it was given with.

use std::{sync::Arc, time::Duration};

use fake_jira::{
    AccountKind, BOB, Category, FakeJira, Fault, Flavour, MIA, Operation, Person, Status, Times, Transition,
    Workflow,
};
use flagger_jira_bridge::{
    clock::Clock,
    worker::{CycleOutcome, Worker},
};
use serde_json::{Value, json};
use tracing::{Level, instrument::WithSubscriber as _};

use crate::world::{Answer, World, log::Log, question};

crate::world::crash::crash_tests!(
    an_approval_given_elsewhere,
    a_status_that_was_mapped,
    a_status_that_was_taken_out_of_the_workflow,
    a_custom_field_called_status,
    a_status_renamed_later,
    a_status_renamed_between_two_openings,
    somebody_elses_issue,
);

const LATER: Duration = Duration::from_secs(20);
/// The key of the property by which the bridge knows its issues.
const PROPERTY: &str = "flagger-jira-bridge";

impl World {
    /// A promotion gate that waits, and the key of its ticket.
    async fn waits_for_promotion(&self) -> String {
        self.asks_for_promotion().await;
        self.works().await;
        self.newest()
    }

    async fn asks_for_promotion(&self) -> Answer {
        self.asks("confirm-promotion", "Progressing", "new").await
    }

    /// What Flagger is told once the bridge has looked at the ticket.
    async fn promotion_after_a_look(&self) -> Answer {
        self.later(LATER);
        self.works().await;
        self.asks_for_promotion().await
    }

    async fn stays_closed(&self, state: &str, why: &str) {
        let answer = self.promotion_after_a_look().await;
        assert_eq!(answer.status, 403, "{why}: {}", answer.body);
        assert!(answer.body.contains(why), "{why}: {}", answer.body);
        assert_eq!(self.gates().await[0]["state"], state, "{}", answer.body);
    }

    async fn opens_after_a_look(&self) {
        let answer = self.promotion_after_a_look().await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    async fn approves_again(&self, key: &str) {
        self.later(LATER);
        self.jira.move_issue(key, "To Do", MIA).unwrap();
        self.later(LATER);
        self.jira.move_issue(key, "Approved", MIA).unwrap();
        self.opens_after_a_look().await;
    }

    fn last_comment(&self, key: &str) -> String {
        self.jira.issue(key).unwrap().comments.last().map(|it| it.text()).unwrap_or_default()
    }
}

/// Moved to a project where others may approve, approved there, moved back. Moved away and back before the approval does
/// not matter.
#[tokio::test]
async fn an_approval_given_elsewhere() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        let moved = world.jira.move_to_project(&key, "PAY", BOB).unwrap();
        world.later(LATER);
        world.jira.move_issue(&moved, "Approved", BOB).unwrap();
        world.later(LATER);
        let key = world.jira.move_to_project(&moved, "OPS", BOB).unwrap();
        world.stays_closed("gone", "moved between projects, issue types or workflows").await;
        world.works().await;
        assert!(world.last_comment(&key).contains("This approval does not count"), "the ticket is told");
        world.approves_again(&key).await;
        world.finish().await;
    }
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        world.jira.change_type(&key, "Task", BOB).unwrap();
        world.later(LATER);
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.later(LATER);
        world.jira.change_type(&key, "Change", BOB).unwrap();
        world.stays_closed("gone", "moved between projects, issue types or workflows").await;
        world.approves_again(&key).await;
        // And once more, after it was used.
        world.later(LATER);
        world.jira.change_type(&key, "Task", BOB).unwrap();
        world.later(LATER);
        world.jira.change_type(&key, "Change", BOB).unwrap();
        world.stays_closed("gone", "moved between projects, issue types or workflows").await;
        world.approves_again(&key).await;
        world.finish().await;
    }
}

/// The Move wizard asks for the status in the new project or type, and a workflow migration for that in the new workflow.
#[tokio::test]
async fn a_status_that_was_mapped() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        world.jira.move_with_wizard(&key, "OPS", "Task", "In Review", BOB).unwrap();
        world.later(LATER);
        world.jira.move_with_wizard(&key, "OPS", "Change", "Approved", BOB).unwrap();
        world.stays_closed("gone", "moved between projects, issue types or workflows").await;
        world.approves_again(&key).await;
        world.finish().await;
    }
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        let mapping = [("To Do", "Approved")];
        world.jira.migrate_workflow("OPS", "Change", Workflow::change(), &mapping, BOB).unwrap();
        world.stays_closed("gone", "moved between projects, issue types or workflows").await;
        world.approves_again(&key).await;
        // One that maps no status kills the approval as well: it was given by the rules of another workflow.
        world.later(LATER);
        world.jira.migrate_workflow("OPS", "Change", Workflow::change(), &[], BOB).unwrap();
        world.stays_closed("gone", "moved between projects, issue types or workflows").await;
        world.finish().await;
    }
}

/// An administrator takes a status out of the workflow, and Jira puts the tickets in it into another: that is told as a
/// change of the status alone, by somebody who may approve, and is no approval. Nor is it a rejection that rolls back.
#[tokio::test]
async fn a_status_that_was_taken_out_of_the_workflow() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        world.asks("rollback", "Progressing", "new").await;
        // What Jira said of the workflow when the ticket was opened is known, and would be believed.
        assert_eq!(world.promotion_after_a_look().await.status, 403);
        world.jira.remove_status("OPS", "Change", ("To Do", "Approved"), MIA).unwrap();
        world.stays_closed("gone", "out of a status that is not in its workflow").await;
        world.works().await;
        assert!(world.last_comment(&key).contains("This approval does not count"), "the ticket is told");
        world.restarts().await;
        world.stays_closed("gone", "out of a status that is not in its workflow").await;
        world.later(LATER);
        world.jira.move_issue(&key, "In Review", MIA).unwrap();
        world.later(LATER);
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.opens_after_a_look().await;
        world.later(LATER);
        world.jira.move_issue(&key, "In Review", MIA).unwrap();
        world.promotion_after_a_look().await;
        world.jira.remove_status("OPS", "Change", ("In Review", "Rejected"), MIA).unwrap();
        world.stays_closed("rejected", "rejected by Mia Change").await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 403);
        world.finish().await;
    }
}

/// A status that was put into the workflow a moment ago is one of it, also where what Jira said before is still believed.
#[tokio::test]
async fn a_status_that_is_new_in_the_workflow() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        assert_eq!(world.promotion_after_a_look().await.status, 403);
        let mut workflow = Workflow::change();
        let new = Status::new("10099", "Assessed", Category::Indeterminate);
        workflow.transitions.push(Transition::global("99", "Assess", &new.id));
        workflow.statuses.push(new);
        world.jira.set_workflow("OPS", "Change", workflow);
        world.jira.move_issue(&key, "Assessed", BOB).unwrap();
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.opens_after_a_look().await;
        world.finish().await;
    }
}

/// One deed that Jira wrote down in two entries, a moment apart: where the ticket belongs, and its status. By the same person
/// a while before, or by another, it was another deed.
#[tokio::test]
async fn a_move_that_is_told_in_two_entries() {
    let moment = Duration::from_secs(2);
    for item in
        [json!({"field": "Workflow", "fieldtype": "jira"}), json!({"field": "Key", "fieldtype": "jira"})]
    {
        for world in World::both("").await {
            let key = world.waits_for_promotion().await;
            let relocates = |who| world.jira.add_raw_history(&key, vec![item.clone()], who).unwrap();
            relocates(MIA);
            world.later(moment);
            world.jira.move_issue(&key, "Approved", MIA).unwrap();
            world.stays_closed("gone", "moved between projects, issue types or workflows").await;
            world.approves_again(&key).await;
            world.later(LATER);
            world.jira.move_issue(&key, "To Do", MIA).unwrap();
            world.later(LATER);
            world.jira.move_issue(&key, "Approved", MIA).unwrap();
            world.later(moment);
            relocates(MIA);
            world.stays_closed("gone", "moved between projects, issue types or workflows").await;
            world.jira.move_issue(&key, "To Do", MIA).unwrap();
            world.later(LATER);
            // Bob relocates, and at once Mia approves; then she does so herself, some time before.
            for (who, before) in [(BOB, moment), (MIA, LATER)] {
                relocates(who);
                world.later(before);
                world.jira.move_issue(&key, "Approved", MIA).unwrap();
                world.opens_after_a_look().await;
                world.jira.move_issue(&key, "To Do", MIA).unwrap();
                world.later(LATER);
            }
            world.finish().await;
        }
    }
}

/// A rejection stays one, but somebody who may only move tickets between projects rolls nothing back.
#[tokio::test]
async fn a_rejection_given_elsewhere() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        world.asks("rollback", "Progressing", "new").await;
        let moved = world.jira.move_to_project(&key, "PAY", BOB).unwrap();
        world.later(LATER);
        world.jira.move_issue(&moved, "Rejected", BOB).unwrap();
        world.later(LATER);
        let key = world.jira.move_to_project(&moved, "OPS", BOB).unwrap();
        world.stays_closed("rejected", "rejected by Bob Builder").await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 403);
        world.later(LATER);
        world.jira.move_issue(&key, "To Do", MIA).unwrap();
        world.later(LATER);
        world.jira.move_issue(&key, "Rejected", MIA).unwrap();
        world.stays_closed("rejected", "rejected by Mia Change").await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
        world.finish().await;
    }
}

/// What a transition sets beside the status does not matter, nor another parent or epic, nor where the ticket was before.
#[tokio::test]
async fn what_does_not_matter_opens() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        let moved = world.jira.move_to_project(&key, "PAY", BOB).unwrap();
        world.later(LATER);
        let key = world.jira.move_to_project(&moved, "OPS", BOB).unwrap();
        world.later(LATER);
        let screen = [
            ("resolution", "", "10000"),
            ("assignee", "", MIA),
            ("priority", "3", "2"),
            ("Fix Version", "", "10100"),
        ];
        world.jira.move_issue_with(&key, "Approved", &screen, MIA).unwrap();
        world.later(LATER);
        let field = ("customfield_10014", "Epic Link");
        world.jira.change_custom_field(&key, field, ("", ""), ("10001", "OPS-9"), BOB).unwrap();
        for own in ["IssueParentAssociation", "Parent", "Parent Issue", "Rank", "Link"] {
            let item = json!({ "field": own, "fieldtype": "jira", "from": null, "to": "10001", "toString": "OPS-9" });
            world.jira.add_raw_history(&key, vec![item], BOB).unwrap();
        }
        // Custom fields may be called anything.
        for name in ["Workflow", "Project", "Key", "issuetype"] {
            let field = ("customfield_10020", name);
            world.jira.change_custom_field(&key, field, ("1", "a"), ("2", "b"), BOB).unwrap();
        }
        world.opens_after_a_look().await;
        world.finish().await;
    }
}

/// Only Jira's own status counts: neither does another field of that name open, nor does it close for ever.
#[tokio::test]
async fn a_custom_field_called_status() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        let field = ("customfield_10030", "Status");
        let change = |from, to| world.jira.change_custom_field(&key, field, from, to, BOB).unwrap();
        world.later(LATER);
        // The option has the number of the approved status.
        change(("10001", "To Do"), ("10007", "Approved"));
        let answer = world.promotion_after_a_look().await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        assert_eq!(world.gates().await[0]["state"], "waiting");
        // And one who is not allowed to approve leaves no trace of an older approval of somebody else.
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.later(LATER);
        change(("10007", "Approved"), ("10001", "To Do"));
        let text = ("customfield_10031", "Status");
        world.jira.change_custom_field(&key, text, ("", ""), ("", "anything"), BOB).unwrap();
        world.opens_after_a_look().await;
        world.finish().await;
    }
}

/// The workflow in which "In Review" is called "Approved" from now on.
fn renamed() -> Workflow {
    let mut workflow = Workflow::change();
    for status in &mut workflow.statuses {
        match status.id.as_str() {
            "10003" => status.name = "Approved".into(),
            "10007" => status.name = "Approved (old)".into(),
            _ => {}
        }
    }
    workflow
}

/// Who moved the ticket to the status that was renamed approved nothing.
#[tokio::test]
async fn a_status_renamed_later() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        world.later(LATER);
        world.jira.move_issue(&key, "In Review", BOB).unwrap();
        let answer = world.promotion_after_a_look().await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        world.jira.set_workflow("OPS", "Change", renamed());
        // Until the workflow is read again.
        world.later(Duration::from_secs(3_700));
        world.works().await;
        world.stays_closed("gone", "did not mean approved when this ticket was opened").await;
        world.restarts().await;
        world.stays_closed("gone", "did not mean approved when this ticket was opened").await;
        // What was the approved status then still is.
        world.jira.set_workflow("OPS", "Change", Workflow::change());
        world.later(Duration::from_secs(3_700));
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.opens_after_a_look().await;
        world.finish().await;
    }
}

/// A ticket is bound to the statuses of the workflow as it was at most a minute before it was opened, however lately another
/// ticket of the same project was.
#[tokio::test]
async fn a_status_renamed_between_two_openings() {
    for world in World::both("").await {
        world.waits_for_promotion().await;
        world.jira.set_workflow("OPS", "Change", renamed());
        world.later(Duration::from_secs(61));
        let mut about_till = question("Progressing", "new");
        about_till["name"] = "till".into();
        let ask = async || world.posts("/gate/confirm-promotion", &about_till).await;
        ask().await;
        world.works().await;
        let key = world.newest();
        for (status, code, why) in
            [("Approved (old)", 403, "waiting for a decision"), ("Approved", 200, "approved by Mia")]
        {
            world.later(LATER);
            world.jira.move_issue(&key, status, MIA).unwrap();
            world.later(LATER);
            world.works().await;
            let answer = ask().await;
            assert_eq!(answer.status, code, "{status}: {}", answer.body);
            assert!(answer.body.contains(why), "{status}: {}", answer.body);
        }
        world.finish().await;
    }
}

/// After a backup was restored, or on another site, the number of the ticket is somebody else's.
#[tokio::test]
async fn somebody_elses_issue() {
    for world in World::both("").await {
        world.waits_for_promotion().await;
        let id = world.tickets()[0].id.clone();
        world.jira.restore_empty_backup();
        world.later(LATER);
        let key = world.jira.add_issue("OPS", "Change", "To Do", BOB).unwrap();
        assert_eq!(world.jira.issue(&key).unwrap().id, id, "the same number");
        world.later(LATER);
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.stays_closed("gone", "is not the one that was opened for this gate").await;
        // Read for a nudge, it is no other.
        world.nudges(&key).await;
        world.stays_closed("gone", "is not the one that was opened for this gate").await;
        // A rejection of that one rolls nothing back, and its people are told nothing.
        world.jira.move_issue(&key, "Rejected", MIA).unwrap();
        world.stays_closed("gone", "is not the one that was opened for this gate").await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 403);
        world.reports("/post-rollout", "Failed", "new").await;
        world.works().await;
        let issue = world.jira.issue(&key).unwrap();
        assert_eq!(
            (issue.comments.len(), issue.labels.len(), issue.status.as_str()),
            (0, 0, "Rejected"),
            "left alone"
        );
        world.finish().await;
    }
}

/// What was to be told when the backup was restored: comments, a label, moves and a link are not somebody else's.
#[tokio::test]
async fn somebody_elses_issue_is_told_nothing() {
    const EFFECTS: [Operation; 4] =
        [Operation::AddComment, Operation::EditIssue, Operation::DoTransition, Operation::LinkIssues];
    let settings = "ticket.transitions = { opened = \"In Review\", superseded = \"Cancelled\" }";
    for ends in [false, true] {
        for world in World::both(settings).await {
            let away = Fault::Status { code: 503, retry_after: None, body: "{\"errorMessages\":[]}".into() };
            EFFECTS.into_iter().for_each(|on| world.jira.fault(on, away.clone(), Times::Always));
            world.waits_for_promotion().await;
            if ends {
                assert_eq!(world.asks("confirm-promotion", "Progressing", "newer").await.status, 403);
            } else {
                let mut event = question("Progressing", "new");
                event["metadata"] =
                    json!({ "eventMessage": "Advance weight 20", "eventType": "Normal", "timestamp": "1" });
                assert_eq!(world.posts("/event", &event).await.status, 200);
            }
            world.works().await;
            let untold = world.count("outbox").await;
            assert!(untold >= if ends { 4 } else { 2 }, "{untold}");
            let tickets = world.tickets().len();
            assert_eq!(tickets, if ends { 2 } else { 1 });
            world.jira.restore_empty_backup();
            world.jira.clear_faults();
            let theirs: Vec<_> =
                (0..tickets).map(|_| world.jira.add_issue("OPS", "Change", "To Do", BOB).unwrap()).collect();
            for _ in 0..20 {
                world.later(Duration::from_secs(120));
                world.ticks().await;
                world.works().await;
            }
            assert_eq!(world.count("outbox").await, 0);
            for key in theirs {
                let issue = world.jira.issue(&key).unwrap();
                let said =
                    (issue.comments.len(), issue.labels.len(), issue.links.len(), issue.status.as_str());
                assert_eq!(said, (0, 0, 0, "To Do"), "{key}");
            }
            world.finish().await;
        }
    }
}

/// Who takes the mark away closes the gate, and the answer says how to put it back. It erases no rejection.
#[tokio::test]
async fn a_mark_that_was_taken_away() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        let before = world.jira.issue(&key).unwrap();
        let label = before.labels.iter().find(|label| label.starts_with("fjb-")).unwrap().clone();
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.opens_after_a_look().await;
        let take = || match world.is_cloud() {
            true => world.jira.remove_property(&key, PROPERTY).unwrap(),
            false => world.jira.edit_labels(&key, &[], &[&label], BOB).unwrap(),
        };
        let put_back = || match world.is_cloud() {
            true => world.jira.set_property(&key, PROPERTY, before.properties[PROPERTY].clone()).unwrap(),
            false => world.jira.edit_labels(&key, &[&label], &[], BOB).unwrap(),
        };
        take();
        world.stays_closed("gone", &label).await;
        put_back();
        world.opens_after_a_look().await;
        world.later(LATER);
        world.jira.move_issue(&key, "Rejected", MIA).unwrap();
        world.stays_closed("rejected", "rejected by Mia Change").await;
        take();
        world.stays_closed("rejected", "rejected by Mia Change").await;
        put_back();
        world.finish().await;
    }
}

/// Something on the way leaves out of issues what is asked for. What that would tell is not known then, and nothing opens: neither
/// a ticket whose labels may say that its rollout is over, nor one that may be somebody else's.
#[tokio::test]
async fn what_is_left_out_on_the_way() {
    type Way = (&'static str, fn(&mut Value));
    let ways: [Way; 4] = [
        ("labels", |issue| drop(issue["fields"].as_object_mut().map(|it| it.remove("labels")))),
        ("labels", |issue| issue["fields"]["labels"] = Value::Null),
        ("properties", |issue| drop(issue.as_object_mut().map(|it| it.remove("properties")))),
        ("properties", |issue| issue["properties"] = Value::Null),
    ];
    for (what, way) in ways {
        for world in World::both("").await {
            let key = world.waits_for_promotion().await;
            let looks = async || {
                world.nudges(&key).await;
                world.promotion_after_a_look().await
            };
            looks().await;
            match what {
                "labels" => world.jira.edit_labels(&key, &["flagger-ended"], &[], BOB).unwrap(),
                _ => world.jira.set_property(&key, PROPERTY, json!({"gate": "of-another"})).unwrap(),
            }
            world.jira.move_issue(&key, "Approved", MIA).unwrap();
            world.jira.tamper_with_issues(Some(way));
            for _ in 0..4 {
                let answer = looks().await;
                assert_eq!(answer.status, 403, "{what}: {}", answer.body);
                // It is not said to be over, or somebody else's: that is not known.
                assert_ne!(world.gates().await[0]["state"], "gone", "{what}: {}", answer.body);
            }
            let answer = looks().await;
            assert!(answer.body.contains(&format!("an issue without its {what}")), "{what}: {}", answer.body);
            world.jira.tamper_with_issues(None);
            let answer = looks().await;
            assert_eq!(answer.status, 403, "{what}: {}", answer.body);
            world.jira.set_property(&key, PROPERTY, json!({"gate": "of-another"})).unwrap();
            world.reports("/post-rollout", "Failed", "new").await;
            world.works().await;
        }
    }
}

/// On Cloud only `atlassian` is a person.
#[tokio::test]
async fn accounts_that_are_no_persons() {
    for kind in [AccountKind::Customer, AccountKind::Unknown, AccountKind::Null, AccountKind::Omitted] {
        let world = World::start_with(Flavour::Cloud, "").await;
        let eve = Person { kind, ..Person::new("qm:1:eve", "eve", "Eve Else") };
        world.jira.add_user(eve);
        let key = world.waits_for_promotion().await;
        world.jira.move_issue(&key, "Approved", "qm:1:eve").unwrap();
        world.stays_closed("not_allowed", "counts only if approval.approvers lists it").await;
        world.finish().await;
    }
    let settings = "approval.approvers = [\"qm:1:eve\"]";
    let world = World::start_with(Flavour::Cloud, settings).await;
    let eve = Person { kind: AccountKind::Customer, ..Person::new("qm:1:eve", "eve", "Eve Else") };
    world.jira.add_user(eve);
    let key = world.waits_for_promotion().await;
    world.jira.move_issue(&key, "Approved", "qm:1:eve").unwrap();
    world.opens_after_a_look().await;
    world.finish().await;
}

/// A group that Jira does not have rules nobody out, so nobody is let through.
#[tokio::test]
async fn a_denied_group_that_is_not_there() {
    for world in World::both("approval.deny = [\"group:contractors\"]").await {
        world.jira.add_group("contractors", &[BOB]);
        let key = world.waits_for_promotion().await;
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.opens_after_a_look().await;
        world.jira.remove_group("contractors");
        world.later(Duration::from_secs(70));
        world.jira.move_issue(&key, "To Do", MIA).unwrap();
        world.later(LATER);
        world.jira.move_issue(&key, "Approved", BOB).unwrap();
        world.stays_closed("stuck", "Jira shows no group \"contractors\"").await;
        world.jira.add_group("Contractors", &[BOB]);
        world.later(Duration::from_secs(60));
        world.stays_closed("not_allowed", "is ruled out by").await;
        world.approves_again(&key).await;
        world.finish().await;
    }
}

/// Denied by an e-mail address which one account shows; another hides its own, and may have the same.
#[tokio::test]
async fn an_address_that_is_hidden() {
    let world = World::start_with(Flavour::Cloud, "approval.deny = [\"eve@example.com\"]").await;
    let add = |jira: &FakeJira, id: &str, shows_email| {
        jira.add_user(Person { shows_email, ..Person::new(id, "eve", "Eve Else") });
    };
    add(&world.jira, "5b-shown", true);
    add(&world.jira, "5b-hidden", false);
    let key = world.waits_for_promotion().await;
    world.jira.move_issue(&key, "Approved", "5b-hidden").unwrap();
    world.stays_closed("stuck", "eve@example.com").await;
    world.jira.move_issue(&key, "To Do", MIA).unwrap();
    world.later(LATER);
    world.jira.move_issue(&key, "Approved", "5b-shown").unwrap();
    world.stays_closed("not_allowed", "is ruled out by").await;
    world.jira.move_issue(&key, "To Do", MIA).unwrap();
    world.later(LATER);
    world.jira.move_issue(&key, "Approved", MIA).unwrap();
    world.opens_after_a_look().await;
    world.finish().await;
}

fn by(author: &str) -> Value {
    let mut question = question("Progressing", "new");
    question["metadata"] = json!({ "author": author });
    question
}

/// The author of the change is another one at each question: each of them stays ruled out.
#[tokio::test]
async fn authors_that_change() {
    for world in World::both("approval.deny = [\"{{ metadata.author }}\"]").await {
        let (bob, mia) = if world.is_cloud() { (BOB, MIA) } else { ("bob", "mia") };
        let ask = async |author: &str| world.posts("/gate/confirm-promotion", &by(author)).await;
        ask(bob).await;
        world.works().await;
        let key = world.newest();
        // Approved by Mia, and now she is the author: not one answer is open.
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.later(LATER);
        world.works().await;
        assert_eq!(ask(mia).await.status, 403, "at once");
        world.later(LATER);
        world.works().await;
        let answer = ask(bob).await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        assert!(answer.body.contains("is ruled out by"), "{}", answer.body);
        // What was said before is answered from memory.
        let turns = world.turns().await;
        for author in [mia, bob, mia] {
            assert_eq!(ask(author).await.status, 403);
        }
        assert_eq!(world.turns().await, turns, "no write");
        // The other gates of the rollout, too, and those to come.
        world.posts("/gate/confirm-traffic-increase", &by("nobody-else")).await;
        world.works().await;
        let other = world.newest();
        assert_ne!(other, key);
        world.jira.move_issue(&other, "Approved", BOB).unwrap();
        world.later(LATER);
        world.works().await;
        let answer = world.posts("/gate/confirm-traffic-increase", &by("nobody-else")).await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        world.reports("/post-rollout", "Failed", "new").await;
        world.finish().await;
    }
}

/// A later question without its author is one for which nobody can tell who is ruled out: that closes the gate as it does at
/// the first, and whom an earlier question ruled out stays so.
#[tokio::test]
async fn an_author_that_is_missing_later() {
    for world in World::both("approval.deny = [\"{{ metadata.author }}\"]").await {
        let author = if world.is_cloud() { BOB } else { "bob" };
        let ask = async || world.posts("/gate/confirm-promotion", &by(author)).await;
        ask().await;
        world.works().await;
        let key = world.newest();
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.later(LATER);
        world.works().await;
        assert_eq!(ask().await.status, 200);
        assert_eq!(world.asks_for_promotion().await.status, 403, "at once");
        world
            .stays_closed(
                "not_allowed",
                "(\"{{ metadata.author }}\"), so this gate opens no more in this rollout",
            )
            .await;
        let turns = world.turns().await;
        for _ in 0..3 {
            assert_eq!(ask().await.status, 403);
            assert_eq!(world.asks_for_promotion().await.status, 403);
        }
        assert_eq!(world.turns().await, turns, "no write");
        // The other gates are asked about with an author, and the first one stays ruled out there.
        let other = async || world.posts("/gate/confirm-traffic-increase", &by(author)).await;
        other().await;
        world.works().await;
        let key = world.newest();
        for (who, status) in [(BOB, 403), (MIA, 200)] {
            world.jira.move_issue(&key, "To Do", MIA).unwrap();
            world.later(LATER);
            world.jira.move_issue(&key, "Approved", who).unwrap();
            world.later(LATER);
            world.works().await;
            assert_eq!(other().await.status, status, "{who}");
        }
        world.reports("/post-rollout", "Failed", "new").await;
        world.finish().await;
    }
}

/// A neighbour who sends an author after the other closes the gate, and makes nothing grow.
#[tokio::test]
async fn authors_without_end() {
    let world = World::start_with(Flavour::Cloud, "approval.deny = [\"{{ metadata.author }}\"]").await;
    let ask = async |author: &str| world.posts("/gate/confirm-promotion", &by(author)).await;
    ask(BOB).await;
    world.works().await;
    let key = world.newest();
    for number in 0..200 {
        ask(&format!("5b-{number}")).await;
    }
    let turns = world.turns().await;
    for number in 200..220 {
        ask(&format!("5b-{number}")).await;
    }
    assert_eq!(world.turns().await, turns, "no more is kept");
    world.jira.move_issue(&key, "Approved", MIA).unwrap();
    world.later(LATER);
    world.works().await;
    let answer = ask(BOB).await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert!(answer.body.contains("approval.deny"), "{}", answer.body);
    world.reports("/post-rollout", "Failed", "new").await;
    world.finish().await;
}

/// Before a ticket is told anything, it is asked whose it is, and that is all that is read of it unless its history matters.
#[tokio::test]
async fn a_ticket_is_told_without_its_history() {
    for world in World::both("").await {
        world.waits_for_promotion().await;
        world.jira.clear_requests();
        let mut event = question("Progressing", "new");
        event["metadata"] =
            json!({ "eventMessage": "Advance weight 20", "eventType": "Normal", "timestamp": "1" });
        assert_eq!(world.posts("/event", &event).await.status, 200);
        let count = |name: &str, value: &str| {
            let requests = world.jira.requests();
            let is_it = |query: &(String, String)| query.0 == name && query.1 == value;
            let reads = requests.iter().filter(|request| request.operation == Operation::GetIssue);
            reads.filter(|request| request.query.iter().any(is_it)).count()
        };
        for _ in 0..4 {
            world.later(LATER);
            world.ticks().await;
            world.works().await;
        }
        let told = world.tickets()[0].comments.len();
        assert_eq!((told, count("fields", "labels"), count("expand", "changelog")), (1, 1, 0));
        // The comment of the end counts moves from then on. A label needs to know of one ticket, a link of two.
        world.jira.clear_requests();
        world.asks("confirm-promotion", "Progressing", "newer").await;
        world.works().await;
        assert_eq!((count("fields", "labels"), count("expand", "changelog")), (3, 1));
        world.finish().await;
    }
}

/// A ticket is not linked to an issue that does not say that it took its place, and the log says so.
#[tokio::test]
async fn a_successor_that_is_not_the_gates_own() {
    for world in World::both("").await {
        let old = world.waits_for_promotion().await;
        let away = Fault::Status { code: 503, retry_after: None, body: "{\"errorMessages\":[]}".into() };
        world.jira.fault(Operation::LinkIssues, away, Times::Always);
        world.asks("confirm-promotion", "Progressing", "newer").await;
        world.works().await;
        let new = world.newest();
        assert_ne!(old, new);
        assert_eq!(world.count("outbox").await, 1);
        world.jira.remove_property(&new, PROPERTY).unwrap();
        world.jira.clear_faults();
        world.later(Duration::from_secs(120));
        world.ticks().await;
        let log = Log::default();
        let dispatch = log.dispatch(Level::INFO);
        let step = async |worker: Arc<Worker>| drop(worker.work_once().await.unwrap());
        let process = world.workers().remove(0);
        process.does(move |worker| step(worker).with_subscriber(dispatch)).await.unwrap();
        assert_eq!(world.count("outbox").await, 0);
        assert!(world.jira.issue(&old).unwrap().links.is_empty());
        let text = log.take();
        let told = |line: &str| line.contains("WARN") && line.contains(&new) && line.contains("left alone");
        assert!(text.lines().any(told), "{text}");
        world.finish().await;
    }
}

/// A clock that is set back makes no approval valid for longer.
#[tokio::test]
async fn a_clock_that_is_set_back() {
    for world in World::both("approval.valid_for = \"60s\"").await {
        let key = world.waits_for_promotion().await;
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.later(LATER);
        world.works().await;
        // Nobody asks for a minute. Jira's clock runs on, ours is set back by an hour.
        world.later(Duration::from_secs(55));
        let hour = 3_600_000;
        let Clock::Manual(at) = &world.clock else { panic!("a clock of the test's") };
        at.fetch_sub(hour, std::sync::atomic::Ordering::SeqCst);
        world.jira.set_date_skew(hour);
        let answer = world.asks_for_promotion().await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        world.stays_closed("expired", "move the ticket back and approve it again").await;
        world.finish().await;
    }
}

/// What is odd in a history spoils only itself; but it does not make an approval look newer, or untouched.
#[tokio::test]
async fn odd_histories() {
    let status = |from: Value, to: Value| json!({ "field": "status", "fieldId": "status", "fieldtype": "jira", "from": from, "to": to, "toString": "?" });
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        let odd = [
            status(json!(null), json!("10003")),
            status(json!({}), json!(["10007"])),
            json!({ "field": "labels", "from": null, "to": 7, "toString": [] }),
            json!(null),
            json!({}),
        ];
        world.jira.add_raw_history(&key, odd.to_vec(), BOB).unwrap();
        world.later(LATER);
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.opens_after_a_look().await;
        // After the approval it may have been a move out and back.
        for item in [status(json!(null), json!("10007")), json!({ "fieldtype": "jira" })] {
            world.later(LATER);
            world.jira.add_raw_history(&key, vec![item], BOB).unwrap();
            world.stays_closed("gone", "move it out and back").await;
            world.approves_again(&key).await;
        }
        let harmless = json!({ "field": "summary", "fieldId": "summary", "fieldtype": "jira", "to": {} });
        world.jira.add_raw_history(&key, vec![harmless], BOB).unwrap();
        world.opens_after_a_look().await;
        world.finish().await;
    }
}

/// It is said once that Jira is another by now, also after a restart.
#[tokio::test]
async fn another_site_is_told_once() {
    for world in World::both("").await {
        let log = Log::default();
        let compare = async || {
            let dispatch = log.dispatch(Level::INFO);
            let step = async |worker: Arc<Worker>| {
                assert_eq!(worker.recognise_site().await.unwrap(), CycleOutcome::Done);
            };
            let process = world.workers().remove(0);
            process.does(move |worker| step(worker).with_subscriber(dispatch)).await.unwrap();
            log.take().lines().filter(|line| line.contains("WARN")).count()
        };
        assert_eq!(compare().await, 0, "the first one");
        world.restarts().await;
        assert_eq!(compare().await, 0, "the same");
        world.jira.set_public_base("https://other.example/jira/");
        assert_eq!(compare().await, 1);
        assert_eq!(compare().await, 0, "told already");
        world.restarts().await;
        world.jira.set_public_base("https://OTHER.example/jira");
        assert_eq!(compare().await, 0, "spelled another way");
        world.finish().await;
    }
}
