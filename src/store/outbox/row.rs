//! A row of the outbox.

use crate::{
    millis::Millis,
    rollout::{CanaryId, Command},
    store::{
        error::Error,
        query::Keyed,
        rows::{from_json, owner, unreadable},
    },
};

/// A command that waits to be performed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its number.
    pub id: i64,
    /// The canary it belongs to.
    pub canary: CanaryId,
    /// What to do.
    pub command: Command,
    /// How many attempts there were before this one.
    pub attempts: u32,
    /// When a non-idempotent request was last sent for it, if the outcome is unknown.
    pub unknown_since: Option<Millis>,
    /// The number of attempts in the database. A worker that claims the command later changes it.
    pub stored_attempts: u32,
}

pub(super) const SELECT_ROWS: &str = "SELECT canary, command, attempts, sent_at, id FROM outbox";

pub(super) type StoredCommand = Keyed<i64, (String, String, i64, Option<i64>)>;

pub(super) fn outbox_row(Keyed(id, row): StoredCommand) -> Result<OutboxRow, Error> {
    let (canary, command, attempts, sent) =
        row.map_err(|error| unreadable(format!("row {id} of the outbox"), &error))?;
    let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    Ok(OutboxRow {
        id,
        canary: owner(&canary)?,
        command: from_json(&command, &canary)?,
        attempts,
        unknown_since: sent.map(Millis),
        stored_attempts: attempts,
    })
}
