//! PURE: the approvals of Jira Service Management, and which of them decided about a ticket.
//!
//! An approval belongs to a stay of the ticket in the status whose approval step asked for it. Its outcome moves the ticket on.
//! So it explains that move alone: not one that an agent made past it, and not a later one after the ticket went on and came
//! back.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::history::{Move, number, orders};
use crate::{
    millis::Millis,
    policy::{Meaning, Person},
};

/// How far apart Jira may record one action: the move into a status and the approval that it asks for, or the last answer and
/// the move that it causes.
const ONE_ACTION: Duration = Duration::from_secs(5);
/// More people than this are counted, not named.
const MOST_NAMED: usize = 5;

/// What was decided, by one approver or by the approval as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeskDecision {
    /// Approved.
    Approved,
    /// Declined.
    Declined,
    /// Nothing yet.
    Pending,
}

/// An approval of a request, as Jira Service Management shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeskApproval {
    /// Its id, a number.
    pub id: String,
    /// What it asks, on one line.
    pub name: String,
    /// The decision of all approvers together.
    pub decision: DeskDecision,
    /// When it was asked for, by Jira's clock.
    pub created: Millis,
    /// When it was decided, by Jira's clock; none if it is pending.
    pub completed: Option<Millis>,
    /// Who is asked, each with the answer.
    pub approvers: Vec<(Person, DeskDecision)>,
}

/// The approval that decided about a ticket, for the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeskRecord {
    /// The approval's id.
    pub id: String,
    /// When it was decided, by Jira's clock.
    pub at: Millis,
    /// Who decided so.
    pub by: Vec<Person>,
    /// How many were asked.
    pub asked: usize,
}

/// Why no approval explains the move of a ticket to its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoApproval {
    /// There is none.
    None,
    /// The newest is not decided.
    Pending {
        /// How many approved so far.
        approved: usize,
        /// How many are asked.
        asked: usize,
    },
    /// The newest was decided in the other way.
    Contrary,
    /// The newest was asked for before the bridge had the ticket.
    Before,
    /// The newest belongs to another stay in that status, or the ticket was moved past it.
    Elsewhere,
}

impl DeskApproval {
    /// The people who answered like this.
    pub fn people(&self, decision: DeskDecision) -> impl Iterator<Item = &Person> {
        self.approvers.iter().filter(move |(_, answer)| *answer == decision).map(|(person, _)| person)
    }

    /// What is kept of it.
    #[must_use]
    pub fn record(&self) -> DeskRecord {
        let by = self.people(self.decision).cloned().collect();
        let at = self.completed.unwrap_or(self.created);
        DeskRecord { id: self.id.clone(), at, by, asked: self.approvers.len() }
    }

    /// Whether it was asked for and decided while the ticket stayed in the status that this move left: not earlier than it
    /// came there, and not later than it left. `before` is the move that brought it there, if there is one.
    fn explains(&self, entry: &Move, before: Option<&Move>) -> bool {
        let Some(completed) = self.completed else { return false };
        let came = before.is_none_or(|before| before.at <= self.created + ONE_ACTION);
        came && self.created <= completed && completed <= entry.at + ONE_ACTION
    }
}

/// From this time on all moves must be known to tell which move the newest approval explains. None: there is no approval.
#[must_use]
pub fn moves_needed_since(approvals: &[DeskApproval]) -> Option<Millis> {
    newest(approvals).map(|newest| newest.created - ONE_ACTION)
}

fn newest(approvals: &[DeskApproval]) -> Option<&DeskApproval> {
    approvals.iter().max_by_key(|approval| (approval.created, number(&approval.id)))
}

/// The approval that explains the deciding move of a ticket. Only the newest can: a newer one, even if it is pending, is the
/// question that counts now. `moves` are all moves since
/// [`moves_needed_since`], and `taken_at` is when the bridge took a ticket that existed
/// before.
///
/// # Errors
/// Why none explains it.
pub fn explaining<'a>(
    approvals: &'a [DeskApproval],
    entry: &Move,
    moves: &[Move],
    meaning: Meaning,
    taken_at: Option<Millis>,
) -> Result<&'a DeskApproval, NoApproval> {
    let newest = newest(approvals).ok_or(NoApproval::None)?;
    match (newest.decision, meaning) {
        (DeskDecision::Pending, _) => {
            let approved = newest.people(DeskDecision::Approved).count();
            return Err(NoApproval::Pending { approved, asked: newest.approvers.len() });
        }
        (DeskDecision::Approved, Meaning::Approved) | (DeskDecision::Declined, Meaning::Rejected) => {}
        (DeskDecision::Approved | DeskDecision::Declined, _) => return Err(NoApproval::Contrary),
    }
    if taken_at.is_some_and(|taken| newest.created < taken) {
        return Err(NoApproval::Before);
    }
    // In each possible order of the moves.
    let explains = orders(moves).iter().all(|(_, order)| {
        let at = order.iter().position(|other| *other == entry);
        at.is_some_and(|at| newest.explains(entry, at.checked_sub(1).map(|before| order[before])))
    });
    if explains { Ok(newest) } else { Err(NoApproval::Elsewhere) }
}

impl fmt::Display for NoApproval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str(
                "Jira Service Management shows no approval on it: its workflow has no approval step there, or the ticket was moved past it",
            ),
            Self::Pending { approved, asked } => write!(
                f,
                "its newest approval in Jira Service Management is still pending ({approved} of {asked} approved)"
            ),
            Self::Contrary => f.write_str(
                "its newest approval in Jira Service Management was decided the other way, and somebody moved the ticket by hand",
            ),
            Self::Before => {
                f.write_str("its approval in Jira Service Management was asked for before the ticket was one of this rollout")
            }
            Self::Elsewhere => f.write_str(
                "its newest approval in Jira Service Management did not move it there: the ticket was moved by hand, or went on and came \
                 back since",
            ),
        }
    }
}

