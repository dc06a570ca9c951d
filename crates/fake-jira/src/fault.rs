//! What can go wrong between a caller and Jira, on request.

use std::time::Duration;

use super::operation::Operation;

/// Something that goes wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Jira does it, and the connection ends without an answer.
    LostAnswer,
    /// The connection ends without an answer, and nothing was done.
    Dropped,
    /// Jira does it, and the connection ends in the middle of the body.
    Cut,
    /// Jira does it, but something on the way answers with this status and an HTML page.
    ActedBut(u16),
    /// Jira does it and answers this much later.
    Slow(Duration),
    /// Jira does it and answers once [`super::FakeJira::release`] is called.
    Held,
    /// Nothing is done; this is answered.
    Status {
        /// The HTTP status.
        code: u16,
        /// The header `Retry-After`.
        retry_after: Option<String>,
        /// The body; JSON if it looks like it.
        body: String,
    },
    /// Nothing is done; 429.
    TooMany {
        /// The header `Retry-After`; Jira does not always send it.
        retry_after: Option<String>,
    },
    /// A login page as 200, as single sign-on proxies send it.
    Html,
    /// The credentials count as failed and the request runs as anonymous, with `X-Seraph-LoginReason: AUTHENTICATED_FAILED`.
    Anonymous,
    /// The credentials count as failed and the request runs as anonymous, and no header says so.
    Stranger,
    /// 401.
    Unauthorized,
    /// 403: a person must solve a CAPTCHA first; the credentials were not checked.
    Captcha,
    /// 200 without a body, and `X-Seraph-LoginReason: AUTHENTICATED_FAILED`.
    Empty,
    /// 200 with JSON of another shape than expected; nothing is done.
    WrongJson,
    /// 200 with the beginning of a JSON text and a right `Content-Length`; nothing is done.
    BrokenJson,
    /// 200 with arrays in arrays, a hundred thousand deep; nothing is done.
    DeepJson,
    /// 200 with a body of 1 GiB, and a `Content-Length` that says so; nothing is done.
    Flood,
    /// 200 at once, and then a blank now and then, without end; nothing is done.
    Trickle,
    /// 403 to all that is more than reading, with credentials that are right: Jira takes the caller for a browser.
    Xsrf,
    /// 302 to a login page.
    Redirect,
    /// Nothing is done; something on the way, or Jira's own edge, answers this: no header says who asked.
    Says {
        /// The HTTP status.
        code: u16,
        /// The media type of the body.
        media: &'static str,
        /// Further headers.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: String,
    },
}

/// How often a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The next request only.
    Once,
    /// This many requests.
    Next(u32),
    /// Until [`super::FakeJira::clear_faults`].
    Always,
}

pub(super) struct Planned {
    on: Operation,
    fault: Fault,
    /// How often it still happens; none: always.
    left: Option<u32>,
}

impl Planned {
    pub(super) fn new(on: Operation, fault: Fault, times: Times) -> Self {
        let left = match times {
            Times::Once => Some(1),
            Times::Next(n) => Some(n),
            Times::Always => None,
        };
        Self { on, fault, left }
    }

    pub(super) fn holds(&self) -> bool {
        self.fault == Fault::Held
    }
}

/// The fault for this operation, if one is planned; the one planned first comes first.
pub(super) fn take(planned: &mut Vec<Planned>, operation: Operation) -> Option<Fault> {
    planned.retain(|p| p.left != Some(0));
    let next = planned.iter_mut().find(|p| p.on == Operation::Any || p.on == operation)?;
    if let Some(left) = &mut next.left {
        *left -= 1;
    }
    Some(next.fault.clone())
}
