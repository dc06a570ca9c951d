//! What each key means once it is read and found right.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use globset::GlobSet;
use secrecy::SecretString;

use crate::{jira, policy::Policy, secret::Secret};

/// The whole configuration.
#[derive(Debug)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[store]`
    pub store: Store,
    /// `[flagger]`
    pub flagger: Flagger,
    /// `[jira]`
    pub jira: Jira,
    /// `[rollout]`
    pub rollout: Rollout,
    /// `[limits]`
    pub limits: Limits,
    /// `[ticket]`, `[approval]` and `[[routes]]`
    pub policy: Policy,
}

impl Config {
    /// All that callers may bring to prove who they are.
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
    /// Where people reach the status page, without a slash at its end; linked from tickets.
    pub public_url: Option<String>,
    /// How long requests in hand may take once the bridge is told to stop.
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
    /// `sqlite://…` or `postgres://…`, which holds a password.
    pub url: SecretString,
    /// How long the audit record is kept; `None` is for ever.
    pub keep_for: Option<Duration>,
    /// Whether a file of SQLite may be on a volume of a network.
    pub allow_network_volume: bool,
}

/// `[flagger]`: whose questions are heard.
#[derive(Clone, Debug)]
pub struct Flagger {
    /// The cluster a question is from when it names none.
    pub cluster: String,
    /// The namespaces that may ask.
    pub namespaces: GlobSet,
    /// As they are listed.
    pub namespace_globs: Vec<String>,
    /// What Flagger must bring, if anything; it proves no particular cluster.
    pub token: Option<Secret>,
    /// `[[flagger.tokens]]`: further tokens, each good for some namespaces only.
    pub tokens: Vec<ScopedToken>,
    /// `[[flagger.clusters]]`: further names, each with a token that proves it, if given.
    pub clusters: Vec<Cluster>,
}

impl Flagger {
    /// Every token that Flagger may bring, with its key.
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
    /// What Flagger must bring.
    pub token: Secret,
    /// The namespaces that it is good for.
    pub namespaces: GlobSet,
    /// The only cluster that it is good for, and that it proves. None: it is good for each that has no token of its own.
    pub cluster: Option<String>,
}

/// One of `[[flagger.clusters]]`.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// The token that only this cluster has.
    pub token: Option<Secret>,
}

/// `[jira]`: how to reach Jira, and how often.
#[derive(Clone, Debug)]
pub struct Jira {
    /// What its client goes by.
    pub client: jira::Settings,
    /// What Jira's webhook is signed with; none means that the webhook is off.
    pub webhook_secret: Option<Secret>,
    /// How often tickets that Flagger asks about are read.
    pub poll_every: Duration,
    /// For how long an answer proves an approval.
    pub trust_for: Duration,
    /// For how long Jira's search may miss a new issue.
    pub index_lag: Duration,
}

/// `[rollout]`
#[derive(Clone, Copy, Debug)]
pub struct Rollout {
    /// After this much silence an opened gate is not believed to be of the same rollout.
    pub idle_after: Duration,
    /// After this much silence a rollout has ended.
    pub abandon_after: Duration,
}

/// `[limits]`
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rollouts of one canary that open tickets within an hour.
    pub tickets_per_canary_per_hour: usize,
    /// Live tickets in all.
    pub open_tickets: usize,
    /// Of them, live tickets of one namespace.
    pub open_tickets_per_namespace: usize,
}
