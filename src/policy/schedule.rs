//! PURE: when gates may open: `[[windows]]` and `[[freezes]]`.

mod calendar;
mod closed;
mod except;
mod hours;
mod period;
mod planned;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use jiff::tz::TimeZone;

pub use self::{
    calendar::{Calendar, CalendarEvent, Calendars},
    closed::{Closed, ClosedBecause, SEARCHED, WhenRead},
    except::{Except, Exception},
    hours::OpenHours,
    period::Period,
    planned::Planned,
};
use super::matching::{GateAddress, Match};
use crate::millis::Millis;

/// How many times a search goes on to the end of a freeze or the start of a window.
const MOST_STEPS: usize = 2_000;

/// When gates may open.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    /// A gate that some of them match opens only within one of those.
    pub windows: Vec<Window>,
    /// A gate that one of them matches does not open while it holds, whatever its windows are.
    pub freezes: Vec<Freeze>,
}

/// `[[windows]]`: gates of these open only within.
#[derive(Clone, Debug)]
pub struct Window {
    /// Which gates.
    pub gates: Match,
    /// When they open.
    pub open: Vec<OpenHours>,
    /// Where that is the time.
    pub time_zone: TimeZone,
    /// What of a ticket lifts it; empty if nothing does.
    pub except: Except,
}

/// `[[freezes]]`: gates of these stay closed.
#[derive(Clone, Debug)]
pub struct Freeze {
    /// Its key in the configuration, for messages: `freezes[2]`, counted from 0.
    pub key: String,
    /// Which gates.
    pub gates: Match,
    /// When they stay closed.
    pub when: FreezeTime,
    /// Why, for people.
    pub reason: Option<String>,
    /// What of a ticket lifts it; empty if nothing does.
    pub except: Except,
}

/// When a freeze holds.
#[derive(Clone, Debug)]
pub enum FreezeTime {
    /// `from` and `until`.
    Dates {
        /// The period.
        period: Period,
        /// The offset of `until`, in which its end is shown.
        zone: TimeZone,
    },
    /// During the events of an iCalendar file.
    Calendar {
        /// The file.
        file: PathBuf,
        /// Where times in it are that name no zone.
        zone: Option<TimeZone>,
    },
}

/// What of the schedule is for one gate.
#[derive(Clone, Debug)]
pub struct GateSchedule<'a> {
    windows: Vec<&'a Window>,
    freezes: Vec<&'a Freeze>,
    calendars: &'a Calendars,
    planned: Option<Planned>,
}

/// Why a freeze holds at some moment.
struct Holds<'a> {
    because: ClosedBecause,
    /// The first moment at which this reason is over; none if that is not known.
    until: Option<Millis>,
    freeze: &'a Freeze,
}

impl Schedule {
    /// Whether no gate has a window or a freeze.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty() && self.freezes.is_empty()
    }

    /// Which gates the windows and freezes are for, each with its key in the configuration.
    pub fn matches(&self) -> impl Iterator<Item = (String, &Match)> {
        let windows = self.windows.iter().enumerate();
        let windows = windows.map(|(nth, window)| (format!("windows[{nth}]"), &window.gates));
        windows.chain(self.freezes.iter().map(|freeze| (freeze.key.clone(), &freeze.gates)))
    }

    /// All that may lift a freeze or a window.
    pub fn exceptions(&self) -> impl Iterator<Item = &Exception> {
        let of_freezes = self.freezes.iter().map(|freeze| &freeze.except);
        let of_windows = self.windows.iter().map(|window| &window.except);
        of_freezes.chain(of_windows).flat_map(|except| &except.0)
    }

    /// What of it is for this gate, and the time that its ticket plans, if that counts; none if nothing is, so that the
    /// gate may open at any time. `is_lifted` says whether the gate's ticket has one of these exceptions, and it counts: such
    /// a freeze does not hold, and such a window is open.
    #[must_use]
    pub fn of<'a>(
        &'a self,
        gate: GateAddress<'_>,
        calendars: &'a Calendars,
        planned: Option<Planned>,
        is_lifted: impl Fn(&Except) -> bool,
    ) -> Option<GateSchedule<'a>> {
        let mut windows: Vec<&Window> =
            self.windows.iter().filter(|window| window.gates.is_match(gate)).collect();
        if windows.iter().any(|window| is_lifted(&window.except)) {
            windows.clear();
        }
        let freezes = self.freezes.iter().filter(|freeze| freeze.gates.is_match(gate));
        let freezes: Vec<&Freeze> = freezes.filter(|freeze| !is_lifted(&freeze.except)).collect();
        let is_free = windows.is_empty() && freezes.is_empty() && planned.is_none();
        (!is_free).then_some(GateSchedule { windows, freezes, calendars, planned })
    }
}

impl<'a> GateSchedule<'a> {
    /// What is for a gate.
    #[must_use]
    pub const fn new(windows: Vec<&'a Window>, freezes: Vec<&'a Freeze>, calendars: &'a Calendars) -> Self {
        Self { windows, freezes, calendars, planned: None }
    }

    /// Whether the gate may not open at `now`.
    #[must_use]
    pub fn is_closed(&self, now: Millis) -> bool {
        self.freeze_at(now).is_some() || !self.is_planned(now) || !self.is_in_window(now)
    }

