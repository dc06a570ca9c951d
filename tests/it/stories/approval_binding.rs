//! An approval is bound to the workflow, the issue, the statuses and the person it was given with.

use std::{sync::Arc, time::Duration};

use fake_jira::{
    AccountKind, BOB, Category, FakeJira, Fault, Flavour, MIA, Operation, Person, Status, Times, Transition,
    Workflow,
};
use flagger_jira_bridge::{
    clock::Clock,
    worker::{StepOutcome, Worker},
};
use serde_json::{Value, json};
use tracing::{Level, instrument::WithSubscriber as _};

use crate::world::{Answer, World, log::Log, question};

crate::world::crash::crash_tests!(
    an_approval_given_elsewhere,
    a_status_that_was_mapped,
    a_status_removed_from_the_workflow,
    a_custom_field_called_status,
    a_status_renamed_later,
    a_status_renamed_between_two_openings,
    a_foreign_issue,
);

const LATER: Duration = Duration::from_secs(20);
/// The key of the property by which the bridge recognizes its issues.
const PROPERTY: &str = "flagger-jira-bridge";

impl World {
    /// Opens the ticket of a promotion gate, and returns its key.
    async fn waits_for_promotion(&self) -> String {
        self.asks_for_promotion().await;
        self.run_worker().await;
        self.newest()
    }

    async fn asks_for_promotion(&self) -> Answer {
        self.asks("confirm-promotion", "Progressing", "new").await
    }

    /// Flagger's answer after the bridge has read the ticket.
    async fn promotion_after_a_poll(&self) -> Answer {
        self.advance(LATER);
        self.run_worker().await;
        self.asks_for_promotion().await
    }

    async fn stays_closed(&self, state: &str, why: &str) {
        let answer = self.promotion_after_a_poll().await;
        assert_eq!(answer.status, 403, "{why}: {}", answer.body);
        assert!(answer.body.contains(why), "{why}: {}", answer.body);
        assert_eq!(self.gates().await[0]["state"], state, "{}", answer.body);
    }

    async fn opens_after_a_poll(&self) {
        let answer = self.promotion_after_a_poll().await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    async fn approves_again(&self, key: &str) {
        self.advance(LATER);
        self.jira.move_issue(key, "To Do", MIA).unwrap();
        self.advance(LATER);
        self.jira.move_issue(key, "Approved", MIA).unwrap();
        self.opens_after_a_poll().await;
    }

    fn last_comment(&self, key: &str) -> String {
        self.jira.issue(key).unwrap().comments.last().map(|it| it.text()).unwrap_or_default()
    }
}

/// A ticket is moved to a project where others may approve, approved there, and moved back. A move away and back before
/// the approval does not matter.
#[tokio::test]
async fn an_approval_given_elsewhere() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        let moved = world.jira.move_to_project(&key, "PAY", BOB).unwrap();
        world.advance(LATER);
        world.jira.move_issue(&moved, "Approved", BOB).unwrap();
        world.advance(LATER);
        let key = world.jira.move_to_project(&moved, "OPS", BOB).unwrap();
        world.stays_closed("gone", "moved between projects, issue types or workflows").await;
        world.run_worker().await;
        assert!(world.last_comment(&key).contains("This approval does not count"), "the ticket says so");
        world.approves_again(&key).await;
        world.finish().await;
    }
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        world.jira.change_type(&key, "Task", BOB).unwrap();
        world.advance(LATER);
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.advance(LATER);
        world.jira.change_type(&key, "Change", BOB).unwrap();
        world.stays_closed("gone", "moved between projects, issue types or workflows").await;
        world.approves_again(&key).await;
        // Again, after the approval was used.
        world.advance(LATER);
        world.jira.change_type(&key, "Task", BOB).unwrap();
        world.advance(LATER);
        world.jira.change_type(&key, "Change", BOB).unwrap();
        world.stays_closed("gone", "moved between projects, issue types or workflows").await;
        world.approves_again(&key).await;
        world.finish().await;
    }
}

