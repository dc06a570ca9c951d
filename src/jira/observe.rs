//! What is told of each request, for the metrics.

use std::{fmt, sync::Arc, time::Duration};

use super::error::{Error, SideEffect};

/// One request, for the metrics.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What it was for: one of a closed set of words.
    pub operation: &'static str,
    /// How it went.
    pub outcome: RequestOutcome,
    /// From sending to the last byte.
    pub took: Duration,
    /// How long it had waited for its turn, and for how long Jira then made all wait.
    pub throttled: Duration,
}

/// How a request went. Displays as a metric's label: the status, or a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// With this HTTP status.
    Answered(u16),
    /// It was never sent.
    Unreachable,
    /// It was sent, and no whole answer came that could be read.
    NoAnswer,
}

impl RequestOutcome {
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::Broken { status, .. } | Error::Refused { status, .. } => Self::Answered(*status),
            Error::Throttled { .. } => Self::Answered(429),
            Error::Redirected { status, .. } => Self::Answered(*status),
            Error::Token | Error::NotSent { .. } | Error::NotFound { .. } => Self::Unreachable,
            Error::NoAnswer { happened: SideEffect::None, .. } => Self::Unreachable,
            Error::NoAnswer { happened: SideEffect::Unknown, .. }
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

/// Told of each request.
pub type Observer = Arc<dyn Fn(&Observation) + Send + Sync>;

/// An observer that lets everything pass unseen.
#[must_use]
pub fn unobserved() -> Observer {
    Arc::new(|_| {})
}
