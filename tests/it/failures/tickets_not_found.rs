//! Jira answers 404: the ticket was deleted, the bridge may not see it, or Jira treats the bridge as anonymous.

use std::time::Duration;

use fake_jira::{Comment, Fault, MIA, Operation, Times};
use serde_json::Value;

use crate::world::{World, question};

// Without the tests that count minutes.
crate::world::crash::crash_tests!(
    the_account_may_not_browse_for_hours,
    two_404s_with_hours_between_prove_no_deletion,
    a_replaced_ticket_becomes_visible_again,
    a_replaced_ticket_becomes_visible_again_and_was_rejected,
);

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Why the account cannot see a ticket.
#[derive(Clone, Copy, Debug)]
enum Hidden {
    /// The permission scheme: the account may not browse the project.
    Scheme,
    /// A security level of the issue.
    Level,
}

fn set_hidden(world: &World, how: Hidden, keys: &[String], hidden: bool) {
    match how {
        Hidden::Scheme => world.jira.revoke("OPS", if hidden { &["BROWSE_PROJECTS"] } else { &[] }),
        Hidden::Level => keys.iter().for_each(|key| world.jira.hide_issue(key, hidden).unwrap()),
    }
}

fn about(canary: usize) -> Value {
    let mut question = question("Progressing", "new");
    question["name"] = format!("cart-{canary}").into();
    question
}

async fn asks(world: &World, canary: usize) -> (u16, String) {
    let answer = world.posts("/gate/confirm-promotion", &about(canary)).await;
    (answer.status, answer.body)
}

async fn rolls_back(world: &World, canary: usize) -> u16 {
    world.posts("/gate/rollback", &about(canary)).await.status
}

/// Opens one ticket for each canary. Returns the keys.
async fn opened(world: &World, canaries: usize) -> Vec<String> {
    let mut keys = Vec::new();
    for canary in 0..canaries {
        asks(world, canary).await;
        world.run_worker().await;
        keys.push(world.newest());
    }
    keys
}

/// A permission scheme or security level hides the tickets for five seconds: approvals and a rejection still count
/// afterwards, and no second ticket is opened. Meanwhile approved gates are closed, and the rejected one rolls back.
#[tokio::test]
async fn tickets_are_hidden_for_five_seconds() {
    for how in [Hidden::Scheme, Hidden::Level] {
        for world in World::both("limits.tickets_per_canary_per_hour = 100").await {
            let keys = opened(&world, 12).await;
            for key in &keys[..4] {
                world.jira.move_issue(key, "Approved", MIA).unwrap();
            }
            world.jira.move_issue(&keys[4], "Rejected", MIA).unwrap();
            world.advance(20 * SECOND);
            world.run_worker().await;
            assert_eq!(asks(&world, 0).await.0, 200);
            assert_eq!(rolls_back(&world, 4).await, 200);
            set_hidden(&world, how, &keys, true);
            for _ in 0..5 {
                for (canary, key) in keys.iter().enumerate() {
                    world.nudges(key).await;
                    asks(&world, canary).await;
                }
                world.advance(SECOND);
                world.run_worker().await;
            }
            let (status, line) = asks(&world, 0).await;
            assert_eq!(status, 403, "{how:?}: {line}");
            assert!(line.contains("Jira"), "{how:?}: {line}");
            assert_eq!(rolls_back(&world, 4).await, 200, "{how:?}: no means no");
            world.restarts().await;
            assert_eq!(rolls_back(&world, 4).await, 200, "{how:?}: no means no");
            set_hidden(&world, how, &keys, false);
            world.advance(20 * SECOND);
            world.run_worker().await;
            for canary in 0..12 {
                let (status, line) = asks(&world, canary).await;
                assert_eq!(status, if canary < 4 { 200 } else { 403 }, "{how:?}: {line}");
            }
            assert_eq!(rolls_back(&world, 4).await, 200);
            assert_eq!(world.tickets().len(), 12, "{how:?}");
            world.finish().await;
        }
    }
}

