//! PURE: gates that were replaced because Jira did not show their tickets for long, or because the tickets were
//! labelled `flagger-ended`.

use super::step::{Step, notify_once};
use crate::{
    gate::{Gate, GateState, InvalidReason, TicketState},
    policy::{DENY_LIST_GREW, Milestone},
    rollout::{change::AuditEvent, command::Command, notice::Notice},
};

/// Which of two gates of one name stays, when the ticket of the replaced one is seen again.
enum Survivor {
    /// The newer one; `key` is the key of its ticket.
    Newer { newer: Gate, key: String },
    /// The replaced one: the newer one has no ticket yet, or the older one was rejected, and a rejection stays.
    Older { newer: Option<Gate> },
}

fn survivor(older: &Gate, newer: Option<Gate>) -> Survivor {
    let Some(newer) = newer else { return Survivor::Older { newer: None } };
    match newer.ticket().map(|ticket| ticket.key.clone()) {
        Some(key) if older.rejection().is_none() || newer.rollback().is_some() => {
            Survivor::Newer { newer, key }
        }
        Some(_) | None => Survivor::Older { newer: Some(newer) },
    }
}

/// The replaced gate, with the last answer and the denials of the newer one.
fn reinstated(older: Gate, newer: &Gate) -> Gate {
    let mut deny = older.deny.clone();
    for who in &newer.deny {
        if !deny.contains(who) {
            deny.push(who.clone());
        }
    }
    let is_stricter = deny.len() > older.deny.len();
    let mut gate = Gate { deny, last_answer: newer.last_answer, ..older };
    if is_stricter {
        // It was judged without the new entries.
        gate.reopen_judgment(DENY_LIST_GREW);
    }
    gate
}

impl Step {
    /// The ticket of a replaced gate was seen again. One gate has one ticket, so the bridge comments on the other one.
    pub(super) fn reappeared(&mut self, at: usize, older: Gate) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let GateState::Watched { ticket, ticket_state, .. } = &older.state else { return };
        // If the issue is still missing, or another issue has its id, its ticket was not seen again.
        if matches!(
            ticket_state,
            TicketState::Invalid { reason: InvalidReason::Missing { .. } | InvalidReason::Unmarked { .. } }
        ) {
            // A known label is kept.
            if !rollout.replaced[at].is_labelled() {
                rollout.replaced[at] = older;
            }
            return;
        }
        if rollout.replaced[at].is_labelled() && older.rejection().is_none() {
            return self.labelled_ticket_moved(at, older);
        }
        self.audit_events.extend(AuditEvent::ticket_seen(&older));
        let key = ticket.key.clone();
        rollout.replaced.remove(at);
        let place = rollout.gates.iter().position(|gate| gate.name == older.name);
        let newer = place.map(|at| rollout.gates.remove(at));
        let (live, retired, by) = match survivor(&older, newer) {
            Survivor::Newer { newer, key } => (newer, Some(older), key),
            Survivor::Older { newer } => {
                let live = match &newer {
                    Some(newer) => reinstated(older, newer),
                    None => older,
                };
                (live, newer, key)
            }
        };
        let successor = live.id.clone();
        // Flagger's reports go to the last gate.
        rollout.gates.push(live);
        let Some(retired) = retired.filter(|retired| !retired.is_unmarked()) else { return };
        self.retire_ticket(&retired, Notice::Replaced { by }, Some(Milestone::Superseded));
        self.commands.push(Command::Link { gate: retired.id, successor });
    }

    /// A ticket that was labelled `flagger-ended` opens nothing any more, even without the label. If it is moved, the
    /// bridge comments once.
    fn labelled_ticket_moved(&mut self, at: usize, older: Gate) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let GateState::Watched { ticket, seen, ticket_state } = older.state else { return };
        let known = &mut rollout.replaced[at];
        let GateState::Watched { ticket_state: before, .. } = &known.state else { return };
        let Some(status) = ticket_state.status().cloned() else { return };
        let is_moved = before.status().is_some_and(|before| before.id != status.id);
        if !is_moved && known.newest_move == older.newest_move {
            return;
        }
        let ticket_state = TicketState::Invalid { reason: InvalidReason::LabelledEnded { status } };
        known.state = GateState::Watched { ticket: ticket.clone(), seen, ticket_state };
        known.newest_move = older.newest_move;
        if is_moved {
            let live = rollout.live_ticket_key();
            notify_once(&mut self.commands, &mut rollout.replaced[at], Notice::Late { live });
            self.audit_events.push(AuditEvent::LateMove { gate: older.name, ticket });
        }
    }
}
