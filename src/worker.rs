//! What the bridge does in Jira: open tickets, tell them things, and read them.
//!
//! Four rooms do it, each with its own state: the outbox performs commands, polling reads tickets, late moves are answered,
//! and look-ups serve them all. Each step is a function that returns, so that a test can take it alone; [`Worker::run`]
//! only loops and stops. One replica works at a time: the holder of the lease.

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
    metrics::Metrics,
    millis::Millis,
    store::{self, Downtime, Lead},
};

mod context;
mod failures;
mod judge;
mod late_moves;
mod lease;
mod lock;
mod lookups;
mod outbox;
mod poll;
mod poll_queue;
mod read_health;
mod site;
mod statuses;

use context::{Context, TICK, side_by_side};
pub use context::CycleOutcome;
use late_moves::LateMoves;
use lease::Lease;
use lock::lock;
use lookups::Lookups;
use outbox::Outbox;
use poll::Poll;
use poll_queue::PollQueue;

/// How often what was heard is written back, and silence is looked for.
const WRITE_BACK: Duration = Duration::from_secs(60);
/// By how much the clocks of replicas may differ: no more than a change may take to show on all.
const CLOCKS_AGREE: Duration = Duration::from_secs(2);
/// How often parked commands are tried again, and what is too old to be kept is dropped.
const HOURLY: Duration = Duration::from_secs(3600);

/// Performs commands and reads tickets.
pub struct Worker {
    context: Arc<Context>,
    outbox: Outbox,
    poll: Arc<Poll>,
    late_moves: LateMoves,
    housekeeping: Mutex<Housekeeping>,
}

/// What is done by the clock. All of it may be lost.
#[derive(Default)]
struct Housekeeping {
    /// Whether the clocks of the replicas differ, as the log was told.
    clocks_differ: bool,
    written_back: Millis,
    hourly: Millis,
}

impl Worker {
    /// A worker that has not begun.
    #[must_use]
    pub fn new(
        gatekeeper: Arc<Gatekeeper>,
        jira: Arc<Jira>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Self {
        let side_by_side = side_by_side(&gatekeeper.config().jira.client);
        let (lease, trouble) = (Lease::new(clock.clone()), Mutex::default());
        let context = Arc::new(Context { gatekeeper, jira, clock, metrics, side_by_side, lease, trouble });
        let lookups = Arc::new(Lookups::new(Arc::clone(&context)));
        let queue = Arc::new(PollQueue::new(Arc::clone(&context)));
        let outbox = Outbox::new(Arc::clone(&context), Arc::clone(&lookups), Arc::clone(&queue));
        let poll = Arc::new(Poll::new(Arc::clone(&context), lookups, queue));
        let late_moves = LateMoves::new(Arc::clone(&context), Arc::clone(&poll));
        Self { context, outbox, poll, late_moves, housekeeping: Mutex::default() }
    }

    /// Performs the command that is due longest.
    ///
    /// # Errors
    /// If the database fails. What was done in Jira meanwhile is found again.
    pub async fn work_once(&self) -> Result<CycleOutcome, store::Error> {
        self.outbox.work_once().await
    }

    /// Reads the tickets that were moved, as their webhooks say, ahead of all else that waits for Jira.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn read_nudged(&self) -> Result<CycleOutcome, store::Error> {
        self.poll.read_nudged().await
    }

