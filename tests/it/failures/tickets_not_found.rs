//! Jira answers 404: the ticket was deleted, or the bridge may not see it, or it is taken for a stranger.

use std::time::Duration;

use fake_jira::{Fault, MIA, Operation, Times};
use serde_json::Value;

use crate::world::{World, question};

// Not those that count minutes.
crate::world::crash::crash_tests!(
    the_account_may_not_browse_for_hours,
    two_glimpses_are_no_long_look,
    a_ticket_that_was_given_up_is_seen_again,
    a_ticket_that_was_given_up_is_seen_again_and_was_rejected,
);

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// How the account loses sight of a ticket.
#[derive(Clone, Copy, Debug)]
enum Blind {
    /// The permission scheme: it may not browse the project.
    Scheme,
    /// A security level.
    Level,
}

fn loses_sight(world: &World, how: Blind, keys: &[String], lost: bool) {
    match how {
        Blind::Scheme => world.jira.revoke("OPS", if lost { &["BROWSE_PROJECTS"] } else { &[] }),
        Blind::Level => keys.iter().for_each(|key| world.jira.hide_issue(key, lost).unwrap()),
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

/// One ticket for each canary.
async fn opened(world: &World, canaries: usize) -> Vec<String> {
    let mut keys = Vec::new();
    for canary in 0..canaries {
        asks(world, canary).await;
        world.works().await;
        keys.push(world.newest());
    }
    keys
}

/// Five seconds of a permission scheme or a security level that shuts the bridge out: approvals and a rejection are there
/// afterwards, and no ticket is opened anew. Meanwhile what was approved is closed, and what was rejected rolls back.
#[tokio::test]
async fn the_account_loses_sight_for_five_seconds() {
    for how in [Blind::Scheme, Blind::Level] {
        for world in World::both("limits.tickets_per_canary_per_hour = 100").await {
            let keys = opened(&world, 12).await;
            for key in &keys[..4] {
                world.jira.move_issue(key, "Approved", MIA).unwrap();
            }
            world.jira.move_issue(&keys[4], "Rejected", MIA).unwrap();
            world.later(20 * SECOND);
            world.works().await;
            assert_eq!(asks(&world, 0).await.0, 200);
            assert_eq!(rolls_back(&world, 4).await, 200);
            loses_sight(&world, how, &keys, true);
            for _ in 0..5 {
                for (canary, key) in keys.iter().enumerate() {
                    world.nudges(key).await;
                    asks(&world, canary).await;
                }
                world.later(SECOND);
                world.works().await;
            }
            let (status, line) = asks(&world, 0).await;
            assert_eq!(status, 403, "{how:?}: {line}");
            assert!(line.contains("Jira"), "{how:?}: {line}");
            assert_eq!(rolls_back(&world, 4).await, 200, "{how:?}: no means no");
            world.restarts().await;
            assert_eq!(rolls_back(&world, 4).await, 200, "{how:?}: no means no");
            loses_sight(&world, how, &keys, false);
            world.later(20 * SECOND);
            world.works().await;
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

/// Without the right to browse the project 404 says nothing about a ticket, however long it lasts.
#[tokio::test]
async fn the_account_may_not_browse_for_hours() {
    for world in World::both("").await {
        let keys = opened(&world, 1).await;
        world.jira.move_issue(&keys[0], "Approved", MIA).unwrap();
        loses_sight(&world, Blind::Scheme, &keys, true);
        for _ in 0..20 {
            world.later(5 * MINUTE);
            let (status, line) = asks(&world, 0).await;
            assert_eq!(status, 403, "{line}");
            world.works().await;
        }
        let (_, line) = asks(&world, 0).await;
        assert!(line.contains("Browse Projects"), "{line}");
        loses_sight(&world, Blind::Scheme, &keys, false);
        world.later(MINUTE);
        world.works().await;
        assert_eq!(asks(&world, 0).await.0, 200);
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;
    }
}

/// The token ends, Jira takes the bridge for a stranger, and no answer says so: that is no news of any ticket, however
/// fresh the last proof.
#[tokio::test]
async fn answers_to_a_stranger_that_do_not_say_so() {
    for world in World::both("").await {
        world.jira.hide_account_headers(true);
        let keys = opened(&world, 2).await;
        world.jira.move_issue(&keys[0], "Approved", MIA).unwrap();
        world.later(20 * SECOND);
        world.works().await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.jira.fault(Operation::Any, Fault::Stranger, Times::Always);
        for _ in 0..4 {
            world.nudges(&keys[0]).await;
            world.later(SECOND);
            world.works().await;
            assert_eq!(asks(&world, 0).await.0, 200, "it is trusted for as long as ever");
            assert!(asks(&world, 1).await.1.starts_with("closed"), "it waits");
        }
        world.later(10 * MINUTE);
        world.works().await;
        let (status, line) = asks(&world, 0).await;
        assert!(status == 403 && line.contains("too long ago"), "{line}");
        world.jira.clear_faults();
        world.passes(MINUTE).await;
        world.works().await;
        assert_eq!(asks(&world, 0).await.0, 200);
        assert_eq!(world.tickets().len(), 2);
        world.finish().await;
    }
}

/// Answers name the account. One that does not, such as that of a node which lost the session, is not for the bridge.
#[tokio::test]
async fn an_answer_that_names_nobody_where_others_do() {
    for world in World::both("").await {
        let keys = opened(&world, 1).await;
        world.jira.move_issue(&keys[0], "Approved", MIA).unwrap();
        world.later(20 * SECOND);
        world.works().await;
        assert_eq!(asks(&world, 0).await.0, 200);
        for operation in [Operation::GetIssue, Operation::BulkFetch, Operation::Search] {
            world.jira.fault(operation, Fault::Stranger, Times::Always);
        }
        for _ in 0..4 {
            world.nudges(&keys[0]).await;
            world.later(20 * SECOND);
            world.works().await;
            let (status, line) = asks(&world, 0).await;
            assert_eq!(status, 200, "{line}");
        }
        world.jira.clear_faults();
        world.later(MINUTE);
        world.works().await;
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;
    }
}

/// Lets the bridge look, and Flagger ask, once a minute.
async fn passes(world: &World, minutes: u32) {
    for _ in 0..minutes {
        world.later(MINUTE);
        asks(world, 0).await;
        world.works().await;
    }
}

/// A ticket that was deleted closes its gate at once. Its gate gets another when Jira has said so for as long as an
/// approval is trusted, also across a restart.
#[tokio::test]
async fn a_ticket_is_deleted() {
    for world in World::both("").await {
        let keys = opened(&world, 1).await;
        world.decides(&keys[0], "Approved").await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.jira.delete_issue(&keys[0], MIA).unwrap();
        world.later(20 * SECOND);
        world.works().await;
        let (status, line) = asks(&world, 0).await;
        assert!(status == 403 && line.contains("it was deleted, or"), "{line}");
        passes(&world, 4).await;
        world.restarts().await;
        passes(&world, 4).await;
        assert_eq!(world.tickets().len(), 0);
        passes(&world, 3).await;
        assert_eq!(world.tickets().len(), 1);
        world.decides(&world.newest(), "Approved").await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.finish().await;
    }
}

/// Jira's word is asked for again and again: twice with hours between, in which nobody looked, is not for long.
#[tokio::test]
async fn two_glimpses_are_no_long_look() {
    for world in World::both("").await {
        let keys = opened(&world, 1).await;
        world.jira.move_issue(&keys[0], "Approved", MIA).unwrap();
        for _ in 0..3 {
            loses_sight(&world, Blind::Level, &keys, true);
            passes(&world, 1).await;
            world.later(60 * MINUTE);
            asks(&world, 0).await;
        }
        passes(&world, 1).await;
        assert_eq!(world.tickets().len(), 1);
        loses_sight(&world, Blind::Level, &keys, false);
        passes(&world, 1).await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.finish().await;
    }
}

/// A ticket that was given up is seen again: it is told that another has its gate, and opens nothing.
#[tokio::test]
async fn a_ticket_that_was_given_up_is_seen_again() {
    for world in World::both("ticket.transitions.superseded = \"Cancelled\"").await {
        let keys = opened(&world, 1).await;
        loses_sight(&world, Blind::Level, &keys, true);
        passes(&world, 12).await;
        let [older, newer] = world.tickets().try_into().unwrap();
        world.jira.move_issue(&older.key, "Approved", MIA).unwrap();
        loses_sight(&world, Blind::Level, &keys, false);
        passes(&world, 5).await;
        let told = world.jira.issue(&older.key).unwrap();
        assert!(told.labels.contains(&"flagger-ended".to_owned()), "{:?}", told.labels);
        assert_eq!(told.comments.len(), 1);
        assert!(told.comments[0].text().contains(&newer.key), "{}", told.comments[0].text());
        assert_eq!(told.links.len(), 1);
        assert_eq!(told.status, "Cancelled");
        assert_eq!(asks(&world, 0).await.0, 403, "one approval opens one gate, and this is not its ticket");
        world.decides(&newer.key, "Approved").await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.finish().await;
    }
}

/// What was given up was rejected where the bridge could not see it: no means no, and the other ticket is told.
#[tokio::test]
async fn a_ticket_that_was_given_up_is_seen_again_and_was_rejected() {
    for world in World::both("").await {
        let keys = opened(&world, 1).await;
        loses_sight(&world, Blind::Level, &keys, true);
        passes(&world, 12).await;
        let [older, newer] = world.tickets().try_into().unwrap();
        world.decides(&newer.key, "Approved").await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.jira.move_issue(&older.key, "Rejected", MIA).unwrap();
        loses_sight(&world, Blind::Level, &keys, false);
        assert_eq!(world.nudges(&older.key).await.status, 200);
        world.works().await;
        let (status, line) = asks(&world, 0).await;
        assert!(status == 403 && line.contains(&older.key) && line.contains("rejected by"), "{line}");
        assert_eq!(rolls_back(&world, 0).await, 200);
        passes(&world, 2).await;
        let told = world.jira.issue(&newer.key).unwrap();
        assert!(told.labels.contains(&"flagger-ended".to_owned()), "{:?}", told.labels);
        assert!(told.comments[0].text().contains(&older.key), "{:?}", told.comments);
        // It can be withdrawn, as ever.
        world.decides(&older.key, "Approved").await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.finish().await;
    }
}

/// No other ticket can be opened; then the one that was given up is seen again, and stands as it did.
#[tokio::test]
async fn a_ticket_that_was_given_up_is_taken_back() {
    for world in World::both("").await {
        let keys = opened(&world, 1).await;
        world.decides(&keys[0], "Approved").await;
        loses_sight(&world, Blind::Level, &keys, true);
        world.jira.revoke("OPS", &["CREATE_ISSUES"]);
        passes(&world, 12).await;
        let (status, line) = asks(&world, 0).await;
        assert!(status == 403 && line.contains("could not be opened"), "{line}");
        loses_sight(&world, Blind::Level, &keys, false);
        passes(&world, 5).await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.jira.revoke("OPS", &[]);
        // What was parked is tried again within the hour.
        world.later(61 * MINUTE);
        world.ticks().await;
        world.works().await;
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;
    }
}
