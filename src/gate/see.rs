//! PURE: what a sighting of its ticket makes of a gate.

use std::time::Duration;

use super::{
    history::{Move, decisive, is_newest, was_moved_since},
    read::read,
    snapshot::{Browse, IssueSnapshot},
    state::{Gate, GateState},
    ticket::{Decision, InvalidReason, Ticket, TicketState},
    verdict::Validity,
};
use crate::{
    millis::Millis,
    policy::{Author, Statuses},
};

/// By how much two estimates of the age of a decision may differ: answers tell their time in whole seconds, and take a while.
const ESTIMATES_AGREE: Duration = Duration::from_secs(2);

/// Why a rejection rolls nothing back any more.
const LEFT: &str = "the ticket left that status otherwise than by a transition of its workflow";

impl Gate {
    /// What the gate becomes by this sighting of its ticket; `None` if it is no news. `now` is when Jira was asked, `arrived`
    /// when it answered.
    ///
    /// The time of an unchanged sighting is news only of an approval, which is trusted for so long, and only when the
    /// stored one is getting old: within a sixth of `trust_for`. A poll of every ticket does not write every ticket.
    #[must_use]
    pub fn see(
        &self,
        snapshot: &IssueSnapshot,
        statuses: &Statuses,
        author: &Author,
        now: Millis,
        arrived: Millis,
        Validity { trust_for, judged_by, .. }: Validity,
    ) -> Option<Self> {
        let GateState::Watched { ticket, seen, ticket_state } = &self.state else { return None };
        if snapshot.is_older_than(&self.id, self.newest_move) {
            return None;
        }
        let newest_move = snapshot.newest_move(&self.id).max(self.newest_move);
        let (key, new) = match snapshot {
            // What a person rejected stays rejected, whether it can be seen or not.
            IssueSnapshot::Missing { .. } if matches!(ticket_state, TicketState::Rejected { .. }) => {
                return None;
            }
            IssueSnapshot::Missing { browse } => {
                let lately = now.apart(*seen) <= trust_for;
                (
                    &ticket.key,
                    TicketState::Invalid { doubt: missing(ticket_state, lately, *browse, now, trust_for) },
                )
            }
            // The key of somebody else's issue is not this ticket's.
            IssueSnapshot::Issue { status, marks, moves, .. } if !marks.contains(&self.id) => {
                (&ticket.key, self.without_mark(ticket_state, decisive(status, moves, statuses)))
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
                answered,
            } => {
                let is_home = *project == ticket.project && *issue_type == ticket.issue_type;
                let shown = if is_home {
                    let history = (moves.as_slice(), invalidations.as_slice());
                    let read =
                        read(status, history, statuses, author, |entry| arrived - answered.since(entry.at));
                    self.by_their_names(read, statuses)
                } else {
                    TicketState::Invalid { doubt: InvalidReason::MovedElsewhere { project: project.clone() } }
                };
                let was_taken_back = |decision: &Decision| {
                    let workflow = statuses.workflow.as_ref()?;
                    Some(was_moved_since(&decision.changelog_entry, moves, invalidations, workflow))
                };
                let ticket_state = match (&shown, ticket_state) {
                    (_, TicketState::Rejected { decision, .. })
                        if let Some(stays) =
                            ticket_state.stays_rejected(&shown, || was_taken_back(decision)) =>
                    {
                        stays
                    }
                    (TicketState::Rejected { .. }, _) => shown,
                    (_, TicketState::Rejected { status: known, .. }) if *ended && known.id == status.id => {
                        ticket_state.clone()
                    }
                    _ if *ended => TicketState::Invalid {
                        doubt: InvalidReason::LabelledEnded { status: status.clone() },
                    },
                    _ => shown,
                };
                (key, ticket_state)
            }
        };
        let new = if ticket_state.stays_despite(&new, snapshot) { ticket_state.clone() } else { new };
        let pinned = self.statuses.clone().or_else(|| pinned_by(snapshot, &new, statuses));
        if new.is_not_judged() && new.entry() == ticket_state.entry() && !ticket_state.is_not_judged() {
            // Nobody could be asked just now; what was found out before holds for as long as it is trusted.
            return None;
        }
        let new = if new.means_the_same(ticket_state) && !new.is_older(ticket_state) {
            ticket_state.clone()
        } else {
            new.no_younger(ticket_state)
        };
        let holds_on = matches!(
            ticket_state,
            TicketState::Approved { .. }
                | TicketState::Invalid { doubt: InvalidReason::Missing { confirmed: false, .. } }
        );
        let is_judged_anew = self.judged_by != Some(judged_by) && matches!(new, TicketState::Approved { .. });
        let is_renewed = is_judged_anew || holds_on && (now.apart(*seen) >= trust_for / 6 || now < *seen);
        let is_moved = newest_move != self.newest_move;
        if new == *ticket_state && *key == ticket.key && !is_renewed && !is_moved && pinned == self.statuses {
            return None;
        }
        let ticket = Ticket { key: key.clone(), ..ticket.clone() };
        let state = GateState::Watched { ticket, seen: now, ticket_state: new };
        Some(Self { state, statuses: pinned, judged_by: Some(judged_by), newest_move, ..self.clone() })
    }