/// Jira's Move wizard and a workflow migration let the administrator choose the new status: that is no approval.
#[tokio::test]
async fn a_status_that_was_mapped() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        world.jira.move_with_wizard(&key, "OPS", "Task", "In Review", BOB).unwrap();
        world.advance(LATER);
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
        // A migration that maps no status voids the approval as well: it was given under another workflow.
        world.advance(LATER);
        world.jira.migrate_workflow("OPS", "Change", Workflow::change(), &[], BOB).unwrap();
        world.stays_closed("gone", "moved between projects, issue types or workflows").await;
        world.finish().await;
    }
}

/// An administrator removes a status from the workflow, and Jira moves its tickets to another. The changelog shows only
/// a change of the status, by a person who may approve; it is neither an approval nor a rejection that rolls back.
#[tokio::test]
async fn a_status_removed_from_the_workflow() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        world.asks("rollback", "Progressing", "new").await;
        // The workflow as read when the ticket was opened is cached, and would accept the move.
        assert_eq!(world.promotion_after_a_poll().await.status, 403);
        world.jira.remove_status("OPS", "Change", ("To Do", "Approved"), MIA).unwrap();
        world.stays_closed("gone", "from a status that is not in its workflow").await;
        world.run_worker().await;
        assert!(world.last_comment(&key).contains("This approval does not count"), "the ticket says so");
        world.restarts().await;
        world.stays_closed("gone", "from a status that is not in its workflow").await;
        world.advance(LATER);
        world.jira.move_issue(&key, "In Review", MIA).unwrap();
        world.advance(LATER);
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.opens_after_a_poll().await;
        world.advance(LATER);
        world.jira.move_issue(&key, "In Review", MIA).unwrap();
        world.promotion_after_a_poll().await;
        world.jira.remove_status("OPS", "Change", ("In Review", "Rejected"), MIA).unwrap();
        world.stays_closed("rejected", "rejected by Mia Change").await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 403);
        world.finish().await;
    }
}

/// A status that was just added to the workflow counts, although the cached workflow lacks it.
#[tokio::test]
async fn a_status_that_is_new_in_the_workflow() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        assert_eq!(world.promotion_after_a_poll().await.status, 403);
        let mut workflow = Workflow::change();
        let new = Status::new("10099", "Assessed", Category::Indeterminate);
        workflow.transitions.push(Transition::global("99", "Assess", &new.id));
        workflow.statuses.push(new);
        world.jira.set_workflow("OPS", "Change", workflow);
        world.jira.move_issue(&key, "Assessed", BOB).unwrap();
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.opens_after_a_poll().await;
        world.finish().await;
    }
}

/// Jira records one action in two entries, a moment apart: the ticket's new project, and its status. If another person
/// wrote the first entry, or wrote it a while before, they are two actions.
#[tokio::test]
async fn a_move_that_is_recorded_in_two_entries() {
    let moment = Duration::from_secs(2);
    for item in
        [json!({"field": "Workflow", "fieldtype": "jira"}), json!({"field": "Key", "fieldtype": "jira"})]
    {
        for world in World::both("").await {
            let key = world.waits_for_promotion().await;
            let relocates = |who| world.jira.add_raw_history(&key, vec![item.clone()], who).unwrap();
            relocates(MIA);
            world.advance(moment);
            world.jira.move_issue(&key, "Approved", MIA).unwrap();
            world.stays_closed("gone", "moved between projects, issue types or workflows").await;
            world.approves_again(&key).await;
            world.advance(LATER);
            world.jira.move_issue(&key, "To Do", MIA).unwrap();
            world.advance(LATER);
            world.jira.move_issue(&key, "Approved", MIA).unwrap();
            world.advance(moment);
            relocates(MIA);
            world.stays_closed("gone", "moved between projects, issue types or workflows").await;
            world.jira.move_issue(&key, "To Do", MIA).unwrap();
            world.advance(LATER);
            // Bob moves it to the project and Mia approves at once; then Mia does both, with a pause.
            for (who, before) in [(BOB, moment), (MIA, LATER)] {
                relocates(who);
                world.advance(before);
                world.jira.move_issue(&key, "Approved", MIA).unwrap();
                world.opens_after_a_poll().await;
                world.jira.move_issue(&key, "To Do", MIA).unwrap();
                world.advance(LATER);
            }
            world.finish().await;
        }
    }
}

