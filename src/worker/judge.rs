//! Decides whether a person's move counts: asks Jira whom the entries of `[approval]` name, and lets the policy
//! judge.
//!
//! A failed lookup decides nothing, and is remembered only for its round: the next round retries it.

use super::{context::Context, lookups::RoundLookups};
use crate::{
    jira::{self, Account, Group, People},
    policy::{self, Author, EntryMatch, Person, PersonEntry, Route, quote_entry},
};

/// The list that contains an entry. An unproven match counts against the person, so the two lists treat it
/// differently.
#[derive(Clone, Copy)]
enum List {
    Approvers,
    Deny,
}

/// Checks whether the entries of a list name a person.
struct PersonMatch<'a, 'b> {
    context: &'a Context,
    lookups: &'a mut RoundLookups<'b>,
    person: &'a Person,
    project: &'a str,
    list: List,
    /// The configuration key of the list.
    key: String,
}

/// Whether the move of this person counts at a gate of this route. `deny` is rendered already; `project` is the
/// ticket's project, in which roles are looked up.
pub(super) async fn judge(
    context: &Context,
    lookups: &mut RoundLookups<'_>,
    route: &Route,
    deny: &[String],
    project: &str,
    person: &Person,
) -> Author {
    if deny.iter().any(|entry| PersonEntry::read(entry).is_empty()) {
        return policy::empty_denial(&route.approval_key("deny"), &route.approval.deny);
    }
    let (list, key) = (List::Deny, route.approval_key("deny"));
    let mut matcher = PersonMatch { context, lookups, person, project, list, key };
    let deny = matcher.ask(deny).await;
    if person.id.is_empty() || deny.iter().any(|(_, names)| *names != EntryMatch::No) {
        // The approvers cannot change this result.
        return policy::judge(person, false, &[], &deny);
    }
    let mut inquiry = PersonMatch { list: List::Approvers, key: route.approval_key("approvers"), ..matcher };
    let approvers = inquiry.ask(&route.approval.approvers).await;
    match context.jira.account().await {
        Ok(own) => policy::judge(person, same_id_or_name(&own.id, &person.id), &approvers, &deny),
        Err(error) => Author::Unknown { why: format!("the bridge cannot find out its own account: {error}") },
    }
}

impl PersonMatch<'_, '_> {
    /// Each entry with whether it names the person, up to and including the first that does.
    async fn ask(&mut self, entries: &[String]) -> Vec<(String, EntryMatch)> {
        let mut asked = Vec::new();
        for entry in entries {
            let names = match self.matches_entry(entry).await {
                Ok(names) => names,
                Err(error) => EntryMatch::Unknown(self.context.explain(&error)),
            };
            let found = names == EntryMatch::Yes;
            asked.push((entry.clone(), names));
            if found {
                break;
            }
        }
        asked
    }

    async fn matches_entry(&mut self, entry: &str) -> Result<EntryMatch, jira::Error> {
        match PersonEntry::read(entry) {
            PersonEntry::Nothing => Ok(EntryMatch::No),
            _ if self.person.id.is_empty() => Ok(EntryMatch::No),
            PersonEntry::Account(words) => self.is_called(words).await,
            PersonEntry::Group(name) => {
                let groups = self.lookups.groups(&self.person.id).await?;
                if groups.iter().any(|group| same_id_or_name(&group.name, name)) {
                    return Ok(EntryMatch::Yes);
                }
                if self.lookups.has_group(name).await? {
                    return Ok(EntryMatch::No);
                }
                let key = &self.key;
                Ok(EntryMatch::Unknown(format!(
                    "{key}: Jira shows no group {}; correct it there",
                    quote_entry(name)
                )))
            }
            PersonEntry::Role(name) => self.has_role(name).await,
        }
    }

