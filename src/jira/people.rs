//! Looks up the people, groups and roles that an approval policy names. A failed lookup means neither yes nor no.

use std::collections::BTreeMap;

use super::{
    account::Account,
    client::Jira,
    error::{Error, Lookup, Suggestion},
    request::{Operation, Request},
    settings::Kind,
    web::web_address,
    wire::{self, UserHit, WireGroup},
};
use crate::text;

/// The most hits that Jira returns at once.
const MOST: &str = "1000";

/// The accounts that an entry of the policy may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// The accounts that have exactly this id, user name or e-mail. If there are several, the entry is ambiguous.
    pub named: Vec<Account>,
    /// Accounts that Jira found by an e-mail without showing their own. The e-mail may be theirs, or part of a full
    /// name, which people choose themselves.
    pub more_may_match: Vec<Account>,
}

/// A group of accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Cloud's id, which stays when the name changes.
    pub id: Option<String>,
    /// Its name, exactly as in Jira: names that only look alike are different. Sanitize it before it is shown.
    pub name: String,
}

/// Who has a role in a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// The ids of accounts: `accountId` on Cloud, `name` on Data Center.
    pub people: Vec<String>,
    /// Groups; all their members have the role.
    pub groups: Vec<Group>,
    /// Whether Jira returned further holders of the role that it does not name.
    pub unnamed: bool,
}

impl Jira {
    /// The accounts with this account id, e-mail or user name. By e-mail it finds only active accounts.
    ///
    /// Full names do not count, because people choose their own. If an e-mail finds no account, that proves nothing on
    /// Cloud: Jira returns the same if the bridge's account may not browse users.
    ///
    /// # Errors
    /// Any.
    pub async fn people(&self, words: &str) -> Result<People, Error> {
        let (kind, words) = (self.kind().await?, words.trim());
        if words.contains('@') {
            let name = match kind {
                Kind::Cloud => "query",
                Kind::DataCenter => "username",
            };
            let request = Request::get(Operation::PEOPLE, kind, &["user", "search"]);
            let request = request.query(name, words).query("maxResults", MOST);
            return Ok(match_people(self.sender.call(request).await?.read()?, words));
        }
        let name = match kind {
            Kind::Cloud => "accountId",
            Kind::DataCenter => "username",
        };
        let request = Request::get(Operation::PEOPLE, kind, &["user"]).query(name, words);
        match self.sender.call(request).await {
            Err(error) if error.is_missing() => Ok(People::default()),
            answer => {
                let answer = answer?;
                let hit: UserHit = answer.read()?;
                if !hit.user.is_named() {
                    return Err(answer.unreadable("an account without its id"));
                }
                Ok(match_people(vec![hit], words))
            }
        }
    }

    /// The groups with these words in their name, and whether these are all such groups.
    ///
    /// # Errors
    /// Any.
    pub async fn groups_matching(&self, words: &str) -> Result<(Vec<Group>, bool), Error> {
        let kind = self.kind().await?;
        let request = Request::get(Operation::GROUPS_CALLED, kind, &["groups", "picker"]);
        let answer = self.sender.call(request.query("query", words).query("maxResults", MOST)).await?;
        let found: wire::GroupPickerAnswer = answer.read()?;
        let groups = found.groups.ok_or_else(|| answer.unreadable("no groups"))?;
        let all = found.total.is_none_or(|total| total <= groups.len());
        Ok((groups.into_iter().filter_map(group).collect(), all))
    }

