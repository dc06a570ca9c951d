//! Which approvers count.

use std::time::Duration;

use fake_jira::{AUTOMATION, BOB, BRIDGE, Fault, Field, Flavour, MIA, Operation, Shape, Times};
use serde_json::{Value, json};

use crate::world::{Answer, World, log::Log, question};

// Without the tests that depend on the time of the next question, or count minutes.
crate::world::crash::crash_tests!(
    without_a_list_every_person_may_approve,
    only_listed_people_may_approve,
    groups_and_roles,
    a_role_that_jira_does_not_have,
    the_author_may_not_approve,
    only_an_approvers_rejection_rolls_back,
    rules_that_were_changed,
);

impl World {
    /// Opens a promotion gate, lets this user approve its ticket, and returns the answer to the next question.
    async fn approved_by(&self, who: &str) -> Answer {
        self.approved_with(&question("Progressing", "new"), who).await
    }

    /// The same, with this question of Flagger.
    async fn approved_with(&self, question: &Value, who: &str) -> Answer {
        self.posts("/gate/confirm-promotion", question).await;
        self.run_worker().await;
        let key = self.newest();
        self.jira.move_issue(&key, "To Do", MIA).unwrap();
        self.jira.move_issue(&key, "Approved", who).unwrap();
        self.advance(Duration::from_secs(20));
        self.run_worker().await;
        self.posts("/gate/confirm-promotion", question).await
    }

    async fn is_refused(&self, who: &str, why: &str) {
        self.is_refused_with(&question("Progressing", "new"), who, why).await;
    }

    async fn is_refused_with(&self, question: &Value, who: &str, why: &str) {
        let answer = self.approved_with(question, who).await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        assert!(answer.body.contains("which does not count") && answer.body.contains(why), "{}", answer.body);
        assert_eq!(self.gates().await[0]["state"], "not_allowed");
        self.run_worker().await;
        let comments = self.jira.issue(&self.newest()).unwrap().comments;
        assert!(comments.last().unwrap().text().contains("This approval does not count"), "{comments:?}");
    }
}

/// Without a list of approvers every person may approve, but neither an app nor the bridge itself. Data Center does not
/// distinguish apps from people.
#[tokio::test]
async fn without_a_list_every_person_may_approve() {
    for world in World::both("").await {
        if world.is_cloud() {
            world.is_refused(AUTOMATION, "is an app").await;
        }
        world.is_refused(BRIDGE, "is the bridge's own account").await;
        assert_eq!(world.approved_by(BOB).await.status, 200);
        world.finish().await;
    }
}

#[tokio::test]
async fn only_listed_people_may_approve() {
    let settings = format!("approval.approvers = [\"{MIA}\", \"mia\", \"group:cab\"]");
    for world in World::both(&settings).await {
        world.jira.add_group("cab", &[BRIDGE]);
        world.is_refused(BOB, "is not among the approvers").await;
        world.is_refused(BRIDGE, "is the bridge's own account").await;
        assert_eq!(world.approved_by(MIA).await.status, 200);
        world.finish().await;
    }
}

/// Membership is looked up when the ticket is read: a user who joins the group counts soon.
#[tokio::test]
async fn groups_and_roles() {
    for entry in ["group:cab", "role:Approvers"] {
        for world in World::both(&format!("approval.approvers = [\"{entry}\"]")).await {
            world.jira.add_group("cab", &[MIA]);
            world.jira.add_to_role("OPS", "Approvers", &[MIA], &[]);
            world.is_refused(BOB, "is not among the approvers").await;
            assert_eq!(world.approved_by(MIA).await.status, 200);
            world.finish().await;
        }
    }
}

impl World {
    /// Mia's approval is neither accepted nor refused, for this reason.
    async fn is_undecided(&self, why: &str) {
        let answer = self.approved_by(MIA).await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        for words in ["it is not known yet whether that counts", why] {
            assert!(answer.body.contains(words), "{words}: {}", answer.body);
        }
        assert_eq!(self.gates().await[0]["state"], "stuck");
    }

