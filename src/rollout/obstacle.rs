//! PURE: why no approval of a ticket counts, whoever gives it.

use serde::{Deserialize, Serialize};

use super::canary::Rollout;
use crate::{
    gate::{Gate, Stage},
    policy::PersonEntry,
};

/// Why no approval of a ticket counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// An entry of `approval.deny` came out empty.
    EmptyDenial,
    /// The questions of the rollout ruled out too many accounts.
    TooManyDenials,
    /// An approval is for what the ticket shows, and the ticket shows nothing.
    NothingShown,
}

impl Obstacle {
    /// The obstacle of a gate, if there is one. `deny` is who may not approve it; with `binds` an approval of the start is
    /// for what the ticket shows.
    pub(super) fn of(rollout: &Rollout, gate: &Gate, deny: &[String], binds: bool) -> Option<Self> {
        if deny.iter().any(|entry| PersonEntry::read(entry).is_empty()) {
            Some(Self::EmptyDenial)
        } else if rollout.has_too_many_denials() {
            Some(Self::TooManyDenials)
        } else if binds && gate.name.stage == Stage::ConfirmRollout && gate.shows.is_none() {
            Some(Self::NothingShown)
        } else {
            None
        }
    }
}
