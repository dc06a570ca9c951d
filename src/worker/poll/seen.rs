//! An interpreted reading of a ticket. Where two answers of Jira may disagree, the bridge asks for the more direct
//! one.

use crate::{
    gate::{Gate, GateId, GateState, TicketState},
    gatekeeper::TicketReading,
    policy::Author,
    rollout::{CanaryId, Change},
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

    /// Whether it is known if the deciding move counts. True if no move decided.
    pub(super) const fn is_judged(&self) -> bool {
        match self.reading.author {
            Author::Accepted | Author::NotAccepted { .. } | Author::NoDecision => true,
            Author::Unknown { .. } => false,
        }
    }

    pub(super) fn is_news(&self, context: &Context) -> bool {
        let Some(canary) = context.store().canary(&self.canary) else { return false };
        !matches!(
            context.gatekeeper.preview(&canary, &self.reading.event(), self.reading.at),
            Change::Unchanged
        )
    }

    /// Why this reading, if it is from a combined request, is not enough.
    pub(super) fn recheck(&self, context: &Context, health: &ReadHealth) -> RecheckReason {
        let TicketReading { snapshot, statuses, author, at: now, arrived, .. } = &self.reading;
        let Some(canary) = context.store().canary(&self.canary) else { return RecheckReason::None };
        let Some(gate) = canary.gate_by_id(self.gate()) else { return RecheckReason::None };
        let validity = context.gatekeeper.validity(&self.canary, &gate.name, Some(gate), *now);
        let after = gate.after_snapshot(snapshot, statuses, author, *now, *arrived, validity);
        let Some(Gate { state: GateState::Watched { ticket_state, .. }, planned, .. }) = &after else {
            return RecheckReason::None;
        };
        let GateState::Watched { ticket_state: before, .. } = &gate.state else { return RecheckReason::None };
        let is_news = before != ticket_state || *planned != gate.planned;
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
