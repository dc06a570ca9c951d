//! Tickets that are moved after their rollout has ended. A webhook reports such a move; without one these tickets are
//! read occasionally for some days, less often the older they are, until one move was answered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    context::{Context, StepOutcome},
    failures::Failures,
    poll::Poll,
    poll_queue::MAX_PER_REQUEST,
    read_health::ReadTrigger,
};
use crate::{
    gate::{GateId, IssueSnapshot, Move},
    jira,
    lock::lock,
    millis::Millis,
    rollout::{AuditEvent, Canary, Command, Notice, Rollout},
    store::{self, Nudge, TicketRecord},
};

/// How long an ended ticket that was moved, but cannot be read, is retried.
const GIVE_UP_AFTER: Duration = Duration::from_hours(24);
/// The longest delay before an ended ticket that cannot be read is retried.
const MAX_DELAY: Duration = Duration::from_mins(5);
/// The most moved tickets that are read, one request each, in one step. Stories of late moves and of hostile webhooks
/// use more than this many.
const MAX_READ_ALONE: usize = 10;
/// How long after the end of its rollout a ticket is read occasionally, without a webhook.
const WATCHED_FOR: Duration = Duration::from_hours(7 * 24);
/// An ended ticket is read again after its age divided by this: the older it is, the less often.
const AGE_DIVISOR: u32 = 24;
/// The most requests in one cycle, each for a hundred ended tickets.
const MAX_REQUESTS: usize = 5;

/// Answers late moves. Losing its state is harmless.
pub(super) struct LateMoves {
    context: Arc<Context>,
    poll: Arc<Poll>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Failures of Jira as a whole.
    failures: Failures,
    /// Moved tickets that could not be read, by gate.
    unread: HashMap<GateId, UnreadEnded>,
    /// When recently ended tickets were last read without a nudge.
    read: Option<Millis>,
}

/// An ended ticket that was moved and could not be read.
#[derive(Clone, Copy, Debug)]
struct UnreadEnded {
    failures: Failures,
    /// When it could not be read for the first time.
    since: Millis,
}

impl LateMoves {
    pub(super) fn new(context: Arc<Context>, poll: Arc<Poll>) -> Self {
        Self { context, poll, state: Mutex::default() }
    }

    /// Comments, on a few tickets at a time, that a move after the end of the rollout opens nothing: first on nudged
    /// tickets, and occasionally on all that ended recently. This is a step of its own: a problem with an ended
    /// ticket must not delay a live one.
    pub(super) async fn answer(&self) -> Result<StepOutcome, store::Error> {
        let now = self.context.clock.now();
        if let Some(rests) = self.poll.idle_reason(ReadTrigger::Nudge, now) {
            return Ok(rests);
        }
        if lock(&self.state).failures.is_backing_off(now) {
            return Ok(StepOutcome::Idle);
        }
        let ended = self.poll.ended_nudges().await?;
        let nudged = self.first(&ended, now);
        let (more, answered) = if nudged.is_empty() {
            (false, self.read_lately_ended(now).await?)
        } else {
            (nudged.len() == MAX_READ_ALONE, self.read_nudged(&nudged).await?)
        };
        match answered {
            Ok(()) => {
                lock(&self.state).failures = Failures::default();
                Ok(if more { StepOutcome::Done } else { StepOutcome::Idle })
            }
            Err(error) => {
                let is_news = lock(&self.state).failures.record(&error, now, Duration::MAX);
                if is_news {
                    tracing::warn!(
                        "{error}; the bridge comments later on tickets that were moved after their rollout had ended"
                    );
                }
                Ok(StepOutcome::Idle)
            }
        }
    }

