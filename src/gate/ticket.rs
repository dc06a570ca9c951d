//! PURE: the ticket of a gate, and what it showed when it was last seen.

use serde::{Deserialize, Serialize};

use super::{history::Move, name::GateId};
use crate::{
    millis::Millis,
    policy::{Author, Status},
};

/// The Jira issue of a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Jira's number; it survives a move to another project.
    pub id: String,
    /// What people read; it does not.
    pub key: String,
    /// The key of the project it was opened in.
    pub project: String,
    /// The id of the issue type it was opened as.
    pub issue_type: String,
}

/// Where a ticket is, as Jira names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// The key of the project.
    pub project: String,
    /// The id of the issue type.
    pub issue_type: String,
}

/// What a person did to a ticket, with the entry that proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The move into the status.
    #[serde(rename = "entry")]
    pub changelog_entry: Move,
    /// When that was on our clock: the time of the answer less the decision's age by Jira's clock.
    pub since: Millis,
}

/// Where the ticket stood when it was last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketState {
    /// In a status that is neither approved nor rejected.
    Waiting {
        /// That status; none if it was opened and not looked at yet.
        status: Option<Status>,
    },
    /// Moved into an approved status, and not out of them since.
    Approved {
        /// Where it stands: the status it was moved to, or another that means the same.
        status: Status,
        /// By whom and when.
        decision: Decision,
    },
    /// Moved into a rejected status, and not out of them since. That closes the gate whoever did it.
    Rejected {
        /// As above.
        status: Status,
        /// By whom and when.
        decision: Decision,
        /// Whether it also rolls back: that takes somebody whose move counts.
        author: Author,
    },
    /// Approved by somebody whose move does not count.
    NotAllowed {
        /// As above.
        status: Status,
        /// By whom and when.
        decision: Decision,
        /// Why it does not count.
        why: String,
    },
    /// Approved, and it cannot be told whether that person's move counts.
    #[serde(rename = "unjudged")]
    NotJudged {
        /// As above.
        status: Status,
        /// By whom and when.
        decision: Decision,
        /// Why not.
        why: String,
    },
    /// It cannot be said that a person decided about this rollout on this ticket.
    #[serde(rename = "gone")]
    Invalid {
        /// Why not.
        doubt: InvalidReason,
    },
}

impl TicketState {
    /// Where the ticket stood, if that is known.
    #[must_use]
    pub const fn status(&self) -> Option<&Status> {
        match self {
            Self::Waiting { status } => status.as_ref(),
            Self::Approved { status, .. }
            | Self::Rejected { status, .. }
            | Self::NotAllowed { status, .. }
            | Self::NotJudged { status, .. } => Some(status),
            Self::Invalid {
                doubt:
                    InvalidReason::LabelledEnded { status }
                    | InvalidReason::NoChangelogEntry { status }
                    | InvalidReason::Relocated { status, .. }
                    | InvalidReason::Mapped { status, .. }
                    | InvalidReason::Renamed { status },
            } => Some(status),
            Self::Invalid {
                doubt:
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
            | Self::NotJudged { decision, .. } => Some(decision),
            Self::Waiting { .. } | Self::Invalid { .. } => None,
        }
    }

    /// The changelog entry that decided, if one did.
    pub(super) fn entry(&self) -> Option<&Move> {
        self.decision().map(|decision| &decision.changelog_entry)
    }

    /// Whether it waits for a judgement of whoever decided.
    pub(super) fn is_not_judged(&self) -> bool {
        match self {
            Self::NotJudged { .. }
            | Self::Rejected { author: Author::NotJudged | Author::Unknown { .. }, .. } => true,
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
    /// It carries the label of tickets whose rollout is over. So it did end, and a database that says otherwise is an old
    /// backup; or somebody else put the label there, which closes the gate as well.
    LabelledEnded {
        /// Where it stands.
        status: Status,
    },
    /// It is in another project, or of another issue type, than it was opened in.
    MovedElsewhere {
        /// The project's key today.
        project: String,
    },
    /// It stands in an approved or rejected status, but its changelog does not show how it came there.
    NoChangelogEntry {
        /// That status.
        status: Status,
    },
    /// It was approved, and that was no transition of its own workflow, or it went through a change of project, issue type or
    /// workflow since.
    Relocated {
        /// Where it stands.
        status: Status,
        /// The changelog entry that brought it there.
        entry: String,
    },
    /// It came to an approved status out of one that is not in its workflow today: somebody took that status out, and Jira put
    /// the tickets in it into another.
    Mapped {
        /// Where it stands.
        status: Status,
        /// The changelog entry that brought it there.
        entry: String,
    },
    /// It stands in a status that means approved today and did not when the ticket was opened, or the other way round.
    Renamed {
        /// That status.
        status: Status,
    },
    /// The issue does not say that it is this gate's: on another site, or from a backup, it is somebody else's; or somebody
    /// took its mark away.
    Unmarked {
        /// The gate that it should name.
        gate: GateId,
    },
    /// Jira does not show it: it was deleted, or the bridge's account may not see it.
    Missing {
        /// Whether it is given up: Jira did not show it for as long as an approval is trusted, although the account may
        /// browse the project. Then the gate may have a new ticket.
        confirmed: bool,
        /// Since when Jira has said so each time, to an account that may browse the project. None: it was not asked
        /// yet, or may not.
        #[serde(default)]
        since: Option<Millis>,
    },
}
