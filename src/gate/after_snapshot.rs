//! PURE: how a snapshot of its ticket changes a gate.

use std::{collections::BTreeMap, time::Duration};

use super::{
    approval_steps::{OtherAuthors, StepsReading, are_same},
    exception::{TicketException, are_same_exceptions},
    history::{Move, decisive, is_newest, was_moved_since},
    interpret::interpret,
    snapshot::{Browse, IssueSnapshot},
    state::{Gate, GateState},
    ticket::{Decision, InvalidReason, Ticket, TicketState},
    verdict::Validity,
};
use crate::{
    millis::Millis,
    policy::{Author, Statuses},
};

/// By how much two estimates of the age of a decision may differ: Jira gives the time of an answer in whole seconds,
/// and an answer takes a while.
const ESTIMATES_AGREE: Duration = Duration::from_secs(2);

/// Why a rejection no longer rolls back.
const LEFT_WITHOUT_TRANSITION: &str = "the ticket left that status, but not by a transition of its workflow";

impl Gate {
    /// The gate after this snapshot of its ticket; `None` if nothing changed. `now` is when Jira was asked, `arrived`
    /// when it answered.
    ///
    /// The time of an unchanged snapshot is stored only for an approval or a missing ticket, which depend on it, and
    /// only once the stored time is older than a sixth of `trust_for`. So a poll of every ticket does not write every
    /// ticket.
    #[must_use]
    pub fn after_snapshot(
        &self,
        snapshot: &IssueSnapshot,
        statuses: &Statuses,
        (author, authors): (&Author, &OtherAuthors),
        now: Millis,
        arrived: Millis,
        Validity { trust_for, judged_by, mode, .. }: Validity,
    ) -> Option<Self> {
        let GateState::Watched { ticket, seen, ticket_state: before } = &self.state else { return None };
        if snapshot.is_older_than(&self.id, self.newest_move) {
            return None;
        }
        let newest_move = snapshot.newest_move(&self.id).max(self.newest_move);
        let mut steps = self.steps.clone();
        let (key, new) = match snapshot {
            // A rejection stays, whether or not Jira shows the ticket.
            IssueSnapshot::Missing { .. } if matches!(before, TicketState::Rejected { .. }) => {
                return None;
            }
            IssueSnapshot::Missing { browse } => {
                let lately = now.abs_diff(*seen) <= trust_for;
                (
                    &ticket.key,
                    TicketState::Invalid { reason: missing_reason(before, lately, *browse, now, trust_for) },
                )
            }
            // Without the mark it may be another gate's issue, so its key is not stored.
            IssueSnapshot::Issue { status, marks, moves, .. } if !marks.contains(&self.id) => {
                (&ticket.key, self.without_mark(before, decisive(status, moves, statuses)))
            }
            IssueSnapshot::Issue {
                key,
                project,
                issue_type,
                status,
                ended,
                marks: _,
                moves,
                invalidations,
                planned: _,
                exceptions: _,
                answered,
                approval,
            } => {
                let read = StepsReading {
                    status,
                    moves,
                    invalidations,
                    statuses,
                    author,
                    authors,
                    taken_at: ticket.taken_at,
                    pinned: self.statuses.as_ref(),
                };
                let is_home = *project == ticket.project && *issue_type == ticket.issue_type;
                let shown = if is_home {
                    let history = (moves.as_slice(), invalidations.as_slice());
                    let on_our_clock = |entry: &Move| arrived - answered.since(entry.at);
                    let judged = (author, approval.as_ref());
                    let shown = interpret(status, history, statuses, judged, on_our_clock);
                    let shown_steps = read.steps();
                    let shown = self.with_renames_checked(shown, statuses).with_steps_checked(&shown_steps);
                    if !are_same(&shown_steps, &steps) {
                        steps = shown_steps;
                    }
                    given_before(shown, ticket)
                } else {
                    TicketState::Invalid {
                        reason: InvalidReason::MovedElsewhere { project: project.clone() },
                    }
                };
                let was_taken_back = |decision: &Decision| {
                    let workflow = statuses.workflow.as_ref()?;
                    Some(was_moved_since(&decision.changelog_entry, moves, invalidations, workflow))
                };
                let after = match (&shown, before) {
                    (_, TicketState::Rejected { decision, .. })
                        if let Some(stays) = before.stays_rejected(&shown, || was_taken_back(decision)) =>
                    {
                        stays
                    }
                    (TicketState::Rejected { .. }, _) => shown,
                    (_, TicketState::Rejected { status: known, .. }) if *ended && known.id == status.id => {
                        before.clone()
                    }
                    _ if *ended => TicketState::Invalid {
                        reason: InvalidReason::LabelledEnded { status: status.clone() },
                    },
                    _ => shown,
                };
                (key, after)
            }
        };
        let new = if before.stays_despite(&new, snapshot) { before.clone() } else { new };
        let pinned = self.statuses.clone().or_else(|| statuses_to_pin(snapshot, &new, statuses));
        if new.is_judgment_pending() && new.entry() == before.entry() && !before.is_judgment_pending() {
            // The author could not be judged now; the earlier judgment holds for `trust_for`. When the gate may open is
            // another question.
            let (planned, exceptions) = self.hours_shown(snapshot, authors, ticket.taken_at);
            let is_same = *planned == self.planned && are_same_exceptions(&exceptions, &self.exceptions);
            let planned = planned.clone();
            return (!is_same).then(|| Self { planned, exceptions, ..self.clone() });
        }
        let new = if new.means_the_same(before) && !new.is_older(before) {
            before.clone()
        } else {
            new.with_older_estimate(before)
        };
        let holds_on = matches!(
            before,
            TicketState::Approved { .. }
                | TicketState::Invalid { reason: InvalidReason::Missing { confirmed: false, .. } }
        ) || !(mode.is_required() || self.planned.is_empty() && self.exceptions.is_empty());
        let is_judged = matches!(new, TicketState::Approved { .. }) || !self.exceptions.is_empty();
        let is_judged_anew = self.judged_by != Some(judged_by) && is_judged;
        let is_renewed = is_judged_anew || holds_on && (now.abs_diff(*seen) >= trust_for / 6 || now < *seen);
        let (planned, exceptions) = self.hours_shown(snapshot, authors, ticket.taken_at);
        let are_news = !are_same_exceptions(&exceptions, &self.exceptions);
        let is_moved = newest_move != self.newest_move || *planned != self.planned || are_news;
        let is_same = new == *before && *key == ticket.key && pinned == self.statuses && steps == self.steps;
        if is_same && !is_renewed && !is_moved {
            return None;
        }
        let ticket = Ticket { key: key.clone(), ..ticket.clone() };
        let state = GateState::Watched { ticket, seen: now, ticket_state: new };
        let planned = planned.clone();
        Some(Self {
            state,
            statuses: pinned,
            judged_by: Some(judged_by),
            newest_move,
            planned,
            exceptions,
            steps,
            ..self.clone()
        })
    }