    /// Reads ended tickets that a nudge reported as moved. Fails if Jira as a whole does: one ticket that cannot be
    /// read is retried later, and delays no other.
    async fn read_nudged(
        &self,
        nudged: &[&(TicketRecord, Nudge)],
    ) -> Result<Result<(), jira::Error>, store::Error> {
        for (record, nudge) in nudged {
            let now = self.context.clock.now();
            let moved = match self.was_moved_late(record).await {
                Ok(moved) => moved,
                Err(error) => {
                    let lasted = self.record_unread(&record.gate, &error, now);
                    if lasted <= GIVE_UP_AFTER {
                        if error.is_about_object() {
                            continue;
                        }
                        return Ok(Err(error));
                    }
                    tracing::warn!(
                        canary = %record.canary,
                        ticket = record.ticket.key,
                        "{error}; the ticket of an ended rollout was moved, and the bridge cannot comment that this opens nothing"
                    );
                    false
                }
            };
            self.answer_move(record, Some(nudge), moved, now).await?;
        }
        Ok(Ok(()))
    }

    /// Reads tickets that ended in the last days, because the webhook may be missing or off.
    async fn read_lately_ended(&self, now: Millis) -> Result<Result<(), jira::Error>, store::Error> {
        if lock(&self.state).read.is_some_and(|at| now.abs_diff(at) < self.context.slow_cycle()) {
            return Ok(Ok(()));
        }
        let store = self.context.store();
        for _ in 0..MAX_REQUESTS {
            let mut ended = Vec::new();
            for (gate, opened) in store.ended_to_read(now, MAX_PER_REQUEST).await? {
                match opened {
                    Ok(opened) => ended.push(opened),
                    Err(error) => {
                        tracing::error!("{error}; this ticket of an ended rollout is no longer read");
                        let mut tx = store.begin_write().await?;
                        tx.schedule_read(&gate, None).await?;
                        tx.commit().await?;
                    }
                }
            }
            if ended.is_empty() {
                break;
            }
            if let Err(error) = self.read_some(&ended, now).await? {
                return Ok(Err(error));
            }
        }
        lock(&self.state).read = Some(now);
        Ok(Ok(()))
    }

