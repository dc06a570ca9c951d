//! PURE: what is published as a Kubernetes Event on the Canary, so that `kubectl describe canary` names the ticket.

use serde::{Deserialize, Serialize};

use super::promotion::Bypass;

/// A Kubernetes Event on a Canary. Its `reason` is a contract with users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CanaryEvent {
    /// A ticket was opened.
    ApprovalRequested {
        /// Its key.
        ticket: String,
    },
    /// A ticket was opened for a gate that asks nobody.
    Recorded {
        /// Its key.
        ticket: String,
    },
    /// It was approved, and that counts.
    Approved {
        /// Its key.
        ticket: String,
        /// The changelog entry of the approval.
        entry: String,
        /// Who approved it, by name: external text.
        by: String,
    },
    /// It was rejected.
    Rejected {
        /// Its key.
        ticket: String,
        /// The changelog entry of the rejection.
        entry: String,
        /// Who rejected it, by name: external text.
        by: String,
    },
    /// It was approved, and that does not count.
    ApprovalNotCounted {
        /// Its key.
        ticket: String,
        /// The changelog entry of the approval, or the status that approves nothing.
        entry: String,
        /// Why it does not count.
        why: NotCounted,
    },
    /// Its approval was too old when Flagger asked.
    ApprovalExpired {
        /// Its key.
        ticket: String,
        /// The changelog entry of the approval.
        entry: String,
    },
    /// Nobody decided in time, so that it is rejected.
    NotDecided {
        /// Its key.
        ticket: String,
    },
    /// A version runs that nobody approved at this gate.
    ShippedWithoutApproval {
        /// The key of the gate's ticket, if it had one.
        ticket: Option<String>,
    },
    /// Flagger started another version than the one that was approved.
    StartedUnapproved {
        /// The key of the gate's ticket, if it had one.
        ticket: Option<String>,
    },
    /// A version was promoted, and no gate let it pass.
    PromotedUnasked {
        /// What it changed.
        bypass: Bypass,
    },
}

/// Why an approval does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotCounted {
    /// Because of who approved it: external text.
    Author {
        /// The reason.
        why: String,
    },
    /// The ticket was not approved by a transition of its own workflow.
    NoTransition,
    /// Its status did not mean approved when it was opened, or does not any more.
    Renamed,
    /// It was given before the existing ticket was that of this gate.
    TooEarly,
}

impl CanaryEvent {
    /// Identifies the Event among those of its gate, so that it is published once even if the command is repeated.
    #[must_use]
    pub fn tag(&self) -> String {
        match self {
            Self::ApprovalRequested { ticket } => format!("requested-{ticket}"),
            Self::Recorded { ticket } => format!("recorded-{ticket}"),
            Self::Approved { entry, .. } => format!("approved-{entry}"),
            Self::Rejected { entry, .. } => format!("rejected-{entry}"),
            Self::ApprovalNotCounted { entry, .. } => format!("not-counted-{entry}"),
            Self::ApprovalExpired { entry, .. } => format!("expired-{entry}"),
            Self::NotDecided { .. } => "not-decided".into(),
            Self::ShippedWithoutApproval { .. } => "shipped".into(),
            Self::StartedUnapproved { .. } => "started".into(),
            Self::PromotedUnasked { .. } => "promoted".into(),
        }
    }

    /// The `reason` of the Event.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::ApprovalRequested { .. } => "ApprovalRequested",
            Self::Recorded { .. } => "Recorded",
            Self::Approved { .. } => "Approved",
            Self::Rejected { .. } | Self::NotDecided { .. } => "Rejected",
            Self::ApprovalNotCounted { .. } => "ApprovalNotCounted",
            Self::ApprovalExpired { .. } => "ApprovalExpired",
            Self::ShippedWithoutApproval { .. }
            | Self::StartedUnapproved { .. }
            | Self::PromotedUnasked { .. } => "ShippedWithoutApproval",
        }
    }

    /// Whether somebody should look at it.
    #[must_use]
    pub const fn is_warning(&self) -> bool {
        match self {
            Self::ApprovalRequested { .. } | Self::Recorded { .. } | Self::Approved { .. } => false,
            Self::Rejected { .. }
            | Self::NotDecided { .. }
            | Self::ApprovalNotCounted { .. }
            | Self::ApprovalExpired { .. }
            | Self::ShippedWithoutApproval { .. }
            | Self::StartedUnapproved { .. }
            | Self::PromotedUnasked { .. } => true,
        }
    }
}
