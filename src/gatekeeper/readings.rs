//! What was read of tickets: what closes a gate does so at once, stored or not.

use std::sync::Arc;

use super::{
    handle::Gatekeeper,
    unsaved_readings::{TicketReading, UnsavedReading},
};
use crate::{
    gate::{GateId, GateState, IssueSnapshot, TicketState},
    rollout::{Canary, CanaryId, Change},
};

/// Why an approval opens nothing that was read after a decision which could not be stored.
const NOT_STORED: &str = "it could not be stored so far, nor what was decided before it";

impl Gatekeeper {
    /// A ticket was read, which is about to be stored. What closes its gate holds from now on.
    pub fn apply_reading(&self, id: &CanaryId, reading: TicketReading) {
        let Some(canary) = self.store.canary(id) else { return };
        let Some(gate) = canary.gate_by_id(&reading.gate) else { return };
        let over = gate.state.clone();
        let Change::To { canary: is, .. } = self.preview(&canary, &reading.event(), reading.at) else {
            return;
        };
        let Some(gate) = is.gate_by_id(&reading.gate) else { return };
        let (shows, opens) = match &gate.state {
            GateState::Watched { ticket, seen, ticket_state: TicketState::Approved { status, decision } } => {
                let (status, decision) = (status.clone(), decision.clone());
                let ticket_state = TicketState::NotJudged { status, decision, why: NOT_STORED.into() };
                (GateState::Watched { ticket: ticket.clone(), seen: *seen, ticket_state }, true)
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

    /// Whether more of a gate's ticket was seen before, stored or not, than this shows.
    pub fn knows_newer(&self, canary: &Canary, gate: &GateId, snapshot: &IssueSnapshot) -> bool {
        let unsaved = self.unsaved_readings.newest_move(gate);
        let Some(gate) = canary.gate_by_id(gate) else { return false };
        snapshot.is_older_than(&gate.id, gate.newest_move.max(unsaved))
    }

    /// What was read of the ticket of this gate is stored, or is no news.
    pub fn reading_stored(&self, gate: &GateId) {
        self.unsaved_readings.remove(gate);
    }
}
