//! PURE: gates that others took the place of, because Jira did not show their tickets for long, or they were labelled as those
//! whose rollout is over.

use super::step::{Step, tell};
use crate::{
    gate::{InvalidReason, Gate, GateState, TicketState},
    policy::DENIES_OTHERS,
    rollout::{
        change::AuditEvent,
        command::{Command, Notice},
        course::End,
    },
};

/// Which of two gates of one name lives on, when the ticket that was given up is seen again.
enum Counts {
    /// The one that began since; this is the key of its ticket.
    Newer { newer: Gate, key: String },
    /// The one that was given up: the other has no ticket yet, or this one was rejected, and no stays no.
    Older { newer: Option<Gate> },
}

fn counts(older: &Gate, newer: Option<Gate>) -> Counts {
    let Some(newer) = newer else { return Counts::Older { newer: None } };
    match newer.ticket().map(|ticket| ticket.key.clone()) {
        Some(key) if older.rejection().is_none() || newer.rollback().is_some() => {
            Counts::Newer { newer, key }
        }
        Some(_) | None => Counts::Older { newer: Some(newer) },
    }
}

/// The gate that was given up, with what Flagger was told and who was denied since.
fn taken_back(older: Gate, newer: &Gate) -> Gate {
    let mut deny = older.deny.clone();
    for who in &newer.deny {
        if !deny.contains(who) {
            deny.push(who.clone());
        }
    }
    let is_stricter = deny.len() > older.deny.len();
    let mut gate = Gate { deny, said: newer.said, ..older };
    if is_stricter {
        // It was judged without them.
        gate.doubt_author(DENIES_OTHERS);
    }
    gate
}

impl Step {
    /// A ticket was seen again that had been given up, so that its gate began anew. One gate has one ticket: the other one is
    /// told so.
    pub(super) fn seen_again(&mut self, at: usize, older: Gate) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let GateState::Watched { ticket, view, .. } = &older.standing else { return };
        // What has its number may be somebody else's: that is not its ticket seen again.
        if matches!(view, TicketState::Gone { doubt: InvalidReason::Missing { .. } | InvalidReason::Unmarked { .. } }) {
            // That it was labelled is not forgotten.
            if !rollout.replaced[at].is_labelled() {
                rollout.replaced[at] = older;
            }
            return;
        }
        if rollout.replaced[at].is_labelled() && older.rejection().is_none() {
            return self.moved_though_labelled(at, older);
        }
        let fact = AuditEvent::TicketSeen { gate: older.name.clone(), ticket: ticket.clone(), view: view.clone() };
        self.facts.push(fact);
        let key = ticket.key.clone();
        rollout.replaced.remove(at);
        let place = rollout.gates.iter().position(|gate| gate.name == older.name);
        let newer = place.map(|at| rollout.gates.remove(at));
        let (live, dead, by) = match counts(&older, newer) {
            Counts::Newer { newer, key } => (newer, Some(older), key),
            Counts::Older { newer } => {
                let live = match &newer {
                    Some(newer) => taken_back(older, newer),
                    None => older,
                };
                (live, newer, key)
            }
        };
        let successor = live.id.clone();
        // The last one is told what Flagger reports.
        rollout.gates.push(live);
        let Some(dead) = dead.filter(|dead| !dead.is_unmarked()) else { return };
        self.buries(&dead, Notice::Replaced { by }, End::Superseded);
        self.commands.push(Command::Link { gate: dead.id, successor });
    }

    /// A ticket that was labelled as one whose rollout is over opens nothing any more, also without the label. Whoever moves it
    /// is told so, once.
    fn moved_though_labelled(&mut self, at: usize, older: Gate) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let GateState::Watched { ticket, seen, view } = older.standing else { return };
        let known = &mut rollout.replaced[at];
        let GateState::Watched { view: before, .. } = &known.standing else { return };
        let Some(status) = view.status().cloned() else { return };
        let is_moved = before.status().is_some_and(|before| before.id != status.id);
        if !is_moved && known.newest_move == older.newest_move {
            return;
        }
        let view = TicketState::Gone { doubt: InvalidReason::LabelledEnded { status } };
        known.standing = GateState::Watched { ticket: ticket.clone(), seen, view };
        known.newest_move = older.newest_move;
        if is_moved {
            let live = rollout.gates.iter().rev().find_map(Gate::ticket).map(|ticket| ticket.key.clone());
            tell(&mut self.commands, known, Notice::Late { live });
            self.facts.push(AuditEvent::LateMove { gate: older.name, ticket });
        }
    }
}