/// A mapped rejection closes the gate, but a user who only moves tickets between projects rolls nothing back.
#[tokio::test]
async fn a_rejection_given_elsewhere() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        world.asks("rollback", "Progressing", "new").await;
        let moved = world.jira.move_to_project(&key, "PAY", BOB).unwrap();
        world.advance(LATER);
        world.jira.move_issue(&moved, "Rejected", BOB).unwrap();
        world.advance(LATER);
        let key = world.jira.move_to_project(&moved, "OPS", BOB).unwrap();
        world.stays_closed("rejected", "rejected by Bob Builder").await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 403);
        world.advance(LATER);
        world.jira.move_issue(&key, "To Do", MIA).unwrap();
        world.advance(LATER);
        world.jira.move_issue(&key, "Rejected", MIA).unwrap();
        world.stays_closed("rejected", "rejected by Mia Change").await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
        world.finish().await;
    }
}

/// Neither other fields that a transition sets, nor another parent or epic, nor the ticket's earlier project matter.
#[tokio::test]
async fn irrelevant_changes_void_no_approval() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        let moved = world.jira.move_to_project(&key, "PAY", BOB).unwrap();
        world.advance(LATER);
        let key = world.jira.move_to_project(&moved, "OPS", BOB).unwrap();
        world.advance(LATER);
        let screen = [
            ("resolution", "", "10000"),
            ("assignee", "", MIA),
            ("priority", "3", "2"),
            ("Fix Version", "", "10100"),
        ];
        world.jira.move_issue_with(&key, "Approved", &screen, MIA).unwrap();
        world.advance(LATER);
        let field = ("customfield_10014", "Epic Link");
        world.jira.change_custom_field(&key, field, ("", ""), ("10001", "OPS-9"), BOB).unwrap();
        for own in ["IssueParentAssociation", "Parent", "Parent Issue", "Rank", "Link"] {
            let item = json!({ "field": own, "fieldtype": "jira", "from": null, "to": "10001", "toString": "OPS-9" });
            world.jira.add_raw_history(&key, vec![item], BOB).unwrap();
        }
        // Custom fields may have any name.
        for name in ["Workflow", "Project", "Key", "issuetype"] {
            let field = ("customfield_10020", name);
            world.jira.change_custom_field(&key, field, ("1", "a"), ("2", "b"), BOB).unwrap();
        }
        world.opens_after_a_poll().await;
        world.finish().await;
    }
}

/// Only Jira's own status counts: a custom field of that name neither opens the gate nor closes it for ever.
#[tokio::test]
async fn a_custom_field_called_status() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        let field = ("customfield_10030", "Status");
        let change = |from, to| world.jira.change_custom_field(&key, field, from, to, BOB).unwrap();
        world.advance(LATER);
        // The custom field's option has the id of the approved status.
        change(("10001", "To Do"), ("10007", "Approved"));
        let answer = world.promotion_after_a_poll().await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        assert_eq!(world.gates().await[0]["state"], "waiting");
        // A move by a user who may not approve voids an older approval by another user.
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.advance(LATER);
        change(("10007", "Approved"), ("10001", "To Do"));
        let text = ("customfield_10031", "Status");
        world.jira.change_custom_field(&key, text, ("", ""), ("", "anything"), BOB).unwrap();
        world.opens_after_a_poll().await;
        world.finish().await;
    }
}

/// The workflow after "In Review" was renamed to "Approved".
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

