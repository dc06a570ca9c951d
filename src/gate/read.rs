//! PURE: what a status means together with the history that must explain it.

use super::{
    history::{Cause, Invalidation, Move, decisive, undone},
    ticket::{Decision, InvalidReason, TicketState},
};
use crate::{
    millis::Millis,
    policy::{Author, Meaning, Status, Statuses},
};

/// Why a decision settles nothing that was seen only after it had been asked who decided.
const NOT_JUDGED: &str =
    "the ticket was moved after it was looked up whose decision counts; that is looked up again";

/// Why a move settles nothing yet.
const UNTOLD: &str = "Jira did not say which statuses the workflow has, so it is asked again";

/// Reads a status together with the changelog that must explain it, and the judgement of whoever decided.
///
/// `on_our_clock` tells when an entry was made, by our clock.
pub(super) fn read(
    status: &Status,
    (moves, invalidations): (&[Move], &[Invalidation]),
    statuses: &Statuses,
    author: &Author,
    on_our_clock: impl Fn(&Move) -> Millis,
) -> TicketState {
    let status = status.clone();
    let meaning = statuses.meaning(&status.id);
    if meaning == Meaning::Waiting && statuses.late.contains(&status.id) {
        return TicketState::Gone { doubt: InvalidReason::Renamed { status } };
    }
    if meaning == Meaning::Waiting {
        return TicketState::Waiting { status: Some(status) };
    }
    let Some(entry) = decisive(&status, moves, statuses) else {
        return TicketState::Gone { doubt: InvalidReason::NoChangelogEntry { status } };
    };
    let undone = match (undone(entry, moves, invalidations), &statuses.workflow) {
        (Some(cause), _) => Some(Undone::By(cause)),
        (None, Some(workflow)) => (!workflow.contains(&entry.from)).then_some(Undone::Mapped),
        (None, None) => Some(Undone::Untold),
    };
    let decision = Decision { entry: entry.clone(), since: on_our_clock(entry) };
    match (meaning, author, undone) {
        (Meaning::Rejected, author, None) => {
            let author = match author {
                Author::NotJudged => Author::Unknown { why: NOT_JUDGED.into() },
                Author::Accepted | Author::NotAccepted { .. } | Author::Unknown { .. } => author.clone(),
            };
            TicketState::Rejected { status, decision, author }
        }
        (Meaning::Rejected, _, Some(Undone::Untold)) => {
            TicketState::Rejected { status, decision, author: Author::Unknown { why: UNTOLD.into() } }
        }
        // A no stays a no, but it is not known by whose rules it was said.
        (Meaning::Rejected, _, Some(cause @ (Undone::By(_) | Undone::Mapped))) => {
            TicketState::Rejected { status, decision, author: Author::NotAccepted { why: rejected_before(cause) } }
        }
        (Meaning::Approved | Meaning::Waiting, _, Some(Undone::Untold)) => {
            TicketState::Unjudged { status, decision, why: UNTOLD.into() }
        }
        (Meaning::Approved | Meaning::Waiting, _, Some(Undone::By(Cause::Unreadable))) => {
            TicketState::Gone { doubt: InvalidReason::NoChangelogEntry { status } }
        }
        (Meaning::Approved | Meaning::Waiting, _, Some(Undone::By(Cause::Relocated))) => {
            let entry = decision.entry.changelog_id;
            TicketState::Gone { doubt: InvalidReason::Relocated { status, entry } }
        }
        (Meaning::Approved | Meaning::Waiting, _, Some(Undone::Mapped)) => {
            let entry = decision.entry.changelog_id;
            TicketState::Gone { doubt: InvalidReason::Mapped { status, entry } }
        }
        (Meaning::Approved | Meaning::Waiting, Author::Accepted, None) => TicketState::Approved { status, decision },
        (Meaning::Approved | Meaning::Waiting, Author::NotAccepted { why }, None) => {
            TicketState::NotAllowed { status, decision, why: why.clone() }
        }
        (Meaning::Approved | Meaning::Waiting, Author::Unknown { why }, None) => {
            TicketState::Unjudged { status, decision, why: why.clone() }
        }
        (Meaning::Approved | Meaning::Waiting, Author::NotJudged, None) => {
            TicketState::Unjudged { status, decision, why: NOT_JUDGED.into() }
        }
    }
}

/// Why a move proves nothing.
#[derive(Clone, Copy)]
enum Undone {
    /// An entry of the history.
    By(Cause),
    /// The status that it left is none of the workflow: Jira mapped it when that was taken out.
    Mapped,
    /// Jira did not say which statuses the workflow has.
    Untold,
}

/// Why a rejection that was undone rolls nothing back.
fn rejected_before(cause: Undone) -> String {
    match cause {
        Undone::By(Cause::Relocated) => {
            "the ticket was moved between projects, issue types or workflows with it or since".into()
        }
        Undone::By(Cause::Unreadable) => "the ticket's history cannot be read from there on".into(),
        Undone::Mapped => "the ticket came there out of a status that is not in its workflow".into(),
        Undone::Untold => UNTOLD.into(),
    }
}
