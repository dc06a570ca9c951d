//! PURE: what becomes of a gate whose ticket was opened, or looked at.

use super::step::{Step, tell};
use crate::{
    gate::{InvalidReason, Gate, GateId, GateState, Ticket, TicketState},
    policy::{Author, Milestone, Statuses},
    rollout::{
        change::AuditEvent,
        command::{Command, Notice},
        course::Progress,
    },
};

impl Step {
    pub(super) fn opened(&mut self, id: &GateId, ticket: &Ticket, statuses: Option<&Statuses>) {
        let now = self.now;
        let Some(gate) = self.gate(id) else { return };
        if gate.ticket().is_some() {
            return;
        }
        gate.standing =
            GateState::Watched { ticket: ticket.clone(), seen: now, view: TicketState::Waiting { status: None } };
        gate.statuses = statuses.map(Statuses::pinned);
        let name = gate.name.clone();
        let (gate, milestone) = (id.clone(), Milestone::Opened);
        self.commands.push(Command::Move { gate, name: name.clone(), milestone });
        for gate in std::mem::take(&mut self.canary.superseded) {
            self.commands.push(Command::Link { gate, successor: id.clone() });
        }
        self.facts.push(AuditEvent::TicketOpened { gate: name, ticket: ticket.clone() });
    }

    pub(super) fn not_opened(&mut self, id: &GateId, why: &str) {
        let Some(gate) = self.gate(id) else { return };
        let stuck = GateState::Stuck { why: why.to_owned() };
        if gate.ticket().is_some() || gate.standing == stuck {
            return;
        }
        gate.standing = stuck;
        let fact = AuditEvent::TicketStuck { gate: gate.name.clone(), why: why.to_owned() };
        self.facts.push(fact);
    }

    /// The ticket of a gate was looked at; `look` tells what the gate becomes by that, if it is news.
    pub(super) fn seen(&mut self, id: &GateId, look: impl FnOnce(&Gate) -> Option<Gate>) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        if let Some(at) = rollout.replaced.iter().position(|gate| gate.id == *id) {
            if let Some(after) = look(&rollout.replaced[at]) {
                self.seen_again(at, after);
            }
            return;
        }
        let (rollback_asked, denies_all) = (rollout.rollback_asked, rollout.denies_all());
        let has_begun = !matches!(rollout.course, Progress::Asked(_) | Progress::Waiting(_));
        let Some(gate) = rollout.gates.iter_mut().find(|gate| gate.id == *id) else { return };
        let Some(after) = look(gate) else { return };
        let before = std::mem::replace(gate, after);
        let (GateState::Watched { view: was, .. }, GateState::Watched { ticket, view, .. }) =
            (&before.standing, &gate.standing)
        else {
            return;
        };
        if was == view {
            return;
        }
        let fact = AuditEvent::TicketSeen { gate: gate.name.clone(), ticket: ticket.clone(), view: view.clone() };
        self.facts.push(fact);
        let for_good = denies_all || gate.denies_for_good();
        if let TicketState::NotAllowed { decision, why, .. } = view {
            let (entry, why) = (decision.entry.changelog_id.clone(), why.clone());
            tell(&mut self.commands, gate, Notice::NotAllowed { entry, why, for_good });
        } else if let TicketState::Gone { doubt: InvalidReason::Relocated { entry, .. } } = view {
            let entry = entry.clone();
            tell(&mut self.commands, gate, Notice::Relocated { entry });
        } else if let TicketState::Gone { doubt: InvalidReason::Mapped { entry, .. } } = view {
            let entry = entry.clone();
            tell(&mut self.commands, gate, Notice::Mapped { entry });
        } else if let TicketState::Gone { doubt: InvalidReason::Renamed { status } } = view {
            let status = status.id.clone();
            tell(&mut self.commands, gate, Notice::Renamed { status });
        } else if let TicketState::Rejected { decision, author, .. } = view {
            let (entry, author) = (decision.entry.changelog_id.clone(), author.clone());
            if !has_begun {
                tell(&mut self.commands, gate, Notice::RejectedAtStart { entry });
            } else if let Author::NotAccepted { why } = author {
                tell(&mut self.commands, gate, Notice::RejectedByNobody { entry, why, for_good });
            } else if !rollback_asked {
                tell(&mut self.commands, gate, Notice::RejectedWithoutRollback { entry });
            }
        }
    }
}
