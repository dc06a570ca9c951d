//! PURE: hints that say what to change after a call was refused.

use tokio_rustls::rustls::{AlertDescription, Error};

use crate::{http::serve::ConnectionRefused, metrics::RefusalReason};

/// The paths for Flagger's hooks.
const HOOKS: [&str; 8] = [
    "/gate/confirm-rollout",
    "/gate/confirm-traffic-increase",
    "/gate/confirm-promotion",
    "/gate/rollback",
    "/gate/check",
    "/rollback/check",
    "/event",
    "/post-rollout",
];
/// Hints for paths that exist elsewhere or not at all.
const OTHER_PATHS: [(&str, &str); 4] = [
    ("/pre-rollout", "the bridge has no such hook: pre-rollout and rollout run tests"),
    ("/rollout", "the bridge has no such hook: pre-rollout and rollout run tests"),
    ("/jira/webhook", "Jira's webhook is at server.webhook_listen"),
    ("/metrics", "the page, the API and the metrics are at server.admin_listen"),
];

pub(crate) const TOKEN: &str = "give the hook the token: http://any:TOKEN@host/… or metadata.token; it is flagger.token, or the one of \
     its cluster or team";
pub(crate) const SIGNATURE: &str = "give Jira's webhook the secret of jira.webhook_secret; a port that faces the \
     internet also gets calls from strangers";
pub(crate) const METHOD: &str = "Flagger and Jira send POST";
pub(crate) const NAME_RULES: &str = "use lower-case letters, digits and '-'";

/// The known path that the caller probably meant.
pub(crate) fn nearest_hook(path: &str) -> Option<&'static str> {
    let path: String = path.chars().take(100).collect::<String>().to_lowercase();
    let path = path.trim_end_matches('/');
    let distance = |known: &&&str| strsim::osa_distance(path, known);
    let last = |path: &str| path.rsplit('/').next().map(str::to_owned);
    let nearest = HOOKS.iter().min_by_key(distance).filter(|known| distance(known) * 3 < known.len());
    // The right last part after a missing or different prefix.
    nearest.or_else(|| HOOKS.iter().find(|known| last(known) == last(path))).copied()
}

/// What to do about an unknown path.
pub(crate) fn for_path(path: &str) -> String {
    if let Some((_, hint)) = OTHER_PATHS.iter().find(|(known, _)| path.trim_end_matches('/') == *known) {
        return (*hint).to_owned();
    }
    match nearest_hook(path) {
        Some(near) => format!("write {near} into the hook's url"),
        None => "correct the path in the hook's url; docs/flagger.md lists all hooks".to_owned(),
    }
}

/// The message about an unknown query parameter, and what to do about it. The message repeats the parameter only if it
/// looks like a name: it could be anything, even a token.
pub(crate) fn for_parameter(key: &str) -> (String, String) {
    let is_name = key.len() <= 20 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if key.is_empty() || !is_name {
        let words = "the query has a parameter that this hook does not accept".to_owned();
        return (words, "remove it from the hook's url, which may have ?gate= and ?cluster=".to_owned());
    }
    let words = format!("?{key}= is not a parameter of this hook");
    // As with the keys of the configuration: at most two typos, and in less than half of the word.
    let slips = |known: &str| strsim::osa_distance(&key.to_lowercase(), known);
    match ["gate", "cluster"].into_iter().find(|known| slips(known) <= 2 && slips(known) * 2 < known.len()) {
        Some(near) => {
            (format!("{words}; did you mean ?{near}=?"), format!("write ?{near}= into the hook's url"))
        }
        None => (words, format!("remove ?{key}= from the hook's url, which may have ?gate= and ?cluster=")),
    }
}

/// A valid name that resembles this one; `None` if no character of it is usable.
pub(crate) fn slug(name: &str) -> Option<String> {
    let name = name.chars().take(63).collect::<String>().to_lowercase();
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let parts: Vec<&str> = name.split('-').filter(|part| !part.is_empty()).collect();
    Some(parts.join("-")).filter(|name| !name.is_empty())
}

/// Why a connection ended before it sent a request, and what to do about it.
pub(crate) fn for_connection(broken: &ConnectionRefused) -> (RefusalReason, String, &'static str) {
    let refusal = |reason, why: &str, hint| (reason, why.to_owned(), hint);
    match broken {
        ConnectionRefused::Handshake(error) => {
            (RefusalReason::Handshake, format!("the TLS handshake failed: {error}"), for_handshake(error))
        }
        ConnectionRefused::PlainHttp => refusal(
            RefusalReason::Protocol,
            "the caller speaks HTTP without TLS",
            "write https:// instead of http://",
        ),
        ConnectionRefused::NotHttp => refusal(
            RefusalReason::Protocol,
            "the caller does not speak HTTP",
            "if it speaks TLS, write http:// instead of https://, or set server.tls",
        ),
        ConnectionRefused::FirstLine => refusal(
            RefusalReason::Protocol,
            "the first line of the request cannot be read (is there a space in the hook's URL?)",
            "write ?gate=qa-team into the hook's URL",
        ),
        ConnectionRefused::HeadTooLarge => refusal(
            RefusalReason::TooLarge,
            "the head of the request is longer than 16 KiB",
            "send fewer headers; a proxy in front may add some",
        ),
        ConnectionRefused::Slow => refusal(
            RefusalReason::Slow,
            "the complete request did not arrive in time",
            "check whether something between the caller and the bridge delays it",
        ),
        ConnectionRefused::Crowded => refusal(
            RefusalReason::Crowded,
            "idle connections were closed to make room for others",
            "find out who opens so many connections from that address",
        ),
    }
}

/// What to do about a handshake that failed.
fn for_handshake(error: &Error) -> &'static str {
    const UNTRUSTED: [AlertDescription; 2] = [AlertDescription::UnknownCA, AlertDescription::BadCertificate];
    if matches!(error, Error::AlertReceived(alert) if UNTRUSTED.contains(alert)) {
        "the caller does not trust the certificate of server.tls: give it the authority that signed it; in Flagger's pod, \
         SSL_CERT_FILE names a bundle"
    } else if matches!(error, Error::AlertReceived(AlertDescription::CertificateExpired)) {
        "the certificate of server.tls has expired: renew it"
    } else if matches!(error, Error::AlertReceived(_)) {
        "the caller does not accept the certificate of server.tls: is it for the host name in the hook's url?"
    } else if matches!(error, Error::PeerIncompatible(_)) {
        "the caller is too old: it must speak TLS 1.2 or 1.3"
    } else {
        "see what calls this port: it does not speak TLS correctly"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_nearly_right_is_found() {
        for (path, expected) in [
            ("/gate/confirm-promotion/", Some("/gate/confirm-promotion")),
            ("/gate/confirm-promotoin", Some("/gate/confirm-promotion")),
            ("/Gate/Confirm-Rollout", Some("/gate/confirm-rollout")),
            ("/events", Some("/event")),
            ("/confirm-promotion", Some("/gate/confirm-promotion")),
            ("/api/v1/post-rollout", Some("/post-rollout")),
            ("/postrollout", Some("/post-rollout")),
            ("/", None),
            ("/wp-login.php", None),
            ("/favicon.ico", None),
        ] {
            assert_eq!(nearest_hook(path), expected, "{path}");
        }
    }

    #[test]
    fn a_name_is_made_fit() {
        for (name, expected) in [
            ("QA Team", Some("qa-team")),
            ("--qa--", Some("qa")),
            ("é", None),
            ("", None),
            ("a_b.c", Some("a-b-c")),
        ] {
            assert_eq!(slug(name).as_deref(), expected, "{name}");
        }
    }
}
