//! Tickets that exist already, and that questions name (`ticket.use`).

use std::time::Duration;

use fake_jira::{BOB, Fault, MIA, Operation, Times};
use serde_json::{Value, json};

use crate::world::{Answer, World, log::Log, question};

// Without the tests that count requests or minutes.
crate::world::crash::crash_tests!(
    a_named_ticket_decides,
    a_question_that_names_no_ticket_gets_a_new_one,
    an_approval_from_before_does_not_count,
    what_was_done_before_counts_for_nothing,
    the_right_key_after_a_wrong_one,
    two_gates_that_name_the_same_ticket,
    a_ticket_is_given_back,
);

const USE: &str = "ticket.use = \"metadata.change\"";
const SECONDS_30: Duration = Duration::from_secs(30);
const SECONDS_20: Duration = Duration::from_secs(20);

/// Flagger's question before a promotion, whose hook sends this key.
fn naming(key: &str) -> Value {
    let mut question = question("Progressing", "new");
    question["metadata"] = json!({ "change": key });
    question
}

impl World {
    /// A change that somebody opened by hand.
    fn existing_change(&self) -> String {
        self.jira.add_issue("OPS", "Change", "To Do", BOB).unwrap()
    }

    async fn names(&self, key: &str) -> Answer {
        self.posts("/gate/confirm-promotion", &naming(key)).await
    }

    /// Asks with this key, and lets the bridge work on it for as long as a minute.
    async fn named(&self, key: &str) -> Answer {
        self.names(key).await;
        self.run_worker().await;
        for _ in 0..2 {
            self.advance(SECONDS_30);
            self.run_worker().await;
        }
        self.names(key).await
    }

    /// The words of the bridge's comments on an issue, each on one line.
    fn said_on(&self, key: &str) -> Vec<String> {
        let issue = self.jira.issue(key).unwrap();
        let said = |comment: &fake_jira::Comment| comment.text().replace('\n', " ").replace('\\', "");
        issue.comments.iter().map(said).collect()
    }

    fn times_said(&self, key: &str, words: &str) -> usize {
        self.said_on(key).iter().filter(|said| said.contains(words)).count()
    }

    /// The rollout fails, so that a gate that got no ticket waits for none any more.
    async fn ends(&self) {
        self.reports("/event", "Failed", "new").await;
        self.reports("/post-rollout", "Failed", "new").await;
    }

    /// The page and the API show the gate as stuck, for this reason.
    async fn is_stuck_everywhere(&self, words: &str) {
        let gates = self.gates().await;
        let reason = gates[0]["reason"].as_str().unwrap_or_default();
        assert!(gates[0]["state"] == "stuck" && reason.contains(words), "{words}: {gates}");
        assert!(gates[0]["ticket"].is_null(), "{gates}");
        let page = self.sends(self.admin("GET", "/")).await.body;
        let words = words.split('"').next().unwrap();
        assert!(page.contains(words), "{words}: {page}");
    }
}

/// The ticket that the hook names is marked first, and says on it what an approval does now; then it is decided like any other,
/// and told how it ended.
#[tokio::test]
async fn a_named_ticket_decides() {
    for world in World::both(USE).await {
        let key = world.existing_change();
        let closed = world.named(&key).await;
        assert!(closed.status == 403 && closed.body.contains("waiting for a decision"), "{}", closed.body);
        let issue = world.jira.issue(&key).unwrap();
        assert!(issue.labels.iter().any(|label| label == "flagger-gate"), "{:?}", issue.labels);
        assert!(issue.labels.iter().any(|label| label == "flagger-canary-cart"), "{:?}", issue.labels);
        assert!(issue.properties["flagger-jira-bridge"]["gate"].is_string());
        for words in [
            "This ticket now also decides about a rollout: Promote cart revision new, of shop/cart",
            "Who decides",
        ] {
            assert_eq!(world.times_said(&key, words), 1, "{words}: {:?}", world.said_on(&key));
        }
        assert_eq!(issue.status, "To Do", "the bridge does not move it");
        world.decides(&key, "Approved").await;
        let open = world.names(&key).await;
        assert!(open.status == 200 && open.body.contains(&key), "{}", open.body);
        world.reports("/event", "Succeeded", "new").await;
        world.run_worker().await;
        assert_eq!(world.times_said(&key, "succeeded"), 1, "{:?}", world.said_on(&key));
        assert!(world.jira.issue(&key).unwrap().labels.iter().any(|label| label == "flagger-ended"));
        assert_eq!(world.jira.issues().len(), 1, "no other ticket was opened");
        world.finish().await;
    }
}

