//! What the log says at the start: the version, and the settings that an operator needs to diagnose a problem, one
//! line each. No secrets.

use crate::{
    config::{Config, Flagger, Jira, Kubernetes, KubernetesMode},
    jira::{Kind, Login},
    millis::config_notation,
    store,
};

/// Logs the version and the settings, and warns about tokens that cannot be part of a URL.
pub(super) fn log_settings(config: &Config) {
    tracing::info!("flagger-jira-bridge {} starts", env!("CARGO_PKG_VERSION"));
    for line in lines(config).into_iter().chain(channels_line(config)) {
        tracing::info!("{line}");
    }
    for recording in config.policy.recording() {
        let (key, gates) = (recording.key, recording.gates);
        tracing::warn!(
            key,
            gates,
            "approval.mode is record here: these gates open at once, and nobody is asked"
        );
    }
    for (key, secret) in config.flagger.all_tokens() {
        if !secret.fits_url() {
            tracing::warn!(
                "{key} contains characters that are not allowed in a URL (such as / # ? % @); as http://any:TOKEN@host it does \
                 not work"
            );
        }
    }
}

fn lines(config: &Config) -> [String; 8] {
    let Config { server, store: database, flagger, kubernetes, jira, rollout, limits, policy, notify: _ } =
        config;
    let retention = database.keep_for.map_or_else(|| "forever".to_owned(), config_notation);
    let (base, routes) = (&policy.base, policy.routes.len());
    let approvers = match base.approval.approvers.len() {
        0 => "any person who may move the ticket in Jira".to_owned(),
        entries => format!("{entries} listed"),
    };
    [
        format!("store: {}; the record is kept {retention}", store::describe(&database.url)),
        jira_line(jira),
        match jira.webhook_secret {
            Some(_) => "webhook: on, because jira.webhook_secret is set".to_owned(),
            None => {
                "webhook: off, because jira.webhook_secret is missing; tickets are only polled".to_owned()
            }
        },
        flagger_line(flagger),
        kubernetes_line(kubernetes, flagger),
        format!(
            "tickets: project {}, issue type {}; approvers: {approvers}; routes: {routes}",
            base.ticket.project, base.ticket.issue_type
        ),
        format!(
            "rollouts: end after {} of silence; at most {} rollouts of a canary open tickets within an hour; at most {} tickets are open for a namespace, and {} in all",
            config_notation(rollout.abandon_after),
            limits.tickets_per_canary_per_hour,
            limits.open_tickets_per_namespace,
            limits.open_tickets
        ),
        match &server.public_url {
            Some(url) => format!("status page: tickets link to {url}"),
            None => "status page: tickets do not link to it, because server.public_url is missing".to_owned(),
        },
    ]
}

/// The channels, if there are any.
fn channels_line(config: &Config) -> Option<String> {
    let formats: Vec<&str> = config.notify.iter().map(|channel| channel.format.as_str()).collect();
    (!formats.is_empty()).then(|| format!("messages to channels: {} ({})", formats.len(), formats.join(", ")))
}

fn jira_line(jira: &Jira) -> String {
    let client = &jira.client;
    let kind = client.kind.map_or("auto", Kind::config_name);
    let user = match &client.login {
        Login::Token { user: Some(user), .. } => format!("as {user}"),
        Login::Token { user: None, .. } => "with a token alone".to_owned(),
        Login::OAuth(oauth) => format!("as the OAuth client {}", oauth.client_id),
    };
    format!(
        "Jira: {}, kind {kind}, {user}; read every {}, trusted for {}, at most {} requests a second",
        client.url,
        config_notation(jira.poll_every),
        config_notation(jira.trust_for),
        client.requests_per_second
    )
}

fn kubernetes_line(kubernetes: &Kubernetes, flagger: &Flagger) -> String {
    match kubernetes.mode {
        KubernetesMode::Off => "Kubernetes: not read; a ticket does not say what changes".to_owned(),
        KubernetesMode::Show | KubernetesMode::Bind => {
            let further = flagger.clusters.iter().filter(|cluster| cluster.kubeconfig_file.is_some());
            let mut names = vec![flagger.cluster.as_str()];
            names.extend(further.map(|cluster| cluster.name.as_str()));
            let binds = match kubernetes.mode {
                KubernetesMode::Bind => ", and an approval at confirm-rollout is for that alone",
                KubernetesMode::Off | KubernetesMode::Show => "",
            };
            format!("Kubernetes: tickets say what changes in clusters {}{binds}", names.join(", "))
        }
    }
}

fn flagger_line(flagger: &Flagger) -> String {
    let mut names = vec![flagger.cluster.as_str()];
    names.extend(flagger.clusters.iter().map(|cluster| cluster.name.as_str()));
    let tokens = flagger.clusters.iter().filter(|cluster| cluster.token.is_some()).count()
        + flagger.tokens.len()
        + usize::from(flagger.token.is_some());
    let who = match tokens {
        0 => "no token is set, so every caller that reaches server.gate_listen may ask".to_owned(),
        _ => format!("tokens: {tokens}"),
    };
    format!("Flagger: clusters {}; {who}", names.join(", "))
}