    async fn opens_after(&self, while_: Duration) {
        self.advance(while_);
        self.run_worker().await;
        let answer = self.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

/// A listed role that Jira does not have: its members are unknown, so no approval counts until it exists.
#[tokio::test]
async fn a_role_that_jira_does_not_have() {
    for (list, member) in [("approvers", MIA), ("deny", BOB)] {
        for world in World::both(&format!("approval.{list} = [\"role:Board\"]")).await {
            let why = format!("approval.{list}: Jira shows no role \"Board\" in project OPS");
            world.is_undecided(&why).await;
            world.jira.add_to_role("OPS", "Board", &[member], &[]);
            world.opens_after(Duration::from_secs(20)).await;
            world.finish().await;
        }
    }
}

/// A role that the bridge cannot read: Jira refuses the request, or shows the bridge no roles at all.
#[tokio::test]
async fn a_role_that_cannot_be_read() {
    for (list, member) in [("approvers", MIA), ("deny", BOB)] {
        for world in World::both(&format!("approval.{list} = [\"role:Board\"]")).await {
            world.jira.add_to_role("OPS", "Board", &[member], &[]);
            let body = r#"{"errorMessages":["You cannot view that role."],"errors":{}}"#.to_owned();
            let fault = Fault::Status { code: 403, retry_after: None, body };
            world.jira.fault(Operation::ProjectRole, fault, Times::Always);
            world.is_undecided("You cannot view that role.").await;
            world.jira.clear_faults();
            world.jira.revoke("OPS", &["ADMINISTER_PROJECTS"]);
            world.is_undecided("No project could be found with key").await;
            world.jira.revoke("OPS", &[]);
            world.opens_after(Duration::from_secs(20)).await;
            world.finish().await;
        }
    }
}

/// The author of the change, whom the team names in the metadata, may not approve it.
#[tokio::test]
async fn the_author_may_not_approve() {
    for world in World::both("approval.deny = [\"{{ metadata.author }}\"]").await {
        let mut question = question("Progressing", "new");
        question["metadata"] = json!({ "author": if world.is_cloud() { BOB } else { "bob" } });
        world.is_refused_with(&question, BOB, "is ruled out by").await;
        assert_eq!(world.approved_with(&question, MIA).await.status, 200);
        // An author that a template left empty refuses every approval.
        world.reports("/post-rollout", "Succeeded", "new").await;
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        world.is_refused(MIA, "so this gate stays closed for this rollout").await;
        let comments = world.jira.issue(&world.newest()).unwrap().comments;
        let comments = comments.last().unwrap().text();
        assert!(
            comments.contains("wherever this ticket is moved") && !comments.contains("and back"),
            "{comments}"
        );
        world.finish().await;
    }
}

/// A rejection by any user closes the gate; only a rejection by an approver rolls back.
#[tokio::test]
async fn only_an_approvers_rejection_rolls_back() {
    let settings = format!("approval.approvers = [\"{MIA}\", \"mia\"]");
    for world in World::both(&settings).await {
        assert_eq!(world.approved_by(MIA).await.status, 200);
        let key = world.newest();
        for (who, rolls_back) in [(BOB, 403), (MIA, 200)] {
            world.jira.move_issue(&key, "To Do", MIA).unwrap();
            world.jira.move_issue(&key, "Rejected", who).unwrap();
            world.advance(Duration::from_secs(20));
            world.run_worker().await;
            assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
            let answer = world.asks("rollback", "Progressing", "new").await;
            assert_eq!(answer.status, rolls_back);
            if rolls_back == 403 {
                assert!(answer.body.contains("closes the gate but rolls nothing back"), "{}", answer.body);
                let comments = world.jira.issue(&key).unwrap().comments;
                assert!(comments.last().unwrap().text().contains("but cannot roll it back"), "{comments:?}");
            }
        }
        world.finish().await;
    }
}

/// Jira cannot look up the approver: the gate is closed, but not refused; an earlier result stays valid for a while.
#[tokio::test]
async fn a_lookup_that_fails() {
    for world in World::both("approval.approvers = [\"group:cab\"]").await {
        world.jira.add_group("cab", &[MIA]);
        let fault = || Fault::Status { code: 500, retry_after: None, body: "{}".into() };
        for operation in [Operation::UserGroups, Operation::User] {
            world.jira.fault(operation, fault(), Times::Always);
        }
        let answer = world.approved_by(MIA).await;
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("it is not known yet whether that counts"), "{}", answer.body);
        world.jira.clear_faults();
        world.advance(Duration::from_secs(20));
        world.run_worker().await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
        for operation in [Operation::UserGroups, Operation::User] {
            world.jira.fault(operation, fault(), Times::Always);
        }
        for minute in 1..12 {
            world.advance(Duration::from_secs(60));
            world.run_worker().await;
            let status = world.asks("confirm-promotion", "Progressing", "new").await.status;
            assert_eq!(status, if minute <= 10 { 200 } else { 403 }, "minute {minute}");
        }
        world.jira.clear_faults();
        world.finish().await;
    }
}

/// A ticket in another project, of another type, deleted or hidden, and a clone: each opens nothing.
#[tokio::test]
async fn tickets_that_prove_nothing() {
    for world in World::both("").await {
        assert_eq!(world.approved_by(MIA).await.status, 200);
        let key = world.newest();
        let clone = world.jira.clone_issue(&key, BOB).unwrap();
        let gone = async |why: &str| {
            world.advance(Duration::from_secs(20));
            world.run_worker().await;
            let answer = world.asks("confirm-promotion", "Progressing", "new").await;
            assert_eq!(answer.status, 403, "{why}: {}", answer.body);
            assert!(answer.body.contains(why), "{}", answer.body);
            assert_eq!(world.gates().await[0]["state"], "gone");
        };
        world.jira.change_type(&key, "Task", MIA).unwrap();
        gone("not of the project and issue type it was opened in").await;
        world.jira.change_type(&key, "Change", MIA).unwrap();
        let moved = world.jira.move_to_project(&key, "PAY", MIA).unwrap();
        gone("it is in PAY now").await;
        let key = world.jira.move_to_project(&moved, "OPS", MIA).unwrap();
        world.jira.delete_issue(&key, MIA).unwrap();
        gone("it was deleted, or the bridge's account may not see it").await;
        // After 404s for long enough, the next question opens a new ticket. The clone does not count.
        for _ in 0..14 {
            world.advance(Duration::from_secs(60));
            world.run_worker().await;
        }
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
        world.run_worker().await;
        assert_eq!(world.gates().await[0]["state"], "waiting");
        assert_eq!(world.jira.issue(&clone).unwrap().comments.len(), 0, "clones are left alone");
        world.finish().await;
    }
}

/// The configuration is changed by a restart while Jira is unreachable: an approval that was judged by the old rules
/// opens nothing until it is judged by the new ones.
#[tokio::test]
async fn rules_that_were_changed() {
    for (settings, then) in [
        ("approval.approvers = [\"group:cab\"]\n".to_owned(), 403),
        (format!("approval.deny = [\"{MIA}\", \"mia\"]\n"), 403),
        ("ticket.statuses.approved = [\"Done\"]\n".to_owned(), 403),
        ("routes = [{ match = {}, approval = { approvers = [\"group:cab\"] } }]\n".to_owned(), 403),
        (format!("approval.approvers = [\"{MIA}\", \"mia\"]\n"), 200),
        ("approval.valid_for = \"71h\"\n".to_owned(), 200),
    ] {
        for mut world in World::both("").await {
            world.jira.add_group("cab", &[BOB]);
            assert_eq!(world.approved_by(MIA).await.status, 200);
            world.jira.fault(Operation::Any, Fault::Dropped, Times::Always);
            world.restarts_with(&settings).await;
            let answer = world.asks("confirm-promotion", "Progressing", "new").await;
            if settings.contains("valid_for") {
                assert_eq!(answer.status, 200, "{}", answer.body);
            } else {
                assert_eq!(answer.status, 403, "{settings}{}", answer.body);
                let again = [
                    "it was judged by other settings than this replica's; it is judged again as soon as Jira shows the ticket",
                    "the decision is judged again",
                ];
                assert!(again.iter().any(|words| answer.body.contains(words)), "{}", answer.body);
            }
            world.run_worker().await;
            world.jira.clear_faults();
            world.advance(Duration::from_secs(60));
            world.run_worker().await;
            let answer = world.asks("confirm-promotion", "Progressing", "new").await;
            assert_eq!(answer.status, then, "{settings}{}", answer.body);
            world.finish().await;
        }
    }
}

/// A ticket names its approvers as people know them, and mentions them, so that Jira notifies them.
#[tokio::test]
async fn a_ticket_names_its_approvers() {
    let settings = format!(
        "approval.approvers = [\"{MIA}\", \"mia\", \"group:cab\"]\napproval.deny = [\"{BOB}\", \"bob\"]"
    );
    for world in World::both(&settings).await {
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        let text = fake_jira::text(&world.tickets()[0].description);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("Who may approve:") || line.contains("Who may not approve:"))
            .collect();
        if world.is_cloud() {
            insta::assert_snapshot!(lines.join("\n"), @r#"
            • Who may approve: @Mia Change, "mia" or members of the group "cab". An app, an automation or the bridge's own account counts only if its account is named here: a group or role is not enough.
            • Who may not approve: Bob Builder or "bob".
            "#);
        } else {
            insta::assert_snapshot!(lines.join("\n"), @r#"
            * {*}Who may approve:{*} "5b10ac8d82e05b22cc7d4e01", [~mia] or members of the group "cab". An app, an automation or the bridge's own account counts only if its account is named here: a group or role is not enough.
            * {*}Who may not approve:{*} "5b10ac8d82e05b22cc7d4e02" or Bob Builder.
            "#);
        }
        world.finish().await;
    }
}

/// A ticket does not wait for the names of people.
#[tokio::test]
async fn a_ticket_is_opened_without_names_if_jira_does_not_tell_them() {
    let world = World::start_with(Flavour::Cloud, &format!("approval.approvers = [\"{MIA}\"]")).await;
    let unavailable = Fault::Status { code: 503, retry_after: None, body: "{}".into() };
    world.jira.fault(Operation::User, unavailable, Times::Always);
    let asked = || world.jira.requests().into_iter().filter(|it| it.operation == Operation::User).count();
    let mut once = 0;
    for nth in 1..=3 {
        let mut question = question("Progressing", "new");
        question["name"] = format!("cart-{nth}").into();
        world.posts("/gate/confirm-promotion", &question).await;
        world.run_worker().await;
        assert_eq!(world.tickets().len(), nth);
        if nth == 1 {
            once = asked();
        }
    }
    let text = fake_jira::text(&world.tickets()[2].description);
    assert!(text.contains(&format!("Who may approve: \"{MIA}\".")), "{text}");
    assert_eq!((asked(), once > 0), (once, true), "it was tried for the first ticket, not for each");
}

impl World {
    /// Asks about another canary, with this author in the metadata, and returns the ticket that is opened.
    async fn opens_for(&self, canary: &str, author: &str) -> fake_jira::IssueView {
        let mut question = question("Progressing", "new");
        question["name"] = canary.into();
        question["metadata"] = json!({ "author": author });
        self.posts("/gate/confirm-promotion", &question).await;
        self.run_worker().await;
        self.tickets().pop().unwrap()
    }

    /// The words that Jira was asked for accounts, each request once.
    fn asked_people(&self) -> Vec<String> {
        let asked = self.jira.requests().into_iter().filter(|it| it.path.ends_with("/user"));
        asked.flat_map(|it| it.query.into_iter().map(|(_, value)| value)).collect()
    }
}

/// Metadata is anybody's: Jira is not asked for its words before a ticket is opened.
#[tokio::test]
async fn words_from_metadata_are_not_looked_up_for_a_ticket() {
    let settings = format!(
        "approval.approvers = [\"{MIA}\"]\napproval.deny = [\"{{{{ metadata.author }}}}\", \"{BOB}\"]"
    );
    let world = World::start_with(Flavour::Cloud, &settings).await;
    let ticket = world.opens_for("cart", "evil-word").await;
    let text = fake_jira::text(&ticket.description);
    assert!(text.contains("@Mia Change") && text.contains("\"evil-word\" or Bob Builder"), "{text}");
    assert_eq!(world.asked_people(), [MIA, BOB]);
    world.finish().await;
}

/// A word that Jira refuses takes no other name from any ticket.
#[tokio::test]
async fn a_word_that_jira_refuses_is_skipped_alone() {
    let settings = format!("approval.approvers = [\"{BOB}\", \"{MIA}\"]");
    let world = World::start_with(Flavour::Cloud, &settings).await;
    let body = r#"{"errorMessages":["The account id is not valid."],"errors":{}}"#.to_owned();
    let refusal = Fault::Status { code: 400, retry_after: None, body };
    world.jira.fault(Operation::User, refusal, Times::Once);
    for canary in ["cart", "shop"] {
        let text = fake_jira::text(&world.opens_for(canary, "").await.description);
        assert!(text.contains(&format!("Who may approve: \"{BOB}\" or @Mia Change")), "{text}");
    }
    assert_eq!(world.asked_people(), [BOB, MIA], "it is not asked again at once");
    world.advance(Duration::from_secs(61));
    let text = fake_jira::text(&world.opens_for("later", "").await.description);
    assert!(text.contains("Who may approve: @Bob Builder or @Mia Change"), "{text}");
    world.finish().await;
}

/// A Jira with the field `assignee` on its create screen, and this setting.
async fn with_assignee(flavour: Flavour, entry: &str) -> World {
    let world = World::start_with(flavour, &format!("ticket.assignee = \"{entry}\"")).await;
    world.jira.add_create_field("OPS", "Change", Field::optional("assignee", "Assignee", Shape::User));
    world.asks("confirm-promotion", "Progressing", "new").await;
    world
}

#[tokio::test]
async fn a_ticket_has_an_assignee() {
    for (flavour, entry, by) in
        [(Flavour::Cloud, MIA, "accountId"), (Flavour::DataCenter, "mia@example.com", "name")]
    {
        let world = with_assignee(flavour, entry).await;
        world.run_worker().await;
        let assignee = if by == "name" { "mia" } else { MIA };
        assert_eq!(world.tickets()[0].fields["assignee"], json!({ by: assignee }));
        world.finish().await;
    }
}

/// The ticket matters more than its assignee: one that Jira does not know or does not take is left out.
#[tokio::test]
async fn an_assignee_that_jira_does_not_take_is_left_out() {
    let (log, _guard) = Log::start();
    for flavour in [Flavour::Cloud, Flavour::DataCenter] {
        let world = with_assignee(flavour, "nobody").await;
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;

        let world = with_assignee(flavour, if flavour == Flavour::Cloud { MIA } else { "mia" }).await;
        let body =
            json!({ "errorMessages": [], "errors": { "assignee": "User 'mia' cannot be assigned issues." } });
        let refusal = Fault::Status { code: 400, retry_after: None, body: body.to_string() };
        world.jira.fault(Operation::CreateIssue, refusal, Times::Once);
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 1);
        assert!(world.tickets()[0].fields.get("assignee").is_none());
        world.finish().await;
    }
    let log = log.text();
    assert!(log.contains("cannot be assigned issues.; the ticket is opened without an assignee"), "{log}");
    assert!(log.contains("Jira does not show the account that is to be the assignee of a ticket"), "{log}");
}

/// Jira refuses a ticket without saying which field is wrong: it is tried without the assignee before it is parked.
#[tokio::test]
async fn a_refusal_without_a_field_may_mean_the_assignee() {
    for flavour in [Flavour::Cloud, Flavour::DataCenter] {
        let world = with_assignee(flavour, if flavour == Flavour::Cloud { MIA } else { "mia" }).await;
        let body = json!({ "errorMessages": ["Mia cannot be assigned issues."], "errors": {} }).to_string();
        let refusal = Fault::Status { code: 400, retry_after: None, body };
        world.jira.fault(Operation::CreateIssue, refusal, Times::Once);
        world.run_worker().await;
        assert!(world.tickets()[0].fields.get("assignee").is_none());
        // It may have been something in this ticket alone.
        let next = world.opens_for("shop", "").await;
        assert!(next.fields.get("assignee").is_some(), "{:?}", next.fields);
        world.finish().await;
    }
}

/// Jira's messages may repeat metadata: what they say of the assignee counts only if Jira names that field.
#[tokio::test]
async fn metadata_cannot_take_the_assignee_from_tickets() {
    let world = with_assignee(Flavour::Cloud, MIA).await;
    let body =
        json!({ "errorMessages": [], "errors": { "summary": "too long: x; assignee: no" } }).to_string();
    let refusal = Fault::Status { code: 400, retry_after: None, body };
    world.jira.fault(Operation::CreateIssue, refusal, Times::Once);
    world.run_worker().await;
    assert_eq!(world.gates().await[0]["state"], "stuck");
    let other = world.opens_for("shop", "").await;
    assert!(other.fields.get("assignee").is_some(), "{:?}", other.fields);
}

/// However many tickets Jira refuses, the create screen is read once.
#[tokio::test]
async fn refused_tickets_share_one_reading_of_the_create_screen() {
    let world = World::start_with(Flavour::Cloud, "ticket.fields.priority = \"High\"").await;
    let body = json!({ "errorMessages": [], "errors": { "priority": "a string is expected" } }).to_string();
    let refusal = Fault::Status { code: 400, retry_after: None, body };
    world.jira.fault(Operation::CreateIssue, refusal, Times::Always);
    for canary in ["cart", "shop", "till"] {
        let mut question = question("Progressing", "new");
        question["name"] = canary.into();
        world.posts("/gate/confirm-promotion", &question).await;
    }
    world.run_worker().await;
    let of = |operation: Operation| {
        world.jira.requests().into_iter().filter(|request| request.operation == operation).count()
    };
    assert_eq!((of(Operation::CreateIssue), of(Operation::CreateMetaFields)), (3, 1));
}

/// No two tickets have the same summary: neither two gates of a stage, nor two attempts to ship the same version.
#[tokio::test]
async fn no_two_tickets_read_the_same() {
    let world = World::start_with(Flavour::Cloud, "").await;
    for _ in 0..2 {
        world.asks("confirm-rollout", "Succeeded", "old").await;
        for gate in ["", "?gate=qa", "?gate=security"] {
            world.posts(&format!("/gate/confirm-promotion{gate}"), &question("Progressing", "new")).await;
        }
        world.run_worker().await;
        world.posts("/event", &question("Failed", "new")).await;
        world.posts("/post-rollout", &question("Failed", "new")).await;
        world.run_worker().await;
    }
    let mut summaries: Vec<String> = world.tickets().into_iter().map(|ticket| ticket.summary).collect();
    insta::assert_snapshot!(summaries.join("\n"), @r"
    Start the rollout of cart after revision old (default/shop) #1
    Promote cart revision new (default/shop) #1
    Promote cart revision new (default/shop) (qa) #1
    Promote cart revision new (default/shop) (security) #1
    Start the rollout of cart after revision old (default/shop) #2
    Promote cart revision new (default/shop) #2
    Promote cart revision new (default/shop) (qa) #2
    Promote cart revision new (default/shop) (security) #2
    ");
    let all = summaries.len();
    summaries.sort();
    summaries.dedup();
    assert_eq!(summaries.len(), all);
}
