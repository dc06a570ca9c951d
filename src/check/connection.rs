//! Whether Jira is there, which kind it is, and whether it knows us.

use std::time::Duration;

use super::{
    Finding,
    address::{is_cloud, is_gateway, is_open, meant},
};
use crate::{
    clock::Clock,
    config::{self, JiraKind},
    jira::{Account, Error, Jira, Kind, Server},
    millis::{Millis, lasted},
    serve::client,
};

/// From this difference on, in milliseconds, the two clocks are told to disagree.
const OFF: i64 = 60_000;

/// A Jira that lets us in.
pub(super) struct Connected {
    pub(super) jira: Jira,
    pub(super) kind: Kind,
    /// Our own account.
    pub(super) us: Account,
}

/// A client that works, if all is well. It goes by the kind that Jira says it is, whatever is configured, so that a
/// wrong `jira.kind` is one finding and not many.
pub(super) async fn connect(config: &config::Jira, clock: Clock) -> (Vec<Finding>, Option<Connected>) {
    if let Some(meant) = meant(&config.url) {
        let what = format!("{} is the address of a page or of the API; put {meant:?} there", config.url);
        return (vec![Finding::fail("jira.url", what)], None);
    }
    let asking = config::Jira { kind: None, ..config.clone() };
    let jira = match client(&asking, None, clock.clone()) {
        Ok(jira) => jira,
        Err(error) => {
            let what = format!("{error:#}");
            let what = what.strip_prefix("jira.url: ").unwrap_or(&what);
            let finding = match what.strip_prefix("jira.ca_file: ") {
                // It says what to put there.
                Some(what) if what.contains("into jira.ca_file") => Finding::fail("jira.ca_file", what),
                Some(what) => Finding::fail(
                    "jira.ca_file",
                    format!("{what}; put the file of the authority that signed Jira's certificate there"),
                ),
                None => Finding::fail("jira.url", what),
            };
            return (vec![finding], None);
        }
    };
    let server = match jira.server().await {
        Ok(server) => server,
        Err(error) => return (vec![trouble(&error, config, None)], None),
    };
    let kind = server.kind;
    let mut findings = vec![reached(&server, config), right_kind(config.kind, kind)];
    findings.extend(server.date.and_then(|theirs| clocks(theirs, clock.now())));
    if is_open(&config.url) {
        let what = "begins with http://, so the token can be read on the way; put https:// there";
        findings.push(Finding::warn("jira.url", what));
    }
    match jira.myself().await {
        Ok(us) => {
            let what = format!("Jira takes the bridge for {:?} ({})", us.name, us.id);
            findings.push(Finding::ok("jira.token", what));
            (findings, Some(Connected { jira, kind, us }))
        }
        Err(error) => {
            findings.push(trouble(&error, config, Some(kind)));
            (findings, None)
        }
    }
}

/// That this machine's clock is off, or Jira's.
fn clocks(theirs: Millis, ours: Millis) -> Option<Finding> {
    let off = ours.0.saturating_sub(theirs.0);
    let how = if off > 0 { "ahead of" } else { "behind" };
    (off.abs() >= OFF).then(|| {
        let long = lasted(Duration::from_millis(off.unsigned_abs()));
        let what = format!(
            "this machine's clock is {long} {how} Jira's, so the times on tickets and in the record will not fit \
             together; set this one right (NTP)"
        );
        Finding::warn("jira.url", what)
    })
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

fn right_kind(configured: Option<JiraKind>, told: Kind) -> Finding {
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
        Error::Unauthorized { host, why, .. } => refused(host, why, config, kind),
        Error::Token(_) => Finding::fail("jira.token", error.to_string()),
        Error::Unreachable { why, .. } | Error::NoAnswer { why, .. } if why.contains("the proxy ") => {
            Finding::fail(
                "jira.url",
                format!("{error}; NO_PROXY names the hosts that are asked without a proxy"),
            )
        }
        Error::Unreachable { host, why } => unreachable(host, why, error),
        Error::NoAnswer { .. } => Finding::fail(
            "jira.url",
            format!("{error}; put an address there that can be reached from here, or set HTTPS_PROXY"),
        ),
        Error::Unreadable { host, what } if what.contains("not JSON") => Finding::fail(
            "jira.url",
            format!(
                "{host} answers with a page, not with Jira's API; put the address of Jira itself there, with its context path \
                 (such as /jira) if it has one, past any log-in page"
            ),
        ),
        Error::Refused { status: 404, host, .. } => Finding::fail(
            "jira.url",
            format!(
                "no Jira answers at {host} (404); put the address of Jira itself there, with its context path (such as \
                 /jira) if it has one"
            ),
        ),
        Error::Unreadable { .. } => Finding::fail(
            "jira.url",
            format!(
                "{error}; put the address of Jira itself there, with its context path (such as /jira) if it has one"
            ),
        ),
        Error::Throttled { .. } | Error::Broken { .. } => {
            Finding::fail("jira.url", format!("{error}; check again later"))
        }
        Error::Redirected { host, target, .. } => {
            let what = if target.contains(host.as_str()) || target == "an address that cannot be read" {
                "is that a log-in page? Have single sign-on let /rest/ pass with a token, or put the address there that \
                 answers itself"
            } else {
                "put that address there if it is Jira's; if it is a log-in page, have single sign-on let /rest/ pass \
                 with a token"
            };
            Finding::fail("jira.url", format!("Jira at {host} redirects to {target}; {what}"))
        }
        Error::Settings(_) | Error::Refused { .. } | Error::NotFound { .. } | Error::NotSent { .. } => {
            Finding::fail("jira.url", error.to_string())
        }
        Error::Beside { source, .. } => trouble(source, config, kind),
    }
}

