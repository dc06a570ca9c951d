//! The accounts that the configuration names, for the texts of tickets. A lookup that fails delays no ticket.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Lookups, MEMBERSHIP_TTL, in_project};
use crate::{
    jira,
    lock::lock,
    policy::PersonEntry,
    ticket::{MOST_NAMED, NamedAccount, People},
};

/// How long the lookups for one ticket may take in all.
const NAMED_WITHIN: Duration = Duration::from_secs(3);
/// How long the bridge opens tickets without an assignee that Jira refused.
const REFUSED_FOR: Duration = Duration::from_hours(1);

impl Lookups {
    /// The accounts that the entries of these lists name, as far as Jira shows them in time. An entry that Jira refuses
    /// is skipped; after any other failure this call asks no further. What failed is not asked again for a while.
    ///
    /// Only for entries that the configuration itself holds. What comes with Flagger's questions is anybody's, and could
    /// make every ticket wait.
    pub(in crate::worker) async fn named(&self, lists: &[&[String]]) -> People {
        let mut people = People::default();
        let mut asks = true;
        let deadline = Instant::now() + NAMED_WITHIN;
        for entry in lists.iter().flat_map(|list| list.iter().take(MOST_NAMED)) {
            let PersonEntry::Account(words) = PersonEntry::read(entry) else { continue };
            let found = match self.known_people(words) {
                Some(known) => known,
                None if !asks => continue,
                None => match self.person(words, deadline).await {
                    Person::Found(found) => found,
                    Person::Skip => continue,
                    Person::NoAnswer => {
                        asks = false;
                        continue;
                    }
                },
            };
            if let [one] = found.named.as_slice() {
                people.insert(entry, NamedAccount { id: one.id.clone(), name: one.name.clone() });
            }
        }
        people
    }

    /// Asks Jira whom these words name. One lookup at a time, since tickets that are opened together name the same people.
    async fn person(&self, words: &str, deadline: Instant) -> Person {
        if self.failed_lately(words) {
            return Person::Skip;
        }
        let Ok(_one_at_a_time) = timeout_at(deadline, self.naming.lock()).await else {
            return Person::NoAnswer;
        };
        if self.failed_lately(words) {
            return Person::Skip;
        }
        let (asked, mut round) = (Instant::now(), self.round());
        match timeout_at(deadline, round.people(words)).await {
            Ok(Ok(found)) => Person::Found(found),
            Ok(Err(error)) => {
                self.failed(words);
                if error.is_about_object() { Person::Skip } else { Person::NoAnswer }
            }
            Err(_) => {
                // Otherwise there was hardly time for this one.
                if asked.elapsed() >= NAMED_WITHIN / 2 {
                    self.failed(words);
                }
                Person::NoAnswer
            }
        }
    }

    /// Remembers that Jira takes no ticket in this project with this assignee.
    pub(in crate::worker) fn assignee_refused(&self, project: &str, assignee: &str) {
        let now = self.context.clock.now();
        lock(&self.refused_assignees).insert(in_project(project, assignee), now);
    }

    /// Whether Jira refused a ticket with this assignee lately.
    pub(in crate::worker) fn is_assignee_refused(&self, project: &str, assignee: &str) -> bool {
        let now = self.context.clock.now();
        let refused = lock(&self.refused_assignees).get(&in_project(project, assignee)).copied();
        refused.is_some_and(|at| now.abs_diff(at) < REFUSED_FOR)
    }

    /// Opens the ticket of this outbox row without an assignee from now on.
    pub(in crate::worker) fn try_without_assignee(&self, row: i64) {
        lock(&self.without_assignee).insert(row);
    }

    /// Whether the ticket of this outbox row is opened without an assignee.
    pub(in crate::worker) fn is_without_assignee(&self, row: i64) -> bool {
        lock(&self.without_assignee).contains(&row)
    }

    /// Forgets an outbox row: its ticket was opened.
    pub(in crate::worker) fn opened(&self, row: i64) {
        lock(&self.without_assignee).remove(&row);
    }

    /// Whether looking up these words failed lately.
    fn failed_lately(&self, words: &str) -> bool {
        let now = self.context.clock.now();
        let failed = lock(&self.names_failed).get(&words.to_lowercase()).copied();
        failed.is_some_and(|at| now.abs_diff(at) < MEMBERSHIP_TTL)
    }

    fn failed(&self, words: &str) {
        lock(&self.names_failed).insert(words.to_lowercase(), self.context.clock.now());
    }
}

/// What came of looking up one person.
enum Person {
    Found(jira::People),
    /// Nothing, which says nothing about other people.
    Skip,
    /// Nothing, and further lookups would take as long.
    NoAnswer,
}
