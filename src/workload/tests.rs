//! Tests of what the API shows, told as a change manager reads it.

use serde_json::{Value, json};

use super::*;

mod annotations;
mod configs;
mod digests;
mod random;
mod recorded;
mod running;
mod stories;
mod strategies;
mod timings;

/// A Canary of Deployment `cart` that waits at confirm-rollout.
fn canary() -> Value {
    json!({
        "kind": "Canary",
        "metadata": { "name": "cart", "namespace": "shop" },
        "spec": {
            "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "cart" },
            "analysis": {
                "interval": "1m", "threshold": 5, "stepWeight": 10, "maxWeight": 50,
                "metrics": [{ "name": "request-success-rate" }, { "name": "request-duration" }],
            },
        },
        "status": { "phase": "Waiting", "lastAppliedSpec": "5cc487df8c", "trackedConfigs": {} },
    })
}

/// Deployment `cart` as Flagger leaves it: with these containers and no pods.
fn cart(containers: &Value) -> Value {
    json!({
        "kind": "Deployment",
        "metadata": { "name": "cart", "namespace": "shop", "labels": { "app": "cart" } },
        "spec": {
            "replicas": 0,
            "selector": { "matchLabels": { "app": "cart" } },
            "strategy": { "type": "RollingUpdate" },
            "template": {
                "metadata": { "creationTimestamp": null, "labels": { "app": "cart" } },
                "spec": { "containers": containers, "restartPolicy": "Always", "securityContext": {} },
            },
        },
    })
}

/// A container of `cart`, with an image, a variable and an argument.
fn container(name: &str, image: &str) -> Value {
    json!({
        "name": name, "image": image, "args": ["--verbose"], "resources": {},
        "env": [{ "name": "PAYMENT_URL", "value": "https://payment.shop" }],
    })
}

/// The primary that Flagger makes of a target. Written from its source, not from ours.
fn promoted(target: &Value) -> Value {
    let name = target["metadata"]["name"].as_str().unwrap();
    let mut primary = target.clone();
    primary["metadata"]["name"] = json!(format!("{name}-primary"));
    primary["spec"]["selector"] = json!({ "matchLabels": { "app": format!("{name}-primary") } });
    let template = &mut primary["spec"]["template"];
    template["metadata"]["labels"]["app"] = json!(format!("{name}-primary"));
    let annotations = &mut template["metadata"]["annotations"];
    annotations["flagger-id"] = json!("24f90773-2105-4121-b5c1-9b9e5a968339");
    if primary["kind"] == "Deployment" {
        primary["spec"]["replicas"] = json!(2);
    }
    primary
}

/// The same object, with a field of its pod template set.
fn with(object: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = object.clone();
    set(&mut changed["spec"]["template"], pointer, value);
    changed
}

/// Sets a field, and makes the objects around it. A list is appended to by `-`.
fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut at = object;
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/");
        at = if let Value::Array(items) = at {
            let index = segment.parse().unwrap_or(items.len());
            items.resize(items.len().max(index + 1), Value::Null);
            &mut items[index]
        } else {
            &mut at[segment]
        };
    }
    *at = value;
}

fn change_of(canary: &Value, target: &Value, primary: Option<&Value>) -> Change {
    change(canary, target, primary, &|_| true)
}

/// All words of a change, as a ticket could show them.
fn text(change: &Change) -> String {
    let mut lines = vec![format!("{}: {}", change.target, change.summary())];
    let image = |image: &Option<Image>| image.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string);
    for container in &change.containers {
        let (now, then) = (image(&container.runs_now), image(&container.would_run));
        lines.push(format!("| {} | {now} | {then} |", container.title()));
    }
    if change.containers_cut > 0 {
        lines.push(format!("| {} more |", change.containers_cut));
    }
    lines.extend(change.sentences().into_iter().map(|sentence| format!("- {sentence}")));
    for Annotation { name, value } in &change.annotations {
        let link = if matches!(value, AnnotationValue::Link(_)) { " (link)" } else { "" };
        lines.push(format!("{name}: {value}{link}"));
    }
    if change.annotations_cut > 0 {
        lines.push(format!("{} more annotations", change.annotations_cut));
    }
    lines.extend(change.owner.iter().map(|owner| format!("Deployed by: {owner}")));
    lines.extend(change.strategy.clone());
    lines.extend(change.pushed.iter().map(|push| format!("Pushed by: {push}")));
    lines.join("\n")
}
