//! Recent nudges, so that a flood of them about one ticket costs one write a second.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use crate::{lock::lock, millis::Millis};

/// Nudges about one ticket are stored no more often than this.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// The time of storing if that failed: long ago, so that the next nudge is stored at once.
const NEVER: Millis = Millis(i64::MIN);

/// The tickets that were nudged within the last second. Losing this is harmless: a bridge that starts reads every
/// ticket.
#[derive(Default)]
pub(super) struct RecentNudges(Mutex<HashMap<String, NudgeTimes>>);

struct NudgeTimes {
    /// When the last nudge was stored.
    stored: Millis,
    /// Whether another nudge came since, to be stored at the end of the second: the reading for the first nudge may
    /// have come before the change that the other reports.
    again: bool,
}

impl RecentNudges {
    /// Records a nudge. Returns whether to store it now; otherwise [`RecentNudges::due`] returns it later.
    pub(super) fn received(&self, ticket: &str, now: Millis) -> bool {
        let mut lately = self.lock();
        match lately.get_mut(ticket) {
            // A clock that was set back must not delay it further.
            Some(known) if (known.stored..known.stored + MIN_INTERVAL).contains(&now) => {
                known.again = true;
                false
            }
            Some(_) | None => {
                lately.insert(ticket.to_owned(), NudgeTimes { stored: now, again: false });
                true
            }
        }
    }

    /// The nudges to store now that their second is over. Forgets tickets without another nudge.
    pub(super) fn due(&self, now: Millis) -> Vec<String> {
        let mut due = Vec::new();
        self.lock().retain(|ticket, known| {
            if (known.stored..known.stored + MIN_INTERVAL).contains(&now) {
                return true;
            }
            if known.again {
                *known = NudgeTimes { stored: now, again: false };
                due.push(ticket.clone());
                return true;
            }
            false
        });
        due
    }

    /// Records that these could not be stored. With `have_to` the next [`RecentNudges::due`] returns them again;
    /// otherwise their sender got an error, and sends again.
    pub(super) fn not_stored(&self, tickets: &[String], have_to: bool) {
        let mut lately = self.lock();
        for ticket in tickets {
            if let Some(known) = lately.get_mut(ticket) {
                *known = NudgeTimes { stored: NEVER, again: known.again || have_to };
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, NudgeTimes>> {
        lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_stored_and_one_for_all_that_follow_within_its_second() {
        let nudges = RecentNudges::default();
        let at = |millis: i64| Millis(1_790_000_000_000 + millis);
        assert!(nudges.received("1", at(0)) && nudges.received("2", at(0)));
        assert!((0..1_000).all(|millis| !nudges.received("1", at(millis))));
        assert_eq!(nudges.due(at(999)), Vec::<String>::new());
        assert_eq!(nudges.due(at(1_000)), ["1"]);
        assert!(!nudges.received("1", at(1_500)) && nudges.received("2", at(1_500)));
        assert_eq!(nudges.due(at(2_000)), ["1"]);
        assert_eq!(nudges.due(at(9_000)), Vec::<String>::new());
        assert!(nudges.lock().is_empty());
    }

    #[test]
    fn what_could_not_be_stored_is_not_forgotten() {
        let nudges = RecentNudges::default();
        assert!(nudges.received("1", Millis(0)));
        nudges.not_stored(&["1".into()], false);
        assert!(nudges.received("1", Millis(1)), "its sender got an error, and sends again");
        assert!(!nudges.received("1", Millis(2)));
        nudges.not_stored(&["1".into()], false);
        assert_eq!(nudges.due(Millis(3)), ["1"], "its sender was answered that it is accepted");
        nudges.not_stored(&["1".into()], true);
        assert_eq!(nudges.due(Millis(4)), ["1"]);
    }

    #[test]
    fn a_clock_set_back_delays_no_nudge() {
        let nudges = RecentNudges::default();
        assert!(nudges.received("1", Millis(10_000)) && nudges.received("1", Millis(5_000)));
    }
}
