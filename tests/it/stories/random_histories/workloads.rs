//! What a ticket says of modelled workloads: made of objects as the API server stores them, by the bridge's own code.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use flagger_jira_bridge::workload::{Shown, TargetKind, change};
use serde_json::{Value, json};

/// A target and its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deployed {
    pub(super) kind: TargetKind,
    pub(super) target: u32,
    pub(super) primary: u32,
    /// Whether Flagger has scaled the target to zero.
    pub(super) idle: bool,
}

/// Kind, target, primary, and whether the target is scaled to zero.
type Key = (bool, u32, u32, bool);

thread_local! {
    /// Revisions are small numbers, the same in every history, and to work a change out takes longer than all else.
    static KNOWN: RefCell<HashMap<Key, Arc<Shown>>> = RefCell::default();
}

/// What a ticket shows of these.
pub(super) fn shown(deployed: Deployed) -> Arc<Shown> {
    let Deployed { kind, target, primary, idle } = deployed;
    let key = (kind == TargetKind::DaemonSet, target, primary, idle);
    KNOWN.with_borrow_mut(|known| {
        Arc::clone(known.entry(key).or_insert_with(|| {
            let canary = json!({ "spec": { "targetRef": { "kind": kind.to_string(), "name": "podinfo" } } });
            let (target, primary) = (workload(kind, "podinfo", target, idle), promoted(kind, primary));
            Arc::new(Shown::Change {
                change: change(&canary, &target, Some(&primary), &|_| false),
                as_of: None,
            })
        }))
    })
}

fn promoted(kind: TargetKind, revision: u32) -> Value {
    let mut primary = workload(kind, "podinfo-primary", revision, false);
    primary["spec"]["template"]["metadata"]["annotations"] = json!({ "flagger-id": revision.to_string() });
    primary
}

fn workload(kind: TargetKind, name: &str, revision: u32, idle: bool) -> Value {
    let image = format!("registry.example.com/podinfo:c{revision}");
    let mut workload = json!({
        "metadata": { "name": name },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": "podinfo", "image": image }] },
            },
        },
    });
    match kind {
        TargetKind::Deployment => workload["spec"]["replicas"] = json!(if idle { 0 } else { 2 }),
        TargetKind::DaemonSet if idle => {
            workload["spec"]["template"]["spec"]["nodeSelector"] =
                json!({ "flagger.app/scale-to-zero": "true" });
        }
        TargetKind::DaemonSet => {}
    }
    workload
}

/// The revision that a ticket says would run: what the people who approve it read. `None`: it does not say.
pub(super) fn revision_shown(shown: &Shown) -> Option<u32> {
    let container = shown.change()?.containers.first()?;
    container.would_run.as_ref()?.as_str().rsplit_once(":c")?.1.parse().ok()
}