/// A user moved the ticket to a status that is renamed to "Approved" later: that is no approval.
#[tokio::test]
async fn a_status_renamed_later() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        world.advance(LATER);
        world.jira.move_issue(&key, "In Review", BOB).unwrap();
        let answer = world.promotion_after_a_poll().await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        world.jira.set_workflow("OPS", "Change", renamed());
        // The workflow is read again.
        world.advance(Duration::from_secs(3_700));
        world.run_worker().await;
        world.stays_closed("gone", "did not mean approved when this ticket was opened").await;
        world.restarts().await;
        world.stays_closed("gone", "did not mean approved when this ticket was opened").await;
        // The status that was the approved one when the ticket was opened still approves.
        world.jira.set_workflow("OPS", "Change", Workflow::change());
        world.advance(Duration::from_secs(3_700));
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.opens_after_a_poll().await;
        world.finish().await;
    }
}

/// A ticket is bound to the workflow's statuses as read at most a minute before it was opened, even if another ticket
/// of the same project was opened shortly before.
#[tokio::test]
async fn a_status_renamed_between_two_openings() {
    for world in World::both("").await {
        world.waits_for_promotion().await;
        world.jira.set_workflow("OPS", "Change", renamed());
        world.advance(Duration::from_secs(61));
        let mut about_till = question("Progressing", "new");
        about_till["name"] = "till".into();
        let ask = async || world.posts("/gate/confirm-promotion", &about_till).await;
        ask().await;
        world.run_worker().await;
        let key = world.newest();
        for (status, code, why) in
            [("Approved (old)", 403, "waiting for a decision"), ("Approved", 200, "approved by Mia")]
        {
            world.advance(LATER);
            world.jira.move_issue(&key, status, MIA).unwrap();
            world.advance(LATER);
            world.run_worker().await;
            let answer = ask().await;
            assert_eq!(answer.status, code, "{status}: {}", answer.body);
            assert!(answer.body.contains(why), "{status}: {}", answer.body);
        }
        world.finish().await;
    }
}

/// After a restored backup, or on another Jira site, the ticket's number belongs to a foreign issue.
#[tokio::test]
async fn a_foreign_issue() {
    for world in World::both("").await {
        world.waits_for_promotion().await;
        let id = world.tickets()[0].id.clone();
        world.jira.restore_empty_backup();
        world.advance(LATER);
        let key = world.jira.add_issue("OPS", "Change", "To Do", BOB).unwrap();
        assert_eq!(world.jira.issue(&key).unwrap().id, id, "the same number");
        world.advance(LATER);
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.stays_closed("gone", "is not the one that was opened for this gate").await;
        // A webhook makes the bridge read it: with the same result.
        world.nudges(&key).await;
        world.stays_closed("gone", "is not the one that was opened for this gate").await;
        // A rejection of the foreign issue rolls nothing back, and the bridge writes nothing to it.
        world.jira.move_issue(&key, "Rejected", MIA).unwrap();
        world.stays_closed("gone", "is not the one that was opened for this gate").await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 403);
        world.reports("/post-rollout", "Failed", "new").await;
        world.run_worker().await;
        let issue = world.jira.issue(&key).unwrap();
        assert_eq!(
            (issue.comments.len(), issue.labels.len(), issue.status.as_str()),
            (0, 0, "Rejected"),
            "left alone"
        );
        world.finish().await;
    }
}

