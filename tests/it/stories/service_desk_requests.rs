//! Tickets that are opened as requests of Jira Service Management (`ticket.request_type`).

use std::time::Duration;

use fake_jira::{BOB, Fault, MIA, Operation, Times};

use crate::world::World;

crate::world::crash::crash_tests!(a_request_is_opened, a_lost_answer_opens_no_second_request);

const MINUTE: Duration = Duration::from_secs(60);

/// Bridges whose tickets are requests.
async fn desks(settings: &str) -> Vec<World> {
    let mut worlds = World::both(settings).await;
    for world in &mut worlds {
        world.jira.add_service_desk("OPS");
        let id = world.jira.add_request_type("OPS", "Release", "Change");
        world.restarts_with(&format!("\nticket.request_type = \"{id}\"")).await;
    }
    worlds
}

impl World {
    async fn asks_for_minutes(&self, minutes: u32) {
        for _ in 0..minutes * 4 {
            self.run_worker().await;
            self.advance(MINUTE / 4);
            self.promotes().await;
        }
    }
}

/// It is a ticket like any other: with mark, labels and words, and its approval opens the gate.
#[tokio::test]
async fn a_request_is_opened() {
    for world in desks("ticket.labels = [\"release\"]").await {
        let key = world.promotion_waits().await;
        let issue = world.jira.issue(&key).unwrap();
        assert_eq!(issue.issue_type, "Change");
        assert!(issue.labels.iter().any(|label| label == "release"), "{:?}", issue.labels);
        assert!(issue.labels.iter().any(|label| label == "flagger-canary-cart"), "{:?}", issue.labels);
        world.decides(&key, "Approved").await;
        world.promotion_is_open().await;
        assert_eq!(
            world.jira.requests().iter().filter(|it| it.operation == Operation::CreateIssue).count(),
            0
        );
        world.finish().await;
    }
}

/// The request exists and its answer was lost, or its mark: it is found by its last line, and no second one is opened.
#[tokio::test]
async fn a_lost_answer_opens_no_second_request() {
    for fault in [Operation::CreateRequest, Operation::EditIssue] {
        for world in desks("").await {
            world.jira.set_index_lag(MINUTE);
            world.jira.fault(fault, Fault::LostAnswer, Times::Once);
            world.promotes().await;
            world.asks_for_minutes(5).await;
            assert_eq!(world.jira.issues().len(), 1, "{fault:?}");
            world.decides(&world.newest(), "Approved").await;
            world.promotion_is_open().await;
            world.finish().await;
        }
    }
}

/// The request was opened and could not be marked: nothing opens until it is, and no second one is opened.
#[tokio::test]
async fn a_request_that_cannot_be_marked() {
    for world in desks("").await {
        let refused = Fault::Status {
            code: 403,
            retry_after: None,
            body: "{\"errorMessages\":[\"No edits.\"],\"errors\":{}}".into(),
        };
        world.jira.fault(Operation::EditIssue, refused, Times::Always);
        world.promotes().await;
        world.asks_for_minutes(10).await;
        let issues = world.jira.issues();
        assert_eq!(issues.len(), 1);
        world.jira.move_issue(&issues[0].key, "Approved", MIA).unwrap();
        world.asks_for_minutes(2).await;
        world.promotion_is_closed("closed: ").await;
        world.jira.clear_faults();
        // What is refused is tried again each hour.
        world.advance(MINUTE * 60);
        world.ticks().await;
        world.asks_for_minutes(3).await;
        world.promotion_is_open().await;
        assert_eq!(world.jira.issues().len(), 1);
        world.finish().await;
    }
}

/// Somebody else's request, and what a team writes into its metadata, is no request of this gate.
#[tokio::test]
async fn what_others_write_is_no_reference() {
    for world in desks("").await {
        world.jira.set_index_lag(MINUTE);
        world.jira.fault(Operation::CreateRequest, Fault::LostAnswer, Times::Once);
        world.promotes().await;
        world.run_worker().await;
        let lost = world.jira.issues().remove(0);
        let reference = lost.description.to_string();
        let at = reference.find("Reference ").unwrap() + "Reference ".len();
        let gate: String = reference[at..].chars().take_while(char::is_ascii_alphanumeric).collect();
        let mut other = crate::world::question("Progressing", "new");
        other["name"] = "web".into();
        other["metadata"] = serde_json::json!({ "note": format!("Reference {gate}") });
        world.jira.fault(Operation::EditIssue, Fault::Dropped, Times::Once);
        world.posts("/gate/confirm-promotion", &other).await;
        world.asks_for_minutes(6).await;
        world.posts("/gate/confirm-promotion", &other).await;
        world.asks_for_minutes(2).await;
        assert_eq!(world.jira.issues().len(), 2);
        let marked =
            |key: &str| world.jira.issue(key).unwrap().labels.iter().any(|it| *it == format!("fjb-{gate}"));
        let with_label: Vec<String> =
            world.jira.issues().into_iter().map(|it| it.key).filter(|key| marked(key)).collect();
        assert_eq!(with_label, std::slice::from_ref(&lost.key));
        world.jira.move_issue(&lost.key, "Approved", BOB).unwrap();
        world.asks_for_minutes(1).await;
        world.promotion_is_open().await;
        world.finish().await;
    }
}
