//! PURE: which statuses mean what, who may approve, and which settings hold for which gate.

use std::collections::BTreeSet;

/// What a status means for a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Neither approved nor rejected.
    Waiting,
    /// The gate may open.
    Approved,
    /// Somebody said no.
    Rejected,
}

/// The ids of the statuses that decide, in one project and issue type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses {
    /// Ids that mean yes.
    pub approved: BTreeSet<String>,
    /// Ids that mean no.
    pub rejected: BTreeSet<String>,
}

impl Statuses {
    /// What the status with this id means. One that is in both sets means no.
    #[must_use]
    pub fn meaning(&self, id: &str) -> Meaning {
        if self.rejected.contains(id) {
            Meaning::Rejected
        } else if self.approved.contains(id) {
            Meaning::Approved
        } else {
            Meaning::Waiting
        }
    }
}
