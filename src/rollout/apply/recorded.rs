//! PURE: gates that ask nobody.

use super::step::Step;
use crate::{
    gate::{Gate, GateName, Pace, Passage, TicketState, Used, Verdict},
    policy::ApprovalMode,
    rollout::change::AuditEvent,
};

impl Step {
    /// Records the first time that Flagger could pass at a gate which asks nobody.
    pub(super) fn record_passage(&mut self, name: &GateName, verdict: Verdict, pace: Pace) {
        let now = self.now;
        let Some(rollout) = &mut self.canary.rollout else { return };
        let Some(gate) = rollout.gates.iter_mut().find(|gate| gate.name == *name) else { return };
        if verdict == Verdict::Recorded && gate.used.is_none() {
            gate.used = Some(Used { at: now, longest_gap: pace.longest_gap(now), by: Passage::Record });
            let ticket = gate.ticket().cloned();
            self.audit_events.push(AuditEvent::Recorded { gate: name.clone(), ticket });
        }
    }
}

/// Whether a comment on this state of the ticket would only be about an approval, which nobody waits for.
pub(super) const fn is_of_no_consequence(
    gate: &Gate,
    ticket_state: &TicketState,
    mode: ApprovalMode,
) -> bool {
    match mode {
        ApprovalMode::Required if !gate.is_over() => false,
        ApprovalMode::Required | ApprovalMode::Record => match ticket_state {
            TicketState::Rejected { .. } => false,
            TicketState::Waiting { .. }
            | TicketState::Approved { .. }
            | TicketState::NotAllowed { .. }
            | TicketState::JudgmentPending { .. }
            | TicketState::Invalid { .. } => true,
        },
    }
}
