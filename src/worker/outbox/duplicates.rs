//! Tickets that were opened twice: Jira carried out a create without answering, and showed the ticket only after the
//! bridge had stopped searching. One ticket counts; the bridge closes all others that it opened, with a comment.

use super::result::{CommandResult, Failure};
use crate::{
    gate::{GateId, GateName, Ticket},
    millis::Millis,
    policy::Milestone,
    rollout::{CanaryId, Command, Notice, Subject},
    store::{self, TicketRecord, WriteTx},
    worker::context::Context,
};

/// A second ticket is searched for during this many times `jira.index_lag`, with doubling delays.
const SEARCH_LAGS: u32 = 8;

/// Searches for further tickets of the gate, beside the one that counts.
pub(super) async fn find(context: &Context, gate: &GateId, since: Millis) -> Result<CommandResult, Failure> {
    let now = context.clock.now();
    let found = newly_found(context, gate, &[]).await?;
    let counts = context.store().ticket(gate).await.map_err(Failure::of_row)?.map(|opened| opened.ticket);
    let (waited, lag) = (now.since(since), context.config().jira.index_lag);
    let longest = lag.saturating_mul(SEARCH_LAGS);
    let again = (waited < longest).then(|| {
        let why = "Jira was asked twice to open this ticket; the bridge looks for a second one".into();
        (since + waited.saturating_mul(2).clamp(lag, longest), why)
    });
    Ok(CommandResult::DuplicatesSearched { counts, found, again })
}

/// The bridge's tickets that Jira shows for a gate and that are not stored yet. A Jira user who may edit a ticket can
/// mark it as the ticket of another gate, so a stored ticket keeps its gate.
pub(super) async fn newly_found(
    context: &Context,
    gate: &GateId,
    labels: &[String],
) -> Result<Vec<Ticket>, Failure> {
    let mut new = vec![];
    for ticket in context.jira.find(gate, labels).await? {
        if !context.store().has_ticket(&ticket.id).await? {
            new.push(ticket);
        }
    }
    Ok(new)
}

/// Closes tickets that were found for a gate beside the one that counts, if there is one. From then on they are ended
/// tickets like any other.
pub(super) async fn close(
    tx: &mut WriteTx,
    canary: &CanaryId,
    (gate, name): (&GateId, &GateName),
    counts: Option<&Ticket>,
    found: &[Ticket],
    now: Millis,
) -> Result<(), store::Error> {
    for found in found {
        // Not the id of a gate: no move of the duplicate can affect a verdict.
        let duplicate = GateId(format!("{gate}-{}", found.id));
        tx.store_ticket(&TicketRecord::new(canary, &duplicate, name, found)).await?;
        let of = counts.map(|ticket| ticket.key.clone());
        tracing::warn!(
            %canary,
            gate = %name,
            ticket = of,
            duplicate = found.key,
            "a ticket was opened twice; the duplicate opens nothing, and a comment says so"
        );
        for command in [
            Command::Comment { gate: duplicate.clone(), notice: Notice::Duplicate { of } },
            Command::Label { gate: duplicate.clone() },
            Command::Move { gate: duplicate, name: name.clone(), milestone: Milestone::Superseded },
        ] {
            tx.enqueue(canary, &command, now).await?;
        }
    }
    Ok(())
}

/// The command that searches later for a second ticket.
pub(super) fn search_later(gate: &GateId, subject: &Subject, since: Millis) -> Command {
    Command::FindDuplicates { gate: gate.clone(), name: subject.gate.clone(), since }
}
