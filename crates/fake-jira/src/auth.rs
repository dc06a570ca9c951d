//! Who is asking, and how Jira says that it does not know.

use base64::{Engine as _, engine::general_purpose::STANDARD_PAD_INDIFFERENT as BASE64};

use super::{
    answer::{Answer, Content},
    model::{BRIDGE, Flavour},
    recorded::Credentials,
    state::State,
};

/// Who a request runs as.
pub(super) enum Caller {
    /// As this account.
    Known(&'static str),
    /// Without an account; whether credentials were sent and failed.
    Anonymous { failed: bool },
    /// Not at all.
    Refused(Answer),
}

/// Reads the header `Authorization` as this Jira does.
pub(super) fn caller(state: &State, header: Option<&str>) -> (Caller, Credentials) {
    let Some(header) = header else { return (Caller::Anonymous { failed: false }, Credentials::None) };
    match state.flavour {
        Flavour::Cloud => cloud(state, header),
        Flavour::DataCenter => data_center(state, header),
    }
}

/// A failed pair runs as anonymous on Cloud; a bearer token that is no Connect token is refused everywhere.
fn cloud(state: &State, header: &str) -> (Caller, Credentials) {
    if header.starts_with("Bearer ") {
        let body = serde_json::json!({ "error": "Failed to parse Connect Session Auth Token" });
        return (Caller::Refused(Answer::new(403, Content::Json(body))), Credentials::Wrong);
    }
    match basic(header) {
        Some((user, token)) if user.eq_ignore_ascii_case(&state.user) && token == state.token => {
            (Caller::Known(BRIDGE), Credentials::Right)
        }
        Some((user, _)) => (Caller::Anonymous { failed: !user.is_empty() }, Credentials::Wrong),
        None => (Caller::Anonymous { failed: false }, Credentials::Wrong),
    }
}

/// Data Center refuses wrong credentials; a personal access token is no password.
fn data_center(state: &State, header: &str) -> (Caller, Credentials) {
    if let Some(token) = header.strip_prefix("Bearer ") {
        if token == state.token {
            return (Caller::Known(BRIDGE), Credentials::Right);
        }
        return (Caller::Refused(unauthorized().with("X-AUSERNAME", "anonymous")), Credentials::Wrong);
    }
    let Some(password) = &state.password else {
        let body =
            serde_json::json!({ "message": "Basic Authentication has been disabled on this instance." });
        return (Caller::Refused(Answer::new(403, Content::Json(body))), Credentials::Wrong);
    };
    match basic(header) {
        Some((user, given)) if user == "flagger-bridge" && given == *password => {
            (Caller::Known(BRIDGE), Credentials::Right)
        }
        _ => {
            let answer = unauthorized().with("X-Seraph-LoginReason", "AUTHENTICATED_FAILED");
            (Caller::Refused(answer.with("X-AUSERNAME", "anonymous")), Credentials::Wrong)
        }
    }
}

/// The 401 of paths that are closed to anonymous callers: plain text, not JSON.
pub(super) fn unauthorized() -> Answer {
    Answer::text(401, "text/plain;charset=UTF-8", "Client must be authenticated to access this resource.")
        .with("WWW-Authenticate", "OAuth realm=\"http%3A%2F%2F127.0.0.1\"")
}

fn basic(header: &str) -> Option<(String, String)> {
    let text = String::from_utf8(BASE64.decode(header.strip_prefix("Basic ")?).ok()?).ok()?;
    let (user, secret) = text.split_once(':')?;
    Some((user.to_owned(), secret.to_owned()))
}
