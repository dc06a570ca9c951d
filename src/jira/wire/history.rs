//! PURE: an issue's changelog. A malformed entry or item affects only itself. But if it may have changed the status, it
//! voids what was decided before it.

use serde::Deserialize;
use serde_json::Value;

use super::basics::{User, id_of, plain, unknown_author};
use crate::{
    gate::{ExceptionChange, ExceptionEntry, Invalidation, InvalidationCause, Move},
    jira::{settings::Kind, time},
    millis::Millis,
    policy::{Exception, Status},
    text,
};

/// The changelog in an issue, with the entries as `histories`, or a page of it alone, with the entries as `values`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::jira) struct Changelog {
    /// The number of the first entry of this page; the oldest of all is 0.
    pub(in crate::jira) start_at: Option<usize>,
    pub(in crate::jira) total: Option<usize>,
    /// Whether no page comes after this one.
    pub(in crate::jira) is_last: Option<bool>,
    histories: Option<Vec<Value>>,
    values: Option<Vec<Value>>,
}

impl Changelog {
    /// The entries, each once, even if they come under both names.
    pub(in crate::jira) fn entries(self) -> Option<Vec<Value>> {
        match (self.histories, self.values) {
            (Some(mut all), Some(more)) => {
                for entry in more {
                    if !all.contains(&entry) {
                        all.push(entry);
                    }
                }
                Some(all)
            }
            (entries, None) | (None, entries) => entries,
        }
    }
}

/// What an item of an entry changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// Jira's own status.
    Status,
    /// The project, key, type or workflow.
    Place,
    /// Something that does not matter here.
    Other,
    /// It cannot be read.
    Unreadable,
}

/// What a changelog says about the status: its changes, and what voids earlier changes; and about labels and priorities.
#[derive(Debug, Default)]
pub(in crate::jira) struct History {
    pub(in crate::jira) moves: Vec<Move>,
    pub(in crate::jira) invalidations: Vec<Invalidation>,
    pub(in crate::jira) exceptions: Vec<ExceptionChange>,
}

impl History {
    pub(in crate::jira) fn read(entries: &[Value], kind: Kind) -> Self {
        let mut history = Self::default();
        for entry in entries {
            history.add(entry, kind);
        }
        history
    }

    fn add(&mut self, entry: &Value, kind: Kind) {
        let by = entry.get("author").map_or_else(unknown_author, |author| User::read(author).person(kind));
        let at = entry.get("created").and_then(when);
        let changelog_id = entry.get("id").and_then(id_of);
        let items = entry.get("items").and_then(Value::as_array);
        let mut causes: Vec<InvalidationCause> =
            items.is_none().then_some(InvalidationCause::Unreadable).into_iter().collect();
        for item in items.into_iter().flatten() {
            match field(item, kind) {
                Field::Other => {
                    if let (Some(at), Some(changelog_id)) = (at, &changelog_id) {
                        let entry =
                            || ExceptionEntry { changelog_id: changelog_id.clone(), by: by.clone(), at };
                        let changes = exceptions(item).into_iter();
                        let changes = changes.map(|(exception, set)| ExceptionChange {
                            exception,
                            set,
                            entry: entry(),
                        });
                        self.exceptions.extend(changes);
                    }
                }
                Field::Place => causes.push(InvalidationCause::Relocated),
                Field::Unreadable => causes.push(InvalidationCause::Unreadable),
                Field::Status => match (change(item), at, &changelog_id) {
                    (Some((from, to)), Some(at), Some(id)) => {
                        self.moves.push(Move { changelog_id: id.clone(), by: by.clone(), at, from, to });
                    }
                    (Some(_) | None, _, _) => causes.push(InvalidationCause::Unreadable),
                },
            }
        }
        let changelog_id = changelog_id.unwrap_or_default();
        self.invalidations.extend(causes.into_iter().min().map(|cause| Invalidation {
            changelog_id,
            by: by.id,
            at,
            cause,
        }));
    }
}

