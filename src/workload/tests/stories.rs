//! What a ticket says, for each kind of change.

use super::*;

/// The words about a change, without what the target says of itself.
fn told(canary: &Value, target: &Value, primary: &Value) -> String {
    text(&Change { strategy: None, annotations: Vec::new(), ..change_of(canary, target, Some(primary)) })
}

#[test]
fn one_image() {
    let old = cart(&json!([container("cart", "registry.shop:5000/cart:6.4.0")]));
    let new = cart(&json!([container("cart", "registry.shop:5000/cart:6.5.0")]));
    let change = change_of(&canary(), &new, Some(&promoted(&old)));
    insta::assert_snapshot!(text(&change), @"
    Deployment cart: cart 6.4.0 → 6.5.0
    | cart | registry.shop:5000/cart:6.4.0 | registry.shop:5000/cart:6.5.0 |
    app: cart
    Canary: traffic in steps of 10 % up to 50 %, every minute; rolled back after 5 failed checks; metrics request-success-rate and request-duration.
    ");
    insta::assert_snapshot!(serde_json::to_string_pretty(&change).unwrap(), @r#"
    {
      "target": {
        "kind": "deployment",
        "name": "cart"
      },
      "digest": "94fbb16a45f98041b1d248950b4454d9e59d30978a403361b64f0d511143c990",
      "running": "328115d0cc0837c362db1295b14c9aacb9c7f52e786a2ea8506e53fd4f9e84d3",
      "containers": [
        {
          "name": "cart",
          "runs_now": "registry.shop:5000/cart:6.4.0",
          "would_run": "registry.shop:5000/cart:6.5.0"
        }
      ],
      "annotations": [
        {
          "name": "app",
          "value": {
            "text": "cart"
          }
        }
      ],
      "strategy": "Canary: traffic in steps of 10 % up to 50 %, every minute; rolled back after 5 failed checks; metrics request-success-rate and request-duration.",
      "timing": {
        "interval": 60,
        "course": {
          "weights": {
            "steps": [
              10,
              20,
              30,
              40,
              50
            ]
          }
        }
      },
      "rollback_hook": "missing"
    }
    "#);
    let read: Change = serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap();
    assert_eq!(read, change);
}

#[test]
fn three_containers() {
    let old = cart(&json!([
        container("cart", "registry.shop/cart:6.4.0"),
        container("proxy", "envoy:1.2"),
        container("metrics", "exporter:3"),
    ]));
    let mut new = cart(&json!([
        container("cart", "registry.shop/cart:6.5.0"),
        container("metrics", "exporter:3"),
        container(
            "cache",
            "registry.shop/cache@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
        ),
    ]));
    new["spec"]["template"]["spec"]["initContainers"] =
        json!([container("migrate", "registry.shop/migrate")]);
    insta::assert_snapshot!(told(&canary(), &new, &promoted(&old)), @"
    Deployment cart: cart 6.4.0 → 6.5.0, cache sha256:0123456789ab (new) and 2 more
    | cart | registry.shop/cart:6.4.0 | registry.shop/cart:6.5.0 |
    | cache | – | registry.shop/cache@sha256:0123456789ab |
    | proxy | envoy:1.2 | – |
    | migrate (init) | – | registry.shop/migrate |
    | metrics | exporter:3 | exporter:3 |
    ");
}

/// The summary names what tells two images apart.
#[test]
fn images_are_told_by_their_versions() {
    let digest = |first: char| {
        format!("sha256:{first}123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
    };
    for (now, then, words) in [
        ("podinfo:6.4.0".to_owned(), "podinfo:6.5.0".to_owned(), "cart 6.4.0 → 6.5.0"),
        (format!("p:1@{}", digest('0')), format!("p:2@{}", digest('a')), "cart 1 → 2"),
        (
            format!("p:latest@{}", digest('0')),
            format!("p:latest@{}", digest('a')),
            "cart latest@sha256:0123456789ab → latest@sha256:a123456789ab",
        ),
        (format!("p@{}", digest('0')), "p:2".to_owned(), "cart sha256:0123456789ab → 2"),
        ("r:5000/p".to_owned(), "r:5000/p:2".to_owned(), "cart (no tag) → 2"),
        ("r:5000/p:1".to_owned(), "r:5001/p:1".to_owned(), "cart r:5000/p:1 → r:5001/p:1"),
        ("a/p:1".to_owned(), "b/p:2".to_owned(), "cart a/p:1 → b/p:2"),
        (String::new(), "p:2".to_owned(), "cart (no image) → p:2"),
    ] {
        let (old, new) = (cart(&json!([container("cart", &now)])), cart(&json!([container("cart", &then)])));
        assert_eq!(change_of(&canary(), &new, Some(&promoted(&old))).summary(), words);
    }
}

#[test]
fn nothing() {
    let target = cart(&json!([container("cart", "cart:6.5.0")]));
    let change = change_of(&canary(), &target, Some(&promoted(&target)));
    assert_eq!(change.running.as_ref(), Some(&change.digest));
    insta::assert_snapshot!(told(&canary(), &target, &promoted(&target)), @r"
    Deployment cart: no change
    | cart | cart:6.5.0 | cart:6.5.0 |
    ");
}

#[test]
fn no_primary_yet() {
    let target = cart(&json!([container("cart", "cart:6.5.0")]));
    let change = change_of(&canary(), &target, None);
    assert_eq!(change.running, None);
    insta::assert_snapshot!(text(&change), @"
    Deployment cart: cart 6.5.0 (new)
    | cart | – | cart:6.5.0 |
    app: cart
    Canary: traffic in steps of 10 % up to 50 %, every minute; rolled back after 5 failed checks; metrics request-success-rate and request-duration.
    ");
}

/// As Kustomize does it: another name for each content.
#[test]
fn only_a_config_map() {
    let target = |name: &str| {
        let mut target = cart(&json!([container("cart", "cart:6.5.0")]));
        let spec = &mut target["spec"]["template"]["spec"];
        spec["volumes"] = json!([{ "name": "config", "configMap": { "name": name } }]);
        spec["containers"][0]["envFrom"] = json!([{ "configMapRef": { "name": name } }]);
        set(
            spec,
            "/containers/0/env/-",
            json!({
                "name": "LEVEL", "valueFrom": { "configMapKeyRef": { "name": name, "key": "level" } },
            }),
        );
        target
    };
    let (old, new) = (target("cart-config-8h2k"), target("cart-config-t9m4"));
    let mut primary = promoted(&old);
    let copy = json!("cart-config-8h2k-primary");
    let spec = &mut primary["spec"]["template"]["spec"];
    set(spec, "/volumes/0/configMap/name", copy.clone());
    set(spec, "/containers/0/envFrom/0/configMapRef/name", copy.clone());
    set(spec, "/containers/0/env/1/valueFrom/configMapKeyRef/name", copy);
    assert!(change_of(&canary(), &old, Some(&primary)).is_empty());
    insta::assert_snapshot!(told(&canary(), &new, &primary), @r"
    Deployment cart: no new image, 2 other changes
    | cart | cart:6.5.0 | cart:6.5.0 |
    - ConfigMap cart-config-8h2k is no longer referenced
    - ConfigMap cart-config-t9m4 is now referenced
    ");

    // With another key as well, the variable itself is named.
    let new = with(&new, "/spec/containers/0/env/1/valueFrom/configMapKeyRef/key", json!("log-level"));
    insta::assert_snapshot!(told(&canary(), &new, &primary), @r"
    Deployment cart: no new image, 3 other changes
    | cart | cart:6.5.0 | cart:6.5.0 |
    - ConfigMap cart-config-8h2k is no longer referenced
    - ConfigMap cart-config-t9m4 is now referenced
    - Container cart: environment variable LEVEL changed
    ");
}

#[test]
fn only_an_environment_variable() {
    let old = cart(&json!([container("cart", "cart:6.5.0")]));
    let new = with(&old, "/spec/containers/0/env/0/value", json!("https://evil.example"));
    let told = told(&canary(), &new, &promoted(&old));
    assert!(!told.contains("evil"), "{told}");
    insta::assert_snapshot!(told, @r"
    Deployment cart: no new image; Container cart: environment variable PAYMENT_URL changed
    | cart | cart:6.5.0 | cart:6.5.0 |
    - Container cart: environment variable PAYMENT_URL changed
    ");
}

#[test]
fn only_replicas() {
    let old = cart(&json!([container("cart", "cart:6.5.0")]));
    let mut new = old.clone();
    new["spec"]["replicas"] = json!(4);
    insta::assert_snapshot!(told(&canary(), &new, &promoted(&old)), @r"
    Deployment cart: no new image; Replicas: 2 → 4
    | cart | cart:6.5.0 | cart:6.5.0 |
    - Replicas: 2 → 4
    ");

    // Scaled to zero by Flagger; scaled up by Flagger, to whatever number; with an autoscaler.
    let is_told = |canary: &Value, replicas: u64| {
        let mut target = old.clone();
        target["spec"]["replicas"] = json!(replicas);
        !change_of(canary, &target, Some(&promoted(&old))).is_empty()
    };
    for phase in ["Initialized", "Waiting", "Succeeded", "Failed"] {
        let mut canary = canary();
        canary["status"]["phase"] = json!(phase);
        assert!(!is_told(&canary, 0) && !is_told(&canary, 2) && is_told(&canary, 4), "{phase}");
        canary["spec"]["autoscalerRef"] = json!({ "kind": "HorizontalPodAutoscaler", "name": "cart" });
        assert!(!is_told(&canary, 4), "{phase}");
    }
    for phase in ["Initializing", "Progressing", "WaitingPromotion", "Promoting", "Finalising", ""] {
        let mut canary = canary();
        canary["status"]["phase"] = json!(phase);
        assert!(!is_told(&canary, 1), "{phase}");
    }
}

/// Flagger runs no pods of a DaemonSet by a node selector in its template. That is no change, and no other digest.
#[test]
fn a_daemon_set() {
    let mut canary = canary();
    canary["spec"]["targetRef"]["kind"] = json!("DaemonSet");
    let target = |image: &str| {
        let mut target = cart(&json!([container("cart", image)]));
        target["kind"] = json!("DaemonSet");
        let spec = target["spec"].as_object_mut().unwrap();
        drop((spec.remove("replicas"), spec.remove("strategy")));
        spec.insert("updateStrategy".into(), json!({ "rollingUpdate": { "maxUnavailable": 1 } }));
        target
    };
    let asleep =
        |target: &Value| with(target, "/spec/nodeSelector", json!({ "flagger.app/scale-to-zero": "true" }));
    let (old, mut new) = (target("cart:6.4.0"), target("cart:6.5.0"));
    let primary = promoted(&old);
    assert!(change_of(&canary, &asleep(&old), Some(&primary)).is_empty());
    assert_eq!(
        change_of(&canary, &asleep(&new), Some(&primary)).digest,
        change_of(&canary, &new, Some(&primary)).digest
    );
    set(&mut new, "/spec/updateStrategy/rollingUpdate/maxUnavailable", json!(3));
    set(&mut new, "/spec/minReadySeconds", json!(10));
    insta::assert_snapshot!(told(&canary, &asleep(&new), &primary), @"
    DaemonSet cart: cart 6.4.0 → 6.5.0
    | cart | cart:6.4.0 | cart:6.5.0 |
    - spec.minReadySeconds added
    - Update strategy changed
    ");
}

#[test]
fn everything_else() {
    let old = cart(&json!([container("cart", "cart:6.5.0"), container("proxy", "envoy:1.2")]));
    let mut new = old.clone();
    let template = &mut new["spec"]["template"];
    for (pointer, value) in [
        ("/metadata/labels/version", json!("v2")),
        ("/metadata/annotations/kubectl.kubernetes.io~1restartedAt", json!("2026-11-29T17:28:55Z")),
        ("/metadata/ownedBy", json!("me")),
        ("/unknown", json!(["kept"])),
        ("/spec/hostNetwork", json!(true)),
        ("/spec/serviceAccount", json!("cart")),
        ("/spec/serviceAccountName", json!("cart")),
        ("/spec/securityContext/runAsUser", json!(1000)),
        ("/spec/restartPolicy", Value::Null),
        ("/spec/affinity/nodeAffinity", json!({ "required": {} })),
        ("/spec/volumes", json!([{ "name": "tls", "secret": { "secretName": "cart-tls" } }])),
        ("/spec/containers/0/command", json!(["/bin/cart"])),
        ("/spec/containers/0/args", json!(["--quiet"])),
        ("/spec/containers/0/resources/limits/memory", json!("1Gi")),
        ("/spec/containers/0/livenessProbe/httpGet/path", json!("/healthz")),
        ("/spec/containers/0/readinessProbe/httpGet/path", json!("/ready")),
        ("/spec/containers/0/startupProbe/httpGet/path", json!("/started")),
        ("/spec/containers/0/ports", json!([{ "containerPort": 8080 }])),
        ("/spec/containers/0/volumeMounts", json!([{ "name": "tls", "mountPath": "/tls" }])),
        ("/spec/containers/0/envFrom", json!([{ "secretRef": { "name": "cart-tls" } }])),
        ("/spec/containers/0/securityContext/privileged", json!(true)),
        ("/spec/containers/0/env/-", json!({ "name": "DEBUG", "value": "1" })),
        ("/spec/containers/1/env", Value::Null),
    ] {
        set(template, pointer, value);
    }
    set(&mut new, "/spec/strategy/type", json!("Recreate"));
    insta::assert_snapshot!(told(&canary(), &new, &promoted(&old)), @r"
    Deployment cart: no new image, 24 other changes
    | cart | cart:6.5.0 | cart:6.5.0 |
    | proxy | envoy:1.2 | envoy:1.2 |
    - Update strategy changed
    - Secret cart-tls is now referenced
    - spec.template.metadata.ownedBy added
    - spec.template.spec.affinity.nodeAffinity.required added
    - Container cart: arguments changed
    - Container cart: command added
    - Container cart: variables from ConfigMaps and Secrets added
    - Container cart: liveness probe added
    - Container cart: ports added
    - Container cart: readiness probe added
    - Container cart: resources added
    - Container cart: securityContext.privileged added
    - Container cart: startup probe added
    - Container cart: volume mounts added
    - spec.template.spec.hostNetwork added
    - spec.template.spec.restartPolicy removed
    - spec.template.spec.securityContext.runAsUser added
    - Service account added
    - Volume tls added
    - spec.template.unknown added
    - Pod annotation kubectl.kubernetes.io/restartedAt added
    - Pod label version added
    - Container cart: environment variable DEBUG added
    - Container proxy: environment variable PAYMENT_URL removed
    ");
}

/// Init containers run in their order, and variables may refer to earlier ones.
#[test]
fn an_order() {
    let mut old = cart(&json!([container("cart", "cart:6.5.0")]));
    set(
        &mut old["spec"]["template"],
        "/spec/containers/0/env/-",
        json!({ "name": "URL", "value": "$(PAYMENT_URL)" }),
    );
    old["spec"]["template"]["spec"]["initContainers"] =
        json!([container("lock", "i:1"), container("migrate", "i:2")]);
    let mut new = old.clone();
    let spec = &mut new["spec"]["template"]["spec"];
    for list in ["/initContainers", "/containers/0/env"] {
        spec.pointer_mut(list).unwrap().as_array_mut().unwrap().reverse();
    }
    insta::assert_snapshot!(told(&canary(), &new, &promoted(&old)), @r"
    Deployment cart: no new image, 2 other changes
    | cart | cart:6.5.0 | cart:6.5.0 |
    | migrate (init) | i:2 | i:2 |
    | lock (init) | i:1 | i:1 |
    - Container cart: order of env changed
    - Order of spec.template.spec.initContainers changed
    ");
}

/// Plentiful names do not push out what an approver must not miss.
#[test]
fn two_hundred_changes_are_cut() {
    let mut old = cart(&json!([container("cart", "cart:6.5.0")]));
    let variables = |count: usize, value: &str| -> Value {
        (0..count).map(|n| json!({ "name": format!("VARIABLE_{n}"), "value": value })).collect()
    };
    set(&mut old["spec"]["template"], "/spec/containers/0/env", variables(199, "old"));
    let new = with(&old, "/spec/containers/0/env", variables(199, "new"));
    let new = with(&new, "/spec/hostNetwork", json!(true));
    let change = change_of(&canary(), &new, Some(&promoted(&old)));
    let sentences = change.sentences();
    assert_eq!((sentences.len(), change.differences.len(), change.differences_cut), (101, 100, 100));
    insta::assert_snapshot!([&sentences[..2], &sentences[99..]].concat().join("\n"), @"
    spec.template.spec.hostNetwork added
    Container cart: environment variable VARIABLE_0 changed
    Container cart: environment variable VARIABLE_98 changed
    100 more differences
    ");

    let containers = |tag: &str| -> Value {
        (0..60).map(|n| container(&format!("c{n}"), &format!("cart:{tag}"))).collect()
    };
    let change = change_of(&canary(), &cart(&containers("2")), Some(&promoted(&cart(&containers("1")))));
    assert_eq!((change.containers.len(), change.containers_cut), (50, 10));
    insta::assert_snapshot!(change.summary(), @r"c0 1 → 2, c1 1 → 2 and at least 48 more");
}

/// The API server refuses such an image, but a digest that differs must not look like nothing.
#[test]
fn an_image_that_is_no_text() {
    let target =
        |image: u8| with(&cart(&json!([container("cart", "")])), "/spec/containers/0/image", json!(image));
    insta::assert_snapshot!(told(&canary(), &target(2), &promoted(&target(1))), @r"
    Deployment cart: no new image; Container cart: image changed
    | cart | (no image) | (no image) |
    - Container cart: image changed
    ");
}

/// Names from the cluster are text: whatever is in them, a line stays a line.
#[test]
fn hostile_names() {
    let name = "cart\n\u{1b}[2J*bold* {{ cluster }} \u{202e}";
    let old = cart(&json!([container(name, "cart:6.4.0"), container("", "x"), { "name": 5 }, "no object"]));
    let mut new = cart(&json!([container(name, "cart:6.4.0\n| forged |"), container("", "y"), 7]));
    set(&mut new["spec"]["template"], "/spec/containers/0/env/0/name", json!("A\nB"));
    set(&mut new["spec"]["template"], &format!("/metadata/labels/{}", "l".repeat(400)), json!("x"));
    insta::assert_snapshot!(told(&canary(), &new, &promoted(&old)), @"
    Deployment cart: cart  [2J*bold* {{ cluster }} 6.4.0 → 6.4.0 | forged |, (no name) x → y and 1 more
    | cart  [2J*bold* {{ cluster }} | cart:6.4.0 | cart:6.4.0 | forged | |
    | (no name) | x | y |
    | (no name) | (no image) | – |
    | (no name) | (no image) | (no image) |
    - Container (no name): container changed
    - Pod label llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll… added
    - Container cart  [2J*bold* {{ cluster }}: environment variable A B added
    - Container cart  [2J*bold* {{ cluster }}: environment variable PAYMENT_URL removed
    ");
}
