//! PURE: points in time, as the page shows them: always in the same format.

use serde::Serialize;

use crate::{
    millis::{Millis, rough_duration},
    view::Rfc3339,
};

/// A point in time.
#[derive(Debug, Serialize)]
pub(super) struct When {
    /// For programs: RFC 3339.
    at: Rfc3339,
    /// For people.
    shown: String,
    /// How long ago that was, or when it will be.
    words: String,
}

/// A point in time that has passed.
pub(super) fn when(at: Rfc3339, now: Millis) -> When {
    When { at, shown: shown(at.0), words: format!("{} ago", rough_duration(now.since(at.0))) }
}

/// A point in time at which something is tried.
pub(super) fn next(at: Rfc3339, now: Millis) -> When {
    let words = if at.0 > now { format!("in {}", rough_duration(at.0.since(now))) } else { "now".to_owned() };
    When { at, shown: shown(at.0), words }
}

/// The page's format: `2026-09-21 14:13:20 UTC`.
fn shown(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| at.0.to_string(), |time| time.strftime("%F %T UTC").to_string())
}

/// A text with every time of RFC 3339 in UTC in the page's format: reasons hold such times.
pub(super) fn in_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('T') {
        match at.checked_sub(DATE).and_then(|start| Some((start, end_of_time(rest.as_bytes(), start)?))) {
            Some((start, end)) => {
                out.push_str(&rest[..at]);
                out.push(' ');
                out.push_str(&rest[at + 1..start + PATTERN.len()]);
                out.push_str(" UTC");
                rest = &rest[end..];
            }
            None => {
                out.push_str(&rest[..=at]);
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

const PATTERN: &[u8] = b"0000-00-00T00:00:00";
/// The length of the date in it.
const DATE: usize = 10;

/// The end of the time that begins at `start`, if one does.
fn end_of_time(text: &[u8], start: usize) -> Option<usize> {
    let fits = |(is, pattern): (&u8, &u8)| if *pattern == b'0' { is.is_ascii_digit() } else { is == pattern };
    let time = text.get(start..start + PATTERN.len())?;
    if !time.iter().zip(PATTERN).all(fits) || start > 0 && text[start - 1].is_ascii_digit() {
        return None;
    }
    let mut end = start + PATTERN.len();
    if text.get(end) == Some(&b'.') {
        end += 1 + text[end + 1..].iter().take_while(|digit| digit.is_ascii_digit()).count();
    }
    (text.get(end) == Some(&b'Z')).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_within_a_text_get_the_page_s_format() {
        for (text, expected) in [
            ("", ""),
            ("To Do, since T", "To Do, since T"),
            ("since 2026-09-21T14:14:00Z: no", "since 2026-09-21 14:14:00 UTC: no"),
            (
                "2026-09-21T14:14:00.123Z2026-09-21T14:14:00Z",
                "2026-09-21 14:14:00 UTC2026-09-21 14:14:00 UTC",
            ),
            ("12026-09-21T14:14:00Z", "12026-09-21T14:14:00Z"),
            ("2026-09-21T14:14:00+02:00", "2026-09-21T14:14:00+02:00"),
            ("ü2026-09-21T14:14:00Zü", "ü2026-09-21 14:14:00 UTCü"),
            ("üüüüüT 2026-09-21T14:14:0", "üüüüüT 2026-09-21T14:14:0"),
        ] {
            assert_eq!(in_text(text), expected);
        }
    }

    #[test]
    fn a_time_has_passed_or_is_to_come() {
        let now = Millis(1_790_000_000_000);
        let ahead = Rfc3339(Millis(1_790_000_040_000));
        assert_eq!(next(ahead, now).words, "in 40 s");
        assert_eq!(next(Rfc3339(now), now).words, "now");
        let When { shown, words, .. } = when(Rfc3339(now), ahead.0);
        assert_eq!((shown.as_str(), words.as_str()), ("2026-09-21 14:13:20 UTC", "40 s ago"));
    }
}
