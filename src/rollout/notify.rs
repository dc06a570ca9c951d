//! PURE: which notifications a change of a canary makes.

use super::{
    canary::Canary,
    change::AuditEvent,
    notification::{Notification, Turn},
};
use crate::{
    gate::{Decision, Gate, GateId, GateName, GateState, Stage, Ticket, TicketState},
    millis::{Millis, as_millis_i64},
    text::one_line,
};

/// The longest text from outside in a notification, in characters.
const LONGEST: usize = 500;
/// How the tags of notifications begin, among the other tags of a gate.
const TAG: &str = "notified-";

/// The notifications about what is recorded in one change of a canary, each with the gate that it is about, or the id of what it
/// is about if that is none. Each turn of a gate is in it once: the gate remembers it, as long as its rollout lasts. `asks` says
/// whether anybody is asked at a gate: where nobody is, it does not wait, and an approval changes nothing.
#[must_use]
pub fn notifications(
    audit_events: &[AuditEvent],
    before: &Canary,
    canary: &mut Canary,
    asks: impl Fn(&GateName) -> bool,
    now: Millis,
) -> Vec<(GateId, Notification)> {
    let label =
        |of: &Canary| of.rollout.as_ref().and_then(|it| it.label.as_ref()).map(|label| line(&label.0));
    let label = label(canary).or_else(|| label(before));
    let mut found = Vec::new();
    for audit_event in audit_events {
        if let AuditEvent::PromotedUnasked { id, bypass } = audit_event {
            let turn = Turn::PromotedUnasked { bypass: bypass.clone() };
            let gate = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
            let (ticket, change) = (None, None);
            found.push((id.clone(), Notification { turn, gate, ticket, change, label: None, at: now }));
            continue;
        }
        let Some((name, turn)) = turn(audit_event) else { continue };
        if matches!(turn, Turn::Waiting | Turn::Approved { .. }) && !asks(name) {
            continue;
        }
        let Some(gate) = gate(canary, name).or_else(|| gate(before, name)) else { continue };
        let tag = format!("{TAG}{}", turn.tag());
        if gate.notified.contains(&tag) {
            continue;
        }
        let notification = Notification {
            turn,
            gate: name.clone(),
            ticket: gate.ticket().map(|ticket| ticket.key.clone()),
            change: gate.shows.as_ref().map(|shows| line(&shows.summary)),
            label: label.clone(),
            at: now,
        };
        let id = gate.id.clone();
        let gates = canary.rollout.iter_mut().flat_map(|rollout| &mut rollout.gates);
        if let Some(gate) = gates.into_iter().find(|gate| gate.id == id) {
            gate.notified.push(tag);
        }
        found.push((id, notification));
    }
    found
}

fn gate<'a>(canary: &'a Canary, name: &GateName) -> Option<&'a Gate> {
    canary.rollout.iter().flat_map(|rollout| &rollout.gates).find(|gate| gate.name == *name)
}

/// What happened at which gate, by what is recorded. `None`: nothing that a team is told.
fn turn(audit_event: &AuditEvent) -> Option<(&GateName, Turn)> {
    Some(match audit_event {
        AuditEvent::TicketOpened { gate, ticket: Ticket { .. } } => (gate, Turn::Waiting),
        AuditEvent::TicketSeen { gate, ticket_state, .. } => (gate, decided(ticket_state)?),
        AuditEvent::TimedOut { gate, within, .. } => {
            (gate, Turn::TimedOut { within: as_millis_i64(*within) })
        }
        AuditEvent::TicketStuck { gate, why } => (gate, Turn::Stuck { why: line(why) }),
        AuditEvent::Bypassed { gate, .. } => (gate, Turn::ShippedWithoutApproval),
        AuditEvent::Unapproved { gate, .. } => (gate, Turn::StartedUnapproved),
        AuditEvent::Began
        | AuditEvent::GateAsked { .. }
        | AuditEvent::Passed { .. }
        | AuditEvent::Recorded { .. }
        | AuditEvent::Frozen { .. }
        | AuditEvent::Excepted { .. }
        | AuditEvent::TimeoutRolledBack { .. }
        | AuditEvent::Ended { .. }
        | AuditEvent::AnswerChanged { .. }
        | AuditEvent::Expired { .. }
        | AuditEvent::RolledBack { .. }
        | AuditEvent::Refused { .. }
        | AuditEvent::LateMove { .. }
        | AuditEvent::OtherRevision { .. }
        | AuditEvent::Unasked { .. }
        | AuditEvent::PromotedUnasked { .. }
        | AuditEvent::LooksUntyped { .. } => return None,
    })
}

fn decided(ticket_state: &TicketState) -> Option<Turn> {
    let entry = |decision: &Decision| decision.changelog_entry.changelog_id.clone();
    let by = |decision: &Decision| line(&decision.by());
    match ticket_state {
        TicketState::Approved { decision, .. } => {
            Some(Turn::Approved { entry: entry(decision), by: by(decision) })
        }
        TicketState::Rejected { decision, .. } => {
            Some(Turn::Rejected { entry: entry(decision), by: by(decision) })
        }
        TicketState::NotAllowed { .. }
        | TicketState::Invalid { .. }
        | TicketState::Waiting { .. }
        | TicketState::JudgmentPending { .. } => None,
    }
}

/// Whether the gate of a notification that it is stuck is so still. Others are true for good.
#[must_use]
pub fn is_still_true(turn: &Turn, gate: Option<&Gate>) -> bool {
    match turn {
        Turn::Stuck { .. } => gate.is_some_and(|gate| matches!(gate.state, GateState::Stuck { .. })),
        Turn::Waiting
        | Turn::Approved { .. }
        | Turn::Rejected { .. }
        | Turn::TimedOut { .. }
        | Turn::ShippedWithoutApproval
        | Turn::StartedUnapproved
        | Turn::PromotedUnasked { .. } => true,
    }
}

fn line(text: &str) -> String {
    one_line(text, LONGEST)
}