    /// Whether these words name the person: an account id or user name is compared here, an e-mail is looked up in
    /// Jira.
    async fn is_called(&mut self, words: &str) -> Result<EntryMatch, jira::Error> {
        // A user name may equal another person's e-mail: then Jira returns both accounts, and neither counts as
        // named.
        if !words.contains('@') {
            match self.list {
                _ if same_id_or_name(words, &self.person.id) => return Ok(EntryMatch::Yes),
                List::Approvers => return Ok(EntryMatch::No),
                // Not this person's id. It may be no account at all: a full name, for example, would rule out no
                // person.
                List::Deny => {}
            }
        }
        let People { named, more_may_match } = self.lookups.people(words).await?;
        let has = |accounts: &[Account]| {
            accounts.iter().any(|account| same_id_or_name(&account.id, &self.person.id))
        };
        let Person { id, name, .. } = self.person;
        let unclear = |what: String| {
            Ok(EntryMatch::Unknown(format!("{}: {what}; put account ids or user names there", self.key)))
        };
        let hidden = |name: &str, id: &str| {
            unclear(format!(
                "Jira does not show whether {} is the e-mail of {name} ({id})",
                quote_entry(words)
            ))
        };
        match (named.as_slice(), more_may_match.as_slice()) {
            // Two accounts may have the same address, and only one of them shows it: the entry rules out both.
            ([_, ..], _) if matches!(self.list, List::Deny) && !has(&named) && has(&more_may_match) => {
                hidden(name, id)
            }
            ([_], _) => Ok(yes(has(&named))),
            ([_, _, ..], _) if has(&named) => {
                unclear(format!("{} names several accounts", quote_entry(words)))
            }
            ([_, _, ..], _) => Ok(EntryMatch::No),
            ([], []) => unclear(format!("Jira shows no account for {}", quote_entry(words))),
            ([], _) if has(&more_may_match) => hidden(name, id),
            // Jira may have matched only their names, and no e-mail: that proves nothing.
            ([], _) if matches!(self.list, List::Deny) && found_by_name(&more_may_match, words) => {
                unclear(format!("Jira shows no account for {}", quote_entry(words)))
            }
            // Jira also searched the e-mails that it does not show, and did not find this person.
            ([], _) => Ok(EntryMatch::No),
        }
    }

    /// Whether the person has a role in the ticket's project, or is in a group that has it.
    async fn has_role(&mut self, name: &str) -> Result<EntryMatch, jira::Error> {
        let role = match self.lookups.role(self.project, name).await {
            Err(error @ jira::Error::NotFound { .. }) => {
                return Ok(EntryMatch::Unknown(format!("{}: {error}", self.key)));
            }
            role => role?,
        };
        if role.people.iter().any(|id| same_id_or_name(id, &self.person.id)) {
            return Ok(EntryMatch::Yes);
        }
        if !role.groups.is_empty() {
            let groups = self.lookups.groups(&self.person.id).await?;
            if groups.iter().any(|group| role.groups.iter().any(|other| same_group(group, other))) {
                return Ok(EntryMatch::Yes);
            }
        }
        if role.unnamed && matches!(self.list, List::Deny) {
            let (key, name) = (&self.key, quote_entry(name));
            return Ok(EntryMatch::Unknown(format!(
                "{key}: Jira does not show every account that has the role {name}"
            )));
        }
        Ok(EntryMatch::No)
    }
}

const fn yes(yes: bool) -> EntryMatch {
    if yes { EntryMatch::Yes } else { EntryMatch::No }
}

/// Whether both are the same id or name. Data Center ignores the case of user names, and Cloud's account ids have
/// none.
fn same_id_or_name(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// Whether Jira may have found all these accounts only by their names, which people choose themselves.
fn found_by_name(accounts: &[Account], words: &str) -> bool {
    let words = words.to_lowercase();
    accounts.iter().all(|it| [&it.name, &it.id].iter().any(|name| name.to_lowercase().contains(&words)))
}

fn same_group(one: &Group, other: &Group) -> bool {
    match (&one.id, &other.id) {
        (Some(one), Some(other)) => one == other,
        (Some(_), None) | (None, Some(_)) | (None, None) => same_id_or_name(&one.name, &other.name),
    }
}

#[cfg(test)]
mod tests;
