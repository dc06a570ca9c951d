//! PURE: the lines of a ticket that say when its gate may open.

use super::{doc::Span, sections::line};
use crate::policy::Except;

/// What a ticket says of the windows and freezes of its gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketHours {
    /// Its windows, with their time zone; none if it has no window.
    pub windows: Option<String>,
    /// Whether a freeze may keep it closed.
    pub has_freezes: bool,
    /// What of the ticket lifts its windows and freezes; empty if nothing does.
    pub except: Except,
    /// The fields of the ticket that say when it may open: start and end.
    pub planned: Option<(String, String)>,
    /// Why it is closed when the ticket is opened, and when it opens next; none if it is open then.
    pub closed: Option<(String, String)>,
}

/// When Flagger can go on.
pub(super) fn hours_line(hours: &TicketHours) -> Vec<Span> {
    hours_line_with(hours, "An approval given at another time waits until then, and may expire meanwhile. ")
}

/// When Flagger can go on at a gate that asks nobody.
pub(super) fn recorded_hours_line(hours: &TicketHours) -> Vec<Span> {
    hours_line_with(hours, "")
}

fn hours_line_with(hours: &TicketHours, approval: &str) -> Vec<Span> {
    let windows = hours.windows.as_ref().map(|windows| format!("only {windows}"));
    let planned = hours.planned.as_ref().map(|(start, end)| {
        format!("only between the times in the fields {start} and {end} of this ticket, and not before both are set")
    });
    let freezes = hours.has_freezes.then(|| "not during a freeze".to_owned());
    let within: Vec<String> = windows.into_iter().chain(planned).chain(freezes).collect();
    let within = format!("{}.", within.join(", and "));
    let except = if hours.except.is_empty() {
        String::new()
    } else {
        format!(" If somebody who may approve gives this ticket {}, Flagger can go on earlier.", hours.except)
    };
    let now = match &hours.closed {
        Some((why, opens)) => format!(" At first, it is closed: {why}; {opens}."),
        None => String::new(),
    };
    line(
        "When Flagger can go on",
        &format!("{within} {approval}What Flagger has been told to do before goes on.{except}{now}"),
    )
}
