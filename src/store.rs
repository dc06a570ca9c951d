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
mod heard;
mod lease;
mod memory;
mod nudges;
mod outbox;
mod place;
mod query;
mod rows;
mod site;
#[cfg(test)]
mod tests;
mod tickets;
mod turn;
mod volume;

pub use activity::Away;
pub use error::Error;
pub use handle::{Leader, Store};
pub use lease::{LEASE, Lead};
pub use memory::OpenGates;
pub use nudges::Nudge;
pub use outbox::{Backlog, Parked, Row, Settled};
pub use place::{describe, probe};
pub use tickets::Opened;
pub use turn::Turn;
pub use volume::Volumes;