/// Commands that were pending when the backup was restored (comments, a label, moves, a link) do not touch a foreign
/// issue.
#[tokio::test]
async fn a_foreign_issue_is_not_changed() {
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
            world.run_worker().await;
            let pending = world.count("outbox").await;
            assert!(pending >= if ends { 4 } else { 2 }, "{away:?}");
            let tickets = world.tickets().len();
            assert_eq!(tickets, if ends { 2 } else { 1 });
            world.jira.restore_empty_backup();
            world.jira.clear_faults();
            let theirs: Vec<_> =
                (0..tickets).map(|_| world.jira.add_issue("OPS", "Change", "To Do", BOB).unwrap()).collect();
            for _ in 0..20 {
                world.advance(Duration::from_secs(120));
                world.ticks().await;
                world.run_worker().await;
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

/// A user who removes the bridge's mark closes the gate, and the answer says how to restore it. It erases no rejection.
#[tokio::test]
async fn a_mark_that_was_removed() {
    for world in World::both("").await {
        let key = world.waits_for_promotion().await;
        let before = world.jira.issue(&key).unwrap();
        let label = before.labels.iter().find(|label| label.starts_with("fjb-")).unwrap().clone();
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.opens_after_a_poll().await;
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
        world.opens_after_a_poll().await;
        world.advance(LATER);
        world.jira.move_issue(&key, "Rejected", MIA).unwrap();
        world.stays_closed("rejected", "rejected by Mia Change").await;
        take();
        world.stays_closed("rejected", "rejected by Mia Change").await;
        put_back();
        world.finish().await;
    }
}

/// A proxy removes requested fields from issues. Their content is unknown then, and nothing opens: the labels might say
/// that the rollout has ended, or the issue might be a foreign one.
#[tokio::test]
async fn fields_that_a_proxy_removes() {
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
                world.promotion_after_a_poll().await
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
                // The bridge does not claim that the rollout ended or the issue is foreign: it cannot know.
                assert_ne!(world.gates().await[0]["state"], "gone", "{what}: {}", answer.body);
            }
            let answer = looks().await;
            assert!(answer.body.contains(&format!("an issue without its {what}")), "{what}: {}", answer.body);
            world.jira.tamper_with_issues(None);
            let answer = looks().await;
            assert_eq!(answer.status, 403, "{what}: {}", answer.body);
            world.jira.set_property(&key, PROPERTY, json!({"gate": "of-another"})).unwrap();
            world.reports("/post-rollout", "Failed", "new").await;
            world.run_worker().await;
        }
    }
}

/// On Cloud only the account type `atlassian` is a person.
#[tokio::test]
async fn accounts_that_are_not_people() {
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
    world.opens_after_a_poll().await;
    world.finish().await;
}

/// A denied group that Jira does not have cannot be checked, so every approval is refused.
#[tokio::test]
async fn a_denied_group_that_does_not_exist() {
    for world in World::both("approval.deny = [\"group:contractors\"]").await {
        world.jira.add_group("contractors", &[BOB]);
        let key = world.waits_for_promotion().await;
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.opens_after_a_poll().await;
        world.jira.remove_group("contractors");
        world.advance(Duration::from_secs(70));
        world.jira.move_issue(&key, "To Do", MIA).unwrap();
        world.advance(LATER);
        world.jira.move_issue(&key, "Approved", BOB).unwrap();
        world.stays_closed("stuck", "Jira shows no group \"contractors\"").await;
        world.jira.add_group("Contractors", &[BOB]);
        world.advance(Duration::from_secs(60));
        world.stays_closed("not_allowed", "is ruled out by").await;
        world.approves_again(&key).await;
        world.finish().await;
    }
}

/// An e-mail address is denied. One account shows it; another account hides its own, which may be the same.
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
    world.advance(LATER);
    world.jira.move_issue(&key, "Approved", "5b-shown").unwrap();
    world.stays_closed("not_allowed", "is ruled out by").await;
    world.jira.move_issue(&key, "To Do", MIA).unwrap();
    world.advance(LATER);
    world.jira.move_issue(&key, "Approved", MIA).unwrap();
    world.opens_after_a_poll().await;
    world.finish().await;
}

fn by(author: &str) -> Value {
    let mut question = question("Progressing", "new");
    question["metadata"] = json!({ "author": author });
    question
}

/// Each question names another author of the change: all of them stay denied.
#[tokio::test]
async fn authors_that_change() {
    for world in World::both("approval.deny = [\"{{ metadata.author }}\"]").await {
        let (bob, mia) = if world.is_cloud() { (BOB, MIA) } else { ("bob", "mia") };
        let ask = async |author: &str| world.posts("/gate/confirm-promotion", &by(author)).await;
        ask(bob).await;
        world.run_worker().await;
        let key = world.newest();
        // Mia approved, and now the question names her as the author: every answer is 403.
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.advance(LATER);
        world.run_worker().await;
        assert_eq!(ask(mia).await.status, 403, "at once");
        world.advance(LATER);
        world.run_worker().await;
        let answer = ask(bob).await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        assert!(answer.body.contains("is ruled out by"), "{}", answer.body);
        // A repeated question is answered from memory.
        let turns = world.turns().await;
        for author in [mia, bob, mia] {
            assert_eq!(ask(author).await.status, 403);
        }
        assert_eq!(world.turns().await, turns, "no write");
        // It applies to the rollout's other gates, existing and new, too.
        world.posts("/gate/confirm-traffic-increase", &by("another-author")).await;
        world.run_worker().await;
        let other = world.newest();
        assert_ne!(other, key);
        world.jira.move_issue(&other, "Approved", BOB).unwrap();
        world.advance(LATER);
        world.run_worker().await;
        let answer = world.posts("/gate/confirm-traffic-increase", &by("another-author")).await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        world.reports("/post-rollout", "Failed", "new").await;
        world.finish().await;
    }
}

