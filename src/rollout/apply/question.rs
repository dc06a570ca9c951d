//! PURE: what a question at a gate does.

use std::{collections::BTreeMap, time::Duration};

use super::{
    step::{Step, notify_once},
    target::shown_by,
};
use crate::{
    gate::{
        Decision, Gate, GateId, GateName, Hours, LastAnswer, Lifted, Pace, Passage, Share, Stage,
        TrafficStep, Used, Validity, Verdict,
    },
    policy::DENY_LIST_GREW,
    rollout::{
        analysis::Analysis,
        canary::{Canary, Rollout, Start},
        change::AuditEvent,
        command::Command,
        event::{HoursNow, HoursOf, Rules},
        limits::{HOUR, TicketLimit},
        message::{Message, Phase},
        notice::{Notice, PASSED},
        observed::Observed,
        progress::Progress,
        revisions::RevisionLabel,
        step_reading::StepReading,
        subject::{EarlierApproval, Subject},
        transitions::Signal,
    },
};

/// A question at a gate.
#[derive(Clone, Copy)]
pub(super) struct GateQuestion<'a> {
    pub(super) name: &'a GateName,
    pub(super) message: &'a Message,
    pub(super) metadata: &'a BTreeMap<String, String>,
    pub(super) names: Option<&'a str>,
    pub(super) deny: &'a [String],
    pub(super) denials: &'a [String],
    pub(super) new_id: &'a GateId,
    pub(super) pace: Pace,
    pub(super) observed: &'a Observed,
    pub(super) analysis: Option<Analysis>,
    pub(super) hours: HoursOf<'a>,
    pub(super) step: Option<&'a StepReading>,
    /// What a new ticket for this step of traffic shows.
    pub(super) share: Option<Share>,
}

impl GateQuestion<'_> {
    /// The rules for a gate that this question is about, with what the API server proves and with its hours.
    fn rules(&self, rules: &Rules, gate: &Gate) -> (Rules, HoursNow) {
        let (rules, now) = (rules.proven_by(self.observed, gate), (self.hours.0)(gate));
        let hours = match &now {
            HoursNow::Open | HoursNow::Lifted(_) => rules.validity.hours,
            HoursNow::Closed { .. } => Hours::Closed,
        };
        (Rules { validity: Validity { hours, ..rules.validity }, ..rules }, now)
    }
}

impl Canary {
    /// What a question at a gate means for the rollout.
    fn signal(&self, asked: &GateQuestion<'_>, rules: &Rules) -> Signal {
        let (name, pace) = (asked.name, asked.pace);
        let gate = if asked.step.is_some() { self.step_gate(name) } else { self.gate(name) };
        match name.stage {
            Stage::ConfirmRollout => {
                Signal::ConfirmRollout { used: gate.is_some_and(|gate| gate.used.is_some()) }
            }
            Stage::ConfirmTrafficIncrease | Stage::ConfirmPromotion | Stage::Gate => {
                let patience = gate.and_then(|gate| gate.used).map(|used| {
                    let longest = used.longest_gap.max(pace.longest_gap_before());
                    rules.idle_after.max(longest.saturating_mul(3))
                });
                Signal::OtherGate { patience }
            }
        }
    }
}

impl Step {
    pub(super) fn question(&mut self, asked: &GateQuestion<'_>, silent_for: Duration, rules: &Rules) {
        if self.canary.misses_checksum(asked.message) {
            return self.end_if_silent(silent_for, rules);
        }
        let signal = self.canary.signal(asked, rules);
        self.note_untyped_hook(asked);
        if self.apply_message(signal, asked.message, silent_for, asked.observed, rules) {
            match asked.step {
                None => return self.question_at_gate(asked, rules),
                Some(reading) => {
                    if let Some((name, share)) = self.step_asked_about(asked.name, reading) {
                        let share = Some(share);
                        self.question_at_gate(&GateQuestion { name: &name, share, ..*asked }, rules);
                    }
                    return;
                }
            }
        }
        if asked.step.is_none() {
            self.record_answer(asked, rules);
        }
    }

    /// A question about the current rollout.
    fn question_at_gate(&mut self, asked: &GateQuestion<'_>, rules: &Rules) {
        self.supersede_changed_target(asked.name, asked.observed);
        self.add_denials(asked);
        if self.ensure_gate(asked, rules) {
            self.record_first_use(asked, rules);
            self.record_exception(asked, rules);
        }
        self.record_answer(asked, rules);
    }

