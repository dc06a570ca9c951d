//! PURE: the shapes of Jira's JSON, as loosely as they can be read, and what they mean to us.
//!
//! The OpenAPI files are wrong about many of them, so ids may be numbers, anything that can be absent may also be
//! `null`, and keys that are not known are passed over.

mod basics;
mod complaint;
mod updates;
mod history;
mod issue;
mod setup;
mod trail;

pub(super) use self::{
    basics::User,
    complaint::complaint,
    updates::{Comments, LinkType, LinkTypes, Property, Transition, Transitions},
    history::{Changelog, History},
    issue::{Created, FIELDS, Issue, Issues, Read},
    setup::{
        AboutProject, CreateFields, CreateTypes, IssueType, Locale, Permissions, ProjectKey, Projects,
        ServerInfo,
    },
    trail::{Trail, span},
};
