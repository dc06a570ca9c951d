//! Performs commands in Jira and Kubernetes: takes those that are due, performs them, and settles the results. All of that is here,
//! once for all kinds of commands; the code that performs one returns a [`CommandResult`] and settles nothing itself.
//!
//! Commands of different gates run concurrently, so that a slow one delays no other; those of one gate run one at a
//! time, in stored order. Only performing takes long: at the rate limiter and at the database all commands together
//! hold one place in the queue, so that a long outbox does not delay reading tickets or answering Flagger.

use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
    sync::Arc,
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
    failures::delay,
    lookups::Lookups,
    poll_queue::PollQueue,
    statuses::known_statuses,
};
use crate::{
    gate::{GateId, Ticket},
    gatekeeper::Applied,
    jira::{self, Retry},
    millis::Millis,
    rollout::{AuditEvent, Command, Event, Notice},
    store::{self, AttemptOutcome, OutboxRow, Take, TicketRecord, WriteTx},
};

mod create;
mod duplicates;
mod parked;
mod publish;
mod refused_fields;
mod reminder;
mod result;
mod time_out;
mod update;

use create::Create;
use parked::ParkedLog;
use result::{CommandResult, Failure};

/// One slot in this many is never used to open tickets, so that comments get through however many tickets are to be
/// opened.
const SLOTS_PER_RESERVED: usize = 4;
/// So many Events are published at a time: an API server that does not answer must not take the slots of Jira's commands.
const MOST_EVENTS: usize = 2;
/// The retry delay of a command that failed because of the credentials; the client itself asks Jira no more often.
const CREDENTIALS_RETRY: Duration = Duration::from_secs(15);

/// The outbox. Losing what it remembers between its steps is harmless.
pub(super) struct Outbox {
    context: Arc<Context>,
    lookups: Arc<Lookups>,
    queue: Arc<PollQueue>,
    /// Lets one command at a time write to the database.
    writing: Mutex<()>,
    /// Lets one command at a time wait for the rate limiter.
    queueing: Arc<Mutex<()>>,
    parked: ParkedLog,
}

/// The gates of the commands in progress, each with what the command does.
#[derive(Clone, Default)]
struct InFlight(HashMap<GateId, Work>);

impl InFlight {
    fn take(&mut self, row: &OutboxRow) {
        self.0.insert(row.command.gate().clone(), Work::of(&row.command));
    }

    fn count(&self, work: Work) -> usize {
        self.0.values().filter(|other| **other == work).count()
    }
}

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Opens a ticket.
    Open,
    /// Something else in Jira.
    Update,
    /// Publishes a Kubernetes Event.
    Publish,
}

