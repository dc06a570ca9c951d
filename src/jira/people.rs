//! Who is who: what an approval policy may ask of Jira. A look-up that fails says nothing, neither yes nor no.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;

use super::{
    Account, Jira, Kind,
    error::{Error, Thing},
    request::Request,
    wire::{self, User},
    words,
};

/// A group of accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Cloud's id, which stays when the name changes.
    pub id: Option<String>,
    /// What people call it.
    pub name: String,
}

/// Who has a role in a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// The ids of accounts: `accountId` on Cloud, `name` on Data Center.
    pub people: Vec<String>,
    /// Groups whose members all have it.
    pub groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hit {
    email_address: Option<String>,
    #[serde(flatten)]
    user: User,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireGroup {
    group_id: Option<String>,
    name: Option<String>,
}

impl WireGroup {
    fn group(self) -> Option<Group> {
        Some(Group { name: words::line(&self.name.or_else(|| self.group_id.clone())?), id: self.group_id })
    }
}

#[derive(Debug, Deserialize)]
struct Groups {
    items: Option<Vec<WireGroup>>,
}

#[derive(Debug, Deserialize)]
struct Member {
    groups: Option<Groups>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Actor {
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<String>,
    actor_user: Option<User>,
    actor_group: Option<WireGroup>,
}

#[derive(Debug, Deserialize)]
struct Actors {
    actors: Option<Vec<Actor>>,
}

impl Jira {
    /// The active accounts that this names exactly: by e-mail, account id or user name. Several mean that it does not
    /// tell them apart.
    ///
    /// Full names do not count, since people choose their own. Nor does an account whose e-mail Jira hides, even if
    /// it is the only hit: Jira searches in full names too. Such a person has to be named by account id.
    ///
    /// # Errors
    /// Any.
    pub async fn people(&self, words: &str) -> Result<Vec<Account>, Error> {
        let kind = self.kind().await?;
        let name = match kind {
            Kind::Cloud if words.contains('@') => "query",
            // The search in words does not look at ids.
            Kind::Cloud => "accountId",
            Kind::DataCenter => "username",
        };
        let request = Request::new("people", Method::GET, kind, &["user", "search"])
            .query(name, words)
            .query("maxResults", "50");
        let hits: Vec<Hit> = self.sender.call(request).await?.read()?;
        Ok(called(hits, words))
    }

    /// The groups of an account.
    ///
    /// # Errors
    /// Any.
    pub async fn groups(&self, person_id: &str) -> Result<Vec<Group>, Error> {
        let kind = self.kind().await?;
        let found = match kind {
            Kind::Cloud => {
                let request = Request::new("groups", Method::GET, kind, &["user", "groups"]);
                self.sender.call(request.query("accountId", person_id)).await?.read::<Vec<WireGroup>>()?
            }
            Kind::DataCenter => {
                let request = Request::new("groups", Method::GET, kind, &["user"])
                    .query("username", person_id)
                    .query("expand", "groups");
                let answer = self.sender.call(request).await?;
                let member: Member = answer.read()?;
                let groups = member.groups.and_then(|groups| groups.items);
                groups.ok_or_else(|| answer.unreadable("an account without its groups"))?
            }
        };
        Ok(found.into_iter().filter_map(WireGroup::group).collect())
    }

    /// Who has a role, given by name, in a project.
    ///
    /// # Errors
    /// Any; [`Error::NotFound`] if the project has no such role.
    pub async fn role(&self, project: &str, name: &str) -> Result<Role, Error> {
        let kind = self.kind().await?;
        let request = Request::new("role", Method::GET, kind, &["project", project, "role"]);
        let roles: BTreeMap<String, String> = self.sender.call(request).await?.read()?;
        // The answer has addresses, which are not followed; their last part is the id.
        let id = |(_, address): (&String, &String)| {
            let id = address.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())).then(|| id.to_owned())
        };
        let wanted = name.trim().to_lowercase();
        let Some(id) = roles.iter().find(|(role, _)| role.to_lowercase() == wanted).and_then(id) else {
            let candidates = roles.keys().map(|role| words::line(role)).collect();
            let what = format!("role {name:?} in project {project}");
            return Err(Error::NotFound { thing: Thing::Role, what, candidates });
        };
        let request = Request::new("role", Method::GET, kind, &["project", project, "role", &id]);
        let answer = self.sender.call(request).await?;
        let actors: Actors = answer.read()?;
        Ok(role(actors.actors.ok_or_else(|| answer.unreadable("a role without actors"))?))
    }
}

fn called(hits: Vec<Hit>, words: &str) -> Vec<Account> {
    let wanted = words.trim().to_lowercase();
    let same = |text: &str| text.to_lowercase() == wanted;
    hits.into_iter()
        .filter_map(|hit| Some((hit.email_address, hit.user.account()?)))
        .filter(|(email, account)| email.as_deref().is_some_and(same) || same(&account.id))
        .map(|(_, account)| account)
        .collect()
}

fn role(actors: Vec<Actor>) -> Role {
    let mut role = Role::default();
    for actor in actors {
        let group =
            actor.kind.as_deref() == Some("atlassian-group-role-actor") || actor.actor_group.is_some();
        if group {
            let named = WireGroup { group_id: None, name: actor.name };
            role.groups.extend(actor.actor_group.unwrap_or(named).group());
        } else {
            role.people
                .extend(actor.actor_user.and_then(wire::User::account).map(|user| user.id).or(actor.name));
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
            let found = super::called(serde_json::from_value(hits).unwrap(), words);
            found.into_iter().map(|account| account.id).collect::<Vec<_>>()
        };
        let mia = json!({"accountId": "5b1", "displayName": "Mia", "emailAddress": "mia@x.example"});
        let max = json!({"accountId": "5b2", "displayName": "mia@x.example"});
        for words in ["MIA@x.example", "5b1"] {
            assert_eq!(called(json!([mia, max]), words), ["5b1"], "{words}");
        }
        assert_eq!(called(json!([max]), "mia@x.example"), [""; 0], "a name that somebody chose");
        assert_eq!(called(json!([mia]), "mia@x.ex"), [""; 0]);
        assert_eq!(called(json!([mia]), "Mia"), [""; 0]);
        let fred = json!({"name": "fred", "displayName": "Fred F."});
        assert_eq!(called(json!([fred]), "fred"), ["fred"]);
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
    }
}
