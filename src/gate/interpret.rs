//! PURE: what a status means together with the history that must explain it.

use super::{
    desk_approval::DeskRecord,
    history::{Invalidation, InvalidationCause, Move, decisive, why_not_counted},
    ticket::{Decision, InvalidReason, TicketState},
};
use crate::{
    millis::Millis,
    policy::{Author, Meaning, Status, Statuses},
};

/// Why a decision does not count yet that was made after the bridge checked the approver.
pub(super) const NOT_JUDGED: &str =
    "the ticket was moved after the bridge checked who decided; the bridge checks again";

/// Why a move does not count yet.
const WORKFLOW_UNKNOWN: &str = "Jira did not say which statuses the workflow has, so the bridge asks again";

/// Interprets a status together with the changelog that must explain it, and the judgment of the deciding author.
///
/// `on_our_clock` returns the time of an entry by the bridge's clock.
pub(super) fn interpret(
    status: &Status,
    (moves, invalidations): (&[Move], &[Invalidation]),
    statuses: &Statuses,
    (author, approval): (&Author, Option<&DeskRecord>),
    on_our_clock: impl Fn(&Move) -> Millis,
) -> TicketState {
    let status = status.clone();
    let meaning = statuses.meaning(&status.id);
    if meaning == Meaning::Waiting && statuses.ambiguous.contains(&status.id) {
        return TicketState::Invalid { reason: InvalidReason::Renamed { status } };
    }
    if meaning == Meaning::Waiting {
        return TicketState::Waiting { status: Some(status) };
    }
    let Some(changelog_entry) = decisive(&status, moves, statuses) else {
        return TicketState::Invalid { reason: InvalidReason::NoChangelogEntry { status } };
    };
    let why_not_counted = not_counted(changelog_entry, moves, invalidations, statuses);
    let since = on_our_clock(changelog_entry);
    let decision = Decision {
        changelog_entry: changelog_entry.clone(),
        since,
        steps: Vec::new(),
        approval: approval.cloned(),
    };
    if meaning == Meaning::Rejected {
        let author = rejection_author(author, why_not_counted);
        return TicketState::Rejected { status, decision, author };
    }
    match (why_not_counted, author) {
        (Some(NotCounted::WorkflowUnknown), _) => {
            TicketState::JudgmentPending { status, decision, why: WORKFLOW_UNKNOWN.into() }
        }
        (Some(NotCounted::Invalidated(InvalidationCause::Unreadable)), _) => {
            TicketState::Invalid { reason: InvalidReason::NoChangelogEntry { status } }
        }
        (Some(NotCounted::Invalidated(InvalidationCause::Relocated)), _) => {
            let entry = decision.changelog_entry.changelog_id;
            TicketState::Invalid { reason: InvalidReason::Relocated { status, entry } }
        }
        (Some(NotCounted::Mapped), _) => {
            let entry = decision.changelog_entry.changelog_id;
            TicketState::Invalid { reason: InvalidReason::Mapped { status, entry } }
        }
        (None, Author::Accepted) => TicketState::Approved { status, decision },
        (None, Author::NotAccepted { why }) => TicketState::NotAllowed { status, decision, why: why.clone() },
        (None, Author::Unknown { why }) => {
            TicketState::JudgmentPending { status, decision, why: why.clone() }
        }
        (None, Author::NoDecision) => {
            TicketState::JudgmentPending { status, decision, why: NOT_JUDGED.into() }
        }
    }
}

/// Why a move proves nothing.
#[derive(Clone, Copy)]
pub(super) enum NotCounted {
    /// A history entry invalidated it.
    Invalidated(InvalidationCause),
    /// The status that it left is not in the workflow: Jira mapped the ticket when that status was removed.
    Mapped,
    /// Jira did not say which statuses the workflow has.
    WorkflowUnknown,
}

impl NotCounted {
    /// The reason, in words.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Invalidated(InvalidationCause::Relocated) => {
                "the ticket was moved between projects, issue types or workflows with it or since"
            }
            Self::Invalidated(InvalidationCause::Unreadable) => {
                "the ticket's history cannot be read from there on"
            }
            Self::Mapped => "the ticket came from a status that is not in its workflow",
            Self::WorkflowUnknown => WORKFLOW_UNKNOWN,
        }
    }
}

/// Why this move proves nothing, if so.
pub(super) fn not_counted(
    entry: &Move,
    moves: &[Move],
    invalidations: &[Invalidation],
    statuses: &Statuses,
) -> Option<NotCounted> {
    match (why_not_counted(entry, moves, invalidations), &statuses.workflow) {
        (Some(cause), _) => Some(NotCounted::Invalidated(cause)),
        (None, Some(workflow)) => (!workflow.contains(&entry.from)).then_some(NotCounted::Mapped),
        (None, None) => Some(NotCounted::WorkflowUnknown),
    }
}

/// Whether a rejection counts. Every rejection keeps the gate closed; one that does not count rolls nothing back.
fn rejection_author(author: &Author, why_not_counted: Option<NotCounted>) -> Author {
    match (why_not_counted, author) {
        (Some(why @ (NotCounted::Invalidated(_) | NotCounted::Mapped)), _) => {
            Author::NotAccepted { why: why.words().into() }
        }
        (Some(why @ NotCounted::WorkflowUnknown), _) => Author::Unknown { why: why.words().into() },
        (None, Author::NoDecision) => Author::Unknown { why: NOT_JUDGED.into() },
        (None, Author::Accepted | Author::NotAccepted { .. } | Author::Unknown { .. }) => author.clone(),
    }
}
