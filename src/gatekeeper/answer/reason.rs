//! The reason of an answer, in words.

use super::{steps, time_limit};
use crate::{
    gate::{Decision, Gate, GateState, InvalidReason, TicketState, Validity, Verdict},
    gatekeeper::unread_tickets::UnreadSince,
    millis::{Millis, clock_time, config_notation},
    policy::{Author, Closed, WhenRead},
    rollout::Observed,
};

/// Why an approval is judged again that was judged by other settings.
const OTHER_SETTINGS: &str = "it was judged by other settings than this replica's; it is judged again as soon as Jira shows the ticket";
/// Why an approval is judged again that was stored without the settings by which it was judged.
const EARLIER_VERSION: &str =
    "an earlier version of the bridge judged it; it is judged again as soon as Jira shows the ticket";

/// Why the gate of an earlier step of traffic is closed.
const PASSED: &str = "this ticket was for an earlier step of traffic; each step has its own ticket, and an approval of one opens no other";

/// Why a gate has this verdict, without the word for the verdict itself.
pub(super) fn reason(
    gate: &Gate,
    verdict: Verdict,
    validity: Validity,
    target: &Observed,
    closed: Option<&Closed>,
    now: Millis,
) -> String {
    let mut reason = reason_of_ticket(gate, verdict, validity, target, closed, now);
    if let Some(closed) = closed.filter(|_| waits_for_more(verdict)) {
        reason.push_str("; also ");
        reason.push_str(&closed.words(WhenRead::At(now)));
    }
    if let Some(closed) = closed.filter(|_| verdict == Verdict::Frozen || waits_for_more(verdict)) {
        reason.push_str(&not_lifted(gate, closed));
    }
    reason
}

/// Why what its ticket has does not lift the freeze or the window, if it has something that could.
fn not_lifted(gate: &Gate, closed: &Closed) -> String {
    let set = gate.exceptions.iter().filter(|it| closed.except.is_for(&it.exception));
    let why =
        set.filter_map(|it| Some(format!("; {} does not count, because {}", it.exception, it.why_not()?)));
    why.collect()
}

fn reason_of_ticket(
    gate: &Gate,
    verdict: Verdict,
    validity: Validity,
    target: &Observed,
    closed: Option<&Closed>,
    now: Millis,
) -> String {
    match verdict {
        Verdict::Recorded => return recorded_words(&gate.state),
        Verdict::Passed => return PASSED.into(),
        Verdict::Frozen if !validity.mode.is_required() => {
            let closed = closed_words(closed, now);
            return format!("this gate needs no approval, but {closed}{}", goes_on(gate));
        }
        Verdict::Opening
        | Verdict::Stuck
        | Verdict::Waiting
        | Verdict::Approved
        | Verdict::Rejected
        | Verdict::NotAllowed
        | Verdict::Expired
        | Verdict::Frozen
        | Verdict::Stale
        | Verdict::Gone => {}
    }
    let (seen, ticket_state) = match &gate.state {
        GateState::Opening if let Some(named) = &gate.names => {
            return format!("the bridge looks at {named}, which the question names as its ticket");
        }
        GateState::Opening => return "no ticket yet; the bridge is opening it".into(),
        GateState::Stuck { why } if gate.names.is_some() => {
            return format!(
                "the ticket that the question names cannot be used, and the bridge looks again: {why}"
            );
        }
        GateState::Stuck { why } => {
            return format!("the ticket could not be opened, and the bridge retries: {why}");
        }
        GateState::Watched { seen, ticket_state, .. } => (*seen, ticket_state),
    };
    if let Some(timed_out) = gate.timed_out() {
        return time_limit::rejected(gate, timed_out);
    }
    match ticket_state {
        TicketState::Waiting { .. } => "waiting for a decision".to_owned() + &steps::progress(gate),
        TicketState::Rejected { decision, author, .. } => rejection_words(decision, author),
        TicketState::NotAllowed { decision, why, .. } => {
            format!("{}, which does not count: {why}", decision_words("approved", decision))
        }
        TicketState::JudgmentPending { decision, why, .. } => not_judged_words(decision, why),
        TicketState::Invalid { reason } => invalid_words(reason),
        TicketState::Approved { decision, .. } => match verdict {
            Verdict::Approved => decision_words("approved", decision),
            Verdict::Stuck if gate.judged_by.is_some() => not_judged_words(decision, OTHER_SETTINGS),
            Verdict::Stuck => not_judged_words(decision, EARLIER_VERSION),
            Verdict::Expired => format!(
                "{}, not used within {}; move the ticket back and approve it again",
                decision_words("approved", decision),
                config_notation(validity.valid_for)
            ),
            Verdict::Frozen => {
                let approved = decision_words("approved", decision);
                format!("{approved}, but {}{}", closed_words(closed, now), goes_on(gate))
            }
            Verdict::Stale if now.abs_diff(seen) <= validity.trust_for && gate.statuses.is_some() => {
                format!("{}, but {}", decision_words("approved", decision), target_doubt(target))
            }
            Verdict::Stale => format!(
                "approved, but Jira last confirmed that at {}, which is too long ago",
                clock_time(seen)
            ),
            // An approved ticket has none of these verdicts.
            Verdict::Rejected => {
                format!("rejected: {}, which came too late", decision_words("approved", decision))
            }
            Verdict::Opening
            | Verdict::Waiting
            | Verdict::NotAllowed
            | Verdict::Gone
            | Verdict::Recorded
            | Verdict::Passed => verdict.as_str().into(),
        },
    }
}