    /// What a snapshot shows of when the gate may open: the planned time, and what lifts a freeze.
    fn hours_shown<'s>(
        &'s self,
        snapshot: &'s IssueSnapshot,
        authors: &OtherAuthors,
        taken_at: Option<Millis>,
    ) -> (&'s BTreeMap<String, String>, Vec<TicketException>) {
        match snapshot {
            IssueSnapshot::Issue { marks, planned, exceptions, .. } if marks.contains(&self.id) => {
                (planned, authors.judged(exceptions, taken_at))
            }
            IssueSnapshot::Issue { .. } | IssueSnapshot::Missing { .. } => {
                (&self.planned, self.exceptions.clone())
            }
        }
    }

    /// The state if the issue does not carry this gate's mark. Removing the mark does not erase a rejection that was
    /// read before, if that is still the move that `decided`.
    fn without_mark(&self, ticket_state: &TicketState, decided: Option<&Move>) -> TicketState {
        match ticket_state {
            TicketState::Rejected { decision, .. } if decided == Some(&decision.changelog_entry) => {
                ticket_state.clone()
            }
            TicketState::Rejected { .. }
            | TicketState::Waiting { .. }
            | TicketState::Approved { .. }
            | TicketState::NotAllowed { .. }
            | TicketState::JudgmentPending { .. }
            | TicketState::Invalid { .. } => {
                TicketState::Invalid { reason: InvalidReason::Unmarked { gate: self.id.clone() } }
            }
        }
    }

    /// Corrects the state if a deciding status may have got its name after the ticket was opened. If its name at that
    /// time is not known, the history must show the name that it has now.
    fn with_renames_checked(&self, ticket_state: TicketState, statuses: &Statuses) -> TicketState {
        let is_known = |entry: &Move| match &self.statuses {
            Some(then) => then.rejected.contains(&entry.to.id),
            None => !statuses.renames(&entry.to),
        };
        match ticket_state {
            TicketState::Approved { status, decision }
            | TicketState::NotAllowed { status, decision, .. }
            | TicketState::JudgmentPending { status, decision, .. }
                if self.statuses.is_none() && statuses.renames(&decision.changelog_entry.to) =>
            {
                TicketState::Invalid { reason: InvalidReason::Renamed { status } }
            }
            // A rejection keeps the gate closed, but may not have been meant as one, so it does not roll back.
            TicketState::Rejected {
                status,
                decision,
                author: Author::Accepted | Author::NoDecision | Author::Unknown { .. },
            } if !is_known(&decision.changelog_entry) => {
                let why = "the status did not mean rejected when this ticket was opened".into();
                TicketState::Rejected { status, decision, author: Author::NotAccepted { why } }
            }
            TicketState::Approved { .. }
            | TicketState::Rejected { .. }
            | TicketState::NotAllowed { .. }
            | TicketState::JudgmentPending { .. }
            | TicketState::Waiting { .. }
            | TicketState::Invalid { .. } => ticket_state,
        }
    }
}