    /// Whether there is a group of this name that Jira shows to the bridge's account.
    ///
    /// # Errors
    /// Any.
    pub async fn has_group(&self, name: &str) -> Result<bool, Error> {
        let (found, all) = self.groups_matching(name).await?;
        let wanted = name.trim().to_lowercase();
        if found.iter().any(|group| group.name.to_lowercase() == wanted) {
            return Ok(true);
        }
        if all {
            return Ok(false);
        }
        // Too many groups have this name in theirs for Jira to return all.
        let kind = self.kind().await?;
        let request = Request::get(Operation::GROUPS_CALLED, kind, &["group", "member"]);
        match self.sender.call(request.query("groupname", name.trim()).query("maxResults", "1")).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_missing() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The groups of an account.
    ///
    /// # Errors
    /// Any.
    pub async fn groups(&self, person_id: &str) -> Result<Vec<Group>, Error> {
        let kind = self.kind().await?;
        let found = match kind {
            Kind::Cloud => {
                let request = Request::get(Operation::GROUPS, kind, &["user", "groups"]);
                self.sender.call(request.query("accountId", person_id)).await?.read::<Vec<WireGroup>>()?
            }
            Kind::DataCenter => {
                let request = Request::get(Operation::GROUPS, kind, &["user"])
                    .query("username", person_id)
                    .query("expand", "groups");
                let answer = self.sender.call(request).await?;
                let member: wire::Member = answer.read()?;
                let groups = member.groups.and_then(|groups| {
                    let is_complete =
                        |items: &Vec<WireGroup>| groups.size.is_none_or(|size| items.len() >= size);
                    groups.items.filter(is_complete)
                });
                groups.ok_or_else(|| answer.unreadable("an account without its groups"))?
            }
        };
        Ok(found.into_iter().filter_map(group).collect())
    }

    /// The people and groups that have a role, given by name, in a project.
    ///
    /// # Errors
    /// Any; [`Error::NotFound`] if the project has no such role.
    pub async fn role(&self, project: &str, name: &str) -> Result<Role, Error> {
        let kind = self.kind().await?;
        let request = Request::get(Operation::ROLE, kind, &["project", project, "role"]);
        let answer = self.sender.call(request).await?;
        let roles: BTreeMap<String, String> = answer.read()?;
        if !roles.values().all(|address| web_address(address).is_some()) {
            return Err(answer.unreadable("roles without their addresses"));
        }
        // The answer holds URLs, which the bridge does not follow; their last segment is the id.
        let id = |(_, address): (&String, &String)| {
            let id = address.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())).then(|| id.to_owned())
        };
        let wanted = name.trim().to_lowercase();
        let mut alike = roles.iter().filter(|(role, _)| role.to_lowercase() == wanted);
        let meant = match (roles.get_key_value(name.trim()), alike.next(), alike.next()) {
            (Some(exactly), _, _) => Some(exactly),
            (None, one, None) => one,
            (None, _, Some(_)) => None,
        };
        let Some(id) = meant.and_then(id) else {
            let candidate = |role: &String| Suggestion { name: text::single_line(role), id: None };
            let candidates = roles.keys().map(candidate).collect();
            let what = format!("role {name:?} in project {project}");
            return Err(Error::NotFound { lookup: Lookup::Role, what, candidates });
        };
        let request = Request::get(Operation::ROLE, kind, &["project", project, "role", &id]);
        let answer = self.sender.call(request).await?;
        let actors: wire::Actors = answer.read()?;
        Ok(role(actors.actors.ok_or_else(|| answer.unreadable("a role without actors"))?))
    }
}

pub(super) fn match_people(hits: Vec<UserHit>, words: &str) -> People {
    let wanted = words.trim().to_lowercase();
    let (mut by_email, mut by_id, mut perhaps) = (vec![], vec![], vec![]);
    for UserHit { email_address, user } in hits {
        let Some(account) = user.account() else { continue };
        // Data Center may mask it: "mia at example dot com".
        let email = email_address.map(|email| email.to_lowercase()).filter(|email| email.contains('@'));
        if email.as_ref() == Some(&wanted) {
            by_email.push(account);
        } else if account.id.to_lowercase() == wanted {
            by_id.push(account);
        } else if email.is_none() && wanted.contains('@') {
            perhaps.push(account);
        }
    }
    // A user may have chosen another user's e-mail as user name, and Jira may not show that other user's e-mail.
    if by_email.is_empty() && !perhaps.is_empty() {
        perhaps.extend(by_id);
        return People { named: vec![], more_may_match: perhaps };
    }
    by_email.extend(by_id);
    People { named: by_email, more_may_match: perhaps }
}

fn group(group: WireGroup) -> Option<Group> {
    Some(Group { name: group.name.or_else(|| group.group_id.clone())?, id: group.group_id })
}

