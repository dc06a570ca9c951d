//! Opens Flagger's gates from Jira: one approval opens one gate of one rollout, and nothing else ever opens a gate.
//!
//! What decides is pure and knows nothing of what acts:
//!
//! - [`rollout`]: where a rollout begins and ends, and what each message means for it
//! - [`gate`]: where one gate stands, and the verdict that follows
//! - [`policy`]: which statuses mean what, who may approve, which settings hold for which gate
//! - [`ticket`]: every word a ticket says; [`view`]: what is shown of a gate; [`millis`]: points in time
//!
//! What acts:
//!
//! - [`gatekeeper`]: the one way in; loads, applies and saves. [`store`]: the database
//! - [`worker`]: opens tickets, tells them things, and looks at them. [`jira`]: the client, Cloud and Data Center
//! - [`http`]: Flagger's questions, Jira's webhook, the status page. [`flagger`]: Flagger's JSON
//! - [`serve`], [`check`], [`cli`], [`demo`]: the commands; [`config`], [`secret`], [`watched`], [`clock`],
//!   [`metrics`]: what they share

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
#[cfg(test)]
#[path = "../tests/it/mutation.rs"]
mod mutation;
pub mod policy;
pub mod rollout;
pub mod secret;
pub mod serve;
pub mod store;
pub mod ticket;
pub mod view;
pub mod watched;
pub mod worker;
