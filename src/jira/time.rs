//! PURE: the ways in which Jira and HTTP write a time.

use std::time::Duration;

use jiff::{Timestamp, Zoned, fmt::strtime};

use crate::millis::Millis;

/// Jira's `2026-09-27T10:03:11.123+0200` (the offset has no colon, and is the site's), and RFC 3339.
pub(super) fn jira(text: &str) -> Option<Millis> {
    let text = text.trim();
    let parsed = text.parse::<Timestamp>().ok().or_else(|| {
        strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", text).ok().and_then(|parts| parts.to_timestamp().ok())
    });
    parsed.map(|at| Millis(at.as_millisecond()))
}

/// An HTTP date, as in `Date` and `Retry-After`: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn http(text: &str) -> Option<Millis> {
    let parsed: Zoned = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
    Some(Millis(parsed.timestamp().as_millisecond()))
}

/// What `Retry-After` asks for: seconds, or a date compared with the `now` of the same answer.
pub(super) fn retry_after(text: &str, now: Millis) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than fits is as good as for ever.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    http(text).map(|then| then.since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_needs_no_colon() {
        let at = Millis(1_790_496_191_123);
        for text in [
            "2026-09-27T10:03:11.123+0200",
            "2026-09-27T08:03:11.123+0000",
            "2026-09-27T10:03:11.123+02:00",
            "2026-09-27T08:03:11.123Z",
            "2026-09-27T04:33:11.123-0330",
        ] {
            assert_eq!(jira(text), Some(at), "{text}");
        }
        assert_eq!(jira("2026-09-27T10:03:11+0200"), Some(Millis(1_790_496_191_000)));
        for text in ["", "soon", "2026-09-27", "2026-09-27T10:03:11.123"] {
            assert_eq!(jira(text), None, "{text}");
        }
    }

    #[test]
    fn http_dates() {
        assert_eq!(http("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Millis(784_111_777_000)));
        assert_eq!(http("yesterday"), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Millis(784_111_777_000);
        assert_eq!(retry_after(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("99999999999999999999999", now), Some(Duration::from_secs(u64::MAX)));
        for garbage in ["", "-1", "+5", "1.5", "soon", "Sun, 06 Nov", "0x10", "\u{0665}"] {
            assert_eq!(retry_after(garbage, now), None, "{garbage}");
        }
    }
}
