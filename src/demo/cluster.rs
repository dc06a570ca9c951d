//! The demo's cluster: its API server shows what the simulated Flagger rolls out.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use fake_kubernetes::FakeKubernetes;
use serde_json::{Value, json};

use super::fake_flagger::{FakeFlagger, Phase};

/// The hooks that every Canary has: type and path.
const OTHER_HOOKS: [(&str, &str); 3] =
    [("rollback", "/gate/rollback"), ("event", "/event"), ("post-rollout", "/post-rollout")];

/// An API server in memory.
pub(super) struct Cluster {
    api: FakeKubernetes,
    /// What runs, by canary.
    primaries: HashMap<String, String>,
}

impl Cluster {
    /// Starts the API server. Returns it with a kubeconfig in this directory.
    pub(super) async fn start(home: &Path) -> io::Result<(Self, PathBuf)> {
        let api = FakeKubernetes::new();
        api.start().await?;
        let kubeconfig = home.join("kubeconfig");
        fs::write(&kubeconfig, api.kubeconfig())?;
        Ok((Self { api, primaries: HashMap::new() }, kubeconfig))
    }

    /// Shows a canary as Flagger and its developers have it now.
    pub(super) fn show(&mut self, flagger: &FakeFlagger) {
        let (namespace, name) = flagger.place();
        match flagger.phase() {
            // The primary gets what Flagger applied.
            Phase::Initialized | Phase::Finalising | Phase::Succeeded => {
                self.primaries.insert(flagger.canary(), flagger.applied().to_owned());
            }
            Phase::Initializing
            | Phase::Waiting
            | Phase::Progressing
            | Phase::WaitingPromotion
            | Phase::Promoting
            | Phase::Failed => {}
        }
        self.api.apply(canary(namespace, name, flagger));
        self.api.apply(deployment(namespace, name, name, flagger.deployed()));
        if let Some(primary) = self.primaries.get(&flagger.canary()) {
            self.api.apply(deployment(namespace, &format!("{name}-primary"), name, primary));
        }
    }
}

fn hooks(flagger: &FakeFlagger) -> Vec<Value> {
    let hook = |kind: &str, path: &str| {
        json!({
            "name": format!("jira-{kind}"),
            "type": kind,
            "url": format!("http://flagger-jira-bridge.flagger{path}"),
        })
    };
    let confirm = flagger.confirm_hooks().iter().map(|kind| {
        let mut hook = hook(kind, &format!("/gate/{kind}"));
        hook["metadata"] = json!(flagger.metadata());
        hook
    });
    confirm.chain(OTHER_HOOKS.map(|(kind, path)| hook(kind, path))).collect()
}

fn canary(namespace: &str, name: &str, flagger: &FakeFlagger) -> Value {
    json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": name },
            "analysis": {
                "interval": "1m", "threshold": 5, "maxWeight": 60, "stepWeight": 20,
                "metrics": [{ "name": "request-success-rate" }],
                "webhooks": hooks(flagger),
            },
        },
        "status": { "phase": flagger.phase().as_str(), "canaryWeight": flagger.weight() },
    })
}

fn deployment(namespace: &str, name: &str, container: &str, revision: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": name, "namespace": namespace,
            "annotations": {
                "kubernetes.io/change-cause": format!("https://git.example.com/{namespace}/{container}/commits/{revision}"),
            },
        },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{
                    "name": container,
                    "image": format!("registry.example.com/{namespace}/{container}:{revision}"),
                }] },
            },
        },
    })
}
