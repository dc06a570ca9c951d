//! Renders Jira's JSON.

use serde_json::{Map, Value, json};

use super::{
    adf,
    link_types::{LinkType, all_types},
    model::{AccountKind, Category, Change, Comment, Flavour, History, Person, Status},
    state::{Issue, IssueType, State},
    time,
};

/// The base URL of the REST API.
pub(super) fn api_url(state: &State) -> String {
    let version = match state.flavour {
        Flavour::Cloud => "3",
        Flavour::DataCenter => "2",
    };
    format!("{}/rest/api/{version}", state.base_url)
}

pub(super) fn user(state: &State, person: &Person) -> Value {
    let api = api_url(state);
    match state.flavour {
        Flavour::Cloud => {
            let mut user = json!({
                "self": format!("{api}/user?accountId={}", person.account_id),
                "accountId": person.account_id,
                "displayName": person.display,
                "active": person.active,
                "timeZone": "Europe/Berlin",
            });
            let kind = match person.kind {
                AccountKind::Person => Some(json!("atlassian")),
                AccountKind::App => Some(json!("app")),
                AccountKind::Customer => Some(json!("customer")),
                AccountKind::Unknown => Some(json!("unknown")),
                AccountKind::Null => Some(Value::Null),
                AccountKind::Omitted => None,
            };
            if let Some(kind) = kind {
                user["accountType"] = kind;
            }
            if person.shows_email {
                user["emailAddress"] = json!(person.email);
            }
            user
        }
        Flavour::DataCenter => json!({
            "self": format!("{api}/user?username={}", person.name),
            "name": person.name,
            "key": format!("JIRAUSER{}", 10_100 + state.people.iter().position(|p| p == person).unwrap_or_default()),
            "emailAddress": person.email,
            "displayName": person.display,
            "active": person.active,
            "timeZone": "Europe/Berlin",
        }),
    }
}

/// A user by account id; null if the user does not exist.
pub(super) fn user_or_null(state: &State, account: Option<&str>) -> Value {
    account.and_then(|w| state.person(w)).map_or(Value::Null, |person| user(state, person))
}

pub(super) fn status(state: &State, status: &Status, english: bool) -> Value {
    let translated = state.translated && !english;
    let (id, key, name, color) = match (status.category, translated) {
        (Category::New, false) => (2, "new", "To Do", "blue-gray"),
        (Category::New, true) => (2, "new", "Zu erledigen", "blue-gray"),
        (Category::Indeterminate, false) => (4, "indeterminate", "In Progress", "yellow"),
        (Category::Indeterminate, true) => (4, "indeterminate", "In Arbeit", "yellow"),
        (Category::Done, false) => (3, "done", "Done", "green"),
        (Category::Done, true) => (3, "done", "Fertig", "green"),
    };
    let api = api_url(state);
    json!({
        "self": format!("{api}/status/{}", status.id),
        "description": "",
        "iconUrl": format!("{}/images/icons/statuses/generic.png", state.base_url),
        "id": status.id,
        "name": if translated { &status.translated } else { &status.name },
        "statusCategory": {
            "self": format!("{api}/statuscategory/{id}"), "id": id, "key": key, "name": name, "colorName": color,
        },
    })
}

pub(super) fn issue_type(state: &State, kind: &IssueType, english: bool) -> Value {
    let name = if state.translated && !english { &kind.translated } else { &kind.name };
    json!({
        "self": format!("{}/issuetype/{}", api_url(state), kind.id),
        "id": kind.id, "name": name, "description": "", "subtask": kind.subtask,
    })
}

pub(super) fn project(state: &State, key: &str) -> Value {
    state.project(key).map_or(Value::Null, |p| {
        json!({
            "self": format!("{}/project/{}", api_url(state), p.id),
            "id": p.id, "key": p.key, "name": p.name, "projectTypeKey": "software",
        })
    })
}

