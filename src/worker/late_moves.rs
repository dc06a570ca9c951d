//! Tickets that are moved although their rollout is over. A webhook tells of it; without one they are read now and then for
//! some days, the older the seldomer, until one move was answered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    context::{Context, Outcome},
    failures::Failures,
    lock::lock,
    poll::Poll,
    poll_queue::MOST,
    read_health::Why,
};
use crate::{
    gate::{Gate, GateId, Move, IssueSnapshot},
    jira,
    millis::Millis,
    rollout::{Canary, Command, AuditEvent, Notice},
    store::{self, Nudge, Opened},
};

/// A dead ticket that was moved, but cannot be read, is given up after this long.
const MOST_PATIENT: Duration = Duration::from_hours(24);
/// Until a dead ticket that cannot be read is tried again it takes no longer than this.
const LONGEST: Duration = Duration::from_mins(5);
/// Dead tickets that are answered in one look at most.
const MOST_DEAD: usize = 10;
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
    unread: HashMap<GateId, Unread>,
    /// When tickets that died lately were last read without a nudge.
    read: Option<Millis>,
}

/// A dead ticket that was moved and could not be read.
#[derive(Clone, Copy, Debug)]
struct Unread {
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
    pub(super) async fn answer(&self) -> Result<Outcome, store::Error> {
        let now = self.context.clock.now();
        if let Some(rests) = self.poll.rests(Why::Nudged, now) {
            return Ok(rests);
        }
        if lock(&self.state).failures.rests(now) {
            return Ok(Outcome::Idle);
        }
        let dead = self.poll.dead_nudges().await?;
        let nudged = self.first(&dead, now);
        let (more, answered) = if nudged.is_empty() {
            (false, self.read_lately_ended(now).await?)
        } else {
            (nudged.len() == MOST_DEAD, self.read_nudged(&nudged).await?)
        };
        match answered {
            Ok(()) => {
                lock(&self.state).failures = Failures::default();
                Ok(if more { Outcome::Did } else { Outcome::Idle })
            }
            Err(error) => {
                let is_news = lock(&self.state).failures.fails(&error, now, Duration::MAX);
                if is_news {
                    tracing::warn!(
                        "{error}; dead tickets that were moved are told later that they open nothing"
                    );
                }
                Ok(Outcome::Idle)
            }
        }
    }

    /// Reads tickets whose rollout is over and that are said to have moved. Fails if Jira as a whole does: one ticket that cannot
    /// be read is tried again later, and holds up no other.
    async fn read_nudged(&self, dead: &[&(Opened, Nudge)]) -> Result<Result<(), jira::Error>, store::Error> {
        for (dead, nudge) in dead {
            let now = self.context.clock.now();
            let moved = match self.was_moved_late(dead).await {
                Ok(moved) => moved,
                Err(error) => {
                    let lasted = self.is_unread(&dead.gate, &error, now);
                    if lasted <= MOST_PATIENT {
                        if error.is_of_one() {
                            continue;
                        }
                        return Ok(Err(error));
                    }
                    tracing::warn!(
                        canary = %dead.canary,
                        ticket = dead.ticket.key,
                        "{error}; a dead ticket was moved, and is not told that it opens nothing"
                    );
                    false
                }
            };
            self.answer_move(dead, Some(nudge), moved, now).await?;
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
            let mut dead = Vec::new();
            for (gate, opened) in store.dead_to_read(now, MOST).await? {
                match opened {
                    Ok(opened) => dead.push(opened),
                    Err(error) => {
                        tracing::error!("{error}; this dead ticket is not read any more");
                        let mut tx = store.begin_write().await?;
                        tx.read_again(&gate, None).await?;
                        tx.end().await?;
                    }
                }
            }
            if dead.is_empty() {
                break;
            }
            if let Err(error) = self.read_some(&dead, now).await? {
                return Ok(Err(error));
            }
        }
        lock(&self.state).read = Some(now);
        Ok(Ok(()))
    }