    /// Rules out the accounts that this question names, for the rest of the rollout. What they may have decided is
    /// judged again before it counts.
    fn add_denials(&mut self, asked: &GateQuestion<'_>) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let mut to_reopen = Vec::new();
        for entry in asked.denials {
            if is_new_denial(rollout, entry) {
                rollout.denied.push(entry.clone());
                let all = rollout.has_too_many_denials();
                let affected = rollout.gates.iter().filter(|gate| all || !gate.deny.contains(entry));
                to_reopen.extend(affected.map(|gate| gate.id.clone()));
            }
        }
        if let Some(at) = rollout.gates.iter().position(|gate| gate.name == *asked.name) {
            for entry in asked.deny {
                if is_new_own_denial(rollout, &rollout.gates[at], entry, asked.denials) {
                    rollout.gates[at].deny.push(entry.clone());
                    to_reopen.push(rollout.gates[at].id.clone());
                }
            }
        }
        for gate in rollout.gates.iter_mut().filter(|gate| to_reopen.contains(&gate.id)) {
            if gate.reopen_judgment(DENY_LIST_GREW) {
                self.audit_events.extend(AuditEvent::ticket_seen(gate));
            }
        }
    }

    /// Records the answer to Flagger, if it differs from the last one.
    fn record_answer(&mut self, asked: &GateQuestion<'_>, rules: &Rules) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let Some(gate) = rollout.gates.iter_mut().find(|gate| gate.name == *asked.name) else { return };
        let (rules, _) = asked.rules(rules, gate);
        let open = gate.verdict(self.now, rules.validity).is_open();
        let was_open = gate.was_open(asked.pace);
        if open == was_open {
            return;
        }
        gate.last_answer = if open { LastAnswer::Open } else { LastAnswer::Closed };
        // The first use of an approval has its own audit event, with the evidence.
        let first = |audit_event: &AuditEvent| {
            matches!(
                audit_event,
                AuditEvent::Passed { gate, .. } | AuditEvent::Recorded { gate, .. } if gate == asked.name
            )
        };
        if !self.audit_events.iter().any(first) {
            self.audit_events.push(AuditEvent::AnswerChanged { gate: asked.name.clone() });
        }
    }

    /// Returns whether the gate has a ticket, or one is being opened if the budget allows. If the ticket was deleted,
    /// or is labelled `flagger-ended`, the gate starts again under a new id.
    fn ensure_gate(&mut self, asked: &GateQuestion<'_>, rules: &Rules) -> bool {
        let refusal = self.canary.refusal(asked.name, self.now, &rules.budget);
        let counts = self.canary.uses_budget(asked.name);
        let number = self.canary.rollout.as_ref().and_then(|rollout| rollout.number);
        let Some(rollout) = &mut self.canary.rollout else { return false };
        let known = rollout.gates.iter().position(|gate| gate.name == *asked.name);
        if let Some(at) = known
            && !rollout.gates[at].needs_new_ticket()
        {
            rollout.gates[at].name_ticket(asked.names);
            return true;
        }
        if let Some(refusal) = refusal {
            self.refuse_ticket(asked.name.clone(), refusal);
            return false;
        }
        if rollout.gates.is_empty() {
            self.audit_events.push(AuditEvent::Began);
        }
        let number = number.unwrap_or_else(|| self.canary.next_number());
        let Some(rollout) = &mut self.canary.rollout else { return false };
        rollout.number = Some(number);
        let mut gate = Gate::new(asked.new_id.clone(), asked.name.clone(), asked.deny.to_vec(), self.now);
        gate.shows = shown_by(asked.observed);
        gate.rules = Some(rules.validity.into());
        gate.step = asked.share.map(|share| TrafficStep { share, over: false });
        gate.names = asked.names.map(str::to_owned);
        // Nothing is analysed before the rollout starts: what is seen then is the previous one's.
        let analysis = asked.analysis.filter(|_| asked.name.stage != Stage::ConfirmRollout);
        let analysis = analysis.map(|analysis| analysis.at(asked.share));
        gate.weight = analysis.and_then(|analysis| analysis.weight);
        if let Some(at) = known {
            // For Flagger it is the same gate: if the last answer was open, the answer changes now.
            let spent = rollout.gates.remove(at);
            // A time limit runs on, unless nobody could decide any more.
            let is_late = |within| spent.due(within) <= gate.asked_at;
            if !rules.validity.reject_after.is_some_and(is_late) {
                gate.asked_at = spent.asked_at;
            }
            gate.last_answer = if spent.was_open(asked.pace) { LastAnswer::Open } else { LastAnswer::Closed };
            if spent.is_labelled() {
                self.commands
                    .push(Command::Comment { gate: spent.id.clone(), notice: Notice::LabelledEnded });
                self.canary.superseded.push(spent.id.clone());
            }
            // It may have been rejected since it was last read.
            rollout.replaced.push(spent);
        }
        rollout.gates.push(gate);
        let subject = self.subject(asked, analysis, number);
        self.commands.push(Command::Open {
            gate: asked.new_id.clone(),
            subject,
            sent_to: Vec::new(),
            shows: None,
            takes: None,
            takings: 0,
        });
        self.audit_events.push(AuditEvent::GateAsked { gate: asked.name.clone() });
        let now = self.now;
        self.canary.tickets_opened.retain(|at| now.since(*at) < HOUR);
        if counts {
            self.canary.tickets_opened.push(now);
        }
        true
    }

