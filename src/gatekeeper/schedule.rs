//! Whether the windows and freezes of a gate let it open now.

use super::handle::Gatekeeper;
use crate::{
    gate::{GateName, Hours},
    millis::Millis,
    policy::{Closed, GateAddress, GateSchedule, WhenRead},
    rollout::CanaryId,
    ticket::TicketHours,
};

impl Gatekeeper {
    /// Whether the windows and freezes of a gate let it open at `now`.
    pub(super) fn hours(&self, canary: &CanaryId, gate: &GateName, now: Millis) -> Hours {
        match self.scheduled(canary, gate, now, |schedule| schedule.is_closed(now)) {
            Some(true) => Hours::Closed,
            Some(false) | None => Hours::Open,
        }
    }

    /// Why the windows and freezes of a gate do not let it open at `now`, if they do not.
    pub(super) fn closed(&self, canary: &CanaryId, gate: &GateName, now: Millis) -> Option<Closed> {
        self.scheduled(canary, gate, now, |schedule| schedule.closed(now)).flatten()
    }

    /// What a new ticket of a gate says of its windows and freezes, if it has some.
    #[must_use]
    pub fn ticket_hours(&self, canary: &CanaryId, gate: &GateName, now: Millis) -> Option<TicketHours> {
        self.scheduled(canary, gate, now, |schedule| TicketHours {
            windows: schedule.window_words(),
            has_freezes: schedule.has_freezes(),
            closed: schedule.closed(now).map(|closed| (closed.why(), closed.opens(WhenRead::Later))),
        })
    }

    /// How many calendars of freezes cannot be used.
    #[must_use]
    pub fn unusable_calendars(&self, now: Millis) -> u64 {
        self.calendars.unusable(now)
    }

    fn scheduled<T>(
        &self,
        CanaryId { cluster, namespace, name }: &CanaryId,
        gate: &GateName,
        now: Millis,
        read: impl FnOnce(&GateSchedule<'_>) -> T,
    ) -> Option<T> {
        let schedule = &self.config.policy.schedule;
        if schedule.is_empty() {
            return None;
        }
        let address = GateAddress {
            cluster,
            namespace,
            canary: name,
            stage: gate.stage.as_str(),
            gate: gate.approver.as_deref().unwrap_or_default(),
        };
        let calendars = self.calendars.current(now);
        schedule.of(address, &calendars).map(|schedule| read(&schedule))
    }
}