pub(super) fn change(flavour: Flavour, change: &Change) -> Value {
    let mut item = json!({
        "field": change.field,
        "fieldtype": if change.custom.is_some() || change.field.starts_with("customfield") { "custom" } else { "jira" },
        "from": change.from, "fromString": change.from_string,
        "to": change.to, "toString": change.to_string,
    });
    // Data Center's changelog has no `fieldId`.
    if flavour == Flavour::Cloud && !matches!(change.field.as_str(), "Key" | "Link" | "Workflow") {
        item["fieldId"] = json!(change.custom.as_ref().unwrap_or(&change.field));
    }
    item
}

pub(super) fn history(state: &State, entry: &History) -> Value {
    let items = entry.items.iter().map(|c| change(state.flavour, c));
    let items: Vec<Value> = items.chain(entry.raw_items.iter().cloned()).collect();
    let mut value =
        json!({ "id": entry.id.to_string(), "created": time::format_json(entry.created), "items": items });
    if entry.author.is_some() {
        value["author"] = user_or_null(state, entry.author.as_deref());
    }
    value
}

pub(super) fn comment(state: &State, issue: &Issue, comment: &Comment, properties: bool) -> Value {
    let author = user_or_null(state, Some(&comment.author));
    let mut value = json!({
        "self": format!("{}/issue/{}/comment/{}", api_url(state), issue.id, comment.id),
        "id": comment.id.to_string(),
        "author": author, "updateAuthor": author,
        "body": comment.body,
        "created": time::format_json(comment.created), "updated": time::format_json(comment.created),
    });
    if properties {
        let list: Vec<Value> =
            comment.properties.iter().map(|(k, v)| json!({ "key": k, "value": v })).collect();
        value["properties"] = Value::Array(list);
    }
    value
}

/// A comment in a webhook: its body is plain text.
pub(super) fn plain_comment(state: &State, issue: &Issue, source: &Comment) -> Value {
    let mut value = comment(state, issue, source, false);
    value["body"] = json!(adf::text(&source.body));
    value
}

/// All fields of an issue.
fn fields(state: &State, issue: &Issue, english: bool) -> Map<String, Value> {
    let mut fields = issue.fields.clone();
    let mut set = |name: &str, value: Value| {
        fields.insert(name.to_owned(), value);
    };
    let moved = issue.histories.iter().rfind(|h| h.items.iter().any(|c| c.field == "status"));
    set("summary", json!(issue.summary));
    set("description", issue.description.clone());
    set("labels", json!(issue.labels));
    set("project", project(state, &issue.project));
    set(
        "issuetype",
        state
            .issue_type(&issue.project, &issue.type_id)
            .map_or(Value::Null, |t| issue_type(state, t, english)),
    );
    set("status", state.status_of(issue).map_or(Value::Null, |s| status(state, s, english)));
    set("creator", user_or_null(state, Some(&issue.creator)));
    set("created", json!(time::format_json(issue.created)));
    set("updated", json!(time::format_json(issue.updated)));
    set("statuscategorychangedate", json!(time::format_json(moved.map_or(issue.created, |h| h.created))));
    set("issuelinks", links(state, issue, english));
    let comments: Vec<Value> = issue.comments.iter().map(|c| comment(state, issue, c, false)).collect();
    set(
        "comment",
        json!({ "comments": comments, "maxResults": comments.len(), "total": comments.len(), "startAt": 0 }),
    );
    // It was set by id or name, and is shown as an account.
    let assignee = issue.fields.get("assignee").and_then(|it| {
        let words = it.get("accountId").or_else(|| it.get("id")).or_else(|| it.get("name"));
        words.and_then(Value::as_str)
    });
    set("assignee", user_or_null(state, assignee));
    if !issue.fields.contains_key("reporter") {
        set("reporter", user_or_null(state, Some(&issue.creator)));
    }
    fields
}

/// Which parts of an issue a read returns.
pub(super) struct ReadOptions {
    /// Field names, `*all`, `*navigable`, `-name`.
    pub(super) fields: Vec<String>,
    /// Issue property keys.
    pub(super) properties: Vec<String>,
    /// The maximum number of changelog entries on Cloud; `None`: no changelog.
    pub(super) changelog: Option<usize>,
    pub(super) english: bool,
}

