//! Steps of traffic that have gates of their own.

use super::handle::Gatekeeper;
use crate::{
    gate::{Gate, GateName, Stage},
    policy::Traffic,
    rollout::{Canary, CanaryId, StepReading},
};

impl Gatekeeper {
    /// What is known of the step of traffic that a question is about. `None`: steps have no gates of their own there.
    pub(super) async fn step_reading(&self, id: &CanaryId, gate: &GateName) -> Option<StepReading> {
        match (gate.stage, self.route(id, gate).ticket.traffic) {
            (Stage::ConfirmTrafficIncrease, Traffic::Step) => Some(self.clusters.next_share(id).await),
            (Stage::ConfirmTrafficIncrease, Traffic::Once)
            | (Stage::ConfirmRollout | Stage::ConfirmPromotion | Stage::Gate, _) => None,
        }
    }
}

/// The name of the gate that a question is about.
pub(super) fn asked_about(canary: &Canary, gate: &GateName, step: Option<&StepReading>) -> GateName {
    match step {
        Some(_) => canary.step_name(gate),
        None => gate.clone(),
    }
}

/// The gate that a question is about, if it is there.
pub(super) fn known<'a>(canary: &'a Canary, gate: &GateName, step: Option<&StepReading>) -> Option<&'a Gate> {
    match step {
        Some(_) => canary.step_gate(gate),
        None => canary.gate(gate),
    }
}
