//! PURE: what the channels of a team are told about a gate: once that it waits, is decided, cannot get its ticket, or was
//! passed without approval.

use serde::{Deserialize, Serialize};

use super::promotion::Bypass;
use crate::{gate::GateName, millis::Millis};

/// What a channel is told about a gate. Its texts are external, each on one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// What happened.
    pub turn: Turn,
    /// The gate that it is about.
    pub gate: GateName,
    /// The key of the gate's ticket, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// What the ticket says that the rollout changes, if the bridge reads the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// The team's label for the version, if it sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When it happened, by the bridge's clock.
    pub at: Millis,
}

/// What happened at a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// Its ticket was opened: it waits for a decision.
    Waiting,
    /// It was approved, and that counts.
    Approved {
        /// The changelog entry of the approval.
        entry: String,
        /// Who approved it, by name.
        by: String,
    },
    /// It was rejected.
    Rejected {
        /// The changelog entry of the rejection.
        entry: String,
        /// Who rejected it, by name.
        by: String,
    },
    /// It is rejected, because nobody decided in time.
    TimedOut {
        /// How long a decision could take, in ms.
        within: i64,
    },
    /// Its ticket cannot be opened.
    Stuck {
        /// Why.
        why: String,
    },
    /// A version runs that nobody approved at this gate.
    ShippedWithoutApproval,
    /// Flagger started another version than the one that was approved.
    StartedUnapproved,
    /// A version was promoted, and no gate let it pass.
    PromotedUnasked {
        /// What it changed.
        bypass: Bypass,
    },
}

impl Turn {
    /// Identifies it within its gate.
    #[must_use]
    pub fn tag(&self) -> String {
        match self {
            Self::Waiting => "waiting".into(),
            Self::Approved { entry, .. } => format!("approved-{entry}"),
            Self::Rejected { entry, .. } => format!("rejected-{entry}"),
            Self::TimedOut { .. } => "timed-out".into(),
            Self::Stuck { .. } => "stuck".into(),
            Self::ShippedWithoutApproval => "shipped".into(),
            Self::StartedUnapproved => "started-unapproved".into(),
            Self::PromotedUnasked { .. } => "promoted-unasked".into(),
        }
    }
}
