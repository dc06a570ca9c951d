//! Checks that need only the configuration: secrets, links, the request budget, and how long approvals are valid.

use std::collections::BTreeSet;

use secrecy::ExposeSecret as _;

use super::finding::Finding;
use crate::{
    config::{Cluster, Config},
    http::serve::Tls,
    jira::MAX_PER_REQUEST,
    millis::config_notation,
    policy::quote_entry,
    secret::Secret,
};

/// Shorter secrets can be guessed.
const SHORTEST_SECRET: usize = 16;

pub(super) fn settings(config: &Config) -> Vec<Finding> {
    let mut findings = vec![budget(config)];
    findings.extend(namespace_share(config));
    findings.extend(tls(config));
    findings.push(approval(config));
    findings.push(webhook(config));
    findings.push(match &config.server.public_url {
        Some(url) => Finding::ok("server.public_url", format!("tickets link to the status page at {url}")),
        None => Finding::warn(
            "server.public_url",
            "is empty, so tickets do not link to the status page; put the address there at which people reach it",
        ),
    });
    findings.extend(flagger(config));
    findings.extend(contradictions(config));
    findings.extend(secrets(config));
    findings
}

/// Whether the bridge can read every live ticket once in a third of `trust_for` with half of its requests: the other
/// half is for everything else.
fn budget(config: &Config) -> Finding {
    let (jira, tickets) = (&config.jira, config.limits.open_tickets);
    let requests = tickets.div_ceil(MAX_PER_REQUEST) as u128;
    let trust = jira.trust_for.as_millis().max(1);
    let rate = u128::from(jira.client.requests_per_second.get());
    let needed = (6_000 * requests).div_ceil(trust);
    let often = config_notation(jira.trust_for / 3);
    if needed <= rate {
        return Finding::ok(
            "jira.requests_per_second",
            format!(
                "{rate} a second is enough: it reads limits.open_tickets = {tickets} tickets every {often} (a third of jira.trust_for)"
            ),
        );
    }
    let longer = (6 * requests).div_ceil(rate);
    Finding::fail(
        "jira.requests_per_second",
        format!(
            "{rate} a second is too few: {requests} requests read limits.open_tickets = {tickets} tickets, every {often} (a third \
             of jira.trust_for), and may use half of them; put {needed} there, or jira.trust_for = \"{longer}s\""
        ),
    )
}

/// A share as large as the whole limit lets one namespace use up the tickets of all others.
fn namespace_share(config: &Config) -> Option<Finding> {
    let (all, share) = (config.limits.open_tickets, config.limits.open_tickets_per_namespace);
    (share >= all).then(|| {
        let what = format!(
            "is {share}, and limits.open_tickets is {all}, so one namespace can use up the tickets of all others; put a \
             smaller number there, or a larger one into limits.open_tickets"
        );
        Finding::warn("limits.open_tickets_per_namespace", what)
    })
}

/// Whether the certificate and the key can be used, as `serve` checks when it starts.
fn tls(config: &Config) -> Vec<Finding> {
    let Some(files) = &config.server.tls else { return vec![] };
    let finding = match Tls::load(files.clone()) {
        Ok(tls) => {
            let ok = Finding::ok("server.tls", "the certificate and the key belong together");
            let warn = |what: String| {
                let what = format!("{what}, so it is not shown to callers; replace it or remove it");
                Finding::warn("server.tls.cert_file", what)
            };
            return std::iter::once(ok).chain(tls.skipped_certificates().into_iter().map(warn)).collect();
        }
        Err(unfit) => Finding::fail(unfit.key, unfit.what),
    };
    vec![finding]
}

fn webhook(config: &Config) -> Finding {
    match &config.jira.webhook_secret {
        Some(_) => Finding::ok(
            "jira.webhook_secret",
            "is set, so webhooks are accepted; whether Jira sends any was not checked",
        ),
        None => Finding::warn(
            "jira.webhook_secret",
            format!(
                "is missing, so a decision is seen only by polling, up to {} later (jira.poll_every); put the secret of \
                 Jira's webhook there",
                config_notation(config.jira.poll_every)
            ),
        ),
    }
}

