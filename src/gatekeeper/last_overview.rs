//! The last reading of what the page shows beside the gates, and whom it still answers.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::view::Overview;

/// After a reading that took this long, the next one waits twice as long as it took.
const SLOW: Duration = Duration::from_secs(1);

/// The last reading of the overview.
pub(super) struct LastOverview {
    pub(super) asked: Instant,
    pub(super) took: Duration,
    /// The last write transaction before it, if that could be read.
    pub(super) turn: Option<i64>,
    /// What was read, or why the database failed.
    pub(super) found: Result<Arc<Overview>, String>,
}

impl LastOverview {
    /// Whether this answers a caller who came at `came` and accepts readings of this age.
    pub(super) fn answers(&self, came: Instant, max_age: Duration, now: Instant) -> bool {
        let rest = if self.took >= SLOW { self.took * 2 } else { Duration::ZERO };
        let age = now.saturating_duration_since(self.asked + self.took);
        self.asked >= came || age < max_age.max(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_answers_those_who_waited_for_it_and_for_a_while_others() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        // How long a reading from second 10 took, the age that a caller accepts, when the caller came, and whether the reading
        // answers then.
        for (took, max_age, came, answers) in [
            (0, 0, 9, true),
            (0, 0, 10, true),
            (0, 0, 11, false),
            (0, 2, 11, true),
            (0, 2, 12, false),
            // After a slow one the database rests.
            (5, 0, 12, true),
            (5, 0, 24, true),
            (5, 0, 25, false),
            (5, 2, 24, true),
        ] {
            let reading = LastOverview {
                asked: start + second * 10,
                took: second * took,
                turn: None,
                found: Err("away".into()),
            };
            let came = start + second * came;
            let now = came.max(reading.asked + reading.took);
            assert_eq!(reading.answers(came, second * max_age, now), answers, "{took} {max_age} {came:?}");
        }
    }
}