#[tokio::test]
async fn a_question_that_names_no_ticket_gets_a_new_one() {
    for world in World::both(USE).await {
        let key = world.promotion_approved().await;
        assert_eq!(world.jira.issue(&key).unwrap().summary, "Promote cart revision new (default/shop) #1");
        for empty in ["", " "] {
            assert_eq!(world.names(empty).await.status, 200, "the gate keeps its ticket");
        }
        world.finish().await;
    }
}

/// Somebody names a ticket that was approved for something else: that does not count, not even if it was approved after
/// Flagger had asked. Moved back it is taken, and a later approval counts.
#[tokio::test]
async fn an_approval_from_before_does_not_count() {
    for world in World::both(USE).await {
        let key = world.existing_change();
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        let closed = world.named(&key).await;
        assert!(
            closed.status == 403 && closed.body.contains("was approved (\"Approved\")"),
            "{}",
            closed.body
        );
        assert_eq!(world.said_on(&key), Vec::<String>::new());
        world.jira.move_issue(&key, "To Do", MIA).unwrap();
        let closed = world.named(&key).await;
        assert!(closed.body.contains("waiting for a decision"), "{}", closed.body);
        world.decides(&key, "Approved").await;
        assert_eq!(world.names(&key).await.status, 200);
        world.finish().await;
    }
}

/// It is approved after the bridge marked it, and before the bridge could say on it what that does.
#[tokio::test]
async fn an_approval_before_the_comment_does_not_count() {
    for world in World::both(USE).await {
        let key = world.existing_change();
        let body = r#"{"errorMessages":["No comments today."],"errors":{}}"#.to_owned();
        let fault = Fault::Status { code: 400, retry_after: None, body };
        world.jira.fault(Operation::AddComment, fault, Times::Always);
        let closed = world.named(&key).await;
        assert!(closed.body.contains("the bridge may not comment on"), "{}", closed.body);
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.jira.clear_faults();
        let closed = world.named(&key).await;
        assert!(closed.status == 403 && closed.body.contains("was approved"), "{}", closed.body);
        world.jira.move_issue(&key, "In Review", MIA).unwrap();
        let closed = world.named(&key).await;
        assert!(closed.body.contains("waiting for a decision"), "{}", closed.body);
        world.decides(&key, "Approved").await;
        assert_eq!(world.names(&key).await.status, 200);
        world.finish().await;
    }
}

/// Each way in which a named ticket may be wrong has its words, and once that is corrected in Jira, the bridge takes it within a
/// minute.
#[tokio::test]
async fn every_wrong_ticket_has_its_words_and_can_be_corrected() {
    type Change = fn(&World, &str);
    let table: [(&str, Change, Change); 8] = [
        // The first: later, tickets of ended rollouts are labelled.
        (
            "the bridge may not mark",
            |world, _| world.jira.revoke("OPS", &["EDIT_ISSUES"]),
            |world, _| world.jira.revoke("OPS", &[]),
        ),
        (
            "is of the type \"Task\"",
            |world, key| world.jira.change_type(key, "Task", MIA).unwrap(),
            |world, key| world.jira.change_type(key, "Change", MIA).unwrap(),
        ),
        (
            "Jira does not show",
            |world, key| world.jira.hide_issue(key, true).unwrap(),
            |world, key| world.jira.hide_issue(key, false).unwrap(),
        ),
        (
            "was approved (\"Approved\")",
            |world, key| world.jira.move_issue(key, "Approved", MIA).unwrap(),
            |world, key| world.jira.move_issue(key, "To Do", MIA).unwrap(),
        ),
        (
            "was rejected (\"Rejected\")",
            |world, key| world.jira.move_issue(key, "Rejected", MIA).unwrap(),
            |world, key| world.jira.move_issue(key, "To Do", MIA).unwrap(),
        ),
        (
            "was closed (\"Done\")",
            |world, key| world.jira.move_issue(key, "Done", MIA).unwrap(),
            |world, key| world.jira.move_issue(key, "In Review", MIA).unwrap(),
        ),
        (
            "is marked as the ticket of another gate",
            |world, key| world.jira.edit_labels(key, &["fjb-00"], &[], MIA).unwrap(),
            |world, key| world.jira.edit_labels(key, &[], &["fjb-00"], MIA).unwrap(),
        ),
        (
            "has the label flagger-ended",
            |world, key| world.jira.edit_labels(key, &["flagger-ended"], &[], MIA).unwrap(),
            |world, key| world.jira.edit_labels(key, &[], &["flagger-ended"], MIA).unwrap(),
        ),
    ];
    for world in World::both(USE).await {
        for (nth, (words, spoil, correct)) in table.into_iter().enumerate() {
            let key = world.existing_change();
            spoil(&world, &key);
            let mut question = naming(&key);
            question["checksum"] = json!(format!("new-{nth}"));
            let asks = async || world.posts("/gate/confirm-promotion", &question).await;
            asks().await;
            world.run_worker().await;
            let closed = asks().await;
            assert!(closed.status == 403 && closed.body.contains(words), "{words}: {}", closed.body);
            assert!(
                closed.body.starts_with("closed: stuck: the ticket that the question names"),
                "{}",
                closed.body
            );
            world.is_stuck_everywhere(words).await;
            correct(&world, &key);
            world.advance(SECONDS_30);
            world.run_worker().await;
            let closed = asks().await;
            assert!(closed.body.contains("waiting for a decision"), "{words}: {}", closed.body);
        }
        world.finish().await;
    }
}

