//! Whether the windows and freezes of a gate let it open now.

use std::collections::BTreeMap;

use super::handle::Gatekeeper;
use crate::{
    gate::{Gate, GateName, GateState, Hours, Lifted},
    millis::{Millis, clock_time},
    policy::{Closed, Except, GateAddress, GateSchedule, Planned, PlannedFields, WhenRead},
    rollout::{CanaryId, HoursNow},
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

    /// Whether the windows and freezes of a gate let it open at `now`, and why.
    pub(super) fn hours_now(&self, canary: &CanaryId, gate: &Gate, now: Millis) -> HoursNow {
        match self.closed(canary, &gate.name, Some(gate), now) {
            Some(closed) => HoursNow::Closed { why: closed.words(WhenRead::Later) },
            None => match self.lifted(canary, &gate.name, Some(gate), now) {
                Some(lifted) => HoursNow::Lifted(lifted),
                None => HoursNow::Open,
            },
        }
    }

    /// What of the ticket of a gate lifts the freezes and windows that would keep it closed at `now`, if something does.
    pub(super) fn lifted(
        &self,
        canary: &CanaryId,
        gate: &GateName,
        known: Option<&Gate>,
        now: Millis,
    ) -> Option<Lifted> {
        let known = known.filter(|known| !known.exceptions.is_empty());
        if self.hours(canary, gate, Some(known?), now) == Hours::Closed {
            return None;
        }
        let closed = |schedule: &GateSchedule<'_>| schedule.closed(now);
        let place = (canary, gate, known);
        let closed = self.scheduled_unless(place, now, |_| false, closed).flatten()?;
        let accepted = known?.exceptions.iter().filter(|it| closed.except.is_for(&it.exception));
        let (exception, entry) =
            accepted.filter_map(|it| Some((it.exception.clone(), it.accepted()?.clone()))).next()?;
        Some(Lifted { why: closed.why(), exception, entry })
    }

    /// What a new ticket of a gate says of its windows and freezes, if it has some.
    #[must_use]
    pub fn ticket_hours(&self, canary: &CanaryId, gate: &GateName, now: Millis) -> Option<TicketHours> {
        let planned = &self.route(canary, gate).approval.planned;
        self.scheduled((canary, gate, None), now, |schedule| TicketHours {
            windows: schedule.window_words(),
            has_freezes: schedule.has_freezes(),
            except: schedule.exceptions(),
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

    /// When the ticket of a gate was last seen, if that is too long ago to prove anything. At a gate that asks nobody its
    /// planned time, and what lifts a freeze, is all that its ticket has to prove; at others this makes the verdict stale.
    fn old_reading(&self, gate: &Gate, now: Millis) -> Option<Millis> {
        let GateState::Watched { seen, .. } = &gate.state else { return None };
        Some(*seen).filter(|seen| now.abs_diff(*seen) > self.config.jira.trust_for)
    }

    fn scheduled<T>(
        &self,
        (canary, gate, known): (&CanaryId, &GateName, Option<&Gate>),
        now: Millis,
        read: impl FnOnce(&GateSchedule<'_>) -> T,
    ) -> Option<T> {
        let is_lifted = |except: &Except| known.is_some_and(|known| self.lifts(canary, known, except, now));
        self.scheduled_unless((canary, gate, known), now, is_lifted, read)
    }

    /// Whether the ticket of a gate has one of these, set by somebody who may approve by today's settings, as Jira showed
    /// lately.
    fn lifts(&self, canary: &CanaryId, gate: &Gate, except: &Except, now: Millis) -> bool {
        let is_set = gate.exceptions.iter().any(|it| it.accepted().is_some() && except.is_for(&it.exception));
        is_set
            && gate.judged_by == Some(self.route(canary, &gate.name).fingerprint)
            && self.old_reading(gate, now).is_none()
    }

    fn scheduled_unless<T>(
        &self,
        (canary, gate, known): (&CanaryId, &GateName, Option<&Gate>),
        now: Millis,
        is_lifted: impl Fn(&Except) -> bool,
        read: impl FnOnce(&GateSchedule<'_>) -> T,
    ) -> Option<T> {
        let schedule = &self.config.policy.schedule;
        let approval = &self.route(canary, gate).approval;
        if schedule.is_empty() && approval.planned.is_none() {
            return None;
        }
        let planned = approval.planned.as_ref().map(|PlannedFields { start, end }| {
            match known.filter(|_| !approval.mode.is_required()).and_then(|gate| self.old_reading(gate, now))
            {
                Some(seen) => Planned::Unknown {
                    why: format!(
                        "the bridge last read its fields at {}, which is too long ago",
                        clock_time(seen)
                    ),
                },
                None => Planned::read(start, end, known.map_or(&BTreeMap::new(), |gate| &gate.planned)),
            }
        });
        let calendars = self.calendars.current(now);
        schedule.of(address(canary, gate), &calendars, planned, is_lifted).map(|schedule| read(&schedule))
    }
}

/// The names of a gate, by which settings are chosen.
pub(super) fn address<'a>(canary: &'a CanaryId, gate: &'a GateName) -> GateAddress<'a> {
    let CanaryId { cluster, namespace, name } = canary;
    GateAddress {
        cluster,
        namespace,
        canary: name,
        stage: gate.stage.as_str(),
        gate: gate.approver.as_deref().unwrap_or_default(),
    }
}