    /// What the new ticket is about.
    fn subject(&mut self, asked: &GateQuestion<'_>, analysis: Option<Analysis>, number: u64) -> Subject {
        let mut subject =
            Subject::new(self.canary.id.clone(), asked.name.clone(), asked.message, asked.metadata.clone());
        subject.change = asked.observed.shown().cloned();
        subject.bound = asked.observed.is_bound();
        subject.analysis = analysis;
        subject.share = asked.share;
        subject.number = Some(number);
        let Some(rollout) = &self.canary.rollout else { return subject };
        let others = rollout.gates.iter().filter(|gate| gate.name != *asked.name);
        subject.earlier_approvals = others.filter_map(EarlierApproval::of).collect();
        subject.unapproved = rollout.start == Start::Unapproved;
        if asked.name.stage == Stage::ConfirmRollout {
            subject.refine(&rollout.progress, rollout.wait_start);
        }
        if let (Some(revision), Some(label)) = (rollout.revision().cloned(), asked.message.label.clone()) {
            let known = self
                .canary
                .last_label
                .replace(RevisionLabel { revision: revision.clone(), label: label.clone() });
            let other = known.filter(|known| known.revision == revision && known.label != label);
            subject.called_before = other.map(|known| known.label.0);
        }
        subject
    }

    /// Records that a limit prevents a ticket, once an hour.
    pub(super) fn refuse_ticket(&mut self, gate: GateName, refusal: TicketLimit) {
        if self.canary.ticket_refused_at.is_none_or(|at| self.now.since(at) >= HOUR) {
            self.canary.ticket_refused_at = Some(self.now);
            self.audit_events.push(AuditEvent::Refused { gate, refusal });
        }
    }

    /// Records the first time an approval lets Flagger pass, and comments on the ticket, once for each approval.
    fn record_first_use(&mut self, asked: &GateQuestion<'_>, rules: &Rules) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let Some(gate) = rollout.gates.iter_mut().find(|gate| gate.name == *asked.name) else { return };
        let (rules, hours) = asked.rules(rules, gate);
        let verdict = gate.verdict(self.now, rules.validity);
        if verdict == Verdict::Recorded {
            self.record_passage(asked.name, verdict, asked.pace);
            return self.admit(asked.name.stage, Start::Settled);
        }
        // A freeze may close a gate that asks nobody. Then there is no approval to speak of.
        if !rules.validity.mode.is_required() {
            return;
        }
        let Some((ticket, decision)) = gate.approval() else { return };
        if verdict == Verdict::Expired {
            let entry = decision.changelog_entry.changelog_id.clone();
            let valid_for = u64::try_from(rules.validity.valid_for.as_millis()).unwrap_or(u64::MAX);
            let (ticket, decision) = (ticket.clone(), decision.clone());
            if notify_once(&mut self.commands, gate, Notice::Expired { entry, valid_for }) {
                self.audit_events.push(AuditEvent::Expired { gate: gate.name.clone(), ticket, decision });
            }
            return;
        }
        if verdict == Verdict::Frozen {
            let (ticket, decision) = (ticket.clone(), decision.clone());
            let notice = Notice::Frozen {
                entry: decision.changelog_entry.changelog_id.clone(),
                why: match hours {
                    HoursNow::Closed { why } => why,
                    HoursNow::Open | HoursNow::Lifted(_) => String::new(),
                },
                passed: gate.used.is_some(),
            };
            if notify_once(&mut self.commands, gate, notice) {
                self.audit_events.push(AuditEvent::Frozen { gate: gate.name.clone(), ticket, decision });
            }
            return;
        }
        if !verdict.is_open() {
            return;
        }
        if passes_first_by(gate, decision) {
            let (ticket, decision) = (ticket.clone(), decision.clone());
            let (entry, by, at) = (decision.changelog_entry.changelog_id.clone(), decision.by(), self.now);
            let notice = Notice::Passed { entry, by, at, name: gate.name.clone() };
            notify_once(&mut self.commands, gate, notice);
            if !gate.is_approval_used() {
                self.audit_events.push(AuditEvent::Passed { gate: gate.name.clone(), ticket, decision });
                let longest_gap = asked.pace.longest_gap(self.now);
                gate.used = Some(Used { at: self.now, longest_gap, by: Passage::Approval });
            }
        }
        let start = if asked.observed.is_bound() { Start::Unverified } else { Start::Settled };
        self.admit(asked.name.stage, start);
    }

