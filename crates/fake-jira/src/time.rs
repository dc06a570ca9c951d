//! Points in time, where they come from, and how Jira writes them.

use std::{fmt, sync::Arc, time::Duration};

use jiff::{
    Timestamp,
    tz::{Offset, TimeZone},
};

/// Milliseconds since 1970-01-01 UTC.
pub type EpochMillis = i64;

/// The time of day of a [`super::FakeJira`]. Clones tell the same time.
#[derive(Clone)]
pub struct TimeSource(Arc<dyn Fn() -> EpochMillis + Send + Sync>);

impl TimeSource {
    /// Calls `now` whenever the time is needed.
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

/// How long after `earlier` this is; zero if it is not after it.
pub(super) fn since(at: EpochMillis, earlier: EpochMillis) -> Duration {
    Duration::from_millis(u64::try_from(at.saturating_sub(earlier)).unwrap_or(0))
}

/// A time as Jira's JSON has it: milliseconds, the site's offset (two hours ahead of UTC), no colon in it.
pub(super) fn json(at: EpochMillis) -> String {
    let zone = TimeZone::fixed(Offset::constant(2));
    timestamp(at).to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%.3f%z").to_string()
}

/// A time as HTTP's `Date` header has it.
pub(super) fn http_date(at: EpochMillis) -> String {
    timestamp(at).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A time as the pages show it: in UTC.
pub(super) fn page(at: EpochMillis) -> String {
    timestamp(at).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn timestamp(at: EpochMillis) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH)
}
