//! Opens Flagger's gates from Jira: one approval opens one gate of one rollout, and nothing else ever opens a gate.

pub mod clock;
pub mod config;
pub mod flagger;
pub mod gate;
pub mod gatekeeper;
pub mod http;
pub mod metrics;
pub mod millis;
pub mod policy;
pub mod rollout;
pub mod secret;
pub mod ticket;
pub mod view;