/// Why its windows and freezes keep a gate closed.
fn closed_words(closed: Option<&Closed>, now: Millis) -> String {
    closed.map_or_else(|| "closed".to_owned(), |closed| closed.words(WhenRead::At(now)))
}

/// What a freeze does not stop.
const fn goes_on(gate: &Gate) -> &'static str {
    if gate.used.is_some() { "; what Flagger was told to do before goes on" } else { "" }
}

/// Whether the gate opens later than its ticket suggests if it is also closed by its windows and freezes.
const fn waits_for_more(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Opening | Verdict::Waiting | Verdict::NotAllowed | Verdict::Expired => true,
        Verdict::Stuck
        | Verdict::Approved
        | Verdict::Rejected
        | Verdict::Frozen
        | Verdict::Stale
        | Verdict::Gone
        | Verdict::Recorded
        | Verdict::Passed => false,
    }
}

/// Why a gate is open that asks nobody.
fn recorded_words(state: &GateState) -> String {
    let ticket = match state {
        GateState::Opening => "; the ticket is being opened".to_owned(),
        GateState::Stuck { why } => format!("; the ticket could not be opened, which is tried again: {why}"),
        GateState::Watched { .. } => String::new(),
    };
    format!("nobody is asked: this gate needs no approval, because approval.mode is \"record\"{ticket}")
}

/// Why it is not known whether what would start is what the ticket shows.
fn target_doubt(target: &Observed) -> String {
    let why = match target {
        Observed::Watched { unread, .. } => unread.as_deref(),
        Observed::Read(_) => return "something else is deployed than this ticket shows".to_owned(),
        Observed::Unread | Observed::Shown(_) | Observed::ReadBefore(_) => None,
    };
    match why {
        Some(why) => format!("the bridge cannot read whether that is still what would start: {why}"),
        None => "the bridge has not read yet whether that is still what would start".to_owned(),
    }
}

fn not_judged_words(decision: &Decision, why: &str) -> String {
    format!("{}; it is not known yet whether that counts: {why}", decision_words("approved", decision))
}

/// Added to a reason while the ticket cannot be read; its status may have changed since.
pub(super) fn unread_suffix(verdict: Verdict, UnreadSince { since, why }: &UnreadSince) -> String {
    match verdict {
        Verdict::Stale => format!(": {why}"),
        Verdict::Waiting
        | Verdict::Rejected
        | Verdict::NotAllowed
        | Verdict::Expired
        | Verdict::Frozen
        | Verdict::Gone => {
            format!("; Jira has not confirmed that since {}: {why}", clock_time(*since))
        }
        // These have no ticket, or their reason already names the problem.
        Verdict::Opening | Verdict::Stuck | Verdict::Approved | Verdict::Recorded | Verdict::Passed => {
            String::new()
        }
    }
}

