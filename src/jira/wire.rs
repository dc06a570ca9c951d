//! PURE: the shapes of Jira's JSON, read as leniently as possible, and what they mean to the bridge.
//!
//! The OpenAPI files are wrong about many of them, so ids may be numbers, anything that can be absent may also be
//! `null`, and unknown keys are ignored.

mod basics;
mod complaint;
mod history;
mod issue;
mod setup;
mod people;
mod trail;
mod updates;

pub(super) use self::{
    basics::User,
    complaint::complaint,
    history::{Changelog, History},
    issue::{Created, FIELDS, Issue, Issues, ReadScope},
    setup::{
        CreateFields, CreateTypes, IssueType, Locale, Permissions, ProjectKey, Projects, ServerInfo,
    people::{Actor, Actors, GroupPickerAnswer, Member, UserHit, WireGroup},
        WireProjectInfo,
    },
    trail::{ChangelogPart, span},
    updates::{Comments, LinkType, LinkTypes, Property, Transition, Transitions},
};
