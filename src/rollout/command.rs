//! PURE: what is to be done in Jira, and what a ticket is told.

use serde::{Deserialize, Serialize};

use super::{
    message::{Label, Revision},
    progress::TicketOutcome,
    subject::Subject,
};
use crate::{
    gate::{GateId, GateName, Home},
    millis::Millis,
    policy::Milestone,
};

/// An effect to perform in Jira, stored before it is performed. Each may be performed twice: a label, a property or
/// Jira itself makes the second time do nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Open the ticket of a gate.
    Open {
        /// Which gate.
        gate: GateId,
        /// What it is about.
        subject: Subject,
        /// Where it was sent to so far: what is found there is at home.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sent_to: Vec<Home>,
    },
    /// Look whether the ticket of a gate was opened twice: Jira was asked to open it again after an answer that never
    /// came, and shows late what it opened.
    #[serde(rename = "recount")]
    FindDuplicates {
        /// Which gate.
        gate: GateId,
        /// By its name its settings are found.
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
    /// Mark the ticket of a gate as dead.
    Label {
        /// Which gate.
        gate: GateId,
    },
    /// Move the ticket of a gate, if the configuration names a status for this.
    Move {
        /// Which gate.
        gate: GateId,
        /// By its name its settings are found.
        name: GateName,
        /// What happened.
        milestone: Milestone,
    },
    /// Link the ticket of a gate to that of the gate that took its place.
    Link {
        /// Which gate.
        gate: GateId,
        /// Which took its place.
        successor: GateId,
    },
}

impl Command {
    /// The gate whose ticket it is about.
    #[must_use]
    pub const fn gate(&self) -> &GateId {
        match self {
            Self::Open { gate, .. }
            | Self::FindDuplicates { gate, .. }
            | Self::Comment { gate, .. }
            | Self::Label { gate }
            | Self::Move { gate, .. }
            | Self::Link { gate, .. } => gate,
        }
    }
}

/// What a ticket is told in a comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// How its rollout ended, and that it opens nothing any more.
    Ended {
        /// How.
        fate: TicketOutcome,
        /// At which gate.
        name: GateName,
    },
    /// Flagger reported something while the ticket lives: several messages make one comment.
    Progress {
        /// Flagger's words; words from outside.
        lines: Vec<String>,
    },
    /// It was rejected before anything had started.
    RejectedAtStart {
        /// The changelog entry of the rejection.
        entry: String,
    },
    /// It was rejected by somebody whose move does not count: that closes the gate, and rolls nothing back.
    #[serde(rename = "rejected_by_nobody")]
    RejectionNotCounted {
        /// The changelog entry of the rejection.
        entry: String,
        /// Why it does not count.
        why: String,
        /// Whether nobody's would, in this rollout.
        #[serde(default, skip_serializing_if = "is_false")]
        for_good: bool,
    },
    /// It was rejected, and Flagger has not asked whether to roll back.
    RejectedWithoutRollback {
        /// The changelog entry of the rejection.
        entry: String,
    },
    /// Somebody approved it who may not.
    NotAllowed {
        /// The changelog entry of the approval.
        entry: String,
        /// Why not.
        why: String,
        /// Whether nobody may, in this rollout.
        #[serde(default, skip_serializing_if = "is_false")]
        for_good: bool,
    },
    /// It was approved, and that was no transition of its own workflow, or went through a change of project, type or workflow
    /// since.
    Relocated {
        /// The changelog entry of the approval.
        entry: String,
    },
    /// It was approved, and that was no transition of its own workflow, in which the status that it left is not.
    Mapped {
        /// The changelog entry of the approval.
        entry: String,
    },
    /// It stands in a status that did not mean approved when it was opened.
    Renamed {
        /// The id of that status.
        status: String,
    },
    /// Its approval is too old to be used.
    Expired {
        /// The changelog entry of the approval.
        entry: String,
        /// For how long an unused approval is valid, in ms.
        valid_for: u64,
    },
    /// It carries the label of tickets whose rollout is over, and its gate has another.
    LabelledEnded,
    /// Jira did not show it for so long that its gate has another.
    Replaced {
        /// The key of that one.
        by: String,
    },
    /// Jira opened it although another ticket was opened, or none was needed any more.
    Duplicate {
        /// The key of the ticket that counts, if there is one.
        of: Option<String>,
    },
    /// It was moved after its rollout had ended.
    Late {
        /// The key of the ticket the canary waits for now, if it does.
        live: Option<String>,
    },
    /// It was to be linked to the ticket that took its place, and could not.
    NotLinked {
        /// The key of that one.
        to: String,
        /// What was in the way.
        why: String,
    },
    /// What started is another revision than the one that Flagger named when it asked.
    OtherRevision {
        /// Which it named.
        asked: Revision,
        /// Which started.
        started: Revision,
    },
    /// What started has the checksum of a revision that the team called otherwise before.
    OtherLabel {
        /// How it is called now.
        label: Label,
        /// How it was called before.
        before: Label,
    },
    /// A newer revision that started under its approval has shipped, and nobody was asked about it.
    Unasked {
        /// Which.
        revision: Revision,
    },
    /// The bridge was to move it, and could not.
    NotMoved {
        /// When it was to be moved.
        milestone: Milestone,
        /// What was in the way.
        why: String,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Notice {
    /// What makes it one comment however often it is written: unique within its ticket.
    #[must_use]
    pub fn tag(&self) -> String {
        match self {
            // One that was told already how its rollout ended need not be told so.
            Self::Ended { .. } | Self::LabelledEnded | Self::Replaced { .. } => "ended".into(),
            Self::Progress { .. } => "progress".into(),
            Self::RejectedAtStart { entry }
            | Self::RejectedWithoutRollback { entry }
            | Self::RejectionNotCounted { entry, .. } => {
                format!("rejected-{entry}")
            }
            Self::NotAllowed { entry, .. } => format!("not-allowed-{entry}"),
            Self::Relocated { entry } => format!("relocated-{entry}"),
            Self::Mapped { entry } => format!("mapped-{entry}"),
            Self::Renamed { status } => format!("renamed-{status}"),
            Self::Expired { entry, .. } => format!("expired-{entry}"),
            Self::Duplicate { .. } => "duplicate".into(),
            Self::Late { .. } => "late".into(),
            Self::NotLinked { to, .. } => format!("not-linked-{to}"),
            Self::OtherRevision { .. } => "other-revision".into(),
            Self::OtherLabel { .. } => "other-label".into(),
            Self::Unasked { .. } => "unasked".into(),
            Self::NotMoved { milestone, .. } => format!("not-moved-{}", milestone.key()),
        }
    }
}
