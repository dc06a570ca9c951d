//! The only place that reads the time of day.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::millis::{Millis, as_millis_i64};

/// Where `now` comes from: the system, or a clock that a test moves.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system's time of day.
    System,
    /// Stands still until [`Clock::advance`] moves it.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn manual(start: Millis) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.0)))
    }

    /// The time of day.
    #[must_use]
    pub fn now(&self) -> Millis {
        match self {
            #[expect(clippy::disallowed_methods, reason = "the only place that may")]
            Self::System => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Millis(as_millis_i64(since))
            }
            Self::Manual(at) => Millis(at.load(Ordering::SeqCst)),
        }
    }

    /// Starts a stopwatch.
    #[must_use]
    pub fn stopwatch(&self) -> Stopwatch {
        Stopwatch { clock: self.clone(), began: self.now(), instant: Instant::now() }
    }

    /// Moves a manual clock forward; does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        match self {
            Self::System => {}
            Self::Manual(at) => {
                at.fetch_add(as_millis_i64(by), Ordering::SeqCst);
            }
        }
    }
}

/// Measures elapsed time, for limits that setting the clock back must not extend.
#[derive(Clone, Debug)]
pub struct Stopwatch {
    clock: Clock,
    began: Millis,
    instant: Instant,
}

impl Stopwatch {
    /// The time since it was started: the longer of two measurements, because the time of day may be set back, and the
    /// monotonic clock stands still while a machine sleeps.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let by_day = self.clock.now().since(self.began);
        match &self.clock {
            Clock::System => by_day.max(self.instant.elapsed()),
            Clock::Manual(_) => by_day,
        }
    }
}
