//! Versions that come past the gates, and the Events on a Canary.

use serde_json::{Value, json};

use super::{scene::Scene, strategies::shipped, target::image};
use crate::cluster::until;

impl Scene {
    /// The reasons of the bridge's Events on the Canary that there is now, as `kubectl describe canary` finds them: by its
    /// uid.
    async fn events(&self) -> Vec<String> {
        let canary = self.api.get(&self.canary_path()).await.unwrap();
        let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", self.namespace);
        let list = self.api.get(&path).await.unwrap();
        let mut events: Vec<&Value> = list["items"].as_array().unwrap().iter().collect();
        events.retain(|event| {
            event["reportingController"] == "flagger-jira-bridge"
                && event["regarding"]["uid"] == canary["metadata"]["uid"]
        });
        events.sort_by_key(|event| event["eventTime"].as_str().map(str::to_owned));
        events.iter().map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
    }

    async fn has_events(&self, expected: &[&str]) {
        until(&format!("these Events: {expected:?}"), async || self.events().await == expected).await;
    }

    /// The ticket about a version that nobody approved.
    async fn bypass(&self) -> String {
        let summary = format!("Shipped WITHOUT approval: {}/podinfo on default #", self.namespace);
        let found = || self.jira.issues().into_iter().find(|issue| issue.summary.starts_with(&summary));
        until("a ticket about the bypass", async || found().is_some()).await;
        fake_jira::text(&found().unwrap().description)
    }
}

/// The decision about one version is seen on the Canary; the next one ships without a question.
async fn comes_past_the_gate(name: &str, how: &Value) {
    let route =
        format!("[[routes]]\nmatch = {{ namespace = \"{name}\" }}\nticket = {{ on_bypass = \"open\" }}\n");
    let scene = Scene::start_with(name, shipped("blue-green"), &route).await;
    scene.pushes(&image("1.2.1")).await;
    scene.decides_at("confirm-promotion", "Approved").await;
    scene.ships(&image("1.2.1")).await;
    scene.has_events(&["ApprovalRequested", "Approved"]).await;
    scene.api.patches(&scene.canary_path(), how).await;
    scene.pushes(&image("1.2.2")).await;
    scene.looks_until("the promotion", async |scene| scene.primary().await == image("1.2.2")).await;
    scene.ships(&image("1.2.2")).await;
    let ticket = scene.bypass().await;
    assert!(ticket.contains(&format!("Ran before: {}", image("1.2.1"))), "{ticket}");
    assert!(ticket.contains(&format!("Runs now: {}", image("1.2.2"))), "{ticket}");
    scene.has_events(&["ApprovalRequested", "Approved", "ShippedWithoutApproval"]).await;
    scene.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "run by .ci/cluster"]
async fn analysis_is_skipped() {
    comes_past_the_gate("skipped", &json!({ "spec": { "skipAnalysis": true } })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "run by .ci/cluster"]
async fn the_hooks_are_taken_out() {
    comes_past_the_gate("unhooked", &json!({ "spec": { "analysis": { "webhooks": [] } } })).await;
}
