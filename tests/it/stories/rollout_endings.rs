//! When a rollout ends, its tickets get one comment that says how, and open nothing any more.

use std::time::Duration;

use fake_jira::{Fault, IssueView, MIA, Operation, Times};
use serde_json::json;

use crate::world::{World, question};

// Without the tests that count refusals, which a process keeps in memory, or in which Flagger stops asking at the gate.
crate::world::crash::crash_tests!(
    succeeded,
    failed,
    superseded,
    abandoned,
    bypassed,
    rejected_tickets_are_only_commented_on,
    a_late_move_is_answered_once,
    a_transition_that_does_not_exist,
    progress,
    a_rejection_that_rolls_nothing_back_says_so,
    progress_before_the_end,
    the_first_move_undoes_no_decision,
    a_user_labels_the_ticket_of_a_waiting_gate,
);

const MINUTE: Duration = Duration::from_secs(60);
const TRANSITIONS: &str = "ticket.transitions = { succeeded = \"Done\", failed = \"Cancelled\", superseded = \"Cancelled\", \
                           abandoned = \"Cancelled\" }";

/// The comments of a ticket, as text, oldest first.
fn comments(ticket: &IssueView) -> Vec<String> {
    ticket.comments.iter().map(|comment| comment.text().replace('\n', " ")).collect()
}

impl World {
    fn ticket(&self, key: &str) -> IssueView {
        self.jira.issue(key).unwrap()
    }

    /// Opens a promotion gate, moves its ticket to a status, and checks the next answer. Returns the ticket's key.
    async fn promotion(&self, checksum: &str, status: &str) -> String {
        self.asks("confirm-promotion", "Progressing", checksum).await;
        self.run_worker().await;
        let key = self.newest();
        if status != "To Do" {
            self.decides(&key, status).await;
        }
        let expected = if status == "Approved" { 200 } else { 403 };
        assert_eq!(self.asks("confirm-promotion", "Progressing", checksum).await.status, expected);
        key
    }

    fn assert_ended(&self, key: &str, comment: &str, status: &str) {
        let ticket = self.ticket(key);
        let texts = comments(&ticket);
        assert_eq!(
            texts.iter().filter(|said| said.contains("no longer controls anything")).count(),
            1,
            "{key}: {texts:?}"
        );
        assert!(texts.iter().any(|said| said.contains(comment)), "{key}: {texts:?}");
        assert_eq!(ticket.labels.iter().filter(|label| *label == "flagger-ended").count(), 1, "{key}");
        assert_eq!(ticket.status, status, "{key}");
    }
}

#[tokio::test]
async fn succeeded() {
    for world in World::both(TRANSITIONS).await {
        let key = world.promotion("new", "Approved").await;
        world.reports("/post-rollout", "Succeeded", "new").await;
        world.reports("/event", "Succeeded", "new").await;
        world.run_worker().await;
        world.assert_ended(&key, "succeeded", "Done");
        world.finish().await;
    }
}

#[tokio::test]
async fn failed() {
    for world in World::both(TRANSITIONS).await {
        let key = world.promotion("new", "To Do").await;
        world.reports("/event", "Failed", "new").await;
        world.reports("/post-rollout", "Failed", "new").await;
        world.run_worker().await;
        world.assert_ended(&key, "failed", "Cancelled");
        world.finish().await;
    }
}

/// Another rollout replaced it: the old ticket is linked to the new one.
#[tokio::test]
async fn superseded() {
    for world in World::both(TRANSITIONS).await {
        let old = world.promotion("v2", "Approved").await;
        let new = world.promotion("v3", "To Do").await;
        assert_ne!(old, new);
        world.run_worker().await;
        world.assert_ended(&old, "superseded", "Cancelled");
        let links = world.ticket(&old).links;
        assert_eq!(links.len(), 1, "{links:?}");
        assert!(format!("{links:?}").contains(&world.ticket(&new).id), "{links:?}");
        assert_eq!(world.ticket(&new).status, "To Do");
        world.finish().await;
    }
}

