//! PURE: what the bridge remembers of revisions beyond the current rollout.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::message::{Label, Revision};
use crate::{gate::GateId, millis::Millis};

/// How long a superseded revision is remembered.
const HOUR: Duration = Duration::from_secs(3600);
/// How many superseded revisions are remembered.
const MOST: usize = 24;

/// A revision that started in place of another without a question: Flagger asks at confirm-rollout only before the
/// first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnaskedRevision {
    /// The revision.
    pub revision: Revision,
    /// The gates that were opened for the previous one.
    pub gates: Vec<GateId>,
}

/// The team's label for a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionLabel {
    /// The revision.
    pub revision: Revision,
    /// The label.
    pub label: Label,
}

/// A revision that was superseded before it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupersededRevision {
    /// Its checksum, or the checksum of the revision that it was to replace.
    pub checksum: Revision,
    /// When.
    pub at: Millis,
    /// Whether it had been superseded before within the hour.
    pub again: bool,
}

impl SupersededRevision {
    /// Adds one, and drops those that are too old.
    pub(super) fn record(all: &mut Vec<Self>, checksum: &Revision, now: Millis) {
        all.retain(|left| now.since(left.at) < HOUR);
        let again = all.iter().any(|left| left.checksum == *checksum);
        if all.len() == MOST {
            all.remove(0);
        }
        all.push(Self { checksum: checksum.clone(), at: now, again });
    }

    /// Whether revisions alternate, as those of two clusters under one name do.
    pub(super) fn alternate(all: &[Self], now: Millis) -> bool {
        all.iter().any(|left| left.again && now.since(left.at) < HOUR)
    }
}
