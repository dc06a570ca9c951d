//! Histories: which move decided, and what invalidates one.

use crate::{
    gate::{Invalidation, InvalidationCause, Move, decisive, why_not_counted},
    millis::Millis,
    policy::{Person, Status, Statuses},
};

fn entry(id: &str, at: i64, from: &str, to: &str) -> Move {
    Move {
        changelog_id: id.into(),
        by: Person { id: "mia".into(), name: "Mia".into(), app: false },
        at: Millis(at),
        from: from.into(),
        to: Status { id: to.into(), name: to.into() },
    }
}

fn other(id: &str, at: Option<i64>, by: &str, cause: InvalidationCause) -> Invalidation {
    Invalidation { changelog_id: id.into(), by: by.into(), at: at.map(Millis), cause }
}

/// The id of the move that decided the status `at`, in a changelog of `id@time from>to` entries.
fn decided(at: &str, moves: &str) -> Option<String> {
    let read = |text: &str| {
        let (id, rest) = text.split_once('@').unwrap();
        let (at, rest) = rest.split_once(' ').unwrap();
        let (from, to) = rest.split_once('>').unwrap();
        entry(id, at.parse().unwrap(), from, to)
    };
    let moves: Vec<Move> = moves.split(", ").filter(|text| !text.is_empty()).map(read).collect();
    let ids = |id: &str| std::iter::once(id.to_owned()).collect();
    let statuses = Statuses { approved: ids("yes"), rejected: ids("no"), ..Statuses::default() };
    let status = Status { id: at.into(), name: at.into() };
    decisive(&status, &moves, &statuses).map(|entry| entry.changelog_id.clone())
}

#[test]
fn an_entry_invalidates_its_own_action_and_earlier_moves() {
    use InvalidationCause::{Relocated, Unreadable};
    let moves = [entry("5", 50, "new", "yes")];
    for (invalidation, expected) in [
        // The same entry, by any author at any time.
        (other("5", Some(50), "mia", Relocated), Some(Relocated)),
        (other("5", None, "", Unreadable), Some(Unreadable)),
        // After it in one of the orders: which one is right is not known.
        (other("6", Some(60), "bob", Relocated), Some(Relocated)),
        (other("6", Some(40), "bob", Relocated), Some(Relocated)),
        (other("4", Some(60), "bob", Unreadable), Some(Unreadable)),
        // Before it.
        (other("4", Some(-6_000), "mia", Relocated), None),
        (other("4", Some(50), "bob", Relocated), None),
        (other("4", None, "bob", Unreadable), None),
        // One action in two entries.
        (other("4", Some(50), "mia", Relocated), Some(Relocated)),
        (other("4", Some(40), "mia", Relocated), Some(Relocated)),
        (other("4", Some(-4_000), "mia", Relocated), Some(Relocated)),
        (other("6", Some(4_000), "mia", Relocated), Some(Relocated)),
        (other("4", Some(-4_000), "bob", Relocated), None),
        // The unknown author may be Mia.
        (other("4", Some(-4_000), "", Relocated), Some(Relocated)),
        (other("4", Some(50), "mia", Unreadable), None),
        // At an unknown time.
        (other("", None, "", Unreadable), Some(Unreadable)),
        (other("x", Some(40), "", Unreadable), Some(Unreadable)),
    ] {
        let found = why_not_counted(&moves[0], &moves, std::slice::from_ref(&invalidation));
        assert_eq!(found, expected, "{invalidation:?}");
    }
}

#[test]
fn an_order_that_cannot_be_does_not_count() {
    // The clock was set back after the first two: only the ids tell, and by them the relocation came before.
    let moves = [entry("1", 90, "new", "yes"), entry("2", 91, "yes", "new"), entry("4", 30, "new", "yes")];
    let before = other("3", Some(95), "bob", InvalidationCause::Relocated);
    assert_eq!(why_not_counted(&moves[2], &moves, &[before]), None);
    let after = other("5", Some(20), "bob", InvalidationCause::Relocated);
    assert_eq!(why_not_counted(&moves[2], &moves, &[after]), Some(InvalidationCause::Relocated));
}

#[test]
fn the_move_that_decided_is_the_last_by_every_order_that_can_be() {
    for (at, moves, expected) in [
        ("yes", "", None),
        ("new", "1@1 yes>new", None),
        ("yes", "1@1 new>yes", Some("1")),
        ("no", "1@1 new>no", Some("1")),
        ("yes", "3@3 new>yes, 1@1 new>yes, 2@2 yes>new", Some("3")),
        // Its changelog does not end with its status.
        ("yes", "1@1 new>yes, 2@2 yes>new", None),
        ("yes", "1@1 new>no", None),
        // A node of a cluster took its ids from a later block: by id, moves do not follow each other.
        ("yes", "20@1 new>yes, 21@2 yes>new, 10@3 new>yes", Some("10")),
        // The clock was set back: by time, moves do not follow each other, and the last of all is out of it.
        ("yes", "1@9 new>yes, 2@3 yes>new, 3@4 new>no", None),
        ("yes", "1@9 new>yes, 2@3 yes>new, 3@4 new>yes", Some("3")),
        // Both orders are possible, and name different moves.
        ("yes", "1@9 new>yes, 2@8 yes>new, 3@7 new>yes", None),
        // Neither order is possible, because a move is missing. They agree, or they do not.
        ("yes", "1@1 new>no, 2@2 new>yes", Some("2")),
        ("yes", "2@1 new>yes, 1@2 other>yes", None),
        // Ids that are not numbers: only the time counts.
        ("yes", "a@1 new>yes, b@2 yes>new, c@3 new>yes", Some("c")),
        ("yes", "c@3 new>yes, b@2 yes>new, a@1 new>yes", Some("c")),
    ] {
        assert_eq!(decided(at, moves).as_deref(), expected, "{at}: {moves}");
    }
}
