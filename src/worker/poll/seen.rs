//! What was seen of a ticket. Where two of Jira's answers may disagree, the more direct one is asked for.

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

/// Why what was read of many tickets is not enough to say so of one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RecheckReason {
    /// It is.
    None,
    /// It would give up the gate, or take back an issue that was not the gate's.
    Gone,
    /// It is news, and only an index says so.
    Index,
    /// It would open the gate, or keep it open for long, and only an index says so: that alone opens nothing.
    Opens,
    /// It shows again what was approved, and only an index says so. The issue itself said so lately, so it need not be asked; but
    /// for how long that is trusted counts from then.
    Renews,
}

impl SeenTicket {
    pub(super) const fn gate(&self) -> &GateId {
        &self.reading.gate
    }

    pub(super) fn is_of(&self, due: &DueTicket) -> bool {
        self.reading.gate == due.gate
    }

    /// Whether it could be told who decided, if a person did, and whether that counts.
    pub(super) const fn is_judged(&self) -> bool {
        match self.reading.author {
            Author::Accepted | Author::NotAccepted { .. } | Author::NotJudged => true,
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

    /// Why what many tickets' request showed of this one is not enough.
    pub(super) fn recheck(&self, context: &Context, health: &ReadHealth) -> RecheckReason {
        let TicketReading { snapshot, statuses, author, at: now, arrived, .. } = &self.reading;
        let Some(canary) = context.store().canary(&self.canary) else { return RecheckReason::None };
        let Some(gate) = canary.gate_by_id(self.gate()) else { return RecheckReason::None };
        let trust = context.gatekeeper.trust(&self.canary, &gate.name);
        let after = gate.see(snapshot, statuses, author, *now, *arrived, trust);
        let Some(Gate { state: GateState::Watched { ticket_state, .. }, .. }) = &after else {
            return RecheckReason::None;
        };
        let GateState::Watched { ticket_state: before, .. } = &gate.state else { return RecheckReason::None };
        let reads_an_index = context.jira.reads_an_index();
        match ticket_state {
            // Nothing but a no counts of a ticket that was labelled as dead, and that was replaced.
            TicketState::Waiting { .. }
            | TicketState::Approved { .. }
            | TicketState::NotAllowed { .. }
            | TicketState::NotJudged { .. }
            | TicketState::Invalid { .. }
                if gate.is_labelled() && canary.is_replaced(&gate.id) =>
            {
                RecheckReason::None
            }
            // Where many are read, an index may not know what the issue itself lacks.
            TicketState::Waiting { .. }
            | TicketState::Approved { .. }
            | TicketState::Rejected { .. }
            | TicketState::NotAllowed { .. }
            | TicketState::NotJudged { .. }
                if gate.is_unmarked() =>
            {
                RecheckReason::Gone
            }
            TicketState::Invalid { .. } if before != ticket_state => RecheckReason::Gone,
            TicketState::Approved { .. } if reads_an_index => {
                let is_judged = gate.judged_by == Some(trust.judged_by);
                // Half of the time for which an approval is trusted.
                let lately = |at| now.apart(at) < context.config().jira.trust_for / 2;
                if before == ticket_state
                    && is_judged
                    && health.read_directly(self.gate()).is_some_and(lately)
                {
                    RecheckReason::Renews
                } else {
                    RecheckReason::Opens
                }
            }
            // Where it stands first is no news that a lagging index could get wrong.
            TicketState::Waiting { .. } if matches!(before, TicketState::Waiting { status: None }) => {
                RecheckReason::None
            }
            TicketState::Waiting { .. }
            | TicketState::Approved { .. }
            | TicketState::Rejected { .. }
            | TicketState::NotAllowed { .. }
            | TicketState::NotJudged { .. }
                if before != ticket_state && reads_an_index =>
            {
                RecheckReason::Index
            }
            TicketState::Waiting { .. }
            | TicketState::Approved { .. }
            | TicketState::Rejected { .. }
            | TicketState::NotAllowed { .. }
            | TicketState::NotJudged { .. }
            | TicketState::Invalid { .. } => RecheckReason::None,
        }
    }
}
