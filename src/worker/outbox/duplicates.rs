//! Tickets that were opened twice: Jira did what it was asked, said nothing, and showed it only after the search had
//! been given up. One counts; every other of ours is closed and told.

use super::effect::{CommandResult, Failure};
use crate::{
    gate::{GateId, GateName, Ticket},
    millis::Millis,
    policy::Milestone,
    rollout::{CanaryId, Command, Notice, Subject},
    store::{self, TicketRecord, WriteTx},
    worker::context::Context,
};

/// For how many times `jira.index_lag` a second ticket is looked for, each time after twice the time.
const LOOKED_FOR: u32 = 8;

/// Looks whether the gate has more tickets than the one that counts.
pub(super) async fn find(context: &Context, gate: &GateId, since: Millis) -> Result<CommandResult, Failure> {
    let now = context.clock.now();
    let found = newly_found(context, gate).await?;
    let counts = context.store().ticket(gate).await.map_err(Failure::of_row)?.map(|opened| opened.ticket);
    let (waited, lag) = (now.since(since), context.config().jira.index_lag);
    let longest = lag.saturating_mul(LOOKED_FOR);
    let again = (waited < longest).then(|| {
        let why = "Jira was asked twice to open this ticket; a second one is looked for".into();
        (since + waited.saturating_mul(2).clamp(lag, longest), why)
    });
    Ok(CommandResult::Labelled { counts, found, again })
}

/// The tickets of ours that Jira shows for a gate and that were not known before. Who may edit a ticket can mark
/// it as that of another gate: one that is known stays what it is.
pub(super) async fn newly_found(context: &Context, gate: &GateId) -> Result<Vec<Ticket>, Failure> {
    let mut new = vec![];
    for ticket in context.jira.find(gate).await? {
        if !context.store().keeps(&ticket.id).await? {
            new.push(ticket);
        }
    }
    Ok(new)
}

/// Closes tickets that were found for a gate, beside the one that counts, if there is one. From then on they are dead
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
        // Of no gate: nothing that is done to it ever reaches a verdict.
        let duplicate = GateId(format!("{gate}-{}", found.id));
        tx.keep_ticket(&opened(canary, &duplicate, name, found)).await?;
        let of = counts.map(|ticket| ticket.key.clone());
        tracing::warn!(
            %canary,
            gate = %name,
            ticket = of,
            duplicate = found.key,
            "a ticket was opened twice; the duplicate opens nothing, and is told so"
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

/// A ticket of this gate, as it is kept from when it was opened.
pub(super) fn opened(canary: &CanaryId, gate: &GateId, name: &GateName, ticket: &Ticket) -> TicketRecord {
    let (canary, gate, name, ticket) = (canary.clone(), gate.clone(), name.clone(), ticket.clone());
    TicketRecord { gate, canary, name, ticket, ended_at: None, missing_since: None }
}

/// Looks later whether the ticket was opened twice.
pub(super) fn look_again_later(gate: &GateId, subject: &Subject, since: Millis) -> Command {
    Command::FindDuplicates { gate: gate.clone(), name: subject.gate.clone(), since }
}
