//! What is answered where something goes wrong.

use super::{
    answer::{Answer, Content},
    auth::unauthorized,
    fault::Fault,
};

const PAGE: &str = "<!doctype html><title>Log in</title><form><input name=\"os_username\"></form>";
const HTML: &str = "text/html;charset=UTF-8";

/// The answer of a fault that keeps Jira from doing anything; none if Jira still acts.
pub(super) fn instead(fault: &Fault) -> Option<Answer> {
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
            retry(Answer::text(*code, media, body.clone()), retry_after.as_ref())
        }
        Fault::TooMany { retry_after } => {
            let answer = Answer::text(429, "text/plain", "Rate limit exceeded");
            retry(answer, retry_after.as_ref()).with("X-RateLimit-Remaining", "0")
        }
        Fault::Html => Answer::text(200, HTML, PAGE),
        Fault::Unauthorized => unauthorized(),
        Fault::Captcha => Answer::text(403, HTML, PAGE)
            .with("X-Authentication-Denied-Reason", "CAPTCHA_CHALLENGE; login-url=http://127.0.0.1/login.jsp")
            .with("X-Seraph-LoginReason", "AUTHENTICATION_DENIED"),
        Fault::Empty => Answer::new(200, Content::Empty).with("X-Seraph-LoginReason", "AUTHENTICATED_FAILED"),
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
        Fault::Xsrf => xsrf(),
        Fault::Redirect => Answer::empty(302).with("Location", "/login.jsp"),
        Fault::Says { code, media, headers, body } => {
            let answer = Answer::text(*code, media, body.clone());
            headers.iter().fold(answer, |answer, (name, value)| answer.with(name, value.clone()))
        }
    };
    Some(answer)
}

/// Whether the answer comes from Jira itself, which proves who asked, and nothing else.
pub(super) fn is_signed(fault: &Fault) -> bool {
    match fault {
        Fault::WrongJson
        | Fault::BrokenJson
        | Fault::DeepJson
        | Fault::Flood
        | Fault::Trickle
        | Fault::Xsrf => true,
        // What has the form of Jira's own refusals.
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

/// The answer to what looks like a browser's.
pub(super) fn xsrf() -> Answer {
    Answer::text(403, "text/plain;charset=UTF-8", "XSRF check failed")
}

/// The answer of something on the way that gave up on Jira, although Jira did it.
pub(super) fn gateway(status: u16) -> Answer {
    Answer::text(status, HTML, "<html><body><h1>Gateway error</h1></body></html>")
}

fn retry(answer: Answer, after: Option<&String>) -> Answer {
    match after {
        Some(after) => answer.with("Retry-After", after.clone()),
        None => answer,
    }
}
