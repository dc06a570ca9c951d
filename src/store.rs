//! The database. Writers take turns; whoever reads follows the turns.
//!
//! One SQL text serves SQLite and PostgreSQL. A canary is one row, also held in memory, so that a repeated question
//! costs no database call.

mod activity;
pub mod audit;
mod canaries;
mod connection;
mod error;
mod files;
mod handle;
mod last_heard;
mod lease;
mod cache;
mod nudges;
mod outbox;
mod location;
mod query;
mod rows;
mod site;
#[cfg(test)]
mod tests;
mod tickets;
mod write_tx;
mod volume;

pub use activity::Away;
pub use error::Error;
pub use handle::{Leader, Store};
pub use lease::{LEASE, Lead};
pub use cache::OpenGates;
pub use nudges::Nudge;
pub use outbox::{Backlog, Parked, Row, Settled};
pub use location::{describe, probe};
pub use tickets::Opened;
pub use write_tx::WriteTx;
pub use volume::Volumes;
