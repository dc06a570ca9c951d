//! The time that a ticket plans.

use std::collections::BTreeMap;

use super::*;

fn planned(start: Option<&str>, end: Option<&str>) -> Planned {
    let fields = [("cf_1", start), ("cf_2", end)].into_iter();
    let fields = fields.filter_map(|(id, value)| Some((id.to_owned(), value?.to_owned())));
    Planned::read("cf_1", "cf_2", &fields.collect::<BTreeMap<_, _>>())
}

fn at(schedule: &Schedule, planned: &Planned, now: &str) -> String {
    let calendars = Calendars::default();
    let gate = schedule.of(GATE, &calendars, Some(planned.clone()), |_| false).unwrap();
    let closed = gate.closed(millis(now));
    assert_eq!(closed.is_some(), gate.is_closed(millis(now)));
    closed.map_or_else(|| "open".to_owned(), |closed| closed.words(WhenRead::At(millis(now))))
}

#[test]
fn a_gate_opens_within_the_time_that_its_ticket_plans() {
    let free = schedule(vec![], vec![]);
    let week = schedule(vec![window(&["Mon-Fri 09:00-16:00"], "Europe/Berlin")], vec![]);
    let frozen = schedule(vec![], vec![freeze("2026-12-07T00:00:00Z", "2026-12-07T12:00:00Z", None)]);
    // A Monday, from 08:00 to 20:00 UTC, as Jira writes it.
    let day = planned(Some("2026-12-07T09:00:00.000+0100"), Some("2026-12-07T21:00:00.000+0100"));
    let told = [
        ("before it", at(&free, &day, "2026-12-07T07:59:59Z")),
        ("at its start", at(&free, &day, "2026-12-07T08:00:00Z")),
        ("before its end", at(&free, &day, "2026-12-07T19:59:59.999Z")),
        ("at its end", at(&free, &day, "2026-12-07T20:00:00Z")),
        ("before both it and the window", at(&week, &day, "2026-12-06T07:59:59Z")),
        ("in both", at(&week, &day, "2026-12-07T10:00:00Z")),
        ("after the window, which opens too late", at(&week, &day, "2026-12-07T16:00:00Z")),
        ("in it and in a freeze", at(&frozen, &day, "2026-12-07T10:00:00Z")),
        ("after the freeze", at(&frozen, &day, "2026-12-07T12:00:00Z")),
    ];
    let told = told.map(|(what, words)| format!("{what}: {words}"));
    insta::assert_snapshot!(told.join("\n"), @r"
    before it: the time that this ticket plans has not come; opens today at 09:00 +01:00
    at its start: open
    before its end: open
    at its end: the time that this ticket plans is over; opens once it plans a later time
    before both it and the window: the time that this ticket plans has not come; opens Mon-Fri 09:00-16:00 Europe/Berlin, next tomorrow at 09:00
    in both: open
    after the window, which opens too late: outside of its window; no opening was found within the next 400 days
    in it and in a freeze: in a freeze; opens today at 13:00 +01:00
    after the freeze: open
    ");
}

#[test]
fn a_ticket_that_does_not_say_when_stays_closed() {
    let free = schedule(vec![], vec![]);
    let good = "2026-12-07T09:00:00.000+0100";
    let told = [
        planned(None, None),
        planned(Some(good), None),
        planned(Some(good), Some("")),
        planned(Some("2026-12-07"), Some(good)),
        planned(Some("2026-12-07T09:00:00"), Some(good)),
        planned(Some("tomorrow\nat nine"), Some(good)),
        planned(Some(good), Some(good)),
        planned(Some("2026-12-07T10:00:00Z"), Some(good)),
        planned(Some("2026-12-07T07:00:00Z"), Some("2026-12-07T08:00:00+00:00")),
    ];
    let told = told.map(|planned| at(&free, &planned, "2026-12-07T07:30:00Z"));
    insta::assert_snapshot!(told.join("\n"), @r#"
    it is not known when this ticket plans its change: the ticket has no value in cf_1; opens once its fields say that
    it is not known when this ticket plans its change: the ticket has no value in cf_2; opens once its fields say that
    it is not known when this ticket plans its change: "" in cf_2 is no date with a time and an offset; opens once its fields say that
    it is not known when this ticket plans its change: "2026-12-07" in cf_1 is no date with a time and an offset; opens once its fields say that
    it is not known when this ticket plans its change: "2026-12-07T09:00:00" in cf_1 is no date with a time and an offset; opens once its fields say that
    it is not known when this ticket plans its change: "tomorrow at nine" in cf_1 is no date with a time and an offset; opens once its fields say that
    it is not known when this ticket plans its change: cf_2 is not later than cf_1; opens once its fields say that
    it is not known when this ticket plans its change: cf_2 is not later than cf_1; opens once its fields say that
    open
    "#);
}
