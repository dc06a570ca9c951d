//! PURE: what a ticket is about.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    analysis::Analysis,
    canary::is_default,
    message::{CanaryId, Message, Phase, Revision},
    progress::{Base, Progress, WaitStart},
    promotion::Bypass,
};
use crate::{
    gate::{Gate, GateName, Move, Share, Stage},
    millis::Millis,
    workload::Shown,
};

/// What a ticket is about: all that is known when Flagger first asks. Stored with the command to open it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The canary.
    pub canary: CanaryId,
    /// The gate.
    pub gate: GateName,
    /// The phase Flagger named.
    pub phase: String,
    /// The revision that is being replaced, as far as known.
    pub base: Option<String>,
    /// The revision that is being rolled out, as far as known.
    pub revision: Option<String>,
    /// The team's label for the revision.
    pub label: Option<String>,
    /// The hook's own metadata.
    pub metadata: BTreeMap<String, String>,
    /// The checksum that Flagger sent, if it is not known whether it is the previous revision's.
    #[serde(rename = "unclear", default, skip_serializing_if = "Option::is_none")]
    pub unclear_checksum: Option<String>,
    /// The team's earlier label for the same checksum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called_before: Option<String>,
    /// What the rollout would change. `None`: the bridge does not read the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Shown>,
    /// Whether an approval is for that alone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bound: bool,
    /// Whether Flagger started it although another version was approved.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unapproved: bool,
    /// It reports a promotion that no gate let pass, and opens nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bypass: Option<Bypass>,
    /// The number of the rollout among those of its canary that opened tickets, from 1. `None`: an earlier version stored it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The approvals of other tickets of the rollout that had let Flagger pass when it asked.
    #[serde(rename = "earlier", default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_approvals: Vec<EarlierApproval>,
    /// How far the analysis was. `None`: nothing is analysed, or the bridge does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,
    /// What a step of traffic changes, if the ticket is for that alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
}

/// An approval of another ticket of the same rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierApproval {
    /// Its gate.
    pub gate: GateName,
    /// The key of its ticket.
    pub ticket: String,
    /// The display name of the person who approved.
    pub by: String,
    /// When, by Jira's clock.
    pub at: Millis,
}

impl EarlierApproval {
    /// The approval of a gate, if it has one that let Flagger pass. Another one may not count, or may have expired.
    pub(super) fn of(gate: &Gate) -> Option<Self> {
        if !gate.is_approval_used() {
            return None;
        }
        let (ticket, decision) = gate.approval()?;
        let Move { at, .. } = &decision.changelog_entry;
        Some(Self { gate: gate.name.clone(), ticket: ticket.key.clone(), by: decision.by(), at: *at })
    }
}

impl Subject {
    /// What is known from a question alone. At confirm-rollout the checksum names the outgoing revision, except
    /// after a failure.
    #[must_use]
    pub fn new(
        canary: CanaryId,
        gate: GateName,
        message: &Message,
        metadata: BTreeMap<String, String>,
    ) -> Self {
        let checksum = message.checksum.as_ref().map(|Revision(checksum)| checksum.clone());
        let names_the_new = matches!(message.phase, Phase::Failed | Phase::Progressing);
        let outgoing = gate.stage == Stage::ConfirmRollout && !names_the_new;
        let (base, revision) = if outgoing { (checksum, None) } else { (None, checksum) };
        let label = message.label.as_ref().map(|label| label.0.clone());
        let phase = message.phase.as_str().into();
        Self {
            canary,
            gate,
            phase,
            base,
            revision,
            label,
            metadata,
            unclear_checksum: None,
            called_before: None,
            change: None,
            bound: false,
            unapproved: false,
            bypass: None,
            number: None,
            earlier_approvals: Vec::new(),
            analysis: None,
            share: None,
        }
    }

    /// A promotion that no gate let pass; `gate` selects the settings.
    #[must_use]
    pub fn of_bypass(canary: CanaryId, gate: GateName, bypass: Bypass) -> Self {
        let message = Message { phase: Phase::Succeeded, checksum: None, label: None };
        Self { bypass: Some(bypass), ..Self::new(canary, gate, &message, BTreeMap::new()) }
    }

    /// Replaces what this question alone says of the checksum by what the rollout knows. For confirm-rollout.
    pub fn refine(&mut self, progress: &Progress, wait_start: WaitStart) {
        let base = match progress {
            Progress::Asked(base) | Progress::Waiting(base) | Progress::Admitted(base) => base,
            Progress::Running(_) | Progress::Failing(_) => return,
        };
        let checksum = base.revision().map(|Revision(checksum)| checksum.clone());
        (self.base, self.revision, self.unclear_checksum) = match (base, wait_start) {
            (Base::Outgoing(_), WaitStart::Observed) => (checksum, None, None),
            (Base::Outgoing(_), WaitStart::Missed) => (None, None, checksum),
            (Base::AfterFailure(_) | Base::Incoming(_), _) => (None, checksum, None),
        };
    }
}
