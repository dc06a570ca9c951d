//! PURE: which Kubernetes Events a change of a canary publishes.

use super::{
    canary::Canary,
    canary_event::{CanaryEvent, NotCounted},
    change::AuditEvent,
    command::Command,
};
use crate::{
    gate::{Decision, Gate, GateId, GateName, InvalidReason, Ticket, TicketState},
    millis::Millis,
};

/// The commands that publish what is recorded in one change of a canary: at most one for each gate.
#[must_use]
pub fn publish(audit_events: &[AuditEvent], before: &Canary, now: Millis) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    for audit_event in audit_events {
        let (gate, name, event) = if let AuditEvent::PromotedUnasked { id, bypass } = audit_event {
            // Not the id of its ticket, which may be opened late.
            let id = GateId(format!("{}-event", id.0));
            (id, None, CanaryEvent::PromotedUnasked { bypass: bypass.clone() })
        } else {
            let Some((name, event)) = event(audit_event) else { continue };
            // What is recorded is about a gate that was there before: one that is new has no ticket yet.
            let mut gates = before.rollout.iter().flat_map(|rollout| &rollout.gates);
            let Some(gate) = gates.find(|gate| gate.name == *name) else { continue };
            let Some(event) = as_asked(gate, event) else { continue };
            (gate.id.clone(), Some(name.clone()), event)
        };
        if !commands.iter().any(|command| *command.gate() == gate) {
            commands.push(Command::Publish { gate, name, event, at: now });
        }
    }
    commands
}

/// The Event for what is recorded, and the gate that it is about. `None`: nothing that Flagger's users wait for.
fn event(audit_event: &AuditEvent) -> Option<(&GateName, CanaryEvent)> {
    Some(match audit_event {
        AuditEvent::TicketOpened { gate, ticket } => {
            (gate, CanaryEvent::ApprovalRequested { ticket: ticket.key.clone() })
        }
        AuditEvent::TicketSeen { gate, ticket, ticket_state } => {
            (gate, event_of_state(ticket, ticket_state)?)
        }
        AuditEvent::Expired { gate, ticket, decision } => {
            (gate, CanaryEvent::ApprovalExpired { ticket: ticket.key.clone(), entry: entry(decision) })
        }
        AuditEvent::TimedOut { gate, ticket, .. } => {
            (gate, CanaryEvent::NotDecided { ticket: ticket.key.clone() })
        }
        AuditEvent::Bypassed { gate, ticket, .. } => {
            let ticket = ticket.as_ref().map(|ticket| ticket.key.clone());
            (gate, CanaryEvent::ShippedWithoutApproval { ticket })
        }
        AuditEvent::Unapproved { gate, ticket, .. } => {
            let ticket = ticket.as_ref().map(|ticket| ticket.key.clone());
            (gate, CanaryEvent::StartedUnapproved { ticket })
        }
        AuditEvent::Began
        | AuditEvent::GateAsked { .. }
        | AuditEvent::TicketStuck { .. }
        | AuditEvent::Passed { .. }
        | AuditEvent::Recorded { .. }
        | AuditEvent::Ended { .. }
        | AuditEvent::AnswerChanged { .. }
        | AuditEvent::Frozen { .. }
        | AuditEvent::Excepted { .. }
        | AuditEvent::RolledBack { .. }
        | AuditEvent::TimeoutRolledBack { .. }
        | AuditEvent::Refused { .. }
        | AuditEvent::LateMove { .. }
        | AuditEvent::OtherRevision { .. }
        | AuditEvent::Unasked { .. }
        | AuditEvent::PromotedUnasked { .. }
        | AuditEvent::LooksUntyped { .. } => return None,
    })
}

/// The Event for a gate, which does not speak of an approval if the gate asked for none.
fn as_asked(gate: &Gate, event: CanaryEvent) -> Option<CanaryEvent> {
    if !gate.is_recorded() {
        return Some(event);
    }
    match event {
        CanaryEvent::ApprovalRequested { ticket } => Some(CanaryEvent::Recorded { ticket }),
        CanaryEvent::Approved { .. }
        | CanaryEvent::ApprovalNotCounted { .. }
        | CanaryEvent::ApprovalExpired { .. }
        | CanaryEvent::NotDecided { .. } => None,
        CanaryEvent::Recorded { .. }
        | CanaryEvent::Rejected { .. }
        | CanaryEvent::ShippedWithoutApproval { .. }
        | CanaryEvent::StartedUnapproved { .. }
        | CanaryEvent::PromotedUnasked { .. } => Some(event),
    }
}

fn event_of_state(ticket: &Ticket, ticket_state: &TicketState) -> Option<CanaryEvent> {
    let ticket = ticket.key.clone();
    let not_counted = |entry: &str, why| (entry.to_owned(), why);
    let (entry, why) = match ticket_state {
        TicketState::Approved { decision, .. } => {
            return Some(CanaryEvent::Approved { ticket, entry: entry(decision), by: by(decision) });
        }
        TicketState::Rejected { decision, .. } => {
            return Some(CanaryEvent::Rejected { ticket, entry: entry(decision), by: by(decision) });
        }
        TicketState::NotAllowed { decision, why, .. } => {
            (entry(decision), NotCounted::Author { why: why.clone() })
        }
        TicketState::Invalid { reason } => match reason {
            InvalidReason::Relocated { entry, .. } | InvalidReason::Mapped { entry, .. } => {
                not_counted(entry, NotCounted::NoTransition)
            }
            InvalidReason::Renamed { status } => not_counted(&status.id, NotCounted::Renamed),
            InvalidReason::ApprovedBefore { status } => not_counted(&status.id, NotCounted::TooEarly),
            InvalidReason::LabelledEnded { .. }
            | InvalidReason::MovedElsewhere { .. }
            | InvalidReason::NoChangelogEntry { .. }
            | InvalidReason::Unmarked { .. }
            | InvalidReason::Missing { .. } => return None,
        },
        TicketState::Waiting { .. } | TicketState::JudgmentPending { .. } => return None,
    };
    Some(CanaryEvent::ApprovalNotCounted { ticket, entry, why })
}

fn entry(decision: &Decision) -> String {
    decision.changelog_entry.changelog_id.clone()
}

fn by(decision: &Decision) -> String {
    decision.by()
}
