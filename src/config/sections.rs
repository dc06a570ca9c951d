//! All sections except those for tickets and approvals.

use std::{net::SocketAddr, time::Duration};

use globset::GlobSet;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    oauth,
    read::Section,
    settings::{Cluster, Flagger, Jira, Limits, Rollout, ScopedToken, Server, Store, Tls},
};
use crate::{
    database_url,
    jira::{Kind, Login, Settings},
    secret::Secret,
};

pub(super) fn server(s: &Section<'_>) -> Option<Server> {
    let listeners = ["gate_listen", "webhook_listen", "admin_listen", "page_listen"];
    let [gate_listen, webhook_listen, admin_listen] =
        ["gate_listen", "webhook_listen", "admin_listen"].map(|name| s.address(name));
    let page_listen = s.optional("page_listen", Section::address);
    let addresses = [gate_listen, webhook_listen, admin_listen, page_listen];
    for (nth, name) in listeners.iter().enumerate().skip(1) {
        // Port 0 is any free port.
        let twin =
            (0..nth).find(|n| addresses[*n].is_some_and(|a| a.port() != 0 && addresses[nth] == Some(a)));
        if let Some(twin) = twin {
            s.problem(name, format!("is the same address as {}", s.key(listeners[twin])));
            continue;
        }
        let Some(address) = addresses[nth] else { continue };
        let before = (0..nth).filter_map(|n| addresses[n].map(|other| (listeners[n], other)));
        if let Some((other, taken)) = before.into_iter().find(|(_, other)| conflict(*other, address)) {
            let what = format!("is taken by {} ({taken}); put another port there", s.key(other));
            s.problem(name, what);
        }
    }
    let public_url = match s.string("public_url").map(str::trim) {
        Some("") => Some(None),
        Some(_) => s.site("public_url").map(Some),
        None => None,
    };
    let shutdown_grace = s.duration("shutdown_grace");
    let tls = s.optional("tls", Section::section).and_then(|tls| {
        let (cert_file, key_file) = (tls.file("cert_file"), tls.file("key_file"));
        tls.report_unknown_keys();
        Some(Tls { cert_file: cert_file?, key_file: key_file? })
    });
    s.report_unknown_keys();
    Some(Server {
        gate_listen: gate_listen?,
        webhook_listen: webhook_listen?,
        admin_listen: admin_listen?,
        page_listen,
        public_url: public_url?,
        shutdown_grace: shutdown_grace?,
        tls,
    })
}

/// Whether both have the same port and one of them is the wildcard address, which also takes the other. The wildcard of
/// IPv6 includes IPv4.
fn conflict(one: SocketAddr, other: SocketAddr) -> bool {
    let covers =
        |all: SocketAddr, one: SocketAddr| all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4());
    one.port() != 0 && one.port() == other.port() && (covers(one, other) || covers(other, one))
}

pub(super) fn store(s: &Section<'_>) -> Option<Store> {
    let url = s.string("url").map(str::trim).and_then(|url| {
        let known = ["sqlite://", "postgres://", "postgresql://"];
        // The error does not quote the text, because it may hold a password.
        let what =
            if !known.iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty())) {
                let scheme = url.split_once("://").map(|(scheme, _)| format!("{}://", scheme.to_lowercase()));
                match scheme.filter(|scheme| known.contains(&scheme.as_str())) {
                    Some(scheme) if !url.starts_with(&scheme) => format!("write {scheme} in lower case"),
                    Some(_) | None => {
                        "must be sqlite://FILE or postgres://user:password@host/database".to_owned()
                    }
                }
            } else if url.starts_with("sqlite:") {
                return Some(SecretString::from(url.to_owned()));
            } else {
                match database_url::postgres(url) {
                    Ok(_) => return Some(SecretString::from(url.to_owned())),
                    Err(problem) => problem.to_string(),
                }
            };
        s.problem("url", what);
        None
    });
    let keep_for = s.duration_or_forever("keep_for");
    let allow_network_volume = s.flag("allow_network_volume");
    s.report_unknown_keys();
    Some(Store { url: url?, keep_for: keep_for?, allow_network_volume: allow_network_volume? })
}

