//! Which tickets are read next.
//!
//! All live tickets are scanned at most once a second, however much happens. Once one of them is due, all with the
//! same interval are, so that a cycle costs one request for a hundred tickets and no more. They wait in a queue, from
//! which each round takes a hundred. What a round could not read comes again with the next cycle, so that a hundred
//! unreadable tickets do not block the others.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::task::yield_now;

use super::{context::Context, read_health::ReadHealth};
use crate::{
    gate::{Gate, GateId, GateState, Ticket, TicketState},
    lock::lock,
    map::Map,
    millis::Millis,
    rollout::{Canary, CanaryId},
    store::Nudge,
};

/// Jira's limit for one request.
pub(super) const MAX_PER_REQUEST: usize = crate::jira::MAX_PER_REQUEST;
/// The most tickets that are read alone in one round.
pub(super) const MAX_ALONE: usize = 20;
/// A ticket is read for nudges at most this often, however many nudges come.
const NUDGED_EVERY: Duration = Duration::from_secs(1);
/// The shortest time between two scans of all live tickets.
const SCAN_EVERY: Duration = Duration::from_secs(1);
/// After this many canaries the scan yields, so that waiting questions are answered.
const YIELD_EVERY: usize = 250;

/// A ticket to be read.
pub(super) struct DueTicket {
    pub(super) canary: Arc<Canary>,
    pub(super) gate: GateId,
    pub(super) ticket: Ticket,
}

/// When tickets were read, and which are next. Losing this is harmless.
pub(super) struct PollQueue {
    context: Arc<Context>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the reading of each live ticket was last stored; a ticket without an entry is due.
    last_read: Map<GateId, Millis>,
    /// When each ticket was last read for a nudge.
    nudged: HashMap<String, Millis>,
    /// Gates with a ticket that is being read for a nudge.
    nudging: HashSet<GateId>,
    /// Gates with a ticket that was read for a nudge since the current round began.
    read_for_nudge: HashSet<GateId>,
    /// Gates with a reading that a round discarded: they come before all others.
    read_again: Map<GateId, Arc<Canary>>,
    queue: VecDeque<Queued>,
    /// Gates with a ticket to be read alone, after all in the queue.
    alone: VecDeque<(Arc<Canary>, GateId)>,
    /// When a ticket was last read without an index only because it waits.
    glanced: Option<Millis>,
    scanned: Option<Millis>,
}

/// A ticket in the queue, and when it was last read as of then: after a later reading it need not be read.
struct Queued {
    canary: Arc<Canary>,
    gate: GateId,
    last_read: Option<Millis>,
}

/// The tickets with the same interval, each with when it was last read.
#[derive(Default)]
struct Cycle<'a> {
    tickets: Vec<(Option<Millis>, &'a Arc<Canary>, &'a GateId)>,
    /// Whether one of them is due, and so all of them.
    due: bool,
}

impl State {
    fn last_read_of(&self, gate: &GateId) -> Option<Millis> {
        self.last_read.get(gate).copied()
    }
}

