//! Comments that mention the people who are to decide.

use crate::{
    gate::{GateState, TicketState},
    jira,
    policy::Route,
    rollout::Notice,
    store::TicketRecord,
    ticket::{self, Doc, NamedAccount, People},
    worker::{context::Context, lookups::Lookups},
};

/// Whether this is a comment that asks people to decide.
pub(super) const fn asks(notice: &Notice) -> bool {
    matches!(notice, Notice::Reminder { .. } | Notice::Overdue { .. })
}

/// Whether its gate is still to be decided, as far as known: such a comment may have been queued for long.
pub(super) fn is_needed(context: &Context, opened: &TicketRecord) -> bool {
    let canary = context.store().canary(&opened.canary);
    let gate = canary.as_ref().and_then(|canary| canary.gate_by_id(&opened.gate));
    gate.is_some_and(|gate| match &gate.state {
        GateState::Watched { ticket_state, .. } => {
            matches!(ticket_state, TicketState::Waiting { .. } | TicketState::NotAllowed { .. })
                && gate.timed_out().is_none()
        }
        GateState::Opening | GateState::Stuck { .. } => false,
    })
}

/// The comment, with the people whom it mentions: the assignee of the ticket today, or the approvers that are accounts.
pub(super) async fn words(
    context: &Context,
    lookups: &Lookups,
    opened: &TicketRecord,
    route: &Route,
    notice: &Notice,
) -> Result<Doc, jira::Error> {
    let assignee = context.jira.assignee(&opened.ticket.id).await?;
    let assignee = assignee.map(|account| NamedAccount { id: account.id, name: account.name });
    let people = match assignee {
        Some(_) => People::default(),
        None => lookups.named(None, &route.approval).await,
    };
    Ok(ticket::reminder(notice, route, assignee.as_ref(), &people))
}
