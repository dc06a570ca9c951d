//! Authentication.

use base64::{Engine as _, engine::general_purpose::STANDARD_PAD_INDIFFERENT as BASE64};

use super::{
    answer::{Answer, Content},
    model::{BRIDGE, Flavour},
    recorded::Credentials,
    state::State,
};

/// The caller of a request.
pub(super) enum Caller {
    /// The request runs as this account.
    Account(&'static str),
    /// The request runs as anonymous; `failed` if it had credentials and they were wrong.
    Anonymous { failed: bool },
    /// The request does not run.
    Rejected(Answer),
}

/// Authenticates the header `Authorization`.
pub(super) fn caller(state: &State, header: Option<&str>) -> (Caller, Credentials) {
    let Some(header) = header else { return (Caller::Anonymous { failed: false }, Credentials::None) };
    match state.flavour {
        Flavour::Cloud => cloud(state, header),
        Flavour::DataCenter => data_center(state, header),
    }
}

/// Cloud runs a request with a wrong user or token as anonymous, and rejects
/// bearer tokens, because they are not Connect tokens.
fn cloud(state: &State, header: &str) -> (Caller, Credentials) {
    if header.starts_with("Bearer ") {
        let body = serde_json::json!({ "error": "Failed to parse Connect Session Auth Token" });
        return (Caller::Rejected(Answer::new(403, Content::Json(body))), Credentials::Wrong);
    }
    match parse_basic(header) {
        Some((user, token)) if user.eq_ignore_ascii_case(&state.user) && token == state.token => {
            (Caller::Account(BRIDGE), Credentials::Right)
        }
        Some((user, _)) => (Caller::Anonymous { failed: !user.is_empty() }, Credentials::Wrong),
        None => (Caller::Anonymous { failed: false }, Credentials::Wrong),
    }
}

/// Data Center rejects wrong credentials. A personal access token is not valid as the password of Basic authentication.
fn data_center(state: &State, header: &str) -> (Caller, Credentials) {
    if let Some(token) = header.strip_prefix("Bearer ") {
        if token == state.token {
            return (Caller::Account(BRIDGE), Credentials::Right);
        }
        return (
            Caller::Rejected(unauthorized().with_header("X-AUSERNAME", "anonymous")),
            Credentials::Wrong,
        );
    }
    let Some(password) = &state.password else {
        let body =
            serde_json::json!({ "message": "Basic Authentication has been disabled on this instance." });
        return (Caller::Rejected(Answer::new(403, Content::Json(body))), Credentials::Wrong);
    };
    match parse_basic(header) {
        Some((user, secret)) if user == "flagger-bridge" && secret == *password => {
            (Caller::Account(BRIDGE), Credentials::Right)
        }
        _ => {
            let answer = unauthorized().with_header("X-Seraph-LoginReason", "AUTHENTICATED_FAILED");
            (Caller::Rejected(answer.with_header("X-AUSERNAME", "anonymous")), Credentials::Wrong)
        }
    }
}

/// The 401 of paths that require authentication: plain text, not JSON.
pub(super) fn unauthorized() -> Answer {
    Answer::text(401, "text/plain;charset=UTF-8", "Client must be authenticated to access this resource.")
        .with_header("WWW-Authenticate", "OAuth realm=\"http%3A%2F%2F127.0.0.1\"")
}

fn parse_basic(header: &str) -> Option<(String, String)> {
    let text = String::from_utf8(BASE64.decode(header.strip_prefix("Basic ")?).ok()?).ok()?;
    let (user, secret) = text.split_once(':')?;
    Some((user.to_owned(), secret.to_owned()))
}
