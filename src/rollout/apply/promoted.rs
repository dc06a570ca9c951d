//! PURE: a promotion that no gate let pass.

use super::step::Step;
use crate::{
    gate::{Gate, GateId, GateName, Stage},
    policy::OnBypass,
    rollout::{
        canary::Rollout,
        change::AuditEvent,
        command::Command,
        event::Rules,
        limits::{HOUR, TicketLimit},
        progress::{End, Progress},
        promotion::{Bypass, Promotion},
        subject::Subject,
    },
};

/// So many versions whose promotion is on record may not have been seen promoted yet.
const MOST_COVERED: usize = 8;

impl Rollout {
    /// Flagger's hash of the version that it is about, if the Canary was read since that started.
    fn spec(&self) -> Option<&String> {
        self.canary_seen.as_ref()?.applied.as_ref()
    }

    fn was_opened(&self) -> bool {
        self.gates.iter().chain(&self.replaced).any(|gate: &Gate| gate.used.is_some())
    }
}

impl Step {
    /// A rollout ends: if a gate let its version pass, or the record has that none did, a later promotion of that version
    /// is no bypass.
    pub(super) fn cover_promotion(&mut self, rollout: &Rollout, how: End) {
        let Some(promotion) = &self.canary.promotion else { return };
        let is_on_record = match (how, &rollout.progress) {
            // Nothing has started.
            (_, Progress::Asked(_) | Progress::Waiting(_)) | (End::Failed, _) => false,
            (End::Succeeded | End::Recreated, _) => !rollout.gates.is_empty(),
            (End::Superseded | End::Abandoned, _) => rollout.was_opened(),
        };
        if !is_on_record {
            return;
        }
        match rollout.spec() {
            // It was seen before the end, or only a ConfigMap or Secret has changed.
            Some(spec) if *spec == promotion.spec => {}
            Some(spec) => {
                let covered = &mut self.canary.covered_promotions;
                covered.retain(|known| known != spec);
                covered.push(spec.clone());
                if covered.len() > MOST_COVERED {
                    covered.remove(0);
                }
            }
            // Which promotion is its own cannot be told, so the next one that is seen counts as the first.
            None => self.canary.promotion = None,
        }
    }

    /// The Canary shows another promotion than `before`, or the first one. It is recorded unless it is on record for
    /// gates.
    pub(super) fn promoted(
        &mut self,
        now: &Promotion,
        before: Option<&Promotion>,
        new_id: &GateId,
        on_bypass: OnBypass,
        rules: &Rules,
    ) {
        let Some(before) = self.canary.promotion.replace(now.clone()).or(before.cloned()) else { return };
        let recreated = before.uid != now.uid;
        if before.spec == now.spec || self.is_on_record(now, recreated) {
            return;
        }
        if self.canary.unasked.is_some() && !recreated {
            return self.ship_unasked();
        }
        let bypass = Bypass { before: before.images, now: now.images.clone(), recreated };
        self.audit_events.push(AuditEvent::PromotedUnasked { id: new_id.clone(), bypass: bypass.clone() });
        match on_bypass {
            OnBypass::Record => {}
            OnBypass::Open => self.open_bypass(new_id, bypass, rules),
        }
    }

    /// Whether a promotion is on record for gates. Ends the rollout that it belongs to if that came past its gates.
    fn is_on_record(&mut self, now: &Promotion, recreated: bool) -> bool {
        if recreated {
            self.canary.covered_promotions.clear();
            let has_gates = self.canary.rollout.as_ref().is_some_and(|rollout| !rollout.gates.is_empty());
            if has_gates {
                self.end(End::Recreated);
            }
            return has_gates;
        }
        if let Some(at) = self.canary.covered_promotions.iter().position(|spec| *spec == now.spec) {
            // Those before it were promoted earlier, or never.
            self.canary.covered_promotions.drain(..=at);
            return true;
        }
        let Some(rollout) = &self.canary.rollout else { return false };
        match rollout.spec() {
            Some(spec) if *spec == now.spec && rollout.was_opened() => true,
            Some(spec) if *spec == now.spec && !rollout.gates.is_empty() => {
                self.end(End::Succeeded);
                true
            }
            Some(_) => false,
            // It may be about this version or another.
            None => rollout.was_opened(),
        }
    }

    /// Opens a ticket about a promotion that no gate let pass, if the limits allow one. It opens no gate.
    fn open_bypass(&mut self, id: &GateId, bypass: Bypass, rules: &Rules) {
        let gate = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
        let now = self.now;
        self.canary.tickets_opened.retain(|at| now.since(*at) < HOUR);
        let refusal = if self.canary.tickets_opened.len() >= rules.budget.per_hour {
            Some(TicketLimit::PerCanary)
        } else {
            self.canary.refusal(&gate, now, &rules.budget)
        };
        if let Some(refusal) = refusal {
            return self.refuse_ticket(gate, refusal);
        }
        let mut subject = Subject::of_bypass(self.canary.id.clone(), gate, bypass);
        subject.number = Some(self.canary.next_number());
        let (sent_to, shows, takes) = (Vec::new(), None, None);
        self.commands.push(Command::Open { gate: id.clone(), subject, sent_to, shows, takes, takings: 0 });
        self.commands.push(Command::Label { gate: id.clone() });
        self.canary.tickets_opened.push(now);
    }
}
