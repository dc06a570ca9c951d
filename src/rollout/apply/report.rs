//! PURE: what a message of Flagger, or its silence, does to the rollout.

use std::time::Duration;

use super::{
    step::{Step, notify_once},
    traffic_step::MOST_REPORTS,
};
use crate::rollout::{
    canary::{Rollout, Start},
    change::AuditEvent,
    command::Command,
    event::Rules,
    failure::Rollback,
    message::{Message, Phase},
    notice::Notice,
    observed::Observed,
    progress::{End, Progress, TicketOutcome, WaitStart},
    transitions::{self, Signal, Transition},
};

/// What stands for a changelog entry if nobody decided in time.
const TIMED_OUT: &str = "timed-out";
impl Step {
    /// Moves the rollout by a message. Returns whether the message is about the current rollout.
    pub(super) fn apply_message(
        &mut self,
        signal: Signal,
        message: &Message,
        silent_for: Duration,
        observed: &Observed,
        rules: &Rules,
    ) -> bool {
        self.end_if_silent(silent_for, rules);
        self.canary.sends_checksums |= message.checksum.is_some();
        let before = self.canary.rollout.as_ref().map(|rollout| rollout.progress.clone());
        self.update_unasked(signal, message);
        let mut start = Start::Settled;
        if let Some(rollout) = &mut self.canary.rollout {
            match transitions::between(rollout, signal, message, silent_for) {
                Transition::Stays => {
                    if rollout.label.is_none() {
                        rollout.label.clone_from(&message.label);
                    }
                    self.supersede_started(signal, message.phase, observed);
                    return true;
                }
                Transition::Moves(progress) => {
                    rollout.progress = progress;
                    if rollout.label.is_none() {
                        rollout.label.clone_from(&message.label);
                    }
                    self.check_started_revision(before.as_ref());
                    self.supersede_started(signal, message.phase, observed);
                    return true;
                }
                Transition::Ignored => return false,
                Transition::Ends(how) => match self.other_started(signal, message.phase, observed) {
                    Some(other) => {
                        start = Start::Unapproved;
                        self.end_with(End::Superseded, TicketOutcome::Ended(End::Superseded), Some(&other));
                    }
                    None => self.end_by_message(how, signal, message),
                },
            }
        }
        let Some(progress) = transitions::begins(signal, message) else { return false };
        let wait_start = match (signal, message.phase) {
            (Signal::ConfirmRollout { .. }, Phase::Waiting) => WaitStart::Missed,
            (
                Signal::ConfirmRollout { .. }
                | Signal::OtherGate { .. }
                | Signal::Rollback
                | Signal::PostRollout
                | Signal::Event,
                _,
            ) => WaitStart::Observed,
        };
        let rollout = Rollout::new(self.now, message.label.clone(), progress);
        self.canary.rollout = Some(Rollout { wait_start, start, ..rollout });
        true
    }

    /// Notes that Flagger has the rollback hook. Records the first rollback after each rejection, and comments on the
    /// ticket.
    pub(super) fn rollback_asked(&mut self) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        rollout.rollback_asked = true;
        let Some(gate) = rollout.gates.iter_mut().find(|gate| gate.rolls_back()) else { return };
        if gate.timed_out().is_some() {
            let Some(ticket) = gate.ticket().cloned() else { return };
            let rollback = Rollback::by_time(self.now, &gate.name, &ticket);
            let entry = TIMED_OUT.to_owned();
            let (name, notice) =
                (gate.name.clone(), Notice::RolledBack { entry, rollback: rollback.clone() });
            if notify_once(&mut self.commands, gate, notice) {
                rollout.rolled_back = Some(rollback);
                self.audit_events.push(AuditEvent::TimeoutRolledBack { gate: name, ticket });
            }
            return;
        }
        let Some((ticket, decision)) = gate.rollback() else { return };
        let entry = decision.changelog_entry.changelog_id.clone();
        let rollback = Rollback::of(self.now, &gate.name, ticket, decision);
        let (name, ticket, decision) = (gate.name.clone(), ticket.clone(), decision.clone());
        let notice = Notice::RolledBack { entry, rollback: rollback.clone() };
        if notify_once(&mut self.commands, gate, notice) {
            rollout.rolled_back = Some(rollback);
            self.audit_events.push(AuditEvent::RolledBack { gate: name, ticket, decision });
        }
    }

    /// Ends a rollout that had no message for too long.
    pub(super) fn end_if_silent(&mut self, silent_for: Duration, rules: &Rules) {
        let Some(rollout) = &self.canary.rollout else { return };
        match rollout.progress {
            Progress::Failing(_) if silent_for > rules.idle_after => self.end(End::Failed),
            Progress::Failing(_)
            | Progress::Asked(_)
            | Progress::Waiting(_)
            | Progress::Admitted(_)
            | Progress::Running(_)
                if silent_for > rules.abandon_after =>
            {
                self.end(End::Abandoned);
            }
            Progress::Failing(_)
            | Progress::Asked(_)
            | Progress::Waiting(_)
            | Progress::Admitted(_)
            | Progress::Running(_) => {}
        }
    }

    /// Writes a message of Flagger to the ticket that it waits for, each message once.
    pub(super) fn comment_progress(&mut self, event_message: Option<&str>) {
        let (Some(event_message), Some(rollout)) = (event_message, &mut self.canary.rollout) else { return };
        let Some(gate) = rollout.gates.last() else { return };
        if rollout.reports.len() >= MOST_REPORTS || rollout.reports.iter().any(|known| known == event_message)
        {
            return;
        }
        rollout.reports.push(event_message.to_owned());
        let notice = Notice::Progress { lines: vec![event_message.to_owned()], analysis: None };
        self.commands.push(Command::Comment { gate: gate.id.clone(), notice });
    }
}
