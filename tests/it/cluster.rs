//! The bridge with the real Flagger on a real API server. `.ci/cluster` starts these, and runs this.
//!
//! Each test has a namespace, a Canary, a bridge and a Jira of its own. Flagger, the API server and etcd are the same
//! for all.

mod api;
mod bypasses;
mod manifests;
mod outages;
mod recordings;
mod relay;
mod scene;
mod strategies;
mod target;

use std::{path::PathBuf, time::Duration};

use tokio::time::{Instant, sleep};

/// A time limit that a slow machine keeps.
const PATIENCE: Duration = Duration::from_secs(90);

/// The directory with what `.ci/cluster` prepared: kubeconfig, manifests, logs and process ids.
fn home() -> PathBuf {
    std::env::var_os("CLUSTER").expect("CLUSTER names the directory of .ci/cluster").into()
}

/// Waits until a condition holds.
async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}
