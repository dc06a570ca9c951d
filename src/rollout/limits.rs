//! PURE: how many tickets may be opened.

use std::time::Duration;

use super::canary::Canary;
use crate::{gate::GateName, millis::Millis};

/// What the budget counts by.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// So many gates of one rollout count once. More of them are more than people set up, and count again.
const GATES_AT_ONCE: usize = 4;

/// How many tickets may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Rollouts of one canary that may open tickets within an hour.
    pub per_hour: usize,
    /// Whether there is room for one more live ticket.
    pub room: Room,
}

/// Whether there is room for one more live ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// There is.
    Left,
    /// As many of this namespace live as `limits.open_tickets_per_namespace` allows.
    NamespaceFull,
    /// As many live as `limits.open_tickets` allows.
    None,
}

/// Which limit keeps a ticket from being opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `limits.tickets_per_canary_per_hour`
    PerCanary,
    /// `limits.open_tickets_per_namespace`
    PerNamespace,
    /// `limits.open_tickets`
    Overall,
}

impl Refusal {
    /// The key of the limit.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::PerCanary => "tickets_per_canary_per_hour",
            Self::PerNamespace => "open_tickets_per_namespace",
            Self::Overall => "open_tickets",
        }
    }
}

impl Canary {
    /// Which limit keeps a ticket from being opened now, if one does.
    #[must_use]
    pub fn refusal(&self, name: &GateName, now: Millis, budget: &Budget) -> Option<Refusal> {
        let lately = self.budget.iter().filter(|at| now.since(**at) < HOUR).count();
        match budget.room {
            _ if self.counts(name) && lately >= budget.per_hour => Some(Refusal::PerCanary),
            Room::NamespaceFull => Some(Refusal::PerNamespace),
            Room::None => Some(Refusal::Overall),
            Room::Left => None,
        }
    }

    /// Whether a ticket for this gate is one more for the budget: the first ones of a rollout count once, and each that
    /// takes the place of another counts.
    pub(super) fn counts(&self, name: &GateName) -> bool {
        let gates = self.rollout.as_ref().map_or(0, |rollout| rollout.gates.len());
        gates.is_multiple_of(GATES_AT_ONCE) || self.gate(name).is_some()
    }
}