/// A new leader looks for abandoned rollouts at once, not a minute later.
#[tokio::test]
async fn abandoned_when_another_process_takes_over() {
    for world in World::both("rollout.abandon_after = \"2m\"").await {
        world.promotion("new", "To Do").await;
        let exists = async || {
            world.advance(MINUTE / 12);
            world.ticks().await;
            !world.gates().await.as_array().unwrap().is_empty()
        };
        for second in (5..=150).step_by(5) {
            assert!(exists().await, "abandoned after {second} s");
        }
        world.restarts().await;
        // By then the previous leader's lease has ended.
        let after = [exists().await, exists().await, exists().await];
        assert!(!after[2], "{after:?}");
        world.finish().await;
    }
}

#[tokio::test]
async fn abandoned() {
    for world in World::both(&format!("{TRANSITIONS}\nrollout.abandon_after = \"2m\"")).await {
        let key = world.promotion("new", "To Do").await;
        for second in (5..=240).step_by(5) {
            world.advance(MINUTE / 12);
            world.ticks().await;
            let exists = !world.gates().await.as_array().unwrap().is_empty();
            // The worker looks for abandoned rollouts once a minute.
            assert!(exists || second > 120, "abandoned after {second} s");
            assert!(!exists || second < 200, "still there after {second} s");
        }
        world.run_worker().await;
        world.assert_ended(&key, "abandoned", "Cancelled");
        world.finish().await;
    }
}

/// The rollout succeeded past a gate that never opened: the ticket says so, and keeps its status.
#[tokio::test]
async fn bypassed() {
    for world in World::both(TRANSITIONS).await {
        let key = world.promotion("new", "To Do").await;
        world.reports("/post-rollout", "Succeeded", "new").await;
        world.run_worker().await;
        world.assert_ended(&key, "shipped WITHOUT this approval", "To Do");
        world.finish().await;
    }
    let settings = "ticket.transitions.bypassed = { to = \"Done\" }";
    for world in World::both(settings).await {
        let key = world.promotion("new", "To Do").await;
        world.reports("/post-rollout", "Succeeded", "new").await;
        world.run_worker().await;
        world.assert_ended(&key, "WITHOUT this approval", "Done");
        world.finish().await;
    }
}

/// A ticket that a person rejected keeps its status.
#[tokio::test]
async fn rejected_tickets_are_only_commented_on() {
    for world in World::both(TRANSITIONS).await {
        let key = world.promotion("new", "Rejected").await;
        assert_eq!(world.asks("rollback", "WaitingPromotion", "new").await.status, 200);
        world.reports("/event", "Failed", "new").await;
        assert_eq!(
            world.asks("rollback", "WaitingPromotion", "new").await.status,
            200,
            "until the rollback is done"
        );
        world.reports("/post-rollout", "Failed", "new").await;
        assert_eq!(world.asks("rollback", "WaitingPromotion", "new").await.status, 403);
        world.run_worker().await;
        world.assert_ended(&key, "failed", "Rejected");
        world.finish().await;
    }
}

/// A later move of an ended ticket opens nothing, and is answered by one comment that names the current ticket.
#[tokio::test]
async fn a_late_move_is_answered_once() {
    for world in World::both("").await {
        let old = world.promotion("v2", "To Do").await;
        let new = world.promotion("v3", "To Do").await;
        world.run_worker().await;
        world.advance(MINUTE);
        for status in ["Approved", "Rejected", "Approved"] {
            world.jira.move_issue(&old, status, MIA).unwrap();
            assert_eq!(world.nudges(&old).await.status, 200);
            world.advance(MINUTE);
            world.run_worker().await;
        }
        let late: Vec<String> =
            comments(&world.ticket(&old)).into_iter().filter(|said| said.contains("has ")).collect();
        assert_eq!(late.len(), 1, "{late:?}");
        assert!(late[0].contains(&new), "{late:?}");
        assert_eq!(world.asks("confirm-promotion", "Progressing", "v3").await.status, 403);
        world.finish().await;
    }
}

