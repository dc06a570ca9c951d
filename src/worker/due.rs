//! Whose turn it is to be looked at.
//!
//! All live tickets are gone through once a second at most, however much happens: what is due then stands in a queue,
//! from which each look takes a hundred. Nudged tickets come before every other. What a look took and could not read comes
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

/// When tickets were looked at, and which are next.
#[derive(Default)]
pub(super) struct Turns {
    /// When each live ticket was last read.
    looked: HashMap<GateId, Millis>,
    /// When each ticket was last read for a nudge.
    nudged: HashMap<String, Millis>,
    queue: VecDeque<(CanaryId, GateId)>,
    scanned: Option<Millis>,
}

impl Turns {
    /// A ticket was opened, and nobody has looked at it yet: it comes before those that were looked at.
    pub(super) fn opened(&mut self, canary: &CanaryId, gate: &GateId) {
        self.queue.push_front((canary.clone(), gate.clone()));
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
            let Some((canary, gate)) = turns.queue.pop_front() else {
                if turns.scanned.is_some_and(|at| now.apart(at) < SCAN_EVERY) {
                    break;
                }
                self.scan(turns, now);
                continue;
            };
            if taken.contains(&gate) {
                continue;
            }
            let Some(found) = self.watched(&canary, &gate) else { continue };
            if found.canary.gate_by_id(&gate).is_some_and(|gate| self.is_due(turns, &canary, gate, now)) {
                taken.insert(gate);
                due.push(found);
            }
        }
        due
    }

    /// Goes through all live tickets, and puts those into the queue whose turn it is, those first that wait longest.
    fn scan(&self, turns: &mut Turns, now: Millis) {
        turns.scanned = Some(now);
        let (mut live, mut due) = (HashSet::new(), Vec::new());
        for canary in self.gatekeeper.store().live() {
            for gate in canary.rollout.iter().flat_map(|rollout| &rollout.gates) {
                if gate.ticket().is_none() {
                    continue;
                }
                live.insert(gate.id.clone());
                if self.is_due(turns, &canary.id, gate, now) {
                    let looked = turns.looked.get(&gate.id).copied();
                    due.push((looked, canary.id.clone(), gate.id.clone()));
                }
            }
        }
        due.sort_by_key(|(looked, ..)| *looked);
        turns.queue.extend(due.into_iter().map(|(_, canary, gate)| (canary, gate)));
        turns.looked.retain(|gate, _| live.contains(gate));
        self.gatekeeper.unread().keep(&live);
    }

    /// Whether it is time for the next look without any nudge: soon where Flagger asks, now and then where it does not.
    fn is_due(&self, turns: &Turns, canary: &CanaryId, gate: &Gate, now: Millis) -> bool {
        let trust_for = self.gatekeeper.timing().trust_for;
        let Some(looked) = turns.looked.get(&gate.id) else { return true };
        let passed = now.apart(*looked);
        if passed < self.pace.poll_every.min(trust_for / 3) {
            return false;
        }
        // What another replica is asked is known here only some time later.
        let asked = self.gatekeeper.store().asked_at(canary, &gate.id).max(Some(gate.asked));
        let asked_lately = asked.is_some_and(|at| now.since(at) < trust_for);
        passed >= if asked_lately { self.pace.poll_every } else { trust_for / 3 }
    }

    /// A live gate with its ticket.
    fn watched(&self, canary: &CanaryId, gate: &GateId) -> Option<Due> {
        let canary = self.gatekeeper.store().canary(canary)?;
        let ticket = canary.gate_by_id(gate)?.ticket()?.clone();
        Some(Due { canary, gate: gate.clone(), ticket })
    }
}
