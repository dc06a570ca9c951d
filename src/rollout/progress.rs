//! PURE: how far a rollout is, and how it ends.

use serde::{Deserialize, Serialize};

use super::message::Revision;
use crate::policy::Milestone;

/// How far a rollout is, as far as its messages show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// confirm-rollout was asked.
    Asked(Base),
    /// … and asked again in phase `Waiting`.
    Waiting(Base),
    /// confirm-rollout was answered open.
    Admitted(Base),
    /// The revision itself was heard of.
    Running(Run),
    /// Flagger reported `Failed`, but has not rolled back yet. A rejection still stands, for `rollback` alone.
    Failing(Run),
}

/// The checksum that came with confirm-rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// The revision that is being replaced.
    Outgoing(Option<Revision>),
    /// It came in phase `Failed`: after a failed rollout Flagger already sends the new revision's.
    AfterFailure(Option<Revision>),
    /// It came in phase `Progressing`: the revision that starts, and no other, once this is answered open.
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

/// A rollout whose revision is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What came with confirm-rollout, if that was heard.
    pub base: Option<Base>,
    /// The revision; none if Flagger sends no checksums.
    pub revision: Option<Revision>,
    /// How far the phases heard went.
    #[serde(rename = "leg")]
    pub furthest_phase: FurthestPhase,
}

/// How far the phases of a running rollout went. Within one rollout they never go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FurthestPhase {
    /// `WaitingPromotion` was not heard.
    Progressing,
    /// `WaitingPromotion` was heard.
    WaitingPromotion,
}

/// Whether the first question of a wait at confirm-rollout was heard. Later ones say the same after a success and after a
/// failure, though their checksum means another revision then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitStart {
    /// It was, or there is no such wait.
    #[default]
    #[serde(rename = "heard")]
    Observed,
    /// The first that was heard said `Waiting`: which revision its checksum means is not known.
    Missed,
}

/// How a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Flagger said so.
    Succeeded,
    /// Flagger said so.
    Failed,
    /// Another rollout took its place.
    Superseded,
    /// Nothing was heard of it for `abandon_after`.
    Abandoned,
    /// The Canary was deleted and created anew, which starts what is deployed without a question.
    Recreated,
}

impl End {
    /// The word for it.
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
    Replaced,
    /// The Canary was created anew although this gate was never opened: what waited runs now.
    Recreated,
}

impl From<TicketOutcome> for Milestone {
    fn from(outcome: TicketOutcome) -> Self {
        match outcome {
            TicketOutcome::Ended(End::Succeeded) => Self::Succeeded,
            TicketOutcome::Ended(End::Failed) => Self::Failed,
            TicketOutcome::Ended(End::Superseded | End::Recreated) | TicketOutcome::Replaced => {
                Self::Superseded
            }
            TicketOutcome::Ended(End::Abandoned) => Self::Abandoned,
            TicketOutcome::Bypassed | TicketOutcome::Recreated => Self::Bypassed,
        }
    }
}
