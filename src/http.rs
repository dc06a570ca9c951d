//! The listeners: Flagger's questions, Jira's webhook, and the status page, with the API or alone.
//!
//! A handler reads the request, checks whether the caller is allowed, and leaves the rest to the gatekeeper.

pub mod admission;
mod app;
pub mod body;
pub mod credentials;
pub mod flagger;
mod health;
pub mod jira;
mod plain;
pub mod refused_calls;
pub mod serve;
mod shared;
pub mod status;

pub use self::shared::Shared;
