//! PURE: what a message of Flagger says: canary, revision and phase.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Flagger's resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CanaryId {
    /// The cluster, by the bridge's name for it.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for CanaryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.cluster, self.namespace, self.name)
    }
}

/// Flagger's `checksum`: what is being rolled out. At confirm-rollout it names the outgoing revision instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision(pub String);

/// The team's name for the revision: `metadata.revision`, if the team sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label(pub String);

/// Flagger's phase: how far a canary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The Canary is being set up: it was created, or created again.
    Initializing,
    /// Nothing was rolled out yet.
    Initialized,
    /// Waiting for confirm-rollout.
    Waiting,
    /// Under way.
    Progressing,
    /// Waiting for confirm-promotion.
    WaitingPromotion,
    /// The new revision is being copied to the primary.
    Promoting,
    /// The last steps.
    Finalising,
    /// Done.
    Succeeded,
    /// Rolled back, or about to be.
    Failed,
    /// Any other phase: it changes nothing.
    Other,
}

impl Phase {
    /// All phases but [`Self::Other`].
    const NAMED: [Self; 9] = [
        Self::Initializing,
        Self::Initialized,
        Self::Waiting,
        Self::Progressing,
        Self::WaitingPromotion,
        Self::Promoting,
        Self::Finalising,
        Self::Succeeded,
        Self::Failed,
    ];

    /// The phase of this name; any other name is [`Self::Other`].
    #[must_use]
    pub fn named(word: &str) -> Self {
        Self::NAMED.into_iter().find(|phase| phase.as_str() == word).unwrap_or(Self::Other)
    }

    /// Flagger's name for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "Initializing",
            Self::Initialized => "Initialized",
            Self::Waiting => "Waiting",
            Self::Progressing => "Progressing",
            Self::WaitingPromotion => "WaitingPromotion",
            Self::Promoting => "Promoting",
            Self::Finalising => "Finalising",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Other => "other",
        }
    }
}

/// What every message of Flagger says about the rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The phase. For events it is often the previous tick's.
    pub phase: Phase,
    /// The checksum; Flagger sends none before 1.34.
    pub checksum: Option<Revision>,
    /// The label, if the team sends one.
    pub label: Option<Label>,
}

/// Which report a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The post-rollout hook: the rollout is over.
    PostRollout,
    /// The event hook: something happened; the phase may be stale.
    Event,
}
