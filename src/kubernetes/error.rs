//! Why an API server cannot be asked, on one line.

use std::error::Error as StdError;

use kube::{Error, client::AuthError, config::KubeconfigError, core::Status, runtime::watcher};

use crate::text::one_line;

/// The longest message of an API server that is quoted, in characters.
const LONGEST: usize = 300;

/// Why a request failed.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "not our enum, and most of its variants cannot occur here"
)]
pub(super) fn of_request(error: &Error) -> String {
    // What a program of the kubeconfig printed may hold a token, and a proxy's address a password: neither is quoted.
    if chain(error).any(|cause| cause.is::<AuthError>()) {
        return "the credentials of the kubeconfig or of the service account cannot be used".into();
    }
    match error {
        Error::Api(status) => of_status(status),
        Error::ProxyProtocolUnsupported { .. } | Error::ProxyProtocolDisabled { .. } => {
            "the proxy-url of the kubeconfig is not the address of an HTTP proxy".into()
        }
        Error::HyperError(_) | Error::Service(_) | Error::ReadEvents(_) => {
            format!("the API server cannot be reached: {}", innermost(error))
        }
        error => one_line(&error.to_string(), LONGEST),
    }
}

/// Why a watch failed.
pub(super) fn of_watch(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => of_request(error),
        watcher::Error::WatchError(status) => of_status(status),
        watcher::Error::NoResourceVersion => "the API server sent no resource version".into(),
    }
}

/// Whether the API server rejects the credentials.
pub(super) fn is_unauthorized(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => matches!(error, Error::Api(status) if status.code == 401),
        watcher::Error::WatchError(status) => status.code == 401,
        watcher::Error::NoResourceVersion => false,
    }
}

fn of_status(status: &Status) -> String {
    let message = one_line(&status.message, LONGEST);
    match status.code {
        401 => "the API server rejects the bridge's credentials (401)".into(),
        // It names who may not do what, in which group and namespace.
        403 => format!("the API server forbids it: {message}"),
        404 => format!("the API server does not know it (is Flagger installed in this cluster?): {message}"),
        code => format!("the API server answered {code}: {message}"),
    }
}

/// Why a kubeconfig cannot be used. Its text is not quoted: what cannot be parsed may be a token.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "not our enum; the others quote nothing of the file's secrets"
)]
pub(super) fn of_kubeconfig(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(_) => "the file is no kubeconfig".into(),
        error => innermost(error),
    }
}

/// The error at the end of the chain, on one line.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(|cause| one_line(&cause.to_string(), LONGEST)).unwrap_or_default()
}

/// An error and its causes.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}
