//! Moves a ticket to a rejected status because nobody decided in time, so that ticket and gate agree.

use serde_json::Map;

use crate::{
    gate::{GateId, IssueSnapshot},
    jira::{self, TransitionOutcome},
    policy::{Meaning, Milestone, Route},
    rollout::Notice,
    store::TicketRecord,
    worker::{
        context::Context,
        lookups::{Lookups, WORKFLOW_TTL},
        statuses::resolve,
    },
};

/// What became of the ticket.
pub(super) enum Rejecting {
    /// It is rejected, or a person moved it: then it stays where it is.
    Done,
    /// Jira did not show it.
    Missing,
    /// The issue is not marked as this gate's ticket.
    OfAnotherSite(Vec<GateId>),
    /// It cannot be moved, and a comment says so.
    Impossible(Notice),
}

/// Moves the ticket to the first rejected status that a transition leads to, unless somebody decided.
pub(super) async fn reject(
    context: &Context,
    lookups: &Lookups,
    opened: &TicketRecord,
    route: &Route,
) -> Result<Rejecting, jira::Error> {
    let ticket = &opened.ticket;
    let status = match context.jira.read_whole(&ticket.id).await? {
        IssueSnapshot::Missing { .. } => return Ok(Rejecting::Missing),
        IssueSnapshot::Issue { marks, .. } if !opened.is_marked_by(&marks) => {
            return Ok(Rejecting::OfAnotherSite(marks));
        }
        IssueSnapshot::Issue { status, .. } => status,
    };
    let workflow = lookups.workflow(&ticket.project, &ticket.issue_type, WORKFLOW_TTL).await?;
    // If the meaning of its status is unknown, or somebody decided meanwhile, it stays where it is.
    let waits = resolve(route, &workflow).is_ok_and(|it| it.meaning(&status.id) == Meaning::Waiting);
    if !waits {
        return Ok(Rejecting::Done);
    }
    let mut reasons = Vec::new();
    for to in &route.ticket.rejected {
        match context.jira.transition(&ticket.id, to, &Map::new()).await? {
            TransitionOutcome::AlreadyThere | TransitionOutcome::Moved { .. } => return Ok(Rejecting::Done),
            TransitionOutcome::NoPath { .. } => {
                reasons.push(format!("no transition leads to \"{to}\", or the bridge may not use it"));
            }
            TransitionOutcome::NeedsFields { missing } => {
                reasons.push(format!("the transition to \"{to}\" requires {}", missing.join(", ")));
            }
        }
    }
    let (why, milestone) = (reasons.join("; "), Milestone::TimedOut);
    Ok(Rejecting::Impossible(Notice::NotMoved { milestone, why }))
}
