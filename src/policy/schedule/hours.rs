//! PURE: hours of the week, such as "Mon-Thu 09:00-16:00".

use std::fmt;

use jiff::{
    Span, Timestamp,
    civil::{Date, DateTime, Weekday},
    tz::TimeZone,
};

use super::period::{Period, to_millis};
use crate::millis::Millis;

/// What every error about hours shows.
const EXAMPLE: &str = "write days and times, for example \"Mon-Thu 09:00-16:00\", or \"Fri,Sun 22:00-02:00\" for hours that end on the \
                       next day";
/// The days as they are written, in the order in which they are counted.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MINUTES_OF_A_DAY: u16 = 24 * 60;
/// How many days are searched for the next start: hours on one day of the week, which a change of the clocks takes away
/// twice.
const SEARCHED_DAYS: i32 = 22;

/// Hours on some days of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenHours {
    /// As written in the configuration.
    text: String,
    /// Whether they begin on this day; Monday first.
    days: [bool; 7],
    /// When they begin, in minutes of the day.
    start: u16,
    /// When they end, in minutes after the beginning of the day on which they begin: more than `start`, and more than a
    /// day if that is on the next one.
    end: u16,
}

impl fmt::Display for OpenHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl OpenHours {
    /// Reads hours.
    ///
    /// # Errors
    /// What is wrong with them, and how they are written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [days @ .., hours] = words.as_slice() else { return Err(format!("is empty; {EXAMPLE}")) };
        if days.is_empty() {
            return Err(format!("has no days or no times; {EXAMPLE}"));
        }
        let days = days_of(&days.concat())?;
        let (from, until) =
            hours.split_once('-').ok_or_else(|| format!("{hours:?} is no pair of times; {EXAMPLE}"))?;
        let (start, end) = (minutes(from)?, minutes(until)?);
        if start == MINUTES_OF_A_DAY {
            return Err(format!("cannot begin at 24:00; begin on the next day at 00:00; {EXAMPLE}"));
        }
        let end = match end {
            _ if start == end => {
                return Err("begins and ends at the same time; write 00:00-24:00 for whole days".to_owned());
            }
            end if end < start => end + MINUTES_OF_A_DAY,
            end => end,
        };
        Ok(Self { text: words.join(" "), days, start, end })
    }

    /// Whether they hold at `now`.
    #[must_use]
    pub fn hold_at(&self, now: Millis, zone: &TimeZone) -> bool {
        // Two days before: also where the clocks were set forward by a day.
        self.spans_around(now, zone, -2..=1).any(|span| span.contains(now))
    }

    /// When they begin next after `now`.
    #[must_use]
    pub fn opens_after(&self, now: Millis, zone: &TimeZone) -> Option<Millis> {
        let starts = self.spans_around(now, zone, -2..=SEARCHED_DAYS).map(|span| span.from);
        starts.filter(|start| *start > now).min()
    }

    /// The spans that begin some days before or after `now`.
    fn spans_around(
        &self,
        now: Millis,
        zone: &TimeZone,
        days: std::ops::RangeInclusive<i32>,
    ) -> impl Iterator<Item = Period> {
        let today = Timestamp::from_millisecond(now.0).ok().map(|now| zone.to_datetime(now).date());
        days.filter_map(move |day| {
            self.span_on(today?.checked_add(Span::new().try_days(day).ok()?).ok()?, zone)
        })
    }

    /// The span that begins on this day. A time that the clocks skip or show twice is the later moment as a start, and the
    /// earlier one as an end, so that they never hold outside of what is written.
    fn span_on(&self, day: Date, zone: &TimeZone) -> Option<Period> {
        if !self.days[usize::from(day_index(day.weekday()))] {
            return None;
        }
        let start = zone.to_ambiguous_timestamp(at(day, self.start)?).later().ok()?;
        let end = zone.to_ambiguous_timestamp(at(day, self.end)?).earlier().ok()?;
        let span = Period { from: to_millis(start), until: to_millis(end) };
        (span.from < span.until).then_some(span)
    }
}

/// So many minutes after the beginning of a day, as a clock shows it: 1440 is the beginning of the next.
fn at(day: Date, minutes: u16) -> Option<DateTime> {
    let (days, minute) = (minutes / MINUTES_OF_A_DAY, minutes % MINUTES_OF_A_DAY);
    let day = day.checked_add(Span::new().try_days(i64::from(days)).ok()?).ok()?;
    let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
    Some(day.at(hour, minute, 0, 0))
}

fn day_index(day: Weekday) -> u8 {
    day.to_monday_zero_offset().unsigned_abs()
}

/// `Mon-Thu`, `Fri,Sun`, `Fri-Mon`.
fn days_of(text: &str) -> Result<[bool; 7], String> {
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut at, last) = (day(first)?, day(last)?);
        days[at] = true;
        while at != last {
            at = (at + 1) % DAYS.len();
            days[at] = true;
        }
    }
    Ok(days)
}

fn day(word: &str) -> Result<usize, String> {
    let known = DAYS.iter().position(|day| word.eq_ignore_ascii_case(day));
    known.ok_or_else(|| {
        format!("{word:?} is no day; the days are Mon, Tue, Wed, Thu, Fri, Sat and Sun; {EXAMPLE}")
    })
}

/// `09:00`, up to `24:00`, in minutes.
fn minutes(text: &str) -> Result<u16, String> {
    let wrong = || format!("{text:?} is no time from 00:00 to 24:00; {EXAMPLE}");
    let number = |digits: &str| {
        let two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        two.then(|| digits.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    match (number(hour), number(minute)) {
        (Some(hour @ 0..24), Some(minute @ 0..60)) => Ok(hour * 60 + minute),
        (Some(24), Some(0)) => Ok(MINUTES_OF_A_DAY),
        _ => Err(wrong()),
    }
}
