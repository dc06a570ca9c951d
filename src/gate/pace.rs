//! PURE: how often Flagger asks at a gate.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::millis::Millis;

/// How often Flagger asks at a gate while it is closed. Kept in memory beside the gate, or no question would be free
/// of a write; it becomes part of [`super::Used`] when the gate opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// The last question, if it was answered closed.
    closed_at: Option<Millis>,
    /// The longest pause after such a question.
    longest_gap: Duration,
}

impl Pace {
    /// The longest pause after a closed answer, with the one that the question of `now` ends.
    #[must_use]
    pub fn longest_gap(&self, now: Millis) -> Duration {
        self.closed_at.map_or(self.longest_gap, |at| self.longest_gap.max(now.since(at)))
    }

    /// The same without the pause that goes on: how patient Flagger was before.
    #[must_use]
    pub const fn longest_gap_before(&self) -> Duration {
        self.longest_gap
    }

    /// Whether the last answer, as far as known, was open.
    #[must_use]
    pub const fn was_open(&self) -> bool {
        self.closed_at.is_none()
    }

    /// The bridge was away and is back. The pause that goes on is measured from `heard`, the last message by a clock that
    /// stood still meanwhile: the outage is no measure of Flagger's patience.
    pub const fn resumed(&mut self, heard: Millis) {
        if self.closed_at.is_some() {
            self.closed_at = Some(heard);
        }
    }

    /// A question was answered.
    pub fn answered(&mut self, open: bool, now: Millis) {
        self.longest_gap = self.longest_gap(now);
        self.closed_at = (!open).then_some(now);
    }
}