/// The field that an item changed. A custom field may have any name. Cloud distinguishes fields by `fieldId`, but does
/// not send one for each; Data Center has only `fieldtype`.
fn field(item: &Value, kind: Kind) -> Field {
    let text = |name: &str| match item.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim().to_lowercase()).filter(|text| !text.is_empty())),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Err(()),
    };
    let (Ok(name), Ok(id), Ok(origin)) = (text("field"), text("fieldId"), text("fieldtype")) else {
        return Field::Unreadable;
    };
    let is_status = |text: &Option<String>| text.as_deref() == Some("status");
    let is_custom_id = id.as_deref().is_some_and(|id| id.starts_with("customfield"));
    if name.is_none() && id.is_none() {
        return Field::Unreadable;
    }
    if is_custom_id || (origin.as_deref() == Some("custom") && !is_status(&id)) {
        return Field::Other;
    }
    if is_status(&id) || (id.is_none() && is_status(&name)) {
        return match (origin.as_deref(), kind, id.is_some()) {
            (Some("jira"), _, _) | (None, Kind::Cloud, true) => Field::Status,
            (Some(_) | None, _, _) => Field::Unreadable,
        };
    }
    if is_status(&name) {
        // Its id is that of another field of Jira's.
        return Field::Unreadable;
    }
    let moves = |text: &Option<String>| {
        let places = ["project", "key", "issuekey", "issue key", "issuetype", "issue type", "workflow"];
        text.as_deref().is_some_and(|text| places.contains(&text))
    };
    if moves(&id) || moves(&name) { Field::Place } else { Field::Other }
}

/// The old and the new status of a status item, if it has both.
fn change(item: &Value) -> Option<(String, Status)> {
    let (from, to) = (item.get("from").and_then(plain)?, item.get("to").and_then(plain)?);
    let name = item.get("toString").and_then(Value::as_str).map(text::single_line).unwrap_or_default();
    Some((from, Status { id: to, name }))
}

/// The labels or the priority that an item sets (true) or takes away (false): those of Jira itself, not of a field of the same
/// name. Labels stand in one text, with spaces between them.
fn exceptions(item: &Value) -> Vec<(Exception, bool)> {
    let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
    let is_jiras = |name: &str| {
        let id = text("fieldId");
        text("field") == name && text("fieldtype") != "custom" && (id.is_empty() || id == name)
    };
    let (before, after) = (text("fromString"), text("toString"));
    if is_jiras("labels") {
        let only_in = |one: &str, other: &str, set: bool| -> Vec<(Exception, bool)> {
            let others: Vec<&str> = other.split_whitespace().collect();
            let alone = one.split_whitespace().filter(|label| !others.contains(label));
            alone.map(|label| (Exception::Label(label.to_owned()), set)).collect()
        };
        let mut changes = only_in(before, after, false);
        changes.extend(only_in(after, before, true));
        return changes;
    }
    if is_jiras("priority") && before != after {
        let named = [(before, false), (after, true)].into_iter().filter(|(name, _)| !name.is_empty());
        return named.map(|(name, set)| (Exception::Priority(text::single_line(name)), set)).collect();
    }
    Vec::new()
}

/// When an entry was made, and its id, if it has both and the id is a number.
pub(super) fn position(entry: &Value) -> Option<(Millis, u64)> {
    let id = entry.get("id").and_then(id_of)?.parse().ok()?;
    Some((entry.get("created").and_then(when)?, id))
}

