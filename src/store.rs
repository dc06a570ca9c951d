//! The database. Write transactions run one at a time and are numbered; each replica catches up with the newer ones.
//!
//! One SQL text serves SQLite and PostgreSQL. A canary is one row, also cached in memory, so that a repeated question
//! costs no database call.

mod activity;
pub mod audit;
mod cache;
mod canaries;
mod connection;
mod error;
mod failed_commands;
mod files;
mod handle;
mod last_messages;
mod lease;
mod location;
mod nudges;
mod outbox;
mod query;
mod rows;
mod site;
#[cfg(test)]
mod tests;
mod tickets;
mod volume;
mod write_tx;

pub use activity::Downtime;
pub use cache::OpenTickets;
pub use error::Error;
pub use failed_commands::{CommandRetry, FailedCommand};
pub use handle::{LastLeader, Store};
pub use lease::{LEASE, LeaseOutcome};
pub use location::{describe, probe};
pub use nudges::Nudge;
pub use outbox::{AttemptOutcome, Backlog, OutboxRow, Take};
pub use tickets::TicketRecord;
pub use volume::AllowedVolumes;
pub use write_tx::WriteTx;
