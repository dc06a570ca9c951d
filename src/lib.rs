//! Opens Flagger's gates from Jira: one approval opens one gate of one rollout, and nothing else ever opens a gate.

pub mod cli;
pub mod clock;
pub mod config;
pub mod gate;
pub mod millis;
pub mod policy;
pub mod secret;
pub mod ticket;
