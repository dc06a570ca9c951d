//! PURE: why Jira cannot be reached, or rejects the bridge: which key to edit, and what to put there.

use super::{
    address::{is_cloud, is_gateway},
    finding::Finding,
};
use crate::jira::{
    Cause, Denial, Denied, Error, Kind, SCOPES, Settings, Symptom, TlsCause, UNREADABLE_TARGET,
    UnreadableReason, UnusableSettings,
};

/// The client cannot be created from these settings.
pub(super) fn unusable_settings(error: &UnusableSettings) -> Finding {
    match error {
        UnusableSettings::Address(what) => Finding::fail("jira.url", what),
        UnusableSettings::Authorities(why) => Finding::fail(
            "jira.ca_file",
            format!("{why}; put the file of the authority that signed Jira's certificate there"),
        ),
        UnusableSettings::NoAuthority => Finding::fail(
            "jira.ca_file",
            "no certificate authority is known here: install the system's (Debian: ca-certificates), or put the PEM file \
             of the one that signed Jira's certificate there",
        ),
    }
}

/// A failure to reach Jira or to authenticate, with the key to edit. `proxy` is the proxy for requests to Jira.
pub(super) fn connection_failure(
    error: &Error,
    config: &Settings,
    kind: Option<Kind>,
    proxy: Option<&str>,
) -> Finding {
    match error {
        Error::Unauthorized { host, denied, .. } => refused(host, denied, config, kind),
        Error::Token => Finding::fail("jira.token", error.to_string()),
        Error::NoAnswer { host, cause, .. } => unreachable(host, cause, proxy, error),
        Error::NoAccessToken { cause: Some(Cause::Tls(TlsCause::UnknownIssuer)), .. } => {
            Finding::fail("jira.ca_file", error.to_string())
        }
        Error::NoAccessToken { .. } => Finding::fail(
            "jira.oauth.token_url",
            format!(
                "{error}; the bridge must reach Atlassian's token endpoint from here (HTTPS_PROXY and NO_PROXY apply), and \
                 jira.oauth.token_url is only needed if it is not https://auth.atlassian.com/oauth/token"
            ),
        ),
        Error::Unreadable { host, reason: UnreadableReason::NotJson, .. } => Finding::fail(
            "jira.url",
            format!(
                "{host} answers with a page, not with Jira's API; put the address of Jira itself there, with its context path \
                 (such as /jira) if it has one, past any log-in page"
            ),
        ),
        Error::Refused { host, .. } if kind.is_some() => Finding::fail(
            "jira.url",
            format!(
                "{error}; {host} does answer serverInfo, so have the proxy or firewall let all of /rest/api pass, not only a part"
            ),
        ),
        Error::Refused { status: 404, host, .. } => Finding::fail(
            "jira.url",
            format!(
                "no Jira answers at {host} (404); put the address of Jira itself there, with its context path (such as \
                 /jira) if it has one"
            ),
        ),
        Error::Unreadable { reason: UnreadableReason::Other, .. } => Finding::fail(
            "jira.url",
            format!(
                "{error}; put the address of Jira itself there, with its context path (such as /jira) if it has one"
            ),
        ),
        Error::Throttled { .. } | Error::Broken { .. } => {
            Finding::fail("jira.url", format!("{error}; check again later"))
        }
        Error::Redirected { host, target, .. } => {
            let what = if target.as_ref().is_none_or(|target| target.contains(host.as_str())) {
                "is that a log-in page? Have single sign-on let /rest/ pass with a token, or put the address there that \
                 answers without a redirect"
            } else {
                "put that address there if it is Jira's; if it is a log-in page, have single sign-on let /rest/ pass \
                 with a token"
            };
            let target = target.as_deref().unwrap_or(UNREADABLE_TARGET);
            Finding::fail("jira.url", format!("Jira at {host} redirects to {target}; {what}"))
        }
        Error::Refused { .. } | Error::NotFound { .. } | Error::NotSent { .. } => {
            Finding::fail("jira.url", error.to_string())
        }
        Error::Prerequisite { source, .. } => connection_failure(source, config, kind, proxy),
    }
}

/// No connection. The finding gives advice, because the operating system's error text helps only programmers.
fn unreachable(host: &str, cause: &Cause, proxy: Option<&str>, error: &Error) -> Finding {
    let fail = |what: String| Finding::fail("jira.url", what);
    match (cause, proxy) {
        (Cause::Tls(TlsCause::UnknownIssuer), Some(proxy)) => Finding::fail(
            "jira.ca_file",
            format!(
                "{host} is asked through {proxy}, and the certificate that it shows is signed by an authority that is not \
                 known here; put the PEM file of that authority there: the proxy's own, if the proxy inspects TLS"
            ),
        ),
        (Cause::Tls(TlsCause::UnknownIssuer), None) => {
            Finding::fail("jira.ca_file", format!("Jira at {host}: {}", TlsCause::UnknownIssuer))
        }
        (Cause::Tls(TlsCause::Other), _) => {
            fail(format!("{error}; put an address there that speaks TLS 1.2 or 1.3"))
        }
        (Cause::Tls(fault), _) => fail(format!("Jira at {host}: {fault}")),
        (_, Some(_)) => fail(format!("{error}; NO_PROXY names the hosts that are asked without a proxy")),
        (Cause::UnresolvedName, None) => fail(format!(
            "the host name {host} cannot be resolved; put the name there that people have in their browser, or set \
             HTTPS_PROXY"
        )),
        (Cause::Refused, None) => fail(format!(
            "nothing listens at {host}; put an address there that can be reached from here, or set HTTPS_PROXY"
        )),
        (
            Cause::NoRoute
            | Cause::TimedOut
            | Cause::Ended
            | Cause::ProxyAuthRequired
            | Cause::ProxyRefuses
            | Cause::Other,
            None,
        ) => fail(format!("{error}; put an address there that can be reached from here, or set HTTPS_PROXY")),
    }
}

