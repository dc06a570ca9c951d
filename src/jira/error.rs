//! What can go wrong with Jira: each error says whether to retry, and whether the request may have taken effect.

use std::{fmt, time::Duration};

use super::{
    cause::Cause,
    denial::{Denial, Denied, mentions_scope},
    request::Operation,
};

/// Why a request failed. Each error displays as one line, and never holds a token or a query.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The token cannot be sent as a header.
    #[error("cannot use Jira's token: {INVALID_TOKEN}")]
    Token,
    /// No access token could be fetched, so that nothing was sent to Jira.
    #[error("cannot get an access token for Jira from {host}: {why}")]
    NoAccessToken {
        /// The host of the token endpoint.
        host: String,
        /// What went wrong.
        why: String,
        /// The cause, if no complete answer arrived.
        cause: Option<Cause>,
        /// From `Retry-After`, at most an hour.
        retry_after: Option<Duration>,
    },
    /// The permit to send had expired when this request was about to be sent. Nothing was sent.
    #[error(
        "not sent to Jira at {host}: this replica stalled for so long that another replica may have taken over"
    )]
    NotSent {
        /// Host and port.
        host: String,
    },
    /// No complete answer: no connection, so that nothing was sent; or no reply, a cut connection, a timeout.
    #[error("{}", no_answer(.host, .why, *.side_effect))]
    NoAnswer {
        /// Host and port.
        host: String,
        /// The system's error, or what it means.
        why: String,
        /// The cause.
        cause: Cause,
        /// Whether the request may still have taken effect.
        side_effect: SideEffect,
    },
    /// An answer of 500 or above.
    #[error("Jira at {host} answered {status}{}", colon(.messages))]
    Broken {
        /// Host and port.
        host: String,
        /// The HTTP status.
        status: u16,
        /// Jira's own words.
        messages: String,
        /// From `Retry-After`, at most an hour; all requests wait for it.
        retry_after: Option<Duration>,
    },
    /// 429, or a pause after one.
    #[error("Jira at {host} asks to wait{}", .retry_after.map(|wait| format!(" {} s", wait.as_secs_f64().ceil())).unwrap_or_default())]
    Throttled {
        /// Host and port.
        host: String,
        /// At most an hour, for which all requests wait. None: only this request has to wait, and Jira did not say how
        /// long.
        retry_after: Option<Duration>,
    },
    /// Jira answered as if the bridge were not logged in, or denied it access; or nothing was sent because the last
    /// answers were like that.
    #[error("Jira at {host} {}: {}; {}", .denied.denial.describe(), .denied.symptom, .denied.denial.advice())]
    Unauthorized {
        /// Host and port.
        host: String,
        /// Why, and how the bridge noticed.
        denied: Denied,
        /// Whether the request may still have taken effect.
        side_effect: SideEffect,
    },
    /// 4xx, with proven credentials. It is Jira's own refusal only if `by` says so.
    #[error("{}", refused(.host, *.operation, *.status, .messages, *.by))]
    Refused {
        /// Host and port.
        host: String,
        /// What the request was for.
        operation: Operation,
        /// The HTTP status.
        status: u16,
        /// Jira's own words, on one line; empty if it gave none. They may repeat text that came from anybody.
        messages: String,
        /// The ids of the fields that Jira refused.
        fields: Vec<String>,
        /// Who refused.
        by: Origin,
    },
    /// Jira does not show something that the configuration names.
    #[error("Jira shows no {what}{}", suggestions(.candidates))]
    NotFound {
        /// What kind of thing it is.
        lookup: Lookup,
        /// Which one, and perhaps why.
        what: String,
        /// What exists instead.
        candidates: Vec<Suggestion>,
    },
    /// A redirect. The bridge follows none: the credentials are for one host.
    #[error("Jira at {host} redirects to {}: put the address that answers without a redirect into jira.url", .target.as_deref().unwrap_or(UNREADABLE_TARGET))]
    Redirected {
        /// Host and port.
        host: String,
        /// The HTTP status.
        status: u16,
        /// The host that it leads to, if that can be read.
        target: Option<String>,
    },
    /// An answer that is not what Jira's API describes: not JSON, too long, fields missing.
    #[error("Jira's answer at {host} cannot be read: {what}")]
    Unreadable {
        /// Host and port.
        host: String,
        /// What is wrong with it.
        what: String,
        /// Which kind of flaw that is.
        reason: UnreadableReason,
    },
    /// Another request that had to be made before or after this one failed: for the kind of Jira, or for the bridge's
    /// account.
    #[error("{source}")]
    Prerequisite {
        /// The error of that request.
        source: Box<Self>,
        /// Whether the original request may still have taken effect.
        side_effect: SideEffect,
    },
}