pub(super) fn issue(state: &State, issue: &Issue, options: &ReadOptions) -> Value {
    let mut value = json!({
        "expand": "operations,versionedRepresentations,editmeta,changelog,renderedFields",
        "id": issue.id.to_string(),
        "key": issue.key,
        "self": format!("{}/issue/{}", api_url(state), issue.id),
    });
    let all = fields(state, issue, options.english);
    let all_fields = options.fields.iter().any(|f| f == "*all");
    let navigable =
        options.fields.iter().any(|f| f == "*navigable") || options.fields.iter().all(|f| f.starts_with('-'));
    let included = |name: &str| {
        let excluded = options.fields.iter().any(|f| f.strip_prefix('-') == Some(name));
        !excluded
            && (all_fields || (navigable && name != "comment") || options.fields.iter().any(|f| f == name))
    };
    value["fields"] = Value::Object(all.into_iter().filter(|(name, _)| included(name)).collect());
    if !options.properties.is_empty() {
        let found = issue
            .properties
            .iter()
            .filter(|(k, _)| options.properties.iter().any(|p| p == *k || p == "*all"));
        value["properties"] = Value::Object(found.map(|(k, v)| (k.clone(), v.clone())).collect());
    }
    if let Some(limit) = options.changelog {
        value["changelog"] = changelog(state, issue, limit);
    }
    if let Some(tamper) = state.tamper {
        tamper(&mut value);
    }
    value
}

/// The changelog inside an issue: on Cloud limited and newest first, on Data Center complete and oldest first.
fn changelog(state: &State, issue: &Issue, limit: usize) -> Value {
    let all = issue.histories.iter().map(|h| history(state, h));
    let entries: Vec<Value> = match state.flavour {
        Flavour::Cloud => all.rev().take(limit).collect(),
        Flavour::DataCenter => all.collect(),
    };
    json!({ "startAt": 0, "maxResults": entries.len(), "total": issue.histories.len(), "histories": entries })
}

/// An issue in a webhook: as REST v2 renders it, with plain text, in English.
pub(super) fn webhook_issue(state: &State, issue: &Issue) -> Value {
    let mut fields = fields(state, issue, true);
    fields.insert("description".into(), json!(adf::text(&issue.description)));
    fields.remove("comment");
    fields.remove("issuelinks");
    json!({
        "id": issue.id.to_string(), "key": issue.key, "fields": fields,
        "self": format!("{}/rest/api/2/issue/{}", state.base_url, issue.id),
    })
}

pub(super) fn link_type(state: &State, link_type: &LinkType) -> Value {
    let url = format!("{}/issueLinkType/{}", api_url(state), link_type.id);
    json!({
        "id": link_type.id, "name": link_type.name, "inward": link_type.inward, "outward": link_type.outward, "self": url,
    })
}

/// The field `issuelinks`.
fn links(state: &State, issue: &Issue, english: bool) -> Value {
    let id = issue.id.to_string();
    let mut entries = Vec::new();
    for (index, link) in state.links.iter().enumerate() {
        let (side, other) = if link.inward == id {
            ("outwardIssue", &link.outward)
        } else if link.outward == id {
            ("inwardIssue", &link.inward)
        } else {
            continue;
        };
        let Some(other) = state.find_issue(other).and_then(|id| state.issues.get(&id)) else { continue };
        let status = state.status_of(other).map_or(Value::Null, |s| status(state, s, english));
        let types = all_types(state);
        let kind = types.iter().find(|t| t.name == link.kind).map_or(Value::Null, |t| link_type(state, t));
        entries.push(json!({
            "id": (10_000 + index).to_string(), "type": kind,
            side: { "id": other.id.to_string(), "key": other.key,
                    "fields": { "summary": other.summary, "status": status } },
        }));
    }
    Value::Array(entries)
}
