//! `[[windows]]` and `[[freezes]]`.

use super::*;
use crate::policy::FreezeTime;

const TEXT: &str = r#"
    [[windows]]
    match = { namespace = "pay-*" }
    open = ["Mon-Thu 09:00-16:00", " fri  09:00-12:00 "]
    time_zone = "Europe/Berlin"
    [[freezes]]
    match = {}
    from = "2026-12-18T00:00:00+01:00"
    until = "2027-01-04T06:00:00+01:00"
    reason = " Christmas\nand New Year "
    [[freezes]]
    match = { cluster = "eu" }
    calendar_file = "/etc/bridge/freezes.ics"
    time_zone = "Europe/Berlin"
"#;

#[test]
fn windows_and_freezes_are_read() {
    let schedule = load_text(TEXT).unwrap().policy.schedule;
    let [window] = &schedule.windows[..] else { panic!("{schedule:?}") };
    let open: Vec<String> = window.open.iter().map(ToString::to_string).collect();
    assert_eq!(open, ["Mon-Thu 09:00-16:00", "fri 09:00-12:00"]);
    assert_eq!(window.time_zone.iana_name(), Some("Europe/Berlin"));
    assert!(window.gates.namespace.is_match("pay-eu") && !window.gates.namespace.is_match("shop"));
    let [dates, calendar] = &schedule.freezes[..] else { panic!("{schedule:?}") };
    assert_eq!(dates.reason.as_deref(), Some("Christmas and New Year"));
    assert_eq!((dates.key.as_str(), calendar.key.as_str()), ("freezes[0]", "freezes[1]"));
    let FreezeTime::Dates { period, zone } = &dates.when else { panic!("{dates:?}") };
    assert_eq!((period.from.0, period.until.0), (1_797_548_400_000, 1_799_038_800_000));
    assert_eq!(zone.to_fixed_offset().unwrap().seconds(), 3_600);
    let FreezeTime::Calendar { file, zone } = &calendar.when else { panic!("{calendar:?}") };
    assert_eq!(file.to_str(), Some("/etc/bridge/freezes.ics"));
    assert_eq!(zone.as_ref().and_then(|zone| zone.iana_name()), Some("Europe/Berlin"));
}

#[test]
fn variables_set_both_lists() {
    let config = with_env(&[
        ("BRIDGE__WINDOWS", r#"[{ match = {}, open = ["Mon 09:00-10:00"], time_zone = "UTC" }]"#),
        ("BRIDGE__FREEZES", r#"[{ match = {}, calendar_file = "x.ics" }]"#),
    ]);
    let schedule = config.unwrap().policy.schedule;
    assert_eq!((schedule.windows.len(), schedule.freezes.len()), (1, 1));
    let text = "[[freezes]]\nmatch = {}\ncalendar_file = \"x.ics\"\nexcept = { labels = [\" emergency\"], priorities = [\"Highest\"] }";
    let config = load_text(text).unwrap();
    let except = &config.policy.schedule.freezes[0].except;
    assert_eq!(except.to_string(), "the label \"emergency\" or the priority \"Highest\"");
    assert_eq!(config.jira.client.exceptions, except.0);
    let none = load_text("").unwrap().policy.schedule;
    assert!(none.is_empty());
}

#[test]
fn each_mistake_is_reported_by_its_key() {
    let text = r#"
        [[windows]]
        open = ["Mon-Thu 9-16", "", "Tue 10:00-10:00"]
        time_zone = "Europe/Hamburg"
        [[windows]]
        match = { stage = "promotion" }
        open = []
        zone = "UTC"
        [[windows]]
        match = {}
        open = "Mon 09:00-10:00"
        time_zone = ""
        [[freezes]]
        match = {}
        [[freezes]]
        match = {}
        from = "2026-12-18T00:00:00"
        until = 2027-01-04
        [[freezes]]
        match = {}
        from = "2026-12-18T00:00:00Z"
        until = "2026-12-18T00:00:00Z"
        except = { labels = ["emergency", "two words", ""], priority = ["Highest"] }
        [[freezes]]
        match = {}
        from = "2026-12-18T00:00:00Z"
        until = "2026-12-19T00:00:00Z"
        except = {}
        [[freezes]]
        match = {}
        from = "2026-12-18T00:00:00Z"
        until = "2026-12-19T00:00:00Z"
        except = { types = ["Emergency change"] }
        [[freezes]]
        match = {}
        from = "2026-12-18T00:00:00Z"
        until = "2026-12-19T00:00:00Z"
        except = ["emergency"]
        [[freezes]]
        match = {}
        from = "2026-12-18T00:00:00Z"
        [[freezes]]
        match = {}
        from = "2026-12-18T00:00:00Z"
        until = "2026-12-19T00:00:00Z"
        time_zone = "UTC"
        [[freezes]]
        match = {}
        from = "2026-12-18T00:00:00Z"
        calendar_file = "x.ics"
    "#;
    insta::assert_snapshot!(problems(text), @r#"
    windows[0].match: is missing
    windows[0].open[0]: "Mon-Thu 9-16": "9" is no time from 00:00 to 24:00; write days and times, for example "Mon-Thu 09:00-16:00", or "Fri,Sun 22:00-02:00" for hours that end on the next day
    windows[0].open[1]: is empty; leave it out
    windows[0].open[2]: "Tue 10:00-10:00": begins and ends at the same time; write 00:00-24:00 for whole days
    windows[0].time_zone: "Europe/Hamburg" is no time zone; write for example "Europe/Berlin", or "UTC"
    windows[1].match.stage: "promotion" matches no stage; there are confirm-rollout, confirm-traffic-increase, confirm-promotion, gate
    windows[1].open: is empty, so no gate of this window could ever open
    windows[1].time_zone: is missing; write for example "Europe/Berlin", or "UTC"
    windows[1].zone: unknown key
    windows[2].open: expected a list of strings, such as ["Mon-Thu 09:00-16:00", "Fri 09:00-12:00"], got a string
    windows[2].time_zone: is empty
    freezes[0].from: is missing; a freeze needs from and until, or calendar_file
    freezes[1].from: "2026-12-18T00:00:00" is no time with an offset; write for example "2026-12-18T00:00:00+01:00"
    freezes[1].until: "2027-01-04" is no time with an offset; write for example "2026-12-18T00:00:00+01:00"
    freezes[2].until: must be later than from
    freezes[2].except.labels[1]: "two words" is no label, because it has a space
    freezes[2].except.labels[2]: is empty; leave it out
    freezes[2].except.priority: unknown key
    freezes[3].except.labels: is missing; write for example labels = ["emergency"], or priorities = ["Highest"]
    freezes[4].except.types: cannot lift it, because a ticket opens nothing once its type was changed; use labels or priorities
    freezes[5].except: expected a table, such as { labels = ["emergency"] }, got a list
    freezes[6].until: is missing
    freezes[7].time_zone: is for calendar_file; the dates of from and until name their own offset
    freezes[8].calendar_file: cannot stand beside from and until; write a freeze of its own for each
    "#);
}
