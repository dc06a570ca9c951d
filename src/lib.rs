//! Opens Flagger's gates from Jira: one approval opens one gate of one rollout, and nothing else ever opens a gate.
//!
//! This is the library behind the program `flagger-jira-bridge`; README.md tells how that is used. It is split so that what
//! decides can be read, and tested, without what acts.
//!
//! # What decides
//!
//! Plain functions over plain values: no clock, no files, no network, nothing asynchronous.
//!
//! - [`rollout`]: where a rollout begins and ends, and what each message means for it. Its heart is a table of every position
//!   and every message
//! - [`gate`]: where one gate stands, what was seen of its ticket, and the verdict that follows: open, or closed and why
//! - [`policy`]: which statuses mean yes and no, who may approve, and which settings hold for which gate
//! - [`ticket`]: every word a ticket says
//! - [`view`]: what is shown of a gate, the same for the API, the page and `gates`; [`millis`]: points in time;
//!   [`text`]: words from outside, made harmless
//!
//! # What acts
//!
//! - [`http`]: the three listeners: Flagger's questions, Jira's webhook, and what people look at. [`flagger`] reads Flagger's
//!   JSON, and is the only one that knows it
//! - [`gatekeeper`]: the one way in. It loads a canary, lets [`rollout`] and [`gate`] decide, and saves
//! - [`store`]: the database: canaries, what is still to be done in Jira, and the record of decisions
//! - [`worker`]: opens tickets, tells them things, and looks at them, with [`jira`], the client for Cloud and Data Center
//!
//! # The commands
//!
//! - [`cli`]: the command line; `gates` and `audit`
//! - [`serve`]: puts the parts together, and takes them apart again
//! - [`check`]: proves a configuration against the real Jira
//! - [`demo`]: the package [`fake_jira`] and a simulated Flagger around the bridge; the tests use both, too
//! - [`config`], [`database_url`], [`server_url`], [`secret`], [`watched`], [`clock`] and [`metrics`] serve all of them
//!
//! # Where to begin
//!
//! A question of Flagger's comes in at [`http::flagger`], becomes a [`gatekeeper::Question`] and goes to
//! [`gatekeeper::Gatekeeper::ask`], which answers from memory or after one transaction, with a [`gate::Verdict`]. If a ticket
//! is needed, that transaction also holds a row for [`worker::Worker`], which opens it through [`jira::Jira`]. What a person
//! does with the ticket comes back through [`worker`] as a [`gate::IssueSnapshot`], and the next question is answered by it.

pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
#[cfg(test)]
#[path = "../tests/it/world/database.rs"]
mod database;
pub mod database_url;
pub mod demo;
pub mod flagger;
pub mod gate;
pub mod gatekeeper;
pub mod http;
pub mod jira;
mod map;
pub mod metrics;
pub mod millis;
#[cfg(test)]
#[path = "tests/mutation.rs"]
mod mutation;
pub mod pem;
pub mod policy;
pub mod reload;
pub mod rollout;
pub mod secret;
pub mod serve;
pub mod server_url;
pub mod store;
pub mod text;
pub mod ticket;
pub mod view;
pub mod worker;