/// What no correction in Jira can mend: another project, and what is no key. Nothing of it reaches Jira's search.
#[tokio::test]
async fn other_projects_and_texts_that_are_no_keys() {
    for world in World::both(USE).await {
        let other = world.jira.add_issue("PAY", "Change", "To Do", BOB).unwrap();
        let moved = world.existing_change();
        let now = world.jira.move_to_project(&moved, "PAY", MIA).unwrap();
        for (key, words) in [
            (other.as_str(), format!("{other} is not in OPS, and the tickets of this gate have to be")),
            (&moved, format!("{moved} was moved and is {now} now, which is not in OPS")),
            ("OPS-99", "Jira does not show OPS-99".to_owned()),
            ("ops-1", "which is not the key of a ticket, such as CHG-7".to_owned()),
            ("OPS-1 OR project = PAY", "metadata.change is \"OPS-1 OR project = PAY\"".to_owned()),
            ("../myself", "which is not the key of a ticket".to_owned()),
        ] {
            world.jira.clear_requests();
            let closed = world.named(key).await;
            assert!(closed.status == 403 && closed.body.contains(&words), "{words}: {}", closed.body);
            if !key.starts_with("OPS-99") && key.contains(|c: char| !c.is_ascii_uppercase()) {
                let sent = |request: &fake_jira::Recorded| format!("{request:?}").contains("OR project");
                assert!(!world.jira.requests().iter().any(sent));
            }
        }
        let key = world.existing_change();
        assert!(world.named(&key).await.body.contains("waiting for a decision"));
        for untouched in [&other, &now] {
            assert_eq!(world.jira.issue(untouched).unwrap().labels, Vec::<String>::new());
        }
        world.finish().await;
    }
}

/// A question with another key is looked at right away.
#[tokio::test]
async fn the_right_key_after_a_wrong_one() {
    for world in World::both(USE).await {
        let key = world.existing_change();
        world.named("OPS-99").await;
        world.names(&key).await;
        world.run_worker().await;
        let closed = world.names(&key).await;
        assert!(closed.body.contains("waiting for a decision"), "{}", closed.body);
        // A gate keeps the ticket that it has.
        let other = world.existing_change();
        assert!(world.named(&other).await.body.contains(&key));
        assert_eq!(world.said_on(&other), Vec::<String>::new());
        world.decides(&key, "Approved").await;
        assert_eq!(world.names(&other).await.status, 200);
        world.finish().await;
    }
}

