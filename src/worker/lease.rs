//! The lease as this process knows it: what it was told by the database, and how long ago.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::lock::lock;
use crate::{
    clock::{Clock, Stopwatch},
    store::{self, LEASE, Lead, Store, WriteTx},
};

/// For how long it is believed, without asking the database again, that the lease is ours: it is renewed before less than
/// this is left of it.
const BELIEVED: Duration = Duration::from_secs(LEASE.as_secs() * 2 / 3);

/// Whether this process works. Clones are the same lease.
#[derive(Clone)]
pub(super) struct Lease {
    /// The name that this process has in the database.
    replica: Arc<str>,
    clock: Clock,
    held: Arc<Mutex<LeaseState>>,
}

struct LeaseState {
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
        let replica = format!("{:032x}", rand::random::<u128>()).into();
        let held = LeaseState { leads: false, term: 0, confirmed: clock.stopwatch() };
        Self { replica, clock, held: Arc::new(Mutex::new(held)) }
    }

    /// Takes or renews it; `at_once` also from a process that is certainly gone.
    pub(super) async fn take(&self, store: &Store, at_once: bool) -> Result<Lead, store::Error> {
        let (now, asked) = (self.clock.now(), self.clock.stopwatch());
        let lead = store.lead(&self.replica, now, at_once).await?;
        self.update(lead, asked);
        Ok(lead)
    }

    /// A turn in which this replica works; `None` if another does, or did meanwhile: then the next tick tells.
    pub(super) async fn begin_write(&self, store: &Store) -> Result<Option<WriteTx>, store::Error> {
        let (now, asked) = (self.clock.now(), self.clock.stopwatch());
        let mut tx = store.begin_write().await?;
        let lead = tx.lead(&self.replica, now, false).await?;
        Ok(match lead {
            Lead::Holds | Lead::Again => {
                self.update(lead, asked);
                Some(tx)
            }
            Lead::TookOver | Lead::Standby => None,
        })
    }

    /// Gives it back, so that another replica need not wait for its end.
    pub(super) async fn resign(&self, store: &Store) -> Result<(), store::Error> {
        store.resign(&self.replica, self.clock.now()).await
    }

    /// The database said so; it was asked when `asked` was started.
    fn update(&self, lead: Lead, asked: Stopwatch) {
        let mut held = lock(&self.held);
        held.leads = lead != Lead::Standby;
        held.term += u64::from(lead == Lead::TookOver);
        if held.leads {
            held.confirmed = asked;
        }
    }

    /// The database did not answer.
    pub(super) fn invalidate(&self) {
        lock(&self.held).leads = false;
    }

    /// Whether this process worked when it last asked.
    pub(super) fn leads(&self) -> bool {
        lock(&self.held).leads
    }

    pub(super) fn term(&self) -> Term {
        Term(lock(&self.held).term)
    }

    /// Whether the lease is certainly still the one of this term.
    pub(super) fn holds(&self, term: Term) -> bool {
        let held = lock(&self.held);
        held.leads && held.term == term.0 && held.confirmed.elapsed() < BELIEVED
    }
}
