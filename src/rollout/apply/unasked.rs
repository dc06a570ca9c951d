//! PURE: revisions that start without a question.

use super::step::{Step, notify_once};
use crate::{
    gate::{GateId, Stage},
    rollout::{
        canary::Rollout,
        change::AuditEvent,
        command::Command,
        message::{Message, Phase, Revision},
        notice::Notice,
        progress::{Base, End, Progress, TicketOutcome},
        revisions::{RevisionLabel, UnaskedRevision},
        transitions::Signal,
    },
};

impl Step {
    /// The revision has started. If it is not the one that Flagger named, or the team gave it another label before, the
    /// bridge comments on the tickets of confirm-rollout.
    pub(super) fn check_started_revision(&mut self, before: Option<&Progress>) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let (
            Some(Progress::Asked(base) | Progress::Waiting(base) | Progress::Admitted(base)),
            Progress::Running(run),
        ) = (before, &rollout.progress)
        else {
            return;
        };
        let Some(started) = run.revision.clone() else { return };
        let gates = rollout.gates.iter_mut().filter(|gate| gate.name.stage == Stage::ConfirmRollout);
        if let Base::AfterFailure(Some(asked)) = base
            && *asked != started
        {
            for gate in gates {
                let (asked, started) = (asked.clone(), started.clone());
                let (name, ticket) = (gate.name.clone(), gate.ticket().cloned());
                notify_once(
                    &mut self.commands,
                    gate,
                    Notice::OtherRevision { asked: asked.clone(), started: started.clone() },
                );
                self.audit_events.push(AuditEvent::OtherRevision { gate: name, ticket, asked, started });
            }
        } else if let (Some(RevisionLabel { revision, label: before }), Some(label)) =
            (&self.canary.last_label, &rollout.label)
            && *revision == started
            && before != label
        {
            for gate in gates {
                let notice = Notice::OtherLabel { label: label.clone(), before: before.clone() };
                notify_once(&mut self.commands, gate, notice);
            }
        }
    }

    /// Ends the rollout by a message. If the message names another revision, which started without a question, that one
    /// is remembered until it ends, too.
    pub(super) fn end_by_message(&mut self, how: End, signal: Signal, message: &Message) {
        let newer = self.canary.rollout.as_ref().and_then(|rollout| newer_revision(rollout, signal, message));
        match newer {
            Some(newer) if how == End::Superseded => {
                self.end_as(how, TicketOutcome::ShippedUnasked);
                self.canary.unasked = Some(newer);
                self.update_unasked(signal, message);
            }
            Some(_) | None => self.end(how),
        }
    }

    /// Records that a revision which started without a question has shipped.
    pub(super) fn ship_unasked(&mut self) {
        let Some(UnaskedRevision { revision, gates }) = self.canary.unasked.take() else { return };
        for gate in &gates {
            let notice = Notice::Unasked { revision: revision.clone() };
            self.commands.push(Command::Comment { gate: gate.clone(), notice });
        }
        self.audit_events.push(AuditEvent::Unasked { revision, gates });
    }

    /// Updates what is known of a revision that started without a question: it shipped, ended, or was replaced by a
    /// newer one.
    pub(super) fn update_unasked(&mut self, signal: Signal, message: &Message) {
        let Some(UnaskedRevision { revision, .. }) = &self.canary.unasked else { return };
        let is_it = message.checksum.as_ref() == Some(revision);
        let (shipped, over) = match (signal, message.phase) {
            (Signal::ConfirmRollout { .. }, Phase::Succeeded) => (is_it, true),
            (Signal::ConfirmRollout { .. } | Signal::OtherGate { .. }, _) => (false, true),
            (Signal::PostRollout | Signal::Event, Phase::Succeeded) => (is_it, is_it),
            (Signal::PostRollout | Signal::Event, Phase::Failed) => (false, is_it),
            (Signal::Event, Phase::Initializing) => (false, true),
            (Signal::PostRollout | Signal::Event | Signal::Rollback, _) => (false, false),
        };
        if shipped {
            // The Canary may show its promotion later.
            let rollout = self.canary.rollout.as_ref();
            let spec = rollout.and_then(|rollout| rollout.canary_seen.as_ref()?.applied.clone());
            match spec {
                Some(spec) => self.canary.covered_promotions.push(spec),
                None => self.canary.promotion = None,
            }
            self.ship_unasked();
        } else if over {
            self.canary.unasked = None;
        } else if matches!(signal, Signal::Event | Signal::Rollback)
            && let (Some(named), Some(newer)) = (&message.checksum, &mut self.canary.unasked)
            && self.canary.rollout.as_ref().is_none_or(|rollout| rollout.gates.is_empty())
            && message.phase == Phase::Progressing
        {
            // An even newer revision has taken its place.
            newer.revision = named.clone();
        }
    }
}

/// The revision that a message names in place of the running one, if the running one was approved and this one started
/// without a question.
fn newer_revision(rollout: &Rollout, signal: Signal, message: &Message) -> Option<UnaskedRevision> {
    let named = message.checksum.clone()?;
    let Progress::Running(run) = &rollout.progress else { return None };
    let is_known = |revision: Option<&Revision>| revision == Some(&named);
    if run.revision.is_none()
        || is_known(run.revision.as_ref())
        || is_known(run.base.as_ref().and_then(Base::revision))
    {
        return None;
    }
    let started = match signal {
        Signal::Rollback => true,
        Signal::Event => message.phase != Phase::Failed,
        Signal::PostRollout => message.phase == Phase::Succeeded,
        Signal::ConfirmRollout { .. } | Signal::OtherGate { .. } => false,
    };
    let gates: Vec<GateId> =
        rollout.gates.iter().filter(|gate| gate.is_approval_used()).map(|gate| gate.id.clone()).collect();
    (started && !gates.is_empty()).then_some(UnaskedRevision { revision: named, gates })
}