    /// Why the gate may not open at `now`, and when it may next; `None` if it may.
    #[must_use]
    pub fn closed(&self, now: Millis) -> Option<Closed> {
        let (because, freeze) = match (self.freeze_at(now), &self.planned) {
            (Some(Holds { because, freeze, .. }), _) => (because, Some(freeze)),
            (None, Some(Planned::Unknown { why })) => (ClosedBecause::Unplanned { why: why.clone() }, None),
            (None, Some(Planned::Within { period, .. })) if !period.contains(now) => {
                let is_over = period.until <= now;
                (ClosedBecause::Planned { is_over }, None)
            }
            (None, Some(Planned::Within { .. }) | None) if self.is_in_window(now) => return None,
            (None, Some(Planned::Within { .. }) | None) => (ClosedBecause::Window, None),
        };
        let of_freeze = |freeze: &'a Freeze| match &freeze.when {
            FreezeTime::Dates { zone, .. } => Some(zone),
            FreezeTime::Calendar { zone, .. } => zone.as_ref(),
        };
        let of_ticket = match &self.planned {
            Some(Planned::Within { zone, .. }) => Some(zone),
            Some(Planned::Unknown { .. }) | None => None,
        };
        let of_window = self.windows.first().map(|window| &window.time_zone);
        let zone = of_window.or(of_ticket).or_else(|| freeze.and_then(of_freeze));
        let except = match (&because, freeze) {
            (ClosedBecause::Freeze { .. } | ClosedBecause::Unread { .. }, Some(freeze)) => {
                freeze.except.clone()
            }
            (ClosedBecause::Window, _) => self.window_exceptions(),
            (
                ClosedBecause::Freeze { .. }
                | ClosedBecause::Unread { .. }
                | ClosedBecause::Planned { .. }
                | ClosedBecause::Unplanned { .. },
                _,
            ) => Except::default(),
        };
        Some(Closed {
            because,
            except,
            opens_at: self.next_opening(now),
            windows: self.window_words(),
            zone: zone.cloned().unwrap_or(TimeZone::UTC),
        })
    }

    /// The windows, in words, such as "Mon-Thu 09:00-16:00 Europe/Berlin"; none if there is none.
    #[must_use]
    pub fn window_words(&self) -> Option<String> {
        let words = self.windows.iter().map(|window| {
            let hours: Vec<String> = window.open.iter().map(OpenHours::to_string).collect();
            format!("{} {}", hours.join(", "), closed::zone_name(&window.time_zone))
        });
        let words: Vec<String> = words.collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// All that may lift its freezes and windows.
    #[must_use]
    pub fn exceptions(&self) -> Except {
        let mut all = self.window_exceptions();
        for exception in self.freezes.iter().flat_map(|freeze| &freeze.except.0) {
            if !all.is_for(exception) {
                all.0.push(exception.clone());
            }
        }
        all
    }

    fn window_exceptions(&self) -> Except {
        Except(self.windows.iter().flat_map(|window| window.except.0.iter().cloned()).collect())
    }

    /// Whether a freeze may keep the gate closed.
    #[must_use]
    pub fn has_freezes(&self) -> bool {
        !self.freezes.is_empty()
    }

    /// Whether the ticket plans its change for this moment, or plans nothing.
    fn is_planned(&self, at: Millis) -> bool {
        match &self.planned {
            None => true,
            Some(Planned::Within { period, .. }) => period.contains(at),
            Some(Planned::Unknown { .. }) => false,
        }
    }

    /// The same without what the ticket plans.
    #[must_use]
    pub fn without_plan(&self) -> Self {
        Self { planned: None, ..self.clone() }
    }

    fn is_in_window(&self, at: Millis) -> bool {
        self.windows.is_empty()
            || self
                .windows
                .iter()
                .any(|Window { open, time_zone, .. }| open.iter().any(|hours| hours.hold_at(at, time_zone)))
    }

    /// The freeze that holds at this moment; of several, the one that ends last.
    fn freeze_at(&self, at: Millis) -> Option<Holds<'a>> {
        let holding = self.freezes.iter().copied().filter_map(|freeze| {
            let (because, until) = match &freeze.when {
                FreezeTime::Dates { period, .. } => {
                    let because = ClosedBecause::Freeze { reason: freeze.reason.clone() };
                    period.contains(at).then_some((because, Some(period.until)))?
                }
                FreezeTime::Calendar { .. } => match self.calendars.get(&freeze.key) {
                    Ok(calendar) if at < calendar.known.from || at >= calendar.known.until => {
                        let why = "the bridge does not know the events of that time yet".to_owned();
                        (ClosedBecause::Unread { key: freeze.key.clone(), why }, None)
                    }
                    Ok(calendar) => {
                        let event = calendar.event_at(at)?;
                        let reason = freeze.reason.clone().or_else(|| event.summary.clone());
                        (ClosedBecause::Freeze { reason }, Some(event.period.until))
                    }
                    Err(why) => {
                        let why = why.to_owned();
                        (ClosedBecause::Unread { key: freeze.key.clone(), why }, None)
                    }
                },
            };
            Some(Holds { because, until, freeze })
        });
        // What is not known may last longest.
        holding.max_by_key(|holds| holds.until.unwrap_or(Millis(i64::MAX)))
    }

    /// The first moment at which a window is open and no freeze holds.
    fn next_opening(&self, now: Millis) -> Option<Millis> {
        let mut at = now;
        for _ in 0..MOST_STEPS {
            if at.since(now) > SEARCHED {
                return None;
            }
            at = if let Some(holds) = self.freeze_at(at) {
                holds.until.filter(|until| *until > at)?
            } else if !self.is_planned(at) {
                match &self.planned {
                    Some(Planned::Within { period, .. }) if at < period.from => period.from,
                    Some(Planned::Within { .. } | Planned::Unknown { .. }) | None => return None,
                }
            } else if self.is_in_window(at) {
                return Some(at);
            } else {
                let starts = self.windows.iter().flat_map(|Window { open, time_zone, .. }| {
                    open.iter().filter_map(move |hours| hours.opens_after(at, time_zone))
                });
                starts.min()?
            };
        }
        None
    }
}
