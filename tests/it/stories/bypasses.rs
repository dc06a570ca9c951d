//! A version that is promoted although no gate let it pass is found, where the bridge reads the API server.

use fake_jira::Flavour;
use serde_json::{Value, json};

use crate::world::{World, cluster::Cluster, program::until};

crate::world::crash::crash_tests!(analysis_is_skipped, an_approved_promotion_is_no_bypass);

const OPEN: &str = "ticket.on_bypass = \"open\"";

/// A canary that ran 6.4.0, and has asked before: its rollout of 6.5.0 was approved, and succeeded.
async fn has_shipped(settings: &str) -> (Cluster, World) {
    let cluster = Cluster::start().await;
    cluster.has_promoted("6.4.0");
    let world = World::start_with(Flavour::Cloud, &format!("{}\n{settings}", cluster.settings("show"))).await;
    cluster.analyses("6.5.0");
    let key = world.promotion_waits().await;
    sees(&world, "6.4.0").await;
    world.decides(&key, "Approved").await;
    assert_eq!(world.promotes().await.status, 200);
    // Flagger goes on, and does not repeat its question.
    world.reports("/event", "Promoting", "new").await;
    ships(&cluster, &world, "6.5.0").await;
    (cluster, world)
}

/// Flagger promotes a version, and the bridge sees that.
async fn ships(cluster: &Cluster, world: &World, version: &str) {
    cluster.pushes(version);
    cluster.promotes(version);
    cluster.has_promoted(version);
    sees(world, version).await;
}

/// Runs the worker until the bridge has seen which version was promoted.
async fn sees(world: &World, version: &str) {
    let hash = Cluster::hash(version);
    until("the promotion is seen", async || {
        world.run_worker().await;
        world.count(&format!("canary WHERE state LIKE '%{hash}%'")).await == 1
    })
    .await;
    world.run_worker().await;
}

/// Flagger asks for the promotion of this revision; its ticket is approved, and the gate opens.
async fn is_approved(world: &World, checksum: &str) {
    world.asks("confirm-promotion", "Progressing", checksum).await;
    world.run_worker().await;
    world.decides(&world.newest(), "Approved").await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", checksum).await.status, 200);
}

/// How many records there are of what shipped without an approval.
async fn bypassed(world: &World) -> i64 {
    world.count("audit WHERE kind = 'bypassed'").await
}

fn reasons(cluster: &Cluster) -> Vec<Value> {
    cluster.api.events().iter().map(|event| event["reason"].clone()).collect()
}

#[tokio::test]
async fn an_approved_promotion_is_no_bypass() {
    let (cluster, world) = has_shipped(OPEN).await;
    assert_eq!(bypassed(&world).await, 0);
    // The next one is approved as well, and Flagger reports its end before the API server shows it.
    cluster.analyses("6.6.0");
    is_approved(&world, "newer").await;
    world.reports("/post-rollout", "Succeeded", "newer").await;
    world.run_worker().await;
    ships(&cluster, &world, "6.6.0").await;
    assert_eq!(bypassed(&world).await, 0);
    assert_eq!(world.tickets().len(), 2);
    world.finish().await;
}

#[tokio::test]
async fn analysis_is_skipped() {
    let (cluster, world) = has_shipped(OPEN).await;
    ships(&cluster, &world, "6.6.0").await;
    assert_eq!(bypassed(&world).await, 1);
    assert_eq!(reasons(&cluster), ["ApprovalRequested", "Approved", "ShippedWithoutApproval"]);
    let ticket = world.tickets().pop().unwrap();
    assert_eq!(ticket.summary, "Shipped WITHOUT approval: shop/cart on default #2");
    assert_eq!(
        fake_jira::text(&ticket.description),
        "Flagger promoted a version of cart in namespace shop on cluster default, and nobody approved it: Flagger did not ask.
• Canary: cart
• Namespace: shop
• Cluster: default
• Ran before: registry.example.com/shop/cart:6.5.0
• Runs now: registry.example.com/shop/cart:6.6.0
• Cause: analysis is skipped, or a hook was taken out
Find out who did that. If this version must not run, have the team deploy another one.
This ticket opens no gate, wherever it is moved."
    );
    assert!(ticket.labels.contains(&"flagger-ended".to_owned()), "{:?}", ticket.labels);
    // It opens nothing, and the next version needs its own approval.
    world.decides(&ticket.key, "Approved").await;
    cluster.is_in_phase("Progressing");
    assert_eq!(world.asks("confirm-promotion", "Progressing", "next").await.status, 403);
    let page = world.sends(world.admin("GET", "/")).await.body;
    assert!(page.contains("Shipped without asking for approval") && page.contains(":6.6.0"), "{page}");
    let metrics = world.sends(world.admin("GET", "/metrics")).await.body;
    assert!(metrics.contains("flagger_jira_bridge_bypassed_total"), "{metrics}");
    world.finish().await;
}

