//! Whether Jira answers, which kind it is, and whether it accepts the bridge's credentials.

use std::time::Duration;

use super::{
    address::{base_url, is_unencrypted},
    diagnosis::{connection_failure, unusable_settings},
    finding::{Finding, Level},
};
use crate::{
    clock::Clock,
    jira::{Account, Jira, Kind, Login, SCOPES, ServerInfo, Settings, unobserved},
    millis::{Millis, rough_duration},
};

/// A clock difference of at least this many milliseconds is reported.
const CLOCK_TOLERANCE_MS: i64 = 60_000;

/// A Jira that accepts the bridge's credentials.
pub(super) struct Connected {
    pub(super) jira: Jira,
    pub(super) kind: Kind,
    /// The bridge's own account.
    pub(super) account: Account,
}

/// Connects to Jira. The client uses the kind that Jira reports, not the configured one, so that a wrong `jira.kind` is
/// one finding and not many.
pub(super) async fn connect(config: &Settings, clock: Clock) -> (Vec<Finding>, Option<Connected>) {
    if let Some(meant) = base_url(&config.url) {
        let what = format!("{} is the address of a page or of the API; put {meant:?} there", config.url);
        return (vec![Finding::fail("jira.url", what)], None);
    }
    let asking = Settings { kind: None, ..config.clone() };
    let jira = match Jira::new(asking, unobserved(), clock.clone()) {
        Ok(jira) => jira,
        Err(error) => return (vec![unusable_settings(&error)], None),
    };
    let skipped = jira.skipped_certificates().into_iter().map(|what| {
        let what = format!("{what}, and the others in the file are used; replace it or remove it");
        Finding::warn("jira.ca_file", what)
    });
    let mut findings: Vec<_> = skipped.collect();
    let server = match jira.server().await {
        Ok(server) => server,
        Err(error) => {
            findings.push(connection_failure(&error, config, None, jira.proxy()));
            return (findings, None);
        }
    };
    let kind = server.kind;
    findings.extend([reached(&server, config), right_kind(config.kind, kind)]);
    findings.extend(server.date.and_then(|theirs| clocks(theirs, clock.now())));
    if is_unencrypted(&config.url) {
        let what = "begins with http://, so the token can be read on the way; put https:// there";
        findings.push(Finding::warn("jira.url", what));
    }
    match jira.myself().await {
        Ok(us) => {
            let what = format!("Jira knows the bridge as {:?} ({})", us.name, us.id);
            findings.push(Finding::ok(login_key(config), what));
            findings.extend(missing_scopes(jira.granted_scopes()));
            (findings, Some(Connected { jira, kind, account: us }))
        }
        Err(error) => {
            let failure = connection_failure(&error, config, Some(kind), jira.proxy());
            // A key that failed is not also reported as ok.
            findings.retain(|finding| finding.level != Level::Ok || finding.key != failure.key);
            findings.push(failure);
            (findings, None)
        }
    }
}

/// The key of the credentials.
pub(super) const fn login_key(config: &Settings) -> &'static str {
    match config.login {
        Login::Token { .. } => "jira.token",
        Login::OAuth(_) => "jira.oauth",
    }
}

/// A finding if the access token lacks a scope, as far as the token endpoint says. Atlassian's other scopes, such as
/// `read:issue:jira`, are parts of these.
fn missing_scopes(granted: Option<Vec<String>>) -> Option<Finding> {
    let granted = granted?;
    if granted.iter().any(|scope| scope.ends_with(":jira")) {
        return None;
    }
    let missing: Vec<&str> =
        SCOPES.into_iter().filter(|scope| !granted.iter().any(|granted| granted == scope)).collect();
    (!missing.is_empty()).then(|| {
        let what = format!(
            "the credential lacks the scope {}; create one for the service account with the scopes {}",
            missing.join(" and "),
            SCOPES.join(", ")
        );
        Finding::fail("jira.oauth", what)
    })
}

/// A finding if the clocks of this machine and of Jira differ.
fn clocks(theirs: Millis, ours: Millis) -> Option<Finding> {
    let off = ours.0.saturating_sub(theirs.0);
    let how = if off > 0 { "ahead of" } else { "behind" };
    (off.abs() >= CLOCK_TOLERANCE_MS).then(|| {
        let long = rough_duration(Duration::from_millis(off.unsigned_abs()));
        let what = format!(
            "this machine's clock is {long} {how} Jira's, so the times on tickets and in the record will not \
             match; correct this one (NTP)"
        );
        Finding::warn("jira.url", what)
    })
}

fn reached(server: &ServerInfo, config: &Settings) -> Finding {
    let title = server.title.as_ref().map_or(String::new(), |title| format!(" {title:?}"));
    let version = match (server.kind, &server.version) {
        // Cloud's version number says nothing.
        (Kind::DataCenter, Some(version)) => format!(", version {version},"),
        (Kind::Cloud, _) | (Kind::DataCenter, None) => String::new(),
    };
    Finding::ok("jira.url", format!("reached Jira {}{title}{version} at {}", server.kind.name(), config.url))
}

fn right_kind(configured: Option<Kind>, reported: Kind) -> Finding {
    let word = reported.config_name();
    match configured {
        None => Finding::ok("jira.kind", format!("detected Jira {} (kind = \"auto\")", reported.name())),
        Some(configured) if configured == reported => Finding::ok("jira.kind", format!("it is {word:?}")),
        Some(configured) => {
            let (is, not) = (reported.name(), configured.name());
            Finding::fail(
                "jira.kind",
                format!("Jira says that it is {is}, not {not}; put {word:?} or \"auto\" there"),
            )
        }
    }
}
