//! PURE: the lines of a ticket that say when its gate may open.

use super::{doc::Span, sections::line};

/// What a ticket says of the windows and freezes of its gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketHours {
    /// Its windows, with their time zone; none if it has no window.
    pub windows: Option<String>,
    /// Whether a freeze may keep it closed.
    pub has_freezes: bool,
    /// Why it is closed when the ticket is opened, and when it opens next; none if it is open then.
    pub closed: Option<(String, String)>,
}

/// When Flagger can go on.
pub(super) fn hours_line(hours: &TicketHours) -> Vec<Span> {
    let within = match (&hours.windows, hours.has_freezes) {
        (Some(windows), true) => format!("only {windows}, and not during a freeze."),
        (Some(windows), false) => format!("only {windows}."),
        (None, _) => "not during a freeze.".to_owned(),
    };
    let now = match &hours.closed {
        Some((why, opens)) => format!(" At first, it is closed: {why}; {opens}."),
        None => String::new(),
    };
    line(
        "When Flagger can go on",
        &format!(
            "{within} An approval given at another time waits until then, and may expire meanwhile. What Flagger has been told to do \
             before goes on.{now}"
        ),
    )
}
