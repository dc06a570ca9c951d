//! Old approvals are dead: when a rollout ends, its tickets are told how, once, and open nothing any more.

use std::time::Duration;

use fake_jira::{Fault, IssueView, MIA, Operation, Times};
use serde_json::json;

use crate::world::{World, question};

// Not those that count refusals, which are remembered by one process, or in which Flagger asks no more at the gate.
crate::world::crash::crash_tests!(
    succeeded,
    failed,
    superseded,
    abandoned,
    bypassed,
    rejected_tickets_are_only_commented_on,
    a_late_move_is_answered_once,
    a_way_that_does_not_exist,
    progress,
    what_a_rejection_does_not_do,
    progress_before_the_end,
    the_first_move_undoes_no_decision,
    somebody_labels_a_ticket_that_is_waited_for,
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

    /// A promotion gate with its ticket, moved to a status and, if that opens it, used.
    async fn promotion(&self, checksum: &str, status: &str) -> String {
        self.asks("confirm-promotion", "Progressing", checksum).await;
        self.works().await;
        let key = self.newest();
        if status != "To Do" {
            self.decides(&key, status).await;
        }
        let expected = if status == "Approved" { 200 } else { 403 };
        assert_eq!(self.asks("confirm-promotion", "Progressing", checksum).await.status, expected);
        key
    }

    fn is_dead(&self, key: &str, comment: &str, status: &str) {
        let ticket = self.ticket(key);
        let told = comments(&ticket);
        assert_eq!(
            told.iter().filter(|said| said.contains("opens nothing any more")).count(),
            1,
            "{key}: {told:?}"
        );
        assert!(told.iter().any(|said| said.contains(comment)), "{key}: {told:?}");
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
        world.works().await;
        world.is_dead(&key, "succeeded", "Done");
        world.finish().await;
    }
}

#[tokio::test]
async fn failed() {
    for world in World::both(TRANSITIONS).await {
        let key = world.promotion("new", "To Do").await;
        world.reports("/event", "Failed", "new").await;
        world.reports("/post-rollout", "Failed", "new").await;
        world.works().await;
        world.is_dead(&key, "failed", "Cancelled");
        world.finish().await;
    }
}

/// Another rollout took its place: the old ticket is linked to the new one.
#[tokio::test]
async fn superseded() {
    for world in World::both(TRANSITIONS).await {
        let old = world.promotion("v2", "Approved").await;
        let new = world.promotion("v3", "To Do").await;
        assert_ne!(old, new);
        world.works().await;
        world.is_dead(&old, "superseded", "Cancelled");
        let links = world.ticket(&old).links;
        assert_eq!(links.len(), 1, "{links:?}");
        assert!(format!("{links:?}").contains(&world.ticket(&new).id), "{links:?}");
        assert_eq!(world.ticket(&new).status, "To Do");
        world.finish().await;
    }
}

/// Whoever takes over looks for silence at once, and not a minute later.
#[tokio::test]
async fn abandoned_as_another_takes_over() {
    for world in World::both("rollout.abandon_after = \"2m\"").await {
        world.promotion("new", "To Do").await;
        let lives = async || {
            world.later(MINUTE / 12);
            world.ticks().await;
            !world.gates().await.as_array().unwrap().is_empty()
        };
        for second in (5..=150).step_by(5) {
            assert!(lives().await, "abandoned after {second} s");
        }
        world.restarts().await;
        // By then the lease of the one before is over.
        let after = [lives().await, lives().await, lives().await];
        assert!(!after[2], "{after:?}");
        world.finish().await;
    }
}

#[tokio::test]
async fn abandoned() {
    for world in World::both(&format!("{TRANSITIONS}\nrollout.abandon_after = \"2m\"")).await {
        let key = world.promotion("new", "To Do").await;
        for second in (5..=240).step_by(5) {
            world.later(MINUTE / 12);
            world.ticks().await;
            let lives = !world.gates().await.as_array().unwrap().is_empty();
            // Silence is looked for once a minute.
            assert!(lives || second > 120, "abandoned after {second} s");
            assert!(!lives || second < 200, "alive after {second} s");
        }
        world.works().await;
        world.is_dead(&key, "abandoned", "Cancelled");
        world.finish().await;
    }
}

