//! What a target says of itself: labels and annotations, who owns it, who pushed it.

use super::*;

/// What a ticket shows of a value.
fn shown(value: &str) -> AnnotationValue {
    let target = json!({ "metadata": { "annotations": { "kubernetes.io/change-cause": value } } });
    change_of(&canary(), &target, None).annotations.remove(0).value
}

#[test]
fn only_those_that_are_configured() {
    let target = json!({ "metadata": {
        "labels": { "app": "cart", "app.kubernetes.io/version": "6.5.0", "odd": 5 },
        "annotations": {
            "kubernetes.io/change-cause": "CART-12: raise\nthe timeout",
            "ci/run": "https://ci.shop/runs/12?view=log#end",
            "vault/token": "short",
            "kubectl.kubernetes.io/last-applied-configuration": "{\"env\":\"hunter2\"}",
        },
    } });
    let is_shown = |name: &str| name != "app";
    let change = change(&canary(), &target, None, &is_shown);
    insta::assert_snapshot!(text(&Change { strategy: None, ..change }), @r"
    Deployment cart: no new image
    app.kubernetes.io/version: 6.5.0
    ci/run: https://ci.shop/runs/12?view=log#end (link)
    kubernetes.io/change-cause: CART-12: raise the timeout
    vault/token: not shown: looks like a secret
    ");
    assert_eq!(super::change(&canary(), &target, None, &|_| false).annotations, []);
}

#[test]
fn links_are_http_and_whole() {
    for link in ["https://ci.shop/1", "http://ci.shop", "https://ci.shop/a%20b?x=1&y=2#z"] {
        assert_eq!(shown(link), AnnotationValue::Link(link.into()));
    }
    let long = format!("https://ci.shop/{}", "x/".repeat(300));
    for text in [
        "ftp://ci.shop",
        "javascript:alert(1)",
        "see https://ci.shop",
        "https://",
        "https:///x",
        "HTTPS://CI.SHOP",
        "https://ci.shop/a b",
        "https://ci.shop/\u{202e}x",
        "https://ci.shop/\"><script>",
        "https://ci.shop/x|y",
        &long,
    ] {
        assert!(matches!(shown(text), AnnotationValue::Text(_)), "{text}");
    }
}

#[test]
fn what_looks_like_a_secret_is_not_shown() {
    let hex = |count: usize| "0123456789abcdef".repeat(8)[..count].to_owned();
    for secret in [
        "password=hunter2",
        "--db-password hunter2 --Password: hunter2",
        "PASSWORD = hunter2",
        "\"apiKey\" : 1",
        "https://ci.shop/run?token=abc",
        "https://store.shop/file?sig=abc",
        "https://user:hunter2@git.shop/cart",
        "https://user@git.shop/cart",
        "pushed from https://user:hun/ter2@git.shop/cart",
        "Authorization: Bearer abc",
        "-----BEGIN PRIVATE KEY-----",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "https://hooks.shop/services/T00000000/B00000000/Xq3zXq3zXq3zXq3zXq3zXq3z",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.ZRrHA1JJJW8opsbCGfG",
        "key 0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        &hex(32),
        &hex(64),
        &format!("sha512:{}", hex(128)),
    ] {
        assert_eq!(shown(secret), AnnotationValue::Withheld(Withheld::Secret), "{secret}");
        assert_eq!(shown(secret).to_string(), "not shown: looks like a secret");
    }
    for plain in [
        "",
        "6.5.0",
        "[CART-12] no longer asks for the password twice",
        "kubectl set image deployment/cart cart=registry.shop/cart:6.5.0 --record=true",
        "main@3f2a9c1",
        &hex(40),
        &format!("registry.shop/cart@sha256:{}", hex(64)),
        "24f90773-2105-4121-b5c1-9b9e5a968339",
        "2026-11-29T17:28:55Z",
        "anyone@shop.example",
        "https://blog.shop/@cart",
        "internationalization-of-the-shopping-cart",
        "12345678901234567890123456789012345678901234567890",
    ] {
        let shown = shown(plain);
        assert!(!matches!(shown, AnnotationValue::Withheld(_)), "{plain}");
        assert_eq!(shown.to_string(), plain);
    }
    assert_eq!(shown(" {\"spec\":{}}"), AnnotationValue::Withheld(Withheld::Json));
}

#[test]
fn too_many_are_counted() {
    let all: serde_json::Map<String, Value> = (0..60).map(|n| (format!("a{n:02}"), json!("x"))).collect();
    let change = change_of(&canary(), &json!({ "metadata": { "annotations": all } }), None);
    assert_eq!((change.annotations.len(), change.annotations_cut), (50, 10));
}

#[test]
fn who_deploys_it() {
    for (metadata, owner) in [
        (json!({}), None),
        (json!({ "labels": { "kustomize.toolkit.fluxcd.io/name": "" } }), None),
        (
            json!({ "labels": {
                "kustomize.toolkit.fluxcd.io/name": "apps",
                "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
            } }),
            Some("Flux Kustomization apps in flux-system"),
        ),
        (
            json!({
                "labels": {
                    "helm.toolkit.fluxcd.io/name": "cart",
                    "helm.toolkit.fluxcd.io/namespace": "shop",
                    "app.kubernetes.io/managed-by": "Helm",
                },
                "annotations": { "meta.helm.sh/release-name": "cart" },
            }),
            Some("Flux HelmRelease cart in shop"),
        ),
        (
            json!({ "annotations": { "argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/cart" } }),
            Some("Argo CD application shop"),
        ),
        (json!({ "labels": { "argocd.argoproj.io/instance": "shop" } }), Some("Argo CD application shop")),
        (
            json!({
                "labels": { "app.kubernetes.io/managed-by": "Helm" },
                "annotations": { "meta.helm.sh/release-name": "cart", "meta.helm.sh/release-namespace": "shop" },
            }),
            Some("Helm release cart in shop"),
        ),
        (json!({ "annotations": { "meta.helm.sh/release-name": "cart" } }), None),
        (json!({ "labels": { "kustomize.toolkit.fluxcd.io/name": ["apps"] }, "annotations": 5 }), None),
    ] {
        let change = change_of(&canary(), &json!({ "metadata": metadata }), None);
        assert_eq!(change.owner.map(|owner| owner.to_string()).as_deref(), owner, "{metadata}");
    }
}

#[test]
fn who_pushed_it_last() {
    let entry = |manager: &str, at: &str, owns: Value| json!({ "manager": manager, "time": at, "fieldsV1": { "f:spec": owns } });
    let template = || json!({ "f:template": { "f:spec": {} } });
    let pushed = |entries: Value| {
        let target = json!({ "metadata": { "managedFields": entries } });
        change_of(&canary(), &target, None).pushed.map(|push| push.to_string())
    };
    let entries = json!([
        entry("helm", "2026-11-29T17:28:26Z", template()),
        entry("kubectl-rollout", "2026-11-29T17:28:55Z", template()),
        // Flagger puts a DaemonSet to sleep by its template; a controller scales; a clock went wild.
        entry("flagger", "2026-11-29T17:29:19Z", template()),
        entry("kube-controller-manager", "2026-11-29T17:30:00Z", json!({ "f:replicas": {} })),
        entry("odd", "yesterday", template()),
        { "manager": 5 },
        7,
    ]);
    assert_eq!(pushed(entries).as_deref(), Some("kubectl-rollout at 2026-11-29T17:28:55Z"));
    assert_eq!(pushed(json!("none")), None);
}
