//! Performs commands in Jira and Kubernetes: takes those that are due, performs them, and settles the results. All of that is here,
//! once for all kinds of commands; the code that performs one returns a [`CommandResult`] and settles nothing itself.
//!
//! Commands of different gates run concurrently, so that a slow one delays no other; those of one gate run one at a
//! time, in stored order: a later one waits while an earlier one is due, or was tried up to `SOON_ATTEMPTS` times
//! (`src/store/outbox/due.rs`). One that is too early counts as tried, so that it keeps its place. Only performing takes long: at the rate limiter and at the database all commands together
//! hold one place in the queue, so that a long outbox does not delay reading tickets or answering Flagger.

use std::{
    collections::HashSet,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    select,
    sync::Mutex,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    context::{Context, StepOutcome, TICK},
    lookups::Lookups,
    poll_queue::PollQueue,
};
use crate::{
    gate::GateId,
    jira,
    millis::Millis,
    rollout::Command,
    store::{self, AttemptOutcome, OutboxRow, Take},
};

mod create;
mod duplicates;
mod in_flight;
mod notify;
mod parked;
mod publish;
mod refused_fields;
mod reminder;
mod result;
mod settle;
mod take;
mod time_out;
mod update;

use create::Create;
use in_flight::{InFlight, Work};
use parked::ParkedLog;
use result::{CommandResult, Failure};
use settle::Settle;
use take::InHand;

/// One slot in this many is never used to open tickets, so that comments get through however many tickets are to be
/// opened.
const SLOTS_PER_RESERVED: usize = 4;
/// So many Events are published at a time: an API server that does not answer must not take the slots of Jira's commands.
const MOST_EVENTS: usize = 2;
/// So many messages to channels are sent at a time, beside the commands to Jira: they take none of their slots.
const MOST_MESSAGES: usize = 2;
/// Without channels, messages of an earlier configuration are looked for this often.
const LEFTOVERS_EVERY: Duration = Duration::from_secs(60);

/// The outbox. Losing what it remembers between its steps is harmless.
pub(super) struct Outbox {
    context: Arc<Context>,
    lookups: Arc<Lookups>,
    queue: Arc<PollQueue>,
    /// Lets one command at a time write to the database.
    writing: Mutex<()>,
    /// Lets one command at a time wait for the rate limiter.
    queueing: Arc<Mutex<()>>,
    /// When messages to channels were last looked for.
    looked_for_messages: AtomicI64,
    parked: ParkedLog,
    /// Existing issues that are being given to a gate.
    in_hand: InHand,
}

/// A finished step.
enum Step {
    /// Due commands were loaded.
    Loaded(Result<Vec<OutboxRow>, store::Error>),
    /// A command of this gate was performed.
    Performed(GateId, Result<StepOutcome, store::Error>),
}

type Steps<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Step> + Send + 'a>>>;

impl Outbox {
    pub(super) fn new(context: Arc<Context>, lookups: Arc<Lookups>, queue: Arc<PollQueue>) -> Self {
        let (writing, queueing, parked) = (Mutex::default(), Arc::default(), ParkedLog::default());
        let looked_for_messages = AtomicI64::new(0);
        let in_hand = InHand::default();
        Self { context, lookups, queue, writing, queueing, looked_for_messages, parked, in_hand }
    }

    /// Performs the command that has been due longest.
    pub(super) async fn work_once(&self) -> Result<StepOutcome, store::Error> {
        if !self.context.lease.leads() {
            return Ok(StepOutcome::Standby);
        }
        match self.pick(&InFlight::default(), 1).await?.into_iter().next() {
            Some(row) => self.carry_out(row).await,
            None => Ok(StepOutcome::Idle),
        }
    }