/// Without the permission to browse the project, a 404 proves nothing about a ticket, however long it lasts.
#[tokio::test]
async fn the_account_may_not_browse_for_hours() {
    for world in World::both("").await {
        let keys = opened(&world, 1).await;
        world.jira.move_issue(&keys[0], "Approved", MIA).unwrap();
        set_hidden(&world, Hidden::Scheme, &keys, true);
        for _ in 0..20 {
            world.advance(5 * MINUTE);
            let (status, line) = asks(&world, 0).await;
            assert_eq!(status, 403, "{line}");
            world.run_worker().await;
        }
        let (_, line) = asks(&world, 0).await;
        assert!(line.contains("Browse Projects"), "{line}");
        set_hidden(&world, Hidden::Scheme, &keys, false);
        world.advance(MINUTE);
        world.run_worker().await;
        assert_eq!(asks(&world, 0).await.0, 200);
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;
    }
}

/// The token expires, and Jira treats the bridge as anonymous without saying so: its 404s prove nothing about a ticket,
/// even right after a successful check of the credentials.
#[tokio::test]
async fn anonymous_answers_prove_nothing() {
    for world in World::both("").await {
        world.jira.hide_account_headers(true);
        let keys = opened(&world, 2).await;
        world.jira.move_issue(&keys[0], "Approved", MIA).unwrap();
        world.advance(20 * SECOND);
        world.run_worker().await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.jira.fault(Operation::Any, Fault::Stranger, Times::Always);
        for _ in 0..4 {
            world.nudges(&keys[0]).await;
            world.advance(SECOND);
            world.run_worker().await;
            assert_eq!(asks(&world, 0).await.0, 200, "the approval stays trusted for trust_for");
            assert!(asks(&world, 1).await.1.starts_with("closed"), "it waits");
        }
        world.advance(10 * MINUTE);
        world.run_worker().await;
        let (status, line) = asks(&world, 0).await;
        assert!(status == 403 && line.contains("too long ago"), "{line}");
        world.jira.clear_faults();
        world.advance_all_clocks(MINUTE).await;
        world.run_worker().await;
        assert_eq!(asks(&world, 0).await.0, 200);
        assert_eq!(world.tickets().len(), 2);
        world.finish().await;
    }
}

/// Jira's answers name the account in a header. An answer without it, for instance of a node that lost the session, is
/// treated as anonymous.
#[tokio::test]
async fn an_answer_without_the_account_header() {
    for world in World::both("").await {
        let keys = opened(&world, 1).await;
        world.jira.move_issue(&keys[0], "Approved", MIA).unwrap();
        world.advance(20 * SECOND);
        world.run_worker().await;
        assert_eq!(asks(&world, 0).await.0, 200);
        for operation in [Operation::GetIssue, Operation::BulkFetch, Operation::Search] {
            world.jira.fault(operation, Fault::Stranger, Times::Always);
        }
        for _ in 0..4 {
            world.nudges(&keys[0]).await;
            world.advance(20 * SECOND);
            world.run_worker().await;
            let (status, line) = asks(&world, 0).await;
            assert_eq!(status, 200, "{line}");
        }
        world.jira.clear_faults();
        world.advance(MINUTE);
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;
    }
}

/// Once a minute, lets the bridge poll and Flagger ask.
async fn poll_and_ask_for(world: &World, minutes: u32) {
    for _ in 0..minutes {
        world.advance(MINUTE);
        asks(world, 0).await;
        world.run_worker().await;
    }
}

/// A deleted ticket closes its gate at once. The gate gets another ticket after 404s for as long as an approval is
/// trusted, also across a restart.
#[tokio::test]
async fn a_ticket_is_deleted() {
    for world in World::both("").await {
        let keys = opened(&world, 1).await;
        world.decides(&keys[0], "Approved").await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.jira.delete_issue(&keys[0], MIA).unwrap();
        world.advance(20 * SECOND);
        world.run_worker().await;
        let (status, line) = asks(&world, 0).await;
        assert!(status == 403 && line.contains("it was deleted, or"), "{line}");
        poll_and_ask_for(&world, 4).await;
        world.restarts().await;
        poll_and_ask_for(&world, 4).await;
        assert_eq!(world.tickets().len(), 0);
        poll_and_ask_for(&world, 3).await;
        assert_eq!(world.tickets().len(), 1);
        world.decides(&world.newest(), "Approved").await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.finish().await;
    }
}