/// Jira rejects the bridge.
fn refused(host: &str, denied: &Denied, config: &Settings, kind: Option<Kind>) -> Finding {
    let Denied { denial, symptom } = denied;
    // `asked` is `None` for the first request, which the text does not name.
    let why = match symptom {
        Symptom::AnsweredAnonymously { asked: None } => {
            "it answered as if the bridge were not logged in".to_owned()
        }
        Symptom::Refused { asked: None, status, said } => format!("it answered {status}{said}"),
        Symptom::Captcha
        | Symptom::AnsweredAnonymously { .. }
        | Symptom::Refused { .. }
        | Symptom::NoAccessToken { .. }
        | Symptom::NoAccount => symptom.to_string(),
    };
    match denial {
        Denial::Captcha => Finding::fail(
            "jira.user",
            format!(
                "Jira at {host} has locked the account after failed log-ins: log in once with a browser as that account and \
                 solve the CAPTCHA, then put the right token into jira.token"
            ),
        ),
        Denial::Passwords => {
            let kind = if config.kind == Some(Kind::Cloud) { "\"auto\" into jira.kind and " } else { "" };
            Finding::fail(
                "jira.user",
                format!(
                    "Jira at {host} takes no passwords ({why}); leave jira.user out, and put {kind}a personal access token \
                     into jira.token"
                ),
            )
        }
        Denial::Address | Denial::Suspended | Denial::License | Denial::Browser | Denial::Intermediary => {
            let (says, advice) = (denial.describe(), denial.advice());
            Finding::fail("jira.url", format!("Jira at {host} {says} ({why}); {advice}"))
        }
        Denial::Client => Finding::fail(
            "jira.oauth.client_secret",
            format!(
                "{why}: put the secret there that was shown when the credential of the service account was created, and its \
                 client id into jira.oauth.client_id; if it is lost or revoked, create another credential"
            ),
        ),
        Denial::AccessToken => Finding::fail(
            "jira.oauth",
            format!(
                "Jira at {host} does not take the access token ({why}): give the service account access to this Jira, and its \
                 credential the scopes {}",
                SCOPES.join(", ")
            ),
        ),
        Denial::Credentials | Denial::App => {
            // Only Cloud mistakes a token without a user for an app's token.
            let is_cloud = is_cloud(&config.url) || *denial == Denial::App;
            let kind = kind.or_else(|| is_cloud.then_some(Kind::Cloud));
            let key = match (config.login.user(), kind) {
                (None, Some(Kind::Cloud)) => "jira.user",
                (Some(_), _) | (None, Some(Kind::DataCenter) | None) => "jira.token",
            };
            let hint = credentials_advice(config, kind);
            Finding::fail(key, format!("Jira at {host} does not let the bridge in ({why}): {hint}"))
        }
    }
}

/// Advice for credentials that Jira does not accept.
fn credentials_advice(config: &Settings, kind: Option<Kind>) -> &'static str {
    match (config.login.user().is_some(), kind) {
        (true, Some(Kind::Cloud)) if is_gateway(&config.url) => {
            "put a new token there: this one is wrong or expired, or jira.user is not the e-mail of its account; one without \
             scopes needs jira.url = \"https://SITE.atlassian.net\""
        }
        (true, Some(Kind::Cloud)) => {
            "put a new token there: this one is wrong or expired, or jira.user is not the e-mail of its account; one with \
             scopes needs jira.url = \"https://api.atlassian.com/ex/jira/CLOUD-ID\" (see /_edge/tenant_info of the site)"
        }
        (true, Some(Kind::DataCenter) | None) => {
            "put a new token there: this one is wrong or expired, or not jira.user's; with a personal access token, leave \
             jira.user out"
        }
        (false, Some(Kind::Cloud)) => "put the e-mail of the account that jira.token belongs to there",
        (false, Some(Kind::DataCenter)) => {
            "put a new token there: this one is wrong or expired; without jira.user it must be a personal access token"
        }
        (false, None) => {
            "put a new token there: this one is wrong or expired; or jira.user is missing, which Cloud needs and a personal \
             access token of Data Center does not"
        }
    }
}
