//! PURE: the shapes of Jira's JSON, as loosely as they can be read, and what they mean to us.
//!
//! The OpenAPI files are wrong about many of them, so ids may be numbers, anything that can be absent may also be
//! `null`, and keys that are not known are passed over.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::{Account, ENDED, error::By, time, words};
use crate::{
    gate::{Home, Move, Person, Sighting, Status},
    millis::Millis,
};

mod setup;

pub(super) use setup::*;

/// The key of the properties that we leave on issues and comments.
pub(super) const PROPERTY: &str = "flagger-jira-bridge";

/// An id, written as a string or as a number. It is shown to people as it is, so it holds nothing that steers a line.
fn id<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    match Value::deserialize(from)? {
        Value::String(id) if words::line(&id) == id => Ok(id),
        Value::Number(id) => Ok(id.to_string()),
        Value::String(_) => Err(serde::de::Error::custom("an id with control characters")),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(serde::de::Error::custom("an id is neither a string nor a number"))
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    account_id: Option<String>,
    account_type: Option<String>,
    name: Option<String>,
    key: Option<String>,
    display_name: Option<String>,
}

impl User {
    /// Who that is: by `accountId` on Cloud, by `name` on Data Center.
    pub(super) fn account(self) -> Option<Account> {
        let id = self.account_id.or(self.name)?;
        Some(Account { name: self.display_name.unwrap_or_else(|| id.clone()), id, key: self.key })
    }

    fn person(self) -> Person {
        let app = self.account_type.as_deref() == Some("app");
        match self.account() {
            Some(account) => Person { id: account.id, name: words::line(&account.name), app },
            None => nobody(),
        }
    }
}

/// The author of a change that names none: a deleted user, or Jira itself. No person approved there.
fn nobody() -> Person {
    Person { id: String::new(), name: "somebody Jira does not name".into(), app: true }
}

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    #[serde(deserialize_with = "id")]
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
}

impl Named {
    pub(super) fn status(self) -> Status {
        Status { id: self.id, name: words::line(&self.name) }
    }
}

