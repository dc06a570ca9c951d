//! PURE: the ticket of a gate, and what it showed when it was last seen.

use serde::{Deserialize, Serialize};

use super::{desk_approval::DeskRecord, history::Move, name::GateId};
use crate::{
    millis::Millis,
    policy::{Author, Status},
};

/// The Jira issue of a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Jira's id of the issue; it survives a move to another project.
    pub id: String,
    /// The issue key; it does not survive such a move.
    pub key: String,
    /// The key of the project it was opened in.
    pub project: String,
    /// The id of the issue type it was opened as.
    pub issue_type: String,
    /// When the bridge took it, by Jira's clock, if it existed before: an earlier approval does not count. None: the bridge
    /// opened it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<Millis>,
}

/// The project and issue type of a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// The key of the project.
    pub project: String,
    /// The id of the issue type.
    pub issue_type: String,
}

/// A person's move of a ticket into a deciding status, with the entry that proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The move into the status.
    #[serde(rename = "entry")]
    pub changelog_entry: Move,
    /// When that was, by the bridge's clock: the time of the answer less the decision's age by Jira's clock.
    pub since: Millis,
    /// The moves by which other people made the steps before it, in their order; none if an approval has only one step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Move>,
    /// The approval in Jira Service Management that made it, where that decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<DeskRecord>,
}

impl Decision {
    /// The names of who decided: of the approvers, where an approval in Jira Service Management decided.
    #[must_use]
    pub fn by(&self) -> String {
        match &self.approval {
            Some(approval) => approval.to_string(),
            None => self.changelog_entry.by.name.clone(),
        }
    }
}

/// The state of a ticket when it was last read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketState {
    /// In a status that is neither approved nor rejected.
    Waiting {
        /// That status; none if the ticket was not read since it was opened.
        status: Option<Status>,
    },
    /// Moved into an approved status, and not out of them since.
    Approved {
        /// Its status: the one it was moved to, or another that means the same.
        status: Status,
        /// By whom and when.
        decision: Decision,
    },
    /// Moved into a rejected status, and not out of them since. A move by any Jira user closes the gate.
    Rejected {
        /// Its status.
        status: Status,
        /// By whom and when.
        decision: Decision,
        /// Whether its author's move counts: only then it also rolls back.
        author: Author,
    },
    /// Approved, but the author's move does not count.
    NotAllowed {
        /// Its status.
        status: Status,
        /// By whom and when.
        decision: Decision,
        /// Why it does not count.
        why: String,
    },
    /// Approved, but it is not known whether the author's move counts.
    #[serde(rename = "unjudged")]
    JudgmentPending {
        /// Its status.
        status: Status,
        /// By whom and when.
        decision: Decision,
        /// Why not.
        why: String,
    },
    /// The ticket proves no decision of a person about this rollout.
    #[serde(rename = "gone")]
    Invalid {
        /// Why not.
        #[serde(rename = "doubt")]
        reason: InvalidReason,
    },
}

impl TicketState {
    /// The status of the ticket, if known.
    #[must_use]
    pub const fn status(&self) -> Option<&Status> {
        match self {
            Self::Waiting { status } => status.as_ref(),
            Self::Approved { status, .. }
            | Self::Rejected { status, .. }
            | Self::NotAllowed { status, .. }
            | Self::JudgmentPending { status, .. } => Some(status),
            Self::Invalid {
                reason:
                    InvalidReason::LabelledEnded { status }
                    | InvalidReason::NoChangelogEntry { status }
                    | InvalidReason::Relocated { status, .. }
                    | InvalidReason::Mapped { status, .. }
                    | InvalidReason::Renamed { status }
                    | InvalidReason::ApprovedBefore { status },
            } => Some(status),
            Self::Invalid {
                reason:
                    InvalidReason::MovedElsewhere { .. }
                    | InvalidReason::Unmarked { .. }
                    | InvalidReason::Missing { .. },
            } => None,
        }
    }

    /// What was decided, if something was.
    #[must_use]
    pub const fn decision(&self) -> Option<&Decision> {
        match self {
            Self::Approved { decision, .. }
            | Self::Rejected { decision, .. }
            | Self::NotAllowed { decision, .. }
            | Self::JudgmentPending { decision, .. } => Some(decision),
            Self::Waiting { .. } | Self::Invalid { .. } => None,
        }
    }

    /// The changelog entry that decided, if one did.
    pub(super) fn entry(&self) -> Option<&Move> {
        self.decision().map(|decision| &decision.changelog_entry)
    }

    /// Whether the author of its decision still has to be judged.
    pub(super) fn is_judgment_pending(&self) -> bool {
        match self {
            Self::JudgmentPending { .. }
            | Self::Rejected { author: Author::NoDecision | Author::Unknown { .. }, .. } => true,
            Self::Approved { .. }
            | Self::Rejected { .. }
            | Self::NotAllowed { .. }
            | Self::Waiting { .. }
            | Self::Invalid { .. } => false,
        }
    }
}

/// Why a ticket proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidReason {
    /// It has the label `flagger-ended`. So its rollout ended, and a database that says otherwise is an old backup; or
    /// a Jira user set the label, which closes the gate as well.
    LabelledEnded {
        /// Its status.
        status: Status,
    },
    /// It is in another project, or of another issue type, than it was opened in.
    MovedElsewhere {
        /// The project's key today.
        project: String,
    },
    /// Its status means approved or rejected, but its changelog does not show how it got there.
    NoChangelogEntry {
        /// That status.
        status: Status,
    },
    /// It was approved, but not by a transition of its own workflow, or its project, issue type or workflow changed
    /// since.
    Relocated {
        /// Its status.
        status: Status,
        /// The changelog entry that brought it there.
        entry: String,
    },
    /// It came to an approved status from one that is not in its workflow today: that status was removed, and Jira
    /// mapped its tickets to another.
    Mapped {
        /// Its status.
        status: Status,
        /// The changelog entry that brought it there.
        entry: String,
    },
    /// Its status means approved today and did not when the ticket was opened, or the other way round.
    Renamed {
        /// That status.
        status: Status,
    },
    /// It existed before the gate, and was approved before the bridge took it.
    ApprovedBefore {
        /// Its status.
        status: Status,
    },
    /// The issue does not carry this gate's mark: in another Jira, or one restored from a backup, it is another issue;
    /// or a Jira user removed the mark.
    Unmarked {
        /// The gate that it should name.
        gate: GateId,
    },
    /// Jira does not show it: it was deleted, or the bridge's account may not see it.
    Missing {
        /// Whether it counts as deleted: Jira did not show it for `trust_for`, although the account may browse the
        /// project. Then the gate may get a new ticket.
        confirmed: bool,
        /// Since when Jira has not shown it, to an account that may browse the project. None: the account may not, or
        /// the bridge has not asked yet.
        #[serde(default)]
        since: Option<Millis>,
    },
}
