//! PURE: an issue in an answer, and its snapshot.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    basics::{Named, User, id},
    changelog_part::ChangelogPart,
    history::{Changelog, History},
};
use crate::{
    gate::{GateId, Home, IssueSnapshot, ShownException, newest_entry},
    jira::{
        marks::{self, ENDED, PROPERTY},
        settings::Kind,
    },
    millis::Millis,
    policy::Exception,
    text::{one_line, single_line},
};

/// The longest value of another field that is kept, in characters.
const LONGEST_VALUE: usize = 64;
/// The field with the priority, which is requested if it may lift a freeze.
pub(in crate::jira) const PRIORITY: &str = "priority";
/// The fields of an issue that the bridge requests.
pub(in crate::jira) const FIELDS: [&str; 4] = ["status", "project", "issuetype", "labels"];

#[derive(Debug, Deserialize)]
struct Project {
    key: String,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::jira) struct Fields {
    pub(in crate::jira) status: Option<Named>,
    project: Option<Project>,
    issuetype: Option<Named>,
    /// Empty if the issue has none. None proves nothing about its labels.
    labels: Option<Vec<String>>,
    pub(in crate::jira) creator: Option<User>,
    /// All others that were requested.
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Fields {
    /// The last line of a text field, or the text of the last block of an ADF field; empty if there is none.
    pub(in crate::jira) fn last_line(&self, name: &str) -> String {
        let value = self.others.get(name).unwrap_or(&Value::Null);
        if let Some(text) = value.as_str() {
            return text.trim_end().lines().last().unwrap_or_default().trim().to_owned();
        }
        let blocks = value.get("content").and_then(Value::as_array);
        let runs = blocks.and_then(|blocks| blocks.last()?.get("content")?.as_array());
        let texts = runs.into_iter().flatten().filter_map(|run| run.get("text").and_then(Value::as_str));
        texts.collect()
    }

    /// Where the issue is, if the answer says so.
    pub(in crate::jira) fn home(self) -> Option<Home> {
        Some(Home { project: self.project?.key, issue_type: self.issuetype?.id })
    }
}

#[derive(Debug, Deserialize)]
pub(in crate::jira) struct Issue {
    #[serde(deserialize_with = "id")]
    pub(in crate::jira) id: String,
    #[serde(default)]
    pub(in crate::jira) key: String,
    #[serde(default)]
    pub(in crate::jira) fields: Option<Fields>,
    pub(in crate::jira) changelog: Option<Changelog>,
    /// Empty if the issue has none of the requested properties.
    pub(in crate::jira) properties: Option<Map<String, Value>>,
}

/// How an issue was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jira) enum ReadScope {
    /// With others. A search on Data Center cannot return properties.
    Together,
    /// By itself.
    Alone,
}

/// The answer of a search and of Cloud's bulk read.
#[derive(Debug, Deserialize)]
pub(in crate::jira) struct Issues {
    pub(in crate::jira) issues: Option<Vec<Value>>,
}

impl Issue {
    /// The part of the changelog in the answer, if there is one.
    pub(in crate::jira) fn changelog_part(&mut self, kind: Kind) -> Option<ChangelogPart> {
        ChangelogPart::of(self.changelog.take()?, kind)
    }

