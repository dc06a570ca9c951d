//! A rollout ends when its Canary says so, also if Flagger has no hook to report it.

use fake_jira::Flavour;
use serde_json::json;

use crate::world::{World, cluster::Cluster, program::until};

crate::world::crash::crash_tests!(
    a_success_is_not_reported,
    a_canary_is_created_again,
    another_version_is_analysed_for_a_while,
);

const LABEL: &str = "flagger-ended";

/// A rollout of which Flagger asked for the promotion, with the key of its ticket.
async fn waits_for_promotion(cluster: &Cluster) -> (World, String) {
    cluster.is_in_phase("Progressing");
    let world = World::start_with(Flavour::Cloud, &cluster.settings("show")).await;
    let key = world.promotion_waits().await;
    (world, key)
}

/// Runs the worker until the ticket is labelled as ended: the watch tells it a moment later. Returns the last comment.
async fn ends(world: &World, key: &str) -> String {
    until("the ticket is labelled as ended", async || {
        world.run_worker().await;
        world.jira.issue(key).unwrap().labels.iter().any(|label| label == LABEL)
    })
    .await;
    fake_jira::text(&world.jira.issue(key).unwrap().comments.last().unwrap().body)
}

#[tokio::test]
async fn a_success_is_not_reported() {
    let cluster = Cluster::start().await;
    let (world, key) = waits_for_promotion(&cluster).await;
    world.decides(&key, "Approved").await;
    assert_eq!(world.promotes().await.status, 200);
    cluster.is_in_phase("Succeeded");
    assert!(ends(&world, &key).await.contains("succeeded"));
    // The next rollout of the same revision needs another approval.
    cluster.is_in_phase("Progressing");
    assert_eq!(world.promotes().await.status, 403);
    world.finish().await;
}

#[tokio::test]
async fn a_failure_is_not_reported() {
    let cluster = Cluster::start().await;
    let (world, key) = waits_for_promotion(&cluster).await;
    let has_failed = |checks: u64| {
        let status = json!({ "status": { "phase": "Progressing", "failedChecks": checks } });
        cluster.api.patch("Canary", "shop", "cart", &status).unwrap();
    };
    has_failed(4);
    has_failed(5);
    until("the failed checks are seen", async || {
        world.run_worker().await;
        world.count("canary WHERE state LIKE '%failed_checks%'").await == 1
    })
    .await;
    let status = json!({ "status": { "phase": "Failed", "failedChecks": 0 } });
    cluster.api.patch("Canary", "shop", "cart", &status).unwrap();
    let said = ends(&world, &key).await;
    assert!(said.contains("The rollout failed: "), "{said}");
    assert!(said.contains("Failed checks: 5 of 5."), "{said}");
    world.finish().await;
}

/// The watch still shows that the previous rollout succeeded when the next one asks.
#[tokio::test]
async fn a_watch_that_is_late_ends_nothing() {
    let cluster = Cluster::start().await;
    cluster.is_in_phase("Succeeded");
    let world = World::start_with(Flavour::Cloud, &cluster.settings("show")).await;
    cluster.api.hold();
    cluster.is_in_phase("Progressing");
    let key = world.promotion_waits().await;
    for _ in 0..10 {
        world.run_worker().await;
    }
    assert!(world.jira.issue(&key).unwrap().labels.iter().all(|label| label != LABEL));
    world.decides(&key, "Approved").await;
    assert_eq!(world.promotes().await.status, 200);
    cluster.api.release();
    world.finish().await;
}

#[tokio::test]
async fn a_canary_is_deleted() {
    let cluster = Cluster::start().await;
    let (world, key) = waits_for_promotion(&cluster).await;
    assert!(cluster.api.delete("Canary", "shop", "cart"));
    assert!(ends(&world, &key).await.contains("abandoned"));
    world.finish().await;
}

/// Another uid: Flagger starts what is deployed without a question.
#[tokio::test]
async fn a_canary_is_created_again() {
    let cluster = Cluster::start().await;
    let (world, key) = waits_for_promotion(&cluster).await;
    let mut canary = cluster.api.object("Canary", "shop", "cart").unwrap();
    world.run_worker().await;
    canary["metadata"]["uid"] = json!("another");
    canary["status"]["phase"] = json!("Initializing");
    cluster.api.apply(canary);
    assert!(ends(&world, &key).await.contains("deleted and created again"));
    world.finish().await;
}

/// The bridge reads a cluster that does not have the Canary, as with two clusters under one name: that ends nothing.
#[tokio::test]
async fn a_canary_that_was_never_seen_ends_nothing() {
    let cluster = Cluster::start().await;
    assert!(cluster.api.delete("Canary", "shop", "cart"));
    let world = World::start_with(Flavour::Cloud, &cluster.settings("show")).await;
    let key = world.promotion_waits().await;
    for _ in 0..10 {
        world.run_worker().await;
    }
    world.decides(&key, "Approved").await;
    assert_eq!(world.promotes().await.status, 200);
    assert_eq!(world.tickets().len(), 1);
    world.finish().await;
}

/// Flagger could not write the phase `Waiting`, and asks again in the phase in which the previous rollout ended.
#[tokio::test]
async fn the_phase_of_the_previous_rollout_ends_nothing() {
    let cluster = Cluster::start().await;
    cluster.is_in_phase("Succeeded");
    let world = World::start_with(Flavour::Cloud, &cluster.settings("show")).await;
    world.asks("confirm-rollout", "Succeeded", "old").await;
    world.run_worker().await;
    let key = world.newest();
    world.decides(&key, "Approved").await;
    assert_eq!(world.asks("confirm-rollout", "Succeeded", "old").await.status, 200);
    for _ in 0..10 {
        world.run_worker().await;
    }
    assert!(world.jira.issue(&key).unwrap().labels.iter().all(|label| label != LABEL));
    world.finish().await;
}

/// Another version is pushed during the analysis and then taken back, and Flagger asks about neither. The questions that
/// follow look like those before.
#[tokio::test]
async fn another_version_is_analysed_for_a_while() {
    let cluster = Cluster::start().await;
    let applies = |hash: &str| {
        let status = json!({ "status": { "phase": "Progressing", "lastAppliedSpec": hash } });
        cluster.api.patch("Canary", "shop", "cart", &status).unwrap();
    };
    applies("5cc487df8c");
    let world = World::start_with(Flavour::Cloud, &cluster.settings("show")).await;
    let first = world.promotion_waits().await;
    world.decides(&first, "Approved").await;
    applies("6f4d5c7d9b");
    until("it is seen", async || {
        world.run_worker().await;
        world.count("canary WHERE state LIKE '%other_ran%'").await == 1
    })
    .await;
    applies("5cc487df8c");
    assert_eq!(world.promotes().await.status, 403);
    assert!(ends(&world, &first).await.contains("superseded"));
    let second = world.newest();
    assert_ne!(first, second);
    world.decides(&second, "Approved").await;
    assert_eq!(world.promotes().await.status, 200);
    world.finish().await;
}
