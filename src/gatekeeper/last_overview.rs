//! The last reading of what the page shows beside the gates, and whom it still answers.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::view::Overview;

/// After a reading that took this long, the next one waits twice as long as it took.
const SLOW: Duration = Duration::from_secs(1);
/// After a reading that failed, the next one waits this long, however long it took: the page says that it was tried just
/// now.
const RETRY_AFTER: Duration = Duration::from_secs(1);

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
        let rest = match &self.found {
            Ok(_) if self.took >= SLOW => self.took * 2,
            Ok(_) => Duration::ZERO,
            Err(_) => RETRY_AFTER,
        };
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
        let (works, fails) = (Ok(Arc::default()), Err("away".to_owned()));
        // What a reading from second 10 found, how long it took, the age that a caller accepts, when the caller came, and
        // whether the reading answers then.
        for (found, took, max_age, came, answers) in [
            (&works, 0, 0, 9, true),
            (&works, 0, 0, 10, true),
            (&works, 0, 0, 11, false),
            (&works, 0, 2, 11, true),
            (&works, 0, 2, 12, false),
            // After a slow one the database rests.
            (&works, 5, 0, 12, true),
            (&works, 5, 0, 24, true),
            (&works, 5, 0, 25, false),
            (&works, 5, 2, 24, true),
            // After one that failed it is asked again soon.
            (&fails, 0, 0, 10, true),
            (&fails, 0, 0, 11, false),
            (&fails, 5, 0, 15, true),
            (&fails, 5, 0, 16, false),
            (&fails, 5, 2, 16, true),
            (&fails, 5, 2, 17, false),
        ] {
            let reading = LastOverview {
                asked: start + second * 10,
                took: second * took,
                turn: None,
                found: found.clone(),
            };
            let came = start + second * came;
            let now = came.max(reading.asked + reading.took);
            assert_eq!(
                reading.answers(came, second * max_age, now),
                answers,
                "{found:?} {took} {max_age} {came:?}"
            );
        }
    }
}
