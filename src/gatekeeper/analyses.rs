//! How far the analysis of a new version is, as the watches of Canaries show it.

use super::handle::Gatekeeper;
use crate::{
    gate::{Gate, GateId, Stage},
    millis::Millis,
    rollout::{Analysis, CanaryId},
};

impl Gatekeeper {
    /// How far the analysis of a canary is, if this gate belongs to its current rollout.
    #[must_use]
    pub fn analysis(&self, id: &CanaryId, gate: &GateId, now: Millis) -> Option<Analysis> {
        let analysis = self.clusters.analysis(id, now)?;
        self.store.canary(id)?.gate_by_id(gate).map(|_| analysis)
    }

    /// The share of the traffic that goes to the new version, in percent.
    pub(super) fn weight(&self, id: &CanaryId, gate: &Gate, now: Millis) -> Option<u8> {
        let analysis = self.clusters.analysis(id, now)?;
        analysis.weight.or(match gate.name.stage {
            // Not seen since the bridge started, as in WaitingPromotion: the traffic stays where it was when this was asked.
            Stage::ConfirmPromotion => gate.weight,
            Stage::ConfirmRollout | Stage::ConfirmTrafficIncrease | Stage::Gate => None,
        })
    }
}
