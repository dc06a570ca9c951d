//! Whether the windows and freezes of a gate let it open now.

use std::collections::BTreeMap;

use super::handle::Gatekeeper;
use crate::{
    gate::{Gate, GateName, Hours},
    millis::Millis,
    policy::{Closed, GateAddress, GateSchedule, Planned, PlannedFields, WhenRead},
    rollout::CanaryId,
    ticket::TicketHours,
};

impl Gatekeeper {
    /// Whether the windows and freezes of a gate let it open at `now`. `known` is the gate, if it was asked about before:
    /// its ticket may say when it opens.
    pub(super) fn hours(
        &self,
        canary: &CanaryId,
        gate: &GateName,
        known: Option<&Gate>,
        now: Millis,
    ) -> Hours {
        match self.scheduled((canary, gate, known), now, |schedule| schedule.is_closed(now)) {
            Some(true) => Hours::Closed,
            Some(false) | None => Hours::Open,
        }
    }

    /// Why the windows and freezes of a gate do not let it open at `now`, if they do not.
    pub(super) fn closed(
        &self,
        canary: &CanaryId,
        gate: &GateName,
        known: Option<&Gate>,
        now: Millis,
    ) -> Option<Closed> {
        self.scheduled((canary, gate, known), now, |schedule| schedule.closed(now)).flatten()
    }

    /// What a new ticket of a gate says of its windows and freezes, if it has some.
    #[must_use]
    pub fn ticket_hours(&self, canary: &CanaryId, gate: &GateName, now: Millis) -> Option<TicketHours> {
        let planned = &self.route(canary, gate).approval.planned;
        self.scheduled((canary, gate, None), now, |schedule| TicketHours {
            windows: schedule.window_words(),
            has_freezes: schedule.has_freezes(),
            planned: planned.as_ref().map(|PlannedFields { start, end }| (start.clone(), end.clone())),
            closed: schedule
                .without_plan()
                .closed(now)
                .map(|closed| (closed.why(), closed.opens(WhenRead::Later))),
        })
    }

    /// How many calendars of freezes cannot be used.
    #[must_use]
    pub fn unusable_calendars(&self, now: Millis) -> u64 {
        self.calendars.unusable(now)
    }

    fn scheduled<T>(
        &self,
        (canary, gate, known): (&CanaryId, &GateName, Option<&Gate>),
        now: Millis,
        read: impl FnOnce(&GateSchedule<'_>) -> T,
    ) -> Option<T> {
        let schedule = &self.config.policy.schedule;
        let planned = &self.route(canary, gate).approval.planned;
        if schedule.is_empty() && planned.is_none() {
            return None;
        }
        let planned = planned.as_ref().map(|PlannedFields { start, end }| {
            let nothing = BTreeMap::new();
            Planned::read(start, end, known.map_or(&nothing, |gate| &gate.planned))
        });
        let CanaryId { cluster, namespace, name } = canary;
        let address = GateAddress {
            cluster,
            namespace,
            canary: name,
            stage: gate.stage.as_str(),
            gate: gate.approver.as_deref().unwrap_or_default(),
        };
        let calendars = self.calendars.current(now);
        schedule.of(address, &calendars, planned).map(|schedule| read(&schedule))
    }
}
