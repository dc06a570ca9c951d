//! What was read of tickets and is not stored yet: it closes their gates all the same. Kept in memory alone, by the replica that
//! reads tickets, until it is stored or something newer was.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    gate::{GateId, GateState, IssueSnapshot},
    millis::Millis,
    policy::{Author, Statuses},
    rollout::{Canary, CanaryId, Denials, Event},
};

/// What was read of a ticket.
#[derive(Clone, Debug)]
pub struct TicketReading {
    /// The gate whose ticket it is.
    pub gate: GateId,
    /// What Jira showed.
    pub snapshot: IssueSnapshot,
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

impl TicketReading {
    /// The same as an event.
    #[must_use]
    pub const fn event(&self) -> Event<'_> {
        let Self { gate, snapshot, statuses, author, denials, at: _, arrived } = self;
        Event::Seen { gate, sighting: snapshot, statuses, author, denials, arrived: *arrived }
    }
}

#[derive(Default)]
pub(super) struct UnsavedReadings(Mutex<HashMap<GateId, UnsavedReading>>);

/// A reading that is not stored.
#[derive(Clone)]
pub(super) struct UnsavedReading {
    pub(super) canary: CanaryId,
    pub(super) reading: Arc<TicketReading>,
    /// How the gate stood when this was read, as far as stored. Where it stands otherwise by now, something newer was stored.
    pub(super) supersedes: GateState,
    /// How it stands by this.
    pub(super) shows: GateState,
}

impl UnsavedReadings {
    fn all(&self) -> MutexGuard<'_, HashMap<GateId, UnsavedReading>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, canary: &Canary) -> Vec<UnsavedReading> {
        let all = self.all();
        if all.is_empty() {
            return Vec::new();
        }
        let stands = |kept: &&UnsavedReading| {
            kept.canary == canary.id
                && canary.gate_by_id(&kept.reading.gate).is_some_and(|gate| gate.state == kept.supersedes)
        };
        all.values().filter(stands).cloned().collect()
    }

    /// Keeps what was read. What `opens` a gate is stored first, and kept only to take back what closed it.
    pub(super) fn insert(&self, kept: UnsavedReading, opens: bool) {
        let mut all = self.all();
        if !opens || all.contains_key(&kept.reading.gate) {
            all.insert(kept.reading.gate.clone(), kept);
        }
    }

    /// When the ticket of this gate was last moved, by Jira's clock, as far as what is not stored shows.
    pub(super) fn newest_move(&self, gate: &GateId) -> Option<Millis> {
        self.all().get(gate)?.reading.snapshot.newest_move(gate)
    }

    /// What was read of the ticket of this gate is stored, or is no news.
    pub(super) fn remove(&self, gate: &GateId) {
        self.all().remove(gate);
    }

    /// The canary with what was read of its tickets and is not stored yet.
    pub(super) fn as_read(&self, canary: Arc<Canary>) -> Arc<Canary> {
        let kept = self.of(&canary);
        if kept.is_empty() {
            return canary;
        }
        let mut canary = (*canary).clone();
        for gate in canary.rollout.iter_mut().flat_map(|rollout| &mut rollout.gates) {
            if let Some(kept) = kept.iter().find(|kept| kept.reading.gate == gate.id) {
                gate.state = kept.shows.clone();
            }
        }
        Arc::new(canary)
    }

    /// What was read of the tickets of this canary, stored so, and is not stored yet.
    pub(super) fn readings(&self, canary: &Canary) -> Vec<Arc<TicketReading>> {
        self.of(canary).into_iter().map(|kept| kept.reading).collect()
    }
}