/// A time, written as text or as milliseconds.
fn when(value: &Value) -> Option<Millis> {
    match value {
        Value::String(text) => time::parse_jira(text),
        Value::Number(number) => number.as_i64().map(Millis),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::Person;

    const BOTH: [Kind; 2] = [Kind::Cloud, Kind::DataCenter];

    fn entry(items: Value) -> Value {
        let author = json!({"accountId": "5b10", "displayName": "Mia", "accountType": "atlassian"});
        json!({"id": "10124", "author": author, "created": "2026-09-27T10:03:11.123+0200", "items": items})
    }

    fn read(entry: Value, kind: Kind) -> History {
        History::read(&[entry], kind)
    }

    /// How an item is classified.
    fn taken(item: Value, kind: Kind) -> &'static str {
        let History { moves, invalidations, .. } = read(entry(json!([item])), kind);
        match (moves.as_slice(), invalidations.as_slice()) {
            ([], []) => "other",
            ([_], []) => "status",
            ([], [Invalidation { cause: InvalidationCause::Relocated, .. }]) => "place",
            ([], [Invalidation { cause: InvalidationCause::Unreadable, .. }]) => "unreadable",
            _ => panic!("{moves:?} {invalidations:?}"),
        }
    }

    #[test]
    fn only_jiras_own_status_is_one() {
        for (field, id, origin, cloud, data_center) in [
            ("status", json!("status"), json!("jira"), "status", "status"),
            ("Status", json!(null), json!("jira"), "status", "status"),
            ("Statut", json!("status"), json!("jira"), "status", "status"),
            ("Status", json!("customfield_10030"), json!("custom"), "other", "other"),
            ("Status", json!("customfield_10030"), json!(null), "other", "other"),
            ("Status", json!(null), json!("custom"), "other", "other"),
            ("status", json!("status"), json!(null), "status", "unreadable"),
            ("status", json!(null), json!(null), "unreadable", "unreadable"),
            ("status", json!("status"), json!("custom"), "unreadable", "unreadable"),
            ("status", json!("status"), json!(7), "unreadable", "unreadable"),
            ("status", json!(""), json!("jira"), "status", "status"),
            ("status", json!("state"), json!("jira"), "unreadable", "unreadable"),
            ("resolution", json!("resolution"), json!("jira"), "other", "other"),
        ] {
            let item = json!({"field": field, "fieldId": id, "fieldtype": origin, "from": "1", "to": "2"});
            assert_eq!(taken(item.clone(), Kind::Cloud), cloud, "{item}");
            assert_eq!(taken(item.clone(), Kind::DataCenter), data_center, "{item}");
        }
    }

    #[test]
    fn what_changes_where_an_issue_belongs() {
        for (field, id, origin, expected) in [
            ("project", json!("project"), json!("jira"), "place"),
            ("Project", json!(null), json!("jira"), "place"),
            ("Key", json!(null), json!("jira"), "place"),
            ("Key", json!("issuekey"), json!("jira"), "place"),
            ("issuetype", json!("issuetype"), json!("jira"), "place"),
            ("Issue Type", json!(null), json!("jira"), "place"),
            ("Workflow", json!(null), json!("jira"), "place"),
            ("Workflow", json!(null), json!(null), "place"),
            ("Vorgangstyp", json!("issuetype"), json!("jira"), "place"),
            ("Project", json!("customfield_1"), json!("custom"), "other"),
            ("Workflow", json!(null), json!("custom"), "other"),
            ("Parent", json!("parent"), json!("jira"), "other"),
            ("IssueParentAssociation", json!(null), json!("jira"), "other"),
            ("Epic Link", json!("customfield_10014"), json!("custom"), "other"),
        ] {
            let item = json!({"field": field, "fieldId": id, "fieldtype": origin, "from": "1", "to": "2"});
            for kind in BOTH {
                assert_eq!(taken(item.clone(), kind), expected, "{item}");
            }
        }
    }

    #[test]
    fn an_odd_item_spoils_only_itself() {
        let status =
            |from: Value, to: Value| json!({"field": "status", "fieldtype": "jira", "from": from, "to": to});
        for (item, expected) in [
            (status(json!("1"), json!(2)), "status"),
            (status(json!(null), json!("2")), "unreadable"),
            (json!({"field": "status", "fieldtype": "jira", "to": "2"}), "unreadable"),
            (status(json!("1"), json!(null)), "unreadable"),
            (status(json!("1"), json!({"id": "2"})), "unreadable"),
            (json!(null), "unreadable"),
            (json!("status"), "unreadable"),
            (json!({"fieldtype": "jira"}), "unreadable"),
            (json!({"field": ["status"]}), "unreadable"),
            (json!({"field": "labels", "from": 1, "to": {}, "toString": []}), "other"),
        ] {
            assert_eq!(taken(item.clone(), Kind::DataCenter), expected, "{item}");
        }
        let good = status(json!("1"), json!("2"));
        let History { moves, invalidations, .. } = read(entry(json!([good, null])), Kind::DataCenter);
        assert_eq!((moves.len(), invalidations.len()), (1, 1), "the item beside it is still read");
        for odd in [
            json!(null),
            json!("x"),
            json!({"id": "7"}),
            json!({"id": "7", "items": null}),
            json!({"id": "7", "items": {}}),
        ] {
            let History { moves, invalidations, .. } = History::read(std::slice::from_ref(&odd), Kind::Cloud);
            assert_eq!((moves.len(), invalidations.len()), (0, 1), "{odd}");
        }
        for (name, odd) in [("id", json!("a\nb")), ("id", json!(null)), ("created", json!("soon"))] {
            let mut entry = entry(json!([good]));
            entry[name] = odd;
            let History { moves, invalidations, .. } = read(entry, Kind::DataCenter);
            assert_eq!((moves.len(), invalidations.len()), (0, 1), "{name}");
        }
        let mut unnamed = entry(json!([good]));
        unnamed["author"] = json!(["?"]);
        assert!(read(unnamed, Kind::DataCenter).moves[0].by.id.is_empty());
    }

    #[test]
    fn entries_come_under_either_name_or_both() {
        for (changelog, entries) in [
            (json!({"histories": [1, 2]}), Some(2)),
            (json!({"values": [1, 2]}), Some(2)),
            (json!({"histories": [1, 2], "values": [2, 3]}), Some(3)),
            (json!({"histories": null, "values": [1]}), Some(1)),
            (json!({"histories": [], "values": [1]}), Some(1)),
            (json!({"total": 0}), None),
        ] {
            let read: Changelog = serde_json::from_value(changelog.clone()).unwrap();
            assert_eq!(read.entries().map(|it| it.len()), entries, "{changelog}");
        }
    }

    #[test]
    fn who_is_a_person() {
        for (author, kind, expected) in [
            (
                json!({"accountId": "a", "displayName": "A", "accountType": "atlassian"}),
                Kind::Cloud,
                ("a", false),
            ),
            (json!({"accountId": "a", "accountType": "app"}), Kind::Cloud, ("a", true)),
            (json!({"accountId": "a", "accountType": "customer"}), Kind::Cloud, ("a", true)),
            (json!({"accountId": "a", "accountType": "unknown"}), Kind::Cloud, ("a", true)),
            (json!({"accountId": "a", "accountType": null}), Kind::Cloud, ("a", true)),
            (json!({"accountId": "a", "accountType": 1}), Kind::Cloud, ("a", true)),
            (json!({"accountId": "a"}), Kind::Cloud, ("a", true)),
            (json!({"name": "a"}), Kind::Cloud, ("a", true)),
            (json!({"name": "fred", "key": "JIRAUSER1"}), Kind::DataCenter, ("fred", false)),
            (json!({"accountId": "a"}), Kind::DataCenter, ("a", true)),
            (json!({"displayName": "A"}), Kind::DataCenter, ("", true)),
            (json!(null), Kind::Cloud, ("", true)),
        ] {
            let Person { id, app, .. } = User::read(&author).person(kind);
            assert_eq!((id.as_str(), app), expected, "{author}");
        }
    }

    #[test]
    fn a_time_is_text_or_a_number() {
        assert_eq!(when(&json!(1_790_000_000_000_i64)), Some(Millis(1_790_000_000_000)));
        assert_eq!(when(&json!("2026-09-27T10:03:11.123+0200")), Some(Millis(1_790_496_191_123)));
        assert_eq!(when(&json!("soon")), None);
    }
}
