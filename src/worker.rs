//! What the bridge does in Jira: it opens tickets, comments on them, and reads them.
//!
//! It has four parts, each with its own state: `outbox` performs commands, `poll` reads tickets, `late_moves` answers
//! moves of ended tickets, and `lookups` serves the other three. Each step is a function that returns, so that a test
//! can run it alone; [`Worker::run`] only loops and stops. One replica works at a time: the leader, which holds the
//! lease.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    select,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    gatekeeper::Gatekeeper,
    jira::Jira,
    lock::lock,
    metrics::Metrics,
    millis::Millis,
    notify::Notifier,
    store::{self, Downtime, LeaseOutcome},
};

mod context;
mod desk;
mod failures;
mod judge;
mod late_moves;
mod lease;
mod lookups;
mod new_token;
mod outbox;
mod poll;
mod poll_queue;
mod read_health;
mod site;
mod statuses;

pub use context::StepOutcome;
use context::{Context, TICK, max_concurrency};
use late_moves::LateMoves;
use lease::Lease;
use lookups::Lookups;
use outbox::Outbox;
use poll::Poll;
use poll_queue::PollQueue;

/// How often the times of Flagger's messages are written to the database, and silent rollouts are looked for.
const WRITE_BACK: Duration = Duration::from_secs(60);
/// How far the clocks of replicas may differ: no more than the time that a change may take to reach all replicas.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);
/// How often parked commands are retried, and audit rows older than `store.keep_for` are deleted.
const HOURLY: Duration = Duration::from_secs(3600);
/// A process that takes the lease over does that work at once, but not more often than this: two replicas may take the
/// lease from each other again and again.
const TAKEOVER_PAUSE: Duration = Duration::from_secs(60);

/// Performs commands and reads tickets.
pub struct Worker {
    context: Arc<Context>,
    outbox: Outbox,
    poll: Arc<Poll>,
    late_moves: LateMoves,
    housekeeping: Mutex<Housekeeping>,
}

/// When periodic work was last done. Losing it is harmless.
#[derive(Default)]
struct Housekeeping {
    /// Whether the clocks differed at the last comparison; then the log already says so.
    clocks_differ: bool,
    written_back: Millis,
    hourly: Millis,
    /// Whether the lease was taken over since the hourly work was done last: it is due again then, and tickets that could
    /// not be opened are tried at once.
    took_over: bool,
}

impl Worker {
    /// A worker that has not started.
    #[must_use]
    pub fn new(gatekeeper: Arc<Gatekeeper>, jira: Arc<Jira>, clock: Clock, metrics: Arc<Metrics>) -> Self {
        let side_by_side = max_concurrency(&gatekeeper.config().jira.client);
        let (lease, trouble) = (Lease::new(clock.clone()), Mutex::default());
        let config = gatekeeper.config();
        let notifier = Notifier::new(config.notify.clone(), config.jira.client.ca_file.clone());
        let context = Arc::new(Context {
            gatekeeper,
            jira,
            clock,
            metrics,
            notifier,
            max_concurrency: side_by_side,
            lease,
            logged_store_error: trouble,
        });
        let lookups = Arc::new(Lookups::new(Arc::clone(&context)));
        let queue = Arc::new(PollQueue::new(Arc::clone(&context)));
        let outbox = Outbox::new(Arc::clone(&context), Arc::clone(&lookups), Arc::clone(&queue));
        let poll = Arc::new(Poll::new(Arc::clone(&context), lookups, queue));
        let late_moves = LateMoves::new(Arc::clone(&context), Arc::clone(&poll));
        Self { context, outbox, poll, late_moves, housekeeping: Mutex::default() }
    }

    /// Performs the command that has been due longest.
    ///
    /// # Errors
    /// If the database fails. A retry finds what was already done in Jira.
    pub async fn work_once(&self) -> Result<StepOutcome, store::Error> {
        self.outbox.work_once().await
    }

