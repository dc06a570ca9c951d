//! PURE: why a gate is closed by its schedule, and when it opens, in words.

use std::time::Duration;

use jiff::{Timestamp, Zoned, tz::TimeZone};

use super::except::Except;
use crate::millis::Millis;

/// How far the next opening is searched for.
pub const SEARCHED: Duration = Duration::from_hours(400 * 24);

/// A gate may not open now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Why.
    pub because: ClosedBecause,
    /// When it may open next; none if no such moment is known.
    pub opens_at: Option<Millis>,
    /// Its windows in words, with their time zone; none if it has no window.
    pub windows: Option<String>,
    /// Where times are shown.
    pub zone: TimeZone,
    /// What of the ticket would lift that; empty if nothing would.
    pub except: Except,
}

/// Why a gate may not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClosedBecause {
    /// None of its windows is open.
    Window,
    /// A freeze holds.
    Freeze {
        /// Why, for people.
        reason: Option<String>,
    },
    /// It is outside of the time that the ticket plans.
    Planned {
        /// Whether that time is over.
        is_over: bool,
    },
    /// It is not known when the ticket plans its change.
    Unplanned {
        /// Why not.
        why: String,
    },
    /// It is not known whether a freeze holds.
    Unread {
        /// The freeze, by its key in the configuration.
        key: String,
        /// Why not.
        why: String,
    },
}

/// Whether words are read at once or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenRead {
    /// At this moment: they may say "today".
    At(Millis),
    /// At any time.
    Later,
}

impl Closed {
    /// Why, as a part of a sentence.
    #[must_use]
    pub fn why(&self) -> String {
        match &self.because {
            ClosedBecause::Window => "outside of its window".to_owned(),
            ClosedBecause::Freeze { reason: Some(reason) } => format!("in the freeze \"{reason}\""),
            ClosedBecause::Freeze { reason: None } => "in a freeze".to_owned(),
            ClosedBecause::Planned { is_over: false } => {
                "the time that this ticket plans has not come".to_owned()
            }
            ClosedBecause::Planned { is_over: true } => "the time that this ticket plans is over".to_owned(),
            ClosedBecause::Unplanned { why } => {
                format!("it is not known when this ticket plans its change: {why}")
            }
            ClosedBecause::Unread { key, why } => {
                format!(
                    "it is not known whether a freeze holds, because {key}.calendar_file cannot be used: {why}"
                )
            }
        }
    }

    /// When it opens next, as a part of a sentence, such as "opens Mon-Thu 09:00-16:00 Europe/Berlin, next today at 14:00".
    #[must_use]
    pub fn opens(&self, read: WhenRead) -> String {
        let when = match self.opens_at {
            Some(at) => self.moment(at, read),
            None => match self.because {
                ClosedBecause::Unread { .. } => return "opens once the calendar can be read".to_owned(),
                ClosedBecause::Planned { is_over: true } => {
                    return "opens once it plans a later time".to_owned();
                }
                ClosedBecause::Unplanned { .. } => return "opens once its fields say that".to_owned(),
                ClosedBecause::Window
                | ClosedBecause::Freeze { .. }
                | ClosedBecause::Planned { is_over: false } => {
                    return format!(
                        "no opening was found within the next {} days",
                        SEARCHED.as_secs() / 86_400
                    );
                }
            },
        };
        match &self.windows {
            // The time zone of the only window was named just before.
            Some(windows) if windows.ends_with(&zone_name(&self.zone)) => {
                format!("opens {windows}, next {when}")
            }
            Some(windows) => format!("opens {windows}, next {when} {}", zone_name(&self.zone)),
            None => format!("opens {when} {}", zone_name(&self.zone)),
        }
    }

    /// Both, and what else would open it.
    #[must_use]
    pub fn words(&self, read: WhenRead) -> String {
        format!("{}; {}{}", self.why(), self.opens(read), self.or_except())
    }

    /// What else opens it, as the rest of a sentence; empty if nothing does.
    #[must_use]
    pub fn or_except(&self) -> String {
        if self.except.is_empty() {
            return String::new();
        }
        format!(", or once somebody who may approve gives the ticket {}", self.except)
    }

    /// `today at 14:00`, `tomorrow at 09:00`, `on Mon 2027-01-04 at 06:00`.
    fn moment(&self, at: Millis, read: WhenRead) -> String {
        let Some(at) = zoned(at, &self.zone) else { return "at some time".to_owned() };
        let time = if at.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
        let time = at.strftime(time);
        let today = match read {
            WhenRead::At(now) => zoned(now, &self.zone).map(|now| now.date()),
            WhenRead::Later => None,
        };
        match today {
            Some(today) if today == at.date() => format!("today at {time}"),
            Some(today) if today.tomorrow().is_ok_and(|tomorrow| tomorrow == at.date()) => {
                format!("tomorrow at {time}")
            }
            Some(_) | None => format!("on {} at {time}", at.strftime("%a %Y-%m-%d")),
        }
    }
}

fn zoned(at: Millis, zone: &TimeZone) -> Option<Zoned> {
    Timestamp::from_millisecond(at.0).ok().map(|at| at.to_zoned(zone.clone()))
}

/// `Europe/Berlin`, `UTC` or `+01:00`.
pub(super) fn zone_name(zone: &TimeZone) -> String {
    match zone.iana_name() {
        Some(name) => name.to_owned(),
        None => zone.to_fixed_offset().map_or_else(
            |_| "UTC".to_owned(),
            |offset| {
                let (sign, minutes) =
                    (if offset.seconds() < 0 { '-' } else { '+' }, offset.seconds().abs() / 60);
                format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            },
        ),
    }
}