pub(super) fn role(actors: Vec<wire::Actor>) -> Role {
    let mut role = Role::default();
    for actor in actors {
        let is_group =
            actor.kind.as_deref() == Some("atlassian-group-role-actor") || actor.actor_group.is_some();
        if is_group {
            let named = WireGroup { group_id: None, name: actor.name };
            let group = group(actor.actor_group.unwrap_or(named));
            role.unnamed |= group.is_none();
            role.groups.extend(group);
        } else {
            let id = actor.actor_user.and_then(wire::User::account).map(|user| user.id).or(actor.name);
            role.unnamed |= id.is_none();
            role.people.extend(id);
        }
    }
    role
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_are_found_by_exact_words() {
        let called = |hits: serde_json::Value, words: &str| {
            let found = super::match_people(serde_json::from_value(hits).unwrap(), words);
            let ids = |found: Vec<Account>| found.into_iter().map(|account| account.id).collect::<Vec<_>>();
            (ids(found.named), ids(found.more_may_match))
        };
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let mia = json!({"accountId": "5b1", "displayName": "Mia", "emailAddress": "mia@x.example"});
        let max = json!({"accountId": "5b2", "displayName": "mia@x.example"});
        for (hits, words, named, perhaps) in [
            (json!([mia, max]), "MIA@x.example", &["5b1"][..], &["5b2"][..]),
            (json!([mia]), "5b1", &["5b1"], &[]),
            // A full name that looks like the e-mail, or an e-mail that Jira does not show.
            (json!([max]), "mia@x.example", &[], &["5b2"]),
            (json!([{"accountId": "5b3", "emailAddress": ""}]), "mia@x.example", &[], &["5b3"]),
            (json!([mia]), "mia@x.ex", &[], &[]),
            (json!([mia]), "Mia", &[], &[]),
            // A user name that looks like an e-mail: alone, next to the account that has the e-mail, next to one
            // without a visible e-mail.
            (json!([{"name": "a@x"}]), "a@x", &["a@x"], &[]),
            (json!([{"name": "a@x"}, {"name": "a", "emailAddress": "a@x"}]), "a@x", &["a", "a@x"], &[]),
            (json!([{"name": "a@x"}, {"name": "a"}]), "a@x", &[], &["a", "a@x"]),
            (json!([{"name": "fred", "displayName": "Fred F."}]), "Fred", &["fred"], &[]),
        ] {
            assert_eq!(called(hits, words), (ids(named), ids(perhaps)), "{words}");
        }
    }

    #[test]
    fn a_role_is_people_and_groups_of_either_kind() {
        let actors = json!([
            {"type": "atlassian-user-role-actor", "displayName": "Mia", "actorUser": {"accountId": "5b1"}},
            {"type": "atlassian-group-role-actor", "actorGroup": {"name": "cab", "groupId": "g1"}},
            {"type": "atlassian-user-role-actor", "name": "fred"},
            {"type": "atlassian-group-role-actor", "name": "ops"},
        ]);
        let role = role(serde_json::from_value(actors).unwrap());
        assert_eq!(role.people, ["5b1", "fred"]);
        let names: Vec<_> =
            role.groups.iter().map(|group| (group.name.as_str(), group.id.as_deref())).collect();
        assert_eq!(names, [("cab", Some("g1")), ("ops", None)]);
        assert!(!role.unnamed);
        for actor in [
            json!({"type": "atlassian-user-role-actor", "displayName": "Mia"}),
            json!({"type": "atlassian-group-role-actor", "displayName": "cab"}),
            json!({}),
        ] {
            let role = super::role(serde_json::from_value(json!([actor])).unwrap());
            assert!(role.unnamed && role.people.is_empty() && role.groups.is_empty(), "{actor}");
        }
    }

    #[test]
    fn groups_that_look_alike_are_not_the_same() {
        let group = |json: serde_json::Value| super::group(serde_json::from_value(json).unwrap());
        assert_eq!(group(json!({"name": "ca\u{200b}b"})).unwrap().name, "ca\u{200b}b");
        assert_eq!(group(json!({"name": "cab\u{202e}", "groupId": "1"})).unwrap().name, "cab\u{202e}");
        assert_eq!(group(json!({"groupId": "1"})).unwrap().name, "1");
        assert_eq!(group(json!({})), None);
    }
}
