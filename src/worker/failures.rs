//! How long to back off after failures.

use std::time::Duration;

use crate::{
    jira::{self, Retry, retry},
    millis::Millis,
};

/// How often something failed in a row, and until when it is not retried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Failures {
    pub(super) count: u32,
    pub(super) until: Millis,
}

impl Failures {
    pub(super) const fn has_failed(self) -> bool {
        self.count > 0
    }

    pub(super) fn is_backing_off(self, now: Millis) -> bool {
        now < self.until
    }

    /// Records a failure, and backs off for at most `longest`, unless Jira demands more. Returns whether it worked
    /// before.
    pub(super) fn record(&mut self, error: &jira::Error, now: Millis, longest: Duration) -> bool {
        self.record_until(now + delay(error, self.count, longest))
    }

    /// Records a failure. The first retry comes with the next cycle; after that the delay doubles each time, up to
    /// `longest`.
    pub(super) fn record_with_delay(&mut self, cycle: Duration, now: Millis, longest: Duration) {
        let wait = cycle.saturating_mul((1_u32 << self.count.min(16)) - 1).min(longest);
        self.record_until(now + wait);
    }

    fn record_until(&mut self, until: Millis) -> bool {
        let worked = !self.has_failed();
        *self = Self { count: self.count.saturating_add(1), until };
        worked
    }
}

/// How long to wait after this error and that many earlier ones in a row: at most `longest`, unless Jira demands
/// more.
pub(super) fn delay(error: &jira::Error, failures: u32, longest: Duration) -> Duration {
    let spread = rand::random::<f64>();
    match error.retry() {
        Retry::NotBefore(wait) => retry::delay(0, Some(wait), spread),
        Retry::Now | Retry::Backoff | Retry::Never => retry::delay(failures, None, spread).min(longest),
    }
}