/// It shipped past a gate that was never opened: the ticket says so, and stays where it is.
#[tokio::test]
async fn bypassed() {
    for world in World::both(TRANSITIONS).await {
        let key = world.promotion("new", "To Do").await;
        world.reports("/post-rollout", "Succeeded", "new").await;
        world.works().await;
        world.is_dead(&key, "shipped WITHOUT this approval", "To Do");
        world.finish().await;
    }
    let settings = "ticket.transitions.bypassed = { to = \"Done\" }";
    for world in World::both(settings).await {
        let key = world.promotion("new", "To Do").await;
        world.reports("/post-rollout", "Succeeded", "new").await;
        world.works().await;
        world.is_dead(&key, "WITHOUT this approval", "Done");
        world.finish().await;
    }
}

/// A ticket that a person rejected stays where that person put it.
#[tokio::test]
async fn rejected_tickets_are_only_commented_on() {
    for world in World::both(TRANSITIONS).await {
        let key = world.promotion("new", "Rejected").await;
        assert_eq!(world.asks("rollback", "WaitingPromotion", "new").await.status, 200);
        world.reports("/event", "Failed", "new").await;
        assert_eq!(
            world.asks("rollback", "WaitingPromotion", "new").await.status,
            200,
            "until it is really done"
        );
        world.reports("/post-rollout", "Failed", "new").await;
        assert_eq!(world.asks("rollback", "WaitingPromotion", "new").await.status, 403);
        world.works().await;
        world.is_dead(&key, "failed", "Rejected");
        world.finish().await;
    }
}

/// A later move of a dead ticket opens nothing, and is answered by one comment that names the live one.
#[tokio::test]
async fn a_late_move_is_answered_once() {
    for world in World::both("").await {
        let old = world.promotion("v2", "To Do").await;
        let new = world.promotion("v3", "To Do").await;
        world.works().await;
        world.later(MINUTE);
        for status in ["Approved", "Rejected", "Approved"] {
            world.jira.move_issue(&old, status, MIA).unwrap();
            assert_eq!(world.nudges(&old).await.status, 200);
            world.later(MINUTE);
            world.works().await;
        }
        let late: Vec<String> =
            comments(&world.ticket(&old)).into_iter().filter(|said| said.contains("has ")).collect();
        assert_eq!(late.len(), 1, "{late:?}");
        assert!(late[0].contains(&new), "{late:?}");
        assert_eq!(world.asks("confirm-promotion", "Progressing", "v3").await.status, 403);
        world.finish().await;
    }
}

/// The bridge's own moves are no late moves, and a way that does not exist is one comment, not a loop.
#[tokio::test]
async fn a_way_that_does_not_exist() {
    let settings = "ticket.transitions = { opened = \"In Review\", failed = \"Nowhere\" }";
    for world in World::both(settings).await {
        let key = world.promotion("new", "To Do").await;
        assert_eq!(world.ticket(&key).status, "In Review");
        world.reports("/post-rollout", "Failed", "new").await;
        for _ in 0..3 {
            world.works().await;
            world.later(60 * MINUTE);
            world.nudges(&key).await;
        }
        let told = comments(&world.ticket(&key));
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[1].contains("no transition leads to \"Nowhere\""), "{told:?}");
        world.finish().await;
    }
}

/// What Flagger reports reaches the ticket as few comments: gathered for a minute, each message once.
#[tokio::test]
async fn progress() {
    for world in World::both("").await {
        let key = world.promotion("new", "To Do").await;
        for second in 0..300 {
            let mut event = question("Progressing", "new");
            let words = format!("Halt advancement success rate {}.00% < 99%", 90 + second % 7);
            event["metadata"] = json!({ "eventMessage": words, "eventType": "Warning", "timestamp": "1" });
            world.posts("/event", &event).await;
            world.later(MINUTE / 60);
            world.works().await;
        }
        let told = comments(&world.ticket(&key));
        assert_eq!(told.len(), 1, "{told:?}");
        for rate in 90..97 {
            assert!(told[0].contains(&format!("success rate {rate}.00%")), "{told:?}");
        }
        world.finish().await;
    }
}

