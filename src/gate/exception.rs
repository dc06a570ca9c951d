//! PURE: who set a label or a priority of a ticket that may lift a freeze or a window.

use std::{
    fmt::{Display, Formatter, Result},
    mem::discriminant,
};

use serde::{Deserialize, Serialize};

use crate::{
    millis::{Millis, clock_time},
    policy::{Author, Exception, Person},
};

/// A change of a label or a priority, as a changelog shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceptionChange {
    /// What was set or taken away.
    pub exception: Exception,
    /// Whether it was set.
    pub set: bool,
    /// The entry.
    pub entry: ExceptionEntry,
}

/// The changelog entry by which a label or a priority was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptionEntry {
    /// Its id.
    pub changelog_id: String,
    /// Who made it.
    pub by: Person,
    /// When, by Jira's clock.
    pub at: Millis,
}

/// A label or a priority that a ticket has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownException {
    /// Which one.
    pub exception: Exception,
    /// How it came there; none if the changelog does not show that, as for what the ticket has had from its creation.
    pub entry: Option<ExceptionEntry>,
}

/// A label or a priority that a ticket has, and whether it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketException {
    /// Which one.
    pub exception: Exception,
    /// How it came there, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<ExceptionEntry>,
    /// Whether the person who set it may approve.
    pub author: Author,
}

impl TicketException {
    /// The entry by which somebody set it who may approve; none if it does not count.
    #[must_use]
    pub fn accepted(&self) -> Option<&ExceptionEntry> {
        match &self.author {
            Author::Accepted => self.entry.as_ref(),
            Author::NotAccepted { .. } | Author::Unknown { .. } | Author::NoDecision => None,
        }
    }

    /// Why it does not count, as a part of a sentence; none if it does.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        let by = self.entry.as_ref().map(|entry| entry.by.name.as_str());
        match (&self.author, by) {
            (Author::Accepted, Some(_)) => None,
            (Author::NotAccepted { why }, Some(by)) => Some(format!("{by} set it, and {why}")),
            (Author::Unknown { why }, Some(by)) => {
                Some(format!("{by} set it, and it is not known yet whether that counts: {why}"))
            }
            (Author::NoDecision, Some(_)) => Some("it is not known yet whether that counts".to_owned()),
            (_, None) => Some("the ticket's history does not show who set it since it was opened".to_owned()),
        }
    }
}

/// A label or a priority opens a gate that its freezes or windows would keep closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifted {
    /// Why the gate would be closed, as a part of a sentence: `in the freeze "Christmas"`.
    pub why: String,
    /// What lifts that.
    pub exception: Exception,
    /// Who set it, and when.
    pub entry: ExceptionEntry,
}

/// `open although in the freeze "Christmas", because Mia Change set the label "emergency" at 2026-12-24T10:00:00Z`
impl Display for Lifted {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { why, exception, entry } = self;
        let (by, at) = (&entry.by.name, clock_time(entry.at));
        write!(f, "open although {why}, because {by} set {exception} at {at}")
    }
}

/// Whether both are the same, but for the reasons of judgments, which change from reading to reading.
pub(super) fn are_same_exceptions(some: &[TicketException], others: &[TicketException]) -> bool {
    let is_same = |(one, other): (&TicketException, &TicketException)| {
        one.exception == other.exception
            && one.entry == other.entry
            && discriminant(&one.author) == discriminant(&other.author)
    };
    some.len() == others.len() && some.iter().zip(others).all(is_same)
}

/// The entry by which a ticket got what it has now: the newest one about it. None if the changelog does not show it, or
/// contradicts what the ticket has, or several entries of one moment cannot be told apart.
#[must_use]
pub fn newest_entry(changes: &[ExceptionChange], exception: &Exception) -> Option<ExceptionEntry> {
    let about = || changes.iter().filter(|change| change.exception.is_same(exception));
    let newest = about().map(|change| change.entry.at).max()?;
    let mut last = about().filter(|change| change.entry.at == newest);
    let change = last.next().filter(|change| change.set)?;
    last.next().is_none().then(|| change.entry.clone())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn change(nth: usize, who: u8, set: bool, at: i64) -> ExceptionChange {
        let by = Person { id: who.to_string(), name: who.to_string(), app: false };
        let entry = ExceptionEntry { changelog_id: nth.to_string(), by, at: Millis(at) };
        ExceptionChange { exception: Exception::Label("emergency".into()), set, entry }
    }

    #[test]
    fn only_the_newest_entry_counts() {
        let emergency = Exception::Label("emergency".into());
        let who = |changes: &[ExceptionChange]| newest_entry(changes, &emergency).map(|entry| entry.by.id);
        assert_eq!(who(&[]), None, "from its creation");
        assert_eq!(who(&[change(1, 1, true, 5)]).as_deref(), Some("1"));
        assert_eq!(
            who(&[change(1, 1, true, 5), change(2, 2, false, 6)]),
            None,
            "taken away, and there again"
        );
        let again = [change(1, 1, true, 5), change(2, 2, false, 6), change(3, 3, true, 7)];
        assert_eq!(who(&again).as_deref(), Some("3"));
        assert_eq!(who(&[change(1, 1, true, 5), change(2, 2, true, 5)]), None, "not to be told apart");
        let other = newest_entry(&[change(1, 1, true, 5)], &Exception::Label("Emergency".into()));
        assert_eq!(other, None, "labels differ by case");
    }

    proptest! {
        /// Whoever set it last is who counts, however the entries are ordered.
        #[test]
        fn random_histories_name_who_set_it_last(
            made in prop::collection::vec((any::<u8>(), any::<bool>(), 0_i64..20), 0..8),
            turn in any::<prop::sample::Index>(),
        ) {
            let mut changes: Vec<_> =
                made.iter().enumerate().map(|(nth, (who, set, at))| change(nth, *who, *set, *at)).collect();
            let found = newest_entry(&changes, &Exception::Label("emergency".into()));
            if let Some(found) = &found {
                for other in &changes {
                    prop_assert!(other.entry == *found || other.entry.at < found.at);
                }
            }
            if !changes.is_empty() {
                let by = turn.index(changes.len());
                changes.rotate_left(by);
            }
            prop_assert_eq!(newest_entry(&changes, &Exception::Label("emergency".into())), found);
        }
    }
}
