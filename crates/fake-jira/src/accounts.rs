//! The accounts with their groups and project roles, for people who look for somebody to name.

use super::{
    fake::FakeJira,
    model::{AccountKind, BRIDGE, Person},
    state::State,
};

/// An account, its groups, and its roles in one project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The account.
    pub person: Person,
    /// The names of its groups.
    pub groups: Vec<String>,
    /// The names of the roles that it has by itself or through a group.
    pub roles: Vec<String>,
}

impl FakeJira {
    /// All accounts, with their roles in this project.
    #[must_use]
    pub fn accounts(&self, project: &str) -> Vec<Account> {
        let state = self.lock();
        state.people.iter().map(|person| account(&state, person, project)).collect()
    }

    /// The display name of an account.
    #[must_use]
    pub fn display_name(&self, account: &str) -> Option<String> {
        self.lock().person(account).map(|person| person.display.clone())
    }
}

fn account(state: &State, person: &Person, project: &str) -> Account {
    let groups = groups_of(state, person);
    let roles = state.project(project).map(|project| project.roles.as_slice()).unwrap_or_default();
    let has = |people: &[String], of: &[String]| {
        people.contains(&person.account_id) || of.iter().any(|group| groups.contains(group))
    };
    let roles =
        roles.iter().filter(|role| has(&role.people, &role.groups)).map(|role| role.name.clone()).collect();
    Account { person: person.clone(), roles, groups }
}

/// The names of the groups of an account.
pub(super) fn groups_of(state: &State, person: &Person) -> Vec<String> {
    let groups = state.groups.iter().filter(|group| group.members.contains(&person.account_id));
    groups.map(|group| group.name.clone()).collect()
}

/// Whether a visitor of the pages can act as this account: apps and the bridge do not use them.
pub(super) fn uses_pages(person: &Person) -> bool {
    person.active && person.kind == AccountKind::Person && person.account_id != BRIDGE
}
