//! `[[windows]]` and `[[freezes]]`: when gates may open.

use std::path::PathBuf;

use jiff::{Timestamp, fmt::temporal::DateTimeParser, tz::TimeZone};

use super::{policy::gates, read::Section};
use crate::{
    millis::Millis,
    policy::{Except, Exception, Freeze, FreezeTime, OpenHours, Period, Schedule, Window},
    text::one_line,
};

/// The longest reason of a freeze, in characters.
const LONGEST_REASON: usize = 200;

/// Reads both lists from the whole tree.
pub(super) fn schedule(root: &Section<'_>) -> Schedule {
    Schedule {
        windows: root.sections("windows").iter().filter_map(window).collect(),
        freezes: root.sections("freezes").iter().filter_map(freeze).collect(),
    }
}

fn window(s: &Section<'_>) -> Option<Window> {
    let gates = s.section("match").and_then(|s| gates(&s));
    let open = s.checked_texts("open", |hours| {
        OpenHours::parse(hours).map(drop).map_err(|what| quoted(hours, &what))
    });
    if open.as_ref().is_some_and(Vec::is_empty) {
        s.problem("open", "is empty, so no gate of this window could ever open");
    }
    let time_zone = match s.value("time_zone") {
        Some(_) => zone(s),
        None => {
            s.problem("time_zone", "is missing; write for example \"Europe/Berlin\", or \"UTC\"");
            None
        }
    };
    let except = except(s);
    s.report_unknown_keys();
    let open = open?.iter().filter_map(|hours| OpenHours::parse(hours).ok()).collect();
    Some(Window { gates: gates?, open, time_zone: time_zone?, except })
}

fn freeze(s: &Section<'_>) -> Option<Freeze> {
    let gates = s.section("match").and_then(|s| gates(&s));
    let reason = s.optional("reason", Section::text).map(|reason| one_line(&reason, LONGEST_REASON));
    let has = |name| s.value(name).is_some();
    let (from, until, file) = (has("from"), has("until"), has("calendar_file"));
    let when = if file {
        if from || until {
            s.problem(
                "calendar_file",
                "cannot stand beside from and until; write a freeze of its own for each",
            );
        }
        let zone = s.optional("time_zone", |s, _| zone(s));
        s.text("calendar_file").map(|file| FreezeTime::Calendar { file: PathBuf::from(file), zone })
    } else {
        if has("time_zone") {
            s.problem("time_zone", "is for calendar_file; the dates of from and until name their own offset");
        }
        if !from && !until {
            s.problem("from", "is missing; a freeze needs from and until, or calendar_file");
            None
        } else {
            let (from, until) = (moment(s, "from"), moment(s, "until"));
            dates(s, from?, until?)
        }
    };
    let except = except(s);
    s.report_unknown_keys();
    Some(Freeze { key: s.at().to_owned(), gates: gates?, when: when?, reason, except })
}

/// What of a ticket lifts it.
fn except(s: &Section<'_>) -> Except {
    let Some(s) = s.value("except").and_then(|_| s.section("except")) else { return Except::default() };
    let has = |name| s.value(name).is_some();
    if has("types") {
        let why = "cannot lift it, because a ticket opens nothing once its type was changed; use labels or priorities";
        s.problem("types", why);
    }
    let is_label = |label: &str| match label.contains(char::is_whitespace) {
        true => Err(format!("{label:?} is no label, because it has a space")),
        false => Ok(()),
    };
    let read = |name, check: &dyn Fn(&str) -> Result<(), String>| {
        if has(name) { s.checked_texts(name, check).unwrap_or_default() } else { Vec::new() }
    };
    let labels = read("labels", &is_label).into_iter().map(Exception::Label);
    let priorities = read("priorities", &|_| Ok(())).into_iter().map(Exception::Priority);
    let all: Vec<Exception> = labels.chain(priorities).collect();
    if !has("labels") && !has("priorities") && !has("types") {
        s.problem(
            "labels",
            "is missing; write for example labels = [\"emergency\"], or priorities = [\"Highest\"]",
        );
    }
    s.report_unknown_keys();
    Except(all)
}

fn quoted(text: &str, what: &str) -> String {
    format!("{text:?}: {what}")
}

fn zone(s: &Section<'_>) -> Option<TimeZone> {
    let name = s.text("time_zone")?;
    let zone = TimeZone::get(&name).ok();
    if zone.is_none() {
        s.problem(
            "time_zone",
            format!("{name:?} is no time zone; write for example \"Europe/Berlin\", or \"UTC\""),
        );
    }
    zone
}

/// A moment, and the offset that it names.
fn moment(s: &Section<'_>, name: &str) -> Option<(Timestamp, TimeZone)> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    let text = s.text(name)?;
    let parsed = text.parse::<Timestamp>().ok().zip(PARSER.parse_pieces(&text).ok());
    let Some((at, pieces)) = parsed else {
        s.problem(
            name,
            format!("{text:?} is no time with an offset; write for example \"2026-12-18T00:00:00+01:00\""),
        );
        return None;
    };
    let zone = pieces.to_numeric_offset().map_or(TimeZone::UTC, TimeZone::fixed);
    Some((at, zone))
}

fn dates(
    s: &Section<'_>,
    (from, _): (Timestamp, TimeZone),
    (until, zone): (Timestamp, TimeZone),
) -> Option<FreezeTime> {
    if until <= from {
        s.problem("until", "must be later than from");
        return None;
    }
    let period = Period { from: Millis(from.as_millisecond()), until: Millis(until.as_millisecond()) };
    Some(FreezeTime::Dates { period, zone })
}
