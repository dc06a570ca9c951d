//! PURE: the formats in which Jira and HTTP write a time.

use std::time::Duration;

use jiff::{Timestamp, Zoned, fmt::strtime};

use crate::millis::Millis;

/// Jira's `2026-09-27T10:03:11.123+0200` (in the site's time zone, and without a colon in the offset), and RFC 3339.
pub(super) fn parse_jira(text: &str) -> Option<Millis> {
    let text = text.trim();
    let parsed = text.parse::<Timestamp>().ok().or_else(|| {
        strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", text).ok().and_then(|parts| parts.to_timestamp().ok())
    });
    parsed.map(|at| Millis(at.as_millisecond()))
}

/// An HTTP date, as in `Date` and `Retry-After`: `Sun, 06 Nov 1994 08:49:37 GMT`, or one of the two obsolete formats
/// that HTTP requires to be accepted.
pub(super) fn parse_http(text: &str) -> Option<Millis> {
    let text = text.trim();
    let parsed = jiff::fmt::rfc2822::parse(text).ok().map(|at: Zoned| at.timestamp().as_millisecond());
    let older = || {
        let since = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok()
    };
    parsed.or_else(older).map(Millis)
}

/// The wait that `Retry-After` asks for: seconds, possibly with a fraction, or a time, compared with the `now` of the
/// same answer. None if it is malformed, or not after `now`.
pub(super) fn retry_after(text: &str, now: Millis) -> Option<Duration> {
    let text = text.trim();
    seconds(text)
        .or_else(|| Some(parse_http(text).or_else(|| parse_jira(text))?.since(now)))
        .filter(|wait| !wait.is_zero())
}

/// The wait that `X-RateLimit-Reset` asks for: a time as Jira writes it, or, as proxies write it, seconds since 1970 or
/// from now.
pub(super) fn rate_limit_reset(text: &str, now: Millis) -> Option<Duration> {
    let text = text.trim();
    match seconds(text) {
        Some(seconds) if seconds >= EPOCH => {
            let at = i64::try_from(seconds.as_millis()).map_or(Millis(i64::MAX), Millis);
            Some(at.since(now)).filter(|wait| !wait.is_zero())
        }
        Some(_) | None => retry_after(text, now),
    }
}

/// The wait that the structured `RateLimit` asks for: the longest `t` (in seconds) of the policies that have nothing
/// left (`r=0`).
pub(super) fn rate_limit_policies(text: &str) -> Option<Duration> {
    let of_one = |policy: &str| {
        let parameter = |name: &str| {
            let mut parts = policy.split(';').skip(1).map(str::trim);
            parts.find_map(|part| part.strip_prefix(name)?.trim_start().strip_prefix('=').map(str::trim))
        };
        let spent = parameter("r").is_some_and(|left| left == "0");
        parameter("t").filter(|_| spent).and_then(seconds)
    };
    text.split(',').filter_map(of_one).max().filter(|wait| !wait.is_zero())
}

/// Seconds without a sign. A number that does not fit becomes the largest one.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let part: f64 = format!("0.{fraction}").parse().ok()?;
    let whole = Duration::from_secs(whole.parse().unwrap_or(u64::MAX));
    Some(whole.saturating_add(Duration::from_secs_f64(part)))
}

/// From this number of seconds on, a number means a time since 1970; a smaller one means a duration.
const EPOCH: Duration = Duration::from_secs(1_000_000_000);

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
            assert_eq!(parse_jira(text), Some(at), "{text}");
        }
        assert_eq!(parse_jira("2026-09-27T10:03:11+0200"), Some(Millis(1_790_496_191_000)));
        for text in ["", "soon", "2026-09-27", "2026-09-27T10:03:11.123"] {
            assert_eq!(parse_jira(text), None, "{text}");
        }
    }

    #[test]
    fn http_dates() {
        assert_eq!(parse_http("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Millis(784_111_777_000)));
        assert_eq!(parse_http("yesterday"), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_time() {
        let now = Millis(784_111_777_000);
        let wait = |text: &str| retry_after(text, now).map(|wait| wait.as_secs_f64());
        for (text, seconds) in [
            (" 7 ", 7.0),
            ("1.5", 1.5),
            ("0.25", 0.25),
            ("30.000", 30.0),
            ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
            ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
            ("Sun Nov  6 08:50:37 1994", 60.0),
            ("1994-11-06T08:50:37Z", 60.0),
        ] {
            assert_eq!(wait(text), Some(seconds), "{text}");
        }
        assert_eq!(retry_after("99999999999999999999999", now), Some(Duration::from_secs(u64::MAX)));
        for garbage in [
            "",
            "0",
            "0.0",
            "-1",
            "-1.5",
            "+5",
            "1.",
            ".5",
            "1.5.2",
            "1e9",
            "NaN",
            "inf",
            "soon",
            "Sun, 06 Nov",
            "0x10",
            "\u{0665}",
            "Sun, 06 Nov 1994 08:00:00 GMT",
        ] {
            assert_eq!(wait(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn a_reset_is_a_time_or_seconds() {
        let now = Millis(1_790_000_000_000);
        let wait = |text: &str| rate_limit_reset(text, now).map(|wait| wait.as_secs_f64());
        for (text, seconds) in [
            ("2026-09-21T14:14:20Z", 60.0),
            ("2026-09-21T14:14Z", 40.0),
            ("2026-09-21T16:14:20.500+0200", 60.5),
            ("Mon, 21 Sep 2026 14:14:20 GMT", 60.0),
            ("1790000090", 90.0),
            ("90", 90.0),
        ] {
            assert_eq!(wait(text), Some(seconds), "{text}");
        }
        for garbage in ["", "0", "-90", "1780000000", "2026-09-21T14:13:20Z", "2026-09-21", "soon"] {
            assert_eq!(wait(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn of_several_policies_the_longest_that_is_spent() {
        let wait = |text: &str| rate_limit_policies(text).map(|wait| wait.as_secs());
        for (text, seconds) in [
            ("\"jira-burst-based\";r=0;t=3", Some(3)),
            ("\"a\";r=0;t=3, \"b\";t=1200;r=0, \"c\";r=7;t=9000", Some(1200)),
            ("\"a\"; r=0; t=3", Some(3)),
            ("\"a\";r=5;t=3", None),
            ("\"a\";r=0", None),
            ("\"a\";r=0;t=-3", None),
            ("", None),
        ] {
            assert_eq!(wait(text), seconds, "{text}");
        }
    }
}