/// Two gates name the same ticket at the same time: one has it, and the other says so. So does a later rollout.
#[tokio::test]
async fn two_gates_that_name_the_same_ticket() {
    for world in World::both(USE).await {
        let key = world.existing_change();
        let asks = async |gate: &str| {
            world.posts(&format!("/gate/confirm-promotion?gate={gate}"), &naming(&key)).await
        };
        asks("qa").await;
        asks("security").await;
        for _ in 0..3 {
            world.run_worker().await;
            world.advance(SECONDS_30);
        }
        let answers = [asks("qa").await.body, asks("security").await.body];
        let count = |words: &str| answers.iter().filter(|body| body.contains(words)).count();
        assert_eq!(count("waiting for a decision"), 1, "{answers:?}");
        assert_eq!(count("ticket of another gate"), 1, "{answers:?}");
        assert_eq!(world.times_said(&key, "also decides about a rollout"), 1);
        world.decides(&key, "Approved").await;
        assert_eq!([asks("qa").await.status, asks("security").await.status].iter().sum::<u16>(), 603);
        world.ends().await;
        world.run_worker().await;
        let mut later = naming(&key);
        later["checksum"] = json!("newer");
        world.posts("/gate/confirm-promotion", &later).await;
        world.run_worker().await;
        let closed = world.posts("/gate/confirm-promotion", &later).await;
        assert!(closed.body.contains("is or was the ticket of another gate"), "{}", closed.body);
        world.reports("/post-rollout", "Failed", "newer").await;
        world.finish().await;
    }
}

impl World {
    /// The bridge marks one ticket, meets this fault when it comments, and then another ticket is named.
    async fn names_another_after(&self, fault: Fault) -> String {
        let (wrong, right) = (self.existing_change(), self.existing_change());
        self.jira.fault(Operation::AddComment, fault, Times::Always);
        self.names(&wrong).await;
        self.run_worker().await;
        self.jira.clear_faults();
        self.names(&right).await;
        self.run_worker().await;
        let closed = self.names(&right).await.body;
        assert!(closed.contains(&right) && closed.contains("waiting for a decision"), "{closed}");
        let issue = self.jira.issue(&wrong).unwrap();
        assert_eq!(issue.labels, Vec::<String>::new());
        assert!(issue.properties.get("flagger-jira-bridge").is_none_or(|mark| mark["gate"].is_null()));
        wrong
    }
}

/// A ticket that was marked, and then another one was named, is free again.
#[tokio::test]
async fn a_ticket_is_given_back() {
    for world in World::both(USE).await {
        let body = r#"{"errorMessages":["No comments today."],"errors":{}}"#.to_owned();
        let wrong = world.names_another_after(Fault::Status { code: 400, retry_after: None, body }).await;
        assert_eq!(world.said_on(&wrong), Vec::<String>::new());
        world.finish().await;
    }
}

/// If the bridge commented on it, it takes that back.
#[tokio::test]
async fn a_ticket_that_was_given_back_says_so() {
    for world in World::both(USE).await {
        let wrong = world.names_another_after(Fault::ActedBut(502)).await;
        assert_eq!(world.times_said(&wrong, "also decides about a rollout"), 1);
        assert_eq!(world.times_said(&wrong, "No rollout waits for this ticket any more"), 1);
        world.finish().await;
    }
}

/// Jira carries out the mark and the comment, and the answers are lost: each is made once.
#[tokio::test]
async fn lost_answers() {
    for world in World::both(USE).await {
        let key = world.existing_change();
        for operation in [Operation::EditIssue, Operation::AddComment] {
            world.jira.fault(operation, Fault::LostAnswer, Times::Once);
        }
        let closed = world.named(&key).await;
        assert!(closed.body.contains("waiting for a decision"), "{}", closed.body);
        assert_eq!(world.times_said(&key, "also decides about a rollout"), 1);
        world.decides(&key, "Approved").await;
        assert_eq!(world.names(&key).await.status, 200);
        world.finish().await;
    }
}

/// The owner of a ticket that was named by mistake closes it to the rollout with a label.
#[tokio::test]
async fn its_owner_can_refuse() {
    let (log, _guard) = Log::start();
    for world in World::both(USE).await {
        let key = world.existing_change();
        world.named(&key).await;
        world.jira.edit_labels(&key, &["flagger-ended"], &[], BOB).unwrap();
        world.decides(&key, "Approved").await;
        assert_eq!(world.names(&key).await.status, 403);
        world.run_worker().await;
        let closed = world.names(&key).await;
        assert!(closed.status == 403 && closed.body.contains("ticket of another gate"), "{}", closed.body);
        world.advance(SECONDS_20);
        world.ends().await;
        world.finish().await;
    }
    assert!(log.text().contains("took the existing ticket that the question names"), "{}", log.text());
}

