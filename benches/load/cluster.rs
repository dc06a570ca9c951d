//! An API server with many Canaries, each with its target and its primary.

use std::path::PathBuf;

use anyhow::Context as _;
use fake_kubernetes::FakeKubernetes;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::canary;

/// An API server and a kubeconfig for it.
pub(crate) struct Cluster {
    pub(crate) api: FakeKubernetes,
    kubeconfig: PathBuf,
    _home: TempDir,
}

/// What a caller has asked the server for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Requests {
    pub(crate) watches: usize,
    pub(crate) lists: usize,
    pub(crate) gets: usize,
}

impl Cluster {
    /// A server with so many Canaries, as a real one stores them.
    pub(crate) async fn with_canaries(canaries: usize) -> anyhow::Result<Self> {
        let api = FakeKubernetes::new();
        api.start().await?;
        let stored = |name: &str| -> anyhow::Result<Value> {
            let path = format!("fixtures/kubernetes/{name}-as-stored.json");
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
            Ok(serde_json::from_str(&text)?)
        };
        let (object, target, primary) = (stored("canary")?, stored("deployment")?, stored("primary")?);
        for number in 0..canaries {
            let (namespace, name) = canary(number);
            let mut object = named(&object, &namespace, &name, number);
            object["spec"]["targetRef"]["name"] = json!(name);
            // In a phase of the end the bridge would end the rollout of each question.
            object["status"]["phase"] = json!("Progressing");
            api.apply(object);
            api.apply(named(&target, &namespace, &name, number));
            api.apply(named(&primary, &namespace, &format!("{name}-primary"), number));
        }
        let home = tempfile::tempdir()?;
        let kubeconfig = home.path().join("kubeconfig");
        std::fs::write(&kubeconfig, api.kubeconfig())?;
        Ok(Self { api, kubeconfig, _home: home })
    }

    /// The settings of a bridge that reads it in this mode.
    pub(crate) fn settings(&self, mode: &str) -> String {
        format!("\n[kubernetes]\nmode = \"{mode}\"\nkubeconfig_file = \"{}\"\n", self.kubeconfig.display())
    }

    /// What was asked since the last call.
    pub(crate) fn take_requests(&self) -> Requests {
        let mut counted = Requests::default();
        for request in self.api.requests() {
            let watches = request.query.iter().any(|(key, value)| key == "watch" && value != "false");
            // A path to one object ends with its name; to many, with the plural of their kind.
            let of_one = !["canaries", "deployments", "daemonsets"]
                .iter()
                .any(|plural| request.path.ends_with(&format!("/{plural}")));
            let count = match (watches, of_one) {
                (true, _) => &mut counted.watches,
                (false, true) => &mut counted.gets,
                (false, false) => &mut counted.lists,
            };
            *count += 1;
        }
        self.api.clear_requests();
        counted
    }
}

/// The same object under another name.
fn named(object: &Value, namespace: &str, name: &str, number: usize) -> Value {
    let mut object = object.clone();
    object["metadata"]["namespace"] = json!(namespace);
    object["metadata"]["name"] = json!(name);
    let uid = format!("{number:08x}-0000-4000-8000-{:012x}", name.len());
    object["metadata"]["uid"] = json!(uid);
    object
}
