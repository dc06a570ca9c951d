//! The events of an iCalendar file, each time they take place.

use std::collections::BTreeSet;

use chrono::{DateTime as PlainDateTime, TimeZone as _};
use jiff::{Span, ToSpan as _, civil::DateTime, tz::TimeZone};
use rrule::{RRule, RRuleSet, Tz, Unvalidated};

use super::{
    lines::{Component, components, unescape},
    time::{Moment, Zones, duration, in_zone, millis, shown},
};
use crate::{
    millis::Millis,
    policy::{Calendar, CalendarEvent, Period},
    text::one_line,
};

/// The most events of a calendar in the time that is looked at.
const MOST_EVENTS: usize = 10_000;
/// The most repetitions of one event since it first took place.
const MOST_REPETITIONS: usize = 100_000;
/// The longest title that is shown, in characters.
const LONGEST_SUMMARY: usize = 100;

/// The events of a calendar between `known.from` and `known.until`. `zone` is where times without a zone are.
///
/// # Errors
/// What cannot be understood: one event is enough, because it could be a freeze.
pub(super) fn calendar(text: &str, zone: Option<&TimeZone>, known: Period) -> Result<Calendar, String> {
    let components = components(text)?;
    let named = |name: &'static str| components.iter().filter(move |component| component.name == name);
    let defined = named("VTIMEZONE").filter_map(|zone| {
        Some((zone.value("TZID")?.to_owned(), zone.value("X-LIC-LOCATION")?.trim().to_owned()))
    });
    let own = named("VCALENDAR").find_map(|calendar| calendar.value("X-WR-TIMEZONE"));
    let floating = match (zone, own) {
        (Some(zone), _) => Some(zone.clone()),
        (None, Some(own)) => TimeZone::get(own.trim()).ok(),
        (None, None) => None,
    };
    let zones = Zones { defined: defined.collect(), floating };
    let mut events = Vec::new();
    for event in named("VEVENT") {
        let name = || one_line(&unescape(event.value("SUMMARY").unwrap_or("an event")), LONGEST_SUMMARY);
        let uid = event.value("UID");
        let others = named("VEVENT").filter(|other| uid.is_some() && other.value("UID") == uid);
        let taking_place =
            periods(event, others, &zones, known).map_err(|why| format!("{}: {why}", name()))?;
        let summary = event.value("SUMMARY").map(|_| name()).filter(|name| !name.is_empty());
        events.extend(
            taking_place.into_iter().map(|period| CalendarEvent { period, summary: summary.clone() }),
        );
        if events.len() > MOST_EVENTS {
            return Err(format!("it has more than {MOST_EVENTS} events in the next 400 days"));
        }
    }
    Ok(Calendar::new(known, events))
}

/// When an event takes place.
fn periods<'a>(
    event: &Component,
    same: impl Iterator<Item = &'a Component>,
    zones: &Zones,
    known: Period,
) -> Result<Vec<Period>, String> {
    if event.value("STATUS").is_some_and(|status| status.trim().eq_ignore_ascii_case("CANCELLED")) {
        return Ok(Vec::new());
    }
    let start = zones.one(event.line("DTSTART").ok_or("it has no DTSTART")?)?;
    let lasts = Lasts::of(event, &start, zones)?;
    // What a clock shows in the zone of the event, each time.
    let mut starts = BTreeSet::from([start.shown]);
    for rule in event.all("RRULE") {
        starts.extend(repeated(&rule.value, &start, known)?);
    }
    for line in event.all("RDATE") {
        for date in zones.moments(line)? {
            starts.insert(in_zone(date.shown, &date.zone, &start.zone)?);
        }
    }
    if event.line("RECURRENCE-ID").is_none() {
        let mut without = Vec::new();
        for line in event.all("EXDATE") {
            without.extend(zones.moments(line)?);
        }
        for other in same {
            if let Some(line) = other.line("RECURRENCE-ID") {
                if line.param("RANGE").is_some() {
                    return Err("a change of all later events (RANGE) is not supported".to_owned());
                }
                without.push(zones.one(line)?);
            }
        }
        for date in without {
            starts.remove(&in_zone(date.shown, &date.zone, &start.zone)?);
        }
    }
    let periods = starts.into_iter().filter_map(|shown| lasts.period(&start, shown));
    Ok(periods.filter(|period| period.from < known.until && period.until > known.from).collect())
}

