//! PURE: a gate that nobody decided in time.

use std::time::Duration;

use super::{
    state::{Gate, GateState, TimedOut},
    ticket::{Decision, TicketState},
    verdict::Validity,
};
use crate::millis::Millis;

impl Gate {
    /// Until when it is to be decided, if it is to be within this time.
    #[must_use]
    pub fn due(&self, within: Duration) -> Millis {
        self.asked_at + within
    }

    /// Whether a decision was made in time. Both times are by the bridge's clock: that of a decision is the time of Jira's
    /// answer less the decision's age by Jira's clock, so it does not matter when the bridge reads it.
    fn is_in_time(&self, decision: &Decision, within: Duration) -> bool {
        decision.since <= self.due(within)
    }

    /// Whether it was rejected because nobody decided in time. An approval that was made in time counts, however late it is
    /// read.
    #[must_use]
    pub fn timed_out(&self) -> Option<TimedOut> {
        let timed_out = self.timed_out?;
        // What was known when the time was over did not count, and does not count later by other rules.
        let is_new = |decision: &Decision| {
            timed_out.newest_move.is_none_or(|known| decision.changelog_entry.at > known)
        };
        let approved = self
            .approval()
            .is_some_and(|(_, decision)| self.is_in_time(decision, timed_out.within) && is_new(decision));
        (!approved).then_some(timed_out)
    }

    /// Whether it is rejected, by a person or because nobody decided in time.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.rejection().is_some() || self.timed_out().is_some()
    }

    /// Whether it rolls back: the rejection in force counts, or nobody decided in time.
    #[must_use]
    pub fn rolls_back(&self) -> bool {
        self.rollback().is_some() || self.timed_out().is_some()
    }

    /// Whether it is rejected because nobody decided in time, or its approval came too late. One that was used in time holds
    /// for the rollout.
    pub(super) fn is_too_late(&self, ticket_state: &TicketState, validity: Validity) -> bool {
        if self.timed_out().is_some() {
            return true;
        }
        let TicketState::Approved { decision, .. } = ticket_state else { return false };
        let is_late = |within| !self.is_in_time(decision, within);
        !self.is_approval_used() && validity.reject_after.is_some_and(is_late)
    }

    /// Whether it has been waiting for a decision for this long, as far as its ticket was read. `read` is when Jira was
    /// last asked for it. False also while there is no ticket to decide on.
    #[must_use]
    pub fn has_waited(&self, long: Duration, read: Millis) -> bool {
        let GateState::Watched { ticket_state, .. } = &self.state else { return false };
        let waits = matches!(ticket_state, TicketState::Waiting { .. } | TicketState::NotAllowed { .. });
        waits
            && !self.is_over()
            && self.was_read_after(long, read)
            && !self.is_approval_used()
            && self.timed_out.is_none()
    }

    /// The same, or an approval was made only after that time. A decision that was made in time and is not judged yet may
    /// still count.
    #[must_use]
    pub fn was_not_decided_within(&self, within: Duration, read: Millis) -> bool {
        let GateState::Watched { ticket_state, .. } = &self.state else { return false };
        let is_late = match ticket_state {
            TicketState::Approved { decision, .. } | TicketState::JudgmentPending { decision, .. } => {
                !self.is_in_time(decision, within)
            }
            TicketState::Waiting { .. }
            | TicketState::NotAllowed { .. }
            | TicketState::Rejected { .. }
            | TicketState::Invalid { .. } => false,
        };
        let is_late = is_late && !self.is_over() && !self.is_approval_used() && self.timed_out.is_none();
        self.has_waited(within, read) || is_late && self.was_read_after(within, read)
    }

    fn was_read_after(&self, long: Duration, read: Millis) -> bool {
        read > self.due(long)
    }
}