/// A rejection says what will and will not happen.
#[tokio::test]
async fn what_a_rejection_does_not_do() {
    for world in World::both("").await {
        let promotion = world.promotion("new", "Rejected").await;
        let told = comments(&world.ticket(&promotion));
        assert!(told[0].contains("Flagger has not asked whether to roll back"), "{told:?}");
        world.asks("confirm-rollout", "Succeeded", "new").await;
        world.works().await;
        let rollout = world.newest();
        world.decides(&rollout, "Rejected").await;
        let told = comments(&world.ticket(&rollout));
        assert!(told[0].contains("nothing has begun that could be rolled back"), "{told:?}");
        world.finish().await;
    }
}

#[tokio::test]
async fn an_approval_that_is_too_old_is_not_used() {
    for world in World::both("approval.valid_for = \"1h\"").await {
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.works().await;
        let key = world.newest();
        world.decides(&key, "Approved").await;
        for _ in 0..7 {
            // Reported on, so that it is no silence; but not asked.
            world.later(10 * MINUTE);
            world.reports("/event", "Progressing", "new").await;
            world.works().await;
        }
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("not used within 1h; move"), "{}", answer.body);
        assert_eq!(world.gates().await[0]["state"], "expired");
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.works().await;
        let told = comments(&world.ticket(&key));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("more than 1 hour old"), "{told:?}");
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
        // Two clusters under one name: each question is about another revision.
        for number in 0..20 {
            world.asks("confirm-promotion", "Progressing", &format!("v{}", number % 2)).await;
            world.later(MINUTE);
            world.works().await;
        }
        assert_eq!(world.tickets().len(), 3);
        let answer = world.asks("confirm-promotion", "Progressing", "v9").await;
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("limits.tickets_per_canary_per_hour"), "{}", answer.body);
        // Another canary still gets its ticket.
        let mut other = question("Progressing", "v1");
        other["name"] = "till".into();
        world.posts("/gate/confirm-promotion", &other).await;
        world.works().await;
        assert_eq!(world.tickets().len(), 4);
        // Made-up canaries: as many as may be open, and no trace of the others.
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
        world.works().await;
        // Three of cart, whose rollouts are over; and as many as may be open.
        assert_eq!(world.tickets().len(), 3 + 5, "the stated number and no more");
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
        // Of canaries that nobody knew nothing is kept.
        world.later(2 * MINUTE);
        world.ticks().await;
        for table in ["canary", "heard"] {
            assert_eq!(world.count(table).await, 1 + 5, "{table}: cart, and those whose tickets are open");
        }
        assert!(world.count("audit").await < 40, "a question that is refused again is not on record again");
        world.finish().await;
    }
}

/// Flagger's words before the end come before the end.
#[tokio::test]
async fn progress_before_the_end() {
    for world in World::both("").await {
        let key = world.promotion("new", "To Do").await;
        let mut event = question("Progressing", "new");
        event["metadata"] =
            json!({ "eventMessage": "Halt: checks failed", "eventType": "Warning", "timestamp": "1" });
        world.posts("/event", &event).await;
        world.reports("/post-rollout", "Failed", "new").await;
        world.works().await;
        let told = comments(&world.ticket(&key));
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("Halt: checks failed") && told[1].contains("failed"), "{told:?}");
        world.finish().await;
    }
}

/// The bridge is late with its first move: what a person did meanwhile stays.
#[tokio::test]
async fn the_first_move_undoes_no_decision() {
    for status in ["Approved", "Rejected"] {
        for world in World::both("ticket.transitions.opened = \"In Review\"").await {
            let body = "{\"errorMessages\":[\"internal\"]}".into();
            let fault = Fault::Status { code: 500, retry_after: None, body };
            world.jira.fault(Operation::DoTransition, fault, Times::Once);
            world.asks("confirm-promotion", "Progressing", "new").await;
            world.works().await;
            let key = world.newest();
            world.decides(&key, status).await;
            world.later(MINUTE);
            world.works().await;
            assert_eq!(world.ticket(&key).status, status);
            world.finish().await;
        }
    }
}

