//! The text of an answer, and the same as an object.

mod reason;
mod steps;
mod time_limit;

use std::sync::Arc;

use self::reason::{reason, rejection_words, unread_suffix};
use super::unread_tickets::UnreadSince;
use crate::{
    gate::{Gate, GateName, GateState, Lifted, Stage, TicketState, Validity, Verdict},
    millis::Millis,
    policy::{ApprovalMode, Closed, TimeLimits},
    rollout::{Canary, CanaryId, Observed, Progress, Rollout, TicketLimit},
    store,
    view::{GateView, ModeView, Rfc3339, RolloutView, TicketView},
};

/// What a rollback question has in place of a stage.
pub(super) const ROLLBACK: &str = "rollback";

/// Added to a reason if the hook seems to have no type.
const UNTYPED: &str = "; it is asked while the new version runs, as by a hook without a type, to which a 403 is a failed check: set \
                       type: confirm-rollout";

/// The reason if a question belongs to no gate of the current rollout.
const UNKNOWN_REVISION: &str =
    "this question names the revision that is being replaced; it belongs to no rollout that waits";

/// The answer to a question, as text and as an object.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Whether the status is 200; otherwise it is 403.
    pub open: bool,
    /// One line: verdict, ticket, status, link, reason.
    pub line: String,
    /// The same as an object.
    pub gate: GateView,
}

/// Why an answer may be closed besides what the gate itself says.
#[derive(Clone, Copy)]
pub(super) struct Doubts<'a> {
    /// Since when and why the ticket cannot be read, if that is so.
    pub(super) ticket: Option<&'a UnreadSince>,
    /// What the API server shows.
    pub(super) target: &'a Observed,
    /// Why its windows and freezes do not let the gate open, if they do not.
    pub(super) closed: Option<&'a Closed>,
    /// What lifts the windows and freezes that would keep the gate closed, if something does.
    pub(super) lifted: Option<&'a Lifted>,
    /// How long a decision may take.
    pub(super) limits: &'a TimeLimits,
}

/// The links in answers.
#[derive(Clone)]
pub struct AnswerLinks {
    /// The address of the issue with this key.
    pub browse: Arc<dyn Fn(&str) -> String + Send + Sync>,
    /// The address of the status page, if people can reach it.
    pub status_page: Option<String>,
}

impl AnswerLinks {
    /// The answer at a gate.
    pub(super) fn answer(
        &self,
        canary: &Canary,
        name: &GateName,
        validity: Validity,
        doubts: Doubts<'_>,
        now: Millis,
    ) -> Answer {
        let gate = canary.gate(name);
        let (verdict, mut reason) = match gate {
            None => (Verdict::Stale, UNKNOWN_REVISION.to_owned()),
            Some(gate) => {
                let verdict = gate.verdict(now, validity);
                (verdict, reason(gate, verdict, validity, doubts.target, doubts.closed, now))
            }
        };
        let decide_by = gate.and_then(|gate| time_limit::due(gate, verdict, doubts.limits));
        if let Some(due) = decide_by {
            reason.push_str(&time_limit::words(due, now));
        }
        if let Some(lifted) = doubts.lifted.filter(|_| verdict.is_open()) {
            reason.push_str(&format!("; {lifted}"));
        }
        if name.stage == Stage::ConfirmRollout
            && canary.rollout.as_ref().is_some_and(|rollout| rollout.looks_untyped)
        {
            reason.push_str(UNTYPED);
        }
        if let Some(unread) = doubts.ticket {
            reason.push_str(&unread_suffix(verdict, unread));
        }
        let view = GateView {
            gate: name.approver.clone(),
            step: name.step,
            allowed_weight: gate.and_then(|gate| gate.step?.share.after),
            state: verdict,
            reason,
            change: gate.and_then(|gate| gate.shows.as_ref()).map(|shows| shows.summary.clone()),
            ticket: gate.and_then(|gate| self.ticket(gate)),
            opens_at: doubts.closed.and_then(|closed| closed.opens_at).map(Rfc3339),
            asked_at: gate.map(|gate| Rfc3339(gate.asked_at)),
            mode: mode(validity.mode),
            decide_by: decide_by.map(Rfc3339),
            steps: gate.map(steps::views).unwrap_or_default(),
            next_step: gate.and_then(steps::next).map(|(_, step)| step.status.name.clone()),
            ..blank(&canary.id, name.stage.as_str(), canary.rollout.as_ref())
        };
        let open = verdict.is_open();
        Answer { open, line: line(if open { "open" } else { "closed" }, &view), gate: view }
    }