    /// Records that a gate opens only because its ticket's label or priority lifts a freeze or a window, once for each time
    /// that somebody set it.
    fn record_exception(&mut self, asked: &GateQuestion<'_>, rules: &Rules) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let Some(gate) = rollout.gates.iter_mut().find(|gate| gate.name == *asked.name) else { return };
        let (rules, HoursNow::Lifted(lifted)) = asked.rules(rules, gate) else { return };
        if !gate.verdict(self.now, rules.validity).is_open() {
            return;
        }
        let Lifted { why, exception, entry } = lifted.clone();
        let notice = Notice::Excepted {
            entry: entry.changelog_id.clone(),
            why,
            exception: exception.to_string(),
            by: entry.by.name.clone(),
        };
        if notify_once(&mut self.commands, gate, notice) {
            let ticket = gate.ticket().cloned();
            self.audit_events.push(AuditEvent::Excepted { gate: gate.name.clone(), ticket, lifted });
        }
    }

    /// An open answer at confirm-rollout starts the rollout.
    fn admit(&mut self, stage: Stage, start: Start) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        rollout.progress = match (rollout.progress.clone(), stage) {
            (Progress::Asked(base) | Progress::Waiting(base), Stage::ConfirmRollout) => {
                rollout.start = start;
                Progress::Admitted(base)
            }
            // Another gate of the start was open before, and bound to nothing.
            (Progress::Admitted(base), Stage::ConfirmRollout) => {
                if rollout.start == Start::Settled {
                    rollout.start = start;
                }
                Progress::Admitted(base)
            }
            (progress, _) => progress,
        };
    }

    /// Current Flagger never asks at confirm-rollout in phase `Progressing`, but calls a hook without a type in that
    /// phase.
    fn note_untyped_hook(&mut self, asked: &GateQuestion<'_>) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let is_known = rollout.gates.iter().any(|gate| gate.name == *asked.name);
        let untyped = asked.name.stage == Stage::ConfirmRollout
            && asked.message.phase == Phase::Progressing
            && is_known;
        if untyped && !rollout.looks_untyped {
            rollout.looks_untyped = true;
            self.audit_events.push(AuditEvent::LooksUntyped { gate: asked.name.clone() });
        }
    }
}

/// Whether this approval lets Flagger pass for the first time. Nothing is said of one that an earlier version let pass:
/// it left no tag.
fn passes_first_by(gate: &Gate, approval: &Decision) -> bool {
    let mut told = gate.notified.iter().filter_map(|tag| tag.strip_prefix(PASSED)).peekable();
    !gate.is_approval_used()
        || (told.peek().is_some() && told.all(|entry| entry != approval.changelog_entry.changelog_id))
}

/// Whether this entry, rendered from a question's metadata, is new to the rollout. An entry that an earlier version
/// stored with one gate counts as new, and then holds for the other gates, too.
fn is_new_denial(rollout: &Rollout, entry: &String) -> bool {
    !rollout.denied.contains(entry) && !rollout.has_too_many_denials()
}

/// Whether this entry of `approval.deny` is new to the gate. An entry that came out empty cannot be evaluated, and
/// closes this gate alone: it names no account to rule out at the others.
fn is_new_own_denial(rollout: &Rollout, gate: &Gate, entry: &String, denials: &[String]) -> bool {
    let known = denials.contains(entry) || gate.deny.contains(entry);
    !known && !rollout.denied.contains(entry)
}
