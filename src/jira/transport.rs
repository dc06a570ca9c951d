//! Turns a failed request into an error that says why there was no answer.

use std::error::Error as _;

use super::{
    cause::{Cause, TlsCause},
    error::{Error, SideEffect},
};
use crate::text;

/// The error for a failure of reqwest: only a failure to connect proves that nothing was sent. `proxy` describes the
/// proxy of the request, and `tls` says whether it used TLS.
pub(super) fn failed(host: &str, proxy: Option<&str>, tls: bool, error: reqwest::Error) -> Error {
    let connect = error.is_connect();
    let found = Cause::of(&error);
    let cause = if error.is_timeout() {
        Cause::TimedOut
    } else if tls && connect && found == Cause::Ended {
        Cause::Tls(TlsCause::Ended)
    } else {
        found
    };
    let why = match &cause {
        Cause::ProxyAuthRequired => return proxy_refused(host, proxy),
        Cause::TimedOut if connect => "no connection within half of jira.timeout".to_owned(),
        Cause::TimedOut => "it took longer than jira.timeout".to_owned(),
        Cause::Tls(TlsCause::Other) => chain(error),
        Cause::Tls(fault) => fault.to_string(),
        Cause::UnresolvedName
        | Cause::Refused
        | Cause::NoRoute
        | Cause::Ended
        | Cause::ProxyRefuses
        | Cause::Other => chain(error),
    };
    let why = match proxy {
        None => why,
        Some(proxy) if cause == Cause::ProxyRefuses => {
            format!("{proxy} does not connect the bridge to it")
        }
        Some(proxy) => format!("through {proxy}: {why}"),
    };
    let side_effect = if connect { SideEffect::None } else { SideEffect::Unknown };
    Error::NoAnswer { host: host.to_owned(), why, cause, side_effect }
}

/// The error for a proxy's 407: the request did not reach Jira.
pub(super) fn proxy_refused(host: &str, proxy: Option<&str>) -> Error {
    let proxy = proxy.unwrap_or("a proxy");
    let why = format!(
        "{proxy} does not know the bridge (407): give it a user and a password, as http://USER:PASSWORD@HOST:PORT"
    );
    Error::NoAnswer {
        host: host.to_owned(),
        why,
        cause: Cause::ProxyAuthRequired,
        side_effect: SideEffect::None,
    }
}

/// The causes of an error, on one line, without the URL, because its query may hold private data.
pub(super) fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = vec![];
    let mut cause = error.source();
    while let Some(next) = cause {
        words.push(next.to_string());
        cause = next.source();
    }
    if words.is_empty() {
        words.push(error.to_string());
    }
    words.dedup();
    text::truncate(&text::single_line(&words.join(": ")), 300)
}