    /// The answer to a rollback question.
    pub(super) fn answer_rollback(&self, canary: &Canary) -> Answer {
        let blank = blank(&canary.id, ROLLBACK, canary.rollout.as_ref());
        let rejected = canary.rolls_back().and_then(|gate| rejection(gate).map(|no| (gate, no)));
        let Some((gate, rejected)) = rejected else {
            let view = match canary
                .rejection_without_rollback()
                .and_then(|gate| rejection(gate).map(|no| (gate, no)))
            {
                None => GateView { reason: "nothing about this rollout was rejected".into(), ..blank },
                Some((gate, rejected)) => GateView {
                    state: Verdict::Rejected,
                    reason: format!("{} was {rejected}", gate.name.stage),
                    ticket: self.ticket(gate),
                    asked_at: Some(Rfc3339(gate.asked_at)),
                    ..blank
                },
            };
            return Answer { open: false, line: line("do not roll back", &view), gate: view };
        };
        let view = GateView {
            gate: gate.name.approver.clone(),
            step: gate.name.step,
            state: Verdict::Rejected,
            reason: format!("{} was {rejected}", gate.name.stage),
            ticket: self.ticket(gate),
            asked_at: Some(Rfc3339(gate.asked_at)),
            ..blank
        };
        Answer { open: true, line: line("roll back", &view), gate: view }
    }

    fn ticket(&self, gate: &Gate) -> Option<TicketView> {
        let GateState::Watched { ticket, ticket_state, .. } = &gate.state else { return None };
        Some(self.ticket_view(&ticket.key, ticket_state.status().map(|status| status.name.clone())))
    }

    /// What is shown of a ticket.
    pub(super) fn ticket_view(&self, key: &str, status: Option<String>) -> TicketView {
        TicketView { key: key.to_owned(), url: (self.browse)(key), status }
    }
}

const fn mode(mode: ApprovalMode) -> Option<ModeView> {
    match mode {
        ApprovalMode::Required => None,
        ApprovalMode::Record => Some(ModeView::Record),
    }
}

/// The answer when the store failed: nothing can be proven.
pub(super) fn failed(id: &CanaryId, stage: &str, gate: Option<&str>, error: &store::Error) -> Answer {
    let view = GateView {
        gate: gate.map(str::to_owned),
        state: Verdict::Stuck,
        reason: format!("{error}"),
        ..blank(id, stage, None)
    };
    let word = if stage == ROLLBACK { "do not roll back" } else { "closed" };
    Answer { open: false, line: line(word, &view), gate: view }
}

/// What is shown for a canary if its row cannot be read: one line for all its gates, because it is unknown which
/// gates it has.
pub(super) fn unreadable(id: &CanaryId, why: &str) -> GateView {
    let reason = format!("{why}; every gate of it is closed until its row is repaired or deleted");
    GateView { state: Verdict::Stuck, reason, ..blank(id, "any", None) }
}

/// The answer when a limit keeps the ticket from being opened.
pub(super) fn refused(
    id: &CanaryId,
    gate: &GateName,
    refusal: TicketLimit,
    limit: usize,
    alternates: bool,
) -> Answer {
    let mut reason = match refusal {
        TicketLimit::PerCanary => format!(
            "{limit} rollouts of this canary opened tickets within an hour, which is all that \
             limits.tickets_per_canary_per_hour allows"
        ),
        TicketLimit::PerNamespace => format!(
            "{limit} tickets of namespace {} are open, which is all that limits.open_tickets_per_namespace allows",
            id.namespace
        ),
        TicketLimit::Overall => {
            format!("{limit} tickets are open, which is all that limits.open_tickets allows")
        }
    };
    if alternates && refusal == TicketLimit::PerCanary {
        reason.push_str("; the same revisions alternate: do two clusters use one name?");
    }
    let view = GateView {
        gate: gate.approver.clone(),
        step: gate.step,
        state: Verdict::Stuck,
        reason: format!("no ticket is opened: {reason}"),
        ..blank(id, gate.stage.as_str(), None)
    };
    Answer { open: false, line: line("closed", &view), gate: view }
}

