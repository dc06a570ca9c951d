//! An interpreted reading of a ticket. Where two answers of Jira may disagree, the bridge asks for the more direct
//! one.

use crate::{
    gate::{Gate, GateId, GateState, TicketState},
    gatekeeper::TicketReading,
    policy::{Author, TimeLimits},
    rollout::{Canary, CanaryId, Change, Event},
    worker::{context::Context, poll_queue::DueTicket, read_health::ReadHealth},
};

/// A ticket that was read, and what that means.
pub(super) struct SeenTicket {
    pub(super) canary: CanaryId,
    pub(super) reading: TicketReading,
}

/// Why a reading from a combined request is not enough.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RecheckReason {
    /// It is enough.
    None,
    /// It would give up the gate, or accept an issue again that was not the gate's.
    Gone,
    /// It shows a change, and only an index shows it.
    Index,
    /// It would open the gate, or keep it open for long, and only an index shows it: that alone opens nothing.
    Opens,
    /// It shows an approval again, and only an index shows it. A recent reading of the issue itself showed it, too,
    /// so the issue need not be read; but the time for which that is trusted starts at that reading.
    Renews,
}

impl SeenTicket {
    pub(super) const fn gate(&self) -> &GateId {
        &self.reading.gate
    }

    pub(super) fn is_of(&self, due: &DueTicket) -> bool {
        self.reading.gate == due.gate
    }

    /// Whether it is known if the deciding move counts, and those of the steps before it. True if no move decided.
    pub(super) fn is_judged(&self) -> bool {
        match self.reading.author {
            Author::Accepted | Author::NotAccepted { .. } | Author::NoDecision => {
                self.reading.authors.are_judged()
            }
            Author::Unknown { .. } => false,
        }
    }

    pub(super) fn is_news(&self, context: &Context) -> bool {
        let Some(canary) = context.store().canary(&self.canary) else { return false };
        if self.passes_a_limit(context, &canary) {
            return true;
        }
        !matches!(
            context.gatekeeper.preview(&canary, &self.reading.event(), self.reading.at),
            Change::Unchanged
        )
    }

    /// Whether a time limit of its gate passed, as far as is stored.
    fn passes_a_limit(&self, context: &Context, canary: &Canary) -> bool {
        let Some(limits) = self.limits(context) else { return false };
        let Some(gate) = canary.gate_by_id(self.gate()) else { return false };
        // Most readings come before that, and the preview is not free.
        let may_pass = |first| gate.was_not_decided_within(first, self.reading.at);
        if !limits.first().is_some_and(may_pass) {
            return false;
        }
        let event = Event::Waited { gate: self.gate(), limits, read: self.reading.at };
        !matches!(context.gatekeeper.preview(canary, &event, self.reading.at), Change::Unchanged)
    }

    /// The time limits of its gate. `None`: it has none.
    pub(super) fn limits<'c>(&self, context: &'c Context) -> Option<&'c TimeLimits> {
        let canary = context.store().canary(&self.canary)?;
        let gate = canary.gate_by_id(self.gate())?;
        let limits = &context.gatekeeper.route(&canary.id, &gate.name).approval.limits;
        (!limits.is_empty()).then_some(limits)
    }

    /// Whether this reading would reject the gate because nobody decided in time.
    fn times_out(&self, context: &Context, canary: &Canary, gate: &Gate) -> bool {
        let limits = &context.gatekeeper.route(&canary.id, &gate.name).approval.limits;
        limits.reject_after().is_some_and(|within| gate.was_not_decided_within(within, self.reading.at))
    }

    /// Why this reading, if it is from a combined request, is not enough.
    pub(super) fn recheck(&self, context: &Context, health: &ReadHealth) -> RecheckReason {
        let TicketReading { snapshot, statuses, author, authors, at: now, arrived, .. } = &self.reading;
        let Some(canary) = context.store().canary(&self.canary) else { return RecheckReason::None };
        let Some(gate) = canary.gate_by_id(self.gate()) else { return RecheckReason::None };
        // An index may not show yet what was decided in time.
        if context.jira.reads_an_index() && self.times_out(context, &canary, gate) {
            return RecheckReason::Opens;
        }
        let validity = context.gatekeeper.validity(&self.canary, &gate.name, Some(gate), *now);
        let after = gate.after_snapshot(snapshot, statuses, (author, authors), *now, *arrived, validity);
        let Some(Gate { state: GateState::Watched { ticket_state, .. }, planned, exceptions, .. }) = &after
        else {
            return RecheckReason::None;
        };
        let GateState::Watched { ticket_state: before, .. } = &gate.state else { return RecheckReason::None };
        let is_news = before != ticket_state || *planned != gate.planned || *exceptions != gate.exceptions;
        let reads_an_index = context.jira.reads_an_index();
        // Only a rejection counts on a ticket that was labelled `flagger-ended` and replaced.
        if gate.is_labelled()
            && canary.is_replaced(&gate.id)
            && !matches!(ticket_state, TicketState::Rejected { .. })
        {
            return RecheckReason::None;
        }
        // A combined answer may come from an index, which may still show the mark that the issue itself lacks.
        if gate.is_unmarked() && !matches!(ticket_state, TicketState::Invalid { .. }) {
            return RecheckReason::Gone;
        }
        match ticket_state {
            TicketState::Invalid { .. } if is_news => RecheckReason::Gone,
            TicketState::Invalid { .. } => RecheckReason::None,
            TicketState::Approved { .. } if reads_an_index => {
                let is_judged = gate.judged_by == Some(validity.judged_by);
                // Half of the time for which an approval is trusted.
                let lately = |at| now.abs_diff(at) < context.config().jira.trust_for / 2;
                if !is_news && is_judged && health.read_directly(self.gate()).is_some_and(lately) {
                    RecheckReason::Renews
                } else {
                    RecheckReason::Opens
                }
            }
            // A lagging index cannot be wrong about the first status of a ticket.
            TicketState::Waiting { .. } if matches!(before, TicketState::Waiting { status: None }) => {
                RecheckReason::None
            }
            TicketState::Waiting { .. }
            | TicketState::Approved { .. }
            | TicketState::Rejected { .. }
            | TicketState::NotAllowed { .. }
            | TicketState::JudgmentPending { .. } => {
                if is_news && reads_an_index {
                    RecheckReason::Index
                } else {
                    RecheckReason::None
                }
            }
        }
    }
}