/// By default it is recorded, and no ticket is opened. A replica or process that starts later finds it, too.
#[tokio::test]
async fn a_promotion_while_the_bridge_is_down_is_found() {
    let (cluster, world) = has_shipped("").await;
    cluster.pushes("6.6.0");
    cluster.promotes("6.6.0");
    cluster.has_promoted("6.6.0");
    // The worker of the process that stops has not seen it.
    world.restarts().await;
    sees(&world, "6.6.0").await;
    assert_eq!(bypassed(&world).await, 1);
    assert_eq!(world.tickets().len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn a_hook_was_taken_out() {
    let (cluster, world) = has_shipped(OPEN).await;
    cluster
        .api
        .patch("Canary", "shop", "cart", &json!({ "spec": { "analysis": { "webhooks": null } } }))
        .unwrap();
    ships(&cluster, &world, "6.6.0").await;
    ships(&cluster, &world, "6.7.0").await;
    assert_eq!(bypassed(&world).await, 2);
    world.finish().await;
}

/// A rollout that was approved and failed lets no later one pass.
#[tokio::test]
async fn an_approval_of_a_rollout_that_failed_covers_nothing() {
    let (cluster, world) = has_shipped("").await;
    cluster.analyses("6.6.0");
    is_approved(&world, "newer").await;
    world.reports("/post-rollout", "Failed", "newer").await;
    world.run_worker().await;
    ships(&cluster, &world, "6.7.0").await;
    assert_eq!(bypassed(&world).await, 1);
    world.finish().await;
}

/// A Canary whose hooks call the bridge, and that has never asked, is watched as well; one without such hooks is not.
#[tokio::test]
async fn a_canary_that_never_asked() {
    for (hooks, expected) in
        [(json!([{ "name": "jira", "type": "event", "url": "http://bridge/event" }]), 1), (json!(null), 0)]
    {
        let cluster = Cluster::start().await;
        let skips = json!({ "spec": { "skipAnalysis": true, "analysis": { "webhooks": hooks } } });
        cluster.api.patch("Canary", "shop", "cart", &skips).unwrap();
        cluster.has_promoted("6.4.0");
        let world = World::start_with(Flavour::Cloud, &cluster.settings("show")).await;
        world.run_worker().await;
        cluster.has_promoted("6.5.0");
        if expected > 0 {
            sees(&world, "6.5.0").await;
        } else {
            for _ in 0..10 {
                world.run_worker().await;
            }
        }
        assert_eq!(bypassed(&world).await, expected);
        world.finish().await;
    }
}

/// A rollout that was asked about and comes past its closed gate is on record for that gate, once.
#[tokio::test]
async fn a_closed_gate_is_recorded_once() {
    let (cluster, world) = has_shipped(OPEN).await;
    cluster.analyses("6.6.0");
    world.asks("confirm-promotion", "Progressing", "newer").await;
    world.run_worker().await;
    ships(&cluster, &world, "6.6.0").await;
    assert_eq!(bypassed(&world).await, 1);
    assert_eq!(world.count("audit WHERE kind = 'rollout_ended'").await, 2);
    assert_eq!(world.tickets().len(), 2, "no ticket says that nobody was asked");
    // And it covers no later one.
    ships(&cluster, &world, "6.7.0").await;
    assert_eq!(bypassed(&world).await, 2);
    world.finish().await;
}

/// Only a ConfigMap changes: Flagger's hash of what it promoted stays the same, and the approval covers no later version.
#[tokio::test]
async fn a_rollout_that_moves_no_hash_covers_nothing() {
    let (cluster, world) = has_shipped("").await;
    cluster.analyses("6.5.0");
    is_approved(&world, "config").await;
    world.reports("/post-rollout", "Succeeded", "config").await;
    cluster.has_promoted("6.5.0");
    world.run_worker().await;
    assert_eq!(bypassed(&world).await, 0);
    ships(&cluster, &world, "6.6.0").await;
    assert_eq!(bypassed(&world).await, 1);
    world.finish().await;
}

/// The API server is away while an approved version ships, and for the next attempt, which fails.
#[tokio::test]
async fn what_was_approved_while_the_api_server_was_away_is_no_bypass() {
    let (cluster, world) = has_shipped("").await;
    cluster.api.unavailable(true);
    for (checksum, end) in [("newer", "Succeeded"), ("newest", "Failed")] {
        is_approved(&world, checksum).await;
        world.reports("/post-rollout", end, checksum).await;
        world.run_worker().await;
    }
    cluster.api.unavailable(false);
    ships(&cluster, &world, "6.6.0").await;
    assert_eq!(bypassed(&world).await, 0);
    ships(&cluster, &world, "6.7.0").await;
    assert_eq!(bypassed(&world).await, 1);
    world.finish().await;
}

/// A newer version that ships under the approval of another one is found.
#[tokio::test]
async fn a_version_that_was_pushed_during_the_analysis() {
    let (cluster, world) = has_shipped("").await;
    cluster.analyses("6.6.0");
    is_approved(&world, "newer").await;
    cluster.analyses("6.7.0");
    ships(&cluster, &world, "6.7.0").await;
    assert_eq!(bypassed(&world).await, 1);
    world.finish().await;
}

/// Deleted and created again with another version: Flagger starts what is deployed, and asks nobody.
#[tokio::test]
async fn a_canary_that_is_created_again_is_found() {
    let (cluster, world) = has_shipped("").await;
    let mut canary = cluster.api.object("Canary", "shop", "cart").unwrap();
    canary["metadata"]["uid"] = json!("another");
    cluster.api.apply(canary);
    ships(&cluster, &world, "6.6.0").await;
    assert_eq!(bypassed(&world).await, 1);
    assert_eq!(world.count("audit WHERE detail LIKE '%recreated%'").await, 1);
    world.finish().await;
}
