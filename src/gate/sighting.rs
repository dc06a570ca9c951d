//! PURE: what Jira showed of a ticket, and what that means for its gate.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Decision, Doubt, Gate, Standing, Ticket, View};
use crate::{
    millis::Millis,
    policy::{Author, Meaning, Statuses},
};

/// A status of a Jira workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What is compared: names are translated and repeated.
    pub id: String,
    /// What is shown.
    pub name: String,
}

/// Somebody who moved a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// `accountId` on Cloud, `name` on Data Center.
    pub id: String,
    /// The name people know them by, as of then.
    pub name: String,
    /// Whether Jira says that it is an app or an automation, not a person.
    pub app: bool,
}

/// One change of an issue's status, as its changelog has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The id of the changelog entry: a number in both kinds of Jira, rising with time on each of its nodes.
    pub changelog_id: String,
    /// Who.
    pub by: Person,
    /// When, by Jira's clock.
    pub at: Millis,
    /// The id of the status it left.
    pub from: String,
    /// The status it came to.
    pub to: Status,
}

/// What Jira showed of a ticket, in an answer that was proven to be authenticated.
#[derive(Clone, Debug, PartialEq)]
pub enum Sighting {
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
        /// All changes of its status, in any order.
        moves: Vec<Move>,
        /// When Jira answered, by Jira's clock.
        answered: Millis,
    },
    /// Asked for by its id alone, and Jira knows no such issue.
    Missing,
}

impl Gate {
    /// What the gate becomes by this sighting of its ticket; `None` if it is no news. `now` is when Jira was asked, `arrived`
    /// when it answered.
    ///
    /// The time of an unchanged sighting is news only of an approval, which is trusted for so long, and only when the
    /// stored one is getting old: within a sixth of `trust_for`. A poll of every ticket does not write every ticket.
    #[must_use]
    pub fn see(
        &self,
        sighting: &Sighting,
        statuses: &Statuses,
        author: &Author,
        now: Millis,
        arrived: Millis,
        trust_for: Duration,
    ) -> Option<Self> {
        let Standing::Watched { ticket, seen, view } = &self.standing else { return None };
        let (key, new) = match sighting {
            Sighting::Missing => {
                let again = matches!(view, View::Gone { doubt: Doubt::Missing { .. } });
                (&ticket.key, View::Gone { doubt: Doubt::Missing { confirmed: again } })
            }
            Sighting::Issue { key, status, ended: true, .. } => {
                (key, View::Gone { doubt: Doubt::LabelledEnded { status: status.clone() } })
            }
            Sighting::Issue { key, project, issue_type, status, ended: false, moves, answered } => {
                let view = if *project != ticket.project || *issue_type != ticket.issue_type {
                    View::Gone { doubt: Doubt::MovedElsewhere { project: project.clone() } }
                } else {
                    read(status, moves, statuses, author, |entry| arrived - answered.since(entry.at))
                };
                (key, view)
            }
        };
        if new.is_unjudged() && new.entry() == view.entry() && !view.is_unjudged() {
            // Nobody could be asked just now; what was found out before holds for as long as it is trusted.
            return None;
        }
        let new = if new.same(view) { view.clone() } else { new };
        let is_renewed = matches!(view, View::Approved { .. }) && now.apart(*seen) >= trust_for / 6;
        if new == *view && *key == ticket.key && !is_renewed {
            return None;
        }
        let ticket = Ticket { key: key.clone(), ..ticket.clone() };
        Some(Self { standing: Standing::Watched { ticket, seen: now, view: new }, ..self.clone() })
    }
}

impl View {
    /// Whether both say the same of the ticket. A decision is known by its changelog entry: its place on our clock
    /// is estimated at each sighting, and the first estimate stays.
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Approved { status: here, decision: a }, Self::Approved { status: there, decision: b })
            | (
                Self::Unjudged { status: here, decision: a, .. },
                Self::Unjudged { status: there, decision: b, .. },
            ) => here == there && a.entry == b.entry,
            (
                Self::Rejected { status: here, decision: a, author: judged },
                Self::Rejected { status: there, decision: b, author: before },
            ) => here == there && a.entry == b.entry && alike(judged, before),
            (
                Self::NotAllowed { status: here, decision: a, why },
                Self::NotAllowed { status: there, decision: b, why: before },
            ) => here == there && a.entry == b.entry && why == before,
            (
                Self::Waiting { .. }
                | Self::Approved { .. }
                | Self::Rejected { .. }
                | Self::NotAllowed { .. }
                | Self::Unjudged { .. }
                | Self::Gone { .. },
                _,
            ) => self == other,
        }
    }

    /// The changelog entry that decided, if one did.
    fn entry(&self) -> Option<&Move> {
        match self {
            Self::Approved { decision, .. }
            | Self::Rejected { decision, .. }
            | Self::NotAllowed { decision, .. }
            | Self::Unjudged { decision, .. } => Some(&decision.entry),
            Self::Waiting { .. } | Self::Gone { .. } => None,
        }
    }

    /// Whether it waits for a judgement of whoever decided.
    fn is_unjudged(&self) -> bool {
        match self {
            Self::Unjudged { .. } | Self::Rejected { author: Author::Unknown { .. }, .. } => true,
            Self::Approved { .. }
            | Self::Rejected { .. }
            | Self::NotAllowed { .. }
            | Self::Waiting { .. }
            | Self::Gone { .. } => false,
        }
    }
}

