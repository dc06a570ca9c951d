//! Whose turn it is to be looked at.
//!
//! All live tickets are gone through once a second at most, however much happens: once one of them is due, all of its pace
//! are, so that a cycle costs a request for a hundred tickets and no more. They stand in a queue, from which each look
//! takes a hundred. What a look took and could not read comes again with the next round, so that a hundred that cannot
//! be read do not keep the others from being read.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::task::yield_now;

use super::{Worker, look::MOST, read::MOST_ALONE};
use crate::{
    gate::{Gate, GateId, Standing, Ticket, View},
    map::Map,
    millis::Millis,
    rollout::{Canary, CanaryId},
    store::Nudge,
};

/// A ticket is not read for nudges more often than this, however many come.
const NUDGED_EVERY: Duration = Duration::from_secs(1);
/// All tickets are gone through once in this time at most.
const SCAN_EVERY: Duration = Duration::from_secs(1);
/// After so many canaries that were gone through, whoever wants to answer comes first.
const AT_A_TIME: usize = 250;

/// A ticket to be looked at.
pub(super) struct Due {
    pub(super) canary: Arc<Canary>,
    pub(super) gate: GateId,
    pub(super) ticket: Ticket,
}

/// A ticket in the queue, and when it was last looked at as it came there: a later look makes this one needless.
struct Queued {
    canary: Arc<Canary>,
    gate: GateId,
    looked: Option<Millis>,
}

/// When tickets were looked at, and which are next.
#[derive(Default)]
pub(super) struct Turns {
    /// When what was seen of each live ticket was last stored; without that it is due.
    looked: Map<GateId, Millis>,
    /// When each ticket was last read for a nudge.
    nudged: HashMap<String, Millis>,
    /// Of which the ticket is being read for a nudge.
    nudging: HashSet<GateId>,
    /// Which a reading for a nudge has shown since the round at hand began.
    overtaken: HashSet<GateId>,
    /// Of which a round has yielded: they come before all others.
    again: Map<GateId, Arc<Canary>>,
    queue: VecDeque<Queued>,
    /// Which are to be read alone, once all in the queue were read.
    alone: VecDeque<(Arc<Canary>, GateId)>,
    /// When a ticket was last read past every index only because it waits.
    glanced: Option<Millis>,
    scanned: Option<Millis>,
}

/// The tickets of one pace, each with when it was last looked at.
#[derive(Default)]
struct Round<'a> {
    tickets: Vec<(Option<Millis>, &'a Arc<Canary>, &'a GateId)>,
    /// Whether one of them is due, and all with it.
    due: bool,
}

impl Turns {
    /// A ticket was opened, and nobody has looked at it yet: it comes before those that were looked at.
    pub(super) fn opened(&mut self, canary: Arc<Canary>, gate: GateId) {
        self.queue.push_front(Queued { canary, gate, looked: None });
    }

    /// What was seen of the ticket of this gate is stored.
    pub(super) fn looked(&mut self, gate: &GateId, at: Millis) {
        self.looked.insert(gate.clone(), at);
    }

    /// Whether what a round shows of this ticket does not count, for it was read for a nudge as well, and which reading is
    /// newer cannot be told.
    pub(super) fn yields(&self, gate: &GateId) -> bool {
        self.overtaken.contains(gate) || self.nudging.contains(gate)
    }

    /// A ticket is to be read alone, once all others were read.
    pub(super) fn alone(&mut self, due: &Due, now: Millis) {
        self.looked(&due.gate, now);
        if !self.alone.iter().any(|(_, gate)| *gate == due.gate) {
            self.alone.push_back((Arc::clone(&due.canary), due.gate.clone()));
        }
    }

    /// A round has yielded.
    pub(super) fn again(&mut self, due: &Due) {
        self.again.insert(due.gate.clone(), Arc::clone(&due.canary));
    }

    /// A reading for a nudge showed this ticket. Rounds yield to it, whatever comes of a later one.
    pub(super) fn nudge_saw(&mut self, gate: &GateId) {
        self.overtaken.insert(gate.clone());
    }

