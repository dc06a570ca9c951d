//! Readings of tickets: one that closes a gate takes effect at once, stored or not.

use std::sync::Arc;

use super::{
    handle::Gatekeeper,
    unsaved_readings::{TicketReading, UnsavedReading},
};
use crate::{
    gate::{GateId, GateState, IssueSnapshot, TicketState},
    rollout::{Canary, CanaryId, Change},
};

/// Why an approval opens nothing if it was read after a decision that could not be stored.
const NOT_STORED: &str = "it could not be stored so far, nor what was decided before it";

impl Gatekeeper {
    /// Applies a reading that is about to be stored. If it closes the gate, that holds from now on.
    pub fn apply_reading(&self, id: &CanaryId, reading: TicketReading) {
        let Some(canary) = self.store.canary(id) else { return };
        let Some(gate) = canary.gate_by_id(&reading.gate) else { return };
        let (over, before) = (gate.state.clone(), gate);
        let Change::To { canary: is, .. } = self.preview(&canary, &reading.event(), reading.at) else {
            return;
        };
        let Some(gate) = is.gate_by_id(&reading.gate) else { return };
        // When it may open, or what lifts a freeze, may be what closes it.
        let has_other_hours = gate.planned != before.planned || gate.exceptions != before.exceptions;
        let (shows, opens) = match &gate.state {
            GateState::Watched { ticket, seen, ticket_state: TicketState::Approved { status, decision } } => {
                let (status, decision) = (status.clone(), decision.clone());
                let ticket_state = TicketState::JudgmentPending { status, decision, why: NOT_STORED.into() };
                (GateState::Watched { ticket: ticket.clone(), seen: *seen, ticket_state }, !has_other_hours)
            }
            GateState::Watched { .. } | GateState::Opening | GateState::Stuck { .. } => {
                (gate.state.clone(), false)
            }
        };
        self.unsaved_readings.insert(
            UnsavedReading { canary: id.clone(), reading: Arc::new(reading), supersedes: over, shows },
            opens,
        );
    }

    /// Whether an earlier reading of a gate's ticket, stored or not, shows more than this one.
    pub fn knows_newer(&self, canary: &Canary, gate: &GateId, snapshot: &IssueSnapshot) -> bool {
        let unsaved = self.unsaved_readings.newest_move(gate);
        let Some(gate) = canary.gate_by_id(gate) else { return false };
        snapshot.is_older_than(&gate.id, gate.newest_move.max(unsaved))
    }

    /// The reading of this gate's ticket is stored, or changes nothing.
    pub fn reading_stored(&self, gate: &GateId) {
        self.unsaved_readings.remove(gate);
    }
}
