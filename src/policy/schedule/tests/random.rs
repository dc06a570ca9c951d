//! Random windows and freezes, compared minute by minute with what is written.

use jiff::{Timestamp, civil::Weekday, tz::TimeZone};
use proptest::{collection::vec, prelude::*, sample::select};

use super::{GATE, every};
use crate::{
    millis::Millis,
    policy::{Calendars, Except, Exception, Freeze, FreezeTime, OpenHours, Period, Schedule, Window},
};

const MINUTE: i64 = 60_000;
/// Around the changes of the clocks of 2026 and 2027 in most of these zones, and others.
const STARTS: [&str; 6] = [
    "2026-10-24T12:00:00Z",
    "2027-03-27T12:00:00Z",
    "2026-10-31T12:00:00Z",
    "2027-03-13T12:00:00Z",
    "2026-10-03T06:00:00Z",
    "2026-12-06T00:00:00Z",
];
const ZONES: [&str; 7] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "UTC",
    "America/Santiago",
    "Pacific/Kiritimati",
];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Hours as plain numbers: the first and last day from Monday, and minutes of the day.
#[derive(Clone, Debug)]
struct Plain {
    first: usize,
    last: usize,
    start: u32,
    end: u32,
}

impl Plain {
    fn text(&self) -> String {
        let Self { first, last, start, end } = self;
        let time = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        format!("{}-{} {}-{}", DAYS[*first], DAYS[*last], time(*start), time(*end))
    }

    fn has_day(&self, day: usize) -> bool {
        if self.first <= self.last {
            (self.first..=self.last).contains(&day)
        } else {
            day >= self.first || day <= self.last
        }
    }

    /// Whether a clock that shows this is within what is written, whatever changed the clocks.
    fn is_written(&self, day: Weekday, minute: u32) -> bool {
        let day = usize::try_from(day.to_monday_zero_offset()).unwrap();
        if self.end > self.start {
            self.has_day(day) && (self.start..self.end).contains(&minute)
        } else {
            self.has_day(day) && minute >= self.start || self.has_day((day + 6) % 7) && minute < self.end
        }
    }
}

fn hours() -> impl Strategy<Value = Plain> {
    // Near the hours at which clocks are changed, and anywhere.
    let minute = || prop_oneof![0_u32..240, 0_u32..1_440, (0_u32..24).prop_map(|hour| hour * 60)];
    (0_usize..7, 0_usize..7, minute(), 1_u32..1_440).prop_map(|(first, last, start, length)| Plain {
        first,
        last,
        start,
        end: match start + length {
            1_440 => 1_440,
            end => end % 1_440,
        },
    })
}

fn freezes() -> impl Strategy<Value = Vec<(i64, i64)>> {
    vec((0_i64..3_000, 1_i64..700), 0..3)
}

proptest! {
    /// Never open outside of what is written, nor in a freeze; closed within what is written only for less than two hours
    /// around a change of the clocks. The next opening is the first open minute.
    #[test]
    fn a_schedule_opens_only_when_it_is_written(
        start in select(STARTS.as_slice()),
        zone in select(ZONES.as_slice()),
        written in vec(hours(), 0..3),
        frozen in freezes(),
        first in 0_i64..2_500,
        (freezes_lifted, windows_lifted) in any::<(bool, bool)>(),
    ) {
        let zone = TimeZone::get(zone).unwrap();
        let start = start.parse::<Timestamp>().unwrap().as_millisecond();
        // A label lifts every second freeze, another one every second window.
        let labels = |nth: usize, label: &str| match nth % 2 {
            0 => Except::default(),
            _ => Except(vec![Exception::Label(label.into())]),
        };
        let window = |(nth, hours): (usize, &Plain)| Window {
            gates: every(),
            open: vec![OpenHours::parse(&hours.text()).unwrap()],
            time_zone: zone.clone(),
            except: labels(nth, "late"),
        };
        let period = |(from, length): &(i64, i64)| Period {
            from: Millis(start + from * MINUTE),
            until: Millis(start + (from + length) * MINUTE),
        };
        let freeze = |(nth, dates): (usize, &(i64, i64))| Freeze {
            key: format!("freezes[{nth}]"),
            gates: every(),
            when: FreezeTime::Dates { period: period(dates), zone: TimeZone::UTC },
            reason: None,
            except: labels(nth, "emergency"),
        };
        let schedule = Schedule {
            windows: written.iter().enumerate().map(window).collect(),
            freezes: frozen.iter().enumerate().map(freeze).collect(),
        };
        let calendars = Calendars::default();
        let is_set = |except: &Except| {
            (freezes_lifted && except.is_for(&Exception::Label("emergency".into())))
                || (windows_lifted && except.is_for(&Exception::Label("late".into())))
        };
        let any_window_is_open = windows_lifted && written.len() > 1;
        let Some(schedule) = schedule.of(GATE, &calendars, None, is_set) else { return Ok(()) };
        let (mut too_long, mut opens): (i64, Option<Millis>) = (0, None);
        for minute in (first..first + 300).rev() {
            let at = Millis(start + minute * MINUTE);
            let shown = zone.to_datetime(Timestamp::from_millisecond(at.0).unwrap());
            let of_day = u32::from(shown.hour().unsigned_abs()) * 60 + u32::from(shown.minute().unsigned_abs());
            let is_written = written.is_empty()
                || any_window_is_open
                || written.iter().any(|hours| hours.is_written(shown.weekday(), of_day));
            let is_frozen = frozen.iter().enumerate().any(|(nth, (from, length))| {
                (*from..from + length).contains(&minute) && !(freezes_lifted && nth % 2 == 1)
            });
            let is_open = !schedule.is_closed(at);
            prop_assert!(!is_open || (is_written && !is_frozen), "open at {} ({shown})", at.0);
            if !is_open && is_written && !is_frozen {
                too_long += 1;
            }
            if is_open {
                opens = Some(at);
            }
            if minute % 50 == 0 {
                let closed = schedule.closed(at);
                prop_assert_eq!(closed.is_none(), is_open);
                let next = closed.and_then(|closed| closed.opens_at);
                if let (Some(next), Some(opens), false) = (next, opens, is_open) {
                    prop_assert_eq!(next, opens, "asked at {}", shown);
                }
                if let Some(next) = next {
                    prop_assert!(next > at && !schedule.is_closed(next));
                    prop_assert!(schedule.is_closed(Millis(next.0 - MINUTE)));
                }
            }
        }
        prop_assert!(too_long <= 3 * 121, "closed for {} minutes although it is written", too_long);
    }
}