    /// Checks that the answer holds all that a snapshot needs besides the changelog.
    ///
    /// # Errors
    /// What is missing, in words.
    pub(in crate::jira) fn check(&self) -> Result<(), &'static str> {
        let fields = self.fields.as_ref().ok_or("an issue without fields")?;
        fields.status.as_ref().ok_or("an issue without its status")?;
        fields.project.as_ref().ok_or("an issue without its project")?;
        fields.issuetype.as_ref().ok_or("an issue without its type")?;
        fields.labels.as_ref().ok_or("an issue without its labels")?;
        if self.key.is_empty() { Err("an issue without its key") } else { Ok(()) }
    }

    /// The gates that the issue names: on Cloud by its property. A search on Data Center cannot return that, so there
    /// the labels name them; read alone, both must.
    ///
    /// # Errors
    /// What is missing, in words: labels and properties that the answer lacks prove nothing.
    pub(in crate::jira) fn marks(&self, kind: Kind, read: ReadScope) -> Result<Vec<GateId>, &'static str> {
        let labels = self.fields.as_ref().and_then(|fields| fields.labels.as_ref());
        let labels = labels.ok_or("an issue without its labels")?.iter();
        let labels = labels.filter_map(|label| GateId::of_label(label));
        let property = self
            .properties
            .as_ref()
            .map(|all| all.get(PROPERTY).and_then(|mark| marks::mark_value(mark, "gate")));
        match (kind, read, property) {
            (Kind::Cloud, ReadScope::Alone | ReadScope::Together, Some(property)) => {
                Ok(property.map(GateId).into_iter().collect())
            }
            (Kind::DataCenter, ReadScope::Together, None) => Ok(labels.collect()),
            (Kind::DataCenter, ReadScope::Alone | ReadScope::Together, Some(property)) => {
                Ok(labels.filter(|GateId(label)| property.as_ref() == Some(label)).collect())
            }
            (Kind::Cloud, ReadScope::Alone | ReadScope::Together, None)
            | (Kind::DataCenter, ReadScope::Alone, None) => Err("an issue without its properties"),
        }
    }

    /// The snapshot of the issue.
    ///
    /// `answered` is the time of the answer by Jira's clock. A move cannot be later than that: if it seems to be
    /// (`Date` has whole seconds), the answer counts as given at the time of the newest move, so that no age is ever
    /// negative.
    ///
    /// # Errors
    /// What is missing, in words.
    pub(in crate::jira) fn snapshot(
        self,
        histories: &[Value],
        answered: Millis,
        kind: Kind,
        read: ReadScope,
    ) -> Result<IssueSnapshot, &'static str> {
        let marks = self.marks(kind, read);
        let mut fields = self.fields.ok_or("an issue without fields")?;
        let status = fields.status.ok_or("an issue without its status")?.status();
        let project = fields.project.ok_or("an issue without its project")?.key;
        let issue_type = fields.issuetype.ok_or("an issue without its type")?.id;
        let labels = fields.labels.ok_or("an issue without its labels")?;
        let ended = labels.iter().any(|label| label == ENDED);
        let priority = fields.others.remove(PRIORITY);
        let planned =
            fields.others.into_iter().filter_map(|(id, value)| Some((id, text_of(value)?))).collect();
        let marks = marks?;
        let History { moves, invalidations, exceptions: changes } = History::read(histories, kind);
        let priority = priority.as_ref().and_then(|priority| priority.get("name")?.as_str()).map(single_line);
        let has = labels.into_iter().map(Exception::Label).chain(priority.map(Exception::Priority));
        let exceptions = has
            .map(|exception| {
                let entry = newest_entry(&changes, &exception);
                ShownException { exception, entry }
            })
            .collect();
        let answered = moves.iter().map(|entry| entry.at).fold(answered, Millis::max);
        Ok(IssueSnapshot::Issue {
            key: self.key,
            project,
            issue_type,
            status,
            ended,
            marks,
            moves,
            invalidations,
            planned,
            exceptions,
            answered,
            approval: None,
        })
    }
}

/// The value of a field, as far as it is needed to tell whether it is a time; none if the field has no value.
fn text_of(value: Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text,
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    Some(one_line(&text, LONGEST_VALUE))
}

#[derive(Debug, Deserialize)]
pub(in crate::jira) struct Created {
    #[serde(deserialize_with = "id")]
    pub(in crate::jira) id: String,
    pub(in crate::jira) key: String,
}

/// The answer to the opening of a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::jira) struct CreatedRequest {
    #[serde(deserialize_with = "id")]
    issue_id: String,
    issue_key: String,
}

