//! PURE: commands for Jira and for the API server.

use serde::{Deserialize, Serialize};

use super::{canary_event::CanaryEvent, notice::Notice, subject::Subject};
use crate::{
    gate::{GateId, GateName, Home, ShownRules},
    millis::Millis,
    policy::Milestone,
};

/// A command for Jira or the API server, stored before it is performed. Each may be performed twice: because of a label,
/// a property, a name or Jira itself, the second time changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Open the ticket of a gate.
    Open {
        /// Which gate.
        gate: GateId,
        /// What it is about.
        subject: Subject,
        /// The projects and issue types it was sent to so far: a ticket found there was not moved.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sent_to: Vec<Home>,
        /// The settings that the ticket shows, once it was sent: the replica that finds it may have others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shows: Option<ShownRules>,
    },
    /// Look whether the ticket of a gate was opened twice: a request to open it got no answer, and was sent again. Jira
    /// may show the first ticket late.
    #[serde(rename = "recount")]
    FindDuplicates {
        /// Which gate.
        gate: GateId,
        /// Its name, which selects its settings.
        name: GateName,
        /// When Jira was last asked to open it.
        since: Millis,
    },
    /// Comment on the ticket of a gate.
    Comment {
        /// Which gate.
        gate: GateId,
        /// What to say.
        #[serde(rename = "note")]
        notice: Notice,
    },
    /// Label the ticket of a gate as ended.
    Label {
        /// Which gate.
        gate: GateId,
    },
    /// Move the ticket of a gate, if the configuration names a status for this.
    Move {
        /// Which gate.
        gate: GateId,
        /// Its name, which selects its settings.
        name: GateName,
        /// What happened.
        milestone: Milestone,
    },
    /// Link the ticket of a gate to that of the gate that took its place.
    Link {
        /// Which gate.
        gate: GateId,
        /// The gate that took its place.
        successor: GateId,
    },
    /// Publish a Kubernetes Event on the Canary.
    Publish {
        /// About which gate, or the id of what is published if it is about none.
        gate: GateId,
        /// The gate's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<GateName>,
        /// What happened.
        event: CanaryEvent,
        /// When.
        at: Millis,
    },
}

impl Command {
    /// The gate that it is about.
    #[must_use]
    pub const fn gate(&self) -> &GateId {
        match self {
            Self::Open { gate, .. }
            | Self::FindDuplicates { gate, .. }
            | Self::Comment { gate, .. }
            | Self::Label { gate }
            | Self::Move { gate, .. }
            | Self::Link { gate, .. }
            | Self::Publish { gate, .. } => gate,
        }
    }

    /// What it does, in a few words.
    #[must_use]
    pub const fn describe(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open the ticket",
            Self::Comment { notice: Notice::Ended { .. }, .. } => "comment how the rollout ended",
            Self::Comment { .. } => "write a comment",
            Self::Label { .. } => "label the ticket flagger-ended",
            Self::Move { .. } => "move the ticket",
            Self::Link { .. } => "link the ticket to its successor",
            Self::FindDuplicates { .. } => "look for a second ticket of the same gate",
            Self::Publish { .. } => "publish an Event on the Canary",
        }
    }
}