/// How long an event lasts.
struct Lasts {
    /// As a clock shows it.
    shown: Span,
}

impl Lasts {
    fn of(event: &Component, start: &Moment, zones: &Zones) -> Result<Self, String> {
        let shown = match (event.line("DTEND"), event.value("DURATION")) {
            (Some(end), _) => {
                let end = zones.one(end)?;
                let end = in_zone(end.shown, &end.zone, &start.zone)?;
                end.since(start.shown).map_err(|error| error.to_string())?
            }
            (None, Some(value)) => duration(value.trim())?,
            (None, None) if start.is_day => 1.day(),
            (None, None) => return Err("it has no end: neither DTEND nor DURATION".to_owned()),
        };
        if shown.is_positive() {
            Ok(Self { shown })
        } else {
            Err("it does not end after its start".to_owned())
        }
    }

    /// The period that begins when the clock shows this. Where the clocks are changed, the longest that it may mean.
    fn period(&self, start: &Moment, shown: DateTime) -> Option<Period> {
        let end = shown.checked_add(self.shown).ok()?;
        let (from, until) = (start.on(shown).earlier().ok()?, start.on(end).later().ok()?);
        Some(Period { from: Millis(millis(from)), until: Millis(millis(until)) })
    }
}

/// The times at which an event begins by a rule, up to the end of what is looked at, as a clock in its zone shows them.
fn repeated(rule: &str, start: &Moment, known: Period) -> Result<Vec<DateTime>, String> {
    let (mut parts, mut ends) = (Vec::new(), false);
    for part in rule.trim().split(';').filter(|part| !part.is_empty()) {
        let (name, value) =
            part.split_once('=').ok_or_else(|| format!("RRULE: {part:?} is no part of a rule"))?;
        match name.to_ascii_uppercase().as_str() {
            "FREQ" if ["SECONDLY", "MINUTELY"].contains(&value.to_ascii_uppercase().as_str()) => {
                return Err(format!("RRULE: {part} repeats too often"));
            }
            "UNTIL" => {
                ends = true;
                parts.push(format!("UNTIL={}Z", last_shown(value, start)?.strftime("%Y%m%dT%H%M%S")));
            }
            "COUNT" => {
                ends = true;
                parts.push(part.to_owned());
            }
            _ => parts.push(part.to_owned()),
        }
    }
    let wrong = |error: rrule::RRuleError| format!("RRULE: {error}");
    // The rule counts in what clocks show, whatever the zone; that is written as UTC here.
    let first = plain(start.shown)?;
    let rule: RRule<Unvalidated> = parts.join(";").parse().map_err(wrong)?;
    let rule = rule.validate(first).map_err(wrong)?;
    let after = known.until.0.saturating_add(86_400_000);
    let (mut starts, mut count) = (Vec::new(), 0);
    for date in &RRuleSet::new(first).rrule(rule).limit() {
        count += 1;
        if count > MOST_REPETITIONS {
            return Err(format!("RRULE: it repeats more than {MOST_REPETITIONS} times"));
        }
        if date.timestamp_millis() > after {
            return Ok(starts);
        }
        starts.push(civil(&date)?);
    }
    if ends { Ok(starts) } else { Err("RRULE: it never repeats, although it has no end".to_owned()) }
}

/// `UNTIL`, as a clock in the zone of the event shows it.
fn last_shown(value: &str, start: &Moment) -> Result<DateTime, String> {
    let (shown, is_day, is_utc) = shown(value.trim())?;
    if is_utc {
        return in_zone(shown, &TimeZone::UTC, &start.zone);
    }
    Ok(if is_day { shown.date().at(23, 59, 59, 0) } else { shown })
}

fn plain(shown: DateTime) -> Result<PlainDateTime<Tz>, String> {
    let number = |number: i8| u32::from(number.unsigned_abs());
    let (date, time) = (shown.date(), shown.time());
    let plain = Tz::UTC.with_ymd_and_hms(
        i32::from(date.year()),
        number(date.month()),
        number(date.day()),
        number(time.hour()),
        number(time.minute()),
        number(time.second()),
    );
    plain.single().ok_or_else(|| format!("{shown} is no time"))
}

fn civil(date: &PlainDateTime<Tz>) -> Result<DateTime, String> {
    let at = jiff::Timestamp::from_second(date.timestamp()).map_err(|error| error.to_string())?;
    Ok(TimeZone::UTC.to_datetime(at))
}
