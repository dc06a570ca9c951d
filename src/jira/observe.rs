//! What the metrics record of each request.

use std::{fmt, sync::Arc, time::Duration};

use super::error::{Error, SideEffect};

/// One request, for the metrics.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The operation: one of a fixed set of names.
    pub operation: &'static str,
    /// Its outcome.
    pub outcome: RequestOutcome,
    /// From sending to the last byte.
    pub took: Duration,
    /// How long it waited for the rate limit, plus the pause that its answer added for all requests.
    pub throttled: Duration,
}

/// The outcome of a request. Displays as a metric's label: the status, or a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// Jira answered with this HTTP status.
    Answered(u16),
    /// It was never sent.
    Unreachable,
    /// It was sent, and no complete and readable answer arrived.
    NoAnswer,
}

impl RequestOutcome {
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::Broken { status, .. } | Error::Refused { status, .. } => Self::Answered(*status),
            Error::Throttled { .. } => Self::Answered(429),
            Error::Redirected { status, .. } => Self::Answered(*status),
            Error::Token | Error::NoAccessToken { .. } | Error::NotSent { .. } | Error::NotFound { .. } => {
                Self::Unreachable
            }
            Error::NoAnswer { side_effect: SideEffect::None, .. } => Self::Unreachable,
            Error::NoAnswer { side_effect: SideEffect::Unknown, .. }
            | Error::Unauthorized { .. }
            | Error::Unreadable { .. }
            | Error::Prerequisite { .. } => Self::NoAnswer,
        }
    }
}

impl fmt::Display for RequestOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(status) => status.fmt(f),
            Self::Unreachable => f.write_str("unreachable"),
            Self::NoAnswer => f.write_str("no_answer"),
        }
    }
}

/// Called after each request.
pub type Observer = Arc<dyn Fn(&Observation) + Send + Sync>;

/// An observer that does nothing.
#[must_use]
pub fn unobserved() -> Observer {
    Arc::new(|_| {})
}