    /// Reads up to a hundred dead tickets with one request.
    async fn read_some(&self, dead: &[Opened], now: Millis) -> Result<Result<(), jira::Error>, store::Error> {
        let ids: Vec<String> = dead.iter().map(|dead| dead.ticket.id.clone()).collect();
        let read = async {
            Ok::<_, jira::Error>((self.context.jira.account().await?, self.context.jira.look(&ids).await?))
        };
        let (own, seen) = match read.await {
            Ok(read) => read,
            Err(error) => return Ok(Err(error)),
        };
        let mut moved = Vec::new();
        for dead in dead {
            let (Some(seen), Some(ended)) = (seen.get(&dead.ticket.id), dead.ended_at) else { continue };
            let is_moved = match is_late(dead, &seen.sighting, &own.id) {
                // What was edited much since says so only further back.
                false if !seen.goes_back_to(ended) => self.was_moved_late(dead).await,
                is_moved => Ok(is_moved),
            };
            match is_moved {
                Ok(true) => moved.push(dead),
                Ok(false) => {}
                Err(error) if error.is_of_one() => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        let mut tx = self.context.store().begin_write().await?;
        for dead in dead {
            let age = dead.ended_at.map_or(Duration::MAX, |ended| now.since(ended));
            let next = (age < WATCHED).then(|| now + self.context.slow_cycle().max(age / SELDOMER));
            tx.read_again(&dead.gate, next).await?;
        }
        // Until it is answered it is read again.
        tx.end().await?;
        for dead in moved {
            self.answer_move(dead, None, true, now).await?;
        }
        Ok(Ok(()))
    }

    /// A dead ticket was read: one that was moved is told, once, that this opens nothing any more.
    async fn answer_move(
        &self,
        dead: &Opened,
        nudge: Option<&Nudge>,
        moved: bool,
        now: Millis,
    ) -> Result<(), store::Error> {
        let mut tx = self.context.store().begin_write().await?;
        if let Some(nudge) = nudge {
            tx.ack_nudge(nudge).await?;
        }
        let applied = if moved && tx.answer_late_move(&dead.gate).await? {
            let canary = match tx.canary(&dead.canary).await {
                Ok(canary) => canary,
                // Which ticket is the live one cannot be told, but that this one is dead can.
                Err(store::Error::Corrupt { .. }) => Canary::new(dead.canary.clone()),
                Err(error) => return Err(error),
            };
            let live = canary.rollout.as_ref().and_then(|rollout| {
                rollout.gates.iter().rev().find_map(Gate::ticket).map(|ticket| ticket.key.clone())
            });
            let command = Command::Comment { gate: dead.gate.clone(), note: Notice::Late { live } };
            tx.enqueue(&dead.canary, &command, now).await?;
            let fact = AuditEvent::LateMove { gate: dead.name.clone(), ticket: dead.ticket.clone() };
            Some(self.context.gatekeeper.note(&mut tx, canary, fact, now).await?)
        } else {
            None
        };
        tx.end().await?;
        if let Some(applied) = applied {
            self.context.gatekeeper.record(&applied, now);
        }
        Ok(())
    }

    /// A few of them, the first first, but none whose time to be tried again has not come.
    fn first<'a>(&self, dead: &'a [(Opened, Nudge)], now: Millis) -> Vec<&'a (Opened, Nudge)> {
        let unread = &mut lock(&self.state).unread;
        unread.retain(|gate, _| dead.iter().any(|(dead, _)| dead.gate == *gate));
        let waits =
            |gate: &GateId| unread.get(gate).is_some_and(|unread: &Unread| unread.failures.rests(now));
        let mut dead: Vec<_> = dead.iter().filter(|(dead, _)| !waits(&dead.gate)).collect();
        // Where none can be read, each is tried in turn.
        dead.sort_by_key(|(dead, _)| unread.get(&dead.gate).map(|unread| unread.failures));
        dead.truncate(MOST_DEAD);
        dead
    }

    /// A ticket could not be read, once more. Returns for how long that has been so.
    fn is_unread(&self, gate: &GateId, error: &jira::Error, now: Millis) -> Duration {
        let mut state = lock(&self.state);
        let begins = Unread { failures: Failures::default(), since: now };
        let unread = state.unread.entry(gate.clone()).or_insert(begins);
        unread.failures.fails(error, now, LONGEST);
        now.since(unread.since)
    }

    /// Whether anyone but the bridge has moved the ticket since it was told that its rollout is over.
    async fn was_moved_late(&self, dead: &Opened) -> Result<bool, jira::Error> {
        let Some(ended) = dead.ended_at else { return Ok(false) };
        let own = self.context.jira.account().await?;
        Ok(is_late(dead, &self.context.jira.look_since(&dead.ticket.id, ended).await?, &own.id))
    }
}

/// Whether anyone but the bridge has moved the ticket since then. Both times are Jira's.
fn is_late(dead: &Opened, seen: &IssueSnapshot, own: &str) -> bool {
    let IssueSnapshot::Issue { marks, moves, .. } = seen else { return false };
    if !dead.is_marked_by(marks) {
        // Another issue has its number by now.
        return false;
    }
    let late = |entry: &Move| dead.ended_at.is_some_and(|ended| entry.at > ended) && entry.by.id != own;
    moves.iter().any(late)
}
