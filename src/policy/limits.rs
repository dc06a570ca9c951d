//! PURE: how long a decision may take, and when people are reminded of it.

use std::time::Duration;

/// `approval.decide_within`, `approval.on_timeout` and `approval.remind_after`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeLimits {
    /// From Flagger's first question to the decision. None: there is no limit.
    pub decide_within: Option<Duration>,
    /// What happens after that.
    pub on_timeout: OnTimeout,
    /// After so long a comment reminds people of a ticket that waits; each once.
    pub remind_after: Vec<Duration>,
}

/// What happens to a gate that nobody decided in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTimeout {
    /// It waits on, and says so.
    #[default]
    Wait,
    /// It is rejected.
    Reject,
}

impl OnTimeout {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Wait, Self::Reject];

    /// Its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Reject => "reject",
        }
    }
}

impl TimeLimits {
    /// After so long without an approval a gate is rejected; none if it never is.
    #[must_use]
    pub const fn reject_after(&self) -> Option<Duration> {
        match self.on_timeout {
            OnTimeout::Reject => self.decide_within,
            OnTimeout::Wait => None,
        }
    }

    /// The first of them that passes; none if there are none.
    #[must_use]
    pub fn first(&self) -> Option<Duration> {
        self.remind_after.iter().copied().chain(self.decide_within).min()
    }

    /// Whether there is nothing to do for them.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.decide_within.is_none() && self.remind_after.is_empty()
    }
}