/// The bridge's own moves are not late moves, and a missing transition causes one comment, not a loop.
#[tokio::test]
async fn a_transition_that_does_not_exist() {
    let settings = "ticket.transitions = { opened = \"In Review\", failed = \"Nowhere\" }";
    for world in World::both(settings).await {
        let key = world.promotion("new", "To Do").await;
        assert_eq!(world.ticket(&key).status, "In Review");
        world.reports("/post-rollout", "Failed", "new").await;
        for _ in 0..3 {
            world.run_worker().await;
            world.advance(60 * MINUTE);
            world.nudges(&key).await;
        }
        let texts = comments(&world.ticket(&key));
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[1].contains("no transition leads to \"Nowhere\""), "{texts:?}");
        world.finish().await;
    }
}

/// Flagger's reports reach the ticket as few comments: batched for a minute, each message once.
#[tokio::test]
async fn progress() {
    for world in World::both("").await {
        let key = world.promotion("new", "To Do").await;
        for second in 0..300 {
            let mut event = question("Progressing", "new");
            let words = format!("Halt advancement success rate {}.00% < 99%", 90 + second % 7);
            event["metadata"] = json!({ "eventMessage": words, "eventType": "Warning", "timestamp": "1" });
            world.posts("/event", &event).await;
            world.advance(MINUTE / 60);
            world.run_worker().await;
        }
        let texts = comments(&world.ticket(&key));
        assert_eq!(texts.len(), 1, "{texts:?}");
        for rate in 90..97 {
            assert!(texts[0].contains(&format!("success rate {rate}.00%")), "{texts:?}");
        }
        world.finish().await;
    }
}

/// The comment on a rejection says what will and will not happen.
#[tokio::test]
async fn a_rejection_that_rolls_nothing_back_says_so() {
    for world in World::both("").await {
        let promotion = world.promotion("new", "Rejected").await;
        let texts = comments(&world.ticket(&promotion));
        assert!(texts[0].contains("Flagger has not asked yet whether to roll back"), "{texts:?}");
        world.asks("confirm-rollout", "Succeeded", "new").await;
        world.run_worker().await;
        let rollout = world.newest();
        world.decides(&rollout, "Rejected").await;
        let texts = comments(&world.ticket(&rollout));
        assert!(texts[0].contains("there is nothing to roll back"), "{texts:?}");
        world.finish().await;
    }
}

#[tokio::test]
async fn an_approval_that_is_too_old_is_not_used() {
    for world in World::both("approval.valid_for = \"1h\"").await {
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        let key = world.newest();
        world.decides(&key, "Approved").await;
        for _ in 0..7 {
            // Flagger reports, so that the rollout is not abandoned, but does not ask.
            world.advance(10 * MINUTE);
            world.reports("/event", "Progressing", "new").await;
            world.run_worker().await;
        }
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("not used within 1h; move"), "{}", answer.body);
        assert_eq!(world.gates().await[0]["state"], "expired");
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        let texts = comments(&world.ticket(&key));
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(texts[0].contains("more than 1 hour old"), "{texts:?}");
        world.decides(&key, "To Do").await;
        world.decides(&key, "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
        world.finish().await;
    }
}

