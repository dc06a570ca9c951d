//! Which tickets are read next.
//!
//! All live tickets are gone through once a second at most, however much happens: once one of them is due, all of its pace
//! are, so that a cycle costs a request for a hundred tickets and no more. They stand in a queue, from which each round
//! takes a hundred. What a round took and could not read comes again with the next, so that a hundred that cannot
//! be read do not keep the others from being read.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::task::yield_now;

use super::{context::Context, lock::lock, read_health::ReadHealth};
use crate::{
    gate::{Gate, GateId, GateState, Ticket, TicketState},
    map::Map,
    millis::Millis,
    rollout::{Canary, CanaryId},
    store::Nudge,
};

/// Jira's limit for one request.
pub(super) const MOST: usize = 100;
/// So many tickets are read alone in one round at most.
pub(super) const MOST_ALONE: usize = 20;
/// A ticket is not read for nudges more often than this, however many come.
const NUDGED_EVERY: Duration = Duration::from_secs(1);
/// All tickets are gone through once in this time at most.
const SCAN_EVERY: Duration = Duration::from_secs(1);
/// After so many canaries that were gone through, a question that wants to be answered comes first.
const AT_A_TIME: usize = 250;

/// A ticket to be read.
pub(super) struct DueTicket {
    pub(super) canary: Arc<Canary>,
    pub(super) gate: GateId,
    pub(super) ticket: Ticket,
}

/// When tickets were read, and which are next. All of it may be lost.
pub(super) struct PollQueue {
    context: Arc<Context>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When what was seen of each live ticket was last stored; without that it is due.
    last_read: Map<GateId, Millis>,
    /// When each ticket was last read for a nudge.
    nudged: HashMap<String, Millis>,
    /// Of which the ticket is being read for a nudge.
    nudging: HashSet<GateId>,
    /// Which a reading for a nudge has shown since the round at hand began.
    overtaken: HashSet<GateId>,
    /// Of which a round has yielded: they come before all others.
    superseded: Map<GateId, Arc<Canary>>,
    queue: VecDeque<Queued>,
    /// Which are to be read alone, once all in the queue were read.
    alone: VecDeque<(Arc<Canary>, GateId)>,
    /// When a ticket was last read past every index only because it waits.
    glanced: Option<Millis>,
    scanned: Option<Millis>,
}

/// A ticket in the queue, and when it was last read as it came there: a later reading makes this one needless.
struct Queued {
    canary: Arc<Canary>,
    gate: GateId,
    looked: Option<Millis>,
}

/// The tickets of one pace, each with when it was last read.
#[derive(Default)]
struct Cycle<'a> {
    tickets: Vec<(Option<Millis>, &'a Arc<Canary>, &'a GateId)>,
    /// Whether one of them is due, and all with it.
    due: bool,
}

impl State {
    fn looked_at(&self, gate: &GateId) -> Option<Millis> {
        self.last_read.get(gate).copied()
    }
}