impl TicketState {
    /// What becomes of this rejection if the ticket shows something else now. `None` if it shows a rejection, or if
    /// this one was taken back: only a transition in the ticket's own project and issue type does that, not a label, a
    /// field, or an answer without the rejection. `taken_back` returns whether that happened, if known.
    fn stays_rejected(&self, shown: &Self, taken_back: impl Fn() -> Option<bool>) -> Option<Self> {
        let Self::Rejected { status, decision, .. } = self else { return None };
        let is_taken_back = match shown {
            Self::Rejected { .. } => return None,
            Self::Invalid { reason: InvalidReason::MovedElsewhere { .. } } => Some(false),
            Self::Waiting { .. }
            | Self::Approved { .. }
            | Self::NotAllowed { .. }
            | Self::JudgmentPending { .. }
            | Self::Invalid { .. } => taken_back(),
        };
        match (shown, is_taken_back) {
            (_, Some(true)) => None,
            // A wizard or Jira mapped the status. The ticket is not in a rejected status now, so nothing is rolled
            // back.
            (
                Self::Waiting { .. }
                | Self::Approved { .. }
                | Self::NotAllowed { .. }
                | Self::JudgmentPending { .. }
                | Self::Invalid { reason: InvalidReason::Relocated { .. } | InvalidReason::Mapped { .. } },
                Some(false),
            ) => {
                let (status, decision) = (status.clone(), decision.clone());
                Some(Self::Rejected {
                    status,
                    decision,
                    author: Author::NotAccepted { why: LEFT_WITHOUT_TRANSITION.into() },
                })
            }
            (Self::Invalid { .. } | Self::Rejected { .. }, Some(false)) | (_, None) => Some(self.clone()),
        }
    }

    /// Whether this is a judged rejection that stays although the ticket shows `new` now, until the ticket is moved.
    fn stays_despite(&self, new: &Self, snapshot: &IssueSnapshot) -> bool {
        match (snapshot, self, new) {
            (
                IssueSnapshot::Issue { status, moves, .. },
                Self::Rejected { status: known, decision, .. },
                Self::Invalid { .. } | Self::Rejected { author: Author::NotAccepted { .. }, .. },
            ) => {
                is_newest(&decision.changelog_entry, moves)
                    && self.is_as_strong_as(new)
                    && (status.id == known.id
                        || matches!(new, Self::Invalid { reason: InvalidReason::NoChangelogEntry { .. } }))
            }
            _ => false,
        }
    }

    /// Whether this rejection is at least as strong as the other state: it rolls back, or the other is not a rejection.
    const fn is_as_strong_as(&self, other: &Self) -> bool {
        matches!(self, Self::Rejected { author: Author::Accepted, .. })
            || matches!(other, Self::Invalid { .. })
    }

