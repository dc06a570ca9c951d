//! Whether the entries of `approvers` and `deny` name existing accounts, groups and roles, and `assignee` an account, in each
//! route.

use std::collections::BTreeSet;

use super::{connection::Connected, finding::Finding};
use crate::{
    jira::{Account, Error, Jira, Kind, Lookup},
    policy::{PersonEntry, Policy, Route, is_template, quote_entry},
    suggest::did_you_mean,
};

/// A possible cause if Jira shows no account or group, or refuses the lookup.
const BROWSE: &str = "the bridge's account needs the global permission \"Browse users and groups\"";
/// Jira shows roles only to project administrators.
const ADMINISTER: &str = "the bridge's account needs the permission \"Administer projects\" there";

/// Looks up each entry once; a role once in each project.
pub(super) async fn approvers(connected: &Connected, policy: &Policy) -> Vec<Finding> {
    let mut findings = missing_lists(connected.kind, policy);
    let (mut reported, mut groups) = (BTreeSet::new(), None);
    let assignees = policy
        .all()
        .filter_map(|route| Some((route.key_of("assignee"), route.ticket.assignee.as_deref()?, route)));
    for (key, entry, route) in entries(policy).chain(assignees) {
        let project = match PersonEntry::read(entry) {
            PersonEntry::Role(_) => route.ticket.project.as_str(),
            PersonEntry::Nothing | PersonEntry::Account(_) | PersonEntry::Group(_) => "",
        };
        if reported.insert((entry, project, key.ends_with("deny"))) {
            if matches!(PersonEntry::read(entry), PersonEntry::Group(_)) {
                groups.get_or_insert_with(|| key.clone());
            }
            findings.push(look_up(connected, key, entry, &route.ticket.project).await);
        }
    }
    if let Some(key) = groups {
        findings.extend(readable_groups(connected, key).await);
    }
    findings
}

/// Reports empty lists of approvers: then Jira's workflow alone decides who may approve. If the base list is empty, its
/// finding covers the routes, too.
fn missing_lists(kind: Kind, policy: &Policy) -> Vec<Finding> {
    let finding = |route: &Route| {
        let key = route.approval_key("approvers");
        match kind {
            Kind::Cloud => Finding::ok(
                key,
                "no approvers are listed, so any person whom Jira lets approve a ticket may approve",
            ),
            Kind::DataCenter => Finding::warn(
                key,
                "no approvers are listed, so any account that can move a ticket may approve, automations too: Data Center \
                 does not distinguish them from people; list the approvers",
            ),
        }
    };
    let is_empty = |route: &Route| route.approval.approvers.is_empty();
    if is_empty(&policy.base) {
        return vec![finding(&policy.base)];
    }
    policy.all().filter(|route| is_empty(route)).map(finding).collect()
}

/// Whether the groups of an account can be read: the bridge reads the groups of each approver.
async fn readable_groups(connected: &Connected, key: String) -> Option<Finding> {
    let error = connected.jira.groups(&connected.account.id).await.err()?;
    let what = || format!("the groups of a person cannot be read: {error}; {BROWSE}");
    Some(Finding::failed(key, &error, what))
}

/// Whether there is anything to look up.
pub(super) fn any(policy: &Policy) -> bool {
    entries(policy).next().is_some()
}

fn entries(policy: &Policy) -> impl Iterator<Item = (String, &str, &Route)> {
    policy.all().flat_map(|route| {
        let list = |name, entries: &'_ Vec<String>| (route.approval_key(name), entries.len());
        let (approvers, deny) = (&route.approval.approvers, &route.approval.deny);
        let keys = [list("approvers", approvers), list("deny", deny)];
        let keys = keys.into_iter().flat_map(|(key, many)| std::iter::repeat_n(key, many));
        keys.zip(approvers.iter().chain(deny)).map(move |(key, entry)| (key, entry.as_str(), route))
    })
}

async fn look_up(connected: &Connected, key: String, entry: &str, project: &str) -> Finding {
    let (is, jira) = (quote_entry(entry), &connected.jira);
    if is_template(entry) {
        let what =
            format!("{is} is filled in for each question; where it comes out empty, the gate stays closed");
        return Finding::ok(key, what);
    }
    let (found, hint) = match PersonEntry::read(entry) {
        PersonEntry::Nothing => {
            return Finding::fail(key, format!("{is} names no person or group; remove it"));
        }
        PersonEntry::Account(words) => (account(connected, &key, words, project).await, BROWSE),
        PersonEntry::Group(name) => (group(jira, &key, name).await, BROWSE),
        PersonEntry::Role(name) => (role(jira, &key, name, project).await, ADMINISTER),
    };
    found.unwrap_or_else(|error| {
        Finding::failed(key, &error, || format!("{is} cannot be looked up: {error}; {hint}"))
    })
}

