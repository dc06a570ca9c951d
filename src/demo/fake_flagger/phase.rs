//! Flagger's phases.

/// The phase of a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The primary is being set up.
    Initializing,
    /// The first revision is the primary.
    Initialized,
    /// confirm-rollout was refused.
    Waiting,
    /// The new revision runs beside the primary.
    Progressing,
    /// confirm-promotion was refused.
    WaitingPromotion,
    /// The new revision is being copied to the primary.
    Promoting,
    /// The canary's own pods are being scaled down.
    Finalising,
    /// The rollout is over, and the new revision is the primary.
    Succeeded,
    /// The rollout is over, and the old revision is the primary.
    Failed,
}

impl Phase {
    /// As Flagger spells it.
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
        }
    }

    /// Whether no rollout is running.
    #[must_use]
    pub const fn is_idle(self) -> bool {
        matches!(self, Self::Initialized | Self::Succeeded | Self::Failed)
    }
}
