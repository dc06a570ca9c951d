//! PURE: what a ticket can show of a rollout.

use serde::{Deserialize, Serialize};

use super::{change::Change, configs::Configs, digest::Digest};
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
    /// It is bound to this, too. `None`: the ticket says that it does not cover ConfigMaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configs: Option<Configs>,
}

/// What a change differs in from what a ticket shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// In the pod template.
    Template,
    /// Only in the content of these ConfigMaps.
    Configs(Vec<String>),
}

impl Shows {
    /// What this change differs in. A ticket that covers ConfigMaps does not show a change of which they are not known.
    /// One that does not cover them promised nothing about them, also if they can be read by now.
    #[must_use]
    pub fn divergence(&self, change: &Change) -> Option<Divergence> {
        if self.digest != change.digest {
            return Some(Divergence::Template);
        }
        let then = self.configs.as_ref()?;
        match &change.configs {
            Some(now) if now == then => None,
            Some(now) => Some(Divergence::Configs(then.differing(now))),
            None => Some(Divergence::Configs(then.differing(&Configs::default()))),
        }
    }
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
        Some(Shows {
            summary: change.summary(),
            digest: change.digest.clone(),
            configs: change.configs.clone(),
        })
    }
}