/// A later question without an author does not say who is denied: that closes the gate, as it does at the first
/// question, and a person whom an earlier question denied stays denied.
#[tokio::test]
async fn an_author_that_is_missing_later() {
    for world in World::both("approval.deny = [\"{{ metadata.author }}\"]").await {
        let author = if world.is_cloud() { BOB } else { "bob" };
        let ask = async || world.posts("/gate/confirm-promotion", &by(author)).await;
        ask().await;
        world.run_worker().await;
        let key = world.newest();
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.advance(LATER);
        world.run_worker().await;
        assert_eq!(ask().await.status, 200);
        assert_eq!(world.asks_for_promotion().await.status, 403, "at once");
        world
            .stays_closed(
                "not_allowed",
                "(\"{{ metadata.author }}\"), so this gate stays closed for this rollout",
            )
            .await;
        let turns = world.turns().await;
        for _ in 0..3 {
            assert_eq!(ask().await.status, 403);
            assert_eq!(world.asks_for_promotion().await.status, 403);
        }
        assert_eq!(world.turns().await, turns, "no write");
        // Questions to the other gates name an author; the first author stays denied there.
        let other = async || world.posts("/gate/confirm-traffic-increase", &by(author)).await;
        other().await;
        world.run_worker().await;
        let key = world.newest();
        for (who, status) in [(BOB, 403), (MIA, 200)] {
            world.jira.move_issue(&key, "To Do", MIA).unwrap();
            world.advance(LATER);
            world.jira.move_issue(&key, "Approved", who).unwrap();
            world.advance(LATER);
            world.run_worker().await;
            assert_eq!(other().await.status, status, "{who}");
        }
        world.reports("/post-rollout", "Failed", "new").await;
        world.finish().await;
    }
}

/// A caller that names more and more authors closes the gate, but the stored list does not grow.
#[tokio::test]
async fn authors_without_end() {
    let world = World::start_with(Flavour::Cloud, "approval.deny = [\"{{ metadata.author }}\"]").await;
    let ask = async |author: &str| world.posts("/gate/confirm-promotion", &by(author)).await;
    ask(BOB).await;
    world.run_worker().await;
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
    world.advance(LATER);
    world.run_worker().await;
    let answer = ask(BOB).await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert!(answer.body.contains("approval.deny"), "{}", answer.body);
    world.reports("/post-rollout", "Failed", "new").await;
    world.finish().await;
}

/// Before the bridge writes to a ticket, it reads its mark, and nothing else unless the history matters.
#[tokio::test]
async fn a_comment_is_written_without_reading_the_history() {
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
            world.advance(LATER);
            world.ticks().await;
            world.run_worker().await;
        }
        let comments = world.tickets()[0].comments.len();
        assert_eq!((comments, count("fields", "labels"), count("expand", "changelog")), (1, 1, 0));
        // The comment about the end reads the history, to count later moves. A label reads one ticket, a link two.
        world.jira.clear_requests();
        world.asks("confirm-promotion", "Progressing", "newer").await;
        world.run_worker().await;
        assert_eq!((count("fields", "labels"), count("expand", "changelog")), (3, 1));
        world.finish().await;
    }
}