/// When to retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// At once: another change to the same object came first.
    Now,
    /// After the wait that Jira named.
    NotBefore(Duration),
    /// After the next step of [`super::retry::delay`].
    Backoff,
    /// Not until something was changed in Jira or the configuration.
    Never,
}

/// Whether a failed request may have taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum SideEffect {
    /// It did not.
    None,
    /// It is unknown.
    Unknown,
}

/// What the bridge looks up by a name from the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// A project.
    Project,
    /// An issue type of a project.
    IssueType,
    /// A role of a project.
    Role,
}

/// Something that exists under another name than the wanted one. Displays with its id, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// Its name in Jira.
    pub name: String,
    /// Its id, if the configuration may hold the id instead of the name.
    pub id: Option<String>,
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            None => f.write_str(&self.name),
            Some(id) => write!(f, "{} ({id})", self.name),
        }
    }
}

/// The error text for an answer that is a page.
pub(super) const NOT_JSON: &str = "it is not JSON; is a log-in page in the way?";

/// What is wrong with a token.
const INVALID_TOKEN: &str = "it contains characters that a header cannot hold";

/// In place of the target of a redirect that has no readable one.
pub const UNREADABLE_TARGET: &str = "an address that cannot be read";

/// Why an answer cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreadableReason {
    /// It is not JSON: probably a page.
    NotJson,
    /// It is not what Jira's API describes.
    Other,
}

/// Who refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Jira's API: the answer has its form.
    Jira,
    /// Probably a proxy or firewall.
    Intermediary,
}