/// Beyond the limits nothing is opened, and the answer, the page and the metric say why.
#[tokio::test]
async fn budgets() {
    for world in World::both("limits = { tickets_per_canary_per_hour = 3, open_tickets = 5 }").await {
        // Two clusters use one name: each question is about another revision.
        for number in 0..20 {
            world.asks("confirm-promotion", "Progressing", &format!("v{}", number % 2)).await;
            world.advance(MINUTE);
            world.run_worker().await;
        }
        assert_eq!(world.tickets().len(), 3);
        let answer = world.asks("confirm-promotion", "Progressing", "v9").await;
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("limits.tickets_per_canary_per_hour"), "{}", answer.body);
        // Another canary still gets its ticket.
        let mut other = question("Progressing", "v1");
        other["name"] = "till".into();
        world.posts("/gate/confirm-promotion", &other).await;
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 4);
        // Made-up canaries: tickets up to the limit, and nothing stored for the others.
        for number in 0..100 {
            other["name"] = format!("made-up-{number}").into();
            let answer = world.posts("/gate/confirm-promotion", &other).await;
            assert_eq!(answer.status, 403);
            if number > 10 {
                assert!(answer.body.contains("limits.open_tickets"), "{}", answer.body);
            }
        }
        for number in 0..50 {
            other["name"] = format!("rolled-back-{number}").into();
            assert_eq!(world.posts("/gate/rollback", &other).await.status, 403);
        }
        world.run_worker().await;
        // Three tickets of cart's ended rollouts, and the allowed number of open ones.
        assert_eq!(world.tickets().len(), 3 + 5, "the allowed number and no more");
        let gates = world.gates().await;
        let gates = gates.as_array().unwrap();
        let refused = gates.iter().filter(|gate| gate["reason"].as_str().unwrap().contains("limits."));
        assert!(refused.count() > 90, "the page says why");
        let page = world.sends(world.admin("GET", "/")).await.body;
        assert!(page.contains("limits.open_tickets"), "{page}");
        let metrics = world.sends(world.admin("GET", "/metrics")).await.body;
        for reason in ["tickets_per_canary_per_hour", "open_tickets"] {
            let counter = format!("tickets_refused_total{{reason=\"{reason}\"}} ");
            assert!(metrics.contains(&counter) && !metrics.contains(&format!("{counter}0\n")), "{metrics}");
        }
        // Nothing is stored for unknown canaries.
        world.advance(2 * MINUTE);
        world.ticks().await;
        for table in ["canary", "heard"] {
            assert_eq!(world.count(table).await, 1 + 5, "{table}: cart, and those with open tickets");
        }
        assert!(world.count("audit").await < 40, "a repeated refusal is recorded once");
        world.finish().await;
    }
}

/// Flagger's last messages are written before the comment about the end.
#[tokio::test]
async fn progress_before_the_end() {
    for world in World::both("").await {
        let key = world.promotion("new", "To Do").await;
        let mut event = question("Progressing", "new");
        event["metadata"] =
            json!({ "eventMessage": "Halt: checks failed", "eventType": "Warning", "timestamp": "1" });
        world.posts("/event", &event).await;
        world.reports("/post-rollout", "Failed", "new").await;
        world.run_worker().await;
        let texts = comments(&world.ticket(&key));
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[0].contains("Halt: checks failed") && texts[1].contains("failed"), "{texts:?}");
        world.finish().await;
    }
}

/// The bridge's first move is delayed: a person's decision made meanwhile stays.
#[tokio::test]
async fn the_first_move_undoes_no_decision() {
    for status in ["Approved", "Rejected"] {
        for world in World::both("ticket.transitions.opened = \"In Review\"").await {
            let body = "{\"errorMessages\":[\"internal\"]}".into();
            let fault = Fault::Status { code: 500, retry_after: None, body };
            world.jira.fault(Operation::DoTransition, fault, Times::Once);
            world.asks("confirm-promotion", "Progressing", "new").await;
            world.run_worker().await;
            let key = world.newest();
            world.decides(&key, status).await;
            world.advance(MINUTE);
            world.run_worker().await;
            assert_eq!(world.ticket(&key).status, status);
            world.finish().await;
        }
    }
}

/// A running rollout is rejected in the ticket of its first gate: it rolls back, and the comment says so.
#[tokio::test]
async fn a_late_rejection_at_the_first_gate() {
    for world in World::both("").await {
        world.asks("confirm-rollout", "Initialized", "old").await;
        world.run_worker().await;
        let key = world.newest();
        world.decides(&key, "Approved").await;
        assert_eq!(world.asks("confirm-rollout", "Waiting", "old").await.status, 200);
        world.asks("rollback", "Progressing", "new").await;
        world.decides(&key, "Rejected").await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
        let texts = comments(&world.ticket(&key));
        assert!(!texts.iter().any(|said| said.contains("there is nothing to roll back")), "{texts:?}");
        world.finish().await;
    }
}

