//! Where the bridge reads Canaries, people see how much traffic the new version gets.

use std::time::Duration;

use fake_jira::Flavour;
use serde_json::json;

use crate::world::{World, cluster::Cluster, program::until, question};

/// Waits until the bridge has seen all that happened to Canaries until now: its watch shows changes in their order.
async fn bridge_has_seen(cluster: &Cluster, world: &World, marker: &str) {
    cluster.has_canary("shop", marker, &json!({}));
    until("the watch shows it", async || {
        world.sends(world.admin("GET", "/api/unguarded")).await.body.contains(marker)
    })
    .await;
}

async fn weight(world: &World) -> serde_json::Value {
    world.gates().await[0]["weight"].clone()
}

#[tokio::test]
async fn a_ticket_says_at_which_weight_it_asks() {
    let cluster = Cluster::start().await;
    cluster.is_at("Progressing", 50, 2);
    let settings = format!(
        "{}\nticket.summary = \"Promote {{{{ canary }}}} at {{{{ weight }}}} %?\"",
        cluster.settings("show")
    );
    for world in World::both(&settings).await {
        world.promotes().await;
        world.run_worker().await;
        let ticket = world.tickets().pop().unwrap();
        assert_eq!(ticket.summary, "Promote cart at 50 %?");
        let text = fake_jira::text(&ticket.description);
        let known = text.split("What is known so far\n").nth(1).unwrap();
        let known = known.split("Technical details").next().unwrap();
        let known = known.trim().trim_end_matches("h3.").trim();
        if world.is_cloud() {
            insta::assert_snapshot!(known, @r"
            • Traffic to the new version: 50 %
            • Failed checks so far: 2 (Flagger rolls back after 5)
            ");
        } else {
            insta::assert_snapshot!(known, @r"
            * {*}Traffic to the new version:{*} 50 %
            * {*}Failed checks so far:{*} 2 \(Flagger rolls back after 5\)
            ");
        }
        world.finish().await;
    }
}

/// `status.canaryWeight` reads 0 while the promotion waits, and the traffic stays where it was.
#[tokio::test]
async fn the_weight_is_shown_while_the_promotion_waits() {
    let cluster = Cluster::start().await;
    cluster.is_at("Progressing", 40, 0);
    let world = World::start_with(Flavour::Cloud, &cluster.settings("show")).await;
    world.asks("confirm-traffic-increase", "Progressing", "new").await;
    assert_eq!(weight(&world).await, 40);
    cluster.is_at("Progressing", 50, 0);
    bridge_has_seen(&cluster, &world, "one").await;
    world.promotes().await;
    cluster.is_at("WaitingPromotion", 0, 0);
    bridge_has_seen(&cluster, &world, "two").await;
    for gate in world.gates().await.as_array().unwrap() {
        assert_eq!(gate["weight"], 50, "{gate}");
    }
    let page = world.sends(world.admin("GET", "/")).await.body;
    assert!(page.contains("cart 6.4.0 → 6.5.0<br>traffic to the new version: 50 %"), "{page}");
    // The bridge that starts now has seen only the 0.
    world.restarts().await;
    let gates = world.gates().await;
    let promotion =
        gates.as_array().unwrap().iter().find(|gate| gate["stage"] == "confirm-promotion").unwrap();
    assert_eq!(promotion["weight"], 50, "{promotion}");
    cluster.is_at("Finalising", 0, 0);
    bridge_has_seen(&cluster, &world, "three").await;
    assert!(weight(&world).await.is_null(), "the new version is what runs");
    world.finish().await;
}

#[tokio::test]
async fn nothing_is_said_where_nothing_is_known() {
    let cluster = Cluster::start().await;
    cluster.is_at("Waiting", 0, 0);
    let settings = format!("{}\nticket.summary = \"[{{{{ weight }}}}]\"", cluster.settings("show"));
    let world = World::start_with(Flavour::Cloud, &settings).await;
    world.asks("confirm-rollout", "Waiting", "old").await;
    world.run_worker().await;
    assert_eq!(world.tickets().pop().unwrap().summary, "[]");
    assert!(weight(&world).await.is_null());
    world.finish().await;
}

/// Flagger stores a failed check after it has reported it: what counts is what is true when the comment is written.
#[tokio::test]
async fn a_comment_says_how_far_the_new_version_is() {
    let cluster = Cluster::start().await;
    cluster.is_at("Progressing", 20, 0);
    let world = World::start_with(Flavour::Cloud, &cluster.settings("show")).await;
    world.asks("confirm-traffic-increase", "Progressing", "new").await;
    world.run_worker().await;
    let key = world.newest();
    for words in
        ["Halt cart.shop advancement success rate 91.00% < 99%", "Advance cart.shop canary weight 30"]
    {
        let mut event = question("Progressing", "new");
        event["metadata"] = json!({ "eventMessage": words, "eventType": "Warning", "timestamp": "1" });
        assert_eq!(world.posts("/event", &event).await.status, 200);
    }
    cluster.is_at("Progressing", 30, 1);
    bridge_has_seen(&cluster, &world, "one").await;
    cluster.api.clear_requests();
    world.advance(Duration::from_secs(61));
    world.run_worker().await;
    // The watch told it: a failed check costs no request.
    assert!(cluster.api.requests().is_empty(), "{:?}", cluster.api.requests());
    let comments = world.jira.issue(&key).unwrap().comments;
    assert_eq!(comments.len(), 1, "both messages make one comment");
    insta::assert_snapshot!(fake_jira::text(&comments[0].body), @r"
    Flagger reports:
    • Halt cart.shop advancement success rate 91.00% < 99%
    • Advance cart.shop canary weight 30
    Traffic to the new version: 30 %. Failed checks: 1 of 5.
    ");
    world.finish().await;
}

#[tokio::test]
async fn a_bridge_that_reads_no_cluster_says_nothing() {
    let world = World::start(Flavour::Cloud).await;
    world.promotes().await;
    assert!(weight(&world).await.is_null());
    world.finish().await;
}
