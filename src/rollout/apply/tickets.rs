//! PURE: what happens to a gate when its ticket is opened or read.

use std::time::Duration;

use super::{
    recorded::is_of_no_consequence,
    step::{Step, notify_once},
};
use crate::{
    gate::{
        ApprovalStep, Decision, Gate, GateId, GateState, InvalidReason, ShownRules, StepState, Ticket,
        TicketState, TimedOut, Verdict,
    },
    millis::as_millis_i64,
    policy::{ApprovalMode, Author, Milestone, Statuses},
    rollout::{
        canary::Rollout,
        change::AuditEvent,
        command::Command,
        event::{Rules, TOLD_AFTER},
        notice::{NOT_JUDGED, Notice, RULES},
        obstacle::Obstacle,
        progress::Progress,
    },
};

/// So many comments say that the rules for a ticket changed: replicas with different settings may take turns. The last one
/// says that it is the last.
const MOST_RULES_TOLD: usize = 5;
/// So many comments say that a decision cannot be judged, each about another decision.
const MOST_NOT_JUDGED: usize = 5;

impl Step {
    pub(super) fn opened(
        &mut self,
        id: &GateId,
        ticket: &Ticket,
        statuses: Option<&Statuses>,
        shows: Option<ShownRules>,
    ) {
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
        gate.rules = shows.or(gate.rules);
        gate.steps = statuses.map(ApprovalStep::missing).unwrap_or_default();
        let name = gate.name.clone();
        // Where a ticket begins that existed before is for its owner to say.
        if ticket.taken_at.is_none() {
            let (gate, milestone) = (id.clone(), Milestone::Opened);
            self.commands.push(Command::Move { gate, name: name.clone(), milestone });
        }
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
    pub(super) fn seen(&mut self, id: &GateId, mode: ApprovalMode, look: impl FnOnce(&Gate) -> Option<Gate>) {
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
        let is_news = was != ticket_state;
        let waits = matches!(ticket_state, TicketState::Waiting { .. });
        if !is_news && (before.steps == gate.steps || !waits) {
            return;
        }
        self.audit_events.extend(AuditEvent::ticket_seen(gate));
        if is_of_no_consequence(gate, ticket_state, mode) {
            return;
        }
        let notices = notice_for(rollout, gate, ticket_state).filter(|_| is_news);
        for notice in notices.into_iter().chain(step_notices(&before, gate, ticket_state)) {
            notify_once(&mut self.commands, &mut rollout.gates[at], notice);
        }
    }
}

impl Step {
    /// Comments on a ticket if today's settings are not those that it shows. Only readings do this, which come from one
    /// replica at a time: others may have other settings while they are being replaced.
    pub(super) fn show_changed_rules(&mut self, id: &GateId, rules: &Rules) {
        let (now, today) = (self.now, ShownRules::from(rules.validity));
        let deny = self.canary.gate_by_id(id).map(|gate| self.canary.ruled_out(gate)).unwrap_or_default();
        let Some(rollout) = &mut self.canary.rollout else { return };
        let Some(at) = rollout.gates.iter().position(|gate| gate.id == *id) else { return };
        let obstacle = Obstacle::of(rollout, &rollout.gates[at], &deny, rules.binds);
        let gate = &mut rollout.gates[at];
        let is_shown = gate.rules.is_none_or(|shown| shown == today);
        if is_shown || gate.ticket().is_none() || !gate.is_open_ticket() || gate.is_unmarked() {
            return;
        }
        let told = count_told(gate, RULES);
        if told < MOST_RULES_TOLD {
            gate.rules = Some(today);
            let is_last = told + 1 == MOST_RULES_TOLD;
            notify_once(&mut self.commands, gate, Notice::RulesChanged { at: now, deny, obstacle, is_last });
        }
    }

    /// Comments on a ticket whose history has not explained its status for some time: Jira may show the two a little apart.
    pub(super) fn miss_history(&mut self, id: &GateId) {
        let now = self.now;
        let Some(rollout) = &mut self.canary.rollout else { return };
        let Some(gate) = rollout.gates.iter_mut().find(|gate| gate.id == *id) else { return };
        let GateState::Watched {
            seen,
            ticket_state: TicketState::Invalid { reason: InvalidReason::NoChangelogEntry { status } },
            ..
        } = &gate.state
        else {
            return;
        };
        if now.since(*seen) >= TOLD_AFTER {
            let notice = Notice::NoHistory { status: status.id.clone() };
            notify_once(&mut self.commands, gate, notice);
        }
    }

