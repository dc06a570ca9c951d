//! PURE: what is remembered of revisions beyond the rollout that lives.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::message::{Label, Revision};
use crate::{gate::GateId, millis::Millis};

/// For how long it is remembered that a revision was superseded.
const HOUR: Duration = Duration::from_secs(3600);
/// So many of them at most.
const MOST: usize = 24;

/// A revision that started in place of another without a question: Flagger asks at confirm-rollout only before the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnaskedRevision {
    /// Which.
    pub revision: Revision,
    /// The gates that were opened for the one before.
    pub gates: Vec<GateId>,
}

/// What the team called a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionLabel {
    /// Which.
    pub revision: Revision,
    /// How.
    pub label: Label,
}

/// A revision that was superseded before it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupersededRevision {
    /// Its checksum, or that of the one it was to replace.
    pub checksum: Revision,
    /// When.
    pub at: Millis,
    /// Whether it had been superseded before within the hour.
    pub again: bool,
}

impl SupersededRevision {
    /// Notes one more, and forgets what is long past.
    pub(super) fn note(all: &mut Vec<Self>, checksum: &Revision, now: Millis) {
        all.retain(|left| now.since(left.at) < HOUR);
        let again = all.iter().any(|left| left.checksum == *checksum);
        if all.len() == MOST {
            all.remove(0);
        }
        all.push(Self { checksum: checksum.clone(), at: now, again });
    }

    /// Whether revisions take turns, as those of two clusters under one name do.
    pub(super) fn take_turns(all: &[Self], now: Millis) -> bool {
        all.iter().any(|left| left.again && now.since(left.at) < HOUR)
    }
}
