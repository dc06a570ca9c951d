//! The validated configuration.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use globset::GlobSet;
use secrecy::SecretString;

use crate::{jira, notify::Channel, policy::Policy, secret::Secret};

/// The whole configuration.
#[derive(Debug)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[store]`
    pub store: Store,
    /// `[flagger]`
    pub flagger: Flagger,
    /// `[kubernetes]`
    pub kubernetes: Kubernetes,
    /// `[jira]`
    pub jira: Jira,
    /// `[rollout]`
    pub rollout: Rollout,
    /// `[limits]`
    pub limits: Limits,
    /// `[ticket]`, `[approval]` and `[[routes]]`
    pub policy: Policy,
    /// `[[notify]]`
    pub notify: Vec<Channel>,
}

impl Config {
    /// All secrets with which callers authenticate.
    #[must_use]
    pub fn callers_secrets(&self) -> Vec<Secret> {
        let flagger = &self.flagger;
        let clusters = flagger.clusters.iter().filter_map(|cluster| cluster.token.clone());
        let scoped = flagger.tokens.iter().map(|scoped| scoped.token.clone());
        let others = [flagger.token.clone(), self.jira.webhook_secret.clone()];
        others.into_iter().flatten().chain(scoped).chain(clusters).collect()
    }
}

/// `[server]`: where the bridge listens.
#[derive(Clone, Debug)]
pub struct Server {
    /// Flagger's questions and reports.
    pub gate_listen: SocketAddr,
    /// Jira's webhook.
    pub webhook_listen: SocketAddr,
    /// Status page, health, metrics, API.
    pub admin_listen: SocketAddr,
    /// The status page alone; `None`: it is not served on a listener of its own.
    pub page_listen: Option<SocketAddr>,
    /// Where people reach the status page, without a slash at its end; linked from tickets.
    pub public_url: Option<String>,
    /// How long requests in progress may take after the bridge receives the signal to stop.
    pub shutdown_grace: Duration,
    /// Certificate and key of the gate and webhook listeners.
    pub tls: Option<Tls>,
}

/// `server.tls`
#[derive(Clone, Debug)]
pub struct Tls {
    /// The chain, PEM.
    pub cert_file: PathBuf,
    /// Its key, PEM.
    pub key_file: PathBuf,
}

/// `[store]`
#[derive(Clone, Debug)]
pub struct Store {
    /// `sqlite://…` or `postgres://…`; may hold a password.
    pub url: SecretString,
    /// How long the audit record is kept; `None` means forever.
    pub keep_for: Option<Duration>,
    /// Whether an SQLite file may be on a network volume.
    pub allow_network_volume: bool,
}

/// `[flagger]`: which callers may ask.
#[derive(Clone, Debug)]
pub struct Flagger {
    /// The cluster of a question that names none.
    pub cluster: String,
    /// The namespaces that may ask.
    pub namespaces: GlobSet,
    /// The globs of `namespaces`, as configured.
    pub namespace_globs: Vec<String>,
    /// The token that Flagger must send, if any; it does not prove a particular cluster.
    pub token: Option<Secret>,
    /// `[[flagger.tokens]]`: further tokens, each valid for some namespaces only.
    pub tokens: Vec<ScopedToken>,
    /// `[[flagger.clusters]]`: further clusters, each with an optional token that proves it.
    pub clusters: Vec<Cluster>,
}

impl Flagger {
    /// Every token that Flagger may send, with its key.
    pub fn all_tokens(&self) -> impl Iterator<Item = (String, &Secret)> {
        let general = self.token.as_ref().map(|token| ("flagger.token".to_owned(), token));
        let scoped = self.tokens.iter().enumerate();
        let scoped = scoped.map(|(nth, scoped)| (format!("flagger.tokens[{nth}].token"), &scoped.token));
        let clusters = self.clusters.iter().enumerate().filter_map(|(nth, cluster)| {
            Some((format!("flagger.clusters[{nth}].token"), cluster.token.as_ref()?))
        });
        general.into_iter().chain(scoped).chain(clusters)
    }
}

/// One of `[[flagger.tokens]]`.
#[derive(Clone, Debug)]
pub struct ScopedToken {
    /// The token that Flagger must send.
    pub token: Secret,
    /// The namespaces for which it is valid.
    pub namespaces: GlobSet,
    /// The only cluster for which it is valid, and which it proves. `None`: each cluster without a token of its own.
    pub cluster: Option<String>,
}

/// One of `[[flagger.clusters]]`.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// The token that only this cluster has.
    pub token: Option<Secret>,
    /// How to reach its API server. `None`: the bridge does not read this cluster.
    pub kubeconfig_file: Option<PathBuf>,
}

/// `[kubernetes]`: what the bridge reads of clusters.
#[derive(Clone, Debug)]
pub struct Kubernetes {
    /// Whether it reads them, and what for.
    pub mode: KubernetesMode,
    /// How to reach the API server of `flagger.cluster`. `None`: as the pod's service account or, outside of a cluster,
    /// by `KUBECONFIG` or `~/.kube/config`.
    pub kubeconfig_file: Option<PathBuf>,
    /// Whether Kubernetes Events on a Canary name its tickets, if it reads them.
    pub events: bool,
    /// The annotations and labels of a target that its ticket shows.
    pub annotations: GlobSet,
}

/// `kubernetes.mode`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KubernetesMode {
    /// Nothing is read.
    Off,
    /// Tickets show what changes.
    Show,
    /// And an approval at confirm-rollout is for that alone.
    Bind,
}

impl KubernetesMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Off, Self::Show, Self::Bind];

    /// Its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Show => "show",
            Self::Bind => "bind",
        }
    }
}

/// `[jira]`: how to reach Jira, and how often.
#[derive(Clone, Debug)]
pub struct Jira {
    /// The settings of the client.
    pub client: jira::Settings,
    /// The secret with which Jira signs its webhooks; `None` means that the webhook is off.
    pub webhook_secret: Option<Secret>,
    /// How often tickets that Flagger asks about are read.
    pub poll_every: Duration,
    /// How long an answer of Jira proves an approval.
    pub trust_for: Duration,
    /// How long Jira's search may miss a new issue.
    pub index_lag: Duration,
}

/// `[rollout]`
#[derive(Clone, Copy, Debug)]
pub struct Rollout {
    /// After this much silence, a question to an open gate no longer belongs to the same rollout.
    pub idle_after: Duration,
    /// After this much silence, a rollout has ended.
    pub abandon_after: Duration,
}

/// `[limits]`
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many rollouts of one canary may open tickets within an hour.
    pub tickets_per_canary_per_hour: usize,
    /// How many tickets may be live.
    pub open_tickets: usize,
    /// How many of them may belong to one namespace.
    pub open_tickets_per_namespace: usize,
}
