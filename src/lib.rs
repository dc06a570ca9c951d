//! Opens Flagger's gates from Jira: one approval opens one gate of one rollout, and nothing else ever opens a gate.

pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
#[cfg(test)]
#[path = "../tests/it/database.rs"]
mod database;
pub mod demo;
pub mod flagger;
pub mod gate;
pub mod gatekeeper;
pub mod http;
pub mod jira;
pub mod metrics;
pub mod millis;
pub mod policy;
pub mod rollout;
pub mod secret;
pub mod serve;
pub mod store;
pub mod ticket;
pub mod view;
pub mod worker;
