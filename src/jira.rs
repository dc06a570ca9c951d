//! Jira, as the bridge needs it: open a ticket, find it, look at it, and tell it how things ended.
//!
//! Every method is one operation, and nothing is retried inside: an [`Error`] says whether to try again and whether
//! the request may have worked. All requests share one budget and one pause, and an answer counts only when it
//! proves that it was given to our account.

mod account;
mod adf;
mod answer;
mod authenticate;
mod cause;
mod client;
mod cloud;
mod credentials;
mod data_center;
mod denial;
mod discovery;
mod error;
mod field;
mod http_client;
mod issues;
mod marks;
mod observe;
mod people;
mod read;
mod reading;
mod request;
pub mod retry;
mod send;
mod settings;
mod setup;
mod span;
mod throttle;
mod time;
mod transport;
mod truncate;
mod updates;
mod web;
mod wiki;
mod wire;

pub use self::{
    account::Account,
    cause::{Cause, TlsCause},
    client::{CreatePermit, Jira, JiraHealth, ServerInfo},
    denial::{Denial, Denied, Symptom},
    discovery::{AvailableTransition, ProjectInfo, Sample},
    error::{Error, Lookup, Origin, Retry, SideEffect, Suggestion, UNREADABLE, UnreadableReason},
    field::{Choice, Field, Shape},
    issues::{Created, Draft},
    marks::{ENDED, LABEL},
    observe::{Observation, Observer, RequestOutcome, unobserved},
    people::{Group, People, Role},
    read::Marks,
    reading::{ChangelogPage, PageBefore, Reading, add},
    request::Operation,
    send::{fenced, one_at_a_time, urgently},
    settings::{Kind, Settings, UnusableSettings},
    setup::{NEEDED, Permissions, Workflow},
    span::EntrySpan,
    updates::{LinkOutcome, TicketPresence, TransitionOutcome, is_status},
};

#[cfg(test)]
mod tests;