#[derive(Debug, Deserialize)]
struct Project {
    key: String,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Fields {
    pub(super) status: Option<Named>,
    project: Option<Project>,
    issuetype: Option<Named>,
    /// Nothing rests on a label that is not there, so none may be said.
    labels: Option<Vec<String>>,
    pub(super) creator: Option<User>,
}

impl Fields {
    /// Where the issue is, if the answer says so.
    pub(super) fn home(self) -> Option<Home> {
        Some(Home { project: self.project?.key, issue_type: self.issuetype?.id })
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Issue {
    #[serde(deserialize_with = "id")]
    pub(super) id: String,
    #[serde(default)]
    pub(super) key: String,
    #[serde(default)]
    pub(super) fields: Option<Fields>,
    pub(super) changelog: Option<Changelog>,
    pub(super) properties: Option<Map<String, Value>>,
}

/// The answer of a search and of Cloud's bulk read.
#[derive(Debug, Deserialize)]
pub(super) struct Issues {
    pub(super) issues: Option<Vec<Value>>,
}

/// The changelog in an issue, or a page of it alone (there the entries are `values`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Changelog {
    pub(super) total: Option<usize>,
    pub(super) is_last: Option<bool>,
    #[serde(alias = "values")]
    pub(super) histories: Option<Vec<History>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct History {
    #[serde(deserialize_with = "id")]
    id: String,
    author: Option<User>,
    created: Option<Value>,
    items: Option<Vec<Item>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    field: Option<String>,
    field_id: Option<String>,
    from: Option<Value>,
    to: Option<Value>,
    #[serde(rename = "toString")]
    to_string: Option<String>,
}

impl Item {
    /// Data Center has no `fieldId`; where there is one, it decides: a custom field may be called "Status".
    fn is_status(&self) -> bool {
        self.field_id
            .as_ref()
            .or(self.field.as_ref())
            .is_some_and(|field| field.eq_ignore_ascii_case("status"))
    }
}

/// Cloud puts at most this many entries into an issue; an older answer may not say how many there are.
const CLOUD_ENTRIES: usize = 40;

impl Issue {
    /// All entries of the changelog, if the answer has all of them.
    pub(super) fn histories(&mut self) -> Option<Vec<History>> {
        let changelog = self.changelog.take()?;
        let histories = changelog.histories?;
        let whole = match changelog.total {
            Some(total) => histories.len() >= total,
            None => histories.len() < CLOUD_ENTRIES,
        };
        whole.then_some(histories)
    }

    /// Whether all that a sighting needs is there, beside the changelog.
    ///
    /// # Errors
    /// What is missing, in words.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let fields = self.fields.as_ref().ok_or("an issue without fields")?;
        fields.status.as_ref().ok_or("an issue without its status")?;
        fields.project.as_ref().ok_or("an issue without its project")?;
        fields.issuetype.as_ref().ok_or("an issue without its type")?;
        if self.key.is_empty() { Err("an issue without its key") } else { Ok(()) }
    }

    /// What the issue shows.
    ///
    /// `answered` is the time of the answer by Jira's clock. A move cannot be later than that: where it seems to be
    /// (`Date` has whole seconds), the answer counts as given at the time of the newest move, so that no age is
    /// ever negative.
    ///
    /// # Errors
    /// What is missing, in words.
    pub(super) fn sighting(self, histories: Vec<History>, answered: Millis) -> Result<Sighting, String> {
        let fields = self.fields.ok_or("an issue without fields")?;
        let status = fields.status.ok_or("an issue without its status")?.status();
        let project = fields.project.ok_or("an issue without its project")?.key;
        let issue_type = fields.issuetype.ok_or("an issue without its type")?.id;
        let ended = fields.labels.iter().flatten().any(|label| label == ENDED);
        let moves = moves(histories)?;
        let answered = moves.iter().map(|entry| entry.at).fold(answered, Millis::max);
        Ok(Sighting::Issue { key: self.key, project, issue_type, status, ended, moves, answered })
    }
}

/// The changes of the status among the entries of a changelog.
fn moves(histories: Vec<History>) -> Result<Vec<Move>, String> {
    let mut moves = vec![];
    for history in histories {
        let items: Vec<Item> =
            history.items.unwrap_or_default().into_iter().filter(Item::is_status).collect();
        if items.is_empty() {
            continue;
        }
        let at = history.created.as_ref().and_then(when).ok_or("a change of status without its time")?;
        let by = history.author.map_or_else(nobody, User::person);
        for item in items {
            let from =
                item.from.as_ref().and_then(plain).ok_or("a change of status without where it began")?;
            let to = item.to.as_ref().and_then(plain).ok_or("a change of status without where it led")?;
            let name = words::line(&item.to_string.unwrap_or_default());
            let to = Status { id: to, name };
            moves.push(Move { changelog_id: history.id.clone(), by: by.clone(), at, from, to });
        }
    }
    Ok(moves)
}

/// A time, written as text or as milliseconds.
fn when(value: &Value) -> Option<Millis> {
    match value {
        Value::String(text) => time::jira(text),
        Value::Number(number) => number.as_i64().map(Millis),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether a property of ours says `name`: `word`. Data Center may hand the value back as text.
pub(super) fn says(value: &Value, name: &str, word: &str) -> bool {
    let holds = |value: &Value| value.get(name).and_then(Value::as_str) == Some(word);
    match value {
        Value::String(text) => serde_json::from_str::<Value>(text).is_ok_and(|value| holds(&value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => holds(value),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Property {
    #[serde(default)]
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct Comment {
    #[serde(deserialize_with = "id")]
    pub(super) id: String,
    pub(super) author: Option<User>,
    /// Absent if Jira did not expand them; empty if there are none.
    pub(super) properties: Option<Vec<Property>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Comments {
    pub(super) comments: Option<Vec<Comment>>,
    pub(super) total: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Transition {
    #[serde(deserialize_with = "id")]
    pub(super) id: String,
    pub(super) to: Named,
    pub(super) is_available: Option<bool>,
    /// What is on its screen, by id. Absent if Jira did not expand them.
    pub(super) fields: Option<HashMap<String, FieldMeta>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Transitions {
    pub(super) transitions: Option<Vec<Transition>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Created {
    #[serde(deserialize_with = "id")]
    pub(super) id: String,
    pub(super) key: String,
}

/// What an answer of 4xx or 5xx says, on one line, and whether it has the form of Jira's API.
pub(super) fn complaint(body: &[u8]) -> Option<(String, By)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let messages = body.get("errorMessages").and_then(Value::as_array);
    let errors = body.get("errors").and_then(Value::as_object);
    let mut said: Vec<String> =
        messages.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    said.extend(errors.into_iter().flatten().map(|(field, message)| {
        let message = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
        format!("{field}: {message}")
    }));
    let by = if messages.is_some() || errors.is_some() { By::Jira } else { By::Somebody };
    if said.is_empty() {
        let other =
            ["message", "detail", "title", "error"].iter().filter_map(|name| body.get(name)?.as_str());
        said.extend(other.take(1).map(str::to_owned));
    }
    Some((words::cut(&words::line(&said.join("; ")), 300), by))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn issue(changelog: Value) -> Issue {
        serde_json::from_value(json!({
            "id": 10042, "key": "OPS-7", "self": "https://elsewhere", "changelog": changelog,
            "fields": {
                "status": {"id": "10007", "name": "Approved", "statusCategory": {"id": 3}},
                "project": {"id": "10000", "key": "OPS"},
                "issuetype": {"id": 10004, "name": "Change"},
            },
        }))
        .unwrap()
    }

    #[test]
    fn only_our_own_label_says_that_it_is_over() {
        for (labels, over) in [
            (json!(["flagger-gate", "flagger-ended"]), true),
            (json!(["flagger-gate", "flagger-ended-not", "Flagger-Ended"]), false),
            (json!([]), false),
            (json!(null), false),
        ] {
            let mut issue = issue(json!({"histories": []}));
            issue.fields.as_mut().unwrap().labels = serde_json::from_value(labels.clone()).unwrap();
            let Sighting::Issue { ended, .. } = issue.sighting(vec![], Millis(5)).unwrap() else {
                panic!("an issue");
            };
            assert_eq!(ended, over, "{labels}");
        }
    }

    fn entry(id: i64, item: Value) -> Value {
        let author = json!({"accountId": "5b10", "displayName": "Mia", "accountType": "atlassian"});
        json!({"id": id, "author": author, "created": "2026-09-27T10:03:11.123+0200", "items": [item]})
    }

    fn status(from: &str, to: &str) -> Value {
        json!({"field": "Status", "from": from, "fromString": "A", "to": to, "toString": "B"})
    }

    #[test]
    fn a_sighting_has_all_moves_and_never_an_answer_before_one() {
        let mut issue = issue(json!({"total": 2, "histories": [
            entry(10124, status("1", "10007")),
            entry(10123, json!({"field": "Status", "fieldId": "customfield_1", "from": "x", "to": "y"})),
        ]}));
        let histories = issue.histories().unwrap();
        let Sighting::Issue { issue_type, moves, answered, .. } =
            issue.sighting(histories, Millis(5)).unwrap()
        else {
            panic!("an issue");
        };
        assert_eq!(issue_type, "10004");
        assert_eq!(answered, Millis(1_790_496_191_123));
        let by = Person { id: "5b10".into(), name: "Mia".into(), app: false };
        let to = Status { id: "10007".into(), name: "B".into() };
        let (changelog_id, from) = ("10124".to_owned(), "1".to_owned());
        assert_eq!(moves, [Move { changelog_id, by, at: answered, from, to }]);
    }

    #[test]
    fn a_changelog_that_is_cut_or_absent_is_not_whole() {
        for changelog in [json!(null), json!({"histories": null}), json!({"total": 3, "histories": []})] {
            assert!(issue(changelog).histories().is_none());
        }
        let full: Vec<Value> = (0..40).map(|n| entry(n, status("1", "2"))).collect();
        assert!(issue(json!({"histories": full})).histories().is_none());
        assert!(issue(json!({"histories": []})).histories().is_some());
    }

    #[test]
    fn what_decides_may_not_be_missing() {
        let mut bare = issue(json!({"histories": []}));
        bare.fields = Some(Fields::default());
        assert_eq!(bare.check().unwrap_err(), "an issue without its status");
        assert_eq!(bare.sighting(vec![], Millis(0)).unwrap_err(), "an issue without its status");
        let nowhere = json!({"field": "status", "from": "1", "to": null});
        let mut cut = issue(json!({"histories": [entry(1, nowhere)]}));
        let histories = cut.histories().unwrap();
        assert_eq!(
            cut.sighting(histories, Millis(0)).unwrap_err(),
            "a change of status without where it led"
        );
    }

    #[test]
    fn who_is_not_named_is_no_person() {
        let mut entry = entry(1, status("1", "2"));
        entry["author"] = json!(null);
        entry["created"] = json!(1_790_000_000_000_i64);
        let found = moves(serde_json::from_value(json!([entry])).unwrap()).unwrap();
        assert!(found[0].by.app && found[0].by.id.is_empty());
        assert_eq!(found[0].at, Millis(1_790_000_000_000));
        let app: User =
            serde_json::from_value(json!({"accountId": "a", "displayName": "Bot", "accountType": "app"}))
                .unwrap();
        assert!(app.person().app);
    }

    #[test]
    fn complaints_are_joined_cleaned_and_cut() {
        let body =
            json!({"errorMessages": ["No\nway"], "errors": {"priority": "not on the screen"}}).to_string();
        let expected = ("No way; priority: not on the screen".to_owned(), By::Jira);
        assert_eq!(complaint(body.as_bytes()), Some(expected));
        let long = json!({"errorMessages": ["x".repeat(1000)]}).to_string();
        assert_eq!(complaint(long.as_bytes()).unwrap().0.chars().count(), 300);
        assert_eq!(complaint(br#"{"message":"off"}"#), Some(("off".into(), By::Somebody)));
        assert_eq!(complaint(b"<html>"), None);
    }

    #[test]
    fn an_id_is_one_line() {
        let named = |id: &str| serde_json::from_value::<Named>(json!({"id": id, "name": "Approved"}));
        assert!(named("10007").is_ok());
        for id in ["3\n", "\u{1b}[31m", "3\u{2028}", "3\u{202e}"] {
            assert!(named(id).is_err(), "{id:?}");
        }
    }

    #[test]
    fn a_property_may_come_back_as_text() {
        assert!(says(&json!({"gate": "ab"}), "gate", "ab"));
        assert!(says(&json!(r#"{"gate":"ab"}"#), "gate", "ab"));
        assert!(!says(&json!({"gate": "cd"}), "gate", "ab"));
        assert!(!says(&json!("ab"), "gate", "ab"));
    }
}
