//! What counts in a digest, and what does not.

use super::*;

fn of(template: &Value) -> Digest {
    digest(TargetKind::Deployment, template)
}

/// An older version must compute the same, or each approval that waits would be void at an upgrade.
#[test]
fn the_digest_of_a_known_template_stays() {
    let template = json!({
        "metadata": { "labels": { "b": "1", "a": "ä\n\"" }, "creationTimestamp": null },
        "spec": { "containers": [{ "name": "cart", "image": "cart:1", "resources": {}, "args": [], "tty": true }],
                  "terminationGracePeriodSeconds": 30, "weight": 1.5 },
    });
    // By sha256sum, of {"metadata":{"labels":{"a":"ä\n\"","b":"1"}},"spec":{"containers":[{"args":[],"image":"cart:1",
    // "name":"cart","tty":true}],"terminationGracePeriodSeconds":30,"weight":1.5}} without this line break.
    insta::assert_snapshot!(of(&template), @"f5a4ed2138839d90111a728fcb292f37ca84d4e8e5445d5fa4fec4f31d82949d");
}

#[test]
fn what_the_api_server_adds_or_drops_does_not_count() {
    let template =
        json!({ "metadata": { "labels": { "app": "cart" } }, "spec": { "containers": [{ "name": "c" }] } });
    for (pointer, value) in [
        ("/metadata/creationTimestamp", Value::Null),
        ("/metadata/annotations", json!({})),
        ("/spec/nodeSelector", json!({})),
        ("/spec/securityContext", json!({})),
        ("/spec/securityContext", json!({ "runAsUser": null })),
        ("/spec/containers/0/resources", json!({})),
        ("/spec/containers/0/resources", json!({ "limits": {}, "requests": {} })),
        ("/spec/containers/0/lifecycle", Value::Null),
    ] {
        let mut other = template.clone();
        set(&mut other, pointer, value);
        assert_eq!(of(&other), of(&template), "{pointer}");
    }
}

#[test]
fn everything_else_counts() {
    let template = json!({
        "metadata": { "labels": { "app": "cart" } },
        "spec": {
            "containers": [{ "name": "c", "image": "i:1", "ports": [{ "containerPort": 1 }, { "containerPort": 2 }] }],
            "topologySpreadConstraints": [{ "maxSkew": 1 }],
        },
    });
    let mut seen = vec![of(&template)];
    for (pointer, value) in [
        ("/metadata/annotations/kubectl.kubernetes.io~1restartedAt", json!("2026-11-29T17:28:55Z")),
        ("/metadata/labels/app", json!("cart2")),
        ("/metadata/labels/empty", json!("")),
        ("/spec/containers/0/image", json!("i:2")),
        ("/spec/containers/0/ports", json!([{ "containerPort": 2 }, { "containerPort": 1 }])),
        ("/spec/containers/0/ports", json!([{ "containerPort": "1" }, { "containerPort": 2 }])),
        ("/spec/containers/0/args", json!([])),
        ("/spec/containers/0/args", json!([null])),
        ("/spec/containers/0/args", json!([{}])),
        ("/spec/containers/0/unknownField", json!(false)),
        // It selects all pods; without it, none.
        ("/spec/topologySpreadConstraints/0/labelSelector", json!({})),
        ("/spec/nodeSelector/flagger.app~1scale-to-zero", json!("true")),
        ("/unknownField", json!({ "a": {} })),
    ] {
        let mut other = template.clone();
        set(&mut other, pointer, value);
        let digest = of(&other);
        assert!(!seen.contains(&digest), "{pointer}");
        seen.push(digest);
    }
    // What Flagger adds to put a DaemonSet to sleep is the only exception.
    let mut asleep = template.clone();
    set(&mut asleep, "/spec/nodeSelector/flagger.app~1scale-to-zero", json!("true"));
    assert_eq!(digest(TargetKind::DaemonSet, &asleep), of(&template));
    set(&mut asleep, "/spec/nodeSelector/disk", json!("ssd"));
    assert_ne!(digest(TargetKind::DaemonSet, &asleep), of(&template));
}

/// Text and structure cannot be mistaken for each other.
#[test]
fn no_two_forms_are_alike() {
    let forms = [
        json!({ "a": "b" }),
        json!({ "a": ["b"] }),
        json!({ "a": { "b": "" } }),
        json!({ "a\":\"b": "" }),
        json!("{\"a\":\"b\"}"),
        json!({ "a": "1" }),
        json!({ "a": 1 }),
        json!({ "a": 1.5 }),
        json!({ "a": true }),
        json!({ "a": "true" }),
        json!(["a", "b"]),
        json!(["a,b"]),
        json!([["a"], "b"]),
        json!(null),
        json!([]),
        json!({}),
    ];
    let digests: std::collections::BTreeSet<Digest> = forms.iter().map(of).collect();
    assert_eq!(digests.len(), forms.len());
}
