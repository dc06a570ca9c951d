//! Servers end while a gate waits. These disturb all other tests: `.ci/cluster` runs them alone, one after the other.

use std::{fs, process::Command};

use serde_json::json;

use super::{home, scene::Scene, strategies::shipped, target::image, until};

/// Kills a server of `.ci/cluster`, which starts it again.
fn kills(server: &str) {
    let id = fs::read_to_string(home().join(format!("{server}.pid"))).unwrap();
    assert!(Command::new("kill").args(["-KILL", id.trim()]).status().unwrap().success());
}

/// The Flagger that leads.
fn leader() -> Option<String> {
    let leads = |server: &String| {
        let log = fs::read_to_string(home().join(format!("{server}.log"))).unwrap();
        log.rsplit("Starting flagger version").next().unwrap().contains("Acting as elected leader")
    };
    ["flagger-1", "flagger-2"].map(str::to_owned).into_iter().find(leads)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "run by .ci/cluster"]
async fn the_leader_is_killed_while_a_gate_waits() {
    let scene = Scene::start("leader-killed", shipped("blue-green")).await;
    scene.pushes(&image("1.2.1")).await;
    scene.looks_until("a ticket", async |scene| scene.ticket("confirm-promotion").await.is_some()).await;
    let key = scene.ticket("confirm-promotion").await.unwrap();
    kills(&leader().unwrap());
    until("nobody leads", async || leader().is_none()).await;
    // Nobody asks for a minute: until its lease has ended. The approval waits for that.
    scene.decides(&key, "Approved").await;
    let calls = scene.relay.calls().len();
    until("somebody leads again", async || leader().is_some()).await;
    until("the new leader asks", async || scene.relay.calls().len() > calls).await;
    scene.ships(&image("1.2.1")).await;
    scene.is_told(&key, "succeeded").await;
    assert_eq!(scene.jira.issues().len(), 1);
    scene.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "run by .ci/cluster"]
async fn the_api_server_is_killed_while_a_gate_waits() {
    let mut canary = shipped("blue-green");
    let hook = json!({ "name": "jira-confirm-rollout", "type": "confirm-rollout", "url": "http://flagger-jira-bridge.flagger/gate/confirm-rollout" });
    canary["spec"]["analysis"]["webhooks"].as_array_mut().unwrap().push(hook);
    let scene = Scene::start("api-server-killed", canary).await;
    scene.pushes(&image("1.2.1")).await;
    let first = scene.decides_at("confirm-rollout", "Approved").await;
    // A question as Flagger asked it last.
    let calls = scene.relay.calls();
    let question = calls.iter().rfind(|call| call.path == "/gate/confirm-rollout").unwrap().clone();
    kills("kube-apiserver");
    let (status, answer) = scene.asks(&question).await;
    assert!(status == 403 && answer.contains("stale: approved by"), "{status} {answer}");
    let second = scene.decides_at("confirm-promotion", "Approved").await;
    scene.ships(&image("1.2.1")).await;
    for key in [first, second] {
        scene.is_told(&key, "succeeded").await;
    }
    assert_eq!(scene.jira.issues().len(), 2, "nothing that was approved had to be approved again");
    scene.finish().await;
}