/// No connection: what the system says of it is for programmers.
fn unreachable(host: &str, why: &str, error: &Error) -> Finding {
    let fail = |key: &str, what: &str| Finding::fail(key, what);
    let certificate = |what: &str| format!("Jira's certificate at {host} {what}");
    if why.contains("UnknownIssuer") {
        let what =
            "is signed by an authority that nobody here knows; put the PEM file of that authority there";
        fail("jira.ca_file", &certificate(what))
    } else if why.contains("NotValidForName") || why.contains("not valid for name") {
        fail("jira.url", &certificate("is for another name; put the name there that it is for"))
    } else if why.contains("Expired") || why.contains("expired") {
        let what =
            "has expired; have Jira's administrator renew it, and see whether this machine's clock is right";
        fail("jira.url", &certificate(what))
    } else if why.contains("InvalidContentType") {
        let what = format!(
            "{host} does not speak TLS; put http:// there instead of https://, or the port that does speak it"
        );
        fail("jira.url", &what)
    } else if why.contains("dns error") || why.contains("lookup address") {
        let what = format!(
            "nobody knows a host {host}; put the name there that people have in their browser, or set HTTPS_PROXY"
        );
        fail("jira.url", &what)
    } else if why.contains("refused") {
        let what = format!(
            "nobody listens at {host}; put an address there that can be reached from here, or set HTTPS_PROXY"
        );
        fail("jira.url", &what)
    } else {
        let what = format!("{error}; put an address there that can be reached from here, or set HTTPS_PROXY");
        fail("jira.url", &what)
    }
}

/// Jira does not let us in.
fn refused(host: &str, why: &str, config: &config::Jira, kind: Option<Kind>) -> Finding {
    let why = why.strip_prefix("asked who the bridge is, ").unwrap_or(why);
    if why.contains("CAPTCHA") {
        let what = format!(
            "Jira at {host} has locked the account after failed log-ins: log in once with a browser as that account and \
             solve the CAPTCHA, then put the right token into jira.token"
        );
        return Finding::fail("jira.user", what);
    }
    if why.contains("Basic Authentication has been disabled") {
        let kind = if config.kind == Some(JiraKind::Cloud) { "\"auto\" into jira.kind and " } else { "" };
        let what = format!(
            "Jira at {host} takes no passwords ({why}); leave jira.user out, and put {kind}a personal access token into \
             jira.token"
        );
        return Finding::fail("jira.user", what);
    }
    // Only Cloud takes a token without a user for one of its apps'.
    let is_cloud = is_cloud(&config.url) || why.contains("Connect Session");
    let kind = kind.or_else(|| is_cloud.then_some(Kind::Cloud));
    let key = match (&config.user, kind) {
        (None, Some(Kind::Cloud)) => "jira.user",
        (Some(_), _) | (None, Some(Kind::DataCenter) | None) => "jira.token",
    };
    let hint = unknown(config, kind);
    Finding::fail(key, format!("Jira at {host} does not let the bridge in ({why}): {hint}"))
}

/// What may be wrong with credentials that Jira does not accept.
fn unknown(config: &config::Jira, kind: Option<Kind>) -> &'static str {
    match (config.user.is_some(), kind) {
        (true, Some(Kind::Cloud)) if is_gateway(&config.url) => {
            "put a new token there, for it is wrong or expired, or jira.user is not the e-mail of its account; one without \
             scopes needs jira.url = \"https://SITE.atlassian.net\""
        }
        (true, Some(Kind::Cloud)) => {
            "put a new token there, for it is wrong or expired, or jira.user is not the e-mail of its account; one with \
             scopes needs jira.url = \"https://api.atlassian.com/ex/jira/CLOUD-ID\" (see /_edge/tenant_info of the site)"
        }
        (true, Some(Kind::DataCenter) | None) => {
            "put a new token there, for it is wrong or expired, or not jira.user's; with a personal access token, leave \
             jira.user out"
        }
        (false, Some(Kind::Cloud)) => "put the e-mail of the account that jira.token belongs to there",
        (false, Some(Kind::DataCenter)) => {
            "put a new token there, for it is wrong or expired; without jira.user it must be a personal access token"
        }
        (false, None) => {
            "put a new token there, for it is wrong or expired; or jira.user is missing, which Cloud needs and a personal \
             access token of Data Center does not"
        }
    }
}
