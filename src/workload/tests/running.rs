//! What Flagger makes of a template is undone, and nothing else is.

use super::*;

/// A target with everything that Flagger rewrites, and its primary as Flagger's source makes it.
fn rewritten() -> (Value, Value) {
    let selector = |values: Value, label: &str| {
        json!({
            "matchExpressions": [
                { "key": "app", "operator": "In", "values": values },
                { "key": "tier", "operator": "In", "values": ["cart"] },
            ],
            "matchLabels": { "app": label, "tier": "cart" },
        })
    };
    let spec = |suffix: &str, values: &Value| {
        let copy = |name: &str| format!("{name}{suffix}");
        let selector = selector(values.clone(), &copy("cart"));
        let env = json!([
            { "name": "A", "valueFrom": { "configMapKeyRef": { "name": copy("settings"), "key": "a" } } },
            { "name": "B", "valueFrom": { "secretKeyRef": { "name": copy("keys"), "key": "b" } } },
        ]);
        let env_from = json!([
            { "configMapRef": { "name": copy("settings") } },
            { "secretRef": { "name": copy("keys") } },
            // Not followed: it says so itself.
            { "configMapRef": { "name": "own-primary" } },
        ]);
        let container = json!({ "name": "cart", "image": "cart:1", "env": env, "envFrom": env_from });
        json!({
            "containers": [container],
            "initContainers": [container],
            "volumes": [
                { "name": "a", "configMap": { "name": copy("settings"), "defaultMode": 420 } },
                { "name": "b", "secret": { "secretName": copy("keys") } },
                { "name": "c", "projected": { "sources": [
                    { "configMap": { "name": copy("settings") } }, { "secret": { "name": copy("keys") } },
                ] } },
            ],
            "topologySpreadConstraints": [{ "labelSelector": selector }, { "maxSkew": 1 }],
            "affinity": { "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    { "weight": 1, "podAffinityTerm": { "labelSelector": selector } },
                ],
                "requiredDuringSchedulingIgnoredDuringExecution": [{ "labelSelector": selector }],
            } },
        })
    };
    let mut target = cart(&json!([]));
    let template = &mut target["spec"]["template"];
    template["metadata"]["annotations"] = json!({ "kept": "yes", "flagger-id": "the team's own" });
    let mut primary = promoted(&target);
    let template = &mut target["spec"]["template"];
    set(template, "/metadata/labels/kustomize.toolkit.fluxcd.io~1name", json!("apps"));
    set(template, "/metadata/annotations/kustomize.toolkit.fluxcd.io~1checksum", json!("1"));
    template["spec"] = spec("", &json!(["cart", "cart-primary"]));
    primary["spec"]["template"]["spec"] = spec("-primary", &json!(["cart-primary", "cart-primary"]));
    (target, primary)
}

fn differs(canary: &Value, target: &Value, primary: &Value) -> Vec<String> {
    let change = change_of(canary, target, Some(primary));
    assert_eq!(change.is_empty(), change.running.as_ref() == Some(&change.digest));
    change.sentences()
}

#[test]
fn what_flagger_rewrites_is_no_difference() {
    let (target, primary) = rewritten();
    assert_eq!(differs(&canary(), &target, &primary), Vec::<String>::new());
}

/// The label's value may differ from the target's name; old versions of Flagger then took the name.
#[test]
fn the_selector_label() {
    let mut target = cart(&json!([container("cart", "cart:1")]));
    for pointer in ["/spec/selector/matchLabels/app", "/spec/template/metadata/labels/app"] {
        set(&mut target, pointer, json!("basket"));
    }
    for (value, told) in [("basket-primary", 0), ("cart-primary", 0), ("basket", 0), ("other-primary", 1)] {
        let mut primary = promoted(&target);
        for pointer in ["/spec/selector/matchLabels/app", "/spec/template/metadata/labels/app"] {
            set(&mut primary, pointer, json!(value));
        }
        let told_now = differs(&canary(), &target, &primary);
        assert_eq!(told_now.len(), told, "{value}: {told_now:?}");
    }
    // Its value can only change with the selector.
    let edited = with(&target, "/metadata/labels/app", json!("cart2"));
    assert_eq!(differs(&canary(), &edited, &promoted(&target)), ["Pod label app changed"]);
    // Another label with such a value is the team's own.
    let target = with(&target, "/metadata/labels/tier", json!("front"));
    let primary = with(&promoted(&target), "/metadata/labels/tier", json!("front-primary"));
    assert_eq!(differs(&canary(), &target, &primary), ["Pod label tier changed"]);
}

/// Without config tracking Flagger renames nothing, so a name that ends so is the team's own.
#[test]
fn without_config_tracking_names_are_names() {
    let refers = |name: &str| {
        with(&cart(&json!([])), "/spec/volumes", json!([{ "name": "v", "configMap": { "name": name } }]))
    };
    let mut canary = canary();
    let (target, primary) = (refers("settings"), promoted(&refers("settings-primary")));
    assert_eq!(differs(&canary, &target, &primary), Vec::<String>::new());
    canary["status"].as_object_mut().unwrap().remove("trackedConfigs");
    assert_eq!(
        differs(&canary, &target, &primary),
        ["ConfigMap settings-primary is no longer referenced", "ConfigMap settings is now referenced"]
    );
    // Nothing is known before Flagger has applied anything.
    canary["status"] = json!({ "phase": "Initializing" });
    assert_eq!(differs(&canary, &target, &primary), Vec::<String>::new());
}

#[test]
fn a_selector_that_flagger_would_not_make_differs() {
    let (target, primary) = rewritten();
    for (pointer, value) in [
        ("/spec/topologySpreadConstraints/0/labelSelector/matchLabels/app", json!("cart")),
        ("/spec/topologySpreadConstraints/0/labelSelector/matchLabels/tier", json!("cart-primary")),
        ("/spec/topologySpreadConstraints/0/maxSkew", json!(2)),
        (
            "/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/0/labelSelector",
            json!({}),
        ),
        ("/spec/affinity/podAffinity", json!([{ "labelSelector": { "matchLabels": { "app": "cart" } } }])),
    ] {
        let told = differs(&canary(), &target, &with(&primary, pointer, value));
        assert_eq!(told.len(), 1, "{pointer}: {told:?}");
    }
    // Flagger rewrites no selectors of a DaemonSet.
    let mut canary = canary();
    canary["spec"]["targetRef"]["kind"] = json!("DaemonSet");
    assert_eq!(differs(&canary, &target, &primary).len(), 3);
}
