//! The only place that reads the time of day.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::millis::{Millis, whole};

/// Where `now` comes from: the system, or a test's own hand.
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
            #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
            Self::System => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Millis(whole(since))
            }
            Self::Manual(at) => Millis(at.load(Ordering::SeqCst)),
        }
    }

    /// Measures from now on.
    #[must_use]
    pub fn stopwatch(&self) -> Stopwatch {
        Stopwatch { clock: self.clone(), began: self.now(), instant: Instant::now() }
    }

    /// Moves a manual clock forward; the system's cannot be moved.
    pub fn advance(&self, by: Duration) {
        match self {
            Self::System => {}
            Self::Manual(at) => {
                at.fetch_add(whole(by), Ordering::SeqCst);
            }
        }
    }
}

/// Measures for how long something holds that must not hold longer than it should.
#[derive(Clone, Debug)]
pub struct Stopwatch {
    clock: Clock,
    began: Millis,
    instant: Instant,
}

impl Stopwatch {
    /// How long ago it was started. The time of day may be set back, and the other clock stands still while a machine
    /// sleeps: what more has passed by counts.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let by_day = self.clock.now().since(self.began);
        match &self.clock {
            Clock::System => by_day.max(self.instant.elapsed()),
            Clock::Manual(_) => by_day,
        }
    }
}