pub(super) fn flagger(s: &Section<'_>) -> Option<Flagger> {
    let cluster = s.optional("cluster", cluster_name);
    let namespaces = namespaces(s);
    let token = s.secret("token");
    let mut clusters: Vec<Cluster> = Vec::new();
    for one in s.sections("clusters") {
        let name = cluster_name(&one, "name");
        let own = one.secret("token");
        let kubeconfig_file = one.optional("kubeconfig_file", Section::file);
        one.report_unknown_keys();
        let Some(name) = name else { continue };
        if clusters.iter().any(|other| other.name == name) {
            one.problem("name", format!("{name:?} is there twice"));
        }
        let key = token_key(&one);
        if let Some(other) =
            clusters.iter().find(|other| have_common_value(own.as_ref(), other.token.as_ref()))
        {
            one.problem(key, format!("is also the token of {:?}; each cluster needs its own", other.name));
        }
        if have_common_value(own.as_ref(), token.as_ref()) {
            one.problem(key, "is also flagger.token; a cluster needs its own");
        }
        clusters.push(Cluster { name, token: own, kubeconfig_file });
    }
    let known = FlaggerSection { cluster: cluster.as_deref(), token: token.as_ref(), clusters: &clusters };
    let tokens = scoped_tokens(s, &known);
    s.report_unknown_keys();
    let (namespaces, namespace_globs) = namespaces?;
    Some(Flagger { cluster: cluster?, namespaces, namespace_globs, token, tokens, clusters })
}

/// The other keys of `[flagger]`, as far as they were valid.
struct FlaggerSection<'a> {
    cluster: Option<&'a str>,
    token: Option<&'a Secret>,
    clusters: &'a [Cluster],
}

/// `[[flagger.tokens]]`. Each token has one scope: if two entries shared a token, it would be valid for combinations
/// that neither entry allows.
fn scoped_tokens(s: &Section<'_>, known: &FlaggerSection<'_>) -> Vec<ScopedToken> {
    let mut tokens: Vec<ScopedToken> = Vec::new();
    for one in s.sections("tokens") {
        let token = one.secret("token");
        let key = token_key(&one);
        report_missing_token(&one);
        let namespaces = match one.value("namespaces") {
            Some(_) => namespaces(&one).map(|(set, _)| set),
            None => {
                one.problem("namespaces", "is missing; list the namespaces that the token allows");
                None
            }
        };
        let cluster = one.optional("cluster", cluster_name);
        one.report_unknown_keys();
        if let Some(cluster) = cluster.as_ref()
            && known.cluster.is_some_and(|usual| usual != cluster)
            && known.clusters.iter().all(|other| other.name != *cluster)
        {
            one.problem(
                "cluster",
                format!("{cluster:?} is not one of flagger.cluster and [[flagger.clusters]]"),
            );
        }
        if have_common_value(token.as_ref(), known.token) {
            one.problem(key, "is also flagger.token, which allows all namespaces; put another one there");
        }
        let owner =
            known.clusters.iter().find(|cluster| have_common_value(token.as_ref(), cluster.token.as_ref()));
        if let Some(owner) = owner {
            one.problem(key, format!("is also the token of cluster {:?}; put another one there", owner.name));
        }
        if let Some(other) =
            tokens.iter().position(|other| have_common_value(token.as_ref(), Some(&other.token)))
        {
            let other = s.key(&format!("tokens[{other}]"));
            one.problem(
                key,
                format!("is also the token of {other}; put another one there, or all namespaces into one"),
            );
        }
        if let (Some(token), Some(namespaces)) = (token, namespaces) {
            tokens.push(ScopedToken { token, namespaces, cluster });
        }
    }
    tokens
}