/// Jira refuses a comment with Flagger's messages: it is retried soon, and later messages are written at the latest
/// when the rollout ends.
#[tokio::test]
async fn progress_that_failed_comes_before_the_end() {
    for world in World::both("").await {
        let key = world.promotion("new", "To Do").await;
        let says = async |words: &str| {
            let mut event = question("Progressing", "new");
            event["metadata"] = json!({ "eventMessage": words, "eventType": "Normal", "timestamp": "1" });
            assert_eq!(world.posts("/event", &event).await.status, 200);
        };
        says("the first words").await;
        world.advance(MINUTE);
        world.jira.fault(Operation::AddComment, Fault::ActedBut(503), Times::Once);
        world.run_worker().await;
        says("the last words").await;
        world.reports("/post-rollout", "Failed", "new").await;
        world.run_worker().await;
        let texts = comments(&world.ticket(&key));
        let [first, last, end] = texts.as_slice() else { panic!("{texts:?}") };
        assert!(first.contains("the first words"), "{texts:?}");
        assert!(last.contains("the last words") && end.contains("failed"), "{texts:?}");

        let key = world.promotion("newer", "To Do").await;
        let mut event = question("Progressing", "newer");
        event["metadata"] = json!({ "eventMessage": "Halt", "eventType": "Warning", "timestamp": "1" });
        world.posts("/event", &event).await;
        world.advance(MINUTE);
        world.jira.fault(Operation::AddComment, Fault::Dropped, Times::Once);
        world.run_worker().await;
        world.advance(MINUTE / 6);
        world.run_worker().await;
        assert_eq!(comments(&world.ticket(&key)).len(), 1, "retried soon");
        world.finish().await;
    }
}

/// The answer to the last move was lost, and a person moved the ticket before the bridge read it: the bridge does not
/// repeat its move.
#[tokio::test]
async fn a_move_whose_answer_was_lost_is_not_made_twice() {
    for world in World::both(TRANSITIONS).await {
        let key = world.promotion("new", "Approved").await;
        world.jira.fault(Operation::DoTransition, Fault::LostAnswer, Times::Once);
        world.reports("/post-rollout", "Succeeded", "new").await;
        world.run_worker().await;
        assert_eq!(world.ticket(&key).status, "Done");
        world.advance(Duration::from_millis(10));
        world.jira.move_issue(&key, "In Review", MIA).unwrap();
        world.advance(MINUTE);
        world.run_worker().await;
        assert_eq!(world.ticket(&key).status, "In Review");
        world.finish().await;
    }
}

/// A user puts the label of ended tickets on the ticket of a waiting gate: the ticket opens nothing any more, gets one
/// comment that says so, and another one replaces it.
#[tokio::test]
async fn a_user_labels_the_ticket_of_a_waiting_gate() {
    for world in World::both(TRANSITIONS).await {
        let old = world.promotion("new", "Approved").await;
        world.jira.edit_labels(&old, &["flagger-ended"], &[], MIA).unwrap();
        world.advance(MINUTE);
        world.run_worker().await;
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        world.run_worker().await;
        let new = world.newest();
        assert_ne!(old, new);
        world.assert_ended(&old, "has the label flagger-ended", "Approved");
        let links = world.ticket(&old).links;
        assert!(links.len() == 1 && format!("{links:?}").contains(&world.ticket(&new).id), "{links:?}");

        // It stays ended after the label is removed, and a comment says so.
        world.advance(MINUTE);
        world.jira.edit_labels(&old, &[], &["flagger-ended"], MIA).unwrap();
        for status in ["To Do", "Approved"] {
            world.jira.move_issue(&old, status, MIA).unwrap();
            assert_eq!(world.nudges(&old).await.status, 200);
            world.advance(MINUTE);
            world.run_worker().await;
        }
        let texts = comments(&world.ticket(&old));
        let late = texts.iter().filter(|said| said.contains(&format!("is waiting now has {new}"))).count();
        assert_eq!(late, 1, "{texts:?}");
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        assert!(answer.status == 403 && answer.body.contains(&new), "{}", answer.body);

        world.decides(&new, "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
        world.reports("/post-rollout", "Succeeded", "new").await;
        world.run_worker().await;
        world.assert_ended(&new, "succeeded", "Done");
        world.finish().await;
    }
}
