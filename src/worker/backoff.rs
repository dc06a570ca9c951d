//! How long something that failed is left alone.

use std::time::Duration;

use crate::{
    jira::{self, Retry, retry},
    millis::Millis,
};

/// How often something failed in a row, and until when it is not tried again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Backoff {
    failures: u32,
    until: Millis,
}

impl Backoff {
    pub(super) const fn failures(self) -> u32 {
        self.failures
    }

    pub(super) const fn has_failed(self) -> bool {
        self.failures > 0
    }

    /// When it may be tried again.
    pub(super) const fn until(self) -> Millis {
        self.until
    }

    pub(super) fn rests(self, now: Millis) -> bool {
        now < self.until
    }

    /// After one failure more: it rests for `longest` at most, unless Jira demands more.
    pub(super) fn after(self, error: &jira::Error, now: Millis, longest: Duration) -> Self {
        let spread = rand::random::<f64>();
        let wait = match error.retry() {
            Retry::NotBefore(wait) => retry::delay(0, Some(wait), spread),
            Retry::Now | Retry::Backoff | Retry::Never => {
                retry::delay(self.failures, None, spread).min(longest)
            }
        };
        self.failed_again(now + wait)
    }

    /// Notes one failure more, as [`Self::after`]. Returns whether it is the first in a row.
    pub(super) fn fails(&mut self, error: &jira::Error, now: Millis, longest: Duration) -> bool {
        let is_first = !self.has_failed();
        *self = self.after(error, now, longest);
        is_first
    }

    /// After one failure more of what is tried once per `cycle`: the first time it does not rest, then for twice as long
    /// each time.
    pub(super) fn doubled(self, cycle: Duration, now: Millis, longest: Duration) -> Self {
        let wait = cycle.saturating_mul((1_u32 << self.failures.min(16)) - 1).min(longest);
        self.failed_again(now + wait)
    }

    const fn failed_again(self, until: Millis) -> Self {
        Self { failures: self.failures.saturating_add(1), until }
    }
}