fn invalid_words(reason: &InvalidReason) -> String {
    match reason {
        InvalidReason::LabelledEnded { .. } => {
            "the ticket is labelled flagger-ended, so its rollout is over and it opens nothing; the next question opens a new one"
                .into()
        }
        InvalidReason::MovedElsewhere { project } => {
            format!(
                "the ticket is not of the project and issue type it was opened in (it is in {project} now); move it back"
            )
        }
        InvalidReason::NoChangelogEntry { status } => {
            format!(
                "the ticket is in status \"{}\", but its history does not show who moved it there; move it out and back, or delete it, and after a while the bridge opens another",
                status.name
            )
        }
        InvalidReason::Relocated { status, .. } => {
            format!(
                "the ticket was moved between projects, issue types or workflows when it came to \"{}\" or since, so that is no approval; move it out and back, or delete it, and after a while the bridge opens another",
                status.name
            )
        }
        InvalidReason::Mapped { status, .. } => {
            format!(
                "the ticket came to \"{}\" from a status that is not in its workflow, so Jira may have put it there when that status was removed from the workflow, and that is no approval; move it out and back, or delete it, and after a while the bridge opens another",
                status.name
            )
        }
        InvalidReason::Renamed { status } => {
            format!(
                "the ticket is in status \"{}\", which did not mean approved when this ticket was opened, or no longer does; move it to a status that meant approved then and still does, or delete it, and after a while the bridge opens another",
                status.name
            )
        }
        InvalidReason::ApprovedBefore { status } => {
            format!(
                "the ticket came to \"{}\" before it was the ticket of this gate, so that is no approval of this rollout; move it out and back",
                status.name
            )
        }
        InvalidReason::Unmarked { gate } => {
            format!(
                "the issue with the ticket's number is not the one that was opened for this gate, because it lacks the label {}, or on Cloud the property that says so; if that was removed, put it back; in another Jira, or one from a backup, the next rollout opens its own ticket",
                gate.label()
            )
        }
        InvalidReason::Missing { confirmed: true, since: Some(since) } => {
            format!(
                "Jira has not shown the ticket since {}, although the bridge's account may browse its project, so it counts as \
                 deleted; the next question opens a new one",
                clock_time(*since)
            )
        }
        InvalidReason::Missing { since: Some(since), .. } => {
            format!(
                "Jira has not shown the ticket since {}: it was deleted, or the bridge's account may not see it; if Jira \
                 shows it again, it counts as before",
                clock_time(*since)
            )
        }
        InvalidReason::Missing { since: None, .. } => {
            "Jira does not show the ticket, and the bridge's account may not browse its project: give it the permission Browse \
             Projects; then the ticket counts as before"
                .into()
        }
    }
}

/// Who rejected, and why that rolls nothing back, if so.
pub(super) fn rejection_words(decision: &Decision, author: &Author) -> String {
    let rejected = decision_words("rejected", decision);
    match author {
        Author::Accepted | Author::NoDecision => rejected,
        Author::NotAccepted { why } => {
            format!("{rejected}; this holds the gate but does not roll back, because {why}")
        }
        Author::Unknown { why } => {
            format!("{rejected}; this holds the gate, but it is not known yet whether it rolls back: {why}")
        }
    }
}

fn decision_words(what: &str, decision: &Decision) -> String {
    let (by, at) = (decision.by(), clock_time(decision.changelog_entry.at));
    format!("{what} by {by} at {at}{}", steps::before(decision))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        gate::{GateId, GateName, Hours, Move, Stage, TargetProof, Ticket},
        policy::{ApprovalMode, Fingerprint, Person, Status, Statuses},
    };

    const VALIDITY: Validity = Validity {
        trust_for: Duration::MAX,
        valid_for: Duration::MAX,
        judged_by: Fingerprint(1),
        reject_after: None,
        target: TargetProof::NotNeeded,
        hours: Hours::Open,
        mode: ApprovalMode::Required,
    };

    /// A gate that was approved at time 0.
    fn approved(judged_by: Option<Fingerprint>) -> Gate {
        let name = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
        let (id, key, project, issue_type) = ("1".into(), "OPS-1".into(), "OPS".into(), "10004".into());
        let status = Status { id: "3".into(), name: "Approved".into() };
        let by = Person { id: "mia".into(), name: "Mia".into(), app: false };
        let entry =
            Move { changelog_id: "7".into(), by, at: Millis(0), from: "1".into(), to: status.clone() };
        let ticket_state = TicketState::Approved {
            status,
            decision: Decision { changelog_entry: entry, since: Millis(0), steps: vec![], approval: None },
        };
        let ticket = Ticket { id, key, project, issue_type, taken_at: None };
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
            reason(&gate, gate.verdict(Millis(1), VALIDITY), VALIDITY, &Observed::Unread, None, Millis(1))
        };
        let approval = "approved by Mia at 1970-01-01T00:00:00Z";
        assert_eq!(reason_of(Some(VALIDITY.judged_by)), approval);
        for (judged_by, why) in [
            (Some(Fingerprint(2)), "it was judged by other settings than this replica's"),
            (None, "an earlier version of the bridge judged it"),
        ] {
            let expected = format!(
                "{approval}; it is not known yet whether that counts: {why}; it is judged again as soon as Jira shows \
                 the ticket"
            );
            assert_eq!(reason_of(judged_by), expected);
        }
    }
}