    /// Reads up to a hundred ended tickets with one request.
    async fn read_some(
        &self,
        ended: &[TicketRecord],
        now: Millis,
    ) -> Result<Result<(), jira::Error>, store::Error> {
        let ids: Vec<String> = ended.iter().map(|record| record.ticket.id.clone()).collect();
        let read = async {
            Ok::<_, jira::Error>((
                self.context.jira.account().await?,
                self.context.jira.read_many(&ids).await?,
            ))
        };
        let (own, seen) = match read.await {
            Ok(read) => read,
            Err(error) => return Ok(Err(error)),
        };
        let mut moved = Vec::new();
        for record in ended {
            let (Some(seen), Some(ended_at)) = (seen.get(&record.ticket.id), record.ended_at) else {
                continue;
            };
            let is_moved = match self.is_late(record, &seen.snapshot, &own.id) {
                // After many edits, only earlier entries of the changelog may show the move.
                false if !seen.covers_since(ended_at) => self.was_moved_late(record).await,
                is_moved => Ok(is_moved),
            };
            match is_moved {
                Ok(true) => moved.push(record),
                Ok(false) => {}
                Err(error) if error.is_about_object() => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        let mut tx = self.context.store().begin_write().await?;
        for record in ended {
            let age = record.ended_at.map_or(Duration::MAX, |ended_at| now.since(ended_at));
            let next = (age < WATCHED_FOR).then(|| now + self.context.slow_cycle().max(age / AGE_DIVISOR));
            tx.schedule_read(&record.gate, next).await?;
        }
        // If answering a move fails below, its ticket is read again.
        tx.commit().await?;
        for record in moved {
            self.answer_move(record, None, true, now).await?;
        }
        Ok(Ok(()))
    }

    /// An ended ticket was read. If it was moved, comments once that this opens nothing any more.
    async fn answer_move(
        &self,
        record: &TicketRecord,
        nudge: Option<&Nudge>,
        moved: bool,
        now: Millis,
    ) -> Result<(), store::Error> {
        let mut tx = self.context.store().begin_write().await?;
        if let Some(nudge) = nudge {
            tx.ack_nudge(nudge).await?;
        }
        let applied = if moved && tx.answer_late_move(&record.gate).await? {
            let canary = match tx.canary(&record.canary).await {
                Ok(canary) => canary,
                // The live ticket is unknown then, but it is certain that this ticket has ended.
                Err(store::Error::Corrupt { .. }) => Canary::new(record.canary.clone()),
                Err(error) => return Err(error),
            };
            let live = canary.rollout.as_ref().and_then(Rollout::live_ticket_key);
            let command = Command::Comment { gate: record.gate.clone(), notice: Notice::Late { live } };
            tx.enqueue(&record.canary, &command, now).await?;
            let audit_event =
                AuditEvent::LateMove { gate: record.name.clone(), ticket: record.ticket.clone() };
            Some(self.context.gatekeeper.record_only(&mut tx, canary, audit_event, now).await?)
        } else {
            None
        };
        tx.commit().await?;
        if let Some(applied) = applied {
            self.context.gatekeeper.announce(&applied, now);
        }
        Ok(())
    }

    /// The first few of these tickets, without those that are backing off.
    fn first<'a>(&self, nudged: &'a [(TicketRecord, Nudge)], now: Millis) -> Vec<&'a (TicketRecord, Nudge)> {
        let unread = &mut lock(&self.state).unread;
        unread.retain(|gate, _| nudged.iter().any(|(record, _)| record.gate == *gate));
        let waits = |gate: &GateId| {
            unread.get(gate).is_some_and(|unread: &UnreadEnded| unread.failures.is_backing_off(now))
        };
        let mut first: Vec<_> = nudged.iter().filter(|(record, _)| !waits(&record.gate)).collect();
        // The fewest failures first, so that each has its chance where none can be read.
        first.sort_by_key(|(record, _)| unread.get(&record.gate).map(|unread| unread.failures));
        first.truncate(MAX_READ_ALONE);
        first
    }

    /// Records that a ticket could not be read. Returns for how long that has been so.
    fn record_unread(&self, gate: &GateId, error: &jira::Error, now: Millis) -> Duration {
        let mut state = lock(&self.state);
        let begins = UnreadEnded { failures: Failures::default(), since: now };
        let unread = state.unread.entry(gate.clone()).or_insert(begins);
        unread.failures.record(error, now, MAX_DELAY);
        now.since(unread.since)
    }

    /// Whether an account other than the bridge's has moved the ticket since the bridge commented that its rollout
    /// ended.
    async fn was_moved_late(&self, record: &TicketRecord) -> Result<bool, jira::Error> {
        let Some(ended_at) = record.ended_at else { return Ok(false) };
        let own = self.context.jira.account().await?;
        let seen = self.context.jira.read_since(&record.ticket.id, ended_at).await?;
        Ok(self.is_late(record, &seen, &own.id))
    }

    /// Whether an account other than the bridge's has moved the ticket since its end. Both times are Jira's. People move a
    /// ticket on that existed before its gate: only its approval may be meant for the bridge.
    fn is_late(&self, record: &TicketRecord, seen: &IssueSnapshot, own: &str) -> bool {
        let IssueSnapshot::Issue { marks, moves, .. } = seen else { return false };
        if !record.is_marked_by(marks) {
            // The number belongs to another issue now.
            return false;
        }
        let settings = &self.context.gatekeeper.route(&record.canary, &record.name).ticket;
        let matters = |entry: &Move| {
            record.ticket.taken_at.is_none()
                || settings.approved.iter().any(|approved| jira::is_status(&entry.to, approved))
        };
        let late = |entry: &Move| {
            record.ended_at.is_some_and(|ended_at| entry.at > ended_at)
                && entry.by.id != own
                && matters(entry)
        };
        moves.iter().any(late)
    }
}
