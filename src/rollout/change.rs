//! PURE: what comes of an event: what is to be done in Jira, what a ticket is told, and what is put on record.

use serde::{Deserialize, Serialize};

use super::{Canary, End, Fate, Label, Refusal, Revision, Subject};
use crate::{
    gate::{Decision, Gate, GateId, GateName, Home, Ticket, View},
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
    Recount {
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
        note: Note,
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
            | Self::Recount { gate, .. }
            | Self::Comment { gate, .. }
            | Self::Label { gate }
            | Self::Move { gate, .. }
            | Self::Link { gate, .. } => gate,
        }
    }
}

impl From<Fate> for Milestone {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Ended(End::Succeeded) => Self::Succeeded,
            Fate::Ended(End::Failed) => Self::Failed,
            Fate::Ended(End::Superseded | End::Recreated) | Fate::Overtaken => Self::Superseded,
            Fate::Ended(End::Abandoned) => Self::Abandoned,
            Fate::Bypassed | Fate::Recreated => Self::Bypassed,
        }
    }
}

/// What a ticket is told in a comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// How its rollout ended, and that it opens nothing any more.
    Ended {
        /// How.
        fate: Fate,
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
    RejectedByNobody {
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

impl Note {
    /// What makes it one comment however often it is written: unique within its ticket.
    #[must_use]
    pub fn tag(&self) -> String {
        match self {
            // One that was told already how its rollout ended need not be told so.
            Self::Ended { .. } | Self::LabelledEnded | Self::Replaced { .. } => "ended".into(),
            Self::Progress { .. } => "progress".into(),
            Self::RejectedAtStart { entry }
            | Self::RejectedWithoutRollback { entry }
            | Self::RejectedByNobody { entry, .. } => {
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

/// Something worth a line in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A rollout began.
    Began,
    /// Flagger asked at a gate for the first time.
    GateAsked {
        /// Which gate.
        gate: GateName,
    },
    /// A ticket was opened.
    TicketOpened {
        /// For which gate.
        gate: GateName,
        /// The ticket.
        ticket: Ticket,
    },
    /// A ticket could not be opened.
    TicketStuck {
        /// For which gate.
        gate: GateName,
        /// Why.
        why: String,
    },
    /// A ticket shows something new.
    TicketSeen {
        /// Of which gate.
        gate: GateName,
        /// The ticket.
        ticket: Ticket,
        /// What it shows.
        view: View,
    },
    /// An approval let Flagger pass for the first time.
    Passed {
        /// At which gate.
        gate: GateName,
        /// The ticket.
        ticket: Ticket,
        /// The approval.
        decision: Decision,
    },
    /// A rollout ended, and its gates with it.
    Ended {
        /// How.
        how: End,
        /// Its gates.
        gates: Vec<Gate>,
    },
    /// The answer at a gate turned from closed to open or back, other than by the first use of an approval.
    Turned {
        /// At which gate.
        gate: GateName,
    },
    /// An approval was too old when Flagger asked.
    Expired {
        /// At which gate.
        gate: GateName,
        /// The ticket.
        ticket: Ticket,
        /// The approval.
        decision: Decision,
    },
    /// Flagger was told to roll back, for the first time after this rejection.
    RolledBack {
        /// At which gate it was rejected.
        gate: GateName,
        /// The ticket.
        ticket: Ticket,
        /// The rejection.
        decision: Decision,
    },
    /// A limit kept a ticket from being opened: the first time within an hour.
    Refused {
        /// For which gate.
        gate: GateName,
        /// Which limit.
        refusal: Refusal,
    },
    /// Somebody moved a ticket after its rollout had ended.
    LateMove {
        /// Of which gate it was.
        gate: GateName,
        /// The ticket.
        ticket: Ticket,
    },
    /// What started is another revision than the one that Flagger named when it asked at confirm-rollout.
    OtherRevision {
        /// At which gate.
        gate: GateName,
        /// Its ticket, if it had one.
        ticket: Option<Ticket>,
        /// Which it named.
        asked: Revision,
        /// Which started.
        started: Revision,
    },
    /// A newer revision that started in place of another has shipped, and nobody was asked about it.
    Unasked {
        /// Which.
        revision: Revision,
        /// The gates that were opened for the one before.
        gates: Vec<GateId>,
    },
    /// confirm-rollout is asked as by a hook without a type.
    LooksUntyped {
        /// At which gate.
        gate: GateName,
    },
    /// A rollout succeeded past a gate that was never opened, or the Canary was created anew past it.
    Bypassed {
        /// Which gate.
        gate: GateName,
        /// Its ticket, if it had one.
        ticket: Option<Ticket>,
        /// How the rollout ended.
        how: End,
    },
}

/// What an event does.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Change {
    /// Nothing that needs to be stored.
    Unchanged,
    /// The canary becomes another, effects are due, and the record grows; all in one transaction.
    To {
        /// What it becomes.
        canary: Canary,
        /// What is to be done in Jira.
        commands: Vec<Command>,
        /// What is to be recorded.
        facts: Vec<Fact>,
    },
}
