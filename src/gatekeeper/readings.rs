//! What was read of tickets: what closes a gate does so at once, stored or not.

use std::sync::Arc;

use super::{
    base::Gatekeeper,
    unsaved::{Kept, Reading},
};
use crate::{
    gate::{GateId, IssueSnapshot, GateState, TicketState},
    rollout::{Canary, CanaryId, Change},
};

/// Why an approval opens nothing that was read after a decision which could not be stored.
const NOT_STORED: &str = "it could not be stored so far, nor what was decided before it";

impl Gatekeeper {
    /// A ticket was read, which is about to be stored. What closes its gate holds from now on.
    pub fn was_read(&self, id: &CanaryId, reading: Reading) {
        let Some(canary) = self.store.canary(id) else { return };
        let Some(gate) = canary.gate_by_id(&reading.gate) else { return };
        let over = gate.standing.clone();
        let Change::To { canary: is, .. } = self.would(&canary, &reading.event(), reading.at) else { return };
        let Some(gate) = is.gate_by_id(&reading.gate) else { return };
        let (shows, opens) = match &gate.standing {
            GateState::Watched { ticket, seen, view: TicketState::Approved { status, decision } } => {
                let (status, decision) = (status.clone(), decision.clone());
                let view = TicketState::Unjudged { status, decision, why: NOT_STORED.into() };
                (GateState::Watched { ticket: ticket.clone(), seen: *seen, view }, true)
            }
            GateState::Watched { .. } | GateState::Opening | GateState::Stuck { .. } => {
                (gate.standing.clone(), false)
            }
        };
        self.unsaved.keep(Kept { canary: id.clone(), reading: Arc::new(reading), over, shows }, opens);
    }

    /// Whether more of a gate's ticket was seen before, stored or not, than this shows.
    pub fn knows_newer(&self, canary: &Canary, gate: &GateId, sighting: &IssueSnapshot) -> bool {
        let unsaved = self.unsaved.newest_move(gate);
        let Some(gate) = canary.gate_by_id(gate) else { return false };
        sighting.is_older_than(&gate.id, gate.newest_move.max(unsaved))
    }

    /// What was read of the ticket of this gate is stored, or is no news.
    pub fn was_stored(&self, gate: &GateId) {
        self.unsaved.forget(gate);
    }
}