    /// Reads the tickets that webhooks reported as moved, ahead of all other requests to Jira.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn read_nudged(&self) -> Result<StepOutcome, store::Error> {
        self.poll.read_nudged().await
    }

    /// Reads the tickets that are due: often those that Flagger asks about, and occasionally all others.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn poll(&self) -> Result<StepOutcome, store::Error> {
        self.poll.read_due().await
    }

    /// Comments on a few of the tickets that were moved after their rollout had ended: the move opens nothing.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn answer_late_moves(&self) -> Result<StepOutcome, store::Error> {
        self.late_moves.answer().await
    }

    /// Ends the rollouts that are over as their Canaries say, and records what was promoted past the gates.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn read_canaries(&self) -> Result<StepOutcome, store::Error> {
        let Context { gatekeeper, clock, lease, .. } = &*self.context;
        if !lease.leads() {
            return Ok(StepOutcome::Standby);
        }
        gatekeeper.read_canaries(clock.now()).await?;
        gatekeeper.find_bypasses(clock.now()).await?;
        Ok(StepOutcome::Idle)
    }

    /// Finds out which Jira answers, and logs it if it is not the same one as before.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn recognise_site(&self) -> Result<StepOutcome, store::Error> {
        site::recognise(&self.context).await
    }

    /// Tries a token that has replaced one which Jira refused.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn try_new_token(&self) -> Result<StepOutcome, store::Error> {
        new_token::try_it(&self.context, &self.poll).await
    }

    /// Works until `stop`, then finishes the requests in progress, for at most `grace`. What is cut off is stored,
    /// and continues at the next start.
    pub async fn run(&self, stop: CancellationToken, grace: Duration) {
        let stepping = async {
            tokio::join!(
                self.outbox.run(&stop),
                self.run_loop(&stop, || self.read_nudged()),
                self.run_loop(&stop, || self.answer_late_moves()),
                self.run_loop(&stop, || self.poll()),
                self.run_loop(&stop, || self.read_canaries()),
                self.run_loop(&stop, || self.try_new_token()),
                site::recognise_loop(&self.context, &stop),
            )
        };
        let working = async {
            select! {
                _ = stepping => {}
                // Also while the last requests finish; otherwise another replica would start the same work.
                () = self.keep_lease_loop() => {}
            }
        };
        let grace_over = async {
            stop.cancelled().await;
            sleep(grace).await;
        };
        select! {
            () = working => {}
            () = grace_over => tracing::warn!("a request to Jira was cut off; it resumes at the next start"),
        }
        // Otherwise another replica would have to wait until the lease expires.
        if let Err(error) = self.context.lease.resign(self.context.store()).await {
            tracing::warn!(
                "{error}; the lease is not given back, and another replica works once it has ended"
            );
        }
    }

    /// Catches up with the other replicas, renews the lease, and does the periodic work that is due.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn keep_lease(&self, at_once: bool) -> Result<LeaseOutcome, store::Error> {
        let Context { gatekeeper, clock, metrics, lease, .. } = &*self.context;
        let (now, store) = (clock.now(), gatekeeper.store());
        store.catch_up().await?;
        store.caught_up(now);
        let lead = lease.take(store, at_once).await?;
        if lead == LeaseOutcome::TookOver {
            tracing::info!("this process now talks to Jira");
        }
        if lead == LeaseOutcome::Standby {
            gatekeeper.unread_tickets().forget();
            gatekeeper.retries().forget();
        }
        let write_back = WRITE_BACK.min(gatekeeper.config().rollout.idle_after / 4);
        let anew = lead == LeaseOutcome::TookOver || lead == LeaseOutcome::Regained;
        let (writes, hourly) = {
            let mut last = lock(&self.housekeeping);
            // A new leader looks for silent rollouts at once: the silence may have begun long before.
            let writes = anew || now.since(last.written_back) >= write_back;
            if lead == LeaseOutcome::TookOver {
                // If anything below fails, it is due again at the next tick. Not after each regained lease: it may be lost
                // and regained often, and what keeps failing must not be retried as often.
                last.took_over = true;
            }
            let pause = if last.took_over { TAKEOVER_PAUSE } else { HOURLY };
            let hourly = now.since(last.hourly) >= pause;
            (writes, hourly)
        };
        if writes {
            // The message times of the other replicas come first: a message that one of them received ends a silence.
            store.load_activity(Downtime::None).await?;
            store.write_back().await?;
        }
        self.compare_clocks();
        if lead != LeaseOutcome::Standby && writes {
            gatekeeper.time_passed(now).await?;
        }
        if lead != LeaseOutcome::Standby && hourly {
            store.unpark(now).await?;
            let took_over = lock(&self.housekeeping).took_over;
            if took_over {
                // The reason why a ticket could not be opened may be gone since this process started.
                store.retry_openings(now).await?;
            }
            if let Some(keep_for) = gatekeeper.config().store.keep_for {
                store.prune_audit(now - keep_for).await?;
            }
            {
                let mut last = lock(&self.housekeeping);
                (last.hourly, last.took_over) = (now, false);
            }
            gatekeeper.retries().set_parked_retry(now + HOURLY);
        }
        if writes {
            lock(&self.housekeeping).written_back = now;
        }
        let backlog = store.backlog().await?;
        metrics.set_outbox("pending", backlog.pending);
        metrics.set_outbox("parked", backlog.parked);
        metrics.set_outbox("events", backlog.events);
        metrics.outbox_oldest(backlog.oldest.map_or(Duration::ZERO, |at| now.since(at)));
        Ok(lead)
    }

    /// Logs once that the clocks differ, until they agree again.
    fn compare_clocks(&self) {
        // The clock is read last: `newest` may have been written a moment ago, by a database that answers slowly.
        let newest = self.context.store().newest_time();
        let ahead = newest.since(self.context.clock.now());
        let differ = ahead > CLOCK_TOLERANCE;
        let was_logged = std::mem::replace(&mut lock(&self.housekeeping).clocks_differ, differ);
        if differ && !was_logged {
            tracing::warn!(
                "times in the database are {} s ahead of this machine's clock: let NTP set the clock of every machine that \
                 runs the bridge; a replica whose clock is ahead takes the lease of one that works",
                ahead.as_secs()
            );
        }
    }

    async fn keep_lease_loop(&self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.keep_lease(false).await {
                Ok(_) => self.context.clear_store_error(),
                Err(error) => {
                    self.context.lease.invalidate();
                    self.context.log_store_error(&error);
                }
            }
        }
    }

    /// Runs steps while there is work; then waits for a notification, or a tick.
    async fn run_loop<F>(&self, stop: &CancellationToken, step: impl Fn() -> F)
    where
        F: Future<Output = Result<StepOutcome, store::Error>>,
    {
        let mut news = self.context.gatekeeper.work();
        while !stop.is_cancelled() {
            news.mark_unchanged();
            match step().await {
                Ok(StepOutcome::Done | StepOutcome::Read { .. }) => continue,
                Ok(StepOutcome::Parked { why } | StepOutcome::Later { why }) => {
                    tracing::debug!(why, "this is tried again later");
                    continue;
                }
                Ok(StepOutcome::Idle | StepOutcome::Standby) => {}
                Err(error) => {
                    self.context.log_store_error(&error);
                    // Notifications would make this a busy loop while the database is down.
                    select! {
                        () = stop.cancelled() => return,
                        () = sleep(TICK) => continue,
                    }
                }
            }
            let tick = Instant::now() + TICK;
            select! {
                () = stop.cancelled() => return,
                // The sender lives as long as the gatekeeper, which `self` holds.
                _ = news.changed() => {}
                () = sleep_until(tick) => {}
            }
        }
    }
}
