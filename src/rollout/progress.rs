//! PURE: how far a rollout is, and how it ends.

use serde::{Deserialize, Serialize};

use super::message::{Phase, Revision};
use crate::policy::Milestone;

/// How far a rollout is, as far as its messages show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// confirm-rollout was asked.
    Asked(Base),
    /// confirm-rollout was asked again in phase `Waiting`.
    Waiting(Base),
    /// confirm-rollout was answered open.
    Admitted(Base),
    /// The revision itself is under way.
    Running(Run),
    /// Flagger reported `Failed`, but has not rolled back yet. A rejection still counts, for `rollback` alone.
    Failing(Run),
}

impl Progress {
    /// The checksum that came with confirm-rollout, if that was received.
    #[must_use]
    pub const fn base(&self) -> Option<&Base> {
        match self {
            Self::Asked(base) | Self::Waiting(base) | Self::Admitted(base) => Some(base),
            Self::Running(run) | Self::Failing(run) => run.base.as_ref(),
        }
    }
}

/// The checksum that came with confirm-rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// The revision that is being replaced.
    Outgoing(Option<Revision>),
    /// It came in phase `Failed`: after a failed rollout Flagger already sends the new revision's checksum.
    AfterFailure(Option<Revision>),
    /// It came in phase `Progressing`: exactly this revision starts when the gate opens.
    Incoming(Option<Revision>),
}

impl Base {
    /// The checksum.
    #[must_use]
    pub const fn revision(&self) -> Option<&Revision> {
        match self {
            Self::Outgoing(revision) | Self::AfterFailure(revision) | Self::Incoming(revision) => {
                revision.as_ref()
            }
        }
    }
}

/// A rollout while its revision is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The checksum of confirm-rollout, if that was received.
    pub base: Option<Base>,
    /// The revision; none if Flagger sends no checksums.
    pub revision: Option<Revision>,
    /// The furthest phase received.
    #[serde(rename = "leg")]
    pub furthest_phase: FurthestPhase,
}

/// The furthest phase of a running rollout. Within one rollout phases never go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FurthestPhase {
    /// `WaitingPromotion` was not received.
    Progressing,
    /// `WaitingPromotion` was received.
    WaitingPromotion,
}

/// Whether the first question of a wait at confirm-rollout was received. Later ones look the same after a success and
/// after a failure, although their checksum means another revision then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitStart {
    /// It was, or there is no such wait.
    #[default]
    #[serde(rename = "heard")]
    Observed,
    /// The first question received said `Waiting`: it is not known which revision its checksum means.
    Missed,
}

/// How a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Flagger reported it.
    Succeeded,
    /// Flagger reported it.
    Failed,
    /// Another rollout took its place.
    Superseded,
    /// There was no message for `abandon_after`.
    Abandoned,
    /// The Canary was deleted and created again, which starts what is deployed without a question.
    Recreated,
}

impl End {
    /// How a rollout ended by this phase of Flagger, if it did.
    pub(super) const fn by_phase(phase: Phase) -> Option<Self> {
        match phase {
            Phase::Succeeded => Some(Self::Succeeded),
            Phase::Failed => Some(Self::Failed),
            Phase::Initializing
            | Phase::Initialized
            | Phase::Waiting
            | Phase::Progressing
            | Phase::WaitingPromotion
            | Phase::Promoting
            | Phase::Finalising
            | Phase::Other => None,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Abandoned => "abandoned",
            Self::Recreated => "recreated",
        }
    }
}

/// What the end of a rollout means for one of its tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketOutcome {
    /// The rollout ended like this.
    Ended(End),
    /// The rollout succeeded although this gate was never opened.
    Bypassed,
    /// A newer revision was pushed while the rollout ran, and Flagger started that one without a question.
    #[serde(rename = "overtaken")]
    ShippedUnasked,
    /// The Canary was created again although this gate was never opened: what waited runs now.
    Recreated,
}

impl From<TicketOutcome> for Milestone {
    fn from(outcome: TicketOutcome) -> Self {
        match outcome {
            TicketOutcome::Ended(End::Succeeded) => Self::Succeeded,
            TicketOutcome::Ended(End::Failed) => Self::Failed,
            TicketOutcome::Ended(End::Superseded | End::Recreated) | TicketOutcome::ShippedUnasked => {
                Self::Superseded
            }
            TicketOutcome::Ended(End::Abandoned) => Self::Abandoned,
            TicketOutcome::Bypassed | TicketOutcome::Recreated => Self::Bypassed,
        }
    }
}
