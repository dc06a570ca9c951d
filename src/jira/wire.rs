//! PURE: the shapes of Jira's JSON, as loosely as they can be read, and what they mean to us.
//!
//! The OpenAPI files are wrong about many of them, so ids may be numbers, anything that can be absent may also be
//! `null`, and keys that are not known are passed over.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::{Account, ENDED, Kind, error::By, time};
use crate::{
    gate::{GateId, Home, Sighting},
    millis::Millis,
    policy::{Person, Status},
    text,
};

mod history;
mod setup;
mod trail;

pub(super) use history::{Changelog, History};
pub(super) use setup::*;
pub(super) use trail::{Trail, span};

/// The key of the properties that we leave on issues and comments.
pub(super) const PROPERTY: &str = "flagger-jira-bridge";

/// An id, written as a string or as a number. It is shown to people as it is, so it holds nothing that steers a line.
fn id<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let value = Value::deserialize(from)?;
    id_of(&value).ok_or_else(|| {
        serde::de::Error::custom(match value {
            Value::String(_) => "an id with control characters",
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                "an id is neither a string nor a number"
            }
        })
    })
}

fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::String(id) => (text::line(id) == *id).then(|| id.clone()),
        Value::Number(id) => Some(id.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
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
    /// Whether it says who that is.
    pub(super) const fn is_named(&self) -> bool {
        self.account_id.is_some() || self.name.is_some()
    }

    /// Who that is: by `accountId` on Cloud, by `name` on Data Center.
    pub(super) fn account(self) -> Option<Account> {
        let id = self.account_id.or(self.name)?;
        Some(Account { name: self.display_name.unwrap_or_else(|| id.clone()), id, key: self.key })
    }

    /// An account as far as it can be read.
    fn read(value: &Value) -> Self {
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            account_id: text("accountId"),
            account_type: text("accountType"),
            name: text("name"),
            key: text("key"),
            display_name: text("displayName"),
        }
    }

    /// Who did something. On Cloud, which tells accounts apart by type, only `atlassian` is a person; Data Center has no types,
    /// and no account ids.
    fn person(self, kind: Kind) -> Person {
        let app = match (kind, self.account_type.as_deref()) {
            (Kind::Cloud, account_type) => account_type != Some("atlassian") || self.account_id.is_none(),
            (Kind::DataCenter, None) => self.account_id.is_some(),
            (Kind::DataCenter, Some(account_type)) => account_type != "atlassian",
        };
        match self.account() {
            Some(account) => Person { id: account.id, name: text::line(&account.name), app },
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
        Status { id: self.id, name: text::line(&self.name) }
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
    /// Empty if it has none. That they are not told says nothing of them.
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
    /// Empty if it has none of those that were asked for.
    pub(super) properties: Option<Map<String, Value>>,
}

/// How an issue was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// With others. A search of Data Center cannot bring properties.
    Together,
    /// In an answer of its own.
    Alone,
}

/// The answer of a search and of Cloud's bulk read.
#[derive(Debug, Deserialize)]
pub(super) struct Issues {
    pub(super) issues: Option<Vec<Value>>,
}

impl Issue {
    /// What the answer holds of the changelog; none if it holds none.
    pub(super) fn trail(&mut self, kind: Kind) -> Option<Trail> {
        Trail::of(self.changelog.take()?, kind)
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
        fields.labels.as_ref().ok_or("an issue without its labels")?;
        if self.key.is_empty() { Err("an issue without its key") } else { Ok(()) }
    }

    /// The gates whose ticket it says that it is. On Cloud its property tells. A search of Data Center cannot bring that, so there its
    /// labels do; read alone, both must.
    ///
    /// # Errors
    /// What is missing, in words: labels and properties that are not told say nothing.
    pub(super) fn marks(&self, kind: Kind, read: Read) -> Result<Vec<GateId>, &'static str> {
        let labels = self.fields.as_ref().and_then(|fields| fields.labels.as_ref());
        let labels = labels.ok_or("an issue without its labels")?.iter();
        let labels = labels.filter_map(|label| GateId::of_label(label));
        let property =
            self.properties.as_ref().map(|all| all.get(PROPERTY).and_then(|mark| said(mark, "gate")));
        match (kind, read, property) {
            (Kind::Cloud, Read::Alone | Read::Together, Some(property)) => {
                Ok(property.map(GateId).into_iter().collect())
            }
            (Kind::DataCenter, Read::Together, None) => Ok(labels.collect()),
            (Kind::DataCenter, Read::Alone | Read::Together, Some(property)) => {
                Ok(labels.filter(|GateId(label)| property.as_ref() == Some(label)).collect())
            }
            (Kind::Cloud, Read::Alone | Read::Together, None) | (Kind::DataCenter, Read::Alone, None) => {
                Err("an issue without its properties")
            }
        }
    }

    /// What the issue shows.
    ///
    /// `answered` is the time of the answer by Jira's clock. A move cannot be later than that: where it seems to be
    /// (`Date` has whole seconds), the answer counts as given at the time of the newest move, so that no age is
    /// ever negative.
    ///
    /// # Errors
    /// What is missing, in words.
    pub(super) fn sighting(
        self,
        histories: &[Value],
        answered: Millis,
        kind: Kind,
        read: Read,
    ) -> Result<Sighting, &'static str> {
        let marks = self.marks(kind, read);
        let fields = self.fields.ok_or("an issue without fields")?;
        let status = fields.status.ok_or("an issue without its status")?.status();
        let project = fields.project.ok_or("an issue without its project")?.key;
        let issue_type = fields.issuetype.ok_or("an issue without its type")?.id;
        let labels = fields.labels.ok_or("an issue without its labels")?;
        let ended = labels.iter().any(|label| label == ENDED);
        let marks = marks?;
        let History { moves, invalidations } = History::read(histories, kind);
        let answered = moves.iter().map(|entry| entry.at).fold(answered, Millis::max);
        Ok(Sighting::Issue {
            key: self.key,
            project,
            issue_type,
            status,
            ended,
            marks,
            moves,
            invalidations,
            answered,
        })
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether a property of ours says `name`: `word`.
pub(super) fn says(value: &Value, name: &str, word: &str) -> bool {
    said(value, name).is_some_and(|said| said == word)
}

