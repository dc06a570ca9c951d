//! PURE: what was read of calendars.

use std::{collections::BTreeMap, sync::Arc};

use super::period::Period;
use crate::millis::Millis;

/// An event of a calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarEvent {
    /// When it is.
    pub period: Period,
    /// Its title: external text, on one line.
    pub summary: Option<String>,
}

/// The events of a calendar in some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// All events in this time are known.
    pub known: Period,
    /// In the order of time; no two overlap.
    events: Vec<CalendarEvent>,
}

/// The calendars of freezes, by the key of the freeze. One that cannot be used has the reason instead.
#[derive(Clone, Debug, Default)]
pub struct Calendars(pub BTreeMap<String, Result<Arc<Calendar>, String>>);

impl Calendar {
    /// A calendar with these events, in any order. Of events that overlap, the later one begins where the earlier one
    /// ends.
    #[must_use]
    pub fn new(known: Period, mut events: Vec<CalendarEvent>) -> Self {
        events.sort_by_key(|event| (event.period.from, event.period.until));
        let mut kept: Vec<CalendarEvent> = Vec::with_capacity(events.len());
        for mut event in events {
            if let Some(last) = kept.last() {
                event.period.from = event.period.from.max(last.period.until);
            }
            if event.period.from < event.period.until {
                kept.push(event);
            }
        }
        Self { known, events: kept }
    }

    /// The events in the order of time.
    #[must_use]
    pub fn events(&self) -> &[CalendarEvent] {
        &self.events
    }

    /// The event at this moment.
    pub(super) fn event_at(&self, at: Millis) -> Option<&CalendarEvent> {
        let after = self.events.partition_point(|event| event.period.from <= at);
        self.events.get(after.checked_sub(1)?).filter(|event| event.period.contains(at))
    }
}

impl Calendars {
    /// What was read for this freeze.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) fn get(&self, freeze: &str) -> Result<&Calendar, &str> {
        match self.0.get(freeze) {
            Some(Ok(calendar)) => Ok(calendar),
            Some(Err(why)) => Err(why),
            None => Err("it was not read"),
        }
    }
}
