//! The clock, and Jira's formats of a time.

use std::{fmt, sync::Arc, time::Duration};

use jiff::{
    Timestamp,
    tz::{Offset, TimeZone},
};

/// Milliseconds since 1970-01-01 UTC.
pub type EpochMillis = i64;

/// The clock of a [`super::FakeJira`]. Clones share the clock.
#[derive(Clone)]
pub struct TimeSource(Arc<dyn Fn() -> EpochMillis + Send + Sync>);

impl TimeSource {
    /// A clock that calls `now` each time it is read.
    #[must_use]
    pub fn new(now: impl Fn() -> EpochMillis + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(super) fn now(&self) -> EpochMillis {
        (self.0)()
    }
}

impl fmt::Debug for TimeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimeSource({})", self.now())
    }
}

/// The duration from `earlier` to `at`; zero if `at` is not later.
pub(super) fn since(at: EpochMillis, earlier: EpochMillis) -> Duration {
    Duration::from_millis(u64::try_from(at.saturating_sub(earlier)).unwrap_or(0))
}

/// A time in Jira's JSON: with milliseconds and the site's offset (two hours ahead of UTC), which has no colon.
pub(super) fn format_json(at: EpochMillis) -> String {
    let zone = TimeZone::fixed(Offset::constant(2));
    timestamp(at).to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%.3f%z").to_string()
}

/// A time in the `Date` header.
pub(super) fn http_date(at: EpochMillis) -> String {
    timestamp(at).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A time on the pages, in UTC.
pub(super) fn format_page(at: EpochMillis) -> String {
    timestamp(at).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn timestamp(at: EpochMillis) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH)
}
