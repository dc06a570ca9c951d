//! PURE: how a rollout ends, and its gates with it.

use super::step::Step;
use crate::{
    gate::Gate,
    policy::Milestone,
    rollout::{
        change::AuditEvent,
        command::Command,
        failure::{FailedChecks, FailureCause},
        notice::{Notice, OtherTarget},
        progress::{End, TicketOutcome},
        revisions::SupersededRevision,
    },
};

impl Step {
    /// Ends the rollout and its gates, and comments on their tickets how it ended.
    pub(super) fn end(&mut self, how: End) {
        self.end_as(how, TicketOutcome::Ended(how));
    }

    /// The same; `used` is the outcome for gates that were opened.
    pub(super) fn end_as(&mut self, how: End, used: TicketOutcome) {
        self.end_with(how, used, None);
    }

    /// The same; `other` says that something else would start, or started, than the tickets show.
    pub(super) fn end_with(&mut self, how: End, used: TicketOutcome, other: Option<&OtherTarget>) {
        let Some(rollout) = self.canary.rollout.take() else { return };
        // Tickets that still wait for a successor get one only if the next rollout supersedes this one.
        self.canary.superseded.retain(|_| how == End::Superseded);
        self.cover_promotion(&rollout, how);
        let cause = match how {
            End::Failed => {
                let checks = rollout.canary_seen.as_ref().and_then(|seen| seen.failed_checks);
                // Earlier versions stored lower counts, too, from any time of the analysis.
                let checks = checks.filter(FailedChecks::is_full);
                FailureCause::of(rollout.rolled_back.as_ref(), &rollout.reports, checks)
            }
            End::Succeeded | End::Superseded | End::Abandoned | End::Recreated => None,
        };
        let ended = |outcome, gate: &Gate| Notice::Ended {
            outcome,
            name: gate.name.clone(),
            other: other.cloned(),
            cause: cause.clone(),
            recorded: gate.is_recorded(),
        };
        for gate in &rollout.gates {
            // Flagger took that step by the approval of another ticket.
            let was_repeated = gate.used.is_none() && rollout.took_step_of(gate);
            let outcome = match (how, gate.used) {
                _ if was_repeated => TicketOutcome::Ended(how),
                (End::Succeeded, None) => TicketOutcome::Bypassed,
                (End::Recreated, None) => TicketOutcome::Recreated,
                (End::Failed | End::Superseded | End::Abandoned, None) => TicketOutcome::Ended(how),
                (_, Some(_)) => used,
            };
            if let TicketOutcome::Bypassed | TicketOutcome::Recreated = outcome {
                let (gate, ticket) = (gate.name.clone(), gate.ticket().cloned());
                self.audit_events.push(AuditEvent::Bypassed { gate, ticket, how });
            }
            if gate.is_unmarked() {
                // The issue with its id may belong to another team, so the bridge does not comment on it.
                continue;
            }
            let milestone = (!was_repeated || how != End::Succeeded).then(|| outcome.into());
            self.retire_ticket(gate, ended(outcome, gate), milestone);
            if how == End::Superseded {
                self.canary.superseded.push(gate.id.clone());
            }
        }
        for gate in rollout.replaced.iter().filter(|gate| !gate.is_unmarked()) {
            let outcome = TicketOutcome::Ended(how);
            // The ticket moves to the status for success only if its approval let Flagger pass.
            let milestone = (how != End::Succeeded || gate.used.is_some()).then(|| outcome.into());
            self.retire_ticket(gate, ended(outcome, gate), milestone);
            if how == End::Superseded {
                self.canary.superseded.push(gate.id.clone());
            }
        }
        if let (End::Superseded, Some(checksum)) = (how, rollout.checksum())
            && !rollout.gates.is_empty()
            && other.is_none()
        {
            SupersededRevision::record(&mut self.canary.superseded_revisions, checksum, self.now);
        }
        if !rollout.gates.is_empty() {
            let gates = rollout.gates.into_iter().chain(rollout.replaced).collect();
            self.audit_events.push(AuditEvent::Ended { how, gates });
        }
    }

    /// Comments on a ticket that controls nothing any more, labels it, and moves it to the status for `milestone`, if
    /// there is one. A rejected ticket stays in the status that a person chose.
    pub(super) fn retire_ticket(&mut self, gate: &Gate, notice: Notice, milestone: Option<Milestone>) {
        self.commands.push(Command::Comment { gate: gate.id.clone(), notice });
        self.commands.push(Command::Label { gate: gate.id.clone() });
        if let Some(milestone) = milestone.filter(|_| gate.rejection().is_none()) {
            let (gate, name) = (gate.id.clone(), gate.name.clone());
            self.commands.push(Command::Move { gate, name, milestone });
        }
    }
}