/// The 404s must be continuous: two of them with hours between, in which the bridge did not read, are not enough.
#[tokio::test]
async fn two_404s_with_hours_between_prove_no_deletion() {
    for world in World::both("").await {
        let keys = opened(&world, 1).await;
        world.jira.move_issue(&keys[0], "Approved", MIA).unwrap();
        for _ in 0..3 {
            set_hidden(&world, Hidden::Level, &keys, true);
            poll_and_ask_for(&world, 1).await;
            world.advance(60 * MINUTE);
            asks(&world, 0).await;
        }
        poll_and_ask_for(&world, 1).await;
        assert_eq!(world.tickets().len(), 1);
        set_hidden(&world, Hidden::Level, &keys, false);
        poll_and_ask_for(&world, 1).await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.finish().await;
    }
}

/// A replaced ticket becomes visible again: it gets a comment that another ticket has its gate, and opens nothing.
#[tokio::test]
async fn a_replaced_ticket_becomes_visible_again() {
    for world in World::both("ticket.transitions.superseded = \"Cancelled\"").await {
        let keys = opened(&world, 1).await;
        set_hidden(&world, Hidden::Level, &keys, true);
        poll_and_ask_for(&world, 12).await;
        let [older, newer] = world.tickets().try_into().unwrap();
        world.jira.move_issue(&older.key, "Approved", MIA).unwrap();
        set_hidden(&world, Hidden::Level, &keys, false);
        poll_and_ask_for(&world, 5).await;
        let ticket = world.jira.issue(&older.key).unwrap();
        assert!(ticket.labels.contains(&"flagger-ended".to_owned()), "{:?}", ticket.labels);
        assert_eq!(ticket.comments.len(), 1);
        assert!(ticket.comments[0].text().contains(&newer.key), "{}", ticket.comments[0].text());
        assert_eq!(ticket.links.len(), 1);
        assert_eq!(ticket.status, "Cancelled");
        assert_eq!(asks(&world, 0).await.0, 403, "one approval opens one gate, and this is not its ticket");
        world.decides(&newer.key, "Approved").await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.finish().await;
    }
}

/// A replaced ticket was rejected while it was hidden: the rejection counts, and the other ticket gets a comment.
#[tokio::test]
async fn a_replaced_ticket_becomes_visible_again_and_was_rejected() {
    for world in World::both("").await {
        let keys = opened(&world, 1).await;
        set_hidden(&world, Hidden::Level, &keys, true);
        poll_and_ask_for(&world, 12).await;
        let [older, newer] = world.tickets().try_into().unwrap();
        world.decides(&newer.key, "Approved").await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.jira.move_issue(&older.key, "Rejected", MIA).unwrap();
        set_hidden(&world, Hidden::Level, &keys, false);
        assert_eq!(world.nudges(&older.key).await.status, 200);
        world.run_worker().await;
        let (status, line) = asks(&world, 0).await;
        assert!(status == 403 && line.contains(&older.key) && line.contains("rejected by"), "{line}");
        assert_eq!(rolls_back(&world, 0).await, 200);
        poll_and_ask_for(&world, 2).await;
        let ticket = world.jira.issue(&newer.key).unwrap();
        assert!(ticket.labels.contains(&"flagger-ended".to_owned()), "{:?}", ticket.labels);
        let names_older = |comment: &Comment| comment.text().contains(&older.key);
        assert!(ticket.comments.iter().any(names_older), "{:?}", ticket.comments);
        // The rejection can be withdrawn as usual.
        world.decides(&older.key, "Approved").await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.finish().await;
    }
}

/// No other ticket can be opened; then the hidden one becomes visible again, and counts as before.
#[tokio::test]
async fn a_hidden_ticket_counts_again_if_none_replaced_it() {
    for world in World::both("").await {
        let keys = opened(&world, 1).await;
        world.decides(&keys[0], "Approved").await;
        set_hidden(&world, Hidden::Level, &keys, true);
        world.jira.revoke("OPS", &["CREATE_ISSUES"]);
        poll_and_ask_for(&world, 12).await;
        let (status, line) = asks(&world, 0).await;
        assert!(status == 403 && line.contains("could not be opened"), "{line}");
        set_hidden(&world, Hidden::Level, &keys, false);
        poll_and_ask_for(&world, 5).await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.jira.revoke("OPS", &[]);
        // The parked command is retried within the hour.
        world.advance(61 * MINUTE);
        world.ticks().await;
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;
    }
}
