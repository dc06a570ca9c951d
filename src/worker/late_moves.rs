//! Tickets that are moved although their rollout is over. A webhook tells of it; without one they are read now and then for
//! some days, the older the seldomer, until one move was answered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    context::{Context, CycleOutcome},
    failures::Failures,
    lock::lock,
    poll::Poll,
    poll_queue::MOST,
    read_health::ReadTrigger,
};
use crate::{
    gate::{Gate, GateId, IssueSnapshot, Move},
    jira,
    millis::Millis,
    rollout::{AuditEvent, Canary, Command, Notice},
    store::{self, Nudge, TicketRecord},
};

/// A dead ticket that was moved, but cannot be read, is given up after this long.
const MOST_PATIENT: Duration = Duration::from_hours(24);
/// Until a dead ticket that cannot be read is tried again it takes no longer than this.
const LONGEST: Duration = Duration::from_mins(5);
/// Dead tickets that are answered in one look at most.
const MOST_ENDED: usize = 10;
/// For so long after its rollout has ended a ticket is read now and then, though no webhook says that it was moved.
const WATCHED: Duration = Duration::from_hours(7 * 24);
/// The older a dead ticket, the seldomer it is read: each time when it is older by this part of its age.
const SELDOMER: u32 = 24;
/// So many requests, each for a hundred dead tickets, are made in one cycle at most.
const MOST_REQUESTS: usize = 5;

/// The room of late moves. All that it remembers may be lost.
pub(super) struct LateMoves {
    context: Arc<Context>,
    poll: Arc<Poll>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Of Jira as a whole.
    failures: Failures,
    /// Tickets that were moved and could not be read, by their gates.
    unread: HashMap<GateId, UnreadEnded>,
    /// When tickets that died lately were last read without a nudge.
    read: Option<Millis>,
}

/// A dead ticket that was moved and could not be read.
#[derive(Clone, Copy, Debug)]
struct UnreadEnded {
    failures: Failures,
    /// Since when.
    since: Millis,
}

impl LateMoves {
    pub(super) fn new(context: Arc<Context>, poll: Arc<Poll>) -> Self {
        Self { context, poll, state: Mutex::default() }
    }

    /// Tells the tickets that were moved although their rollout is over, a few at a time, that they open nothing: those
    /// that were nudged, and now and then all that died lately. This is a step of its own: whatever is wrong with a dead
    /// ticket must not keep a live one waiting.
    pub(super) async fn answer(&self) -> Result<CycleOutcome, store::Error> {
        let now = self.context.clock.now();
        if let Some(rests) = self.poll.idle_reason(ReadTrigger::Nudge, now) {
            return Ok(rests);
        }
        if lock(&self.state).failures.is_backing_off(now) {
            return Ok(CycleOutcome::Idle);
        }
        let ended = self.poll.ended_nudges().await?;
        let nudged = self.first(&ended, now);
        let (more, answered) = if nudged.is_empty() {
            (false, self.read_lately_ended(now).await?)
        } else {
            (nudged.len() == MOST_ENDED, self.read_nudged(&nudged).await?)
        };
        match answered {
            Ok(()) => {
                lock(&self.state).failures = Failures::default();
                Ok(if more { CycleOutcome::Done } else { CycleOutcome::Idle })
            }
            Err(error) => {
                let is_news = lock(&self.state).failures.record(&error, now, Duration::MAX);
                if is_news {
                    tracing::warn!(
                        "{error}; dead tickets that were moved are told later that they open nothing"
                    );
                }
                Ok(CycleOutcome::Idle)
            }
        }
    }

    /// Reads tickets whose rollout is over and that are said to have moved. Fails if Jira as a whole does: one ticket that cannot
    /// be read is tried again later, and holds up no other.
    async fn read_nudged(
        &self,
        nudged: &[&(TicketRecord, Nudge)],
    ) -> Result<Result<(), jira::Error>, store::Error> {
        for (record, nudge) in nudged {
            let now = self.context.clock.now();
            let moved = match self.was_moved_late(record).await {
                Ok(moved) => moved,
                Err(error) => {
                    let lasted = self.is_unread(&record.gate, &error, now);
                    if lasted <= MOST_PATIENT {
                        if error.is_about_object() {
                            continue;
                        }
                        return Ok(Err(error));
                    }
                    tracing::warn!(
                        canary = %record.canary,
                        ticket = record.ticket.key,
                        "{error}; a dead ticket was moved, and is not told that it opens nothing"
                    );
                    false
                }
            };
            self.answer_move(record, Some(nudge), moved, now).await?;
        }
        Ok(Ok(()))
    }

