//! The text of an answer, and the same as an object.

use std::sync::Arc;

use super::unread_tickets::UnreadSince;
use crate::{
    gate::{Decision, Gate, GateName, GateState, InvalidReason, Stage, TicketState, Validity, Verdict},
    millis::{Millis, clock_time, config_notation},
    rollout::{Canary, CanaryId, Observed, Progress, Rollout, TicketLimit},
    store,
    view::{GateView, Rfc3339, RolloutView, TicketView},
};

/// What a rollback question has in place of a stage.
pub(super) const ROLLBACK: &str = "rollback";

/// Added to a reason if the hook seems to have no type.
const UNTYPED: &str = "; it is asked while the new version runs, as by a hook without a type, to which a 403 is a failed check: set \
                       type: confirm-rollout";

/// The reason if a question belongs to no gate of the current rollout.
const UNKNOWN_REVISION: &str =
    "stale: this question names the revision that is being replaced; it belongs to no rollout that waits";
/// Why an approval is judged again that was judged by other settings.
const OTHER_SETTINGS: &str = "it was judged by other settings than this replica's; it is judged again as soon as Jira shows the ticket";
/// Why an approval is judged again that was stored without the settings by which it was judged.
const EARLIER_VERSION: &str =
    "an earlier version of the bridge judged it; it is judged again as soon as Jira shows the ticket";

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
                (verdict, reason(gate, verdict, validity, doubts.target, now))
            }
        };
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
            state: verdict,
            reason,
            change: gate.and_then(|gate| gate.shows.as_ref()).map(|shows| shows.summary.clone()),
            ticket: gate.and_then(|gate| self.ticket(gate)),
            asked_at: gate.map(|gate| Rfc3339(gate.asked_at)),
            ..blank(&canary.id, name.stage.as_str(), canary.rollout.as_ref())
        };
        let open = verdict.is_open();
        Answer { open, line: line(if open { "open" } else { "closed" }, &view), gate: view }
    }

    /// The answer to a rollback question.
    pub(super) fn answer_rollback(&self, canary: &Canary) -> Answer {
        let blank = blank(&canary.id, ROLLBACK, canary.rollout.as_ref());
        let rejected = canary.rolls_back().and_then(|gate| gate.rollback().map(|no| (gate, no)));
        let Some((gate, (_, decision))) = rejected else {
            let view = match canary
                .rejection_without_rollback()
                .and_then(|gate| gate.rejection().map(|no| (gate, no)))
            {
                None => GateView { reason: "nothing about this rollout was rejected".into(), ..blank },
                Some((gate, (_, decision))) => GateView {
                    state: Verdict::Rejected,
                    reason: format!(
                        "{} was {}, which closes the gate but rolls nothing back",
                        gate.name.stage,
                        decision_words("rejected", decision)
                    ),
                    ticket: self.ticket(gate),
                    asked_at: Some(Rfc3339(gate.asked_at)),
                    ..blank
                },
            };
            return Answer { open: false, line: line("do not roll back", &view), gate: view };
        };
        let view = GateView {
            gate: gate.name.approver.clone(),
            state: Verdict::Rejected,
            reason: format!("{} was {}", gate.name.stage, decision_words("rejected", decision)),
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

/// The answer when the store failed: nothing can be proven.
pub(super) fn failed(id: &CanaryId, stage: &str, gate: Option<&str>, error: &store::Error) -> Answer {
    let view = GateView {
        gate: gate.map(str::to_owned),
        state: Verdict::Stuck,
        reason: format!("stuck: {error}"),
        ..blank(id, stage, None)
    };
    let word = if stage == ROLLBACK { "do not roll back" } else { "closed" };
    Answer { open: false, line: line(word, &view), gate: view }
}

/// What is shown for a canary if its row cannot be read: one line for all its gates, because it is unknown which
/// gates it has.
pub(super) fn unreadable(id: &CanaryId, why: &str) -> GateView {
    let reason = format!("stuck: {why}; every gate of it is closed until its row is mended or deleted");
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
        state: Verdict::Stuck,
        reason: format!("stuck: no ticket is opened: {reason}"),
        ..blank(id, gate.stage.as_str(), None)
    };
    Answer { open: false, line: line("closed", &view), gate: view }
}

/// The answer to a question without a checksum about a canary that sends them.
pub(super) fn missing_checksum(id: &CanaryId, gate: &GateName) -> Answer {
    let view = GateView {
        gate: gate.approver.clone(),
        state: Verdict::Stuck,
        reason: "stuck: this question brings no checksum, though others about this canary did; without one the bridge cannot \
                 know which revision it is about"
            .into(),
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
        ticket: None,
        asked_at: None,
        rollout: rollout.map(rollout_view),
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

fn line(verdict: &str, view: &GateView) -> String {
    let reason = &view.reason;
    let Some(TicketView { key, url, status }) = &view.ticket else {
        return format!("{verdict}: {reason}");
    };
    let status = status.as_deref().unwrap_or("status not read yet");
    format!("{verdict}: {key} ({status}), {url}, {reason}")
}

/// Why a gate has this verdict.
fn reason(gate: &Gate, verdict: Verdict, validity: Validity, target: &Observed, now: Millis) -> String {
    let (seen, ticket_state) = match &gate.state {
        GateState::Opening => return "opening: the ticket is being opened".into(),
        GateState::Stuck { why } => {
            return format!("stuck: the ticket could not be opened, which is tried again: {why}");
        }
        GateState::Watched { seen, ticket_state, .. } => (*seen, ticket_state),
    };
    match ticket_state {
        TicketState::Waiting { .. } => "waiting for a decision".into(),
        TicketState::Rejected { decision, .. } => decision_words("rejected", decision),
        TicketState::NotAllowed { decision, why, .. } => {
            format!("not_allowed: {}, which does not count: {why}", decision_words("approved", decision))
        }
        TicketState::JudgmentPending { decision, why, .. } => not_judged_words(decision, why),
        TicketState::Invalid { reason } => invalid_words(reason),
        TicketState::Approved { decision, .. } => match verdict {
            Verdict::Approved => decision_words("approved", decision),
            Verdict::Stuck if gate.judged_by.is_some() => not_judged_words(decision, OTHER_SETTINGS),
            Verdict::Stuck => not_judged_words(decision, EARLIER_VERSION),
            Verdict::Expired => format!(
                "expired: {}, not used within {}; move the ticket back and approve it again",
                decision_words("approved", decision),
                config_notation(validity.valid_for)
            ),
            Verdict::Stale if now.abs_diff(seen) <= validity.trust_for && gate.statuses.is_some() => {
                format!("stale: {}, but {}", decision_words("approved", decision), target_doubt(target))
            }
            Verdict::Stale => format!(
                "stale: approved, but Jira last confirmed that at {}, which is too long ago",
                clock_time(seen)
            ),
            // An approved ticket has none of these verdicts.
            Verdict::Opening | Verdict::Waiting | Verdict::Rejected | Verdict::NotAllowed | Verdict::Gone => {
                verdict.as_str().into()
            }
        },
    }
}

/// Why it is not known whether what would start is what the ticket shows.
fn target_doubt(target: &Observed) -> String {
    let why = match target {
        Observed::Watched { unread, .. } => unread.as_deref(),
        Observed::Unread | Observed::Shown(_) | Observed::Read(_) => None,
    };
    match why {
        Some(why) => format!("the bridge cannot read whether that is still what would start: {why}"),
        None => "the bridge has not read yet whether that is still what would start".to_owned(),
    }
}

fn not_judged_words(decision: &Decision, why: &str) -> String {
    format!("stuck: {}; it is not known yet whether that counts: {why}", decision_words("approved", decision))
}

/// Added to a reason while the ticket cannot be read; its status may have changed since.
fn unread_suffix(verdict: Verdict, UnreadSince { since, why }: &UnreadSince) -> String {
    match verdict {
        Verdict::Stale => format!(": {why}"),
        Verdict::Waiting | Verdict::Rejected | Verdict::NotAllowed | Verdict::Expired | Verdict::Gone => {
            format!("; Jira has not confirmed that since {}: {why}", clock_time(*since))
        }
        // These have no ticket, or their reason already names the problem.
        Verdict::Opening | Verdict::Stuck | Verdict::Approved => String::new(),
    }
}

fn invalid_words(reason: &InvalidReason) -> String {
    match reason {
        InvalidReason::LabelledEnded { .. } => {
            "gone: the ticket is labelled flagger-ended, so its rollout is over and it opens nothing; the next question opens a new one"
                .into()
        }
        InvalidReason::MovedElsewhere { project } => {
            format!(
                "gone: the ticket is not of the project and issue type it was opened in (it is in {project} now); move it back"
            )
        }
        InvalidReason::NoChangelogEntry { status } => {
            format!(
                "gone: the ticket stands in \"{}\", but its history does not show who moved it there; move it out and back, or delete it, and after a while the bridge opens another",
                status.name
            )
        }
        InvalidReason::Relocated { status, .. } => {
            format!(
                "gone: the ticket was moved between projects, issue types or workflows when it came to \"{}\" or since, so that is no approval; move it out and back, or delete it, and after a while the bridge opens another",
                status.name
            )
        }
        InvalidReason::Mapped { status, .. } => {
            format!(
                "gone: the ticket came to \"{}\" out of a status that is not in its workflow, so Jira may have put it there when that status was removed from the workflow, and that is no approval; move it out and back, or delete it, and after a while the bridge opens another",
                status.name
            )
        }
        InvalidReason::Renamed { status } => {
            format!(
                "gone: the ticket stands in \"{}\", which did not mean approved when this ticket was opened, or does not any more; move it to a status that meant approved then and still does, or delete it, and after a while the bridge opens another",
                status.name
            )
        }
        InvalidReason::Unmarked { gate } => {
            format!(
                "gone: the issue with the ticket's number is not the one that was opened for this gate, for it lacks the label {}, or on Cloud the property that says so; if that was removed, put it back; in another Jira, or one from a backup, the next rollout opens a ticket of its own",
                gate.label()
            )
        }
        InvalidReason::Missing { confirmed: true, since: Some(since) } => {
            format!(
                "gone: Jira has not shown the ticket since {}, although the bridge's account may browse its project, so it counts as \
                 deleted; the next question opens a new one",
                clock_time(*since)
            )
        }
        InvalidReason::Missing { since: Some(since), .. } => {
            format!(
                "gone: Jira has not shown the ticket since {}: it was deleted, or the bridge's account may not see it; if Jira \
                 shows it again, it counts as before",
                clock_time(*since)
            )
        }
        InvalidReason::Missing { since: None, .. } => {
            "gone: Jira does not show the ticket, and the bridge's account may not browse its project: give it the permission Browse \
             Projects; then the ticket counts as before"
                .into()
        }
    }
}

fn decision_words(what: &str, decision: &Decision) -> String {
    format!("{what} by {} at {}", decision.changelog_entry.by.name, clock_time(decision.changelog_entry.at))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        gate::{GateId, Move, TargetProof, Ticket},
        policy::{Fingerprint, Person, Status, Statuses},
    };

    const VALIDITY: Validity = Validity {
        trust_for: Duration::MAX,
        valid_for: Duration::MAX,
        judged_by: Fingerprint(1),
        target: TargetProof::NotNeeded,
    };

    /// A gate that was approved at time 0.
    fn approved(judged_by: Option<Fingerprint>) -> Gate {
        let name = GateName { stage: Stage::ConfirmPromotion, approver: None };
        let (id, key, project, issue_type) = ("1".into(), "OPS-1".into(), "OPS".into(), "10004".into());
        let status = Status { id: "3".into(), name: "Approved".into() };
        let by = Person { id: "mia".into(), name: "Mia".into(), app: false };
        let entry =
            Move { changelog_id: "7".into(), by, at: Millis(0), from: "1".into(), to: status.clone() };
        let ticket_state =
            TicketState::Approved { status, decision: Decision { changelog_entry: entry, since: Millis(0) } };
        let ticket = Ticket { id, key, project, issue_type };
        Gate {
            state: GateState::Watched { ticket, seen: Millis(0), ticket_state },
            statuses: Some(Statuses::default()),
            judged_by,
            ..Gate::new(GateId("g".into()), name, vec![], Millis(0))
        }
    }

    /// The reason distinguishes two approvals that do not count today: one judged by other settings, and one of a
    /// version that did not store its settings.
    #[test]
    fn an_approval_that_was_not_judged_by_these_settings_says_so() {
        let reason_of = |judged_by| {
            let gate = approved(judged_by);
            reason(&gate, gate.verdict(Millis(1), VALIDITY), VALIDITY, &Observed::Unread, Millis(1))
        };
        let approval = "approved by Mia at 1970-01-01T00:00:00Z";
        assert_eq!(reason_of(Some(VALIDITY.judged_by)), approval);
        for (judged_by, why) in [
            (Some(Fingerprint(2)), "it was judged by other settings than this replica's"),
            (None, "an earlier version of the bridge judged it"),
        ] {
            let expected = format!(
                "stuck: {approval}; it is not known yet whether that counts: {why}; it is judged again as soon as Jira shows \
                 the ticket"
            );
            assert_eq!(reason_of(judged_by), expected);
        }
    }
}
