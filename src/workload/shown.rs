//! PURE: what a ticket can show of a rollout.

use serde::{Deserialize, Serialize};

use super::{change::Change, digest::Digest};
use crate::millis::Millis;

/// What the bridge could read of a rollout when its ticket was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// What it would change.
    Change {
        /// The change.
        change: Change,
        /// Since when the cluster cannot be read: the change is as it was then. `None`: it can be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        as_of: Option<Millis>,
    },
    /// Nothing.
    Unreadable {
        /// Why, on one line.
        why: String,
    },
}

/// What a ticket shows of a change, as it is stored with its gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shows {
    /// The change on one line.
    pub summary: String,
    /// What an approval is bound to, where it is.
    pub digest: Digest,
}

impl Shown {
    /// The change, if it is known.
    #[must_use]
    pub const fn change(&self) -> Option<&Change> {
        match self {
            Self::Change { change, .. } => Some(change),
            Self::Unreadable { .. } => None,
        }
    }

    /// What is stored of it with a gate.
    #[must_use]
    pub fn shows(&self) -> Option<Shows> {
        let change = self.change()?;
        Some(Shows { summary: change.summary(), digest: change.digest.clone() })
    }
}
