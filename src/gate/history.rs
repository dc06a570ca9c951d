//! PURE: the history of an issue: which move decided, and which entries invalidate a move: one that changes project,
//! key, issue type or workflow, or one that cannot be read.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    millis::Millis,
    policy::{Meaning, Person, Status, Statuses},
};

/// Entries by one person within this time count as one action that Jira recorded in several entries. A person needs
/// longer to relocate a ticket and then move it through its workflow.
const ONE_ACTION: Duration = Duration::from_secs(5);

/// One change of an issue's status, as its changelog has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The id of the changelog entry: a number in both kinds of Jira, rising with time on each of its nodes.
    pub changelog_id: String,
    /// Who made it.
    pub by: Person,
    /// When, by Jira's clock.
    pub at: Millis,
    /// The id of the status it left.
    pub from: String,
    /// The new status.
    pub to: Status,
}

/// A history entry that invalidates earlier changes of the status, and one that it makes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalidation {
    /// The id of the history entry; empty if it cannot be read.
    pub changelog_id: String,
    /// The account id of its author; empty if Jira does not say.
    pub by: String,
    /// When, by Jira's clock, if that can be read.
    pub at: Option<Millis>,
    /// Why it invalidates.
    pub cause: InvalidationCause,
}

/// Why a history entry invalidates decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InvalidationCause {
    /// It changes the project, key, issue type or workflow: a wizard or a migration chose the status.
    Relocated,
    /// It cannot be read, and may change the status or relocate the issue.
    Unreadable,
}

/// How the entries of a history are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangelogOrder {
    /// By the time they were made.
    ByTime,
    /// By their ids.
    ById,
}

/// The orders in which these moves may have been made, each from the first to the last.
///
/// Neither order of the entries is certain: Jira's clock may be set back, and the nodes of a Data Center take their ids
/// in blocks. So an order counts if each move begins where the previous one ended. If neither order does, for instance
/// because a workflow was replaced without an entry, both count.
pub(super) fn orders(moves: &[Move]) -> Vec<(ChangelogOrder, Vec<&Move>)> {
    let (mut by_time, mut by_id): (Vec<&Move>, Vec<&Move>) = (moves.iter().collect(), moves.iter().collect());
    by_time.sort_by_key(|entry| (entry.at, number(&entry.changelog_id)));
    by_id.sort_by_key(|entry| (number(&entry.changelog_id), entry.at));
    let orders = vec![(ChangelogOrder::ByTime, by_time), (ChangelogOrder::ById, by_id)];
    let followed = |(_, order): &(ChangelogOrder, Vec<&Move>)| {
        order.windows(2).all(|pair| pair[0].to.id == pair[1].from)
    };
    let any_followed = orders.iter().any(followed);
    orders.into_iter().filter(|order| followed(order) || !any_followed).collect()
}

/// The move that decided, if the ticket is in a deciding status and its changelog explains how it got there.
///
/// If several orders of the moves are possible, all must name the same move.
#[must_use]
pub fn decisive<'a>(status: &Status, moves: &'a [Move], statuses: &Statuses) -> Option<&'a Move> {
    let meaning = statuses.meaning(&status.id);
    if meaning == Meaning::Waiting {
        return None;
    }
    let orders = orders(moves);
    let mut candidates = orders.iter().map(|(_, order)| last_into(meaning, status, order, statuses));
    let first = candidates.next()?;
    if candidates.all(|other| other == first) { first } else { None }
}

/// The last move of an order into the statuses of a meaning, with none out of them since.
fn last_into<'a>(
    meaning: Meaning,
    status: &Status,
    order: &[&'a Move],
    statuses: &Statuses,
) -> Option<&'a Move> {
    let mut decisive = None;
    for &entry in order {
        if statuses.meaning(&entry.to.id) != meaning {
            decisive = None;
        } else if statuses.meaning(&entry.from) != meaning {
            decisive = Some(entry);
        }
    }
    // A changelog that does not end with the status is incomplete.
    decisive.filter(|_| order.last().is_some_and(|last| last.to.id == status.id))
}

/// Whether this is among these moves, and none of them is later by its time or its number.
pub(super) fn is_newest(entry: &Move, moves: &[Move]) -> bool {
    let place = |entry: &Move| (entry.at, number(&entry.changelog_id));
    let (at, id) = place(entry);
    let is_it = |other: &Move| other.changelog_id == entry.changelog_id && other.at == entry.at;
    moves.iter().any(is_it) && moves.iter().map(place).all(|other| other.0 <= at && other.1 <= id)
}

/// Why this move proves nothing, if so: it is not a transition itself, or an entry invalidated it. `moves` are all
/// moves of the issue; they determine the possible orders.
#[must_use]
pub fn why_not_counted(
    entry: &Move,
    moves: &[Move],
    invalidations: &[Invalidation],
) -> Option<InvalidationCause> {
    if invalidations.is_empty() {
        return None;
    }
    let orders = orders(moves);
    let undoes = |other: &&Invalidation| {
        other.changelog_id == entry.changelog_id
            || other.is_same_action_as(entry)
            || orders.iter().any(|(by, _)| other.follows(entry, *by))
    };
    invalidations.iter().filter(undoes).map(|other| other.cause).min()
}

/// Whether the ticket was moved by a transition of its workflow after this entry, in any possible order.
pub(super) fn was_moved_since(
    entry: &Move,
    moves: &[Move],
    invalidations: &[Invalidation],
    workflow: &BTreeSet<String>,
) -> bool {
    let is_transition = |other: &Move| {
        workflow.contains(&other.from)
            && !invalidations
                .iter()
                .any(|it| it.changelog_id == other.changelog_id || it.is_same_action_as(other))
    };
    let place = |entry: &Move| (entry.at, number(&entry.changelog_id));
    if !moves.contains(entry) {
        return moves.iter().any(|other| place(other) > place(entry) && is_transition(other));
    }
    orders(moves).iter().any(|(_, order)| {
        order.iter().skip_while(|other| **other != entry).skip(1).any(|other| is_transition(other))
    })
}

impl Invalidation {
    /// Whether it comes after that move in this order.
    fn follows(&self, entry: &Move, by: ChangelogOrder) -> bool {
        let ids = (number(&self.changelog_id), number(&entry.changelog_id));
        let Some(at) = self.at else { return ids.0 >= ids.1 };
        match by {
            ChangelogOrder::ByTime => (at, ids.0) >= (entry.at, ids.1),
            ChangelogOrder::ById => (ids.0, at) >= (ids.1, entry.at),
        }
    }

    /// Whether both are parts of one action that Jira recorded in several entries, in any order. An unknown author may
    /// be the same person.
    fn is_same_action_as(&self, entry: &Move) -> bool {
        let is_near = self.at.is_some_and(|at| at.abs_diff(entry.at) <= ONE_ACTION);
        self.cause == InvalidationCause::Relocated
            && is_near
            && (self.by == entry.by.id || self.by.is_empty())
    }
}

impl Move {
    /// From this time on the history must be known to decide whether this is a transition.
    #[must_use]
    pub fn history_needed_since(&self) -> Millis {
        Millis(self.at.0.saturating_sub(i64::try_from(ONE_ACTION.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// The id as a number; an id that is not a number sorts last.
pub(super) fn number(id: &str) -> u64 {
    id.parse().unwrap_or(u64::MAX)
}