/// The key that gives the token.
fn token_key(s: &Section<'_>) -> &'static str {
    if s.value("token").is_some() { "token" } else { "token_file" }
}

fn report_missing_token(s: &Section<'_>) {
    if s.value("token").or(s.value("token_file")).is_none() {
        s.problem("token", format!("is missing; give it, or {}", s.key("token_file")));
    }
}

/// A cluster's name, which must be a DNS label.
fn cluster_name(s: &Section<'_>, name: &str) -> Option<String> {
    let text = s.text(name)?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = text.len() <= 63
        && text.chars().all(|c| plain(c) || c == '-')
        && text.starts_with(plain)
        && text.ends_with(plain);
    if !label {
        let what = "is no cluster name; use up to 63 of a-z, 0-9 and -, with no - at either end";
        s.problem(name, format!("{text:?} {what}"));
        return None;
    }
    Some(text)
}

/// Whether the two secrets have a value in common. Such a value would not prove which of the two callers sent it.
fn have_common_value(one: Option<&Secret>, other: Option<&Secret>) -> bool {
    let lines = |secret: Option<&Secret>| secret.map(Secret::values).unwrap_or_default();
    let others = lines(other);
    lines(one).iter().any(|a| others.iter().any(|b| a.expose_secret() == b.expose_secret()))
}

/// The globs of namespaces, as one set and as they are written.
fn namespaces(s: &Section<'_>) -> Option<(GlobSet, Vec<String>)> {
    let (set, globs) = s.globs("namespaces")?;
    if globs.is_empty() {
        s.problem("namespaces", "is empty, so every question would be rejected; [\"*\"] allows all");
        return None;
    }
    Some((set, globs))
}

pub(super) fn jira(s: &Section<'_>) -> Option<Jira> {
    let url = s.optional("url", Section::site);
    if s.value("url").is_none() {
        s.problem("url", "is missing; write for example \"https://example.atlassian.net\"");
    }
    let kind = s.string("kind").and_then(|kind| match kind {
        "auto" => Some(None),
        word => {
            let known = Kind::ALL.into_iter().find(|kind| kind.config_name() == word);
            if known.is_none() {
                s.problem("kind", format!("must be \"auto\", \"cloud\" or \"data-center\", not {word:?}"));
            }
            known.map(Some)
        }
    });
    let user = s.optional("user", Section::text);
    let oauth = s.optional("oauth", Section::section);
    if kind == Some(Some(Kind::Cloud)) && s.value("user").is_none() && oauth.is_none() {
        s.problem(
            "user",
            "is missing; Cloud needs the account's e-mail; if it is no Cloud, put \"auto\" into jira.kind",
        );
    }
    let login = match &oauth {
        Some(oauth) => oauth::login(s, oauth, kind.flatten()),
        None if s.value("oauth").is_some() => None,
        None => {
            let token = s.secret("token");
            report_missing_token(s);
            token.map(|token| Login::Token { user, token })
        }
    };
    let webhook_secret = s.secret("webhook_secret");
    let ca_file = s.optional("ca_file", Section::file);
    let requests_per_second = s.number("requests_per_second");
    let burst = s.number("burst");
    let timeout = s.duration("timeout");
    let poll_every = s.duration("poll_every");
    let trust_for = s.duration("trust_for");
    if let (Some(poll_every), Some(trust_for)) = (poll_every, trust_for)
        && trust_for < poll_every * 3
    {
        s.problem("trust_for", trust_for_problem(s, poll_every));
    }
    let index_lag = s.duration("index_lag");
    s.report_unknown_keys();
    Some(Jira {
        client: Settings {
            url: url?,
            kind: kind?,
            login: login?,
            ca_file,
            requests_per_second: requests_per_second?,
            burst: burst?,
            planned_fields: Vec::new(),
            exceptions: Vec::new(),
            opens_requests: false,
            timeout: timeout?,
        },
        webhook_secret,
        poll_every: poll_every?,
        trust_for: trust_for?,
        index_lag: index_lag?,
    })
}

fn trust_for_problem(s: &Section<'_>, poll_every: Duration) -> String {
    let [trust_for, poll] = ["trust_for", "poll_every"].map(|name| s.string(name).unwrap_or_default());
    let least = poll_every * 3;
    let least = if least.subsec_millis() == 0 {
        format!("{}s", least.as_secs())
    } else {
        format!("{}ms", least.as_millis())
    };
    format!("{trust_for:?} is less than three times {} ({poll:?}); at least {least:?}", s.key("poll_every"))
}

pub(super) fn rollout(s: &Section<'_>) -> Option<Rollout> {
    let (idle_after, abandon_after) = (s.duration("idle_after"), s.duration("abandon_after"));
    s.report_unknown_keys();
    Some(Rollout { idle_after: idle_after?, abandon_after: abandon_after? })
}

pub(super) fn limits(s: &Section<'_>) -> Option<Limits> {
    let count = |name| s.number(name).map(|count| count.get() as usize);
    let tickets_per_canary_per_hour = count("tickets_per_canary_per_hour");
    let open_tickets = count("open_tickets");
    let open_tickets_per_namespace = count("open_tickets_per_namespace");
    s.report_unknown_keys();
    Some(Limits {
        tickets_per_canary_per_hour: tickets_per_canary_per_hour?,
        open_tickets: open_tickets?,
        open_tickets_per_namespace: open_tickets_per_namespace?,
    })
}
