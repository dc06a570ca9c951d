//! PURE: an issue that a question names, in an answer.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::basics::{Named, id};
use crate::{
    gate::{GateId, Home, NamedIssue},
    jira::marks::{self, ENDED, PROPERTY},
    policy::Status,
    text,
};

#[derive(Debug, Deserialize)]
struct Category {
    key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusWithCategory {
    #[serde(deserialize_with = "id")]
    id: String,
    #[serde(default)]
    name: String,
    status_category: Option<Category>,
}

#[derive(Debug, Deserialize)]
struct Project {
    key: String,
}

#[derive(Debug, Default, Deserialize)]
struct Fields {
    status: Option<StatusWithCategory>,
    project: Option<Project>,
    issuetype: Option<Named>,
    labels: Option<Vec<String>>,
}

/// An issue without its history.
#[derive(Debug, Deserialize)]
pub(in crate::jira) struct ExistingIssue {
    #[serde(deserialize_with = "id")]
    id: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    fields: Option<Fields>,
    properties: Option<Map<String, Value>>,
}

impl ExistingIssue {
    /// The fields to request.
    pub(in crate::jira) const FIELDS: &str = "status,project,issuetype,labels";

    /// What it says.
    ///
    /// # Errors
    /// What is missing, in words: what an answer lacks proves nothing.
    pub(in crate::jira) fn read(self) -> Result<NamedIssue, &'static str> {
        let fields = self.fields.ok_or("an issue without fields")?;
        let status = fields.status.ok_or("an issue without its status")?;
        let project = fields.project.ok_or("an issue without its project")?.key;
        let issue_type = fields.issuetype.ok_or("an issue without its type")?;
        let labels = fields.labels.ok_or("an issue without its labels")?;
        let properties = self.properties.ok_or("an issue without its properties")?;
        if self.key.is_empty() {
            return Err("an issue without its key");
        }
        let property = properties.get(PROPERTY).and_then(|mark| marks::mark_value(mark, "gate"));
        let mut marks: Vec<GateId> = property.map(GateId).into_iter().collect();
        for mark in labels.iter().filter_map(|label| GateId::of_label(label)) {
            if !marks.contains(&mark) {
                marks.push(mark);
            }
        }
        let is_done = status.status_category.and_then(|category| category.key).as_deref() == Some("done");
        let type_name = text::single_line(&issue_type.name);
        Ok(NamedIssue {
            id: self.id,
            key: text::single_line(&self.key),
            home: Home { project, issue_type: issue_type.id },
            type_name,
            status: Status { id: status.id, name: text::single_line(&status.name) },
            is_done,
            ended: labels.iter().any(|label| label == ENDED),
            marks,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn issue() -> Value {
        json!({
            "id": 10042, "key": "CHG-7",
            "fields": {
                "status": {"id": "3", "name": "Done", "statusCategory": {"id": 3, "key": "done"}},
                "project": {"key": "CHG"}, "issuetype": {"id": "10004", "name": "Change"},
                "labels": ["fjb-cd", "flagger-ended", "team"],
            },
            "properties": { PROPERTY: {"gate": "ab"} },
        })
    }

    #[test]
    fn it_shows_every_mark_and_nothing_may_be_missing() {
        let read = |value: Value| serde_json::from_value::<ExistingIssue>(value).unwrap().read();
        let found = read(issue()).unwrap();
        assert_eq!(found.marks, [GateId("ab".into()), GateId("cd".into())]);
        assert!(found.ended && found.is_done);
        for (at, what) in [
            ("/fields/status", "an issue without its status"),
            ("/fields/project", "an issue without its project"),
            ("/fields/issuetype", "an issue without its type"),
            ("/fields/labels", "an issue without its labels"),
            ("/properties", "an issue without its properties"),
        ] {
            let mut bare = issue();
            *bare.pointer_mut(at).unwrap() = Value::Null;
            assert_eq!(read(bare).unwrap_err(), what);
        }
    }
}
