//! The lease as this process knows it: the database's last answer, and how long ago it came.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    clock::{Clock, Stopwatch},
    lock::lock,
    store::{self, LEASE, LeaseOutcome, Store, WriteTx},
};

/// How long this process relies on the lease without asking the database again: at each confirmation at least this
/// much of it is left.
const CONFIRMED_FOR: Duration = Duration::from_secs(LEASE.as_secs() * 2 / 3);

/// Whether this process is the leader. Clones share one state.
#[derive(Clone)]
pub(super) struct Lease {
    /// The name of this process in the database.
    replica: Arc<str>,
    clock: Clock,
    held: Arc<Mutex<LeaseState>>,
}

struct LeaseState {
    leads: bool,
    /// How often this process took the lease over. What began in an earlier term may have been done by another
    /// replica.
    term: u64,
    confirmed: Stopwatch,
}

/// A period in which this process holds the lease without interruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Term(u64);

impl Lease {
    pub(super) fn new(clock: Clock) -> Self {
        let replica = format!("{:032x}", rand::random::<u128>()).into();
        let held = LeaseState { leads: false, term: 0, confirmed: clock.stopwatch() };
        Self { replica, clock, held: Arc::new(Mutex::new(held)) }
    }

    /// Takes or renews the lease; with `at_once` even from a process that is certainly gone.
    pub(super) async fn take(&self, store: &Store, at_once: bool) -> Result<LeaseOutcome, store::Error> {
        let (now, asked) = (self.clock.now(), self.clock.stopwatch());
        let lead = store.lead(&self.replica, now, at_once).await?;
        self.update(lead, asked);
        Ok(lead)
    }

    /// A write transaction, if this replica is the leader. `None` if another one is, or was meanwhile: the next tick
    /// finds out.
    pub(super) async fn begin_write(&self, store: &Store) -> Result<Option<WriteTx>, store::Error> {
        let (now, asked) = (self.clock.now(), self.clock.stopwatch());
        let mut tx = store.begin_write().await?;
        let lead = tx.lead(&self.replica, now, false).await?;
        Ok(match lead {
            LeaseOutcome::Holds | LeaseOutcome::Regained => {
                self.update(lead, asked);
                Some(tx)
            }
            LeaseOutcome::TookOver | LeaseOutcome::Standby => None,
        })
    }

    /// Releases the lease, so that another replica need not wait until it expires.
    pub(super) async fn resign(&self, store: &Store) -> Result<(), store::Error> {
        store.resign(&self.replica, self.clock.now()).await
    }

    /// Stores the database's answer; the request was sent when `asked` was started.
    fn update(&self, lead: LeaseOutcome, asked: Stopwatch) {
        let mut held = lock(&self.held);
        held.leads = lead != LeaseOutcome::Standby;
        held.term += u64::from(lead == LeaseOutcome::TookOver);
        if held.leads {
            held.confirmed = asked;
        }
    }

    /// Stops relying on the lease until the database confirms it again.
    pub(super) fn invalidate(&self) {
        lock(&self.held).leads = false;
    }

    /// Whether this process was the leader when it last asked.
    pub(super) fn leads(&self) -> bool {
        lock(&self.held).leads
    }

    pub(super) fn term(&self) -> Term {
        Term(lock(&self.held).term)
    }

    /// Whether this process certainly still holds the lease of this term.
    pub(super) fn holds(&self, term: Term) -> bool {
        let held = lock(&self.held);
        held.leads && held.term == term.0 && held.confirmed.elapsed() < CONFIRMED_FOR
    }
}