    /// Reads the tickets that are due: those Flagger asks about, and now and then all others.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn poll(&self) -> Result<CycleOutcome, store::Error> {
        self.poll.read_due().await
    }

    /// Tells a few of the tickets that were moved although their rollout is over that they open nothing.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn answer_late_moves(&self) -> Result<CycleOutcome, store::Error> {
        self.late_moves.answer().await
    }

    /// Finds out which Jira answers, and says if it is another than before.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn recognise_site(&self) -> Result<CycleOutcome, store::Error> {
        site::recognise(&self.context).await
    }

    /// Works until `stop`, then finishes what is in hand, if that takes no longer than `grace`. Whatever is cut off
    /// then is a row, and goes on at the next start.
    pub async fn run(&self, stop: CancellationToken, grace: Duration) {
        let stepping = async {
            tokio::join!(
                self.outbox.run(&stop),
                self.looping(&stop, || self.read_nudged()),
                self.looping(&stop, || self.answer_late_moves()),
                self.looping(&stop, || self.poll()),
                site::recognising(&self.context, &stop),
            )
        };
        let working = async {
            select! {
                _ = stepping => {}
                // Also while it finishes what is in hand, or another replica would begin the same.
                () = self.keeping() => {}
            }
        };
        let too_long = async {
            stop.cancelled().await;
            sleep(grace).await;
        };
        select! {
            () = working => {}
            () = too_long => tracing::warn!("a request to Jira was cut off; it goes on at the next start"),
        }
        // Another replica need not wait for the end of the lease.
        if let Err(error) = self.context.lease.resign(self.context.store()).await {
            tracing::warn!(
                "{error}; the lease is not given back, and another replica works once it has ended"
            );
        }
    }

    /// Catches up with the other replicas, renews the lease, and does what is due by the clock.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn keep_lease(&self, at_once: bool) -> Result<Lead, store::Error> {
        let Context { gatekeeper, clock, metrics, lease, .. } = &*self.context;
        let (now, store) = (clock.now(), gatekeeper.store());
        store.catch_up().await?;
        store.caught_up(now);
        let lead = lease.take(store, at_once).await?;
        if lead == Lead::TookOver {
            tracing::info!("this process talks to Jira from now on");
        }
        if lead == Lead::Standby {
            gatekeeper.unread_tickets().forget();
        }
        let write_back = WRITE_BACK.min(gatekeeper.config().rollout.idle_after / 4);
        let (writes, hourly) = {
            let mut last = lock(&self.housekeeping);
            let anew = lead == Lead::TookOver || lead == Lead::Again;
            // A replica that takes over looks for silence at once: it may have begun long before.
            let writes = anew || now.since(last.written_back) >= write_back;
            let hourly = anew || now.since(last.hourly) >= HOURLY;
            if anew {
                // Whatever fails below is due at the next tick, too.
                last.hourly = Millis(0);
            }
            (writes, hourly)
        };
        if writes {
            // What the others heard comes first: a pause that they heard the end of is none.
            store.load_heard(Downtime::None).await?;
            store.write_back().await?;
        }
        self.compare_clocks();
        if lead != Lead::Standby && writes {
            gatekeeper.time_passed(now).await?;
        }
        if lead != Lead::Standby && hourly {
            store.unpark(now).await?;
            if let Some(keep_for) = gatekeeper.config().store.keep_for {
                store.prune_audit(now - keep_for).await?;
            }
            lock(&self.housekeeping).hourly = now;
        }
        if writes {
            lock(&self.housekeeping).written_back = now;
        }
        let backlog = store.backlog().await?;
        metrics.set_outbox("pending", backlog.pending);
        metrics.set_outbox("parked", backlog.parked);
        metrics.outbox_oldest(backlog.oldest.map_or(Duration::ZERO, |at| now.since(at)));
        Ok(lead)
    }

    /// Says that clocks differ, once until they agree again.
    fn compare_clocks(&self) {
        // Read after what is compared with it: that may have been written meanwhile, and a database may take its time.
        let newest = self.context.store().newest_time();
        let ahead = newest.since(self.context.clock.now());
        let differ = ahead > CLOCKS_AGREE;
        let told = std::mem::replace(&mut lock(&self.housekeeping).clocks_differ, differ);
        if differ && !told {
            tracing::warn!(
                "times in the database are {} s ahead of this machine's clock: let NTP set the clock of every machine that \
                 runs the bridge; a replica whose clock is ahead takes the lease of one that works",
                ahead.as_secs()
            );
        }
    }

    async fn keeping(&self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.keep_lease(false).await {
                Ok(_) => self.context.log_recovery(),
                Err(error) => {
                    self.context.lease.invalidate();
                    self.context.log_trouble(&error);
                }
            }
        }
    }

    /// Takes steps while there is something to do; then waits for news, or a tick.
    async fn looping<F>(&self, stop: &CancellationToken, step: impl Fn() -> F)
    where
        F: Future<Output = Result<CycleOutcome, store::Error>>,
    {
        let mut news = self.context.gatekeeper.work();
        while !stop.is_cancelled() {
            news.mark_unchanged();
            match step().await {
                Ok(CycleOutcome::Done | CycleOutcome::Read { .. }) => continue,
                Ok(CycleOutcome::Parked { why } | CycleOutcome::Postponed { why }) => {
                    tracing::debug!(why, "that did not work");
                    continue;
                }
                Ok(CycleOutcome::Idle | CycleOutcome::Standby) => {}
                Err(error) => {
                    self.context.log_trouble(&error);
                    // News would come again and again while the database is down.
                    select! {
                        () = stop.cancelled() => return,
                        () = sleep(TICK) => continue,
                    }
                }
            }
            let tick = Instant::now() + TICK;
            select! {
                () = stop.cancelled() => return,
                // The sender lives as long as the gatekeeper, which we hold.
                _ = news.changed() => {}
                () = sleep_until(tick) => {}
            }
        }
    }
}
