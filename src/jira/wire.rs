//! PURE: the shapes of Jira's JSON, read as leniently as possible, and what they mean to the bridge.
//!
//! The OpenAPI files are wrong about many of them, so ids may be numbers, anything that can be absent may also be
//! `null`, and unknown keys are ignored.

mod basics;
mod changelog_part;
mod complaint;
mod history;
mod issue;
mod oauth;
mod people;
mod setup;

mod updates;

pub(super) use self::{
    basics::User,
    changelog_part::{ChangelogPart, span},
    complaint::{Complaint, complaint},
    history::{Changelog, History},
    issue::{Created, FIELDS, Issue, Issues, ReadScope},
    oauth::{AccessToken, OAuthError, TenantInfo},
    people::{Actor, Actors, Assigned, GroupPickerAnswer, Member, UserHit, WireGroup},
    setup::{
        CreateFields, CreateTypes, IssueType, Locale, Permissions, ProjectKey, Projects, ServerInfo,
        WireProjectInfo,
    },
    updates::{Comments, LinkType, LinkTypes, Property, Transition, Transitions},
};