impl From<CreatedRequest> for Created {
    fn from(CreatedRequest { issue_id, issue_key }: CreatedRequest) -> Self {
        Self { id: issue_id, key: issue_key }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::{Person, Status};

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
    fn only_the_exact_label_marks_a_ticket_as_ended() {
        for (labels, over) in [
            (json!(["flagger-gate", "flagger-ended"]), Ok(true)),
            (json!(["flagger-gate", "flagger-ended-not", "Flagger-Ended"]), Ok(false)),
            (json!([]), Ok(false)),
            // Labels that are missing from the answer may include that one.
            (json!(null), Err("an issue without its labels")),
        ] {
            let mut issue = issue(json!({"histories": []}));
            issue.fields.as_mut().unwrap().labels = serde_json::from_value(labels.clone()).unwrap();
            assert_eq!(issue.check().err(), over.err(), "{labels}");
            let ended =
                issue.snapshot(&[], Millis(5), Kind::Cloud, ReadScope::Alone).map(
                    |snapshot| match snapshot {
                        IssueSnapshot::Issue { ended, .. } => ended,
                        IssueSnapshot::Missing { .. } => panic!("an issue"),
                    },
                );
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
    fn a_snapshot_has_all_moves_and_never_an_answer_before_one() {
        let mut issue = issue(json!({"total": 2, "histories": [
            entry(10124, status("1", "10007")),
            entry(10123, json!({"field": "Status", "fieldId": "customfield_1", "from": "x", "to": "y"})),
        ]}));
        let ChangelogPart { histories, is_whole: true, total: Some(2), .. } =
            issue.changelog_part(Kind::Cloud).unwrap()
        else {
            panic!("all of it");
        };
        let IssueSnapshot::Issue { issue_type, moves, answered, .. } =
            issue.snapshot(&histories, Millis(5), Kind::Cloud, ReadScope::Alone).unwrap()
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
        read: ReadScope,
    ) -> Result<Vec<String>, &'static str> {
        let mut issue = issue(json!(null));
        issue.fields.as_mut().unwrap().labels = serde_json::from_value(labels.clone()).unwrap();
        issue.properties = serde_json::from_value(properties.clone()).unwrap();
        Ok(issue.marks(kind, read)?.into_iter().map(|GateId(id)| id).collect())
    }

    #[test]
    fn an_issue_names_its_gate() {
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
                for read in [ReadScope::Alone, ReadScope::Together] {
                    assert_eq!(
                        marks(&labels, &properties, kind, read).unwrap(),
                        expected,
                        "{kind:?} {labels}"
                    );
                }
            }
        }
        // Without properties in the answer, only a search on Data Center, which cannot return them, relies on the
        // labels.
        let labels = json!(["fjb-ab", "fjb-cd"]);
        for (kind, read, expected) in [
            (Kind::Cloud, ReadScope::Alone, None),
            (Kind::Cloud, ReadScope::Together, None),
            (Kind::DataCenter, ReadScope::Alone, None),
            (Kind::DataCenter, ReadScope::Together, Some(vec!["ab".to_owned(), "cd".to_owned()])),
        ] {
            assert_eq!(marks(&labels, &json!(null), kind, read).ok(), expected, "{kind:?}");
        }
    }

    #[test]
    fn a_changelog_that_is_cut_or_absent_is_not_whole() {
        for changelog in [json!(null), json!({"histories": null})] {
            assert!(issue(changelog).changelog_part(Kind::Cloud).is_none());
        }
        let full: Vec<Value> = (0..40).rev().map(|n| entry(n, status("1", "2"))).collect();
        let oldest_first: Vec<Value> = full.iter().rev().cloned().collect();
        let fewer = &full[1..];
        for (changelog, cloud, data_center) in [
            (json!({"total": 3, "histories": []}), (0, false, Some(3)), (0, false, Some(3))),
            (json!({"histories": full}), (40, false, None), (40, false, None)),
            (json!({"total": 99, "histories": full}), (40, false, Some(99)), (40, false, Some(99))),
            // It is unknown which part of the changelog this is.
            (json!({"total": 99, "histories": oldest_first}), (0, false, Some(99)), (0, false, Some(99))),
            // Cloud may have left out others, whatever its total.
            (json!({"total": 40, "histories": oldest_first}), (0, false, None), (40, true, Some(40))),
            (json!({"total": 40, "histories": full}), (40, false, None), (40, true, Some(40))),
            (json!({"total": 0, "histories": full}), (40, false, None), (40, true, Some(0))),
            (json!({"total": 39, "histories": fewer}), (39, true, Some(39)), (39, true, Some(39))),
            (json!({"histories": fewer}), (39, true, Some(39)), (39, true, Some(39))),
            (json!({"histories": []}), (0, true, Some(0)), (0, true, Some(0))),
        ] {
            for (kind, expected) in [(Kind::Cloud, cloud), (Kind::DataCenter, data_center)] {
                let part = issue(changelog.clone()).changelog_part(kind).unwrap();
                assert_eq!((part.histories.len(), part.is_whole, part.total), expected, "{kind:?}");
            }
        }
    }

    #[test]
    fn what_decides_may_not_be_missing() {
        let mut bare = issue(json!({"histories": []}));
        bare.fields = Some(Fields::default());
        assert_eq!(bare.check().unwrap_err(), "an issue without its status");
        assert_eq!(
            bare.snapshot(&[], Millis(0), Kind::Cloud, ReadScope::Alone).unwrap_err(),
            "an issue without its status"
        );
    }
}