impl Error {
    /// When to retry.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.classify().0
    }

    /// Whether the request may still have taken effect. It has not if it was not sent, or if Jira itself answered 4xx;
    /// a proxy may also replace Jira's answer.
    pub fn side_effect(&self) -> SideEffect {
        self.classify().1
    }

    /// Whether the error may concern only the requested object, and not Jira as a whole.
    #[must_use]
    pub fn is_about_object(&self) -> bool {
        self.classify().2 == ErrorScope::Object
    }

    /// Whether Jira's API itself answered 404.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, by: Origin::Jira, .. })
    }

    /// Whether Jira itself answered that it does not do this, or does not show it. Such an answer comes quickly, and says
    /// nothing about other requests.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { by: Origin::Jira, .. } | Self::NotFound { .. })
    }

    /// The ids of the fields whose values Jira refused, if it refused the content of a request: none if it did not say
    /// which.
    #[must_use]
    pub fn refused_fields(&self) -> Option<&[String]> {
        let Self::Refused { status: 400, by: Origin::Jira, fields, .. } = self else { return None };
        Some(fields)
    }

    /// Whether the request certainly never left this machine.
    pub(super) const fn was_not_sent(&self) -> bool {
        matches!(
            self,
            Self::Token
                | Self::NoAccessToken { .. }
                | Self::NotSent { .. }
                | Self::NoAnswer { side_effect: SideEffect::None, .. }
        )
    }

    /// What was looked up by name and not found, and what exists instead.
    #[must_use]
    pub fn not_found(&self) -> Option<(Lookup, &[Suggestion])> {
        let Self::NotFound { lookup, candidates, .. } = self else { return None };
        Some((*lookup, candidates))
    }

    /// Whether Jira's words are about the token's scopes.
    #[must_use]
    pub fn is_about_scope(&self) -> bool {
        matches!(self, Self::Refused { messages, .. } if mentions_scope(messages))
    }

    /// When to retry, whether the request may have taken effect, and what the error concerns.
    fn classify(&self) -> (Retry, SideEffect, ErrorScope) {
        use ErrorScope::{Jira, Object};
        use Retry::{Backoff, Never, Now};
        use SideEffect::{None, Unknown};
        let after = |wait: Option<Duration>| wait.map_or(Backoff, Retry::NotBefore);
        match self {
            Self::Token | Self::NotSent { .. } => (Backoff, None, Jira),
            Self::NoAnswer { side_effect, .. } | Self::Unauthorized { side_effect, .. } => {
                (Backoff, *side_effect, Jira)
            }
            Self::Throttled { retry_after, .. } | Self::NoAccessToken { retry_after, .. } => {
                (after(*retry_after), None, Jira)
            }
            Self::Broken { retry_after, .. } => (after(*retry_after), Unknown, Object),
            Self::Redirected { .. } => (Backoff, Unknown, Jira),
            Self::Unreadable { .. } => (Backoff, Unknown, Object),
            Self::NotFound { .. } => (Never, None, Object),
            // No program carries out a request and then answers 401.
            Self::Refused { status: 401, by: Origin::Intermediary, .. } => (Backoff, None, Object),
            Self::Refused { by: Origin::Intermediary, .. } => (Backoff, Unknown, Object),
            // 408 and 425 are about this request's timing, not its content. A proxy that times out waiting for Jira may
            // also answer 408.
            Self::Refused { status: 408, by: Origin::Jira, .. } => (Backoff, Unknown, Object),
            Self::Refused { status: 425, by: Origin::Jira, .. } => (Backoff, None, Object),
            Self::Refused { status: 409, by: Origin::Jira, .. } => (Now, None, Object),
            Self::Refused { by: Origin::Jira, .. } => (Never, None, Object),
            Self::Prerequisite { source, side_effect } => (source.retry(), *side_effect, Jira),
        }
    }

    /// This error as that of a request before or after the original one, which has this side effect.
    pub(super) fn into_prerequisite(self, side_effect: SideEffect) -> Self {
        if let Self::Unauthorized { host, denied, .. } = self {
            return Self::Unauthorized { host, denied, side_effect };
        }
        Self::Prerequisite { source: Box::new(self), side_effect }
    }
}

/// What an error concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorScope {
    /// Perhaps only the requested object.
    Object,
    /// Jira as a whole.
    Jira,
}

/// The message, which depends on whether the request was sent.
fn no_answer(host: &str, why: &str, side_effect: SideEffect) -> String {
    match side_effect {
        SideEffect::None => format!("cannot reach Jira at {host}: {why}"),
        SideEffect::Unknown => format!("no answer from Jira at {host}: {why}"),
    }
}

/// The message: what was refused, and who refused it.
fn refused(host: &str, operation: Operation, status: u16, messages: &str, by: Origin) -> String {
    let said = format!("answered {status} to {}{}", operation.doing, colon(messages));
    match by {
        Origin::Jira => {
            let denial = Denial::from_message(messages).filter(|_| status == 403);
            let advice = denial.map_or(String::new(), |denial| format!("; {}", denial.advice()));
            format!("Jira at {host} {said}{advice}")
        }
        Origin::Intermediary => {
            format!("{host} {said}; Jira does not answer like this, so a proxy or firewall may be in the way")
        }
    }
}

fn colon(messages: &str) -> String {
    if messages.is_empty() { String::new() } else { format!(": {messages}") }
}

fn suggestions(candidates: &[Suggestion]) -> String {
    let names: Vec<String> = candidates.iter().map(Suggestion::to_string).collect();
    if names.is_empty() { String::new() } else { format!("; choose from: {}", names.join(", ")) }
}

#[cfg(test)]
mod tests;
