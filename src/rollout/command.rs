//! PURE: commands for Jira, for the API server and for channels.

use serde::{Deserialize, Serialize};

use super::{
    canary::is_default, canary_event::CanaryEvent, notice::Notice, notification::Notification,
    subject::Subject,
};
use crate::{
    gate::{GateId, GateName, Home, ShownRules},
    millis::Millis,
    policy::Milestone,
};

/// A command for Jira, the API server or a channel, stored before it is performed. Each may be performed twice: because of
/// a label, a property, a name or Jira itself, the second time changes nothing. Only a message to a channel comes twice.
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
        /// The existing issue that the bridge is making the ticket of the gate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        takes: Option<Taking>,
        /// How often the bridge began to mark an existing issue, those included that it gave back.
        #[serde(default, skip_serializing_if = "is_default")]
        takings: u32,
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
    /// Tell a channel what happened at a gate.
    Notify {
        /// The gate and the channel: no other command waits for the messages to a channel.
        lane: GateId,
        /// Which gate, or the id of what it is about if that is none.
        about: GateId,
        /// Identifies the channel in the configuration.
        channel: String,
        /// What to say.
        notification: Notification,
        /// Whether it is sent for the second time, because it is unknown whether the channel took it the first time.
        #[serde(default, skip_serializing_if = "is_default")]
        again: bool,
    },
}

/// An existing issue that the bridge began to mark as the ticket of a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taking {
    /// Jira's id of the issue.
    pub id: String,
    /// What the question sent as its key.
    pub named: String,
    /// The how manieth taking of this gate it is, from 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nth: u32,
}

impl Command {
    /// The gate that it is about, or what stands for it in the outbox: commands with the same one are performed in order.
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
            Self::Notify { lane, .. } => lane,
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
            Self::Notify { .. } => "send a message to a channel",
        }
    }
}
