//! PURE: how often Flagger asks at a gate.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::millis::Millis;

/// How often Flagger asks at a gate while it is closed. Kept only in memory, so that a question needs no write; it
/// becomes part of [`super::Used`] when the gate opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// When Flagger last asked, if the answer was closed.
    closed_at: Option<Millis>,
    /// The longest pause after a closed answer.
    longest_gap: Duration,
}

impl Pace {
    /// The longest pause after a closed answer, including the current one, which a question at `now` ends.
    #[must_use]
    pub fn longest_gap(&self, now: Millis) -> Duration {
        self.closed_at.map_or(self.longest_gap, |at| self.longest_gap.max(now.since(at)))
    }

    /// The same without the current pause.
    #[must_use]
    pub const fn longest_gap_before(&self) -> Duration {
        self.longest_gap
    }

    /// Whether the last answer, as far as known, was open.
    #[must_use]
    pub const fn was_open(&self) -> bool {
        self.closed_at.is_none()
    }

    /// Excludes an outage of the bridge from the current pause: it now counts from `last_message`, the time of the last
    /// message by a clock that stopped during the outage.
    pub const fn resumed(&mut self, last_message: Millis) {
        if self.closed_at.is_some() {
            self.closed_at = Some(last_message);
        }
    }

    /// Records an answer.
    pub fn answered(&mut self, open: bool, now: Millis) {
        self.longest_gap = self.longest_gap(now);
        self.closed_at = (!open).then_some(now);
    }
}
