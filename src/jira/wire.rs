//! PURE: the shapes of Jira's JSON, read as leniently as possible, and what they mean to the bridge.
//!
//! The OpenAPI files are wrong about many of them, so ids may be numbers, anything that can be absent may also be
//! `null`, and unknown keys are ignored.

mod basics;
mod changelog_part;
mod complaint;
mod existing;
mod history;
mod issue;
mod oauth;
mod people;
mod service_desk;
mod setup;

mod updates;

pub(super) use self::{
    basics::User,
    changelog_part::{ChangelogPart, span},
    complaint::{Complaint, complaint},
    existing::ExistingIssue,
    history::{Changelog, History},
    issue::{Created, CreatedRequest, FIELDS, Issue, Issues, PRIORITY, ReadScope},
    oauth::{AccessToken, OAuthError, TenantInfo},
    people::{Actor, Actors, Assigned, GroupPickerAnswer, Member, UserHit, WireGroup},
    service_desk::{Approval, DeskPage, RequestType, ServiceDesk},
    setup::{
        CreateFields, CreateTypes, IssueType, Locale, Permissions, ProjectKey, Projects, ServerInfo,
        WireProjectInfo,
    },
    updates::{Comments, LinkType, LinkTypes, Property, Transition, Transitions},
};