    /// Performs due commands concurrently until `stop`, then finishes those in progress.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        let mut news = self.context.gatekeeper.work();
        let (mut in_flight, mut steps) = (InFlight::default(), Steps::new());
        // Whether commands may be due, whether they are being loaded, and when to load again at the latest.
        let (mut due, mut loading, mut tick) = (true, false, Instant::now());
        loop {
            let places = self.context.max_concurrency.saturating_sub(in_flight.in_jira());
            if due && !loading && places > 0 && !stop.is_cancelled() {
                (due, loading) = (false, self.context.lease.leads());
                tick = Instant::now() + TICK;
                news.mark_unchanged();
                if loading {
                    let (held, most) = (in_flight.clone(), self.context.max_concurrency);
                    // Not awaited here: a command in progress may hold the database's only connection.
                    steps.push(Box::pin(async move { Step::Loaded(self.pick(&held, most).await) }));
                }
            }
            if steps.is_empty() && stop.is_cancelled() {
                return;
            }
            select! {
                Some(step) = steps.next(), if !steps.is_empty() => match step {
                    Step::Loaded(rows) => {
                        loading = false;
                        for row in self.ok_or_log(rows).unwrap_or_default() {
                            if stop.is_cancelled() {
                                break;
                            }
                            in_flight.take(&row);
                            let gate = row.command.gate().clone();
                            steps.push(Box::pin(async move { Step::Performed(gate, self.carry_out(row).await) }));
                        }
                    }
                    Step::Performed(gate, outcome) => {
                        in_flight.0.remove(&gate);
                        match self.ok_or_log(outcome) {
                            Some(StepOutcome::Parked { why } | StepOutcome::Later { why }) => {
                                tracing::debug!(why, "this is tried again later");
                                due = true;
                            }
                            Some(StepOutcome::Done | StepOutcome::Read { .. }) => due = true,
                            // Left to the next tick.
                            Some(StepOutcome::Idle | StepOutcome::Standby) | None => {}
                        }
                    }
                },
                // The sender lives as long as the gatekeeper, which `self` holds.
                _ = news.changed(), if !due => due = true,
                () = sleep_until(tick), if !due => due = true,
                () = stop.cancelled(), if !stop.is_cancelled() => {}
            }
        }
    }

    fn ok_or_log<T>(&self, result: Result<T, store::Error>) -> Option<T> {
        result.inspect_err(|error| self.context.log_store_error(error)).ok()
    }

    /// Due commands for the free slots, one for each gate, and none for a gate with a command in progress. Tickets to
    /// be opened come first, but do not take every slot. Messages to channels come last, in slots of their own.
    async fn pick(&self, in_flight: &InFlight, places: usize) -> Result<Vec<OutboxRow>, store::Error> {
        let mut held: HashSet<GateId> = in_flight.0.keys().cloned().collect();
        let most_opening = (places - places / SLOTS_PER_RESERVED).saturating_sub(in_flight.count(Work::Open));
        let messages = in_flight.count(Work::Notify);
        let places = places.saturating_add(messages);
        let mut events = MOST_EVENTS.saturating_sub(in_flight.count(Work::Publish));
        let mut taken = Vec::new();
        for (kinds, most) in [(Take::Opening, most_opening), (Take::Others, places)] {
            let mut whole = false;
            while !whole {
                let most = most.saturating_sub(taken.len()).min(places.saturating_sub(held.len()));
                if most == 0 {
                    break;
                }
                whole = true;
                let now = self.context.clock.now();
                let kinds = if kinds == Take::Others && events == 0 { Take::OthersButEvents } else { kinds };
                for (row, found) in self.context.store().due_commands(kinds, now, &held, most).await? {
                    match found {
                        Ok(found) if Work::of(&found.command) == Work::Publish && events == 0 => {
                            // There may be others after it.
                            whole = false;
                        }
                        Ok(found) => {
                            if held.insert(found.command.gate().clone()) {
                                if Work::of(&found.command) == Work::Publish {
                                    events -= 1;
                                }
                                taken.push(found);
                            }
                        }
                        // There may be others after it.
                        Err(error) => {
                            self.park_unreadable(row, &error).await?;
                            whole = false;
                        }
                    }
                }
            }
        }
        let now = self.context.clock.now();
        let most = if self.may_have_messages(now) { MOST_MESSAGES.saturating_sub(messages) } else { 0 };
        if most == 0 {
            return Ok(taken);
        }
        for (row, found) in self.context.store().due_commands(Take::Messages, now, &held, most).await? {
            match found {
                Ok(found) => taken.push(found),
                Err(error) => self.park_unreadable(row, &error).await?,
            }
        }
        Ok(taken)
    }

    /// Whether to look for messages. Without channels there may be some of an earlier configuration, which are dropped.
    fn may_have_messages(&self, now: Millis) -> bool {
        let last = Millis(self.looked_for_messages.load(Ordering::Relaxed));
        let is_due = !self.context.config().notify.is_empty() || now.since(last) >= LEFTOVERS_EVERY;
        if is_due {
            self.looked_for_messages.store(now.0, Ordering::Relaxed);
        }
        is_due
    }

    /// Parks a command that cannot be read, so that it blocks no other.
    async fn park_unreadable(&self, row: i64, error: &store::Error) -> Result<(), store::Error> {
        let why = error.to_string();
        let _writing = self.writing.lock().await;
        let mut tx = self.context.store().begin_write().await?;
        tx.park(row, &why, self.context.clock.now()).await?;
        tx.commit().await?;
        if self.parked.is_new(row, &why) {
            tracing::error!(row, "{why}; the command is parked, and the row must be repaired or deleted");
        }
        Ok(())
    }

    /// Performs a command, and settles it.
    async fn carry_out(&self, mut row: OutboxRow) -> Result<StepOutcome, store::Error> {
        let queueing = Arc::clone(&self.queueing);
        // Boxed: the stack of a thread must hold it, its request and a TLS handshake, in a debug build, too.
        let performed = Box::pin(self.perform(&mut row));
        let result = match jira::one_at_a_time(queueing, performed).await {
            Ok(result) => result,
            Err(Failure::Aborted(outcome)) => return Ok(outcome),
            Err(Failure::Store(error)) => return Err(error),
            Err(Failure::Jira(error)) => CommandResult::Failed { error, sent: row.unknown_since },
            Err(Failure::Stuck(why)) => CommandResult::Stuck { why },
        };
        let Self { context, lookups, queue, parked, writing, .. } = self;
        Settle { context, lookups, queue, parked, writing }.settle(&row, result).await
    }

    /// Performs a command. Replaces `row` with its claimed version, which the caller settles.
    async fn perform(&self, row: &mut OutboxRow) -> Result<CommandResult, Failure> {
        let (context, lookups) = (&*self.context, &*self.lookups);
        if let Command::Open { .. } = row.command {
            let (writing, in_hand) = (&self.writing, &self.in_hand);
            return Create { context, lookups, writing, in_hand }.perform(row).await;
        }
        *row = match row.command {
            Command::Notify { .. } => self.claim_message(row.id).await?,
            Command::Open { .. }
            | Command::FindDuplicates { .. }
            | Command::Comment { .. }
            | Command::Label { .. }
            | Command::Move { .. }
            | Command::Link { .. }
            | Command::Publish { .. } => self.claim(row.id).await?,
        };
        match &row.command {
            Command::FindDuplicates { gate, since, .. } => duplicates::find(context, gate, *since).await,
            Command::Publish { gate, name, event, at } => {
                Ok(publish::perform(context, row, (gate, name.as_ref()), event, *at).await)
            }
            Command::Notify { about, channel, notification, .. } => {
                Ok(Box::pin(notify::perform(context, row, about, channel, notification)).await)
            }
            Command::Open { .. }
            | Command::Comment { .. }
            | Command::Label { .. }
            | Command::Move { .. }
            | Command::Link { .. } => update::perform(context, lookups, row).await,
        }
    }

    /// Claims the command and counts the attempt, if this replica is still the leader and the command still waits.
    async fn claim(&self, id: i64) -> Result<OutboxRow, Failure> {
        let _writing = self.writing.lock().await;
        let mut tx = self.context.begin_if_leading().await?.ok_or(Failure::Aborted(StepOutcome::Standby))?;
        let row = tx.claim(id, None).await?.ok_or(Failure::Aborted(StepOutcome::Done))?;
        let analysis =
            self.context.gatekeeper.analysis(&row.canary, row.command.gate(), self.context.clock.now());
        let row = tx.merge_progress(&row, analysis).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// Claims a message: from now on it is unknown whether the channel took it. One that was sent twice is dropped.
    async fn claim_message(&self, id: i64) -> Result<OutboxRow, Failure> {
        let _writing = self.writing.lock().await;
        let mut tx = self.context.begin_if_leading().await?.ok_or(Failure::Aborted(StepOutcome::Standby))?;
        let now = self.context.clock.now();
        let row = tx.claim(id, Some(now)).await?.ok_or(Failure::Aborted(StepOutcome::Done))?;
        let claimed = row.clone();
        if let Some(row) = notify::prepare(&mut tx, row).await? {
            tx.commit().await?;
            return Ok(row);
        }
        tx.settle(&claimed, &AttemptOutcome::Done, now).await?;
        tx.commit().await?;
        tracing::warn!(
            canary = %claimed.canary,
            "a message was sent twice to a channel that gave no answer; it is not sent again"
        );
        Err(Failure::Aborted(StepOutcome::Done))
    }
}