/// The move that decided, if the ticket stands where one does and its changelog tells how it came there.
///
/// Neither order of the entries is sure: Jira's clock may be set back, and the nodes of a Data Center take their ids
/// in blocks. So an order counts in which each move begins where the one before it ended. Where both are such orders, or
/// neither is, for instance because a workflow was replaced without an entry, they must name the same move.
#[must_use]
pub fn decisive<'a>(status: &Status, moves: &'a [Move], statuses: &Statuses) -> Option<&'a Move> {
    let meaning = statuses.meaning(&status.id);
    if meaning == Meaning::Waiting {
        return None;
    }
    let id = |entry: &Move| entry.changelog_id.parse::<u64>().unwrap_or(u64::MAX);
    let mut orders: [Vec<&Move>; 2] = [moves.iter().collect(), moves.iter().collect()];
    orders[0].sort_by_key(|entry| (entry.at, id(entry)));
    orders[1].sort_by_key(|entry| (id(entry), entry.at));
    let followed = |order: &[&Move]| order.windows(2).all(|pair| pair[0].to.id == pair[1].from);
    let any_followed = orders.iter().any(|order| followed(order));
    let mut told = orders
        .iter()
        .filter(|order| followed(order) || !any_followed)
        .map(|order| last_into(meaning, status, order, statuses));
    let first = told.next()?;
    if told.all(|other| other == first) { first } else { None }
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
    // A changelog that ends elsewhere than the issue stands is not the whole story.
    decisive.filter(|_| order.last().is_some_and(|last| last.to.id == status.id))
}

/// Reads a status together with the changelog that must explain it, and the judgement of whoever decided.
///
/// `on_our_clock` tells when an entry was made, by our clock.
fn read(
    status: &Status,
    moves: &[Move],
    statuses: &Statuses,
    author: &Author,
    on_our_clock: impl Fn(&Move) -> Millis,
) -> View {
    let status = status.clone();
    let meaning = statuses.meaning(&status.id);
    if meaning == Meaning::Waiting {
        return View::Waiting { status: Some(status) };
    }
    let Some(entry) = decisive(&status, moves, statuses) else {
        return View::Gone { doubt: Doubt::NoChangelogEntry { status } };
    };
    let decision = Decision { entry: entry.clone(), since: on_our_clock(entry) };
    match (meaning, author) {
        (Meaning::Rejected, author) => View::Rejected { status, decision, author: author.clone() },
        (Meaning::Approved | Meaning::Waiting, Author::Accepted) => View::Approved { status, decision },
        (Meaning::Approved | Meaning::Waiting, Author::NotAccepted { why }) => {
            View::NotAllowed { status, decision, why: why.clone() }
        }
        (Meaning::Approved | Meaning::Waiting, Author::Unknown { why }) => {
            View::Unjudged { status, decision, why: why.clone() }
        }
    }
}

/// Whether both judgements come to the same: why one is not known changes from look to look.
fn alike(a: &Author, b: &Author) -> bool {
    match (a, b) {
        (Author::Unknown { .. }, Author::Unknown { .. }) => true,
        (Author::Accepted | Author::NotAccepted { .. } | Author::Unknown { .. }, _) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A changelog of `id@time from>to` entries, and the id of the one that decided where the ticket stands.
    fn decided(at: &str, moves: &str) -> Option<String> {
        let entry = |text: &str| {
            let (id, rest) = text.split_once('@').unwrap();
            let (at, rest) = rest.split_once(' ').unwrap();
            let (from, to) = rest.split_once('>').unwrap();
            Move {
                changelog_id: id.into(),
                by: Person { id: "mia".into(), name: "Mia".into(), app: false },
                at: Millis(at.parse().unwrap()),
                from: from.into(),
                to: Status { id: to.into(), name: to.into() },
            }
        };
        let moves: Vec<Move> = moves.split(", ").filter(|text| !text.is_empty()).map(entry).collect();
        let ids = |id: &str| std::iter::once(id.to_owned()).collect();
        let statuses = Statuses { approved: ids("yes"), rejected: ids("no") };
        let status = Status { id: at.into(), name: at.into() };
        decisive(&status, &moves, &statuses).map(|entry| entry.changelog_id.clone())
    }

    #[test]
    fn the_move_that_decided_is_the_last_by_every_order_that_can_be() {
        for (at, moves, expected) in [
            ("yes", "", None),
            ("new", "1@1 yes>new", None),
            ("yes", "1@1 new>yes", Some("1")),
            ("no", "1@1 new>no", Some("1")),
            ("yes", "3@3 new>yes, 1@1 new>yes, 2@2 yes>new", Some("3")),
            // It stands elsewhere than its changelog ends.
            ("yes", "1@1 new>yes, 2@2 yes>new", None),
            ("yes", "1@1 new>no", None),
            // A node of a cluster took its ids from a later block: by id, moves do not follow each other.
            ("yes", "20@1 new>yes, 21@2 yes>new, 10@3 new>yes", Some("10")),
            // The clock was set back: by time, moves do not follow each other, and the last of all is out of it.
            ("yes", "1@9 new>yes, 2@3 yes>new, 3@4 new>no", None),
            ("yes", "1@9 new>yes, 2@3 yes>new, 3@4 new>yes", Some("3")),
            // Both could be, and do not agree on who decided.
            ("yes", "1@9 new>yes, 2@8 yes>new, 3@7 new>yes", None),
            // Neither can be: a move is missing. They agree, or they do not.
            ("yes", "1@1 new>no, 2@2 new>yes", Some("2")),
            ("yes", "2@1 new>yes, 1@2 other>yes", None),
            // Ids that are no numbers leave the time.
            ("yes", "a@1 new>yes, b@2 yes>new, c@3 new>yes", Some("c")),
            ("yes", "c@3 new>yes, b@2 yes>new, a@1 new>yes", Some("c")),
        ] {
            assert_eq!(decided(at, moves).as_deref(), expected, "{at}: {moves}");
        }
    }
}