fn flagger(config: &Config) -> Vec<Finding> {
    let has_token = |cluster: &Cluster| cluster.token.is_some();
    let some_have_token = config.flagger.clusters.iter().any(has_token) || !config.flagger.tokens.is_empty();
    let general = &config.flagger.token;
    let mut findings = vec![match general {
        Some(_) => Finding::ok("flagger.token", "Flagger must send its token"),
        None if some_have_token => {
            Finding::ok("flagger.token", "is not needed: only clusters with their own token may ask")
        }
        None => Finding::warn(
            "flagger.token",
            "is missing, so any client that reaches server.gate_listen may ask and have tickets opened; put one there, or \
             let only Flagger reach it",
        ),
    }];
    for (nth, cluster) in config.flagger.clusters.iter().enumerate() {
        let key = format!("flagger.clusters[{nth}].token");
        let name = &cluster.name;
        findings.extend(match (&cluster.token, general) {
            (Some(_), _) => None,
            (None, None) if some_have_token => Some(Finding::fail(
                key,
                format!(
                    "is missing, so no caller may ask as {name:?}: others have a token; put one there, or set flagger.token"
                ),
            )),
            (None, _) => {
                let what = format!("is missing, so any caller that may ask can claim to be {name:?}");
                Some(Finding::warn(key, what))
            }
        });
    }
    findings
}

/// Whether every secret is long enough, and Flagger's tokens can be part of a URL. No secret is shown.
fn secrets(config: &Config) -> Vec<Finding> {
    let jira_secrets = [
        (config.jira.client.login.secret_key().to_owned(), Some(config.jira.client.login.secret())),
        ("jira.webhook_secret".to_owned(), config.jira.webhook_secret.as_ref()),
    ];
    let jiras = jira_secrets.into_iter().filter_map(|(key, secret)| Some((key, secret?)));
    let judged = |(key, secret): (String, &Secret)| -> Vec<Finding> {
        let of_flagger = key.starts_with("flagger.");
        let unfit = (of_flagger && !secret.fits_url()).then(|| {
            let what = "contains characters that are not allowed in a URL (such as / # ? % @), so it works as a header and in \
                        metadata.token, but not as http://any:TOKEN@host; put letters and digits there";
            Finding::warn(&key, what)
        });
        weak(key, secret).into_iter().chain(unfit).collect()
    };
    jiras.chain(config.flagger.all_tokens()).flat_map(judged).collect()
}

fn weak(key: String, secret: &Secret) -> Option<Finding> {
    let short = |line: &secrecy::SecretString| line.expose_secret().chars().count() < SHORTEST_SECRET;
    let what = format!("is shorter than {SHORTEST_SECRET} characters; put a longer one there");
    secret.values().iter().any(short).then(|| Finding::warn(key, what))
}

/// Entries that are both in `approvers` and in `deny`.
fn contradictions(config: &Config) -> Vec<Finding> {
    let mut reported = BTreeSet::new();
    let mut findings = vec![];
    for route in config.policy.all() {
        let approval = &route.approval;
        for entry in approval.approvers.iter().filter(|entry| approval.deny.contains(entry)) {
            if reported.insert((entry, &approval.approvers, &approval.deny)) {
                let deny = route.approval_key("deny");
                let what = format!(
                    "{} is in {deny} too, which wins; remove it from one of the two",
                    quote_entry(entry)
                );
                findings.push(Finding::fail(route.approval_key("approvers"), what));
            }
        }
    }
    findings
}

/// How long an approval is valid before its first use.
fn approval(config: &Config) -> Finding {
    let valid_for = config_notation(config.policy.base.approval.valid_for);
    Finding::ok("approval.valid_for", format!("an approval that is not used within {valid_for} expires"))
}