impl PollQueue {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, state: Mutex::default() }
    }

    /// Queues a newly opened ticket ahead of all that were read before.
    pub(super) fn opened(&self, canary: Arc<Canary>, gate: GateId) {
        lock(&self.state).queue.push_front(Queued { canary, gate, last_read: None });
    }

    /// Records that a reading of this gate's ticket was stored.
    pub(super) fn was_read(&self, gate: &GateId, at: Millis) {
        lock(&self.state).last_read.insert(gate.clone(), at);
    }

    /// Whether a round must discard its reading of this ticket: the ticket was also read for a nudge, and it is
    /// unknown which reading is newer.
    pub(super) fn is_superseded(&self, gate: &GateId) -> bool {
        let state = lock(&self.state);
        state.read_for_nudge.contains(gate) || state.nudging.contains(gate)
    }

    /// Queues a ticket to be read alone, after all others.
    pub(super) fn queue_alone(&self, due: &DueTicket, now: Millis) {
        let state = &mut *lock(&self.state);
        state.last_read.insert(due.gate.clone(), now);
        if !state.alone.iter().any(|(_, gate)| *gate == due.gate) {
            state.alone.push_back((Arc::clone(&due.canary), due.gate.clone()));
        }
    }

    /// Queues a ticket ahead of all others, because a round discarded its reading.
    pub(super) fn read_again_soon(&self, due: &DueTicket) {
        lock(&self.state).read_again.insert(due.gate.clone(), Arc::clone(&due.canary));
    }

    /// Records that a ticket was read for a nudge. A round in progress discards its own reading of it, even if a
    /// later reading for a nudge fails.
    pub(super) fn nudge_read(&self, gate: &GateId) {
        lock(&self.state).read_for_nudge.insert(gate.clone());
    }

    /// Records that no ticket is being read for a nudge. A failed reading makes no round discard its own.
    pub(super) fn nudges_done(&self) {
        lock(&self.state).nudging.clear();
    }

    /// Empties the queues, because another replica reads tickets now.
    pub(super) fn clear(&self) {
        let mut state = lock(&self.state);
        state.queue.clear();
        state.alone.clear();
        state.read_again.clear();
    }

    /// At most a hundred of the nudged tickets. Until [`Self::nudges_done`], no round takes them.
    pub(super) fn nudged(&self, nudges: &[Nudge], now: Millis) -> Vec<DueTicket> {
        let mut state = lock(&self.state);
        state.nudged.retain(|_, at| now.abs_diff(*at) < NUDGED_EVERY);
        let mut due = Vec::new();
        let most = if self.context.jira.reads_an_index() { MAX_ALONE } else { MAX_PER_REQUEST };
        for Nudge { ticket, .. } in nudges {
            if due.len() == most {
                break;
            }
            if state.nudged.contains_key(ticket) {
                continue;
            }
            let gate = self.context.store().gate_by_ticket(ticket);
            if let Some(found) = gate.and_then(|(canary, gate)| self.watched(&canary, &gate)) {
                state.nudged.insert(ticket.clone(), now);
                state.nudging.insert(found.gate.clone());
                due.push(found);
            }
        }
        due
    }

    /// At most a hundred tickets that are due.
    pub(super) async fn due(&self, health: &ReadHealth, now: Millis) -> Vec<DueTicket> {
        let mut due = Vec::new();
        lock(&self.state).read_for_nudge.clear();
        self.take(&mut due);
        let scanned = lock(&self.state).scanned;
        if due.len() < MAX_PER_REQUEST && scanned.is_none_or(|at| now.abs_diff(at) >= SCAN_EVERY) {
            self.scan(health, now).await;
            self.take(&mut due);
        }
        due
    }

    /// A few of the tickets that are to be read alone.
    pub(super) fn due_alone(&self) -> Vec<DueTicket> {
        let mut state = lock(&self.state);
        state.read_for_nudge.clear();
        let some = state.alone.len().min(MAX_ALONE);
        state.alone.drain(..some).filter_map(|(canary, gate)| self.watched(&canary.id, &gate)).collect()
    }

    /// Occasionally a waiting ticket, if only an index says that it waits: the index may lag for long.
    pub(super) fn due_directly(&self, health: &ReadHealth, now: Millis) -> Option<DueTicket> {
        if !self.context.jira.reads_an_index() {
            return None;
        }
        let trust_for = self.context.config().jira.trust_for;
        if lock(&self.state).glanced.is_some_and(|at| now.abs_diff(at) < trust_for / 10) {
            return None;
        }
        let canaries = self.context.store().live();
        let (read, canary, gate) = canaries
            .iter()
            .flat_map(live_gates)
            .filter(|(canary, gate)| {
                matches!(gate.state, GateState::Watched { ticket_state: TicketState::Waiting { .. }, .. })
                    && self.is_asked_about(&canary.id, gate, now)
            })
            // A ticket that cannot be read must not block the others.
            .filter(|(_, gate)| !health.failed_recently(&gate.id, now))
            .map(|(canary, gate)| (health.read_directly(&gate.id).unwrap_or(gate.asked_at), canary, gate))
            .min_by_key(|(read, _, _)| *read)?;
        if now.since(read) < self.context.slow_cycle() {
            return None;
        }
        lock(&self.state).glanced = Some(now);
        self.watched(&canary.id, &gate.id)
    }

    /// Takes tickets from the queue until there are a hundred.
    fn take(&self, due: &mut Vec<DueTicket>) {
        let state = &mut *lock(&self.state);
        let State { read_again, nudging, .. } = state;
        read_again.retain(|gate, canary| {
            let waits = due.len() == MAX_PER_REQUEST || nudging.contains(gate);
            if !waits {
                due.extend(self.watched(&canary.id, gate));
            }
            waits
        });
        let mut later = Vec::new();
        while due.len() < MAX_PER_REQUEST
            && let Some(queued) = state.queue.pop_front()
        {
            // If that reading fails, this ticket is still due, and not all others with it.
            if state.nudging.contains(&queued.gate) {
                later.push(queued);
                continue;
            }
            let Queued { canary, gate, last_read } = queued;
            if state.last_read_of(&gate) == last_read && !due.iter().any(|due| due.gate == gate) {
                due.extend(self.watched(&canary.id, &gate));
            }
        }
        state.queue.extend(later);
    }

    /// Scans all live tickets, and queues those that are due, longest unread first.
    async fn scan(&self, health: &ReadHealth, now: Millis) {
        lock(&self.state).scanned = Some(now);
        let (poll_every, slowly) = (self.context.config().jira.poll_every, self.context.slow_cycle());
        let canaries = self.context.store().live();
        let (mut live, mut quick, mut slow) = (HashSet::default(), Cycle::default(), Cycle::default());
        let mut lost = Vec::new();
        for some in canaries.chunks(YIELD_EVERY) {
            {
                let state = lock(&self.state);
                for canary in some {
                    for gate in canary.rollout.iter().flat_map(|rollout| &rollout.replaced) {
                        live.insert(&gate.id);
                        let last_read = state.last_read_of(&gate.id);
                        // The longer ago it was seen, the less likely it comes back.
                        let least = if gate.is_labelled() { poll_every } else { slowly };
                        let every = least.max(gate.seen_at().map_or(least, |seen| now.since(seen) / 8));
                        if last_read.is_none_or(|at| now.abs_diff(at) >= every) {
                            lost.push((last_read, canary, &gate.id));
                        }
                    }
                    for (_, gate) in live_gates(canary).filter(|(_, gate)| gate.ticket().is_some()) {
                        live.insert(&gate.id);
                        let (cycle, every) = match self.is_asked_about(&canary.id, gate, now) {
                            true => (&mut quick, poll_every),
                            false => (&mut slow, slowly),
                        };
                        let last_read = state.last_read_of(&gate.id);
                        cycle.due |= last_read.is_none_or(|at| now.abs_diff(at) >= every);
                        cycle.tickets.push((last_read, canary, &gate.id));
                    }
                }
            }
            yield_now().await;
        }
        let mut due: Vec<_> =
            [quick, slow].into_iter().filter(|cycle| cycle.due).flat_map(|cycle| cycle.tickets).collect();
        due.extend(lost);
        due.sort_by_key(|(last_read, _, _)| *last_read);
        let queued = due.into_iter().map(|(last_read, canary, gate)| Queued {
            canary: Arc::clone(canary),
            gate: gate.clone(),
            last_read,
        });
        let mut state = lock(&self.state);
        state.queue.extend(queued);
        state.last_read.retain(|gate, _| live.contains(gate));
        drop(state);
        health.retain(&live, now);
        self.context.gatekeeper.unread_tickets().retain(&live);
    }

    /// Whether Flagger asked at this gate recently: then its ticket is read often, otherwise occasionally.
    fn is_asked_about(&self, canary: &CanaryId, gate: &Gate, now: Millis) -> bool {
        // Questions that another replica received are known here with a delay.
        let asked = self.context.store().asked_at(canary, &gate.id).max(Some(gate.asked_at));
        asked.is_some_and(|at| now.since(at) < self.context.config().jira.trust_for)
    }

    /// A live gate with its ticket.
    fn watched(&self, canary: &CanaryId, gate: &GateId) -> Option<DueTicket> {
        let canary = self.context.store().canary(canary)?;
        let ticket = canary.gate_by_id(gate)?.ticket()?.clone();
        Some(DueTicket { canary, gate: gate.clone(), ticket })
    }
}

fn live_gates(canary: &Arc<Canary>) -> impl Iterator<Item = (&Arc<Canary>, &Gate)> {
    let gates = canary.rollout.iter().flat_map(|rollout| &rollout.gates);
    gates.map(move |gate| (canary, gate))
}
