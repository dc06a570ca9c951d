//! Readings of tickets that are not stored yet: they close gates all the same. Kept in memory only, by the leader,
//! until they or newer ones are stored.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{
    gate::{GateId, GateState, IssueSnapshot, OtherAuthors},
    lock::lock,
    millis::Millis,
    policy::{Author, Statuses},
    rollout::{Canary, CanaryId, Denials, Event},
};

/// A reading of a ticket.
#[derive(Clone, Debug)]
pub struct TicketReading {
    /// The gate that the ticket belongs to.
    pub gate: GateId,
    /// What Jira showed.
    pub snapshot: IssueSnapshot,
    /// What the statuses mean in the ticket's workflow.
    pub statuses: Statuses,
    /// Whether the move counts that decided; without meaning if none did.
    pub author: Author,
    /// Whether the moves count that made the steps before it.
    pub authors: OtherAuthors,
    /// Who was ruled out when that was judged.
    pub denials: Denials,
    /// When Jira was asked, by the bridge's clock.
    pub at: Millis,
    /// When Jira answered, by the bridge's clock.
    pub arrived: Millis,
}

impl TicketReading {
    /// The same as an event.
    #[must_use]
    pub const fn event(&self) -> Event<'_> {
        let Self { gate, snapshot, statuses, author, authors, denials, at: _, arrived } = self;
        Event::Seen { gate, snapshot, statuses, author, authors, denials, arrived: *arrived }
    }
}

#[derive(Default)]
pub(super) struct UnsavedReadings(Mutex<HashMap<GateId, UnsavedReading>>);

/// A reading that is not stored.
#[derive(Clone)]
pub(super) struct UnsavedReading {
    pub(super) canary: CanaryId,
    pub(super) reading: Arc<TicketReading>,
    /// The stored state of the gate when this was read. If the stored state differs now, something newer was stored.
    pub(super) supersedes: GateState,
    /// The state of the gate by this reading.
    pub(super) shows: GateState,
}

impl UnsavedReadings {
    fn all(&self) -> MutexGuard<'_, HashMap<GateId, UnsavedReading>> {
        lock(&self.0)
    }

    fn of(&self, canary: &Canary) -> Vec<UnsavedReading> {
        let all = self.all();
        if all.is_empty() {
            return Vec::new();
        }
        let is_current = |kept: &&UnsavedReading| {
            kept.canary == canary.id
                && canary.gate_by_id(&kept.reading.gate).is_some_and(|gate| gate.state == kept.supersedes)
        };
        all.values().filter(is_current).cloned().collect()
    }

    /// Keeps a reading. One that `opens` a gate is stored first, and kept only to replace one that closed it.
    pub(super) fn insert(&self, kept: UnsavedReading, opens: bool) {
        let mut all = self.all();
        if !opens || all.contains_key(&kept.reading.gate) {
            all.insert(kept.reading.gate.clone(), kept);
        }
    }

    /// When the ticket of this gate was last moved, by Jira's clock, according to its unsaved reading.
    pub(super) fn newest_move(&self, gate: &GateId) -> Option<Millis> {
        self.all().get(gate)?.reading.snapshot.newest_move(gate)
    }

    /// The reading of this gate's ticket is stored, or changes nothing.
    pub(super) fn remove(&self, gate: &GateId) {
        self.all().remove(gate);
    }

    /// The canary with its unsaved readings applied.
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

    /// The unsaved readings of this canary's tickets, if its state is the one in which they were read.
    pub(super) fn readings(&self, canary: &Canary) -> Vec<Arc<TicketReading>> {
        self.of(canary).into_iter().map(|kept| kept.reading).collect()
    }
}