/// The answer to a question without a checksum about a canary that sends them.
pub(super) fn missing_checksum(id: &CanaryId, gate: &GateName) -> Answer {
    let view = GateView {
        gate: gate.approver.clone(),
        step: gate.step,
        state: Verdict::Stuck,
        reason: "this question has no checksum, although others about this canary had one; without one the bridge cannot \
                 know which revision it is about"
            .into(),
        ..blank(id, gate.stage.as_str(), None)
    };
    Answer { open: false, line: line("closed", &view), gate: view }
}

/// The answer if a gate would open, and nothing was stored of that.
pub(super) fn unrecorded(id: &CanaryId, gate: &GateName, why: &str) -> Answer {
    let view = GateView {
        gate: gate.approver.clone(),
        step: gate.step,
        state: Verdict::Stuck,
        reason: why.to_owned(),
        ..blank(id, gate.stage.as_str(), None)
    };
    Answer { open: false, line: line("closed", &view), gate: view }
}

/// The answer if it is not known which step of traffic a question is about.
pub(super) fn unknown_step(id: &CanaryId, gate: &GateName, why: &str) -> Answer {
    let view = GateView {
        gate: gate.approver.clone(),
        step: gate.step,
        state: Verdict::Stuck,
        reason: format!(
            "no ticket is opened: it is not known which step of traffic this is, and an approval of one opens no other: {why}"
        ),
        ..blank(id, gate.stage.as_str(), None)
    };
    Answer { open: false, line: line("closed", &view), gate: view }
}

fn blank(id: &CanaryId, stage: &str, rollout: Option<&Rollout>) -> GateView {
    GateView {
        cluster: id.cluster.clone(),
        namespace: id.namespace.clone(),
        canary: id.name.clone(),
        stage: stage.into(),
        gate: None,
        state: Verdict::Waiting,
        reason: String::new(),
        change: None,
        weight: None,
        mode: None,
        step: None,
        allowed_weight: None,
        ticket: None,
        opens_at: None,
        asked_at: None,
        last_asked_at: None,
        rollout: rollout.map(rollout_view),
        steps: Vec::new(),
        next_step: None,
        decide_by: None,
    }
}

pub(super) fn rollout_view(rollout: &Rollout) -> RolloutView {
    let progress = match &rollout.progress {
        Progress::Asked(_) => "asked",
        Progress::Waiting(_) => "waiting",
        Progress::Admitted(_) => "admitted",
        Progress::Running(_) | Progress::Failing(_) => "running",
    };
    RolloutView {
        began_at: Rfc3339(rollout.began_at),
        base: rollout.replaces().map(|revision| revision.0.clone()),
        revision: rollout.revision().map(|revision| revision.0.clone()),
        label: rollout.label.as_ref().map(|label| label.0.clone()),
        course: progress.into(),
    }
}

/// The rejection of a gate in words, if there is one.
fn rejection(gate: &Gate) -> Option<String> {
    if let Some(timed_out) = gate.timed_out() {
        return Some(time_limit::rejected(gate, timed_out));
    }
    let GateState::Watched { ticket_state: TicketState::Rejected { decision, author, .. }, .. } = &gate.state
    else {
        return None;
    };
    Some(rejection_words(decision, author))
}

/// The answer as text. It has no other place for the state.
fn line(verdict: &str, view: &GateView) -> String {
    let state = match view.state {
        Verdict::Stuck => "stuck: ",
        Verdict::NotAllowed => "not allowed: ",
        Verdict::Expired => "expired: ",
        Verdict::Frozen => "frozen: ",
        Verdict::Stale => "stale: ",
        Verdict::Gone => "gone: ",
        Verdict::Passed => "passed: ",
        // Their reasons say it.
        Verdict::Opening | Verdict::Waiting | Verdict::Approved | Verdict::Rejected | Verdict::Recorded => "",
    };
    let reason = &view.reason;
    let Some(TicketView { key, url, status }) = &view.ticket else {
        return format!("{verdict}: {state}{reason}");
    };
    let status = status.as_deref().unwrap_or("status not read yet");
    format!("{verdict}: {key} ({status}), {url}, {state}{reason}")
}
