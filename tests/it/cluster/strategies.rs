//! Each strategy of `deploy/canaries`, as it is shipped.

use serde_json::Value;

use super::{scene::Scene, target::image};
use crate::world::yaml;

/// The Canary of a file.
pub(super) fn shipped(name: &str) -> Value {
    let text = std::fs::read_to_string(format!("deploy/canaries/{name}.yaml")).unwrap();
    yaml::documents(&text).remove(0)
}

/// Version 1.2.1 is pushed, approved at each of these stages, and promoted.
async fn approved(name: &str, stages: &[&str]) -> Scene {
    let scene = Scene::start(name, shipped(name)).await;
    scene.pushes(&image("1.2.1")).await;
    let mut keys = Vec::new();
    for stage in stages {
        keys.push(scene.decides_at(stage, "Approved").await);
        assert_eq!(scene.primary().await, image("1.2.0"), "nothing is promoted yet");
    }
    scene.ships(&image("1.2.1")).await;
    for key in &keys {
        scene.is_told(key, "succeeded").await;
    }
    assert_eq!(scene.jira.issues().len(), stages.len());
    scene
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "run by .ci/cluster"]
async fn canary() {
    approved("canary", &["confirm-traffic-increase", "confirm-promotion"]).await.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "run by .ci/cluster"]
async fn blue_green() {
    approved("blue-green", &["confirm-promotion"]).await.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "run by .ci/cluster"]
async fn ab_testing() {
    approved("ab-testing", &["confirm-promotion"]).await.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "run by .ci/cluster"]
async fn session_affinity() {
    approved("session-affinity", &["confirm-traffic-increase", "confirm-promotion"]).await.finish().await;
}

/// A rejection rolls back: what ran before goes on to run.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "run by .ci/cluster"]
async fn rejected() {
    let scene = Scene::start("rejected", shipped("canary")).await;
    scene.pushes(&image("1.2.1")).await;
    scene.decides_at("confirm-traffic-increase", "Approved").await;
    let key = scene.decides_at("confirm-promotion", "Rejected").await;
    scene.looks_until("a failure", async |scene| scene.position().await.phase == "Failed").await;
    assert_eq!(scene.primary().await, image("1.2.0"));
    scene.is_told(&key, "failed").await;
    scene.finish().await;
}

/// A Canary that is deleted and created again ends its rollout: Flagger starts over, and the approval is for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "run by .ci/cluster"]
async fn recreated() {
    let scene = Scene::start("recreated", shipped("blue-green")).await;
    scene.pushes(&image("1.2.1")).await;
    let first = scene.decides_at("confirm-promotion", "Approved").await;
    scene.recreates(shipped("blue-green")).await;
    scene.is_told(&first, "no longer controls anything").await;
    scene.pushes(&image("1.2.2")).await;
    let second = scene.decides_at("confirm-promotion", "Approved").await;
    assert_ne!(first, second);
    scene.ships(&image("1.2.2")).await;
    scene.is_told(&second, "succeeded").await;
    scene.finish().await;
}
