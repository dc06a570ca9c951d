//! Opens Flagger's gates from Jira: one approval opens one gate of one rollout, and nothing else ever opens a gate.

pub mod clock;
pub mod demo;
pub mod gate;
pub mod millis;
pub mod policy;
pub mod secret;
pub mod ticket;
