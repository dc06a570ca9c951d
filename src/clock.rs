//! The only place that reads the time of day.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

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
