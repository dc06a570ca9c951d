//! Jira, as the bridge needs it: open a ticket, find it, look at it, and tell it how things ended.
//!
//! Every method is one operation, and nothing is retried inside: an [`Error`] says whether to try again and whether
//! the request may have worked. All requests share one budget and one pause, and an answer counts only when it
//! proves that it was given to our account.

mod account;
mod adf;
mod answer;
mod cause;
mod client;
mod cloud;
mod credentials;
mod data_center;
mod denial;
mod updates;
mod error;
mod field;
mod http_client;
mod issues;
mod look;
mod marks;
mod observe;
mod people;
mod authenticate;
mod reading;
mod request;
pub mod retry;
mod send;
mod settings;
mod setup;
mod shorten;
mod span;
mod discovery;
mod throttle;
mod time;
mod transport;
mod web;
mod wiki;
mod wire;

pub use self::{
    account::Account,
    cause::{Cause, Tls},
    client::{Health, Jira, Server, Slot},
    denial::{Denial, Denied, Symptom},
    updates::{Linked, Transitioned, Whereabouts, is_status},
    error::{By, Candidate, Error, Flaw, Happened, Retry, Thing, UNREADABLE},
    field::{Choice, Field, Shape},
    issues::{Created, Draft},
    look::Marks,
    marks::{ENDED, LABEL},
    observe::{Observation, Observer, Outcome, unobserved},
    people::{Group, People, Role},
    reading::{Before, Page, Reading, add},
    request::Operation,
    send::{one_at_a_time, fenced, urgently},
    settings::{Kind, Settings, Unusable},
    setup::{NEEDED, Permissions, Workflow},
    span::Span,
    discovery::{About, Sample, Way},
};

#[cfg(test)]
mod tests;
