//! What was read of tickets and is not stored yet: it closes their gates all the same. Kept in memory alone, by the replica that
//! reads tickets, until it is stored or something newer was.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Gatekeeper;
use crate::{
    gate::{GateId, Sighting, Standing, View},
    millis::Millis,
    policy::{Author, Statuses},
    rollout::{Canary, CanaryId, Change, Denials, Event},
};

/// Why an approval opens nothing that was read after a decision which could not be stored.
const NOT_STORED: &str = "it could not be stored so far, nor what was decided before it";

/// What was read of a ticket.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The gate whose ticket it is.
    pub gate: GateId,
    /// What Jira showed.
    pub sighting: Sighting,
    /// What statuses mean there.
    pub statuses: Statuses,
    /// Whether the move counts that decided; of no matter if none did.
    pub author: Author,
    /// Who was ruled out when that was judged.
    pub denials: Denials,
    /// When Jira was asked, by our clock.
    pub at: Millis,
    /// When it answered, by our clock.
    pub arrived: Millis,
}

impl Reading {
    /// The same as an event.
    #[must_use]
    pub const fn event(&self) -> Event<'_> {
        let Self { gate, sighting, statuses, author, denials, at: _, arrived } = self;
        Event::Seen { gate, sighting, statuses, author, denials, arrived: *arrived }
    }
}

#[derive(Default)]
pub(super) struct Unsaved(Mutex<HashMap<GateId, Kept>>);

#[derive(Clone)]
struct Kept {
    canary: CanaryId,
    reading: Arc<Reading>,
    /// How the gate stood when this was read, as far as stored. Where it stands otherwise by now, something newer was stored.
    over: Standing,
    /// How it stands by this.
    shows: Standing,
}

impl Unsaved {
    fn all(&self) -> MutexGuard<'_, HashMap<GateId, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, canary: &Canary) -> Vec<Kept> {
        let all = self.all();
        if all.is_empty() {
            return Vec::new();
        }
        let stands = |kept: &&Kept| {
            kept.canary == canary.id
                && canary.gate_by_id(&kept.reading.gate).is_some_and(|gate| gate.standing == kept.over)
        };
        all.values().filter(stands).cloned().collect()
    }
}

impl Gatekeeper {
    /// A ticket was read, which is about to be stored. What closes its gate holds from now on.
    pub fn was_read(&self, id: &CanaryId, reading: Reading) {
        let Some(canary) = self.store.canary(id) else { return };
        let Some(gate) = canary.gate_by_id(&reading.gate) else { return };
        let over = gate.standing.clone();
        let Change::To { canary: is, .. } = self.would(&canary, &reading.event(), reading.at) else { return };
        let Some(gate) = is.gate_by_id(&reading.gate) else { return };
        let mut all = self.unsaved.all();
        let shows = match &gate.standing {
            Standing::Watched { ticket, seen, view: View::Approved { status, decision } } => {
                // What opens is stored first. It may take back what closed.
                if !all.contains_key(&reading.gate) {
                    return;
                }
                let (status, decision) = (status.clone(), decision.clone());
                let view = View::Unjudged { status, decision, why: NOT_STORED.into() };
                Standing::Watched { ticket: ticket.clone(), seen: *seen, view }
            }
            Standing::Watched { .. } | Standing::Opening | Standing::Stuck { .. } => gate.standing.clone(),
        };
        let kept = Kept { canary: id.clone(), over, shows, reading: Arc::new(reading) };
        all.insert(kept.reading.gate.clone(), kept);
    }

    /// Whether more of a gate's ticket was seen before, stored or not, than this shows.
    pub fn knows_newer(&self, canary: &Canary, gate: &GateId, sighting: &Sighting) -> bool {
        let unsaved = self.unsaved.all().get(gate).and_then(|kept| kept.reading.sighting.newest_move(gate));
        let Some(gate) = canary.gate_by_id(gate) else { return false };
        sighting.is_older_than(&gate.id, gate.newest_move.max(unsaved))
    }

    /// What was read of the ticket of this gate is stored, or is no news.
    pub fn was_stored(&self, gate: &GateId) {
        self.unsaved.all().remove(gate);
    }

    /// The canary with what was read of its tickets and is not stored yet.
    pub(super) fn as_read(&self, canary: Arc<Canary>) -> Arc<Canary> {
        let kept = self.unsaved.of(&canary);
        if kept.is_empty() {
            return canary;
        }
        let mut canary = (*canary).clone();
        for gate in canary.rollout.iter_mut().flat_map(|rollout| &mut rollout.gates) {
            if let Some(kept) = kept.iter().find(|kept| kept.reading.gate == gate.id) {
                gate.standing = kept.shows.clone();
            }
        }
        Arc::new(canary)
    }

    /// What was read of the tickets of this canary, stored so, and is not stored yet.
    pub(super) fn unsaved(&self, canary: &Canary) -> Vec<Arc<Reading>> {
        self.unsaved.of(canary).into_iter().map(|kept| kept.reading).collect()
    }
}