impl fmt::Display for DeskRecord {
    /// `Mia and Bob (2 of 3 approvers)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<&str> = self.by.iter().take(MOST_NAMED).map(|person| person.name.as_str()).collect();
        let named = match (named.split_last(), self.by.len().saturating_sub(MOST_NAMED)) {
            (None, _) => "nobody".to_owned(),
            (Some(_), others @ 1..) => format!("{} and {others} more", named.join(", ")),
            (Some((only, [])), 0) => (*only).to_owned(),
            (Some((last, first)), 0) => format!("{} and {last}", first.join(", ")),
        };
        write!(f, "{named} ({} of {} approvers)", self.by.len(), self.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Status;

    fn moved(id: &str, second: i64, from: &str, to: &str) -> Move {
        let by = Person { id: "mia".into(), name: "Mia".into(), app: false };
        let to = Status { id: to.into(), name: to.into() };
        Move { changelog_id: id.into(), by, at: Millis(second * 1000), from: from.into(), to }
    }

    fn approval(id: &str, created: i64, completed: Option<i64>, decision: DeskDecision) -> DeskApproval {
        let person = |id: &str| Person { id: id.into(), name: id.into(), app: false };
        DeskApproval {
            id: id.into(),
            name: "Change".into(),
            decision,
            created: Millis(created * 1000),
            completed: completed.map(|at| Millis(at * 1000)),
            approvers: vec![(person("mia"), decision), (person("bob"), DeskDecision::Pending)],
        }
    }

    #[test]
    fn only_the_approval_that_moved_the_ticket_explains_its_status() {
        use DeskDecision::{Approved, Declined, Pending};
        let straight = || vec![moved("1", 100, "new", "wait"), moved("2", 200, "wait", "yes")];
        let back = || {
            let mut moves = straight();
            moves.extend([moved("3", 300, "yes", "doing"), moved("4", 400, "doing", "yes")]);
            moves
        };
        let again = || {
            let mut moves = straight();
            moves.extend([moved("3", 300, "yes", "wait"), moved("4", 400, "wait", "yes")]);
            moves
        };
        let yes = |created, completed| approval("1", created, Some(completed), Approved);
        for (moves, approvals, meaning, taken_at, expected) in [
            (straight(), vec![yes(100, 200)], Meaning::Approved, None, Ok("1")),
            // Jira records the parts of one action in any order.
            (straight(), vec![yes(97, 203)], Meaning::Approved, None, Ok("1")),
            (straight(), vec![], Meaning::Approved, None, Err(NoApproval::None)),
            (
                straight(),
                vec![approval("1", 100, None, Pending)],
                Meaning::Approved,
                None,
                Err(NoApproval::Pending { approved: 0, asked: 2 }),
            ),
            (
                straight(),
                vec![approval("1", 100, Some(150), Declined)],
                Meaning::Approved,
                None,
                Err(NoApproval::Contrary),
            ),
            (straight(), vec![yes(100, 200)], Meaning::Rejected, None, Err(NoApproval::Contrary)),
            (straight(), vec![approval("1", 100, Some(200), Declined)], Meaning::Rejected, None, Ok("1")),
            // Moved past the approval, which was answered later.
            (straight(), vec![yes(100, 300)], Meaning::Approved, None, Err(NoApproval::Elsewhere)),
            // It went on and came back.
            (back(), vec![yes(100, 200)], Meaning::Approved, None, Err(NoApproval::Elsewhere)),
            // Re-opened: the same approval does not count again, a new one does.
            (again(), vec![yes(100, 200)], Meaning::Approved, None, Err(NoApproval::Elsewhere)),
            (
                again(),
                vec![yes(100, 200), approval("2", 300, Some(400), Approved)],
                Meaning::Approved,
                None,
                Ok("2"),
            ),
            (
                again(),
                vec![yes(100, 200), approval("2", 300, None, Pending)],
                Meaning::Approved,
                None,
                Err(NoApproval::Pending { approved: 0, asked: 2 }),
            ),
            (straight(), vec![yes(100, 200)], Meaning::Approved, Some(Millis(99_000)), Ok("1")),
            (
                straight(),
                vec![yes(100, 200)],
                Meaning::Approved,
                Some(Millis(150_000)),
                Err(NoApproval::Before),
            ),
        ] {
            let entry = moves.last().unwrap();
            let found = explaining(&approvals, entry, &moves, meaning, taken_at);
            assert_eq!(found.map(|it| it.id.as_str()), expected, "{moves:?} {approvals:?}");
        }
    }

    #[test]
    fn a_record_names_who_decided() {
        let person = |name: &str| Person { id: name.into(), name: name.into(), app: false };
        let record = |names: &[&str]| {
            let by = names.iter().map(|name| person(name)).collect();
            DeskRecord { id: "1".into(), at: Millis(0), by, asked: 7 }.to_string()
        };
        assert_eq!(record(&["Mia"]), "Mia (1 of 7 approvers)");
        assert_eq!(record(&["Mia", "Bob", "Eve"]), "Mia, Bob and Eve (3 of 7 approvers)");
        assert_eq!(record(&["A", "B", "C", "D", "E", "F"]), "A, B, C, D, E and 1 more (6 of 7 approvers)");
    }
}
