//! Whose turn it is to be looked at.
//!
//! All live tickets are gone through once a second at most, however much happens: once one of them is due, all of its pace
//! are, so that a cycle costs a request for a hundred tickets and no more. They stand in a queue, from which each look
//! takes a hundred. Nudged tickets come before every other. What a look took and could not read comes
//! again with the next round, so that a hundred that cannot be read do not keep the others from being read.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{Worker, look::MOST};
use crate::{
    gate::{Gate, GateId, Ticket},
    millis::Millis,
    rollout::{Canary, CanaryId},
};

/// A ticket is not read for nudges more often than this, however many come.
const NUDGED_EVERY: Duration = Duration::from_secs(1);
/// All tickets are gone through once in this time at most.
const SCAN_EVERY: Duration = Duration::from_secs(1);

/// A ticket to be looked at.
pub(super) struct Due {
    pub(super) canary: Arc<Canary>,
    pub(super) gate: GateId,
    pub(super) ticket: Ticket,
}

/// A ticket in the queue, and when it was last looked at as it came there: a later look makes this one needless.
struct Queued {
    canary: CanaryId,
    gate: GateId,
    looked: Option<Millis>,
}

/// When tickets were looked at, and which are next.
#[derive(Default)]
pub(super) struct Turns {
    /// When each live ticket was last read.
    looked: HashMap<GateId, Millis>,
    /// When each ticket was last read for a nudge.
    nudged: HashMap<String, Millis>,
    queue: VecDeque<Queued>,
    scanned: Option<Millis>,
}

/// The tickets of one pace.
#[derive(Default)]
struct Round {
    tickets: Vec<Queued>,
    /// Whether one of them is due, and all with it.
    due: bool,
}

impl Turns {
    /// A ticket was opened, and nobody has looked at it yet: it comes before those that were looked at.
    pub(super) fn opened(&mut self, canary: &CanaryId, gate: &GateId) {
        self.queue.push_front(Queued { canary: canary.clone(), gate: gate.clone(), looked: None });
    }

    pub(super) fn looked(&mut self, gate: &GateId, now: Millis) {
        self.looked.insert(gate.clone(), now);
    }
}

impl Worker {
    /// At most a hundred tickets whose turn it is.
    pub(super) fn due(&self, nudges: &[(String, Millis)], now: Millis) -> Vec<Due> {
        let store = self.gatekeeper.store();
        let turns = &mut self.memory().turns;
        turns.nudged.retain(|_, at| now.apart(*at) < NUDGED_EVERY);
        let mut due = Vec::new();
        let mut taken = HashSet::new();
        for (ticket, _) in nudges {
            if due.len() == MOST {
                break;
            }
            if turns.nudged.contains_key(ticket) {
                continue;
            }
            let Some(found) = store.gate_of(ticket).and_then(|(canary, gate)| self.watched(&canary, &gate))
            else {
                continue;
            };
            turns.nudged.insert(ticket.clone(), now);
            taken.insert(found.gate.clone());
            due.push(found);
        }
        while due.len() < MOST {
            let Some(Queued { canary, gate, looked }) = turns.queue.pop_front() else {
                if turns.scanned.is_some_and(|at| now.apart(at) < SCAN_EVERY) {
                    break;
                }
                self.scan(turns, now);
                continue;
            };
            if turns.looked.get(&gate).copied() != looked || !taken.insert(gate.clone()) {
                continue;
            }
            due.extend(self.watched(&canary, &gate));
        }
        due
    }

    /// Goes through all live tickets, and puts those into the queue whose turn it is, those first that wait longest.
    fn scan(&self, turns: &mut Turns, now: Millis) {
        turns.scanned = Some(now);
        let (mut live, mut quick, mut slow) = (HashSet::new(), Round::default(), Round::default());
        let slowly = self.gatekeeper.timing().trust_for / 3;
        for canary in self.gatekeeper.store().live() {
            for gate in canary.rollout.iter().flat_map(|rollout| &rollout.gates) {
                if gate.ticket().is_none() {
                    continue;
                }
                live.insert(gate.id.clone());
                let looked = turns.looked.get(&gate.id).copied();
                let (round, every) = match self.is_asked_about(&canary.id, gate, now) {
                    true => (&mut quick, self.pace.poll_every),
                    false => (&mut slow, slowly),
                };
                round.due |= looked.is_none_or(|at| now.apart(at) >= every);
                round.tickets.push(Queued { canary: canary.id.clone(), gate: gate.id.clone(), looked });
            }
        }
        let mut due: Vec<Queued> =
            [quick, slow].into_iter().filter(|round| round.due).flat_map(|round| round.tickets).collect();
        due.sort_by_key(|queued| queued.looked);
        turns.queue.extend(due);
        turns.looked.retain(|gate, _| live.contains(gate));
        self.gatekeeper.unread().keep(&live);
    }

    /// Whether Flagger has asked at this gate lately: then it is read soon again, else now and then.
    fn is_asked_about(&self, canary: &CanaryId, gate: &Gate, now: Millis) -> bool {
        // What another replica is asked is known here only some time later.
        let asked = self.gatekeeper.store().asked_at(canary, &gate.id).max(Some(gate.asked));
        asked.is_some_and(|at| now.since(at) < self.gatekeeper.timing().trust_for)
    }

    /// A live gate with its ticket.
    fn watched(&self, canary: &CanaryId, gate: &GateId) -> Option<Due> {
        let canary = self.gatekeeper.store().canary(canary)?;
        let ticket = canary.gate_by_id(gate)?.ticket()?.clone();
        Some(Due { canary, gate: gate.clone(), ticket })
    }
}