    /// Nothing is read for nudges. No round yields to what was read in vain.
    pub(super) fn nudges_done(&mut self) {
        self.nudging.clear();
    }

    /// Another replica reads tickets.
    pub(super) fn follows(&mut self) {
        self.queue.clear();
        self.alone.clear();
        self.again.clear();
    }

    fn looked_at(&self, gate: &GateId) -> Option<Millis> {
        self.looked.get(gate).copied()
    }
}

impl Worker {
    /// At most a hundred of the nudged tickets. Until [`Turns::nudges_done`] no round takes them.
    pub(super) fn nudged(&self, nudges: &[Nudge], now: Millis) -> Vec<Due> {
        let store = self.store();
        let turns = &mut self.memory().turns;
        turns.nudged.retain(|_, at| now.apart(*at) < NUDGED_EVERY);
        let mut due = Vec::new();
        let most = if self.jira.reads_an_index() { MOST_ALONE } else { MOST };
        for Nudge { ticket, .. } in nudges {
            if due.len() == most {
                break;
            }
            if turns.nudged.contains_key(ticket) {
                continue;
            }
            let found = store.gate_of(ticket).and_then(|(canary, gate)| self.watched(&canary, &gate));
            if let Some(found) = found {
                turns.nudged.insert(ticket.clone(), now);
                turns.nudging.insert(found.gate.clone());
                due.push(found);
            }
        }
        due
    }

    /// At most a hundred tickets whose turn it is.
    pub(super) async fn due(&self, now: Millis) -> Vec<Due> {
        let mut due = Vec::new();
        self.memory().turns.overtaken.clear();
        self.take(&mut due);
        let scanned = self.memory().turns.scanned;
        if due.len() < MOST && scanned.is_none_or(|at| now.apart(at) >= SCAN_EVERY) {
            self.scan(now).await;
            self.take(&mut due);
        }
        due
    }

    /// A few of those that are to be read alone.
    pub(super) fn due_alone(&self) -> Vec<Due> {
        let turns = &mut self.memory().turns;
        turns.overtaken.clear();
        let some = turns.alone.len().min(MOST_ALONE);
        let some: Vec<_> = turns.alone.drain(..some).collect();
        some.into_iter().filter_map(|(canary, gate)| self.watched(&canary.id, &gate)).collect()
    }

    /// Now and then a ticket that waits, where only an index says so: that may be behind for long.
    pub(super) fn due_directly(&self, now: Millis) -> Option<Due> {
        if !self.jira.reads_an_index() {
            return None;
        }
        let trust_for = self.gatekeeper.timing().trust_for;
        let glanced = self.memory().turns.glanced;
        if glanced.is_some_and(|at| now.apart(at) < trust_for / 10) {
            return None;
        }
        let canaries = self.store().live();
        let gates = canaries.iter().flat_map(|canary| {
            let gates = canary.rollout.iter().flat_map(|rollout| &rollout.gates);
            gates.map(move |gate| (canary, gate))
        });
        let waiting = gates.filter(|(canary, gate)| {
            matches!(gate.standing, Standing::Watched { view: View::Waiting { .. }, .. })
                && self.is_asked_about(&canary.id, gate, now)
        });
        let memory = self.memory();
        let (read, canary, gate) = waiting
            // One that cannot be read must not keep the others from their turn.
            .filter(|(_, gate)| !memory.manners.rests(&gate.id, now))
            .map(|(canary, gate)| {
                (memory.manners.read_directly(&gate.id).unwrap_or(gate.asked), canary, gate)
            })
            .min_by_key(|(read, _, _)| *read)?;
        drop(memory);
        if now.since(read) < trust_for / 3 {
            return None;
        }
        self.memory().turns.glanced = Some(now);
        self.watched(&canary.id, &gate.id)
    }

