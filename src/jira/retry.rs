//! How long to wait before a retry. The only file that uses the `backoff` crate.

use std::time::Duration;

use backoff::backoff::Backoff as _;

/// The first step.
const FIRST: Duration = Duration::from_secs(1);
/// The longest step.
const LONGEST: Duration = Duration::from_mins(5);
/// The longest `Retry-After` that the bridge obeys.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// How long to wait after attempt `attempt` (the first is 0) failed: one second, doubled each time, at most five
/// minutes, and at least what Jira demanded. Jitter adds up to a fifth, and never shortens the wait. `unit` is a random
/// number between 0 and 1.
#[must_use]
pub fn delay(attempt: u32, retry_after: Option<Duration>, unit: f64) -> Duration {
    let mut steps = backoff::ExponentialBackoff {
        current_interval: FIRST,
        initial_interval: FIRST,
        multiplier: 2.0,
        randomization_factor: 0.0,
        max_interval: LONGEST,
        max_elapsed_time: None,
        ..Default::default()
    };
    let step = (0..=attempt.min(16)).filter_map(|_| steps.next_backoff()).last().unwrap_or(LONGEST);
    let demanded = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
    step.max(demanded).mul_f64(1.0 + unit.clamp(0.0, 1.0) / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_double_up_to_five_minutes() {
        let steps: Vec<u64> = (0..12).map(|attempt| delay(attempt, None, 0.0).as_secs()).collect();
        assert_eq!(steps, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(delay(u32::MAX, None, 0.0), LONGEST);
    }

    #[test]
    fn the_spread_adds_up_to_a_fifth_and_never_shortens() {
        assert_eq!(delay(40, None, 1.0), Duration::from_secs(360));
        assert_eq!(delay(0, Some(Duration::from_secs(30)), 1.0), Duration::from_secs(36));
        assert_eq!(delay(0, Some(Duration::from_secs(30)), -7.0), Duration::from_secs(30));
        assert_eq!(delay(0, None, f64::from(9)), Duration::from_millis(1200));
    }

    #[test]
    fn what_jira_demands_is_a_minimum_of_at_most_an_hour() {
        assert_eq!(delay(9, Some(Duration::from_secs(30)), 0.0), LONGEST);
        assert_eq!(delay(0, Some(Duration::from_secs(86_400)), 0.0), MAX_RETRY_AFTER);
    }
}
