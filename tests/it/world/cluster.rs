//! A cluster with one canary, on an API server of the tests.

use fake_kubernetes::FakeKubernetes;
use serde_json::{Value, json};

/// An API server on which `shop/cart` runs version 6.4.0, and a kubeconfig for it.
pub(crate) struct Cluster {
    pub(crate) api: FakeKubernetes,
    home: tempfile::TempDir,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let api = FakeKubernetes::new();
        api.start().await.unwrap();
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("kubeconfig"), api.kubeconfig()).unwrap();
        let cluster = Self { api, home };
        cluster.api.apply(canary());
        cluster.api.apply(deployment("cart-primary", "6.4.0"));
        cluster.pushes("6.5.0");
        cluster
    }

    /// Somebody deploys this version of `shop/cart`.
    pub(crate) fn pushes(&self, version: &str) {
        self.api.apply(deployment("cart", version));
    }

    /// Somebody deploys this version of `shop/cart` with the variables of this ConfigMap.
    pub(crate) fn pushes_with_config(&self, version: &str, config: &str) {
        let mut cart = deployment("cart", version);
        let container = &mut cart["spec"]["template"]["spec"]["containers"][0];
        container["envFrom"] = json!([{ "configMapRef": { "name": config } }]);
        self.api.apply(cart);
    }

    /// Somebody creates this ConfigMap in namespace `shop`, or replaces it. Flagger tracks it, or does not.
    pub(crate) fn has_config(&self, name: &str, value: &str, tracking: &str) {
        self.api.apply(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": name, "namespace": "shop", "annotations": { "flagger.app/config-tracking": tracking },
            },
            "data": { "SHIPPING": value },
        }));
    }

    /// Flagger sets the phase of the Canary.
    pub(crate) fn is_in_phase(&self, phase: &str) {
        self.api.patch("Canary", "shop", "cart", &json!({ "status": { "phase": phase } })).unwrap();
    }

    /// Flagger sets the phase of the Canary, the weight of the new version, and the number of failed checks.
    pub(crate) fn is_at(&self, phase: &str, weight: u8, failed_checks: u8) {
        let status = json!({ "phase": phase, "canaryWeight": weight, "failedChecks": failed_checks });
        self.api.patch("Canary", "shop", "cart", &json!({ "status": status })).unwrap();
    }

    /// Somebody creates a Canary like `shop/cart` with this name and `spec`, or replaces it.
    pub(crate) fn has_canary(&self, namespace: &str, name: &str, spec: &Value) {
        let mut canary = canary();
        canary["metadata"] = json!({ "name": name, "namespace": namespace });
        canary["spec"] = spec.clone();
        self.api.apply(canary);
    }

    /// Flagger's hash of a version.
    pub(crate) fn hash(version: &str) -> String {
        format!("hash-of-{version}")
    }

    /// Flagger starts to analyse a version that was pushed.
    pub(crate) fn analyses(&self, version: &str) {
        self.pushes(version);
        let status = json!({ "phase": "Progressing", "lastAppliedSpec": Self::hash(version) });
        self.api.patch("Canary", "shop", "cart", &json!({ "status": status })).unwrap();
    }

    /// Flagger succeeded with a version, as the Canary shows.
    pub(crate) fn has_promoted(&self, version: &str) {
        let hash = Self::hash(version);
        let status = json!({ "phase": "Succeeded", "lastAppliedSpec": hash, "lastPromotedSpec": hash });
        self.api.patch("Canary", "shop", "cart", &json!({ "status": status })).unwrap();
    }

    /// Flagger promotes what is deployed.
    pub(crate) fn promotes(&self, version: &str) {
        self.api.apply(deployment("cart-primary", version));
    }

    /// The settings of a bridge that reads it in this mode.
    pub(crate) fn settings(&self, mode: &str) -> String {
        let kubeconfig = self.home.path().join("kubeconfig");
        format!("kubernetes.mode = {mode:?}\nkubernetes.kubeconfig_file = \"{}\"", kubeconfig.display())
    }
}

fn canary() -> Value {
    json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": { "name": "cart", "namespace": "shop" },
        "spec": {
            "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "cart" },
            "analysis": {
                "interval": "1m", "threshold": 5, "maxWeight": 50, "stepWeight": 10,
                "metrics": [{ "name": "request-success-rate" }],
                "webhooks": webhooks(),
            },
        },
    })
}

/// All hooks that a Canary has for the bridge.
pub(crate) fn webhooks() -> Vec<Value> {
    let gates = ["confirm-rollout", "confirm-traffic-increase", "confirm-promotion", "rollback"];
    let gates = gates.map(|kind| (kind, format!("/gate/{kind}")));
    let reports = ["event", "post-rollout"].map(|kind| (kind, format!("/{kind}")));
    gates
        .into_iter()
        .chain(reports)
        .map(|(kind, path)| {
            json!({ "name": format!("jira-{kind}"), "type": kind, "url": format!("http://flagger-jira-bridge.flagger{path}") })
        })
        .collect()
}

fn deployment(name: &str, version: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": name, "namespace": "shop",
            "annotations": { "kubernetes.io/change-cause": format!("https://git.example.com/shop/cart/v{version}") },
        },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{
                    "name": "cart",
                    "image": format!("registry.example.com/shop/cart:{version}"),
                    "env": [{ "name": "PAYMENT_PASSWORD", "value": format!("hunter-{version}") }],
                }] },
            },
        },
    })
}
