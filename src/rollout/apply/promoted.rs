//! PURE: a promotion that no gate let pass.

use super::step::Step;
use crate::{
    gate::{GateId, GateName, Stage},
    policy::OnBypass,
    rollout::{
        change::AuditEvent,
        command::Command,
        event::Rules,
        limits::HOUR,
        promotion::{Bypass, Promotion},
        subject::Subject,
    },
};

impl Step {
    /// The Canary shows another promotion than `before`, or the first one. It is on record if a gate of the rollout let
    /// it pass, or if that rollout has ended, and its end says that none did.
    pub(super) fn promoted(
        &mut self,
        now: &Promotion,
        before: Option<&Promotion>,
        new_id: &GateId,
        on_bypass: OnBypass,
        rules: &Rules,
    ) {
        let before = self.canary.promotion.replace(now.clone()).or(before.cloned());
        let Some(before) = before.filter(|before| before.spec != now.spec) else { return };
        let mut on_record = std::mem::take(&mut self.canary.promotion_on_record);
        if let Some(rollout) = &mut self.canary.rollout
            && rollout.gates.iter().any(|gate| gate.used.is_some())
        {
            // Its end must not cover the next promotion, too.
            rollout.promoted = true;
            on_record = true;
        }
        if on_record {
            return;
        }
        let bypass = Bypass { before: before.images, now: now.images.clone() };
        self.audit_events.push(AuditEvent::PromotedUnasked { id: new_id.clone(), bypass: bypass.clone() });
        match on_bypass {
            OnBypass::Record => {}
            OnBypass::Open => self.open_bypass(new_id, bypass, rules),
        }
    }

    /// Opens a ticket about a promotion that no gate let pass, if the limits allow one. It opens no gate.
    fn open_bypass(&mut self, id: &GateId, bypass: Bypass, rules: &Rules) {
        let gate = GateName { stage: Stage::ConfirmPromotion, approver: None };
        if let Some(refusal) = self.canary.refusal(&gate, self.now, &rules.budget) {
            self.audit_events.push(AuditEvent::Refused { gate, refusal });
            return;
        }
        let subject = Subject::of_bypass(self.canary.id.clone(), gate, bypass);
        self.commands.push(Command::Open { gate: id.clone(), subject, sent_to: Vec::new() });
        self.commands.push(Command::Label { gate: id.clone() });
        let now = self.now;
        self.canary.tickets_opened.retain(|at| now.since(*at) < HOUR);
        self.canary.tickets_opened.push(now);
    }
}
