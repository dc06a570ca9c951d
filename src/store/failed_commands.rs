//! The commands of the outbox that failed, for people.

use sqlx::{AssertSqlSafe, FromRow, Row as _, any::AnyRow};

use super::{error::Error, handle::Store, query::query};
use crate::{gate::Ticket, millis::Millis, rollout::Command};

/// A command whose last attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCommand {
    /// Its number.
    pub id: i64,
    /// The id of the canary it belongs to.
    pub canary: String,
    /// What to do; `None` if it cannot be read.
    pub command: Option<Command>,
    /// The ticket it is about, once there is one.
    pub ticket: Option<Ticket>,
    /// When it was stored.
    pub created_at: Millis,
    /// When it is retried.
    pub retry: CommandRetry,
    /// Why the attempt failed.
    pub why: String,
}

/// When a failed command is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandRetry {
    /// By itself.
    At(Millis),
    /// It is parked: with all others that are, because a retry does not help until the cause is fixed.
    Parked {
        /// Since the last attempt.
        since: Millis,
    },
}

impl Store {
    /// At most `most` commands that failed: the parked ones first, the longest parked before the others; then those
    /// that are retried by themselves, the oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn failed_commands(&self, most: u32) -> Result<Vec<FailedCommand>, Error> {
        let mut reading = self.begin().await?;
        let mut failed = Vec::new();
        for (condition, order) in [
            ("outbox.parked_at IS NOT NULL", "outbox.parked_at, outbox.id"),
            ("outbox.parked_at IS NULL AND outbox.why IS NOT NULL", "outbox.id"),
        ] {
            let sql = format!(
                "SELECT outbox.canary, outbox.command, ticket.ticket, outbox.created_at, outbox.due_at, outbox.parked_at,
                        outbox.why, outbox.id
                 FROM outbox LEFT JOIN ticket ON ticket.gate = outbox.gate
                 WHERE {condition} ORDER BY {order} LIMIT $1"
            );
            let left = i64::from(most) - i64::try_from(failed.len()).unwrap_or(i64::MAX);
            let rows: Vec<FailedCommand> = query(AssertSqlSafe(sql)).bind(left).all(&mut reading).await?;
            failed.extend(rows);
        }
        Ok(failed)
    }
}

impl FromRow<'_, AnyRow> for FailedCommand {
    /// Columns that cannot be read stay empty: SQLite stores a value of any type in any column.
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let ticket: Option<String> = row.try_get(2)?;
        let parked: Option<i64> = row.try_get(5)?;
        Ok(Self {
            canary: row.try_get(0).unwrap_or_default(),
            command: row.try_get(1).ok().and_then(|command: String| serde_json::from_str(&command).ok()),
            ticket: ticket.and_then(|ticket| serde_json::from_str(&ticket).ok()),
            created_at: Millis(row.try_get(3)?),
            retry: match parked {
                Some(since) => CommandRetry::Parked { since: Millis(since) },
                None => CommandRetry::At(Millis(row.try_get(4)?)),
            },
            why: row.try_get::<Option<String>, _>(6)?.unwrap_or_default(),
            id: row.try_get(7)?,
        })
    }
}
