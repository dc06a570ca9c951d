//! Whose move counts: asks Jira who is meant by the entries of `[approval]`, and lets the policy judge.
//!
//! A look-up that fails settles nothing, and is remembered for no other look: the next one tries again.

use std::{collections::HashMap, hash::Hash, time::Duration};

use super::{InVain, Worker};
use crate::{
    gate::Person,
    jira::{self, Account, Group, People, Role},
    millis::Millis,
    policy::{self, Author, Entry, Names, Route, quoted},
};

/// For how long it is believed whom words name, once they name somebody.
const NAMED: Duration = Duration::from_secs(600);
/// For how long all else is believed: who was made a member, or is one no more, counts soon.
const MEMBER: Duration = Duration::from_secs(60);

/// What Jira said lately about people.
#[derive(Default)]
pub(super) struct Directory {
    people: HashMap<String, (Millis, People)>,
    /// By the id of the account.
    groups: HashMap<String, (Millis, Vec<Group>)>,
    /// Whether there is a group of this name.
    has_groups: HashMap<String, (Millis, bool)>,
    /// By project and name.
    roles: HashMap<(String, String), (Millis, Role)>,
}

/// Which list an entry stands in. What proves nothing counts against the person, so it is not the same for both.
#[derive(Clone, Copy)]
enum List {
    Approvers,
    Deny,
}

/// Somebody of whom it is asked whether an entry names them.
struct Inquiry<'a> {
    worker: &'a Worker,
    in_vain: &'a InVain,
    person: &'a Person,
    project: &'a str,
    list: List,
    /// The key of the list.
    key: String,
}

impl Worker {
    /// Whether the move of this person counts at a gate of this route. `deny` is rendered; `project` is the ticket's,
    /// whose roles are meant.
    pub(super) async fn judge(
        &self,
        route: &Route,
        deny: &[String],
        project: &str,
        person: &Person,
        in_vain: &InVain,
    ) -> Author {
        let about = |list, key| Inquiry { worker: self, in_vain, person, project, list, key };
        if deny.iter().any(|entry| Entry::read(entry) == Entry::Nothing) {
            return policy::denies_for_good(&route.approval_key("deny"), &route.approval.deny);
        }
        let deny = about(List::Deny, route.approval_key("deny")).ask(deny).await;
        if person.id.is_empty() || deny.iter().any(|(_, names)| *names != Names::No) {
            // Whoever else is listed changes nothing.
            return policy::judge(person, false, &[], &deny);
        }
        let approvers =
            about(List::Approvers, route.approval_key("approvers")).ask(&route.approval.approvers).await;
        match self.jira.account().await {
            Ok(own) => policy::judge(person, same(&own.id, &person.id), &approvers, &deny),
            Err(error) => Author::Unknown { why: format!("it cannot be told who the bridge is: {error}") },
        }
    }

    async fn people(&self, words: &str, in_vain: &InVain) -> Result<People, jira::Error> {
        let (key, now) = (words.to_lowercase(), self.clock.now());
        if let Some((at, people)) = self.memory().directory.people.get(&key) {
            let believed = if people.named.is_empty() { MEMBER } else { NAMED };
            if now.apart(*at) < believed {
                return Ok(people.clone());
            }
        }
        let people = in_vain.look_up(format!("people {key}"), self.jira.people(words)).await?;
        remember(&mut self.memory().directory.people, key, &people, now, NAMED);
        Ok(people)
    }

    async fn groups(&self, person_id: &str, in_vain: &InVain) -> Result<Vec<Group>, jira::Error> {
        let now = self.clock.now();
        if let Some((at, groups)) = self.memory().directory.groups.get(person_id)
            && now.apart(*at) < MEMBER
        {
            return Ok(groups.clone());
        }
        let groups = in_vain.look_up(format!("groups {person_id}"), self.jira.groups(person_id)).await?;
        remember(&mut self.memory().directory.groups, person_id.to_owned(), &groups, now, MEMBER);
        Ok(groups)
    }

    async fn has_group(&self, name: &str, in_vain: &InVain) -> Result<bool, jira::Error> {
        let (key, now) = (name.to_lowercase(), self.clock.now());
        if let Some((at, has)) = self.memory().directory.has_groups.get(&key)
            && now.apart(*at) < MEMBER
        {
            return Ok(*has);
        }
        let has = in_vain.look_up(format!("group {key}"), self.jira.has_group(name)).await?;
        remember(&mut self.memory().directory.has_groups, key, &has, now, MEMBER);
        Ok(has)
    }

    async fn role(&self, project: &str, name: &str, in_vain: &InVain) -> Result<Role, jira::Error> {
        let (key, now) = ((project.to_owned(), name.to_lowercase()), self.clock.now());
        if let Some((at, role)) = self.memory().directory.roles.get(&key)
            && now.apart(*at) < MEMBER
        {
            return Ok(role.clone());
        }
        let role =
            in_vain.look_up(format!("role {} {project}", key.1), self.jira.role(project, name)).await?;
        remember(&mut self.memory().directory.roles, key, &role, now, MEMBER);
        Ok(role)
    }
}

