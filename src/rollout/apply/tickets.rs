//! PURE: what happens to a gate when its ticket is opened or read.

use super::step::{Step, notify_once};
use crate::{
    gate::{Gate, GateId, GateState, InvalidReason, Ticket, TicketState},
    policy::{Author, Milestone, Statuses},
    rollout::{
        change::AuditEvent,
        command::{Command, Notice},
        progress::Progress,
    },
};

impl Step {
    pub(super) fn opened(&mut self, id: &GateId, ticket: &Ticket, statuses: Option<&Statuses>) {
        let now = self.now;
        let Some(gate) = self.gate(id) else { return };
        if gate.ticket().is_some() {
            return;
        }
        gate.state = GateState::Watched {
            ticket: ticket.clone(),
            seen: now,
            ticket_state: TicketState::Waiting { status: None },
        };
        gate.statuses = statuses.map(Statuses::pinned);
        let name = gate.name.clone();
        let (gate, milestone) = (id.clone(), Milestone::Opened);
        self.commands.push(Command::Move { gate, name: name.clone(), milestone });
        for gate in std::mem::take(&mut self.canary.superseded) {
            self.commands.push(Command::Link { gate, successor: id.clone() });
        }
        self.audit_events.push(AuditEvent::TicketOpened { gate: name, ticket: ticket.clone() });
    }

    pub(super) fn not_opened(&mut self, id: &GateId, why: &str) {
        let Some(gate) = self.gate(id) else { return };
        let stuck = GateState::Stuck { why: why.to_owned() };
        if gate.ticket().is_some() || gate.state == stuck {
            return;
        }
        gate.state = stuck;
        let audit_event = AuditEvent::TicketStuck { gate: gate.name.clone(), why: why.to_owned() };
        self.audit_events.push(audit_event);
    }

    /// The ticket of a gate was read. `look` returns the changed gate, if the reading changes it.
    pub(super) fn seen(&mut self, id: &GateId, look: impl FnOnce(&Gate) -> Option<Gate>) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        if let Some(at) = rollout.replaced.iter().position(|gate| gate.id == *id) {
            if let Some(after) = look(&rollout.replaced[at]) {
                self.reappeared(at, after);
            }
            return;
        }
        let (rollback_asked, denies_all) = (rollout.rollback_asked, rollout.denies_all());
        let has_begun = !matches!(rollout.progress, Progress::Asked(_) | Progress::Waiting(_));
        let Some(gate) = rollout.gates.iter_mut().find(|gate| gate.id == *id) else { return };
        let Some(after) = look(gate) else { return };
        let before = std::mem::replace(gate, after);
        let (GateState::Watched { ticket_state: was, .. }, GateState::Watched { ticket, ticket_state, .. }) =
            (&before.state, &gate.state)
        else {
            return;
        };
        if was == ticket_state {
            return;
        }
        let audit_event = AuditEvent::TicketSeen {
            gate: gate.name.clone(),
            ticket: ticket.clone(),
            ticket_state: ticket_state.clone(),
        };
        self.audit_events.push(audit_event);
        let for_good = denies_all || gate.denies_for_good();
        if let TicketState::NotAllowed { decision, why, .. } = ticket_state {
            let (entry, why) = (decision.changelog_entry.changelog_id.clone(), why.clone());
            notify_once(&mut self.commands, gate, Notice::NotAllowed { entry, why, for_good });
        } else if let TicketState::Invalid { reason: InvalidReason::Relocated { entry, .. } } = ticket_state {
            let entry = entry.clone();
            notify_once(&mut self.commands, gate, Notice::Relocated { entry });
        } else if let TicketState::Invalid { reason: InvalidReason::Mapped { entry, .. } } = ticket_state {
            let entry = entry.clone();
            notify_once(&mut self.commands, gate, Notice::Mapped { entry });
        } else if let TicketState::Invalid { reason: InvalidReason::Renamed { status } } = ticket_state {
            let status = status.id.clone();
            notify_once(&mut self.commands, gate, Notice::Renamed { status });
        } else if let TicketState::Rejected { decision, author, .. } = ticket_state {
            let (entry, author) = (decision.changelog_entry.changelog_id.clone(), author.clone());
            if !has_begun {
                notify_once(&mut self.commands, gate, Notice::RejectedAtStart { entry });
            } else if let Author::NotAccepted { why } = author {
                notify_once(&mut self.commands, gate, Notice::RejectionNotCounted { entry, why, for_good });
            } else if !rollback_asked {
                notify_once(&mut self.commands, gate, Notice::RejectedWithoutRollback { entry });
            }
        }
    }
}