    /// Whether both mean the same. A decision is identified by its changelog entry: its time by the bridge's clock is
    /// estimated for each snapshot, and the first estimate stays.
    fn means_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Approved { status: here, decision: a }, Self::Approved { status: there, decision: b })
            | (
                Self::JudgmentPending { status: here, decision: a, .. },
                Self::JudgmentPending { status: there, decision: b, .. },
            ) => here == there && a.changelog_entry == b.changelog_entry && a.steps == b.steps,
            (
                Self::Rejected { status: here, decision: a, author: judged },
                Self::Rejected { status: there, decision: b, author: before },
            ) => here == there && a.changelog_entry == b.changelog_entry && same_judgment(judged, before),
            (
                Self::NotAllowed { status: here, decision: a, why },
                Self::NotAllowed { status: there, decision: b, why: before },
            ) => here == there && a.changelog_entry == b.changelog_entry && why == before,
            (
                Self::Waiting { .. }
                | Self::Approved { .. }
                | Self::Rejected { .. }
                | Self::NotAllowed { .. }
                | Self::JudgmentPending { .. }
                | Self::Invalid { .. },
                _,
            ) => self == other,
        }
    }

    /// Whether both have the same decision, and it is older by this estimate because the bridge's clock was set back.
    fn is_older(&self, other: &Self) -> bool {
        let since = |ticket_state: &Self| ticket_state.decision().map(|decision| decision.since);
        since(self)
            .zip(since(other))
            .is_some_and(|(here, there)| there.since(here) > ESTIMATES_AGREE && self.entry() == other.entry())
    }

    /// The same, with the older of both estimates of the decision's time.
    fn with_older_estimate(mut self, other: &Self) -> Self {
        let before = other.decision().filter(|decision| Some(&decision.changelog_entry) == self.entry());
        let Some(before) = before.map(|decision| decision.since) else { return self };
        match &mut self {
            Self::Approved { decision, .. }
            | Self::Rejected { decision, .. }
            | Self::NotAllowed { decision, .. }
            | Self::JudgmentPending { decision, .. } => decision.since = decision.since.min(before),
            Self::Waiting { .. } | Self::Invalid { .. } => {}
        }
        self
    }
}

/// Corrects the state of a ticket that existed before its gate: an approval from before the bridge took it was given for
/// something else.
fn given_before(ticket_state: TicketState, ticket: &Ticket) -> TicketState {
    match ticket_state {
        TicketState::Approved { status, decision }
        | TicketState::NotAllowed { status, decision, .. }
        | TicketState::JudgmentPending { status, decision, .. }
            if ticket.taken_at.is_some_and(|taken| decision.changelog_entry.at < taken) =>
        {
            TicketState::Invalid { reason: InvalidReason::ApprovedBefore { status } }
        }
        TicketState::Approved { .. }
        | TicketState::Rejected { .. }
        | TicketState::NotAllowed { .. }
        | TicketState::JudgmentPending { .. }
        | TicketState::Waiting { .. }
        | TicketState::Invalid { .. } => ticket_state,
    }
}

/// The statuses to store with a ticket in this state, if they are certain: not if a deciding status may have been
/// renamed since the ticket was opened.
fn statuses_to_pin(snapshot: &IssueSnapshot, new: &TicketState, statuses: &Statuses) -> Option<Statuses> {
    let is_certain = match new {
        TicketState::Waiting { .. }
        | TicketState::Approved { .. }
        | TicketState::NotAllowed { .. }
        | TicketState::JudgmentPending { .. } => true,
        TicketState::Rejected { decision, .. } => !statuses.renames(&decision.changelog_entry.to),
        TicketState::Invalid { .. } => false,
    };
    let is_live = matches!(snapshot, IssueSnapshot::Issue { ended: false, .. });
    (is_live && is_certain && !statuses.approved.is_empty()).then(|| statuses.pinned())
}

/// The reason if Jira does not show the issue. `lately` says that the last reading is not older than `trust_for`. Jira
/// gives the same answer for an issue that was deleted and for one that the bridge's account may not see. So the ticket
/// counts as deleted only after Jira did not show it for `trust_for`, to an account that may browse the project.
fn missing_reason(
    before: &TicketState,
    lately: bool,
    browse: Browse,
    now: Millis,
    trust_for: Duration,
) -> InvalidReason {
    let before = match before {
        TicketState::Invalid {
            reason: InvalidReason::Missing { confirmed: true, since: since @ Some(_) },
        } => {
            return InvalidReason::Missing { confirmed: true, since: *since };
        }
        TicketState::Invalid { reason: InvalidReason::Missing { confirmed: false, since } } if lately => {
            *since
        }
        TicketState::Invalid { .. }
        | TicketState::Waiting { .. }
        | TicketState::Approved { .. }
        | TicketState::Rejected { .. }
        | TicketState::NotAllowed { .. }
        | TicketState::JudgmentPending { .. } => None,
    };
    let since = match browse {
        Browse::Proven => Some(before.unwrap_or(now)),
        Browse::Unproven => None,
    };
    let confirmed = since.is_some_and(|since| now.since(since) >= trust_for);
    InvalidReason::Missing { confirmed, since }
}

/// Whether both judgments have the same result. The reason of an unknown one changes from reading to reading.
fn same_judgment(a: &Author, b: &Author) -> bool {
    match (a, b) {
        (Author::Unknown { .. }, Author::Unknown { .. }) => true,
        (Author::Accepted | Author::NotAccepted { .. } | Author::NoDecision | Author::Unknown { .. }, _) => {
            a == b
        }
    }
}
