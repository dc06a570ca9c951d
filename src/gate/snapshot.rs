//! PURE: what Jira showed of a ticket.

use super::{
    history::{Invalidation, Move, orders},
    name::GateId,
};
use crate::{millis::Millis, policy::Status};

/// What Jira showed of a ticket, in an answer that was proven to be authenticated.
#[derive(Clone, Debug, PartialEq)]
pub enum IssueSnapshot {
    /// The issue is there.
    Issue {
        /// Its key today.
        key: String,
        /// The key of the project it is in today.
        project: String,
        /// The id of its issue type today.
        issue_type: String,
        /// Where it stands.
        status: Status,
        /// Whether it carries the label that tickets get when their rollout ends.
        ended: bool,
        /// The gates whose ticket it says that it is.
        marks: Vec<GateId>,
        /// All changes of its status, in any order.
        moves: Vec<Move>,
        /// What undoes those before it.
        invalidations: Vec<Invalidation>,
        /// When Jira answered, by Jira's clock.
        answered: Millis,
    },
    /// Asked for by its id alone, Jira showed no such issue, and knew us afterwards.
    Missing {
        /// Whether our account could see it, if it is there.
        browse: Browse,
    },
}

impl IssueSnapshot {
    /// When the ticket of this gate was last moved, by Jira's clock, as far as this shows.
    #[must_use]
    pub fn newest_move(&self, gate: &GateId) -> Option<Millis> {
        match self {
            Self::Issue { marks, moves, .. } if marks.contains(gate) => {
                moves.iter().map(|entry| entry.at).max()
            }
            // The moves of somebody else's issue say nothing about this one.
            Self::Issue { .. } | Self::Missing { .. } => None,
        }
    }

    /// Whether the ticket of this gate was moved at `known`, and this is how it was before. A history only grows: what ends
    /// sooner was said sooner, and kept on the way or in an index; or Jira was restored, and then only what happens since counts.
    /// Where the status is not the one with which the history ends that proves nothing, now or then.
    #[must_use]
    pub fn is_older_than(&self, gate: &GateId, known: Option<Millis>) -> bool {
        match self {
            Self::Issue { marks, status, moves, .. } => {
                let ends = |order: &[&Move]| order.last().is_some_and(|last| last.to.id == status.id);
                marks.contains(gate)
                    && self.newest_move(gate) < known
                    && orders(moves).iter().any(|(_, order)| ends(order))
            }
            Self::Missing { .. } => false,
        }
    }
}

/// Whether our account may browse the project that an issue is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browse {
    /// Jira says so.
    Proven,
    /// It may not, or that was not asked.
    Unproven,
}