    /// What it means that the issue does not say that it is this gate's. Whoever takes the mark away erases no rejection that
    /// was read before, if it is still the one that `decided`.
    fn without_mark(&self, ticket_state: &TicketState, decided: Option<&Move>) -> TicketState {
        match ticket_state {
            TicketState::Rejected { decision, .. } if decided == Some(&decision.changelog_entry) => {
                ticket_state.clone()
            }
            TicketState::Rejected { .. }
            | TicketState::Waiting { .. }
            | TicketState::Approved { .. }
            | TicketState::NotAllowed { .. }
            | TicketState::NotJudged { .. }
            | TicketState::Invalid { .. } => {
                TicketState::Invalid { doubt: InvalidReason::Unmarked { gate: self.id.clone() } }
            }
        }
    }

    /// The view, where the statuses that decide may have got their names after the ticket was opened. Where it is not known
    /// what they were called then, the history has to call the status as it is called now.
    fn by_their_names(&self, ticket_state: TicketState, statuses: &Statuses) -> TicketState {
        let is_known = |entry: &Move| match &self.statuses {
            Some(then) => then.rejected.contains(&entry.to.id),
            None => !statuses.renames(&entry.to),
        };
        match ticket_state {
            TicketState::Approved { status, decision }
            | TicketState::NotAllowed { status, decision, .. }
            | TicketState::NotJudged { status, decision, .. }
                if self.statuses.is_none() && statuses.renames(&decision.changelog_entry.to) =>
            {
                TicketState::Invalid { doubt: InvalidReason::Renamed { status } }
            }
            // A no stays a no, but nobody may have meant it.
            TicketState::Rejected {
                status,
                decision,
                author: Author::Accepted | Author::NotJudged | Author::Unknown { .. },
            } if !is_known(&decision.changelog_entry) => {
                let why = "the status did not mean rejected when this ticket was opened".into();
                TicketState::Rejected { status, decision, author: Author::NotAccepted { why } }
            }
            TicketState::Approved { .. }
            | TicketState::Rejected { .. }
            | TicketState::NotAllowed { .. }
            | TicketState::NotJudged { .. }
            | TicketState::Waiting { .. }
            | TicketState::Invalid { .. } => ticket_state,
        }
    }
}

impl TicketState {
    /// What this rejection is where the ticket shows something else by now, unless it was taken back. A transition alone does that,
    /// of a ticket that is where it belongs: no label, no field, and no answer that lacks the rejection. None: it shows one, or
    /// this one was taken back. `taken_back` tells whether somebody did, if that is known.
    fn stays_rejected(&self, shown: &Self, taken_back: impl Fn() -> Option<bool>) -> Option<Self> {
        let Self::Rejected { status, decision, .. } = self else { return None };
        let is_taken_back = match shown {
            Self::Rejected { .. } => return None,
            Self::Invalid { doubt: InvalidReason::MovedElsewhere { .. } } => Some(false),
            Self::Waiting { .. }
            | Self::Approved { .. }
            | Self::NotAllowed { .. }
            | Self::NotJudged { .. }
            | Self::Invalid { .. } => taken_back(),
        };
        match (shown, is_taken_back) {
            (_, Some(true)) => None,
            // A wizard or Jira mapped the status. But the ticket does not stand rejected, so nothing is rolled back.
            (
                Self::Waiting { .. }
                | Self::Approved { .. }
                | Self::NotAllowed { .. }
                | Self::NotJudged { .. }
                | Self::Invalid { doubt: InvalidReason::Relocated { .. } | InvalidReason::Mapped { .. } },
                Some(false),
            ) => {
                let (status, decision) = (status.clone(), decision.clone());
                Some(Self::Rejected { status, decision, author: Author::NotAccepted { why: LEFT.into() } })
            }
            (Self::Invalid { .. } | Self::Rejected { .. }, Some(false)) | (_, None) => Some(self.clone()),
        }
    }

    /// Whether this is a rejection that was read and judged, and stays what it was although the ticket shows `new` instead:
    /// until somebody moves it.
    fn stays_despite(&self, new: &Self, snapshot: &IssueSnapshot) -> bool {
        match (snapshot, self, new) {
            (
                IssueSnapshot::Issue { status, moves, .. },
                Self::Rejected { status: known, decision, .. },
                Self::Invalid { .. } | Self::Rejected { author: Author::NotAccepted { .. }, .. },
            ) => {
                is_newest(&decision.changelog_entry, moves)
                    && self.is_no_less_than(new)
                    && (status.id == known.id
                        || matches!(new, Self::Invalid { doubt: InvalidReason::NoChangelogEntry { .. } }))
            }
            _ => false,
        }
    }