impl Inquiry<'_> {
    /// Each entry with whether it names the person. After one that does, no further ones are asked about.
    async fn ask(&self, entries: &[String]) -> Vec<(String, Names)> {
        let mut asked = Vec::new();
        for entry in entries {
            let names = match self.names(entry).await {
                Ok(names) => names,
                Err(error) => Names::Unknown(self.worker.explain(&error)),
            };
            let found = names == Names::Yes;
            asked.push((entry.clone(), names));
            if found {
                break;
            }
        }
        asked
    }

    async fn names(&self, entry: &str) -> Result<Names, jira::Error> {
        match Entry::read(entry) {
            Entry::Nothing => Ok(Names::No),
            _ if self.person.id.is_empty() => Ok(Names::No),
            Entry::Account(words) => self.is_called(words).await,
            Entry::Group(name) => {
                let groups = self.worker.groups(&self.person.id, self.in_vain).await?;
                if groups.iter().any(|group| same(&group.name, name)) {
                    return Ok(Names::Yes);
                }
                if self.worker.has_group(name, self.in_vain).await? {
                    return Ok(Names::No);
                }
                let key = &self.key;
                Ok(Names::Unknown(format!("{key}: Jira shows no group {}; correct it there", quoted(name))))
            }
            Entry::Role(name) => self.has_role(name).await,
        }
    }

    /// Whether these words are the person's own: an account id or user name without asking, an e-mail by asking.
    async fn is_called(&self, words: &str) -> Result<Names, jira::Error> {
        // A user name may be somebody else's e-mail: then Jira tells both, and neither is meant.
        if !words.contains('@') {
            match self.list {
                _ if same(words, &self.person.id) => return Ok(Names::Yes),
                List::Approvers => return Ok(Names::No),
                // Not the person, if it is anybody: a full name, for one, would rule out nobody at all.
                List::Deny => {}
            }
        }
        let People { named, perhaps } = self.worker.people(words, self.in_vain).await?;
        let has = |accounts: &[Account]| accounts.iter().any(|account| same(&account.id, &self.person.id));
        let Person { id, name, .. } = self.person;
        let unclear = |what: String| {
            Ok(Names::Unknown(format!("{}: {what}; put account ids or user names there", self.key)))
        };
        let hidden = |name: &str, id: &str| {
            unclear(format!("Jira does not show whether {} is the e-mail of {name} ({id})", quoted(words)))
        };
        match (named.as_slice(), perhaps.as_slice()) {
            // Two accounts may have one address, of which one shows it: both are meant to be ruled out.
            ([_, ..], _) if matches!(self.list, List::Deny) && !has(&named) && has(&perhaps) => {
                hidden(name, id)
            }
            ([_], _) => Ok(yes(has(&named))),
            ([_, _, ..], _) if has(&named) => unclear(format!("{} names several accounts", quoted(words))),
            ([_, _, ..], _) => Ok(Names::No),
            ([], []) => unclear(format!("Jira shows nobody whom {} names", quoted(words))),
            ([], _) if has(&perhaps) => hidden(name, id),
            // They may be called like that, and nobody's e-mail be that: then it proves nothing.
            ([], _) if matches!(self.list, List::Deny) && found_by_name(&perhaps, words) => {
                unclear(format!("Jira shows nobody whom {} names", quoted(words)))
            }
            // Jira looked through the e-mails that it does not show, and this person's was none of those.
            ([], _) => Ok(Names::No),
        }
    }

    /// Whether the person has a role in the ticket's project, or is in a group that has it.
    async fn has_role(&self, name: &str) -> Result<Names, jira::Error> {
        let role = match self.worker.role(self.project, name, self.in_vain).await {
            Err(error @ jira::Error::NotFound { .. }) => {
                return Ok(Names::Unknown(format!("{}: {error}", self.key)));
            }
            role => role?,
        };
        if role.people.iter().any(|id| same(id, &self.person.id)) {
            return Ok(Names::Yes);
        }
        if !role.groups.is_empty() {
            let groups = self.worker.groups(&self.person.id, self.in_vain).await?;
            if groups.iter().any(|group| role.groups.iter().any(|other| same_group(group, other))) {
                return Ok(Names::Yes);
            }
        }
        if role.others && matches!(self.list, List::Deny) {
            let (key, name) = (&self.key, quoted(name));
            return Ok(Names::Unknown(format!(
                "{key}: Jira does not say of everybody who has the role {name} who that is"
            )));
        }
        Ok(Names::No)
    }
}

fn remember<K: Hash + Eq, V: Clone>(
    map: &mut HashMap<K, (Millis, V)>,
    key: K,
    value: &V,
    now: Millis,
    believed: Duration,
) {
    map.retain(|_, (at, _)| now.apart(*at) < believed);
    map.insert(key, (now, value.clone()));
}

const fn yes(yes: bool) -> Names {
    if yes { Names::Yes } else { Names::No }
}

/// Whether both are the same id or name. Data Center does not tell user names apart by case, and Cloud's account ids
/// have none.
fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// Whether all that these accounts have in common with the words may be their names, which people choose themselves.
fn found_by_name(accounts: &[Account], words: &str) -> bool {
    let words = words.to_lowercase();
    accounts.iter().all(|it| [&it.name, &it.id].iter().any(|name| name.to_lowercase().contains(&words)))
}

fn same_group(one: &Group, other: &Group) -> bool {
    match (&one.id, &other.id) {
        (Some(one), Some(other)) => one == other,
        (Some(_), None) | (None, Some(_)) | (None, None) => same(&one.name, &other.name),
    }
}

#[cfg(test)]
mod tests;