    /// Reads tickets that died in the last days, as a webhook may be missing or off.
    async fn read_lately_ended(&self, now: Millis) -> Result<Result<(), jira::Error>, store::Error> {
        if lock(&self.state).read.is_some_and(|at| now.apart(at) < self.context.slow_cycle()) {
            return Ok(Ok(()));
        }
        let store = self.context.store();
        for _ in 0..MOST_REQUESTS {
            let mut ended = Vec::new();
            for (gate, opened) in store.ended_to_read(now, MOST).await? {
                match opened {
                    Ok(opened) => ended.push(opened),
                    Err(error) => {
                        tracing::error!("{error}; this dead ticket is not read any more");
                        let mut tx = store.begin_write().await?;
                        tx.read_again(&gate, None).await?;
                        tx.end().await?;
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

    /// Reads up to a hundred dead tickets with one request.
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
            let is_moved = match is_late(record, &seen.snapshot, &own.id) {
                // What was edited much since says so only further back.
                false if !seen.goes_back_to(ended_at) => self.was_moved_late(record).await,
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
            let next = (age < WATCHED).then(|| now + self.context.slow_cycle().max(age / SELDOMER));
            tx.read_again(&record.gate, next).await?;
        }
        // Until it is answered it is read again.
        tx.end().await?;
        for record in moved {
            self.answer_move(record, None, true, now).await?;
        }
        Ok(Ok(()))
    }

    /// A dead ticket was read: one that was moved is told, once, that this opens nothing any more.
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
                // Which ticket is the live one cannot be told, but that this one is dead can.
                Err(store::Error::Corrupt { .. }) => Canary::new(record.canary.clone()),
                Err(error) => return Err(error),
            };
            let live = canary.rollout.as_ref().and_then(|rollout| {
                rollout.gates.iter().rev().find_map(Gate::ticket).map(|ticket| ticket.key.clone())
            });
            let command = Command::Comment { gate: record.gate.clone(), notice: Notice::Late { live } };
            tx.enqueue(&record.canary, &command, now).await?;
            let audit_event =
                AuditEvent::LateMove { gate: record.name.clone(), ticket: record.ticket.clone() };
            Some(self.context.gatekeeper.record_only(&mut tx, canary, audit_event, now).await?)
        } else {
            None
        };
        tx.end().await?;
        if let Some(applied) = applied {
            self.context.gatekeeper.announce(&applied, now);
        }
        Ok(())
    }

    /// A few of them, the first first, but none whose time to be tried again has not come.
    fn first<'a>(&self, nudged: &'a [(TicketRecord, Nudge)], now: Millis) -> Vec<&'a (TicketRecord, Nudge)> {
        let unread = &mut lock(&self.state).unread;
        unread.retain(|gate, _| nudged.iter().any(|(record, _)| record.gate == *gate));
        let waits = |gate: &GateId| {
            unread.get(gate).is_some_and(|unread: &UnreadEnded| unread.failures.is_backing_off(now))
        };
        let mut first: Vec<_> = nudged.iter().filter(|(record, _)| !waits(&record.gate)).collect();
        // Where none can be read, each is tried in turn.
        first.sort_by_key(|(record, _)| unread.get(&record.gate).map(|unread| unread.failures));
        first.truncate(MOST_ENDED);
        first
    }

    /// A ticket could not be read, once more. Returns for how long that has been so.
    fn is_unread(&self, gate: &GateId, error: &jira::Error, now: Millis) -> Duration {
        let mut state = lock(&self.state);
        let begins = UnreadEnded { failures: Failures::default(), since: now };
        let unread = state.unread.entry(gate.clone()).or_insert(begins);
        unread.failures.record(error, now, LONGEST);
        now.since(unread.since)
    }

    /// Whether anyone but the bridge has moved the ticket since it was told that its rollout is over.
    async fn was_moved_late(&self, record: &TicketRecord) -> Result<bool, jira::Error> {
        let Some(ended_at) = record.ended_at else { return Ok(false) };
        let own = self.context.jira.account().await?;
        Ok(is_late(record, &self.context.jira.read_since(&record.ticket.id, ended_at).await?, &own.id))
    }
}

/// Whether anyone but the bridge has moved the ticket since then. Both times are Jira's.
fn is_late(record: &TicketRecord, seen: &IssueSnapshot, own: &str) -> bool {
    let IssueSnapshot::Issue { marks, moves, .. } = seen else { return false };
    if !record.is_marked_by(marks) {
        // Another issue has its number by now.
        return false;
    }
    let late =
        |entry: &Move| record.ended_at.is_some_and(|ended_at| entry.at > ended_at) && entry.by.id != own;
    moves.iter().any(late)
}