/// What a property of ours says of `name`. Data Center may hand the value back as text.
fn said(value: &Value, name: &str) -> Option<String> {
    let held = |value: &Value| value.get(name).and_then(Value::as_str).map(str::to_owned);
    match value {
        Value::String(text) => serde_json::from_str::<Value>(text).ok().as_ref().and_then(held),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => held(value),
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

/// What an answer of 4xx or 5xx says, on one line, and whether it has the form of Jira's API: a list of `errorMessages`,
/// or `errors` by field, each of which is a text. What other programs call `errors` looks otherwise.
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
    let listed = messages.map(|messages| messages.iter().all(Value::is_string));
    // Beside the list, Jira may leave it empty.
    let by_field = errors.map(|errors| errors.values().all(Value::is_string));
    let by = match (listed, by_field, body.get("errorMessages"), body.get("errors")) {
        (Some(true), Some(true), ..) | (Some(true), None, _, None) | (None, Some(true), None, _) => By::Jira,
        _ => By::Somebody,
    };
    if said.is_empty() {
        let other =
            ["message", "detail", "title", "error"].iter().filter_map(|name| body.get(name)?.as_str());
        said.extend(other.take(1).map(str::to_owned));
    }
    Some((text::truncate(&text::line(&said.join("; ")), 300), by))
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
                "labels": [],
            },
            "properties": {},
        }))
        .unwrap()
    }

    #[test]
    fn only_our_own_label_says_that_it_is_over() {
        for (labels, over) in [
            (json!(["flagger-gate", "flagger-ended"]), Ok(true)),
            (json!(["flagger-gate", "flagger-ended-not", "Flagger-Ended"]), Ok(false)),
            (json!([]), Ok(false)),
            // Who took them away may have taken that one, too.
            (json!(null), Err("an issue without its labels")),
        ] {
            let mut issue = issue(json!({"histories": []}));
            issue.fields.as_mut().unwrap().labels = serde_json::from_value(labels.clone()).unwrap();
            assert_eq!(issue.check().err(), over.err(), "{labels}");
            let ended =
                issue.sighting(&[], Millis(5), Kind::Cloud, Read::Alone).map(|sighting| match sighting {
                    Sighting::Issue { ended, .. } => ended,
                    Sighting::Missing { .. } => panic!("an issue"),
                });
            assert_eq!(ended, over, "{labels}");
        }
    }

    fn entry(id: i64, item: Value) -> Value {
        let author = json!({"accountId": "5b10", "displayName": "Mia", "accountType": "atlassian"});
        json!({"id": id, "author": author, "created": "2026-09-27T10:03:11.123+0200", "items": [item]})
    }

    fn status(from: &str, to: &str) -> Value {
        json!({"field": "status", "fieldtype": "jira", "from": from, "fromString": "A", "to": to, "toString": "B"})
    }

    #[test]
    fn a_sighting_has_all_moves_and_never_an_answer_before_one() {
        let mut issue = issue(json!({"total": 2, "histories": [
            entry(10124, status("1", "10007")),
            entry(10123, json!({"field": "Status", "fieldId": "customfield_1", "from": "x", "to": "y"})),
        ]}));
        let Trail { histories, is_whole: true, total: Some(2), .. } = issue.trail(Kind::Cloud).unwrap()
        else {
            panic!("all of it");
        };
        let Sighting::Issue { issue_type, moves, answered, .. } =
            issue.sighting(&histories, Millis(5), Kind::Cloud, Read::Alone).unwrap()
        else {
            panic!("an issue");
        };
        assert_eq!(issue_type, "10004");
        assert_eq!(answered, Millis(1_790_496_191_123));
        let by = Person { id: "5b10".into(), name: "Mia".into(), app: false };
        let to = Status { id: "10007".into(), name: "B".into() };
        let (changelog_id, from) = ("10124".to_owned(), "1".to_owned());
        assert_eq!(moves, [crate::gate::Move { changelog_id, by, at: answered, from, to }]);
    }

    fn marks(
        labels: &Value,
        properties: &Value,
        kind: Kind,
        read: Read,
    ) -> Result<Vec<String>, &'static str> {
        let mut issue = issue(json!(null));
        issue.fields.as_mut().unwrap().labels = serde_json::from_value(labels.clone()).unwrap();
        issue.properties = serde_json::from_value(properties.clone()).unwrap();
        Ok(issue.marks(kind, read)?.into_iter().map(|GateId(id)| id).collect())
    }

    #[test]
    fn an_issue_says_whose_it_is() {
        let ours = json!({ PROPERTY: {"gate": "ab"} });
        for (labels, properties, cloud, data_center) in [
            (json!(["flagger-gate", "fjb-ab"]), json!(ours), &["ab"][..], &["ab"][..]),
            (json!(["fjb-cd"]), json!(ours), &["ab"], &[]),
            (json!(["fjb-ab"]), json!({}), &[], &[]),
            (json!([]), json!(ours), &["ab"], &[]),
            (json!([]), json!({ PROPERTY: "{\"gate\":\"ab\"}" }), &["ab"], &[]),
            (json!(["fjb-ab"]), json!({ PROPERTY: 7 }), &[], &[]),
            (json!(["fjb-ab"]), json!({ PROPERTY: {"gate": "cd"} }), &["cd"], &[]),
        ] {
            for (kind, expected) in [(Kind::Cloud, cloud), (Kind::DataCenter, data_center)] {
                for read in [Read::Alone, Read::Together] {
                    assert_eq!(
                        marks(&labels, &properties, kind, read).unwrap(),
                        expected,
                        "{kind:?} {labels}"
                    );
                }
            }
        }
        // Where the properties are not told at all, only a search of Data Center, which cannot bring them, leaves it to the labels.
        let labels = json!(["fjb-ab", "fjb-cd"]);
        for (kind, read, expected) in [
            (Kind::Cloud, Read::Alone, None),
            (Kind::Cloud, Read::Together, None),
            (Kind::DataCenter, Read::Alone, None),
            (Kind::DataCenter, Read::Together, Some(vec!["ab".to_owned(), "cd".to_owned()])),
        ] {
            assert_eq!(marks(&labels, &json!(null), kind, read).ok(), expected, "{kind:?}");
        }
    }

    #[test]
    fn a_changelog_that_is_cut_or_absent_is_not_whole() {
        for changelog in [json!(null), json!({"histories": null})] {
            assert!(issue(changelog).trail(Kind::Cloud).is_none());
        }
        let full: Vec<Value> = (0..40).rev().map(|n| entry(n, status("1", "2"))).collect();
        let oldest_first: Vec<Value> = full.iter().rev().cloned().collect();
        let fewer = &full[1..];
        for (changelog, cloud, data_center) in [
            (json!({"total": 3, "histories": []}), (0, false, Some(3)), (0, false, Some(3))),
            (json!({"histories": full}), (40, false, None), (40, false, None)),
            (json!({"total": 99, "histories": full}), (40, false, Some(99)), (40, false, Some(99))),
            // Which part of it that is cannot be told.
            (json!({"total": 99, "histories": oldest_first}), (0, false, Some(99)), (0, false, Some(99))),
            // Cloud may have left out others, whatever it says.
            (json!({"total": 40, "histories": oldest_first}), (0, false, None), (40, true, Some(40))),
            (json!({"total": 40, "histories": full}), (40, false, None), (40, true, Some(40))),
            (json!({"total": 0, "histories": full}), (40, false, None), (40, true, Some(0))),
            (json!({"total": 39, "histories": fewer}), (39, true, Some(39)), (39, true, Some(39))),
            (json!({"histories": fewer}), (39, true, Some(39)), (39, true, Some(39))),
            (json!({"histories": []}), (0, true, Some(0)), (0, true, Some(0))),
        ] {
            for (kind, expected) in [(Kind::Cloud, cloud), (Kind::DataCenter, data_center)] {
                let trail = issue(changelog.clone()).trail(kind).unwrap();
                assert_eq!((trail.histories.len(), trail.is_whole, trail.total), expected, "{kind:?}");
            }
        }
    }

    #[test]
    fn what_decides_may_not_be_missing() {
        let mut bare = issue(json!({"histories": []}));
        bare.fields = Some(Fields::default());
        assert_eq!(bare.check().unwrap_err(), "an issue without its status");
        assert_eq!(
            bare.sighting(&[], Millis(0), Kind::Cloud, Read::Alone).unwrap_err(),
            "an issue without its status"
        );
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
        for id in ["3\n", "\u{1b}[31m", "3\u{2028}", "3\u{202e}", "3\u{200b}"] {
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
