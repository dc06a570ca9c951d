//! PURE: what the API server shows of a canary when a message of Flagger arrives.

use std::sync::Arc;

use crate::{
    gate::{Gate, GateName, Stage, TargetProof},
    workload::{Change, Shown},
};

/// What the API server shows of a canary when a message of Flagger arrives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Observed {
    /// Nothing: the bridge does not read the cluster.
    #[default]
    Unread,
    /// For the ticket only: approvals are not bound to it.
    Shown(Arc<Shown>),
    /// An approval is for this alone. It is as a watch showed it, perhaps late.
    Watched {
        /// What it showed.
        shown: Arc<Shown>,
        /// Why it could not be read after the message arrived. `None`: there was no need.
        unread: Option<String>,
    },
    /// An approval is for this alone. It was read after the message arrived.
    Read(Arc<Shown>),
    /// An approval is for this alone. It was read lately, for another message, and cannot be read now. That does for
    /// questions after confirm-rollout, which name their revision.
    ReadBefore(Arc<Shown>),
}

/// What has to be read after a message arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reading {
    /// The target alone.
    Target,
    /// The ConfigMaps as well, if the bridge may read them and they are not too many.
    ConfigsIfAllowed,
    /// The ConfigMaps as well. Without them nothing is proven.
    Configs,
}

impl Reading {
    /// For the first question at a gate. Only a ticket of confirm-rollout covers what would start.
    #[must_use]
    pub fn of_new_gate(gate: &GateName) -> Self {
        match gate.stage {
            Stage::ConfirmRollout => Self::ConfigsIfAllowed,
            Stage::ConfirmTrafficIncrease | Stage::ConfirmPromotion | Stage::Gate => Self::Target,
        }
    }
}

impl Observed {
    /// What a ticket shows.
    #[must_use]
    pub fn shown(&self) -> Option<&Shown> {
        match self {
            Self::Unread => None,
            Self::Shown(shown)
            | Self::Watched { shown, .. }
            | Self::Read(shown)
            | Self::ReadBefore(shown) => Some(shown),
        }
    }

    /// Whether approvals are bound to what their tickets show.
    #[must_use]
    pub const fn is_bound(&self) -> bool {
        match self {
            Self::Unread | Self::Shown(_) => false,
            Self::Watched { .. } | Self::Read(_) | Self::ReadBefore(_) => true,
        }
    }

    /// Whether an approval is bound to it, and it could not be read.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.is_bound() && self.proven().is_none()
    }

    /// What would start now, if an approval is bound to it and it was read just now.
    pub(super) fn proven(&self) -> Option<&Change> {
        match self {
            Self::Read(shown) => shown.change(),
            Self::Unread | Self::Shown(_) | Self::Watched { .. } | Self::ReadBefore(_) => None,
        }
    }

    /// Whether a question at this stage may be answered open. confirm-rollout starts what was pushed last. The questions
    /// after it name their revision, but Flagger goes on with what is deployed then: so a ticket that shows a change
    /// is for that alone. One that could not show it is for the named revision.
    #[must_use]
    pub fn proof(&self, stage: Stage, gate: Option<&Gate>) -> TargetProof {
        if !self.is_bound() {
            return TargetProof::NotNeeded;
        }
        let (shown, is_later) = (gate.and_then(|gate| gate.shows.as_ref()), stage != Stage::ConfirmRollout);
        let read = match self {
            Self::ReadBefore(shown) if is_later => shown.change(),
            Self::Unread | Self::Shown(_) | Self::Watched { .. } | Self::Read(_) | Self::ReadBefore(_) => {
                self.proven()
            }
        };
        match (shown, read) {
            (None, _) if is_later => TargetProof::NotNeeded,
            (Some(shown), Some(change)) if shown.digest == change.digest => TargetProof::Given,
            (Some(_) | None, Some(_) | None) => TargetProof::Missing,
        }
    }
}
