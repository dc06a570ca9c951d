//! docs/flagger.md and deploy/ describe the hooks as the bridge answers them.

use std::collections::BTreeMap;

use fake_jira::Flavour;
use serde_json::{Value, json};

use crate::{
    docs::page::page,
    world::{World, yaml},
};

/// The guide's Canary.
fn canary() -> Value {
    let blocks = page("docs/flagger.md").blocks("yaml");
    let mut found: Vec<Value> = blocks.iter().flat_map(|block| yaml::documents(block)).collect();
    found.retain(|it| it["kind"] == "Canary");
    assert_eq!(found.len(), 1);
    found.remove(0)
}

/// The message that Flagger sends for a hook of this type.
pub(crate) fn sent(kind: &str, hook: &Value, canary: &Value) -> Value {
    let phase = if kind == "confirm-rollout" { "Initialized" } else { "Progressing" };
    let mut body = json!({
        "name": canary["metadata"]["name"],
        "namespace": canary["metadata"]["namespace"],
        "phase": phase,
        "checksum": "5594979469",
    });
    if let Some(metadata) = hook.get("metadata") {
        body["metadata"] = metadata.clone();
    }
    body
}

/// The part of a URL after the host.
pub(crate) fn path_of(url: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    rest[rest.find('/').unwrap()..].to_owned()
}

#[tokio::test]
async fn every_hook_of_the_canary_is_accepted() {
    let canary = canary();
    let of = |text: &str| yaml::documents(text).remove(0);
    let service = of(include_str!("../../../deploy/kustomize/base/services.yaml"));
    let namespace = &of(include_str!("../../../deploy/kustomize/base/kustomization.yaml"))["namespace"];
    assert_eq!(
        service["spec"]["ports"],
        json!([{ "name": "gate", "port": 80, "targetPort": "gate", "appProtocol": "http" }])
    );
    let host = format!("{}.{}", service["metadata"]["name"].as_str().unwrap(), namespace.as_str().unwrap());
    let world = World::start(Flavour::Cloud).await;
    let mut answers = BTreeMap::new();
    for hook in canary["spec"]["analysis"]["webhooks"].as_array().unwrap() {
        let (kind, url) = (hook["type"].as_str().unwrap(), hook["url"].as_str().unwrap());
        assert!(url.starts_with(&format!("http://{host}/")), "{url} does not lead to the Service");
        // Flagger refuses metadata values that are not strings.
        assert!(hook.get("metadata").is_none_or(|it| it.as_object().unwrap().values().all(Value::is_string)));
        // Flagger repeats a question anyway, but sends a report once.
        assert_eq!(hook.get("retries").is_some(), matches!(kind, "event" | "post-rollout"), "{kind}");
        let answer = world.posts(&path_of(url), &sent(kind, hook, &canary)).await;
        answers.insert(kind.to_owned(), answer.status);
    }
    let expected = [
        ("confirm-promotion", 403),
        ("confirm-rollout", 403),
        ("confirm-traffic-increase", 403),
        ("event", 200),
        ("post-rollout", 200),
        ("rollback", 403),
    ];
    assert_eq!(answers, expected.map(|(kind, status)| (kind.to_owned(), status)).into());
    world.finish().await;
}

#[tokio::test]
async fn the_token_in_the_url_lets_flagger_in() {
    let canary = canary();
    let install = page("docs/install.md").inline();
    let url = install.iter().find_map(|code| code.strip_prefix("url: ")).unwrap();
    let (user, rest) = url.strip_prefix("http://").unwrap().split_once(':').unwrap();
    let (token, _) = rest.split_once('@').unwrap();
    let world = World::start_with(Flavour::Cloud, &format!("flagger.token = \"{token}\"")).await;
    let mut body = sent("confirm-promotion", &Value::Null, &canary);
    let ask = |body: &Value| {
        world.gate("POST", &path_of(url)).header("content-type", "application/json").body(body.to_string())
    };
    assert_eq!(world.sends(ask(&body)).await.status, 401);
    assert_eq!(world.sends(ask(&body).basic_auth(user, Some(token))).await.status, 403);
    body["metadata"] = json!({ "token": token });
    assert_eq!(world.sends(ask(&body)).await.status, 403);
    world.finish().await;
}

/// At confirm-rollout only `metadata.revision` shows that a newer revision was pushed.
#[tokio::test]
async fn another_revision_by_name_is_another_rollout() {
    let canary = canary();
    let hook = &canary["spec"]["analysis"]["webhooks"][0];
    let world = World::start(Flavour::Cloud).await;
    let mut body = sent("confirm-rollout", hook, &canary);
    world.posts("/gate/confirm-rollout", &body).await;
    world.run_worker().await;
    let first = world.newest();
    body["phase"] = json!("Waiting");
    assert!(world.posts("/gate/confirm-rollout", &body).await.body.contains(&first));
    body["metadata"]["revision"] = json!("6.6.0");
    let answer = world.posts("/gate/confirm-rollout", &body).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (403, "closed: no ticket yet; the bridge is opening it\n")
    );
    world.run_worker().await;
    world.decides(&first, "Approved").await;
    assert_eq!(world.posts("/gate/confirm-rollout", &body).await.status, 403, "the old ticket has ended");
    assert_eq!(world.tickets().len(), 2);
    world.finish().await;
}