/// A ticket is not linked to an issue without the successor gate's mark, and the log says so.
#[tokio::test]
async fn a_successor_that_is_a_foreign_issue() {
    for world in World::both("").await {
        let old = world.waits_for_promotion().await;
        let away = Fault::Status { code: 503, retry_after: None, body: "{\"errorMessages\":[]}".into() };
        world.jira.fault(Operation::LinkIssues, away, Times::Always);
        world.asks("confirm-promotion", "Progressing", "newer").await;
        world.run_worker().await;
        let new = world.newest();
        assert_ne!(old, new);
        assert_eq!(world.count("outbox").await, 1);
        world.jira.remove_property(&new, PROPERTY).unwrap();
        world.jira.clear_faults();
        world.advance(Duration::from_secs(120));
        world.ticks().await;
        let log = Log::default();
        let dispatch = log.dispatch(Level::INFO);
        let step = async |worker: Arc<Worker>| drop(worker.work_once().await.unwrap());
        let process = world.workers().remove(0);
        process.run_on_worker(move |worker| step(worker).with_subscriber(dispatch)).await.unwrap();
        assert_eq!(world.count("outbox").await, 0);
        assert!(world.jira.issue(&old).unwrap().links.is_empty());
        let text = log.take();
        let is_warning =
            |line: &str| line.contains("WARN") && line.contains(&new) && line.contains("left alone");
        assert!(text.lines().any(is_warning), "{text}");
        world.finish().await;
    }
}

/// A clock that is set back makes no approval valid for longer.
#[tokio::test]
async fn a_clock_that_is_set_back() {
    for world in World::both("approval.valid_for = \"60s\"").await {
        let key = world.waits_for_promotion().await;
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.advance(LATER);
        world.run_worker().await;
        // Flagger does not ask for a minute. Jira's clock runs on, the bridge's clock is set back by an hour.
        world.advance(Duration::from_secs(55));
        let hour = 3_600_000;
        let Clock::Manual(at) = &world.clock else { panic!("the test has a manual clock") };
        at.fetch_sub(hour, std::sync::atomic::Ordering::SeqCst);
        world.jira.set_date_skew(hour);
        let answer = world.asks_for_promotion().await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        world.stays_closed("expired", "move the ticket back and approve it again").await;
        world.finish().await;
    }
}

/// An unreadable entry of a history affects only itself, but does not make an earlier approval look newer or still
/// valid.
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
        world.advance(LATER);
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.opens_after_a_poll().await;
        // An unreadable entry after the approval may have been a move out and back.
        for item in [status(json!(null), json!("10007")), json!({ "fieldtype": "jira" })] {
            world.advance(LATER);
            world.jira.add_raw_history(&key, vec![item], BOB).unwrap();
            world.stays_closed("gone", "move it out and back").await;
            world.approves_again(&key).await;
        }
        let harmless = json!({ "field": "summary", "fieldId": "summary", "fieldtype": "jira", "to": {} });
        world.jira.add_raw_history(&key, vec![harmless], BOB).unwrap();
        world.opens_after_a_poll().await;
        world.finish().await;
    }
}

/// A change of the Jira site is reported once, also after a restart.
#[tokio::test]
async fn another_site_is_reported_once() {
    for world in World::both("").await {
        let log = Log::default();
        let compare = async || {
            let dispatch = log.dispatch(Level::INFO);
            let step = async |worker: Arc<Worker>| {
                assert_eq!(worker.recognise_site().await.unwrap(), StepOutcome::Done);
            };
            let process = world.workers().remove(0);
            process.run_on_worker(move |worker| step(worker).with_subscriber(dispatch)).await.unwrap();
            log.take().lines().filter(|line| line.contains("WARN")).count()
        };
        assert_eq!(compare().await, 0, "the first one");
        world.restarts().await;
        assert_eq!(compare().await, 0, "the same");
        world.jira.set_public_base("https://other.example/jira/");
        assert_eq!(compare().await, 1);
        assert_eq!(compare().await, 0, "reported already");
        world.restarts().await;
        world.jira.set_public_base("https://OTHER.example/jira");
        assert_eq!(compare().await, 0, "spelled another way");
        world.finish().await;
    }
}
