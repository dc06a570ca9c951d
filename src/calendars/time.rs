//! Times of an iCalendar file.

use jiff::{
    Span, Timestamp, Zoned,
    civil::{Date, DateTime},
    tz::{AmbiguousTimestamp, TimeZone},
};

use super::lines::Line;

/// The zones that a file names, and where its own times are, if that is known.
pub(super) struct Zones {
    /// Zones that the file defines, with their name in the time zone database.
    pub(super) defined: Vec<(String, String)>,
    /// Where times without a zone are.
    pub(super) floating: Option<TimeZone>,
}

/// A day, or a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// What a clock shows there; 00:00 for a day.
    pub(super) shown: DateTime,
    /// Where.
    pub(super) zone: TimeZone,
    /// Whether it is a whole day.
    pub(super) is_day: bool,
}

impl Moment {
    /// The moments on the clock of the world: one, except where the clocks are changed.
    pub(super) fn on(&self, shown: DateTime) -> AmbiguousTimestamp {
        self.zone.to_ambiguous_timestamp(shown)
    }
}

impl Zones {
    /// The zone of this name.
    fn named(&self, name: &str) -> Result<TimeZone, String> {
        let defined = self.defined.iter().find(|(own, _)| own == name).map(|(_, known)| known.as_str());
        // Some programs put their own name in front: /example.com/Europe/Berlin.
        let parts = name.match_indices('/').map(|(at, _)| &name[at + 1..]);
        let mut candidates = std::iter::once(name).chain(defined).chain(parts);
        candidates
            .find_map(|name| TimeZone::get(name).ok())
            .ok_or_else(|| format!("the time zone {name:?} is not known; use names such as Europe/Berlin"))
    }

    /// The moments of a line such as `DTSTART;TZID=Europe/Berlin:20261218T000000`, which may have several.
    pub(super) fn moments(&self, line: &Line) -> Result<Vec<Moment>, String> {
        if line.param("VALUE").is_some_and(|kind| kind.eq_ignore_ascii_case("PERIOD")) {
            return Err(format!("{} with periods is not supported", line.name));
        }
        let zone = line.param("TZID").map(|name| self.named(name)).transpose()?;
        line.value.split(',').map(|value| self.moment(value.trim(), zone.as_ref())).collect()
    }

    /// The only moment of a line.
    pub(super) fn one(&self, line: &Line) -> Result<Moment, String> {
        let moments = self.moments(line)?;
        match moments.as_slice() {
            [moment] => Ok(moment.clone()),
            _ => Err(format!("{} has several values", line.name)),
        }
    }

    fn moment(&self, value: &str, zone: Option<&TimeZone>) -> Result<Moment, String> {
        let (shown, is_day, is_utc) = shown(value)?;
        let zone = match zone.or(self.floating.as_ref()) {
            _ if is_utc => TimeZone::UTC,
            Some(zone) => zone.clone(),
            None => {
                return Err(format!(
                    "{value} has no time zone, and neither has the calendar; set time_zone beside calendar_file"
                ));
            }
        };
        Ok(Moment { shown, zone, is_day })
    }
}

/// `20261218`, `20261218T090000` or `20261218T090000Z`: what a clock shows, whether it is a day, and whether it is UTC.
pub(super) fn shown(value: &str) -> Result<(DateTime, bool, bool), String> {
    let wrong = || format!("{value:?} is no date and no time");
    let number = |digits: &str| {
        let all = digits.bytes().all(|byte| byte.is_ascii_digit());
        all.then(|| digits.parse::<i16>().ok()).flatten().ok_or_else(wrong)
    };
    let small = |digits: &str| number(digits).and_then(|number| i8::try_from(number).map_err(|_| wrong()));
    if !value.is_ascii() {
        return Err(wrong());
    }
    let (day, time) = value.split_once('T').map_or((value, None), |(day, time)| (day, Some(time)));
    if day.len() != 8 {
        return Err(wrong());
    }
    let day = Date::new(number(&day[..4])?, small(&day[4..6])?, small(&day[6..])?).map_err(|_| wrong())?;
    let Some(time) = time else { return Ok((day.at(0, 0, 0, 0), true, false)) };
    let (time, is_utc) = time.strip_suffix('Z').map_or((time, false), |time| (time, true));
    if time.len() != 6 {
        return Err(wrong());
    }
    let (hour, minute, second) = (small(&time[..2])?, small(&time[2..4])?, small(&time[4..])?);
    let shown = DateTime::new(day.year(), day.month(), day.day(), hour, minute, second.min(59), 0);
    Ok((shown.map_err(|_| wrong())?, false, is_utc))
}

/// `P1D`, `PT2H30M`, `P1W`.
pub(super) fn duration(value: &str) -> Result<Span, String> {
    let span: Option<Span> = value.parse().ok();
    let span = span.filter(|span| value.trim_start_matches('+').starts_with('P') && span.is_positive());
    span.ok_or_else(|| format!("{value:?} is no duration"))
}

/// What a clock in this zone shows at a moment that another zone's clock shows.
pub(super) fn in_zone(shown: DateTime, of: &TimeZone, zone: &TimeZone) -> Result<DateTime, String> {
    let at = of.to_ambiguous_timestamp(shown).compatible().map_err(|error| error.to_string())?;
    Ok(Zoned::new(at, zone.clone()).datetime())
}

/// The moment in ms, for what is later compared with `now`.
pub(super) fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}
