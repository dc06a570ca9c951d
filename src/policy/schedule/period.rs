//! PURE: a stretch of time.

use jiff::Timestamp;

use crate::millis::Millis;

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first moment.
    pub from: Millis,
    /// The first moment after it.
    pub until: Millis,
}

impl Period {
    /// Whether this moment is in it.
    #[must_use]
    pub fn contains(self, at: Millis) -> bool {
        self.from <= at && at < self.until
    }
}

pub(super) fn to_millis(at: Timestamp) -> Millis {
    Millis(at.as_millisecond())
}
