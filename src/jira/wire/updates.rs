//! PURE: comments, transitions and links.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::{
    basics::{Named, User, id},
    setup::FieldMeta,
};

#[derive(Debug, Deserialize)]
pub(in crate::jira) struct Property {
    #[serde(default)]
    pub(in crate::jira) key: String,
    #[serde(default)]
    pub(in crate::jira) value: Value,
}

#[derive(Debug, Deserialize)]
pub(in crate::jira) struct Comment {
    #[serde(deserialize_with = "id")]
    pub(in crate::jira) id: String,
    pub(in crate::jira) author: Option<User>,
    /// Absent if Jira did not expand them; empty if there are none.
    pub(in crate::jira) properties: Option<Vec<Property>>,
}

#[derive(Debug, Deserialize)]
pub(in crate::jira) struct Comments {
    pub(in crate::jira) comments: Option<Vec<Comment>>,
    pub(in crate::jira) total: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::jira) struct Transition {
    #[serde(deserialize_with = "id")]
    pub(in crate::jira) id: String,
    pub(in crate::jira) to: Named,
    pub(in crate::jira) is_available: Option<bool>,
    /// The fields on its screen, by id. Absent if Jira did not expand them.
    pub(in crate::jira) fields: Option<HashMap<String, FieldMeta>>,
}

#[derive(Debug, Deserialize)]
pub(in crate::jira) struct Transitions {
    pub(in crate::jira) transitions: Option<Vec<Transition>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::jira) struct LinkTypes {
    #[serde(rename = "issueLinkTypes")]
    pub(in crate::jira) types: Option<Vec<LinkType>>,
}

#[derive(Debug, Deserialize)]
pub(in crate::jira) struct LinkType {
    pub(in crate::jira) name: String,
    #[serde(default)]
    pub(in crate::jira) inward: String,
    #[serde(default)]
    pub(in crate::jira) outward: String,
}
