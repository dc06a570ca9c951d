//! Windows and freezes: their words, the changes of the clocks, and a comparison with a slow way to tell the same.

mod planned;
mod random;

use std::sync::Arc;

use globset::Glob;
use jiff::{Timestamp, tz::TimeZone};

use super::*;
use crate::policy::Match;

/// Every gate.
fn every() -> Match {
    let all = || Glob::new("*").unwrap().compile_matcher();
    Match { cluster: all(), namespace: all(), canary: all(), stage: all(), gate: all() }
}

const GATE: GateAddress<'static> = GateAddress {
    cluster: "prod-eu",
    namespace: "shop",
    canary: "cart",
    stage: "confirm-promotion",
    gate: "",
};

fn millis(text: &str) -> Millis {
    let at = text.parse::<Timestamp>().unwrap_or_else(|error| panic!("{text}: {error}"));
    Millis(at.as_millisecond())
}

fn utc(at: Millis) -> String {
    Timestamp::from_millisecond(at.0).unwrap().to_string()
}

fn window(open: &[&str], zone: &str) -> Window {
    let open = open.iter().map(|hours| OpenHours::parse(hours).unwrap()).collect();
    Window { gates: every(), open, time_zone: TimeZone::get(zone).unwrap(), except: Except::default() }
}

fn freeze(from: &str, until: &str, reason: Option<&str>) -> Freeze {
    let period = Period { from: millis(from), until: millis(until) };
    let zone = TimeZone::fixed(jiff::tz::offset(1));
    let when = FreezeTime::Dates { period, zone };
    Freeze {
        key: "freezes[0]".into(),
        gates: every(),
        when,
        reason: reason.map(Into::into),
        except: Except::default(),
    }
}

fn schedule(windows: Vec<Window>, freezes: Vec<Freeze>) -> Schedule {
    Schedule { windows, freezes }
}

fn closed(schedule: &Schedule, now: &str) -> Option<Closed> {
    let calendars = Calendars::default();
    schedule.of(GATE, &calendars, None, |_| false).and_then(|schedule| schedule.closed(millis(now)))
}

fn words(schedule: &Schedule, now: &str) -> String {
    closed(schedule, now).map_or_else(|| "open".to_owned(), |closed| closed.words(WhenRead::At(millis(now))))
}