    /// Comments on a ticket that is decided, as far as is known, and cannot be judged: once for each decision, whatever the
    /// reason. `entry` is the changelog entry of its newest move.
    pub(super) fn not_judged(&mut self, id: &GateId, why: &str, entry: &str, rules: &Rules) {
        let now = self.now;
        let Some(rollout) = &mut self.canary.rollout else { return };
        let nothing_started = matches!(rollout.progress, Progress::Asked(_) | Progress::Waiting(_));
        let Some(gate) = rollout.gates.iter_mut().find(|gate| gate.id == *id) else { return };
        let matters = match gate.verdict(now, rules.validity) {
            Verdict::Waiting | Verdict::Stuck | Verdict::Stale => true,
            // It closes the gate whether or not it counts, and there is nothing to roll back yet.
            Verdict::Rejected => !nothing_started && !gate.rolls_back(),
            Verdict::Opening
            | Verdict::Approved
            | Verdict::NotAllowed
            | Verdict::Expired
            | Verdict::Frozen
            | Verdict::Gone
            | Verdict::Recorded
            | Verdict::Passed => false,
        };
        if matters && gate.ticket().is_some() && count_told(gate, NOT_JUDGED) < MOST_NOT_JUDGED {
            let notice = Notice::NotJudged { why: why.to_owned(), entry: Some(entry.to_owned()) };
            notify_once(&mut self.commands, gate, notice);
        }
    }
}

/// The comments on the steps of an approval that were made since, while further ones are missing.
fn step_notices(before: &Gate, gate: &Gate, ticket_state: &TicketState) -> Vec<Notice> {
    if !matches!(ticket_state, TicketState::Waiting { .. }) {
        return Vec::new();
    }
    let count = gate.steps.len();
    let notice = |(nth, step): (usize, &ApprovalStep)| {
        let why = match &step.state {
            StepState::Done { .. } => None,
            StepState::NotCounted { why, .. } => Some(why.clone()),
            StepState::Missing | StepState::JudgmentPending { .. } => return None,
        };
        let entry = step.entry().filter(|_| !before.steps.contains(step))?;
        Some(Notice::Step {
            entry: entry.changelog_id.clone(),
            of: (nth, count),
            status: step.status.name.clone(),
            by: entry.by.name.clone(),
            next: gate.steps.get(nth)?.status.name.clone(),
            why,
        })
    };
    (1..).zip(&gate.steps).filter_map(notice).collect()
}

/// The comment if a ticket shows this after nobody decided in time. A rejection may be the bridge's own.
fn too_late(ticket_state: &TicketState, within: Duration) -> Option<Notice> {
    match ticket_state {
        TicketState::Approved { decision, .. } | TicketState::NotAllowed { decision, .. } => {
            let entry = decision.changelog_entry.changelog_id.clone();
            Some(Notice::TooLate { entry, within: as_millis_i64(within) })
        }
        TicketState::Waiting { .. }
        | TicketState::Rejected { .. }
        | TicketState::JudgmentPending { .. }
        | TicketState::Invalid { .. } => None,
    }
}

/// How many comments of a kind were written to the ticket of a gate, or are queued.
fn count_told(gate: &Gate, prefix: &str) -> usize {
    gate.notified.iter().filter(|tag| tag.starts_with(prefix)).count()
}

/// The comment that explains this state of a gate's ticket, if it needs one.
fn notice_for(rollout: &Rollout, gate: &Gate, ticket_state: &TicketState) -> Option<Notice> {
    let for_good = rollout.has_too_many_denials() || gate.has_empty_denial();
    let entry = |decision: &Decision| decision.changelog_entry.changelog_id.clone();
    if let Some(TimedOut { within, .. }) = gate.timed_out() {
        return too_late(ticket_state, within);
    }
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
            InvalidReason::ApprovedBefore { .. } => Some(Notice::ApprovedBefore),
            InvalidReason::LabelledEnded { .. }
            | InvalidReason::MovedElsewhere { .. }
            // Said once it has lasted for a while.
            | InvalidReason::NoChangelogEntry { .. }
            | InvalidReason::Unmarked { .. }
            | InvalidReason::Missing { .. } => None,
        },
    }
}
