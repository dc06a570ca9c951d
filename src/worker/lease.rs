//! The lease as this process knows it: what it was told by the database, and how long ago.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    clock::{Clock, Stopwatch},
    store::{LEASE, Lead},
};

/// For how long it is believed, without asking the database again, that the lease is ours: it is renewed before less than
/// this is left of it.
const BELIEVED: Duration = Duration::from_secs(LEASE.as_secs() * 2 / 3);

/// Whether this process works. Clones are the same lease.
#[derive(Clone)]
pub(super) struct Lease {
    clock: Clock,
    held: Arc<Mutex<Held>>,
}

struct Held {
    leads: bool,
    /// How often the lease was taken from another. What began in an earlier term may have been done by that one.
    term: u64,
    confirmed: Stopwatch,
}

/// A time without interruption in which this process holds the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Term(u64);

impl Lease {
    pub(super) fn new(clock: Clock) -> Self {
        let held = Held { leads: false, term: 0, confirmed: clock.stopwatch() };
        Self { clock, held: Arc::new(Mutex::new(held)) }
    }

    /// The database said so; it was asked when `asked` was started.
    pub(super) fn learn(&self, lead: Lead, asked: Stopwatch) {
        let mut held = self.held();
        held.leads = lead != Lead::Follows;
        held.term += u64::from(lead == Lead::TookOver);
        if held.leads {
            held.confirmed = asked;
        }
    }

    /// The database did not answer.
    pub(super) fn doubt(&self) {
        self.held().leads = false;
    }

    /// Whether this process worked when it last asked.
    pub(super) fn leads(&self) -> bool {
        self.held().leads
    }

    pub(super) fn term(&self) -> Term {
        Term(self.held().term)
    }

    /// Whether the lease is certainly still the one of this term.
    pub(super) fn holds(&self, term: Term) -> bool {
        let held = self.held();
        held.leads && held.term == term.0 && held.confirmed.elapsed() < BELIEVED
    }

    /// Starts measuring; before the database is asked.
    pub(super) fn asks(&self) -> Stopwatch {
        self.clock.stopwatch()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