#[test]
fn hours_that_cannot_be_read_say_how_they_are_written() {
    let wrong = [
        "",
        "09:00-16:00",
        "Mon",
        "Mon-Thu",
        "Mon-Thu 9:00-16:00",
        "Mon-Thu 09:00",
        "Mon-Thu 09:00-09:00",
        "Mon-Thu 24:00-02:00",
        "Mon-Thu 09:00-24:01",
        "Mon-Thu 09:60-16:00",
        "Montag 09:00-16:00",
        "Mon- 09:00-16:00",
        "Mon-Wed-Fri 09:00-16:00",
        "Mon 09:00-16:00,18:00-20:00",
        "Mon 09:00 - 16:00",
        "Mo\u{301}n 09:00-16:00",
    ];
    let told = wrong.map(|hours| OpenHours::parse(hours).unwrap_err());
    insta::assert_snapshot!(told.join("\n"), @r#"
    is empty; write days and times, for example "Mon-Thu 09:00-16:00", or "Fri,Sun 22:00-02:00" for hours that end on the next day
    has no days or no times; write days and times, for example "Mon-Thu 09:00-16:00", or "Fri,Sun 22:00-02:00" for hours that end on the next day
    has no days or no times; write days and times, for example "Mon-Thu 09:00-16:00", or "Fri,Sun 22:00-02:00" for hours that end on the next day
    has no days or no times; write days and times, for example "Mon-Thu 09:00-16:00", or "Fri,Sun 22:00-02:00" for hours that end on the next day
    "9:00" is no time from 00:00 to 24:00; write days and times, for example "Mon-Thu 09:00-16:00", or "Fri,Sun 22:00-02:00" for hours that end on the next day
    "09:00" is no pair of times; write days and times, for example "Mon-Thu 09:00-16:00", or "Fri,Sun 22:00-02:00" for hours that end on the next day
    begins and ends at the same time; write 00:00-24:00 for whole days
    cannot begin at 24:00; begin on the next day at 00:00; write days and times, for example "Mon-Thu 09:00-16:00", or "Fri,Sun 22:00-02:00" for hours that end on the next day
    "24:01" is no time from 00:00 to 24:00; write days and times, for example "Mon-Thu 09:00-16:00", or "Fri,Sun 22:00-02:00" for hours that end on the next day
    "09:60" is no time from 00:00 to 24:00; write days and times, for example "Mon-Thu 09:00-16:00", or "Fri,Sun 22:00-02:00" for hours that end on the next day
    "Montag" is no day; the days are Mon, Tue, Wed, Thu, Fri, Sat and Sun; write days and times, for example "Mon-Thu 09:00-16:00", or "Fri,Sun 22:00-02:00" for hours that end on the next day
    "" is no day; the days are Mon, Tue, Wed, Thu, Fri, Sat and Sun; write days and times, for example "Mon-Thu 09:00-16:00", or "Fri,Sun 22:00-02:00" for hours that end on the next day
    "Wed-Fri" is no day; the days are Mon, Tue, Wed, Thu, Fri, Sat and Sun; write days and times, for example "Mon-Thu 09:00-16:00", or "Fri,Sun 22:00-02:00" for hours that end on the next day
    "16:00,18:00-20:00" is no time from 00:00 to 24:00; write days and times, for example "Mon-Thu 09:00-16:00", or "Fri,Sun 22:00-02:00" for hours that end on the next day
    "Mon09:00" is no day; the days are Mon, Tue, Wed, Thu, Fri, Sat and Sun; write days and times, for example "Mon-Thu 09:00-16:00", or "Fri,Sun 22:00-02:00" for hours that end on the next day
    "Mo\u{301}n" is no day; the days are Mon, Tue, Wed, Thu, Fri, Sat and Sun; write days and times, for example "Mon-Thu 09:00-16:00", or "Fri,Sun 22:00-02:00" for hours that end on the next day
    "#);
}

#[test]
fn hours_of_the_week() {
    // 2026-12-07 is a Monday; in UTC.
    let open = |hours: &str, day: u8, time: &str| {
        let at = format!("2026-12-{day:02}T{time}Z");
        words(&schedule(vec![window(&[hours], "UTC")], vec![]), &at) == "open"
    };
    for (hours, day, time, expected) in [
        ("Mon-Thu 09:00-16:00", 7, "08:59:59.999", false),
        ("Mon-Thu 09:00-16:00", 7, "09:00:00", true),
        ("Mon-Thu 09:00-16:00", 10, "15:59:59.999", true),
        ("Mon-Thu 09:00-16:00", 10, "16:00:00", false),
        ("Mon-Thu 09:00-16:00", 11, "12:00:00", false),
        ("mon,wed 22:00-02:00", 7, "23:00:00", true),
        ("Mon,Wed 22:00-02:00", 8, "01:59:59", true),
        ("Mon,Wed 22:00-02:00", 8, "02:00:00", false),
        ("Mon,Wed 22:00-02:00", 8, "23:00:00", false),
        ("Mon,Wed 22:00-02:00", 9, "01:00:00", false),
        ("Sun 22:00-02:00", 7, "01:00:00", true),
        ("Sat-Sun 00:00-24:00", 12, "00:00:00", true),
        ("Sat-Sun 00:00-24:00", 13, "23:59:59", true),
        ("Sat-Sun 00:00-24:00", 14, "00:00:00", false),
        ("Fri-Mon 10:00-11:00", 14, "10:30:00", true),
        ("Fri-Mon 10:00-11:00", 15, "10:30:00", false),
        ("Mon, Tue 10:00-11:00", 8, "10:30:00", true),
    ] {
        assert_eq!(open(hours, day, time), expected, "{hours} on the {day}th at {time}");
    }
}

/// Where the clocks are changed, a start is the later of the moments that it may mean, and an end the earlier.
#[test]
fn windows_where_the_clocks_are_changed() {
    let spans = |hours: &str, zone: &str, from: &str, until: &str| {
        let schedule = schedule(vec![window(&[hours], zone)], vec![]);
        let (mut at, until) = (millis(from), millis(until));
        let (mut spans, mut was_open) = (Vec::new(), false);
        while at < until {
            let is_open = closed(&schedule, &utc(at)).is_none();
            if is_open != was_open {
                spans.push(format!("{} {}", if is_open { "opens" } else { "closes" }, utc(at)));
            }
            was_open = is_open;
            at = Millis(at.0 + 60_000);
        }
        if spans.is_empty() { "never open".to_owned() } else { spans.join(", ") }
    };
    // In Berlin the clocks go from 02:00 to 03:00 (01:00 UTC) on 2027-03-28, and from 03:00 to 02:00 (01:00 UTC) on
    // 2026-10-25. In New York they go from 02:00 to 03:00 (07:00 UTC) on 2027-03-14.
    let spring = |hours| spans(hours, "Europe/Berlin", "2027-03-27T20:00:00Z", "2027-03-28T20:00:00Z");
    let autumn = |hours| spans(hours, "Europe/Berlin", "2026-10-24T20:00:00Z", "2026-10-25T20:00:00Z");
    let told = [
        ("spring, around it", spring("Sun 01:00-04:00")),
        ("spring, starts in the gap", spring("Sun 02:30-04:00")),
        ("spring, ends in the gap", spring("Sun 01:00-02:30")),
        ("spring, within the gap", spring("Sun 02:10-02:50")),
        ("spring, over midnight", spring("Sat 22:00-06:00")),
        ("autumn, around it", autumn("Sun 01:00-04:00")),
        ("autumn, starts in what comes twice", autumn("Sun 02:30-04:00")),
        ("autumn, ends in what comes twice", autumn("Sun 01:00-02:30")),
        ("autumn, within what comes twice", autumn("Sun 02:10-02:50")),
        ("autumn, over midnight", autumn("Sat 22:00-06:00")),
        (
            "New York, starts in the gap",
            spans("Sun 02:30-04:00", "America/New_York", "2027-03-14T00:00:00Z", "2027-03-14T20:00:00Z"),
        ),
        (
            "Samoa, a day that was skipped",
            spans("Fri 09:00-17:00", "Pacific/Apia", "2011-12-29T00:00:00Z", "2012-01-02T00:00:00Z"),
        ),
    ];
    let told = told.map(|(what, spans)| format!("{what}: {spans}"));
    insta::assert_snapshot!(told.join("\n"), @r"
    spring, around it: opens 2027-03-28T00:00:00Z, closes 2027-03-28T02:00:00Z
    spring, starts in the gap: opens 2027-03-28T01:30:00Z, closes 2027-03-28T02:00:00Z
    spring, ends in the gap: opens 2027-03-28T00:00:00Z, closes 2027-03-28T00:30:00Z
    spring, within the gap: never open
    spring, over midnight: opens 2027-03-27T21:00:00Z, closes 2027-03-28T04:00:00Z
    autumn, around it: opens 2026-10-24T23:00:00Z, closes 2026-10-25T03:00:00Z
    autumn, starts in what comes twice: opens 2026-10-25T01:30:00Z, closes 2026-10-25T03:00:00Z
    autumn, ends in what comes twice: opens 2026-10-24T23:00:00Z, closes 2026-10-25T00:30:00Z
    autumn, within what comes twice: never open
    autumn, over midnight: opens 2026-10-24T20:00:00Z, closes 2026-10-25T05:00:00Z
    New York, starts in the gap: opens 2027-03-14T07:30:00Z, closes 2027-03-14T08:00:00Z
    Samoa, a day that was skipped: never open
    ");
}

#[test]
fn a_closed_gate_says_when_it_opens_next() {
    let week = schedule(vec![window(&["Mon-Thu 09:00-16:00", "Fri 09:00-12:00"], "Europe/Berlin")], vec![]);
    let christmas = freeze("2026-12-18T00:00:00+01:00", "2027-01-04T06:00:00+01:00", Some("Christmas"));
    let frozen = schedule(week.windows.clone(), vec![christmas.clone()]);
    let two = schedule(
        vec![window(&["Mon 09:00-10:00"], "Europe/Berlin"), window(&["Mon 09:00-10:00"], "America/New_York")],
        vec![],
    );
    let alone = schedule(vec![], vec![christmas.clone()]);
    let unnamed = schedule(vec![], vec![freeze("2026-12-01T00:00:00Z", "2026-12-02T10:00:30Z", None)]);
    let for_ever =
        schedule(vec![], vec![freeze("2026-12-01T00:00:00Z", "2036-12-02T10:00:00Z", Some("merger"))]);
    let unread = schedule(
        vec![],
        vec![Freeze {
            when: FreezeTime::Calendar { file: "/etc/bridge/freezes.ics".into(), zone: None },
            ..christmas.clone()
        }],
    );
    let told = [
        ("in a window", words(&week, "2026-12-07T10:00:00Z")),
        ("before it", words(&week, "2026-12-07T07:00:00Z")),
        ("after it", words(&week, "2026-12-07T15:00:00Z")),
        ("on Friday afternoon", words(&week, "2026-12-04T14:00:00Z")),
        ("in a freeze", words(&frozen, "2026-12-18T09:00:00Z")),
        ("in a freeze and outside of the windows", words(&frozen, "2026-12-19T09:00:00Z")),
        ("after the freeze", words(&frozen, "2027-01-04T05:30:00Z")),
        ("in the freeze alone", words(&alone, "2027-01-03T09:00:00Z")),
        ("before the freeze", words(&alone, "2026-12-17T22:59:59Z")),
        ("without a reason", words(&unnamed, "2026-12-01T09:00:00Z")),
        ("for years", words(&for_ever, "2026-12-01T09:00:00Z")),
        ("in two zones", words(&two, "2026-12-07T10:00:00Z")),
        ("a calendar that was not read", words(&unread, "2026-12-07T10:00:00Z")),
        ("read later", closed(&week, "2026-12-07T07:00:00Z").unwrap().words(WhenRead::Later)),
    ];
    let told = told.map(|(what, words)| format!("{what}: {words}"));
    insta::assert_snapshot!(told.join("\n"), @r#"
    in a window: open
    before it: outside of its window; opens Mon-Thu 09:00-16:00, Fri 09:00-12:00 Europe/Berlin, next today at 09:00
    after it: outside of its window; opens Mon-Thu 09:00-16:00, Fri 09:00-12:00 Europe/Berlin, next tomorrow at 09:00
    on Friday afternoon: outside of its window; opens Mon-Thu 09:00-16:00, Fri 09:00-12:00 Europe/Berlin, next on Mon 2026-12-07 at 09:00
    in a freeze: in the freeze "Christmas"; opens Mon-Thu 09:00-16:00, Fri 09:00-12:00 Europe/Berlin, next on Mon 2027-01-04 at 09:00
    in a freeze and outside of the windows: in the freeze "Christmas"; opens Mon-Thu 09:00-16:00, Fri 09:00-12:00 Europe/Berlin, next on Mon 2027-01-04 at 09:00
    after the freeze: outside of its window; opens Mon-Thu 09:00-16:00, Fri 09:00-12:00 Europe/Berlin, next today at 09:00
    in the freeze alone: in the freeze "Christmas"; opens tomorrow at 06:00 +01:00
    before the freeze: open
    without a reason: in a freeze; opens tomorrow at 11:00:30 +01:00
    for years: in the freeze "merger"; no opening was found within the next 400 days
    in two zones: outside of its window; opens Mon 09:00-10:00 Europe/Berlin, Mon 09:00-10:00 America/New_York, next today at 15:00 Europe/Berlin
    a calendar that was not read: it is not known whether a freeze holds, because freezes[0].calendar_file cannot be used: it was not read; opens once the calendar can be read
    read later: outside of its window; opens Mon-Thu 09:00-16:00, Fri 09:00-12:00 Europe/Berlin, next on Mon 2026-12-07 at 09:00
    "#);
}

/// Of the freezes that hold, the one that ends last is named, and events of a calendar count one by one.
#[test]
fn calendars_and_dates_are_freezes_alike() {
    let known = Period { from: millis("2026-11-01T00:00:00Z"), until: millis("2028-02-01T00:00:00Z") };
    let event = |from: &str, until: &str, summary: Option<&str>| CalendarEvent {
        period: Period { from: millis(from), until: millis(until) },
        summary: summary.map(Into::into),
    };
    let calendar = Calendar::new(
        known,
        vec![
            event("2026-12-24T00:00:00Z", "2026-12-27T00:00:00Z", Some("Christmas")),
            event("2026-12-05T00:00:00Z", "2026-12-06T00:00:00Z", None),
            event("2026-12-26T00:00:00Z", "2026-12-29T00:00:00Z", Some("Inventory")),
            event("2026-12-25T00:00:00Z", "2026-12-26T00:00:00Z", Some("Sunday")),
        ],
    );
    assert_eq!(calendar.events().len(), 3, "{calendar:?}");
    let calendars = Calendars([("freezes[0]".to_owned(), Ok(Arc::new(calendar)))].into());
    let freeze = Freeze {
        when: FreezeTime::Calendar { file: "x.ics".into(), zone: None },
        ..freeze("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z", None)
    };
    let schedule = schedule(vec![], vec![freeze]);
    let words = |now: &str| {
        let closed = schedule.of(GATE, &calendars, None, |_| false).unwrap().closed(millis(now));
        closed.map_or_else(|| "open".to_owned(), |closed| closed.words(WhenRead::Later))
    };
    let told = [
        "2026-12-05T12:00:00Z",
        "2026-12-06T00:00:00Z",
        "2026-12-24T00:00:00Z",
        "2026-12-27T12:00:00Z",
        "2028-03-01T00:00:00Z",
    ]
    .map(|now| format!("{now}: {}", words(now)));
    insta::assert_snapshot!(told.join("\n"), @r#"
    2026-12-05T12:00:00Z: in a freeze; opens on Sun 2026-12-06 at 00:00 UTC
    2026-12-06T00:00:00Z: open
    2026-12-24T00:00:00Z: in the freeze "Christmas"; opens on Tue 2026-12-29 at 00:00 UTC
    2026-12-27T12:00:00Z: in the freeze "Inventory"; opens on Tue 2026-12-29 at 00:00 UTC
    2028-03-01T00:00:00Z: it is not known whether a freeze holds, because freezes[0].calendar_file cannot be used: the bridge does not know the events of that time yet; opens once the calendar can be read
    "#);
}

#[test]
fn only_what_matches_a_gate_is_for_it() {
    let glob = |text: &str| Glob::new(text).unwrap().compile_matcher();
    let of = |namespace: &str| Match { namespace: glob(namespace), ..every() };
    let schedule = schedule(
        vec![Window { gates: of("payments-*"), ..window(&["Mon 09:00-10:00"], "UTC") }],
        vec![Freeze { gates: of("bank"), ..freeze("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z", None) }],
    );
    let calendars = Calendars::default();
    let closed = |namespace| {
        let gate = GateAddress { namespace, ..GATE };
        schedule
            .of(gate, &calendars, None, |_| false)
            .map(|schedule| schedule.is_closed(millis("2026-12-01T12:00:00Z")))
    };
    assert_eq!((closed("shop"), closed("payments-eu"), closed("bank")), (None, Some(true), Some(true)));
}
