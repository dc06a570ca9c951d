//! PURE: what happens to a gate when its ticket is opened or read.

use super::step::{Step, notify_once};
use crate::{
    gate::{Decision, Gate, GateId, GateState, InvalidReason, Ticket, TicketState},
    policy::{Author, Milestone, Statuses},
    rollout::{
        canary::Rollout,
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
        let Some(at) = rollout.gates.iter().position(|gate| gate.id == *id) else { return };
        let Some(after) = look(&rollout.gates[at]) else { return };
        let before = std::mem::replace(&mut rollout.gates[at], after);
        let gate = &rollout.gates[at];
        let (GateState::Watched { ticket_state: was, .. }, GateState::Watched { ticket_state, .. }) =
            (&before.state, &gate.state)
        else {
            return;
        };
        if was == ticket_state {
            return;
        }
        self.audit_events.extend(AuditEvent::ticket_seen(gate));
        if let Some(notice) = notice_for(rollout, gate, ticket_state) {
            notify_once(&mut self.commands, &mut rollout.gates[at], notice);
        }
    }
}

/// The comment that explains this state of a gate's ticket, if it needs one.
fn notice_for(rollout: &Rollout, gate: &Gate, ticket_state: &TicketState) -> Option<Notice> {
    let for_good = rollout.has_too_many_denials() || gate.has_empty_denial();
    let entry = |decision: &Decision| decision.changelog_entry.changelog_id.clone();
    match ticket_state {
        TicketState::Waiting { .. } | TicketState::Approved { .. } | TicketState::JudgmentPending { .. } => {
            None
        }
        TicketState::NotAllowed { decision, why, .. } => {
            Some(Notice::NotAllowed { entry: entry(decision), why: why.clone(), for_good })
        }
        TicketState::Rejected { decision, author, .. } => {
            let entry = entry(decision);
            match (&rollout.progress, author) {
                (Progress::Asked(_) | Progress::Waiting(_), _) => Some(Notice::RejectedAtStart { entry }),
                (
                    Progress::Admitted(_) | Progress::Running(_) | Progress::Failing(_),
                    Author::NotAccepted { why },
                ) => Some(Notice::RejectionNotCounted { entry, why: why.clone(), for_good }),
                (
                    Progress::Admitted(_) | Progress::Running(_) | Progress::Failing(_),
                    Author::Accepted | Author::NoDecision | Author::Unknown { .. },
                ) => (!rollout.rollback_asked).then_some(Notice::RejectedWithoutRollback { entry }),
            }
        }
        TicketState::Invalid { reason } => match reason {
            InvalidReason::Relocated { entry, .. } => Some(Notice::Relocated { entry: entry.clone() }),
            InvalidReason::Mapped { entry, .. } => Some(Notice::Mapped { entry: entry.clone() }),
            InvalidReason::Renamed { status } => Some(Notice::Renamed { status: status.id.clone() }),
            InvalidReason::LabelledEnded { .. }
            | InvalidReason::MovedElsewhere { .. }
            | InvalidReason::NoChangelogEntry { .. }
            | InvalidReason::Unmarked { .. }
            | InvalidReason::Missing { .. } => None,
        },
    }
}
