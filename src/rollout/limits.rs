//! PURE: how many tickets may be opened.

use std::time::Duration;

use super::canary::Canary;
use crate::{gate::GateName, millis::Millis};

/// The window that the budget counts in.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// This many gates of one rollout count once. A rollout with more gates than teams usually set up counts again.
const GATES_AT_ONCE: usize = 4;

/// How many tickets may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Rollouts of one canary that may open tickets within an hour.
    pub per_hour: usize,
    /// Whether the limits allow one more open ticket.
    pub headroom: Headroom,
}

/// Whether the limits allow one more open ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headroom {
    /// They do.
    Available,
    /// The namespace has as many open tickets as `limits.open_tickets_per_namespace` allows.
    NamespaceFull,
    /// There are as many open tickets as `limits.open_tickets` allows.
    None,
}

/// Which limit prevents a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketLimit {
    /// `limits.tickets_per_canary_per_hour`
    PerCanary,
    /// `limits.open_tickets_per_namespace`
    PerNamespace,
    /// `limits.open_tickets`
    Overall,
}

impl TicketLimit {
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
    /// Which limit prevents a ticket now, if one does.
    #[must_use]
    pub fn refusal(&self, name: &GateName, now: Millis, budget: &Budget) -> Option<TicketLimit> {
        let lately = self.tickets_opened.iter().filter(|at| now.since(**at) < HOUR).count();
        match budget.headroom {
            _ if self.uses_budget(name) && lately >= budget.per_hour => Some(TicketLimit::PerCanary),
            Headroom::NamespaceFull => Some(TicketLimit::PerNamespace),
            Headroom::None => Some(TicketLimit::Overall),
            Headroom::Available => None,
        }
    }

    /// Whether a ticket for this gate uses the budget: the first ones of a rollout count once, and each that replaces
    /// another counts.
    pub(super) fn uses_budget(&self, name: &GateName) -> bool {
        let gates = self.rollout.as_ref().map_or(0, |rollout| rollout.gates.len());
        gates.is_multiple_of(GATES_AT_ONCE) || self.gate(name).is_some()
    }
}
