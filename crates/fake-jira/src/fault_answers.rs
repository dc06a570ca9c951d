//! The answers of faults.

use super::{
    answer::{Answer, Content},
    auth::unauthorized,
    fault::Fault,
};

const LOGIN_PAGE: &str = "<!doctype html><title>Log in</title><form><input name=\"os_username\"></form>";
const HTML: &str = "text/html;charset=UTF-8";

/// The answer of a fault that replaces the processing of a request; `None` for faults with their own handling.
pub(super) fn canned(fault: &Fault) -> Option<Answer> {
    let answer = match fault {
        Fault::LostAnswer
        | Fault::Cut
        | Fault::ActedBut(_)
        | Fault::Slow(_)
        | Fault::Held
        | Fault::Anonymous
        | Fault::Stranger
        | Fault::Dropped => {
            return None;
        }
        Fault::Status { code, retry_after, body } => {
            let media = if body.starts_with(['{', '[']) { "application/json;charset=UTF-8" } else { HTML };
            with_retry_after(Answer::text(*code, media, body.clone()), retry_after.as_ref())
        }
        Fault::TooMany { retry_after } => {
            let answer = Answer::text(429, "text/plain", "Rate limit exceeded");
            with_retry_after(answer, retry_after.as_ref()).with_header("X-RateLimit-Remaining", "0")
        }
        Fault::Html => Answer::text(200, HTML, LOGIN_PAGE),
        Fault::Unauthorized => unauthorized(),
        Fault::Captcha => Answer::text(403, HTML, LOGIN_PAGE)
            .with_header(
                "X-Authentication-Denied-Reason",
                "CAPTCHA_CHALLENGE; login-url=http://127.0.0.1/login.jsp",
            )
            .with_header("X-Seraph-LoginReason", "AUTHENTICATION_DENIED"),
        Fault::Empty => {
            Answer::new(200, Content::Empty).with_header("X-Seraph-LoginReason", "AUTHENTICATED_FAILED")
        }
        Fault::WrongJson => Answer::ok(serde_json::json!({ "unexpected": [1, 2, 3] })),
        Fault::BrokenJson => {
            Answer::text(200, "application/json;charset=UTF-8", "{\"id\":\"10042\",\"key\":")
        }
        Fault::DeepJson => {
            let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
            let body = format!("{{\"id\":{deep},\"issues\":{deep},\"accountId\":{deep},\"name\":{deep}}}");
            Answer::text(200, "application/json;charset=UTF-8", body)
        }
        Fault::Flood => Answer::new(200, Content::Flood),
        Fault::Trickle => Answer::new(200, Content::Trickle),
        Fault::Xsrf => xsrf_failure(),
        Fault::Redirect => Answer::empty(302).with_header("Location", "/login.jsp"),
        Fault::Says { code, media, headers, body } => {
            let answer = Answer::text(*code, media, body.clone());
            headers.iter().fold(answer, |answer, (name, value)| answer.with_header(name, value.clone()))
        }
    };
    Some(answer)
}

/// Whether Jira itself sends the answer and its headers name the account.
pub(super) fn names_account(fault: &Fault) -> bool {
    match fault {
        Fault::WrongJson
        | Fault::BrokenJson
        | Fault::DeepJson
        | Fault::Flood
        | Fault::Trickle
        | Fault::Xsrf => true,
        // An error in Jira's own format.
        Fault::Status { code, body, .. } => *code < 500 && body.contains("\"errorMessages\""),
        Fault::LostAnswer
        | Fault::Dropped
        | Fault::Cut
        | Fault::ActedBut(_)
        | Fault::Slow(_)
        | Fault::Held
        | Fault::TooMany { .. }
        | Fault::Html
        | Fault::Anonymous
        | Fault::Stranger
        | Fault::Unauthorized
        | Fault::Captcha
        | Fault::Empty
        | Fault::Says { .. }
        | Fault::Redirect => false,
    }
}

/// The answer to a request that looks like a browser's.
pub(super) fn xsrf_failure() -> Answer {
    Answer::text(403, "text/plain;charset=UTF-8", "XSRF check failed")
}

/// The answer of a gateway that did not get Jira's answer.
pub(super) fn gateway_error(status: u16) -> Answer {
    Answer::text(status, HTML, "<html><body><h1>Gateway error</h1></body></html>")
}

fn with_retry_after(answer: Answer, retry_after: Option<&String>) -> Answer {
    match retry_after {
        Some(retry_after) => answer.with_header("Retry-After", retry_after.clone()),
        None => answer,
    }
}
