//! Random times as Jira and HTTP write them.

use std::time::Duration;

use proptest::prelude::*;

use super::time;
use crate::millis::Millis;

proptest! {
    /// Times are parsed correctly or not at all.
    #[test]
    fn times(
        text in prop_oneof![
            "[0-9]{1,5}-[0-9]{1,2}-[0-9]{1,2}T[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,12})?([+-][0-9]{2}:?[0-9]{2}|Z)?",
            "-?[0-9]{0,25}\\.[0-9]{0,40}", "(Sun, )?[0-9]{1,2} (Nov|Feb|Xxx) [0-9]{2,5} [0-9]{2}:[0-9]{2}:[0-9]{2} (GMT|[+-][0-9]{4})", "-?[0-9]{1,25}", "\\PC{0,20}",
        ],
        now: i64, at in -60_000_000_000_000_i64..250_000_000_000_000, zone in -840..=840_i64,
    ) {
        let _ = (time::parse_jira(&text), time::parse_http(&text), time::rate_limit_reset(&text, Millis(now)), time::rate_limit_policies(&text));
        if let Some(wait) = time::retry_after(&text, Millis(now)) {
            let seconds = text.trim().parse::<u64>().ok().map(Duration::from_secs);
            prop_assert!(seconds.is_none_or(|seconds| seconds == wait));
            prop_assert!(!wait.is_zero() && !text.trim().starts_with('-'));
        }
        // Formatted by the test, as Jira writes it.
        let local = at + zone * 60_000;
        let (days, rest) = (local.div_euclid(86_400_000), local.rem_euclid(86_400_000));
        let (year, month, day) = civil(days);
        let sign = if zone < 0 { '-' } else { '+' };
        let written = format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}{sign}{:02}{:02}", rest / 3_600_000, rest / 60_000 % 60,
            rest / 1_000 % 60, rest % 1_000, zone.abs() / 60, zone.abs() % 60,
        );
        prop_assert_eq!(time::parse_jira(&written), Some(Millis(at)), "{}", written);
    }
}

/// Year, month and day of a number of days since 1970-01-01, by counting.
fn civil(days: i64) -> (i64, i64, i64) {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut year, mut left) = (1970 + days.div_euclid(146_097) * 400, days.rem_euclid(146_097));
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let months = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in months {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}
