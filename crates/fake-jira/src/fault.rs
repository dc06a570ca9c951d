//! Faults that tests can inject into requests.

use std::time::Duration;

use super::operation::Operation;

/// A fault in a request. Where the description says "rejected" or "not processed", Jira changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Jira processes the request, and the connection ends without an answer.
    LostAnswer,
    /// Not processed: the connection ends without an answer.
    Dropped,
    /// Jira processes the request, and the connection ends in the middle of the body.
    Cut,
    /// Jira processes the request, but a gateway answers with this status and an HTML page.
    ActedBut(u16),
    /// Jira processes the request and answers after this delay.
    Slow(Duration),
    /// Jira processes the request and answers when the test calls [`super::FakeJira::release`].
    Held,
    /// Not processed: Jira answers with this status and body.
    Status {
        /// The HTTP status.
        code: u16,
        /// The header `Retry-After`.
        retry_after: Option<String>,
        /// The body; its media type is JSON if it starts with `{` or `[`.
        body: String,
    },
    /// Not processed: 429.
    TooMany {
        /// The header `Retry-After`; Jira does not always send it.
        retry_after: Option<String>,
    },
    /// Not processed: 200 with a login page, as single sign-on proxies send it.
    Html,
    /// Authentication fails, and the request runs as anonymous. The answer has
    /// `X-Seraph-LoginReason: AUTHENTICATED_FAILED`.
    Anonymous,
    /// Authentication fails, and the request runs as anonymous. No header of the answer shows it.
    Stranger,
    /// Rejected: 401.
    Unauthorized,
    /// Rejected: 403. Jira does not check the credentials until a person has solved a CAPTCHA.
    Captcha,
    /// Not processed: 200 without a body, and `X-Seraph-LoginReason: AUTHENTICATED_FAILED`.
    Empty,
    /// Not processed: 200 with JSON of an unexpected shape.
    WrongJson,
    /// Not processed: 200 with incomplete JSON and a correct `Content-Length`.
    BrokenJson,
    /// Not processed: 200 with JSON arrays nested a hundred thousand deep.
    DeepJson,
    /// Not processed: 200 with a body of 1 GiB and the matching `Content-Length`.
    Flood,
    /// Not processed: 200 at once, then a blank every 100 ms, without end.
    Trickle,
    /// Rejected, except for GET: 403. The credentials are correct, but Jira takes the caller for a browser.
    Xsrf,
    /// Not processed: 302 to a login page.
    Redirect,
    /// Not processed: a proxy, or Jira's own edge, sends this answer, which has no header that names the account.
    Says {
        /// The HTTP status.
        code: u16,
        /// The media type of the body.
        media: &'static str,
        /// More headers.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: String,
    },
}

/// For how many requests a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The next request only.
    Once,
    /// This many requests.
    Next(u32),
    /// Until [`super::FakeJira::clear_faults`].
    Always,
}

pub(super) struct PlannedFault {
    operation: Operation,
    fault: Fault,
    /// For how many more requests it happens; `None` for all.
    remaining: Option<u32>,
}

impl PlannedFault {
    pub(super) fn new(operation: Operation, fault: Fault, times: Times) -> Self {
        let remaining = match times {
            Times::Once => Some(1),
            Times::Next(n) => Some(n),
            Times::Always => None,
        };
        Self { operation, fault, remaining }
    }

    pub(super) fn is_held(&self) -> bool {
        self.fault == Fault::Held
    }
}

/// Takes the next fault for this operation: the one that was added first.
pub(super) fn next(planned: &mut Vec<PlannedFault>, operation: Operation) -> Option<Fault> {
    planned.retain(|p| p.remaining != Some(0));
    let next = planned.iter_mut().find(|p| p.operation == Operation::Any || p.operation == operation)?;
    if let Some(remaining) = &mut next.remaining {
        *remaining -= 1;
    }
    Some(next.fault.clone())
}