    /// Whether this rejection says no less than the other view: it was judged to roll back, or the other is none.
    const fn is_no_less_than(&self, other: &Self) -> bool {
        matches!(self, Self::Rejected { author: Author::Accepted, .. })
            || matches!(other, Self::Invalid { .. })
    }

    /// Whether both say the same of the ticket. A decision is known by its changelog entry: its place on our clock
    /// is estimated at each sighting, and the first estimate stays.
    fn means_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Approved { status: here, decision: a }, Self::Approved { status: there, decision: b })
            | (
                Self::NotJudged { status: here, decision: a, .. },
                Self::NotJudged { status: there, decision: b, .. },
            ) => here == there && a.changelog_entry == b.changelog_entry,
            (
                Self::Rejected { status: here, decision: a, author: judged },
                Self::Rejected { status: there, decision: b, author: before },
            ) => here == there && a.changelog_entry == b.changelog_entry && same_decision(judged, before),
            (
                Self::NotAllowed { status: here, decision: a, why },
                Self::NotAllowed { status: there, decision: b, why: before },
            ) => here == there && a.changelog_entry == b.changelog_entry && why == before,
            (
                Self::Waiting { .. }
                | Self::Approved { .. }
                | Self::Rejected { .. }
                | Self::NotAllowed { .. }
                | Self::NotJudged { .. }
                | Self::Invalid { .. },
                _,
            ) => self == other,
        }
    }

    /// Whether the decision, which is also the other's, is older by this estimate: our clock was set back since.
    fn is_older(&self, other: &Self) -> bool {
        let since = |ticket_state: &Self| ticket_state.decision().map(|decision| decision.since);
        since(self)
            .zip(since(other))
            .is_some_and(|(here, there)| there.since(here) > ESTIMATES_AGREE && self.entry() == other.entry())
    }

    /// The same, with the decision as old as either estimate says.
    fn no_younger(mut self, other: &Self) -> Self {
        let before = other.decision().filter(|decision| Some(&decision.changelog_entry) == self.entry());
        let Some(before) = before.map(|decision| decision.since) else { return self };
        match &mut self {
            Self::Approved { decision, .. }
            | Self::Rejected { decision, .. }
            | Self::NotAllowed { decision, .. }
            | Self::NotJudged { decision, .. } => decision.since = decision.since.min(before),
            Self::Waiting { .. } | Self::Invalid { .. } => {}
        }
        self
    }
}

/// What is kept of the statuses with a ticket that shows this: what was renamed is not among those that bore their names when
/// it was opened.
fn pinned_by(snapshot: &IssueSnapshot, new: &TicketState, statuses: &Statuses) -> Option<Statuses> {
    let is_told = match new {
        TicketState::Waiting { .. }
        | TicketState::Approved { .. }
        | TicketState::NotAllowed { .. }
        | TicketState::NotJudged { .. } => true,
        TicketState::Rejected { decision, .. } => !statuses.renames(&decision.changelog_entry.to),
        TicketState::Invalid { .. } => false,
    };
    let is_live = matches!(snapshot, IssueSnapshot::Issue { ended: false, .. });
    (is_live && is_told && !statuses.approved.is_empty()).then(|| statuses.pinned())
}

/// What it means that Jira does not show the issue, after what was seen before, perhaps `lately`. Jira says the same of an
/// issue that was deleted and of one that our account may not see. So it is given up only when Jira has said so, to
/// an account that may browse the project, again and again for as long as an approval is trusted.
fn missing(
    before: &TicketState,
    lately: bool,
    browse: Browse,
    now: Millis,
    trust_for: Duration,
) -> InvalidReason {
    let before = match before {
        TicketState::Invalid {
            doubt: InvalidReason::Missing { confirmed: true, since: since @ Some(_) },
        } => {
            return InvalidReason::Missing { confirmed: true, since: *since };
        }
        TicketState::Invalid { doubt: InvalidReason::Missing { confirmed: false, since } } if lately => {
            *since
        }
        TicketState::Invalid { .. }
        | TicketState::Waiting { .. }
        | TicketState::Approved { .. }
        | TicketState::Rejected { .. }
        | TicketState::NotAllowed { .. }
        | TicketState::NotJudged { .. } => None,
    };
    let since = match browse {
        Browse::Proven => Some(before.unwrap_or(now)),
        Browse::Unproven => None,
    };
    let confirmed = since.is_some_and(|since| now.since(since) >= trust_for);
    InvalidReason::Missing { confirmed, since }
}

/// Whether both judgements come to the same: why one is not known changes from look to look.
fn same_decision(a: &Author, b: &Author) -> bool {
    match (a, b) {
        (Author::Unknown { .. }, Author::Unknown { .. }) => true,
        (Author::Accepted | Author::NotAccepted { .. } | Author::NotJudged | Author::Unknown { .. }, _) => {
            a == b
        }
    }
}