async fn account(connected: &Connected, key: &str, words: &str, project: &str) -> Result<Finding, Error> {
    let jira = &connected.jira;
    let (people, is) = (jira.people(words).await?, quote_entry(words));
    let each = |accounts: &[Account]| {
        let each = accounts.iter().map(|account| format!("{} ({})", account.name, account.id));
        each.collect::<Vec<_>>().join(" or ")
    };
    Ok(match (people.named.as_slice(), people.more_may_match.as_slice()) {
        ([one], _) if one.id == connected.account.id && key.ends_with("approvers") => Finding::warn(
            key,
            format!(
                "{is} is the bridge's own account, so anyone with its token can approve; remove it, or give the bridge \
                 its own account"
            ),
        ),
        ([one], _) => Finding::ok(key, format!("{is} is {} ({})", one.name, one.id)),
        ([_, _, ..], _) => {
            let ids = each(&people.named);
            Finding::fail(key, format!("{is} names several accounts; put the id of one there: {ids}"))
        }
        ([], []) if words.contains('@') => Finding::fail(
            key,
            format!(
                "Jira shows no account with the e-mail {is}; put an account id there. To see any e-mail, {BROWSE}"
            ),
        ),
        ([], []) => {
            let is_assignee = key.ends_with("assignee");
            let put = match suggested_entry(jira, words, project).await {
                _ if is_assignee => "put an account id, an e-mail or a user name there".to_owned(),
                Some(entry) => format!("there is a {}, put {entry:?} there", entry.replacen(':', " ", 1)),
                None => "put an account id, an e-mail, a user name, group:NAME or role:NAME there".to_owned(),
            };
            Finding::fail(key, format!("Jira knows no account {is}; {put}"))
        }
        ([], _) => {
            let ids = each(&people.more_may_match);
            Finding::fail(
                key,
                format!(
                    "Jira does not show which account has the e-mail {is}; put the account id there: {ids}?"
                ),
            )
        }
    })
}

/// The entry that was probably meant, if a group or a role has this name.
async fn suggested_entry(jira: &Jira, words: &str, project: &str) -> Option<String> {
    let same = |name: &str| name.to_lowercase() == words.to_lowercase();
    if let Ok((groups, _)) = jira.groups_matching(words).await
        && let Some(group) = groups.iter().find(|group| same(&group.name))
    {
        return Some(format!("group:{}", group.name));
    }
    jira.role(project, words).await.ok().map(|_| format!("role:{words}"))
}

async fn group(jira: &Jira, key: &str, name: &str) -> Result<Finding, Error> {
    let (found, all) = jira.groups_matching(name).await?;
    let is = quote_entry(name);
    if found.iter().any(|group| group.name.to_lowercase() == name.to_lowercase()) {
        return Ok(Finding::ok(key, format!("the group {is} is there")));
    }
    let hint = did_you_mean(name, found.iter().map(|group| group.name.as_str()));
    Ok(if all {
        let may = if found.is_empty() { format!(", or {BROWSE}") } else { String::new() };
        Finding::fail(key, format!("Jira shows no group {is}; spell it as Jira does{may}{hint}"))
    } else {
        Finding::warn(key, format!("the group {is} was not among those Jira shows{hint}"))
    })
}

async fn role(jira: &Jira, key: &str, name: &str, project: &str) -> Result<Finding, Error> {
    let is = quote_entry(name);
    match jira.role(project, name).await {
        Ok(role) if role.people.is_empty() && role.groups.is_empty() => {
            Ok(Finding::warn(key, format!("the role {is} has no members in {project}")))
        }
        Ok(_) => Ok(Finding::ok(key, format!("the role {is} is there in {project}"))),
        Err(Error::NotFound { lookup: Lookup::Role, candidates, .. }) => {
            let names: Vec<&str> = candidates.iter().map(|it| it.name.as_str()).collect();
            let (there_is, hint) = (names.join(", "), did_you_mean(name, names.iter().copied()));
            Ok(Finding::fail(key, format!("{project} has no role {is}; choose from: {there_is}{hint}")))
        }
        Err(error) => Err(error),
    }
}
