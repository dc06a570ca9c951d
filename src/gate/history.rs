//! PURE: what undoes a decision: a history entry that changes where the issue belongs, or that cannot be read.

use std::{collections::BTreeSet, time::Duration};

use super::Move;
use crate::millis::Millis;

/// What Jira writes down in several entries of a history is one deed where they are no further apart than this. Nobody moves
/// a ticket to where it belongs and goes through its workflow in less.
const ONE_ACT: Duration = Duration::from_secs(5);

/// A history entry after which an earlier change of status proves nothing any more, nor one that it is itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalidation {
    /// The id of the history entry; empty if it has none that can be read.
    pub changelog_id: String,
    /// Who made it, by the id of the account; empty if Jira does not say.
    pub by: String,
    /// When, by Jira's clock, if that can be read.
    pub at: Option<Millis>,
    /// Why.
    pub cause: Cause,
}

/// Why a history entry undoes decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// It changes the project, key, issue type or workflow: the status is what somebody, or Jira, mapped it to.
    Relocated,
    /// It cannot be read, and may be a change of the status or of the above.
    Unreadable,
}

/// By what the entries of a history are put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// When they were made.
    Time,
    /// Their ids.
    Id,
}

/// The orders in which these moves may have been made, each from the first to the last.
///
/// Neither order of the entries is sure: Jira's clock may be set back, and the nodes of a Data Center take their ids
/// in blocks. So an order counts in which each move begins where the one before it ended. Where neither is such an order,
/// for instance because a workflow was replaced without an entry, both may be.
pub(super) fn orders(moves: &[Move]) -> Vec<(By, Vec<&Move>)> {
    let (mut by_time, mut by_id): (Vec<&Move>, Vec<&Move>) = (moves.iter().collect(), moves.iter().collect());
    by_time.sort_by_key(|entry| (entry.at, number(&entry.changelog_id)));
    by_id.sort_by_key(|entry| (number(&entry.changelog_id), entry.at));
    let orders = vec![(By::Time, by_time), (By::Id, by_id)];
    let followed = |(_, order): &(By, Vec<&Move>)| order.windows(2).all(|pair| pair[0].to.id == pair[1].from);
    let any_followed = orders.iter().any(followed);
    orders.into_iter().filter(|order| followed(order) || !any_followed).collect()
}

/// Why this move proves nothing, if it does not: it is no transition itself, or something undid it. `moves` are all there
/// are, and tell by what they may be ordered.
#[must_use]
pub fn undone(entry: &Move, moves: &[Move], invalidations: &[Invalidation]) -> Option<Cause> {
    if invalidations.is_empty() {
        return None;
    }
    let orders = orders(moves);
    let undoes = |other: &&Invalidation| {
        other.changelog_id == entry.changelog_id
            || other.is_one_act_with(entry)
            || orders.iter().any(|(by, _)| other.follows(entry, *by))
    };
    invalidations.iter().filter(undoes).map(|other| other.cause).min()
}

/// Whether somebody moved the ticket by a transition of its workflow after this entry, by any order in which that may have been.
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
                .any(|it| it.changelog_id == other.changelog_id || it.is_one_act_with(other))
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
    /// Whether it follows that move in this order.
    fn follows(&self, entry: &Move, by: By) -> bool {
        let ids = (number(&self.changelog_id), number(&entry.changelog_id));
        let Some(at) = self.at else { return ids.0 >= ids.1 };
        match by {
            By::Time => (at, ids.0) >= (entry.at, ids.1),
            By::Id => (ids.0, at) >= (ids.1, entry.at),
        }
    }

    /// Whether both are parts of one deed that Jira wrote down in several entries, whichever comes first. Where it does not say
    /// whose this is, it may be.
    fn is_one_act_with(&self, entry: &Move) -> bool {
        let is_near = self.at.is_some_and(|at| at.apart(entry.at) <= ONE_ACT);
        self.cause == Cause::Relocated && is_near && (self.by == entry.by.id || self.by.is_empty())
    }
}

impl Move {
    /// From when on a history has to be known to tell whether this is a transition.
    #[must_use]
    pub fn told_since(&self) -> Millis {
        Millis(self.at.0.saturating_sub(i64::try_from(ONE_ACT.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// The number that an id is; one that is none comes after all others.
pub(super) fn number(id: &str) -> u64 {
    id.parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Person, Status};

    fn entry(id: &str, at: i64, from: &str, to: &str) -> Move {
        Move {
            changelog_id: id.into(),
            by: Person { id: "mia".into(), name: "Mia".into(), app: false },
            at: Millis(at),
            from: from.into(),
            to: Status { id: to.into(), name: to.into() },
        }
    }

    fn other(id: &str, at: Option<i64>, by: &str, cause: Cause) -> Invalidation {
        Invalidation { changelog_id: id.into(), by: by.into(), at: at.map(Millis), cause }
    }

    #[test]
    fn what_is_part_of_a_move_or_may_follow_it_undoes_it() {
        use Cause::{Relocated, Unreadable};
        let moves = [entry("5", 50, "new", "yes")];
        for (invalidation, expected) in [
            // The same entry, whoever and whenever.
            (other("5", Some(50), "mia", Relocated), Some(Relocated)),
            (other("5", None, "", Unreadable), Some(Unreadable)),
            // After it, by one order or the other: which is right cannot be told.
            (other("6", Some(60), "bob", Relocated), Some(Relocated)),
            (other("6", Some(40), "bob", Relocated), Some(Relocated)),
            (other("4", Some(60), "bob", Unreadable), Some(Unreadable)),
            // Before it.
            (other("4", Some(-6_000), "mia", Relocated), None),
            (other("4", Some(50), "bob", Relocated), None),
            (other("4", None, "bob", Unreadable), None),
            // One deed in two entries.
            (other("4", Some(50), "mia", Relocated), Some(Relocated)),
            (other("4", Some(40), "mia", Relocated), Some(Relocated)),
            (other("4", Some(-4_000), "mia", Relocated), Some(Relocated)),
            (other("6", Some(4_000), "mia", Relocated), Some(Relocated)),
            (other("4", Some(-4_000), "bob", Relocated), None),
            // Perhaps that was Mia, too.
            (other("4", Some(-4_000), "", Relocated), Some(Relocated)),
            (other("4", Some(50), "mia", Unreadable), None),
            // Nobody knows when.
            (other("", None, "", Unreadable), Some(Unreadable)),
            (other("x", Some(40), "", Unreadable), Some(Unreadable)),
        ] {
            let found = undone(&moves[0], &moves, std::slice::from_ref(&invalidation));
            assert_eq!(found, expected, "{invalidation:?}");
        }
    }

    #[test]
    fn an_order_that_cannot_be_does_not_count() {
        // The clock was set back after the first two: only the ids tell, and by them the relocation came before.
        let moves =
            [entry("1", 90, "new", "yes"), entry("2", 91, "yes", "new"), entry("4", 30, "new", "yes")];
        let before = other("3", Some(95), "bob", Cause::Relocated);
        assert_eq!(undone(&moves[2], &moves, &[before]), None);
        let after = other("5", Some(20), "bob", Cause::Relocated);
        assert_eq!(undone(&moves[2], &moves, &[after]), Some(Cause::Relocated));
    }
}
