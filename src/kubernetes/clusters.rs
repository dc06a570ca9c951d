//! All clusters that the bridge reads.

use std::{path::PathBuf, sync::Arc, time::Duration};

use globset::GlobSet;
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::cluster::{Cluster, UnknownCanary};
use crate::{
    clock::Clock,
    config::{Flagger, Kubernetes, KubernetesMode},
    millis::Millis,
    rollout::{Analysis, CanaryId, CanaryStatus, Reading, StepReading},
    workload::Shown,
};

/// How long questions wait at the start for what changes.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// The clusters that the bridge reads.
pub struct Clusters {
    clusters: Vec<Arc<Cluster>>,
    annotations: GlobSet,
}

impl Clusters {
    /// The clusters of this configuration: none if its mode is `off`; otherwise `flagger.cluster`, and those of
    /// `[[flagger.clusters]]` that have a kubeconfig. Reads nothing before [`Clusters::start`].
    #[must_use]
    pub fn new(kubernetes: &Kubernetes, flagger: &Flagger) -> Self {
        let clusters = match kubernetes.mode {
            KubernetesMode::Off => Vec::new(),
            KubernetesMode::Show | KubernetesMode::Bind => {
                let namespaces = literal_namespaces(&flagger.namespace_globs);
                let cluster = |name: &String, kubeconfig| {
                    Arc::new(Cluster::new(name.clone(), kubeconfig, namespaces.as_deref()))
                };
                let further = flagger.clusters.iter().filter_map(|further| {
                    Some(cluster(&further.name, Some(further.kubeconfig_file.clone()?)))
                });
                // The usual cluster may be one of the list, too.
                let listed = flagger.clusters.iter().find(|further| further.name == flagger.cluster);
                let listed = listed.and_then(|usual| usual.kubeconfig_file.clone());
                let usual = cluster(&flagger.cluster, kubernetes.kubeconfig_file.clone().or(listed));
                std::iter::once(usual)
                    .chain(further.filter(|further| further.name() != flagger.cluster))
                    .collect()
            }
        };
        Self { clusters, annotations: kubernetes.annotations.clone() }
    }

    /// Starts to read them, until `stop`, and waits for a while until each was read or could not be: so that the first
    /// tickets, too, say what changes.
    pub async fn start(&self, clock: &Clock, stop: &CancellationToken) {
        for cluster in &self.clusters {
            let (cluster, clock, stop) = (Arc::clone(cluster), clock.clone(), stop.clone());
            drop(tokio::spawn(async move { cluster.run(&clock, &stop).await }));
        }
        let all = async {
            for cluster in &self.clusters {
                cluster.answered().await;
            }
        };
        // Whoever has not answered by then may never do so.
        drop(timeout(START_TIMEOUT, all).await);
    }

    /// Whether the bridge reads the cluster of this name.
    #[must_use]
    pub fn includes(&self, name: &str) -> bool {
        self.cluster(name).is_some()
    }

    pub(super) fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.clusters.iter().map(Arc::as_ref).find(|cluster| cluster.name() == name)
    }

    /// What a rollout of this canary would change, as far as known. `None` if the bridge does not read its cluster.
    #[must_use]
    pub fn change(&self, canary: &CanaryId, now: Millis) -> Option<Arc<Shown>> {
        let cluster = self.cluster(&canary.cluster)?;
        Some(cluster.change(&canary.namespace, &canary.name, &self.annotations, now))
    }

    /// The same as it is now: read from the API server, within a second.
    pub async fn read(&self, canary: &CanaryId, reading: Reading) -> Option<Arc<Shown>> {
        let cluster = self.cluster(&canary.cluster)?;
        Some(cluster.read(&canary.namespace, &canary.name, &self.annotations, reading).await)
    }

    /// Each cluster's name, kubeconfig, and namespaces: `None` for all.
    pub(super) fn places(&self) -> impl Iterator<Item = (&str, Option<&PathBuf>, Vec<Option<&str>>)> {
        self.clusters.iter().map(|cluster| (cluster.name(), cluster.kubeconfig(), cluster.namespaces()))
    }

    /// What the watch shows of a Canary: `None` if there is no such Canary. The error says that this is not known.
    ///
    /// # Errors
    /// If the bridge does not read its cluster, or cannot at present.
    pub fn canary(&self, id: &CanaryId, now: Millis) -> Result<Option<CanaryStatus>, UnknownCanary> {
        let cluster = self.cluster(&id.cluster).ok_or(UnknownCanary)?;
        cluster.canary(&id.namespace, &id.name, now)
    }

    /// How often Canaries were created, changed, deleted or listed, in all clusters.
    #[must_use]
    pub fn canary_changes(&self) -> u64 {
        self.clusters.iter().map(|cluster| cluster.canary_changes()).sum()
    }

    /// The same, as it is now.
    ///
    /// # Errors
    /// As above.
    pub async fn read_canary(&self, id: &CanaryId) -> Result<Option<CanaryStatus>, UnknownCanary> {
        let cluster = self.cluster(&id.cluster).ok_or(UnknownCanary)?;
        cluster.read_canary(&id.namespace, &id.name).await
    }

    /// The step of traffic that a canary is about to take: read from the API server, within a second.
    pub async fn next_share(&self, canary: &CanaryId) -> StepReading {
        match self.cluster(&canary.cluster) {
            Some(cluster) => cluster.next_share(&canary.namespace, &canary.name).await,
            None => StepReading::NotRead,
        }
    }

    /// How far the analysis of a canary is, as the watch shows it. `None`: nothing is analysed, or it is not known.
    #[must_use]
    pub fn analysis(&self, id: &CanaryId, now: Millis) -> Option<Analysis> {
        let cluster = self.cluster(&id.cluster)?;
        cluster.analysis(&id.namespace, &id.name, now)
    }

    /// The Canaries of each cluster, as the watches show them.
    pub fn canaries(&self) -> impl Iterator<Item = (&str, Vec<Arc<Value>>)> {
        self.clusters.iter().map(|cluster| (cluster.name(), cluster.canaries()))
    }
}

/// The namespaces, if they are all named in full: then the bridge needs no right to read others.
fn literal_namespaces(globs: &[String]) -> Option<Vec<String>> {
    let is_name = |glob: &String| !glob.contains(['*', '?', '[', '{', '\\']);
    globs.iter().all(is_name).then(|| globs.to_vec())
}