/// A no to a rollout that runs already, at the gate it began with: it rolls back, and the ticket says nothing else.
#[tokio::test]
async fn a_late_no_at_the_first_gate() {
    for world in World::both("").await {
        world.asks("confirm-rollout", "Initialized", "old").await;
        world.works().await;
        let key = world.newest();
        world.decides(&key, "Approved").await;
        assert_eq!(world.asks("confirm-rollout", "Waiting", "old").await.status, 200);
        world.asks("rollback", "Progressing", "new").await;
        world.decides(&key, "Rejected").await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
        let told = comments(&world.ticket(&key));
        assert!(!told.iter().any(|said| said.contains("nothing has begun")), "{told:?}");
        world.finish().await;
    }
}

/// Jira does not take a comment about Flagger's words: it is tried again soon, and what was said later waits no longer than
/// for the end of the rollout.
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
        world.later(MINUTE);
        world.jira.fault(Operation::AddComment, Fault::ActedBut(503), Times::Once);
        world.works().await;
        says("the last words").await;
        world.reports("/post-rollout", "Failed", "new").await;
        world.works().await;
        let told = comments(&world.ticket(&key));
        let [first, last, end] = told.as_slice() else { panic!("{told:?}") };
        assert!(first.contains("the first words"), "{told:?}");
        assert!(last.contains("the last words") && end.contains("failed"), "{told:?}");

        let key = world.promotion("newer", "To Do").await;
        let mut event = question("Progressing", "newer");
        event["metadata"] = json!({ "eventMessage": "Halt", "eventType": "Warning", "timestamp": "1" });
        world.posts("/event", &event).await;
        world.later(MINUTE);
        world.jira.fault(Operation::AddComment, Fault::Dropped, Times::Once);
        world.works().await;
        world.later(MINUTE / 6);
        world.works().await;
        assert_eq!(comments(&world.ticket(&key)).len(), 1, "tried again soon");
        world.finish().await;
    }
}

/// The answer to the last move was lost, and before the bridge could look, a person moved the ticket on: it is not moved
/// there again.
#[tokio::test]
async fn a_move_whose_answer_was_lost_is_not_made_twice() {
    for world in World::both(TRANSITIONS).await {
        let key = world.promotion("new", "Approved").await;
        world.jira.fault(Operation::DoTransition, Fault::LostAnswer, Times::Once);
        world.reports("/post-rollout", "Succeeded", "new").await;
        world.works().await;
        assert_eq!(world.ticket(&key).status, "Done");
        world.later(Duration::from_millis(10));
        world.jira.move_issue(&key, "In Review", MIA).unwrap();
        world.later(MINUTE);
        world.works().await;
        assert_eq!(world.ticket(&key).status, "In Review");
        world.finish().await;
    }
}

/// The label of the dead on a ticket of a rollout that waits: it opens nothing any more, is told so, once, and another one
/// takes its place.
#[tokio::test]
async fn somebody_labels_a_ticket_that_is_waited_for() {
    for world in World::both(TRANSITIONS).await {
        let old = world.promotion("new", "Approved").await;
        world.jira.edit_labels(&old, &["flagger-ended"], &[], MIA).unwrap();
        world.later(MINUTE);
        world.works().await;
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        world.works().await;
        let new = world.newest();
        assert_ne!(old, new);
        world.is_dead(&old, "labelled flagger-ended", "Approved");
        let links = world.ticket(&old).links;
        assert!(links.len() == 1 && format!("{links:?}").contains(&world.ticket(&new).id), "{links:?}");

        // Also without its label it is dead, and says so.
        world.later(MINUTE);
        world.jira.edit_labels(&old, &[], &["flagger-ended"], MIA).unwrap();
        for status in ["To Do", "Approved"] {
            world.jira.move_issue(&old, status, MIA).unwrap();
            assert_eq!(world.nudges(&old).await.status, 200);
            world.later(MINUTE);
            world.works().await;
        }
        let told = comments(&world.ticket(&old));
        let late = told.iter().filter(|said| said.contains(&format!("waits now has {new}"))).count();
        assert_eq!(late, 1, "{told:?}");
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        assert!(answer.status == 403 && answer.body.contains(&new), "{}", answer.body);

        world.decides(&new, "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
        world.reports("/post-rollout", "Succeeded", "new").await;
        world.works().await;
        world.is_dead(&new, "succeeded", "Done");
        world.finish().await;
    }
}
