//! Whether Jira is there, which kind it is, and whether it knows us.

use super::Finding;
use crate::{
    clock::Clock,
    config::{self, JiraKind},
    jira::{Error, Jira, Kind, Server},
    serve::client,
};

/// A client that works, if all is well. It goes by the kind that Jira says it is, whatever is configured, so that a
/// wrong `jira.kind` is one finding and not many.
pub(super) async fn connect(config: &config::Jira, clock: Clock) -> (Vec<Finding>, Option<Jira>) {
    let asking = config::Jira { kind: None, ..config.clone() };
    let jira = match client(&asking, None, clock) {
        Ok(jira) => jira,
        Err(error) => {
            let what = format!("{error:#}");
            let what = what.strip_prefix("jira.url: ").unwrap_or(&what);
            let ca_file = what.strip_prefix("jira.ca_file: ");
            let (key, what) = ca_file.map_or(("jira.url", what), |what| ("jira.ca_file", what));
            return (vec![Finding::fail(key, what)], None);
        }
    };
    let server = match jira.server().await {
        Ok(server) => server,
        Err(error) => return (vec![trouble(&error, config, None)], None),
    };
    let mut findings = vec![reached(&server, config), kind(config.kind, server.kind)];
    match jira.myself().await {
        Ok(account) => {
            let what = format!("Jira takes the bridge for {:?} ({})", account.name, account.id);
            findings.push(Finding::ok("jira.token", what));
            (findings, Some(jira))
        }
        Err(error) => {
            findings.push(trouble(&error, config, Some(server.kind)));
            (findings, None)
        }
    }
}

fn reached(server: &Server, config: &config::Jira) -> Finding {
    let title = server.title.as_ref().map_or(String::new(), |title| format!(" {title:?}"));
    let version = match (server.kind, &server.version) {
        // Cloud's says nothing.
        (Kind::DataCenter, Some(version)) => format!(", version {version},"),
        (Kind::Cloud, _) | (Kind::DataCenter, None) => String::new(),
    };
    Finding::ok("jira.url", format!("reached Jira {}{title}{version} at {}", name(server.kind), config.url))
}

fn kind(configured: Option<JiraKind>, told: Kind) -> Finding {
    let configured = configured.map(|kind| match kind {
        JiraKind::Cloud => Kind::Cloud,
        JiraKind::DataCenter => Kind::DataCenter,
    });
    let word = match told {
        Kind::Cloud => "cloud",
        Kind::DataCenter => "data-center",
    };
    match configured {
        None => Finding::ok("jira.kind", format!("auto found {word:?}")),
        Some(configured) if configured == told => Finding::ok("jira.kind", format!("it is {word:?}")),
        Some(configured) => {
            let (is, not) = (name(told), name(configured));
            Finding::fail(
                "jira.kind",
                format!("Jira says that it is {is}, not {not}; put {word:?} or \"auto\" there"),
            )
        }
    }
}

const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Cloud => "Cloud",
        Kind::DataCenter => "Data Center",
    }
}

/// A failure to reach Jira or to be let in, with the key to edit.
fn trouble(error: &Error, config: &config::Jira, kind: Option<Kind>) -> Finding {
    match error {
        Error::Unauthorized { why, .. } if why.contains("CAPTCHA") => {
            Finding::fail("jira.user", format!("{error}"))
        }
        Error::Unauthorized { host, why, .. } => {
            let kind = kind.or_else(|| is_cloud(&config.url).then_some(Kind::Cloud));
            let key = match (&config.user, kind) {
                (None, Some(Kind::Cloud)) => "jira.user",
                (Some(_), _) | (None, Some(Kind::DataCenter) | None) => "jira.token",
            };
            let hint = unknown(config, kind);
            Finding::fail(key, format!("Jira at {host} does not accept the credentials: {why}. {hint}"))
        }
        Error::Token(_) => Finding::fail("jira.token", error.to_string()),
        // It says what to put there.
        Error::Unreachable { why, .. } if why.contains("UnknownIssuer") => {
            Finding::fail("jira.ca_file", error.to_string())
        }
        Error::Unreachable { why, .. } | Error::NoAnswer { why, .. } if why.contains("the proxy ") => {
            Finding::fail(
                "jira.url",
                format!("{error}; NO_PROXY names the hosts that are asked without a proxy"),
            )
        }
        Error::Unreachable { why, .. } if why.contains("InvalidContentType") => {
            Finding::fail("jira.url", format!("{error}; does that port speak http:// instead of https://?"))
        }
        Error::Unreachable { .. } | Error::NoAnswer { .. } => Finding::fail(
            "jira.url",
            format!("{error}; put an address there that can be reached from here, or set HTTPS_PROXY"),
        ),
        Error::Refused { status: 404, .. } | Error::Unreadable { .. } => Finding::fail(
            "jira.url",
            format!(
                "{error}; put the address of Jira itself there, with its context path (such as /jira) if it has one"
            ),
        ),
        Error::Throttled { .. } => Finding::fail("jira.url", format!("{error}; check again later")),
        Error::Settings(_)
        | Error::Broken { .. }
        | Error::Refused { .. }
        | Error::NotFound { .. }
        | Error::NotSent { .. }
        | Error::Redirected { .. } => Finding::fail("jira.url", error.to_string()),
        Error::Beside { source, .. } => trouble(source, config, kind),
    }
}

/// Whether only Atlassian's own Jira can be at this address.
fn is_cloud(url: &str) -> bool {
    let host = url.split("://").nth(1).and_then(|rest| rest.split(['/', ':']).next()).unwrap_or_default();
    host.ends_with(".atlassian.net") || host == "api.atlassian.com"
}

/// What may be wrong with credentials that Jira does not accept.
fn unknown(config: &config::Jira, kind: Option<Kind>) -> &'static str {
    match (config.user.is_some(), kind) {
        (true, Some(Kind::Cloud)) => {
            "jira.token is wrong or expired, or jira.user is not the e-mail of the account it belongs to"
        }
        (true, Some(Kind::DataCenter) | None) => {
            "jira.user and jira.token do not belong together, or the token is wrong or expired; leave jira.user out if \
             it is a personal access token of Data Center"
        }
        (false, Some(Kind::Cloud)) => {
            "Cloud also needs jira.user: put the e-mail of the account that jira.token belongs to there"
        }
        (false, Some(Kind::DataCenter)) => {
            "jira.token is wrong or expired; without jira.user it must be a personal access token"
        }
        (false, None) => {
            "jira.token is wrong or expired, or jira.user is missing: Cloud needs the account's e-mail there, Data \
             Center none with a personal access token"
        }
    }
}