impl Work {
    const fn of(command: &Command) -> Self {
        match command {
            Command::Open { .. } => Self::Open,
            Command::FindDuplicates { .. }
            | Command::Comment { .. }
            | Command::Label { .. }
            | Command::Move { .. }
            | Command::Link { .. } => Self::Update,
            Command::Publish { .. } => Self::Publish,
        }
    }
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
        Self { context, lookups, queue, writing, queueing, parked }
    }

    /// Performs the command that has been due longest.
    pub(super) async fn work_once(&self) -> Result<StepOutcome, store::Error> {
        if !self.context.lease.leads() {
            return Ok(StepOutcome::Standby);
        }
        match self.pick(&InFlight::default(), 1).await?.pop() {
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
            let places = self.context.max_concurrency.saturating_sub(in_flight.0.len());
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
                            Some(StepOutcome::Parked { why } | StepOutcome::Postponed { why }) => {
                                tracing::debug!(why, "this attempt failed");
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
    /// be opened come first, but do not take every slot.
    async fn pick(&self, in_flight: &InFlight, places: usize) -> Result<Vec<OutboxRow>, store::Error> {
        let mut held: HashSet<GateId> = in_flight.0.keys().cloned().collect();
        let most_opening = (places - places / SLOTS_PER_RESERVED).saturating_sub(in_flight.count(Work::Open));
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
        Ok(taken)
    }

    /// Parks a command that cannot be read, so that it blocks no other.
    async fn park_unreadable(&self, row: i64, error: &store::Error) -> Result<(), store::Error> {
        let why = error.to_string();
        let _writing = self.writing.lock().await;
        let mut tx = self.context.store().begin_write().await?;
        tx.park(row, &why, self.context.clock.now()).await?;
        tx.commit().await?;
        if self.parked.is_new(row, &why) {
            tracing::error!(row, "{why}; the command is parked, and the row must be mended or deleted");
        }
        Ok(())
    }

    /// Performs a command, and settles it.
    async fn carry_out(&self, mut row: OutboxRow) -> Result<StepOutcome, store::Error> {
        let queueing = Arc::clone(&self.queueing);
        let result = match jira::one_at_a_time(queueing, self.perform(&mut row)).await {
            Ok(result) => result,
            Err(Failure::Aborted(outcome)) => return Ok(outcome),
            Err(Failure::Store(error)) => return Err(error),
            Err(Failure::Jira(error)) => CommandResult::Failed { error, sent: row.unknown_since },
            Err(Failure::Stuck(why)) => CommandResult::Stuck { why },
        };
        self.settle(&row, result).await
    }

    /// Performs a command. Replaces `row` with its claimed version, which the caller settles.
    async fn perform(&self, row: &mut OutboxRow) -> Result<CommandResult, Failure> {
        let (context, lookups) = (&*self.context, &*self.lookups);
        if let Command::Open { .. } = row.command {
            return Create { context, lookups, writing: &self.writing }.perform(row).await;
        }
        *row = self.claim(row.id).await?;
        match &row.command {
            Command::FindDuplicates { gate, since, .. } => duplicates::find(context, gate, *since).await,
            Command::Publish { gate, name, event, at } => {
                Ok(publish::perform(context, row, (gate, name.as_ref()), event, *at).await)
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

    /// Stores the result of a command, and what it means for the gate, in one transaction.
    async fn settle(&self, row: &OutboxRow, result: CommandResult) -> Result<StepOutcome, store::Error> {
        let (now, how) = (self.context.clock.now(), self.attempt_outcome(row, &result));
        let retries = self.context.gatekeeper.retries();
        match &how {
            AttemptOutcome::Retry { .. } => retries.failed(row.id, now),
            AttemptOutcome::Done | AttemptOutcome::Parked { .. } => retries.settled(row.id),
        }
        let writing = self.writing.lock().await;
        let mut tx = self.context.store().begin_write().await?;
        let ticket = keep_found(&mut tx, row, &result, now).await?;
        let opened = ticket.is_some();
        if !tx.settle(row, &how, now).await? && !opened {
            // Another replica has taken it over, and settles it.
            return Ok(StepOutcome::Done);
        }
        let applied = self.apply_to_gate(&mut tx, row, &how, ticket, now).await?;
        self.enqueue_follow_up(&mut tx, row, result, &how, now).await?;
        tx.commit().await?;
        drop(writing);
        if let Some(applied) = applied {
            if opened && let Some(canary) = self.context.store().canary(&row.canary) {
                self.queue.opened(canary, row.command.gate().clone());
            }
            self.context.gatekeeper.announce(&applied, now);
        }
        self.parked.log(self.context.store(), row, &how).await?;
        Ok(StepOutcome::of(&how))
    }

    /// What happens to a command after an attempt.
    fn attempt_outcome(&self, row: &OutboxRow, result: &CommandResult) -> AttemptOutcome {
        let sent = row.unknown_since;
        match result {
            CommandResult::Done
            | CommandResult::Opened { .. }
            | CommandResult::DuplicatesSearched { again: None, .. }
            | CommandResult::Ended(_)
            | CommandResult::CommentInstead(_)
            | CommandResult::Deleted => AttemptOutcome::Done,
            CommandResult::DuplicatesSearched { again: Some((at, why)), .. }
            | CommandResult::Later { at, why } => AttemptOutcome::Retry { at: *at, why: why.clone(), sent },
            CommandResult::Missing { at, .. } => {
                let why =
                    "Jira does not show the ticket; if that stays so for jira.trust_for, it was deleted"
                        .into();
                AttemptOutcome::Retry { at: *at, why, sent }
            }
            CommandResult::Stuck { why } => AttemptOutcome::Parked { why: why.clone(), sent },
            CommandResult::Failed { error, sent } => {
                let why = self.context.explain(error);
                let wait = match error.retry() {
                    Retry::Never => return AttemptOutcome::Parked { why, sent: *sent },
                    Retry::Backoff if matches!(error, jira::Error::Unauthorized { .. }) => CREDENTIALS_RETRY,
                    Retry::Now | Retry::NotBefore(_) | Retry::Backoff => {
                        delay(error, row.attempts, Duration::MAX)
                    }
                };
                AttemptOutcome::Retry { at: self.context.clock.now() + wait, why, sent: *sent }
            }
        }
    }

    /// Applies the result of opening a ticket to its gate; `ticket` is the ticket that the gate has now.
    async fn apply_to_gate(
        &self,
        tx: &mut WriteTx,
        row: &OutboxRow,
        how: &AttemptOutcome,
        ticket: Option<Ticket>,
        now: Millis,
    ) -> Result<Option<Applied>, store::Error> {
        let gatekeeper = &self.context.gatekeeper;
        let Command::Open { gate, subject, .. } = &row.command else { return Ok(None) };
        let event = match (how, ticket.clone()) {
            (AttemptOutcome::Done, None) => return Ok(None),
            (AttemptOutcome::Done, Some(ticket)) => {
                let route = gatekeeper.route(&row.canary, &subject.gate);
                let statuses = known_statuses(&self.lookups, route, &ticket);
                // If it was sent before, it may show the settings of an earlier process.
                let is_first = row.unknown_since.is_none();
                let shows = is_first.then(|| gatekeeper.validity(&row.canary, &subject.gate).into());
                Event::Opened { gate, ticket, statuses, shows }
            }
            (AttemptOutcome::Retry { why, .. } | AttemptOutcome::Parked { why, .. }, _) => {
                Event::NotOpened { gate, why: why.clone() }
            }
        };
        let applied = match gatekeeper.apply(tx, &row.canary, &event, now).await {
            Ok(applied) => applied,
            Err(error @ store::Error::Corrupt { .. }) => {
                // The command is settled anyway, and its ticket is stored.
                tracing::debug!("{error}; what became of a command is not applied");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let Some(ticket) = ticket.filter(|_| applied.audit_events.is_empty()) else {
            return Ok(Some(applied));
        };
        // Its rollout has ended: a comment says so, and the ticket is still recorded.
        let audit_event = AuditEvent::TicketOpened { gate: subject.gate.clone(), ticket };
        let mut canary = applied.canary;
        if subject.bypass.is_some() {
            // It belongs to none.
            canary.rollout = None;
        }
        gatekeeper.record_only(tx, canary, audit_event, now).await.map(Some)
    }

    /// Stores the commands that follow from a result.
    async fn enqueue_follow_up(
        &self,
        tx: &mut WriteTx,
        row: &OutboxRow,
        result: CommandResult,
        how: &AttemptOutcome,
        now: Millis,
    ) -> Result<(), store::Error> {
        let gate = row.command.gate();
        match (&row.command, how) {
            (Command::Open { gate, subject, .. }, AttemptOutcome::Done)
                if matches!(result, CommandResult::Done)
                    && let Some(since) = row.unknown_since =>
            {
                // Jira may still show a ticket later that is not needed any more.
                tx.enqueue(&row.canary, &duplicates::search_later(gate, subject, since), now).await?;
            }
            (Command::Comment { notice: Notice::Progress { .. }, .. }, AttemptOutcome::Done) => {
                tx.delay_progress(gate, now).await?;
            }
            _ => {}
        }
        match result {
            CommandResult::Ended(at) => {
                tx.mark_ended(gate, at, now + self.context.slow_cycle()).await?;
                tx.set_missing_since(gate, None).await?;
            }
            CommandResult::Missing { since, .. } => tx.set_missing_since(gate, Some(since)).await?,
            CommandResult::CommentInstead(notice) => {
                tx.enqueue(&row.canary, &Command::Comment { gate: gate.clone(), notice }, now).await?;
                tx.set_missing_since(gate, None).await?;
            }
            // Jira showed the ticket, or did not prove that it is missing: the count of `jira.trust_for` starts again.
            CommandResult::Done | CommandResult::Stuck { .. } if Work::of(&row.command) == Work::Update => {
                tx.set_missing_since(gate, None).await?
            }
            CommandResult::Done
            | CommandResult::Opened { .. }
            | CommandResult::DuplicatesSearched { .. }
            | CommandResult::Failed { .. }
            | CommandResult::Later { .. }
            | CommandResult::Stuck { .. }
            | CommandResult::Deleted => {}
        }
        Ok(())
    }
}

/// Stores the tickets that were found or opened, and returns the one that counts, if there is one now.
async fn keep_found(
    tx: &mut WriteTx,
    row: &OutboxRow,
    result: &CommandResult,
    now: Millis,
) -> Result<Option<Ticket>, store::Error> {
    let canary = &row.canary;
    match (&row.command, result) {
        (Command::Open { gate, subject, .. }, CommandResult::Opened { ticket, others }) => {
            tx.store_ticket(&TicketRecord::new(canary, gate, &subject.gate, ticket)).await?;
            duplicates::close(tx, canary, (gate, &subject.gate), Some(ticket), others, now).await?;
            Ok(Some(ticket.clone()))
        }
        (
            Command::FindDuplicates { gate, name, .. },
            CommandResult::DuplicatesSearched { counts, found, .. },
        ) => {
            duplicates::close(tx, canary, (gate, name), counts.as_ref(), found, now).await?;
            Ok(None)
        }
        _ => Ok(None),
    }
}