impl PollQueue {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, state: Mutex::default() }
    }

    /// A ticket was opened, and was not read yet: it comes before those that were.
    pub(super) fn opened(&self, canary: Arc<Canary>, gate: GateId) {
        lock(&self.state).queue.push_front(Queued { canary, gate, looked: None });
    }

    /// What was seen of the ticket of this gate is stored.
    pub(super) fn was_read(&self, gate: &GateId, at: Millis) {
        lock(&self.state).last_read.insert(gate.clone(), at);
    }

    /// Whether what a round shows of this ticket does not count, for it was read for a nudge as well, and which reading is
    /// newer cannot be told.
    pub(super) fn is_superseded(&self, gate: &GateId) -> bool {
        let state = lock(&self.state);
        state.overtaken.contains(gate) || state.nudging.contains(gate)
    }

    /// A ticket is to be read alone, once all others were read.
    pub(super) fn alone(&self, due: &DueTicket, now: Millis) {
        let state = &mut *lock(&self.state);
        state.last_read.insert(due.gate.clone(), now);
        if !state.alone.iter().any(|(_, gate)| *gate == due.gate) {
            state.alone.push_back((Arc::clone(&due.canary), due.gate.clone()));
        }
    }

    /// A round has yielded.
    pub(super) fn read_again_soon(&self, due: &DueTicket) {
        lock(&self.state).superseded.insert(due.gate.clone(), Arc::clone(&due.canary));
    }

    /// A reading for a nudge showed this ticket. Rounds yield to it, whatever comes of a later one.
    pub(super) fn nudge_read(&self, gate: &GateId) {
        lock(&self.state).overtaken.insert(gate.clone());
    }

    /// Nothing is read for nudges. No round yields to what was read in vain.
    pub(super) fn nudges_done(&self) {
        lock(&self.state).nudging.clear();
    }

    /// Another replica reads tickets.
    pub(super) fn clear(&self) {
        let mut state = lock(&self.state);
        state.queue.clear();
        state.alone.clear();
        state.superseded.clear();
    }

    /// At most a hundred of the nudged tickets. Until [`Self::nudges_done`] no round takes them.
    pub(super) fn nudged(&self, nudges: &[Nudge], now: Millis) -> Vec<DueTicket> {
        let mut state = lock(&self.state);
        state.nudged.retain(|_, at| now.apart(*at) < NUDGED_EVERY);
        let mut due = Vec::new();
        let most = if self.context.jira.reads_an_index() { MOST_ALONE } else { MOST };
        for Nudge { ticket, .. } in nudges {
            if due.len() == most {
                break;
            }
            if state.nudged.contains_key(ticket) {
                continue;
            }
            let gate = self.context.store().gate_of(ticket);
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
        lock(&self.state).overtaken.clear();
        self.take(&mut due);
        let scanned = lock(&self.state).scanned;
        if due.len() < MOST && scanned.is_none_or(|at| now.apart(at) >= SCAN_EVERY) {
            self.scan(health, now).await;
            self.take(&mut due);
        }
        due
    }

    /// A few of those that are to be read alone.
    pub(super) fn due_alone(&self) -> Vec<DueTicket> {
        let mut state = lock(&self.state);
        state.overtaken.clear();
        let some = state.alone.len().min(MOST_ALONE);
        state.alone.drain(..some).filter_map(|(canary, gate)| self.watched(&canary.id, &gate)).collect()
    }

    /// Now and then a ticket that waits, where only an index says so: that may be behind for long.
    pub(super) fn due_directly(&self, health: &ReadHealth, now: Millis) -> Option<DueTicket> {
        if !self.context.jira.reads_an_index() {
            return None;
        }
        let trust_for = self.context.config().jira.trust_for;
        if lock(&self.state).glanced.is_some_and(|at| now.apart(at) < trust_for / 10) {
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
            // One that cannot be read must not keep the others from being read.
            .filter(|(_, gate)| !health.is_tried(&gate.id, now))
            .map(|(canary, gate)| (health.read_directly(&gate.id).unwrap_or(gate.asked_at), canary, gate))
            .min_by_key(|(read, _, _)| *read)?;
        if now.since(read) < self.context.slow_cycle() {
            return None;
        }
        lock(&self.state).glanced = Some(now);
        self.watched(&canary.id, &gate.id)
    }

    /// Takes from the queue until there are a hundred.
    fn take(&self, due: &mut Vec<DueTicket>) {
        let state = &mut *lock(&self.state);
        let State { superseded: again, nudging, .. } = state;
        again.retain(|gate, canary| {
            let waits = due.len() == MOST || nudging.contains(gate);
            if !waits {
                due.extend(self.watched(&canary.id, gate));
            }
            waits
        });
        let mut later = Vec::new();
        while due.len() < MOST
            && let Some(queued) = state.queue.pop_front()
        {
            // If that comes to nothing this one is still due, and not all others with it.
            if state.nudging.contains(&queued.gate) {
                later.push(queued);
                continue;
            }
            let Queued { canary, gate, looked } = queued;
            if state.looked_at(&gate) == looked && !due.iter().any(|due| due.gate == gate) {
                due.extend(self.watched(&canary.id, &gate));
            }
        }
        state.queue.extend(later);
    }

    /// Goes through all live tickets, and puts those into the queue that are due, those first that wait longest.
    async fn scan(&self, health: &ReadHealth, now: Millis) {
        lock(&self.state).scanned = Some(now);
        let (poll_every, slowly) = (self.context.config().jira.poll_every, self.context.slow_cycle());
        let canaries = self.context.store().live();
        let (mut live, mut quick, mut slow) = (HashSet::default(), Cycle::default(), Cycle::default());
        let mut lost = Vec::new();
        for some in canaries.chunks(AT_A_TIME) {
            {
                let state = lock(&self.state);
                for canary in some {
                    for gate in canary.rollout.iter().flat_map(|rollout| &rollout.replaced) {
                        live.insert(&gate.id);
                        let looked = state.looked_at(&gate.id);
                        // The longer ago it was seen, the less it is hoped for.
                        let least = if gate.is_labelled() { poll_every } else { slowly };
                        let every = least.max(gate.seen_at().map_or(least, |seen| now.since(seen) / 8));
                        if looked.is_none_or(|at| now.apart(at) >= every) {
                            lost.push((looked, canary, &gate.id));
                        }
                    }
                    for (_, gate) in live_gates(canary).filter(|(_, gate)| gate.ticket().is_some()) {
                        live.insert(&gate.id);
                        let (cycle, every) = match self.is_asked_about(&canary.id, gate, now) {
                            true => (&mut quick, poll_every),
                            false => (&mut slow, slowly),
                        };
                        let looked = state.looked_at(&gate.id);
                        cycle.due |= looked.is_none_or(|at| now.apart(at) >= every);
                        cycle.tickets.push((looked, canary, &gate.id));
                    }
                }
            }
            yield_now().await;
        }
        let mut due: Vec<_> =
            [quick, slow].into_iter().filter(|cycle| cycle.due).flat_map(|cycle| cycle.tickets).collect();
        due.extend(lost);
        due.sort_by_key(|(looked, _, _)| *looked);
        let queued = due.into_iter().map(|(looked, canary, gate)| Queued {
            canary: Arc::clone(canary),
            gate: gate.clone(),
            looked,
        });
        let mut state = lock(&self.state);
        state.queue.extend(queued);
        state.last_read.retain(|gate, _| live.contains(gate));
        drop(state);
        health.retain(&live, now);
        self.context.gatekeeper.unread_tickets().retain(&live);
    }

    /// Whether Flagger has asked at this gate lately: then it is read soon again, else now and then.
    fn is_asked_about(&self, canary: &CanaryId, gate: &Gate, now: Millis) -> bool {
        // What another replica is asked is known here only some time later.
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
