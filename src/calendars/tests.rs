//! Calendars as programs write them, and what is wrong with others.

use std::{fs, path::Path};

use jiff::Timestamp;

use super::*;
use crate::policy::Except;

/// A calendar with these lines in it.
fn file(lines: &str) -> String {
    let lines: Vec<&str> = lines.split('\n').map(str::trim).collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{}\r\nEND:VCALENDAR\r\n", lines.join("\r\n"))
}

fn event(lines: &str) -> String {
    file(&format!("BEGIN:VEVENT\nUID:1\nSUMMARY:No shipping\n{lines}\nEND:VEVENT"))
}

fn millis(text: &str) -> Millis {
    Millis(text.parse::<Timestamp>().unwrap().as_millisecond())
}

fn periods(text: &str, zone: Option<&str>) -> Result<String, String> {
    let zone = zone.map(|name| TimeZone::get(name).unwrap());
    let known = Period { from: millis("2026-10-01T00:00:00Z"), until: millis("2027-05-01T00:00:00Z") };
    let calendar = events::calendar(text, zone.as_ref(), known)?;
    let at = |at: Millis| Timestamp::from_millisecond(at.0).unwrap();
    let line = |event: &crate::policy::CalendarEvent| {
        let Period { from, until } = event.period;
        format!("{} to {}", at(from), at(until))
    };
    Ok(calendar.events().iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn told(text: &str, zone: Option<&str>) -> String {
    match periods(text, zone) {
        Ok(periods) if periods.is_empty() => "never".to_owned(),
        Ok(periods) => periods,
        Err(why) => format!("cannot be used: {why}"),
    }
}

#[test]
fn events_take_place_when_a_calendar_shows_them() {
    let cases = [
        (
            "with a zone",
            event("DTSTART;TZID=Europe/Berlin:20261218T000000\nDTEND;TZID=Europe/Berlin:20270104T060000"),
        ),
        ("in UTC, with a duration", event("DTSTART:20261218T000000Z\nDURATION:PT2H30M")),
        (
            "whole days",
            file(
                "X-WR-TIMEZONE:Europe/Berlin\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227\nEND:VEVENT",
            ),
        ),
        (
            "one whole day",
            file("X-WR-TIMEZONE:Europe/Berlin\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20261224\nEND:VEVENT"),
        ),
        (
            "a prefix before the zone",
            event("DTSTART;TZID=/example.com/2026/Europe/Berlin:20261218T000000\nDURATION:P1D"),
        ),
        (
            "each last Friday",
            event(
                "DTSTART;TZID=Europe/Berlin:20261030T120000\nDTEND;TZID=Europe/Berlin:20261030T180000\nRRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=4",
            ),
        ),
        (
            "weekly over the changes of the clocks",
            event(
                "DTSTART;TZID=Europe/Berlin:20261024T220000\nDURATION:PT8H\nRRULE:FREQ=WEEKLY;UNTIL=20261107T210000Z",
            ),
        ),
        (
            "until a day",
            event(
                "DTSTART;TZID=Europe/Berlin:20261024T220000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20261026",
            ),
        ),
        ("a start that comes twice", event("DTSTART;TZID=Europe/Berlin:20261025T023000\nDURATION:PT10M")),
        ("a start that is skipped", event("DTSTART;TZID=Europe/Berlin:20270328T023000\nDURATION:PT10M")),
        (
            "except one",
            event(
                "DTSTART:20261201T000000Z\nDURATION:P1D\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE;TZID=Europe/Berlin:20261202T010000",
            ),
        ),
        (
            "further dates",
            event("DTSTART:20261201T000000Z\nDURATION:PT1H\nRDATE:20261202T000000Z,20261204T000000Z"),
        ),
        ("begun before", event("DTSTART:20200930T120000Z\nDURATION:P1D\nRRULE:FREQ=YEARLY")),
        ("cancelled", event("DTSTART:20261201T000000Z\nDURATION:P1D\nSTATUS:CANCELLED")),
        (
            "one of a series was moved",
            file(
                "BEGIN:VEVENT\nUID:1\nDTSTART:20261201T000000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\nEND:VEVENT\n\
             BEGIN:VEVENT\nUID:1\nRECURRENCE-ID:20261202T000000Z\nDTSTART:20261202T120000Z\nDURATION:PT1H\nEND:VEVENT\n\
             BEGIN:VEVENT\nUID:1\nRECURRENCE-ID:20261203T000000Z\nDTSTART:20261203T000000Z\nDURATION:PT1H\nSTATUS:CANCELLED\nEND:VEVENT",
            ),
        ),
        (
            "a reminder and a zone of its own",
            file(
                "BEGIN:VTIMEZONE\nTZID:Berlin time\nX-LIC-LOCATION:Europe/Berlin\nBEGIN:STANDARD\nDTSTART:19701025T030000\nEND:STANDARD\nEND:VTIMEZONE\n\
             BEGIN:VEVENT\nDTSTART;TZID=\"Berlin time\":20261201T000000\nDTEND;TZID=\"Berlin time\":20261202T000000\n\
             BEGIN:VALARM\nTRIGGER:-PT15M\nDURATION:PT1H\nEND:VALARM\nEND:VEVENT",
            ),
        ),
        ("no event", file("X-WR-CALNAME:Freezes")),
    ];
    let cases = cases.map(|(what, text)| format!("{what}:\n{}", told(&text, None)));
    insta::assert_snapshot!(cases.join("\n"), @r"
    with a zone:
    2026-12-17T23:00:00Z to 2027-01-04T05:00:00Z
    in UTC, with a duration:
    2026-12-18T00:00:00Z to 2026-12-18T02:30:00Z
    whole days:
    2026-12-23T23:00:00Z to 2026-12-26T23:00:00Z
    one whole day:
    2026-12-23T23:00:00Z to 2026-12-24T23:00:00Z
    a prefix before the zone:
    2026-12-17T23:00:00Z to 2026-12-18T23:00:00Z
    each last Friday:
    2026-10-30T11:00:00Z to 2026-10-30T17:00:00Z
    2026-11-27T11:00:00Z to 2026-11-27T17:00:00Z
    2026-12-25T11:00:00Z to 2026-12-25T17:00:00Z
    2027-01-29T11:00:00Z to 2027-01-29T17:00:00Z
    weekly over the changes of the clocks:
    2026-10-24T20:00:00Z to 2026-10-25T05:00:00Z
    2026-10-31T21:00:00Z to 2026-11-01T05:00:00Z
    2026-11-07T21:00:00Z to 2026-11-08T05:00:00Z
    until a day:
    2026-10-24T20:00:00Z to 2026-10-24T21:00:00Z
    2026-10-25T21:00:00Z to 2026-10-25T22:00:00Z
    2026-10-26T21:00:00Z to 2026-10-26T22:00:00Z
    a start that comes twice:
    2026-10-25T00:30:00Z to 2026-10-25T01:40:00Z
    a start that is skipped:
    2027-03-28T00:30:00Z to 2027-03-28T01:40:00Z
    except one:
    2026-12-01T00:00:00Z to 2026-12-02T00:00:00Z
    2026-12-03T00:00:00Z to 2026-12-04T00:00:00Z
    further dates:
    2026-12-01T00:00:00Z to 2026-12-01T01:00:00Z
    2026-12-02T00:00:00Z to 2026-12-02T01:00:00Z
    2026-12-04T00:00:00Z to 2026-12-04T01:00:00Z
    begun before:
    2026-09-30T12:00:00Z to 2026-10-01T12:00:00Z
    cancelled:
    never
    one of a series was moved:
    2026-12-01T00:00:00Z to 2026-12-01T01:00:00Z
    2026-12-02T12:00:00Z to 2026-12-02T13:00:00Z
    a reminder and a zone of its own:
    2026-11-30T23:00:00Z to 2026-12-01T23:00:00Z
    no event:
    never
    ");
}

/// Nothing is skipped: one event that cannot be understood makes the calendar useless.
#[test]
fn what_cannot_be_understood_makes_a_calendar_useless() {
    let start = "DTSTART:20261201T000000Z\nDURATION:PT1H\n";
    let cases = [
        file("BEGIN:VEVENT\nSUMMARY:Empty\nEND:VEVENT"),
        event("DTSTART:2026-12-01\nDURATION:PT1H"),
        event("DTSTART:20261301T000000Z\nDURATION:PT1H"),
        event("DTSTART:20261201T000000Z"),
        event("DTSTART:20261201T000000Z\nDTEND:20261201T000000Z"),
        event("DTSTART:20261201T000000Z\nDURATION:-PT1H"),
        event("DTSTART:20261201T000000Z\nDURATION:1h"),
        event("DTSTART:20261201T000000\nDURATION:PT1H"),
        event("DTSTART;TZID=W. Europe Standard Time:20261201T000000\nDURATION:PT1H"),
        event(&format!("{start}RRULE:FREQ=SOMETIMES")),
        event(&format!("{start}RRULE:FREQ=SECONDLY")),
        event(&format!("{start}RRULE:FREQ=DAILY;INTERVAL=x")),
        event(&format!("{start}RRULE:FREQ=DAILY;UNTIL=soon")),
        event(&format!("{start}RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")),
        event("DTSTART:19700101T000000Z\nDURATION:PT1H\nRRULE:FREQ=HOURLY"),
        event(&format!("{start}RDATE;VALUE=PERIOD:20261202T000000Z/PT1H")),
        event(&format!("{start}EXDATE:never")),
        file(&format!(
            "BEGIN:VEVENT\nUID:1\n{start}RRULE:FREQ=DAILY\nEND:VEVENT\nBEGIN:VEVENT\nUID:1\nRECURRENCE-ID;RANGE=THISANDFUTURE:20261202T000000Z\n{start}END:VEVENT"
        )),
        event(start).replace("END:VCALENDAR", ""),
    ];
    let cases = cases.map(|text| told(&text, None).replace('\n', ", "));
    insta::assert_snapshot!(cases.join("\n"), @r#"
    cannot be used: Empty: it has no DTSTART
    cannot be used: No shipping: "2026-12-01" is no date and no time
    cannot be used: No shipping: "20261301T000000Z" is no date and no time
    cannot be used: No shipping: it has no end: neither DTEND nor DURATION
    cannot be used: No shipping: it does not end after its start
    cannot be used: No shipping: "-PT1H" is no duration
    cannot be used: No shipping: "1h" is no duration
    cannot be used: No shipping: 20261201T000000 has no time zone, and neither has the calendar; set time_zone beside calendar_file
    cannot be used: No shipping: the time zone "W. Europe Standard Time" is not known; use names such as Europe/Berlin
    cannot be used: No shipping: RRULE: RRule parsing error: `SOMETIMES` is not a valid frequency.
    cannot be used: No shipping: RRULE: FREQ=SECONDLY repeats too often
    cannot be used: No shipping: RRULE: RRule parsing error: `x` is not a valid INTERVAL value.
    cannot be used: No shipping: "soon" is no date and no time
    cannot be used: No shipping: RRULE: it never repeats, although it has no end
    cannot be used: No shipping: RRULE: it repeats more than 100000 times
    cannot be used: No shipping: RDATE with periods is not supported
    cannot be used: No shipping: "never" is no date and no time
    cannot be used: an event: a change of all later events (RANGE) is not supported
    cannot be used: it ends without END:VCALENDAR
    "#);
}

#[test]
fn times_without_a_zone_are_where_the_configuration_says() {
    let text = event("DTSTART:20261201T000000\nDURATION:PT1H");
    insta::assert_snapshot!(told(&text, Some("Asia/Tokyo")), @"2026-11-30T15:00:00Z to 2026-11-30T16:00:00Z");
}

fn files(file: &Path) -> CalendarFiles {
    let all = || globset::Glob::new("*").unwrap().compile_matcher();
    let gates =
        crate::policy::Match { cluster: all(), namespace: all(), canary: all(), stage: all(), gate: all() };
    let when = FreezeTime::Calendar { file: file.to_owned(), zone: None };
    let freeze = Freeze { key: "freezes[0]".into(), gates, when, reason: None, except: Except::default() };
    CalendarFiles::new(&Schedule { windows: vec![], freezes: vec![freeze] })
}

#[tokio::test(start_paused = true)]
async fn a_calendar_is_read_again_when_it_changes_and_each_day() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("freezes.ics");
    let files = files(&path);
    let day = WORKED_OUT_FOR;
    let now = millis("2026-12-01T00:00:00Z");
    let events = |now: Millis| {
        files.current(now).0["freezes[0]"]
            .clone()
            .map(|calendar| (calendar.events().len(), calendar.known.from))
    };
    let why = events(now).unwrap_err();
    assert!(why.starts_with("cannot read ") && why.contains("No such file"), "{why}");
    assert_eq!(files.unusable(now), 1);
    fs::write(&path, event("DTSTART:20261201T000000Z\nDURATION:P1D\nRRULE:FREQ=DAILY")).unwrap();
    let (count, from) = events(now).unwrap();
    assert_eq!((count, from), (402, now - day * 2));
    // Not worked out again before a day is over, and then for later days.
    assert_eq!(events(now + day / 2).unwrap(), (402, from));
    assert_eq!(events(now + day).unwrap(), (403, from + day));
    assert_eq!(files.unusable(now), 0);
    // What cannot be used takes the place of what was read before.
    fs::write(&path, "").unwrap();
    assert_eq!(events(now + day).unwrap_err(), format!("{}: it holds no calendar", path.display()));
    fs::remove_file(&path).unwrap();
    assert!(events(now + day).is_err());
    fs::write(&path, file("")).unwrap();
    assert_eq!(events(now + day).unwrap().0, 0);
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(events(now + day).unwrap_err().ends_with("is not UTF-8 text"));
    fs::File::options().write(true).open(&path).unwrap().set_len(LARGEST_FILE + 1).unwrap();
    assert!(events(now + day).unwrap_err().ends_with("is larger than 4 MiB"));
}
