//! What all parts of the worker use, and what each step returns.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::lease::Lease;
use crate::{
    clock::Clock,
    config::Config,
    gatekeeper::Gatekeeper,
    jira::{self, Jira, Retry, retry},
    lock::lock,
    metrics::Metrics,
    millis::{Millis, clock_time},
    notify::Notifier,
    store::{self, AttemptOutcome, Store, WriteTx},
};

/// How often the loops look for work without a notification.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// In seconds: even a Jira that takes this long for each request gets as many as the rate limit allows.
const ANSWERED_WITHIN: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);
/// The least number of concurrent commands: even with a small rate limit, one slow command must not delay all others.
const MIN_CONCURRENCY: usize = 4;
/// The largest number, whatever the rate limit.
const MAX_CONCURRENCY: usize = 32;

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum StepOutcome {
    /// There was nothing to do.
    Idle,
    /// Another replica is the leader.
    Standby,
    /// A command was performed, or there was nothing to do for it any more.
    Done,
    /// The step failed, or it was too early for it; it is repeated.
    Later {
        /// Why.
        why: String,
    },
    /// The step failed, and its command waits until the cause is fixed.
    Parked {
        /// Why.
        why: String,
    },
    /// Tickets were read.
    Read {
        /// How many.
        tickets: usize,
        /// How many of them had changed.
        changed: usize,
    },
}

impl StepOutcome {
    /// The outcome of a step that settled a command in this way.
    pub(super) fn of(how: &AttemptOutcome) -> Self {
        match how {
            AttemptOutcome::Done => Self::Done,
            AttemptOutcome::Later { why, .. } | AttemptOutcome::Retry { why, .. } => {
                Self::Later { why: why.clone() }
            }
            AttemptOutcome::Parked { why, .. } => Self::Parked { why: why.clone() },
        }
    }
}

/// What all parts of the worker share.
pub(super) struct Context {
    pub(super) gatekeeper: Arc<Gatekeeper>,
    pub(super) jira: Arc<Jira>,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    /// Sends messages to channels.
    pub(super) notifier: Notifier,
    /// How many commands run concurrently, at most.
    pub(super) max_concurrency: usize,
    pub(super) lease: Lease,
    /// The database error that was logged last, until the database works again.
    pub(super) logged_store_error: Mutex<Option<String>>,
}

/// How many commands run concurrently: as many as the bridge may send within `ANSWERED_WITHIN`, because Jira may take
/// that long for each.
pub(super) fn max_concurrency(jira::Settings { requests_per_second, burst, .. }: &jira::Settings) -> usize {
    let sent = requests_per_second.saturating_mul(ANSWERED_WITHIN).max(*burst).get();
    usize::try_from(sent).map_or(MAX_CONCURRENCY, |sent| sent.clamp(MIN_CONCURRENCY, MAX_CONCURRENCY))
}

impl Context {
    pub(super) fn config(&self) -> &Config {
        self.gatekeeper.config()
    }

    pub(super) fn store(&self) -> &Store {
        self.gatekeeper.store()
    }

    /// How often tickets are read that Flagger does not ask about, or that ended recently.
    pub(super) fn slow_cycle(&self) -> Duration {
        self.config().jira.trust_for / 3
    }

    /// When to retry after this many failed attempts.
    pub(super) fn retry_at(&self, attempts: u32) -> Millis {
        self.clock.now() + retry::delay(attempts, None, rand::random::<f64>())
    }

    /// A write transaction, if this replica is the leader; otherwise `None`.
    pub(super) async fn begin_if_leading(&self) -> Result<Option<WriteTx>, store::Error> {
        self.lease.begin_write(self.store()).await
    }

    /// The error as text, with the time before which nothing is sent, if Jira named one.
    pub(super) fn explain(&self, error: &jira::Error) -> String {
        match error.retry() {
            Retry::NotBefore(wait) => {
                format!("{error}; nothing is sent before {}", clock_time(self.clock.now() + wait))
            }
            Retry::Now | Retry::Backoff | Retry::Never => error.to_string(),
        }
    }

    /// Logs a database error, once until the database works again.
    pub(super) fn log_store_error(&self, error: &store::Error) {
        let words = error.to_string();
        let logged = lock(&self.logged_store_error).replace(words.clone());
        if logged.as_ref() != Some(&words) {
            tracing::error!("{words}; the bridge does nothing in Jira until this works again");
        }
    }

    /// Records that the database works.
    pub(super) fn clear_store_error(&self) {
        *lock(&self.logged_store_error) = None;
    }
}
