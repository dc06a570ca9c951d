//! PURE: how often an increase of traffic is approved.

/// `ticket.traffic`: what a ticket of confirm-traffic-increase is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Traffic {
    /// All steps of traffic of a rollout.
    #[default]
    Once,
    /// One step.
    Step,
}

impl Traffic {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Once, Self::Step];

    /// Its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Step => "step",
        }
    }
}
