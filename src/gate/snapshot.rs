//! PURE: what Jira showed of a ticket.

use std::collections::BTreeMap;

use super::{
    desk_approval::DeskRecord,
    exception::ShownException,
    history::{Invalidation, Move, orders},
    name::GateId,
};
use crate::{millis::Millis, policy::Status};

/// What Jira showed of a ticket, in an answer that was proven to be authenticated.
#[derive(Clone, Debug, PartialEq)]
pub enum IssueSnapshot {
    /// Jira shows the issue.
    Issue {
        /// Its key today.
        key: String,
        /// The key of the project it is in today.
        project: String,
        /// The id of its issue type today.
        issue_type: String,
        /// Its status.
        status: Status,
        /// Whether it carries the label that tickets get when their rollout ends.
        ended: bool,
        /// The gates that it names as its own.
        marks: Vec<GateId>,
        /// All changes of its status, in any order.
        moves: Vec<Move>,
        /// Entries that invalidate earlier moves.
        invalidations: Vec<Invalidation>,
        /// The fields that say when the gate may open, by id, as far as the configuration names some: external text.
        planned: BTreeMap<String, String>,
        /// What it has that may lift a freeze or a window, as far as the configuration names some.
        exceptions: Vec<ShownException>,
        /// When Jira answered, by Jira's clock.
        answered: Millis,
        /// The approval in Jira Service Management that explains the deciding move, where that decides.
        approval: Option<DeskRecord>,
    },
    /// Asked for it by its id alone, Jira showed no such issue, and then accepted the bridge's credentials.
    Missing {
        /// Whether the bridge's account could see it, if it exists.
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
            // The moves of another gate's issue say nothing about this one.
            Self::Issue { .. } | Self::Missing { .. } => None,
        }
    }

    /// Whether this shows the ticket of this gate as it was before its move at `known`. A history only grows: one that
    /// ends earlier comes from a proxy or an index that is behind, or Jira was restored, and then only later moves
    /// count. A snapshot with a status that does not end its history proves nothing, and is not called older.
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

/// Whether the bridge's account may browse the project of an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browse {
    /// Jira says so.
    Proven,
    /// It may not, or the bridge did not ask.
    Unproven,
}
