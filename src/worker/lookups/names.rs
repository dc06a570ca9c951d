//! The accounts that the configuration names, for the texts of tickets. A lookup that fails delays no ticket.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Lookups, MEMBERSHIP_TTL, in_project};
use crate::{
    lock::lock,
    policy::PersonEntry,
    ticket::{MOST_NAMED, NamedAccount, People},
};

/// How long the lookups for one ticket may take in all.
const NAMED_WITHIN: Duration = Duration::from_secs(3);
/// How long the bridge opens tickets without an assignee that Jira refused.
const REFUSED_FOR: Duration = Duration::from_hours(1);

impl Lookups {
    /// The accounts that the entries of these lists name, as far as Jira shows them in time. After a failure only cached answers are used for a
    /// while.
    pub(in crate::worker) async fn named(&self, lists: &[&[String]]) -> People {
        let (mut people, mut round) = (People::default(), self.round());
        let deadline = Instant::now() + NAMED_WITHIN;
        let mut is_failing = self.names_failed_lately();
        for entry in lists.iter().flat_map(|list| list.iter().take(MOST_NAMED)) {
            let PersonEntry::Account(words) = PersonEntry::read(entry) else { continue };
            let found = match self.known_people(words) {
                Some(known) => known,
                None if is_failing => continue,
                None => match timeout_at(deadline, self.naming.join((), round.people(words))).await {
                    Ok(Ok(found)) => found,
                    Ok(Err(_)) | Err(_) => {
                        self.names_failed();
                        is_failing = true;
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

    fn names_failed_lately(&self) -> bool {
        let now = self.context.clock.now();
        lock(&self.names_failed_at).is_some_and(|at| now.abs_diff(at) < MEMBERSHIP_TTL)
    }

    fn names_failed(&self) {
        *lock(&self.names_failed_at) = Some(self.context.clock.now());
    }
}
