//! PURE: Jira's accounts, groups and roles, as it finds and lists them.

use serde::Deserialize;

use super::basics::User;

/// An account that a search found.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::jira) struct UserHit {
    pub(in crate::jira) email_address: Option<String>,
    #[serde(flatten)]
    pub(in crate::jira) user: User,
}

/// An issue of which only the assignee was asked for.
#[derive(Debug, Deserialize)]
pub(in crate::jira) struct Assigned {
    pub(in crate::jira) fields: Option<AssignedFields>,
}

#[derive(Debug, Deserialize)]
pub(in crate::jira) struct AssignedFields {
    pub(in crate::jira) assignee: Option<User>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::jira) struct WireGroup {
    pub(in crate::jira) group_id: Option<String>,
    pub(in crate::jira) name: Option<String>,
}

/// The groups that a search found.
#[derive(Debug, Deserialize)]
pub(in crate::jira) struct GroupPickerAnswer {
    pub(in crate::jira) total: Option<usize>,
    pub(in crate::jira) groups: Option<Vec<WireGroup>>,
}

#[derive(Debug, Deserialize)]
pub(in crate::jira) struct Groups {
    pub(in crate::jira) size: Option<usize>,
    pub(in crate::jira) items: Option<Vec<WireGroup>>,
}

/// An account with its groups, on Data Center.
#[derive(Debug, Deserialize)]
pub(in crate::jira) struct Member {
    pub(in crate::jira) groups: Option<Groups>,
}

/// An account or a group that has a role.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::jira) struct Actor {
    #[serde(rename = "type")]
    pub(in crate::jira) kind: Option<String>,
    pub(in crate::jira) name: Option<String>,
    pub(in crate::jira) actor_user: Option<User>,
    pub(in crate::jira) actor_group: Option<WireGroup>,
}

#[derive(Debug, Deserialize)]
pub(in crate::jira) struct Actors {
    pub(in crate::jira) actors: Option<Vec<Actor>>,
}
