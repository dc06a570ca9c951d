//! A point in time, as the pure modules and the store use it.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Millis(pub i64);

impl Millis {
    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The time between the two, whichever comes first. For limits that setting the clock back must not extend.
    #[must_use]
    pub fn abs_diff(self, other: Self) -> Duration {
        self.since(other).max(other.since(self))
    }
}

/// The milliseconds of a duration, at most `i64::MAX`.
#[must_use]
pub fn as_millis_i64(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A point in time for sentences: RFC 3339 in UTC, to the second.
#[must_use]
pub fn clock_time(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |time| format!("{time:.0}"))
}

/// A duration as people write it in the configuration: in the largest unit of which it is a whole number; up to three
/// days in hours, as in `72h`.
#[must_use]
pub fn config_notation(duration: Duration) -> String {
    const THREE_DAYS: u128 = 259_200_000;
    let millis = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let units = units.iter().filter(|(_, name)| *name != "d" || millis > THREE_DAYS);
    let whole = units.into_iter().find(|(unit, _)| millis >= *unit && millis.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{millis}ms"), |(unit, name)| format!("{}{name}", millis / unit))
}

/// A duration in words, in the largest unit of which it is a whole number: `1 minute`, `90 seconds`.
#[must_use]
pub fn duration_in_words(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [(86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second")];
    let whole = units.iter().find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit));
    let (count, unit) = whole.map_or((millis, "millisecond"), |(unit, name)| (millis / unit, *name));
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// A duration in its largest whole unit, such as `3 h`.
#[must_use]
pub fn rough_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

impl Add<Duration> for Millis {
    type Output = Self;
    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(as_millis_i64(later)))
    }
}

impl Sub<Duration> for Millis {
    type Output = Self;
    fn sub(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(as_millis_i64(earlier)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasted_is_in_its_largest_unit() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_599, "59 min"),
            (3_600, "1 h"),
            (172_799, "47 h"),
            (172_800, "2 days"),
        ] {
            assert_eq!(rough_duration(Duration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn durations_in_words() {
        for (millis, words) in [
            (60_000, "1 minute"),
            (600_000, "10 minutes"),
            (90_000, "90 seconds"),
            (604_800_000, "7 days"),
            (1_500, "1500 milliseconds"),
        ] {
            assert_eq!(duration_in_words(Duration::from_millis(millis)), words);
        }
    }

    #[test]
    fn durations_are_written_whole() {
        let cases = [
            (0, "0ms"),
            (999, "999ms"),
            (1_500, "1500ms"),
            (90_000, "90s"),
            (5_400_000, "90m"),
            (259_200_000, "72h"),
            (604_800_000, "7d"),
            (608_400_000, "169h"),
        ];
        for (millis, words) in cases {
            assert_eq!(config_notation(Duration::from_millis(millis)), words);
        }
    }
}
