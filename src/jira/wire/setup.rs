//! PURE: Jira's projects, their screens and workflows, and the bridge's permissions in them.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::basics::{Named, plain};
use crate::{
    jira::field::{Choice, Field, Shape},
    text,
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::jira) struct FieldMeta {
    field_id: Option<String>,
    key: Option<String>,
    name: Option<String>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    has_default_value: bool,
    schema: Option<Value>,
    allowed_values: Option<Value>,
}

/// The shape of a field's values, by its `schema`.
fn shape(schema: &Value) -> Shape {
    let text = |name: &str| schema.get(name).and_then(Value::as_str);
    let long = text("custom").is_some_and(|custom| custom.ends_with(":textarea"))
        || matches!(text("system"), Some("description" | "environment"));
    match text("type") {
        Some("string") if long => Shape::LongText,
        Some("array") => match text("items").map(shape_of) {
            Some(Shape::Unknown) | None => Shape::Unknown,
            Some(item) => Shape::List(Box::new(item)),
        },
        Some(kind) => shape_of(kind),
        None => Shape::Unknown,
    }
}

fn shape_of(kind: &str) -> Shape {
    match kind {
        "string" => Shape::Text,
        "number" => Shape::Number,
        "date" => Shape::Date,
        "datetime" => Shape::DateTime,
        "user" => Shape::Person,
        "option" | "option-with-child" => Shape::Choice("value"),
        "priority" | "resolution" | "version" | "component" | "securitylevel" | "group" => {
            Shape::Choice("name")
        }
        "project" | "issuelink" => Shape::Choice("key"),
        _ => Shape::Unknown,
    }
}

fn choice(value: &Value) -> Choice {
    let text = |name: &str| value.get(name).and_then(plain).map(|text| text::single_line(&text));
    Choice { id: text("id"), key: text("key"), name: text("name"), value: text("value") }
}

impl FieldMeta {
    /// The field; `id` is needed if the answer has the id only as the key of a map.
    pub(in crate::jira) fn field(self, id: Option<String>) -> Option<Field> {
        let id = id.or(self.field_id).or(self.key)?;
        let name = text::single_line(self.name.as_deref().unwrap_or(&id));
        let shape = self.schema.as_ref().map_or(Shape::Unknown, shape);
        let allowed = self.allowed_values.as_ref().and_then(Value::as_array);
        let allowed = allowed.into_iter().flatten().map(choice).collect();
        let (required, has_default) = (self.required, self.has_default_value);
        Some(Field { id, name, required, has_default, shape, allowed })
    }
}

/// A page of the create screen's fields: `fields` on Cloud, `values` on Data Center.
#[derive(Debug, Deserialize)]
pub(in crate::jira) struct CreateFields {
    fields: Option<Vec<FieldMeta>>,
    values: Option<Vec<FieldMeta>>,
    pub(in crate::jira) total: Option<usize>,
}

impl CreateFields {
    pub(in crate::jira) fn all(self) -> Vec<FieldMeta> {
        self.fields.or(self.values).unwrap_or_default()
    }
}

#[derive(Debug, Deserialize)]
pub(in crate::jira) struct IssueType {
    #[serde(flatten)]
    pub(in crate::jira) named: Named,
    pub(in crate::jira) statuses: Option<Vec<WorkflowStatus>>,
    subtask: Option<Value>,
}

impl IssueType {
    /// Whether its issues need a parent.
    pub(in crate::jira) fn is_subtask(&self) -> bool {
        self.subtask == Some(Value::Bool(true))
    }
}

/// A status of a workflow.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::jira) struct WorkflowStatus {
    #[serde(flatten)]
    pub(in crate::jira) named: Named,
    status_category: Option<Value>,
}

impl WorkflowStatus {
    /// The key of its category, if Jira reports it.
    pub(in crate::jira) fn category(&self) -> Option<String> {
        Some(self.status_category.as_ref()?.get("key")?.as_str()?.to_owned())
    }
}

/// The properties of a project that Jira reports.
#[derive(Debug, Deserialize)]
pub(in crate::jira) struct WireProjectInfo {
    pub(in crate::jira) style: Option<String>,
    pub(in crate::jira) simplified: Option<bool>,
    pub(in crate::jira) archived: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(in crate::jira) struct ProjectKey {
    pub(in crate::jira) key: String,
}

/// A page of projects, on Cloud.
#[derive(Debug, Deserialize)]
pub(in crate::jira) struct Projects {
    pub(in crate::jira) values: Option<Vec<ProjectKey>>,
}

/// A page of issue types: `issueTypes` on Cloud, `values` on Data Center.
#[derive(Debug, Deserialize)]
pub(in crate::jira) struct CreateTypes {
    #[serde(rename = "issueTypes")]
    types: Option<Vec<Named>>,
    values: Option<Vec<Named>>,
    pub(in crate::jira) total: Option<usize>,
}

impl CreateTypes {
    pub(in crate::jira) fn all(self) -> Vec<Named> {
        self.types.or(self.values).unwrap_or_default()
    }
}

#[derive(Debug, Deserialize)]
pub(in crate::jira) struct Locale {
    pub(in crate::jira) locale: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::jira) struct Permission {
    #[serde(default)]
    pub(in crate::jira) have_permission: bool,
}

#[derive(Debug, Deserialize)]
pub(in crate::jira) struct Permissions {
    pub(in crate::jira) permissions: Option<HashMap<String, Permission>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::jira) struct ServerInfo {
    pub(in crate::jira) deployment_type: Option<String>,
    pub(in crate::jira) version: Option<String>,
    pub(in crate::jira) server_title: Option<String>,
    pub(in crate::jira) base_url: Option<String>,
}
