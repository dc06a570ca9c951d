//! Decides whether a ticket was decided by its approval in Jira Service Management (`approval.source = "jsm"`): finds the
//! approval that explains the deciding move, and lets the policy judge each person who decided so.

use super::{context::Context, judge::judge, lookups::RoundLookups};
use crate::{
    gate::{DeskApproval, DeskDecision, DeskRecord, Move, NoApproval, Ticket, explaining},
    jira,
    policy::{Author, Meaning, Route},
};

/// What a ticket shows of its decision.
pub(super) struct Decided<'a> {
    pub(super) ticket: &'a Ticket,
    /// The deciding move.
    pub(super) entry: &'a Move,
    /// All moves since the newest approval was asked for.
    pub(super) moves: &'a [Move],
    /// Approved or rejected.
    pub(super) meaning: Meaning,
    /// Its approvals, or why they cannot be read.
    pub(super) approvals: Result<&'a [DeskApproval], &'a jira::Error>,
}

/// Whether the decision counts, and the approval that made it, if one did.
pub(super) async fn judge_approval(
    context: &Context,
    lookups: &mut RoundLookups<'_>,
    route: &Route,
    deny: &[String],
    Decided { ticket, entry, moves, meaning, approvals }: Decided<'_>,
) -> (Author, Option<DeskRecord>) {
    let approvals = match approvals {
        Ok(approvals) => approvals,
        Err(error) => {
            let why = format!(
                "its approvals in Jira Service Management cannot be read: {}",
                context.explain(error)
            );
            return (Author::Unknown { why }, None);
        }
    };
    let approval = match explaining(approvals, entry, moves, meaning, ticket.taken_at) {
        Ok(approval) => approval,
        // The answers may not be complete a moment after the last one.
        Err(pending @ NoApproval::Pending { .. }) => {
            return (Author::Unknown { why: pending.to_string() }, None);
        }
        Err(why) => return (Author::NotAccepted { why: why.to_string() }, None),
    };
    let author = judge_people(context, lookups, route, deny, ticket, approval).await;
    (author, Some(approval.record()))
}

/// Every person who approved must be one who may: how many Jira Service Management needed is not shown, so no approval can be
/// left out. For a rejection one of those who declined is enough.
async fn judge_people(
    context: &Context,
    lookups: &mut RoundLookups<'_>,
    route: &Route,
    deny: &[String],
    ticket: &Ticket,
    approval: &DeskApproval,
) -> Author {
    let mut worst = None;
    for person in approval.people(approval.decision) {
        let author = match lookups.approver(person).await {
            Ok(person) => judge(context, lookups, route, deny, &ticket.project, &person).await,
            Err(error) => Author::Unknown {
                why: format!(
                    "Jira does not say what kind of account {} is: {}",
                    person.name,
                    context.explain(&error)
                ),
            },
        };
        match (approval.decision, &author) {
            (DeskDecision::Declined, Author::Accepted) => return Author::Accepted,
            (DeskDecision::Approved, Author::NotAccepted { .. }) => return author,
            (_, Author::Accepted) => {}
            (_, Author::NotAccepted { .. } | Author::Unknown { .. } | Author::NoDecision) => {
                worst = worst.or(Some(author));
            }
        }
    }
    let is_anybody = approval.people(approval.decision).next().is_some();
    match (worst, is_anybody) {
        (Some(author), _) => author,
        (None, true) => Author::Accepted,
        (None, false) => Author::NotAccepted {
            why: "no person answered its approval in Jira Service Management; a rule or an app may have"
                .into(),
        },
    }
}
