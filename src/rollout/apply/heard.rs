//! PURE: what a message of Flagger, or its silence, does to the rollout.

use std::time::Duration;

use super::step::Step;
use crate::rollout::{
    canary::Rollout,
    change::AuditEvent,
    command::{Command, Notice},
    course::{Beginning, Progress, End},
    transitions::{self, Edge, Heard},
    event::Rules,
    message::{Message, Phase},
};

/// More different messages of one rollout are not told.
const MOST_REPORTS: usize = 100;

impl Step {
    /// Moves the rollout by a message. Returns whether the message is about the rollout that lives now.
    pub(super) fn heard(
        &mut self,
        heard: Heard,
        message: &Message,
        silent_for: Duration,
        rules: &Rules,
    ) -> bool {
        self.silence(silent_for, rules);
        self.canary.sends_checksums |= message.checksum.is_some();
        let before = self.canary.rollout.as_ref().map(|rollout| rollout.course.clone());
        self.unasked(heard, message);
        if let Some(rollout) = &mut self.canary.rollout {
            match transitions::between(rollout, heard, message, silent_for) {
                Edge::Stays => {
                    if rollout.label.is_none() {
                        rollout.label.clone_from(&message.label);
                    }
                    return true;
                }
                Edge::Moves(course) => {
                    rollout.course = course;
                    if rollout.label.is_none() {
                        rollout.label.clone_from(&message.label);
                    }
                    self.starts(before.as_ref());
                    return true;
                }
                Edge::Ignored => return false,
                Edge::Ends(how) => self.ends(how, heard, message),
            }
        }
        let Some(course) = transitions::begins(heard, message) else { return false };
        self.canary.rollout = Some(Rollout {
            began: self.now,
            label: message.label.clone(),
            course,
            gates: Vec::new(),
            rollback_asked: false,
            reports: Vec::new(),
            denied: Vec::new(),
            beginning: match (heard, message.phase) {
                (Heard::ConfirmRollout { .. }, Phase::Waiting) => Beginning::Missed,
                (
                    Heard::ConfirmRollout { .. }
                    | Heard::OtherGate { .. }
                    | Heard::Rollback
                    | Heard::PostRollout
                    | Heard::Event,
                    _,
                ) => Beginning::Heard,
            },
            looks_untyped: false,
            replaced: Vec::new(),
        });
        true
    }

    /// Flagger has the hook; and if it is told to roll back, that is on record once for each rejection.
    pub(super) fn rollback_asked(&mut self) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        rollout.rollback_asked = true;
        let Some(gate) = rollout.gates.iter_mut().find(|gate| gate.rollback().is_some()) else { return };
        let Some((ticket, decision)) = gate.rollback() else { return };
        let tag = format!("rolled-back-{}", decision.entry.changelog_id);
        if !gate.told.contains(&tag) {
            let (gate_name, ticket, decision) = (gate.name.clone(), ticket.clone(), decision.clone());
            gate.told.push(tag);
            self.facts.push(AuditEvent::RolledBack { gate: gate_name, ticket, decision });
        }
    }

    /// Ends a rollout of which nothing was heard for too long.
    pub(super) fn silence(&mut self, silent_for: Duration, rules: &Rules) {
        let Some(rollout) = &self.canary.rollout else { return };
        match rollout.course {
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

    /// What Flagger reports reaches the ticket that it waits for: each message once.
    pub(super) fn progress(&mut self, words: Option<&str>) {
        let (Some(words), Some(rollout)) = (words, &mut self.canary.rollout) else { return };
        let Some(gate) = rollout.gates.last() else { return };
        if rollout.reports.len() >= MOST_REPORTS || rollout.reports.iter().any(|told| told == words) {
            return;
        }
        rollout.reports.push(words.to_owned());
        let note = Notice::Progress { lines: vec![words.to_owned()] };
        self.commands.push(Command::Comment { gate: gate.id.clone(), note });
    }
}
