//! The Jira client: opens tickets, finds them, reads them and updates them.
//!
//! Every method is one operation without retries: an [`Error`] says whether to retry and whether the request may have
//! taken effect. All requests share one rate limit and one pause. An answer counts only if it is proven to be for the
//! bridge's account.

mod access_token;
mod account;
mod adf;
mod answer;
mod assignee;
mod authenticate;
mod cause;
mod client;
mod cloud;
mod credentials;
mod data_center;
mod denial;
mod discovery;
mod error;
mod existing;
mod failing;
mod field;
mod field_value;
mod http_client;
mod issues;
mod marks;
mod oauth;
mod observe;
mod people;
mod read;
mod reading;
mod request;
pub mod retry;
mod send;
mod service_desk;
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
    error::{Error, Lookup, Origin, Retry, SideEffect, Suggestion, UNREADABLE_TARGET, UnreadableReason},
    failing::Failing,
    field::{Choice, Field, Shape},
    issues::{Created, Draft, RequestType},
    marks::{ENDED, LABEL},
    oauth::SCOPES,
    observe::{Observation, Observer, RequestOutcome, unobserved},
    people::{Group, People, Role},
    read::Marks,
    reading::{ChangelogPage, PageBefore, Reading, add_missing},
    request::{MAX_PER_REQUEST, Operation},
    send::{fenced, one_at_a_time, urgently},
    settings::{Kind, Login, OAuth, Settings, UnusableSettings},
    setup::{NEEDED, Permissions, Workflow},
    span::EntrySpan,
    updates::{LinkOutcome, TicketPresence, TransitionOutcome, is_status},
};

#[cfg(test)]
mod tests;
