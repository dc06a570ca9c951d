//! PURE: what starts although nobody was asked about it.

use super::step::{Step, tell};
use crate::{
    gate::{GateId, Stage},
    rollout::{
        canary::Rollout,
        change::AuditEvent,
        command::{Command, Notice},
        course::{Base, Progress, End, TicketOutcome},
        transitions::Heard,
        known::{Called, Newer},
        message::{Message, Phase, Revision},
    },
};

impl Step {
    /// The revision has started. If it is not the one that was asked about, or the team called it otherwise before, the
    /// tickets of confirm-rollout are told.
    pub(super) fn starts(&mut self, before: Option<&Progress>) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let (
            Some(Progress::Asked(base) | Progress::Waiting(base) | Progress::Admitted(base)),
            Progress::Running(run),
        ) = (before, &rollout.course)
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
                tell(
                    &mut self.commands,
                    gate,
                    Notice::OtherRevision { asked: asked.clone(), started: started.clone() },
                );
                self.facts.push(AuditEvent::OtherRevision { gate: name, ticket, asked, started });
            }
        } else if let (Some(Called { revision, label: before }), Some(label)) =
            (&self.canary.called, &rollout.label)
            && *revision == started
            && before != label
        {
            for gate in gates {
                let note = Notice::OtherLabel { label: label.clone(), before: before.clone() };
                tell(&mut self.commands, gate, note);
            }
        }
    }

    /// Ends the rollout by a message. Where that names another revision, which nobody was asked about, it is remembered
    /// until it ends, too.
    pub(super) fn ends(&mut self, how: End, heard: Heard, message: &Message) {
        let newer = self.canary.rollout.as_ref().and_then(|rollout| newer(rollout, heard, message));
        match newer {
            Some(newer) if how == End::Superseded => {
                self.end_as(how, TicketOutcome::Overtaken);
                self.canary.unasked = Some(newer);
                self.unasked(heard, message);
            }
            Some(_) | None => self.end(how),
        }
    }

    /// A message may tell what became of a revision that nobody was asked about.
    pub(super) fn unasked(&mut self, heard: Heard, message: &Message) {
        let Some(Newer { revision, .. }) = &self.canary.unasked else { return };
        let is_it = message.checksum.as_ref() == Some(revision);
        let (shipped, over) = match (heard, message.phase) {
            (Heard::ConfirmRollout { .. }, Phase::Succeeded) => (is_it, true),
            (Heard::ConfirmRollout { .. } | Heard::OtherGate { .. }, _) => (false, true),
            (Heard::PostRollout | Heard::Event, Phase::Succeeded) => (is_it, is_it),
            (Heard::PostRollout | Heard::Event, Phase::Failed) => (false, is_it),
            (Heard::Event, Phase::Initializing) => (false, true),
            (Heard::PostRollout | Heard::Event | Heard::Rollback, _) => (false, false),
        };
        if shipped && let Some(Newer { revision, gates }) = self.canary.unasked.take() {
            for gate in &gates {
                let note = Notice::Unasked { revision: revision.clone() };
                self.commands.push(Command::Comment { gate: gate.clone(), note });
            }
            self.facts.push(AuditEvent::Unasked { revision, gates });
        } else if over {
            self.canary.unasked = None;
        } else if matches!(heard, Heard::Event | Heard::Rollback)
            && let (Some(named), Some(newer)) = (&message.checksum, &mut self.canary.unasked)
            && self.canary.rollout.as_ref().is_none_or(|rollout| rollout.gates.is_empty())
            && message.phase == Phase::Progressing
        {
            // A newer one still has taken its place.
            newer.revision = named.clone();
        }
    }
}

/// The revision that a message names in place of the one that runs, if that one was let start and nobody was asked about
/// this one.
fn newer(rollout: &Rollout, heard: Heard, message: &Message) -> Option<Newer> {
    let named = message.checksum.clone()?;
    let Progress::Running(run) = &rollout.course else { return None };
    let is_known = |revision: Option<&Revision>| revision == Some(&named);
    if run.revision.is_none()
        || is_known(run.revision.as_ref())
        || is_known(run.base.as_ref().and_then(Base::revision))
    {
        return None;
    }
    let started = match heard {
        Heard::Rollback => true,
        Heard::Event => message.phase != Phase::Failed,
        Heard::PostRollout => message.phase == Phase::Succeeded,
        Heard::ConfirmRollout { .. } | Heard::OtherGate { .. } => false,
    };
    let gates: Vec<GateId> =
        rollout.gates.iter().filter(|gate| gate.used.is_some()).map(|gate| gate.id.clone()).collect();
    (started && !gates.is_empty()).then_some(Newer { revision: named, gates })
}
