//! What every room of the worker works with, and what each step says that it did.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{lease::Lease, lock::lock};
use crate::{
    clock::Clock,
    config::Config,
    gatekeeper::{Gatekeeper, clock_time},
    jira::{self, Jira, Retry},
    metrics::Metrics,
    store::{self, AttemptOutcome, Store, WriteTx},
};

/// How often the loops look for work that was not announced.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// A Jira that takes so many seconds for a request is still asked as often as the budget allows.
const ANSWERED_WITHIN: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);
/// So many commands are performed side by side at least: one that is stuck holds up no other, however small the budget.
const LEAST_SIDE_BY_SIDE: usize = 4;
/// And no more than these, however large.
const MOST_SIDE_BY_SIDE: usize = 32;

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum CycleOutcome {
    /// There was nothing to do.
    Idle,
    /// Another replica works.
    Standby,
    /// A command was performed, or there was nothing to do for it any more.
    Done,
    /// It did not work and is tried again.
    Postponed {
        /// Why.
        why: String,
    },
    /// It did not work, and waits until the cause is mended.
    Parked {
        /// Why.
        why: String,
    },
    /// Tickets were looked at.
    Read {
        /// How many.
        tickets: usize,
        /// How many of them had changed.
        changed: usize,
    },
}

impl CycleOutcome {
    /// What it is called that a command was settled so.
    pub(super) fn of(how: &AttemptOutcome) -> Self {
        match how {
            AttemptOutcome::Done => Self::Done,
            AttemptOutcome::Retry { why, .. } => Self::Postponed { why: why.clone() },
            AttemptOutcome::Parked { why, .. } => Self::Parked { why: why.clone() },
        }
    }
}

/// The two sides between which the worker stands, its settings, and its lease.
pub(super) struct Context {
    pub(super) gatekeeper: Arc<Gatekeeper>,
    pub(super) jira: Arc<Jira>,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    /// How many commands are performed at the same time, at most.
    pub(super) side_by_side: usize,
    pub(super) lease: Lease,
    /// What is wrong with the database, as the log was told.
    pub(super) trouble: Mutex<Option<String>>,
}

/// How many commands are performed at the same time: as many as the bridge may send within `ANSWERED_WITHIN`, because
/// Jira may take that long for each.
pub(super) fn side_by_side(jira::Settings { requests_per_second, burst, .. }: &jira::Settings) -> usize {
    let sent = requests_per_second.saturating_mul(ANSWERED_WITHIN).max(*burst).get();
    usize::try_from(sent).map_or(MOST_SIDE_BY_SIDE, |sent| sent.clamp(LEAST_SIDE_BY_SIDE, MOST_SIDE_BY_SIDE))
}

impl Context {
    pub(super) fn config(&self) -> &Config {
        self.gatekeeper.config()
    }

    pub(super) fn store(&self) -> &Store {
        self.gatekeeper.store()
    }

    /// How often tickets are read that Flagger does not ask about, and those that died lately.
    pub(super) fn slow_cycle(&self) -> Duration {
        self.config().jira.trust_for / 3
    }

    /// A turn in which this replica works; `None` if another does.
    pub(super) async fn begin_if_leading(&self) -> Result<Option<WriteTx>, store::Error> {
        self.lease.begin_write(self.store()).await
    }

    /// An error in words, with the time until which nothing is sent, if Jira named one.
    pub(super) fn explain(&self, error: &jira::Error) -> String {
        match error.retry() {
            Retry::NotBefore(wait) => {
                format!("{error}; nothing is sent before {}", clock_time(self.clock.now() + wait))
            }
            Retry::Now | Retry::Backoff | Retry::Never => error.to_string(),
        }
    }

    /// Says what is wrong with the database, once until it is well again.
    pub(super) fn log_trouble(&self, error: &store::Error) {
        let words = error.to_string();
        let told = lock(&self.trouble).replace(words.clone());
        if told.as_ref() != Some(&words) {
            tracing::error!("{words}; nothing is done in Jira until this works again");
        }
    }

    /// The database is well.
    pub(super) fn log_recovery(&self) {
        *lock(&self.trouble) = None;
    }
}
