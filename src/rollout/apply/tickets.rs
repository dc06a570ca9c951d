//! PURE: what becomes of a gate whose ticket was opened, or looked at.

use super::step::{Step, tell};
use crate::{
    gate::{Doubt, Gate, GateId, Standing, Ticket, View},
    policy::{Author, Milestone, Statuses},
    rollout::{
        change::Fact,
        command::{Command, Note},
        course::Course,
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
            Standing::Watched { ticket: ticket.clone(), seen: now, view: View::Waiting { status: None } };
        gate.statuses = statuses.map(Statuses::pinned);
        let name = gate.name.clone();
        let (gate, milestone) = (id.clone(), Milestone::Opened);
        self.commands.push(Command::Move { gate, name: name.clone(), milestone });
        for gate in std::mem::take(&mut self.canary.superseded) {
            self.commands.push(Command::Link { gate, successor: id.clone() });
        }
        self.facts.push(Fact::TicketOpened { gate: name, ticket: ticket.clone() });
    }

    pub(super) fn not_opened(&mut self, id: &GateId, why: &str) {
        let Some(gate) = self.gate(id) else { return };
        let stuck = Standing::Stuck { why: why.to_owned() };
        if gate.ticket().is_some() || gate.standing == stuck {
            return;
        }
        gate.standing = stuck;
        let fact = Fact::TicketStuck { gate: gate.name.clone(), why: why.to_owned() };
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
        let has_begun = !matches!(rollout.course, Course::Asked(_) | Course::Waiting(_));
        let Some(gate) = rollout.gates.iter_mut().find(|gate| gate.id == *id) else { return };
        let Some(after) = look(gate) else { return };
        let before = std::mem::replace(gate, after);
        let (Standing::Watched { view: was, .. }, Standing::Watched { ticket, view, .. }) =
            (&before.standing, &gate.standing)
        else {
            return;
        };
        if was == view {
            return;
        }
        let fact = Fact::TicketSeen { gate: gate.name.clone(), ticket: ticket.clone(), view: view.clone() };
        self.facts.push(fact);
        let for_good = denies_all || gate.denies_for_good();
        if let View::NotAllowed { decision, why, .. } = view {
            let (entry, why) = (decision.entry.changelog_id.clone(), why.clone());
            tell(&mut self.commands, gate, Note::NotAllowed { entry, why, for_good });
        } else if let View::Gone { doubt: Doubt::Relocated { entry, .. } } = view {
            let entry = entry.clone();
            tell(&mut self.commands, gate, Note::Relocated { entry });
        } else if let View::Gone { doubt: Doubt::Mapped { entry, .. } } = view {
            let entry = entry.clone();
            tell(&mut self.commands, gate, Note::Mapped { entry });
        } else if let View::Gone { doubt: Doubt::Renamed { status } } = view {
            let status = status.id.clone();
            tell(&mut self.commands, gate, Note::Renamed { status });
        } else if let View::Rejected { decision, author, .. } = view {
            let (entry, author) = (decision.entry.changelog_id.clone(), author.clone());
            if !has_begun {
                tell(&mut self.commands, gate, Note::RejectedAtStart { entry });
            } else if let Author::NotAccepted { why } = author {
                tell(&mut self.commands, gate, Note::RejectedByNobody { entry, why, for_good });
            } else if !rollback_asked {
                tell(&mut self.commands, gate, Note::RejectedWithoutRollback { entry });
            }
        }
    }
}