/// The endings move an existing ticket only where `ticket.transitions` say so, and its first status is for its owner to say.
#[tokio::test]
async fn transitions_of_an_existing_ticket() {
    let settings = format!("{USE}\nticket.transitions = {{ opened = \"In Review\", succeeded = \"Done\" }}");
    for world in World::both(&settings).await {
        let key = world.existing_change();
        world.named(&key).await;
        assert_eq!(world.jira.issue(&key).unwrap().status, "To Do");
        world.decides(&key, "Approved").await;
        assert_eq!(world.names(&key).await.status, 200);
        world.reports("/event", "Succeeded", "new").await;
        world.run_worker().await;
        assert_eq!(world.jira.issue(&key).unwrap().status, "Done");
        // People move it on, which is no late decision.
        world.drain_outbox().await;
        world.advance(SECONDS_30);
        world.jira.move_issue(&key, "In Review", BOB).unwrap();
        world.nudges(&key).await;
        world.run_worker().await;
        assert_eq!(world.times_said(&key, "No rollout of this canary is waiting"), 0);
        world.advance(SECONDS_30);
        world.jira.move_issue(&key, "Approved", BOB).unwrap();
        for _ in 0..10 {
            world.advance(SECONDS_30 * 2);
            world.run_worker().await;
        }
        assert_eq!(
            world.times_said(&key, "No rollout of this canary is waiting"),
            1,
            "{:?}",
            world.said_on(&key)
        );
        world.finish().await;
    }
}

/// A step of an approval and a label that lifts a freeze were not meant for a rollout that had not asked yet.
#[tokio::test]
async fn what_was_done_before_counts_for_nothing() {
    let settings = format!(
        "{USE}\napproval.steps = [\"In Review\", \"Approved\"]\nfreezes = [{{ match = {{}}, from = \"2026-09-01T00:00:00Z\", \
         until = \"2026-10-01T00:00:00Z\", except = {{ labels = [\"emergency\"] }} }}]"
    );
    for world in World::both(&settings).await {
        let key = world.existing_change();
        world.jira.set_labels(&key, &["emergency"], MIA).unwrap();
        world.jira.move_issue(&key, "In Review", MIA).unwrap();
        world.advance(SECONDS_30);
        let moves = async |status: &str, who: &str| {
            world.jira.move_issue(&key, status, who).unwrap();
            world.advance(SECONDS_30);
            world.run_worker().await;
        };
        let waiting = world.named(&key).await;
        let why = "does not count: it was made before the bridge commented here what an approval does";
        assert!(waiting.status == 403 && waiting.body.contains(why), "{waiting:?}");
        moves("Approved", BOB).await;
        let closed = world.names(&key).await;
        assert!(closed.status == 403 && closed.body.contains(why), "{closed:?}");
        moves("To Do", BOB).await;
        moves("In Review", MIA).await;
        moves("Approved", BOB).await;
        let frozen = world.names(&key).await;
        let why =
            "does not count, because Mia Change set it, and it was made before the bridge commented here";
        assert!(frozen.status == 403 && frozen.body.contains(why), "{frozen:?}");
        world.jira.set_labels(&key, &[], MIA).unwrap();
        world.advance(SECONDS_30);
        world.jira.set_labels(&key, &["emergency"], MIA).unwrap();
        world.advance(SECONDS_30);
        world.run_worker().await;
        let open = world.names(&key).await;
        assert_eq!(open.status, 200, "{open:?}");
        world.finish().await;
    }
}

/// A ticket that was given back and is taken again says once more what an approval does.
#[tokio::test]
async fn a_ticket_that_is_taken_again() {
    for world in World::both(USE).await {
        let key = world.existing_change();
        world.jira.fault(Operation::AddComment, Fault::ActedBut(502), Times::Always);
        world.names(&key).await;
        world.run_worker().await;
        world.jira.clear_faults();
        world.named("OPS-999").await;
        assert_eq!(world.times_said(&key, "No rollout waits for this ticket any more"), 1);
        let waiting = world.named(&key).await;
        assert!(
            waiting.body.contains(&key) && waiting.body.contains("waiting for a decision"),
            "{waiting:?}"
        );
        assert_eq!(world.times_said(&key, "also decides about a rollout"), 2);
        assert!(world.said_on(&key).last().unwrap().contains("also decides about a rollout"));
        world.decides(&key, "Approved").await;
        assert_eq!(world.names(&key).await.status, 200);
        world.finish().await;
    }
}
