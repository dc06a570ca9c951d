//! PURE: gates that others took the place of, because Jira did not show their tickets for long, or they were labelled as those
//! whose rollout is over.

use super::step::{Step, notify_once};
use crate::{
    gate::{Gate, GateState, InvalidReason, TicketState},
    policy::DENIES_OTHERS,
    rollout::{
        change::AuditEvent,
        command::{Command, Notice},
        progress::End,
    },
};

/// Which of two gates of one name lives on, when the ticket that was given up is seen again.
enum Survivor {
    /// The one that began since; this is the key of its ticket.
    Newer { newer: Gate, key: String },
    /// The one that was given up: the other has no ticket yet, or this one was rejected, and no stays no.
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

/// The gate that was given up, with what Flagger was told and who was denied since.
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
        // It was judged without them.
        gate.reopen_judgment(DENIES_OTHERS);
    }
    gate
}

impl Step {
    /// A ticket was seen again that had been given up, so that its gate began anew. One gate has one ticket: the other one is
    /// told so.
    pub(super) fn reappeared(&mut self, at: usize, older: Gate) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let GateState::Watched { ticket, ticket_state, .. } = &older.state else { return };
        // What has its number may be somebody else's: that is not its ticket seen again.
        if matches!(
            ticket_state,
            TicketState::Invalid { doubt: InvalidReason::Missing { .. } | InvalidReason::Unmarked { .. } }
        ) {
            // That it was labelled is not forgotten.
            if !rollout.replaced[at].is_labelled() {
                rollout.replaced[at] = older;
            }
            return;
        }
        if rollout.replaced[at].is_labelled() && older.rejection().is_none() {
            return self.moved_though_labelled(at, older);
        }
        let audit_event = AuditEvent::TicketSeen {
            gate: older.name.clone(),
            ticket: ticket.clone(),
            ticket_state: ticket_state.clone(),
        };
        self.audit_events.push(audit_event);
        let key = ticket.key.clone();
        rollout.replaced.remove(at);
        let place = rollout.gates.iter().position(|gate| gate.name == older.name);
        let newer = place.map(|at| rollout.gates.remove(at));
        let (live, dead, by) = match survivor(&older, newer) {
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
        // The last one is told what Flagger reports.
        rollout.gates.push(live);
        let Some(dead) = dead.filter(|dead| !dead.is_unmarked()) else { return };
        self.retire_ticket(&dead, Notice::Replaced { by }, End::Superseded);
        self.commands.push(Command::Link { gate: dead.id, successor });
    }

    /// A ticket that was labelled as one whose rollout is over opens nothing any more, also without the label. Whoever moves it
    /// is told so, once.
    fn moved_though_labelled(&mut self, at: usize, older: Gate) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let GateState::Watched { ticket, seen, ticket_state } = older.state else { return };
        let known = &mut rollout.replaced[at];
        let GateState::Watched { ticket_state: before, .. } = &known.state else { return };
        let Some(status) = ticket_state.status().cloned() else { return };
        let is_moved = before.status().is_some_and(|before| before.id != status.id);
        if !is_moved && known.newest_move == older.newest_move {
            return;
        }
        let ticket_state = TicketState::Invalid { doubt: InvalidReason::LabelledEnded { status } };
        known.state = GateState::Watched { ticket: ticket.clone(), seen, ticket_state };
        known.newest_move = older.newest_move;
        if is_moved {
            let live = rollout.gates.iter().rev().find_map(Gate::ticket).map(|ticket| ticket.key.clone());
            notify_once(&mut self.commands, known, Notice::Late { live });
            self.audit_events.push(AuditEvent::LateMove { gate: older.name, ticket });
        }
    }
}