    /// Takes from the queue until there are a hundred.
    fn take(&self, due: &mut Vec<Due>) {
        let turns = &mut self.memory().turns;
        let Turns { again, nudging, .. } = turns;
        again.retain(|gate, canary| {
            let waits = due.len() == MOST || nudging.contains(gate);
            if !waits {
                due.extend(self.watched(&canary.id, gate));
            }
            waits
        });
        let mut later = Vec::new();
        while due.len() < MOST
            && let Some(queued) = turns.queue.pop_front()
        {
            // If that comes to nothing, it is still this one's turn, and not that of all others with it.
            if turns.nudging.contains(&queued.gate) {
                later.push(queued);
                continue;
            }
            let Queued { canary, gate, looked } = queued;
            if turns.looked_at(&gate) == looked && !due.iter().any(|due| due.gate == gate) {
                due.extend(self.watched(&canary.id, &gate));
            }
        }
        turns.queue.extend(later);
    }

    /// Goes through all live tickets, and puts those into the queue whose turn it is, those first that wait longest.
    async fn scan(&self, now: Millis) {
        self.memory().turns.scanned = Some(now);
        let slowly = self.gatekeeper.timing().trust_for / 3;
        let canaries = self.store().live();
        let (mut live, mut quick, mut slow) = (HashSet::default(), Round::default(), Round::default());
        let mut lost = Vec::new();
        for some in canaries.chunks(AT_A_TIME) {
            {
                let turns = &self.memory().turns;
                for canary in some {
                    for gate in canary.rollout.iter().flat_map(|rollout| &rollout.replaced) {
                        live.insert(&gate.id);
                        let looked = turns.looked_at(&gate.id);
                        // The longer ago it was seen, the less it is hoped for.
                        let least = if gate.is_labelled() { self.pace.poll_every } else { slowly };
                        let every = least.max(gate.seen_at().map_or(least, |seen| now.since(seen) / 8));
                        if looked.is_none_or(|at| now.apart(at) >= every) {
                            lost.push((looked, canary, &gate.id));
                        }
                    }
                    let gates = canary.rollout.iter().flat_map(|rollout| &rollout.gates);
                    for gate in gates.filter(|gate| gate.ticket().is_some()) {
                        live.insert(&gate.id);
                        let (round, every) = match self.is_asked_about(&canary.id, gate, now) {
                            true => (&mut quick, self.pace.poll_every),
                            false => (&mut slow, slowly),
                        };
                        let looked = turns.looked_at(&gate.id);
                        round.due |= looked.is_none_or(|at| now.apart(at) >= every);
                        round.tickets.push((looked, canary, &gate.id));
                    }
                }
            }
            yield_now().await;
        }
        let mut due: Vec<_> =
            [quick, slow].into_iter().filter(|round| round.due).flat_map(|round| round.tickets).collect();
        due.extend(lost);
        due.sort_by_key(|(looked, _, _)| *looked);
        let queued = due.into_iter().map(|(looked, canary, gate)| Queued {
            canary: Arc::clone(canary),
            gate: gate.clone(),
            looked,
        });
        let memory = &mut *self.memory();
        memory.turns.queue.extend(queued);
        memory.turns.looked.retain(|gate, _| live.contains(gate));
        memory.manners.keep(&live, now);
        self.gatekeeper.unread().keep(&live);
    }

    /// Whether Flagger has asked at this gate lately: then it is read soon again, else now and then.
    fn is_asked_about(&self, canary: &CanaryId, gate: &Gate, now: Millis) -> bool {
        // What another replica is asked is known here only some time later.
        let asked = self.store().asked_at(canary, &gate.id).max(Some(gate.asked));
        asked.is_some_and(|at| now.since(at) < self.gatekeeper.timing().trust_for)
    }

    /// A live gate with its ticket.
    fn watched(&self, canary: &CanaryId, gate: &GateId) -> Option<Due> {
        let canary = self.store().canary(canary)?;
        let ticket = canary.gate_by_id(gate)?.ticket()?.clone();
        Some(Due { canary, gate: gate.clone(), ticket })
    }
}
