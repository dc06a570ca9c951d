//! Opens Flagger's gates from Jira: one approval opens one gate of one rollout, and nothing else ever opens a gate.
//!
//! This is the library behind the program `flagger-jira-bridge`; README.md shows how to use it. Modules that decide are
//! separate from modules that act, so that they can be read and tested alone.
//!
//! # What decides
//!
//! Plain functions over plain values: no clock, no files, no network, no async.
//!
//! - [`rollout`]: where a rollout begins and ends, and what each message means for it. Its core is a table of every
//!   state and every message
//! - [`gate`]: the state of one gate, what its ticket last showed, and the verdict: open, or closed and why
//! - [`policy`]: which statuses mean yes and no, who may approve, and which settings hold for which gate
//! - [`ticket`]: the texts of tickets and comments
//! - [`workload`]: what the Kubernetes API shows of a target: what a rollout would change, and the digest that an
//!   approval is bound to
//! - [`view`]: a gate as the API, the page and `gates` show it; [`millis`]: points in time; [`text`]: external text,
//!   made harmless
//!
//! # What acts
//!
//! - [`http`]: the three listeners: Flagger's questions, Jira's webhook, and the status page and API. [`flagger`]
//!   parses Flagger's JSON, and no other module knows its form
//! - [`gatekeeper`]: the only module that loads a canary, lets [`rollout`] and [`gate`] decide, and saves the result
//! - [`store`]: the database: canaries, the queue of Jira commands, and the audit log
//! - [`worker`]: opens tickets, comments on them and reads them through [`jira`], the client for Cloud and Data Center
//!
//! # The commands
//!
//! - [`cli`]: the command line; `gates` and `audit`
//! - [`serve`]: starts the parts and shuts them down
//! - [`check`]: verifies a configuration against the real Jira
//! - [`demo`]: the package [`fake_jira`] and a simulated Flagger around the bridge; the tests use both, too
//! - [`calendars`] reads the freezes of iCalendar files
//! - [`config`], [`database_url`], [`server_url`], [`secret`], [`pem`], [`reload`], [`clock`] and [`metrics`] serve
//!   all of them
//!
//! # Where to begin
//!
//! A question from Flagger arrives at [`http::flagger`], becomes a [`gatekeeper::Question`] and goes to
//! [`gatekeeper::Gatekeeper::ask`], which answers from memory or after one transaction, with a [`gate::Verdict`]. If a
//! ticket is needed, that transaction also stores a command for [`worker::Worker`], which opens the ticket through
//! [`jira::Jira`]. A decision on the ticket comes back through [`worker`] as a [`gate::IssueSnapshot`], and the bridge
//! uses it to answer the next question.

pub mod calendars;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
#[cfg(test)]
#[path = "../tests/it/world/database.rs"]
#[expect(dead_code, reason = "shared with `tests/it`, which copies databases")]
mod database;
pub mod database_url;
pub mod demo;
pub mod flagger;
pub mod gate;
pub mod gatekeeper;
pub mod hooks;
pub mod http;
pub mod jira;
pub mod kubernetes;
mod lock;
mod map;
pub mod metrics;
pub mod millis;
#[cfg(test)]
#[path = "tests/mutation.rs"]
mod mutation;
pub mod notify;
pub mod pem;
pub mod policy;
pub mod reload;
pub mod rollout;
pub mod secret;
pub mod serve;
pub mod server_url;
pub mod store;
mod suggest;
pub mod text;
pub mod ticket;
pub mod view;
pub mod worker;
pub mod workload;
