//! The outbox: commands to Jira, stored before they are performed and until they are done.

mod due;
mod row;
#[cfg(test)]
mod tests;

use std::time::Duration;

use sqlx::AssertSqlSafe;

use super::{
    error::Error,
    handle::Store,
    query::query,
    rows::{key, to_json},
    write_tx::WriteTx,
};
use crate::{
    gate::GateId,
    millis::Millis,
    rollout::{Analysis, CanaryId, Command, Notice, Notification, Turn},
    text::one_line,
};

use self::row::{SELECT_ROWS, StoredCommand, outbox_row};
pub use self::{due::Take, row::OutboxRow};

/// The outcome of an attempt to perform a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// It is done, or there is nothing left to do.
    Done,
    /// It was too early: nothing failed.
    Later {
        /// When it is time.
        at: Millis,
        /// What it waits for.
        why: String,
        /// As in `Retry`.
        sent: Option<Millis>,
    },
    /// It failed and is retried.
    Retry {
        /// When to retry.
        at: Millis,
        /// Why the attempt failed.
        why: String,
        /// When the request was sent, if Jira may have carried it out nevertheless.
        sent: Option<Millis>,
    },
    /// A retry does not help until the cause is fixed.
    Parked {
        /// The cause.
        why: String,
        /// As in `Retry`.
        sent: Option<Millis>,
    },
}

/// The size of the outbox: what is to be done in Jira, and Events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Commands that are due now or later.
    pub pending: u64,
    /// Commands that are parked.
    pub parked: u64,
    /// Kubernetes Events to be published: not counted above.
    pub events: u64,
    /// When the oldest command was stored that is neither parked nor a search for duplicates, which is meant to wait, nor a
    /// message to a channel.
    pub oldest: Option<Millis>,
}

/// At most so many characters of the cause are stored.
const MAX_REASON_CHARS: usize = 1_000;
/// How long Flagger's reports are collected into one comment.
const GATHER_FOR: Duration = Duration::from_secs(60);

/// How long a gate must be without its ticket before a channel is told.
const STUCK_AFTER: Duration = Duration::from_secs(300);

/// How long a new command waits before it is due.
const fn initial_delay(command: &Command) -> Duration {
    match command {
        Command::Comment { notice: Notice::Progress { .. }, .. } => GATHER_FOR,
        Command::Open { .. }
        | Command::FindDuplicates { .. }
        | Command::Comment { .. }
        | Command::Label { .. }
        | Command::Move { .. }
        | Command::Link { .. }
        | Command::Publish { .. } => Duration::ZERO,
        // Most failures to open a ticket are over by then.
        Command::Notify { notification: Notification { turn: Turn::Stuck { .. }, .. }, .. } => STUCK_AFTER,
        Command::Notify { .. } => Duration::ZERO,
    }
}

/// The column `kind` of a command.
const fn kind(command: &Command) -> &'static str {
    match command {
        Command::Open { .. } => "open",
        Command::Comment { notice: Notice::Progress { .. }, .. } => "progress",
        // Kinds of their own: no other command waits for them.
        Command::FindDuplicates { .. } => "recount",
        Command::Publish { .. } => "event",
        Command::Notify { .. } => "notify",
        Command::Comment { .. } | Command::Label { .. } | Command::Move { .. } | Command::Link { .. } => {
            "tell"
        }
    }
}

impl Store {
    /// How many commands wait.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn backlog(&self) -> Result<Backlog, Error> {
        let mut reading = self.begin().await?;
        let (all, parked, events, oldest): (i64, i64, i64, Option<i64>) = query(
            // Ids ascend in the order in which rows were stored.
            "SELECT (SELECT COUNT(*) FROM outbox WHERE kind <> 'event'),
                    (SELECT COUNT(*) FROM outbox WHERE kind <> 'event' AND parked_at IS NOT NULL),
                    (SELECT COUNT(*) FROM outbox WHERE kind = 'event'),
                    (SELECT created_at FROM outbox
                     WHERE kind NOT IN ('event', 'recount', 'notify') AND parked_at IS NULL ORDER BY id LIMIT 1)",
        )
        .one(&mut reading)
        .await?;
        let [all, parked, events] = [all, parked, events].map(|rows| u64::try_from(rows).unwrap_or(0));
        Ok(Backlog { pending: all.saturating_sub(parked), parked, events, oldest: oldest.map(Millis) })
    }

    /// Makes all parked commands due.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn unpark(&self, now: Millis) -> Result<(), Error> {
        let Backlog { parked, events, .. } = self.backlog().await?;
        if parked == 0 && events == 0 {
            return Ok(());
        }
        let mut tx = self.begin_write().await?;
        query("UPDATE outbox SET parked_at = NULL, due_at = $1 WHERE parked_at IS NOT NULL")
            .bind(now.0)
            .execute(tx.sql())
            .await?;
        tx.commit().await
    }

    /// Makes all commands due that failed to open a ticket before.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn retry_openings(&self, now: Millis) -> Result<(), Error> {
        let mut reading = self.begin().await?;
        let (failed,): (i64,) = query(
            "SELECT COUNT(*) FROM outbox WHERE kind = 'open' AND attempts > 0 AND (parked_at IS NOT NULL OR due_at > $1)",
        )
        .bind(now.0)
        .one(&mut reading)
        .await?;
        drop(reading);
        if failed == 0 {
            return Ok(());
        }
        let mut tx = self.begin_write().await?;
        query("UPDATE outbox SET parked_at = NULL, due_at = $1 WHERE kind = 'open' AND attempts > 0")
            .bind(now.0)
            .execute(tx.sql())
            .await?;
        tx.commit().await
    }
}

impl WriteTx {
    /// Stores a command to be performed.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn enqueue(&mut self, canary: &CanaryId, command: &Command, now: Millis) -> Result<(), Error> {
        query(
            "INSERT INTO outbox (id, canary, gate, kind, command, created_at, due_at, attempts)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0)",
        )
        .bind(self.next_command())
        .bind(key(canary))
        .bind(command.gate().0.as_str())
        .bind(kind(command))
        .bind(to_json(command, canary)?)
        .bind(now.0)
        .bind((now + initial_delay(command)).0)
        .execute(self.sql())
        .await?;
        if matches!(command, Command::Comment { notice: Notice::Ended { .. }, .. }) {
            // What Flagger reported before the end is written to the ticket before the end.
            query("UPDATE outbox SET due_at = $1 WHERE gate = $2 AND kind = 'progress'")
                .bind(now.0)
                .bind(command.gate().0.as_str())
                .execute(self.sql())
                .await?;
        }
        Ok(())
    }

    /// Claims the command for one more attempt, if it still waits. `sending` is the time if a non-idempotent request is
    /// about to be sent: from then on its outcome is unknown. The returned row still has the time of the previous one.
    ///
    /// # Errors
    /// If the database fails or the row cannot be read.
    pub async fn claim(&mut self, id: i64, sending: Option<Millis>) -> Result<Option<OutboxRow>, Error> {
        let sql = AssertSqlSafe(format!("{SELECT_ROWS} WHERE id = $1"));
        let stored = query(sql).bind(id).optional(self.sql()).await?;
        let Some(mut row) = stored.map(outbox_row).transpose()? else { return Ok(None) };
        row.stored_attempts = row.stored_attempts.saturating_add(1);
        let sent = sending.or(row.unknown_since).map(|at| at.0);
        query("UPDATE outbox SET attempts = $1, sent_at = $2 WHERE id = $3")
            .bind(i64::from(row.stored_attempts))
            .bind(sent)
            .bind(id)
            .execute(self.sql())
            .await?;
        Ok(Some(row))
    }

    /// Merges Flagger's later reports for the same gate into this row, so that they become one comment, and adds how far
    /// the analysis is. Only before the first attempt: a comment that may already be in Jira must not change.
    ///
    /// # Errors
    /// If the database fails or a row cannot be read.
    pub async fn merge_progress(
        &mut self,
        row: &OutboxRow,
        analysis: Option<Analysis>,
    ) -> Result<OutboxRow, Error> {
        let Command::Comment { gate, notice: Notice::Progress { lines, .. } } = &row.command else {
            return Ok(row.clone());
        };
        if row.attempts > 0 {
            return Ok(row.clone());
        }
        let sql = AssertSqlSafe(format!(
            "{SELECT_ROWS} WHERE gate = $1 AND id > $2 AND attempts = 0 AND kind = 'progress' AND parked_at IS NULL ORDER BY id"
        ));
        let later: Vec<StoredCommand> = query(sql).bind(gate.0.as_str()).bind(row.id).all(self.sql()).await?;
        let mut lines = lines.clone();
        for later in later {
            // A row that cannot be read is parked when it is due itself.
            let Ok(later) = outbox_row(later) else { continue };
            if let Command::Comment { notice: Notice::Progress { lines: more, .. }, .. } = later.command {
                lines.extend(more);
                query("DELETE FROM outbox WHERE id = $1").bind(later.id).execute(self.sql()).await?;
            }
        }
        let command = Command::Comment { gate: gate.clone(), notice: Notice::Progress { lines, analysis } };
        self.update_command(row, &command).await?;
        Ok(OutboxRow { command, ..row.clone() })
    }

    /// Replaces the stored command.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn update_command(&mut self, row: &OutboxRow, command: &Command) -> Result<(), Error> {
        query("UPDATE outbox SET command = $1 WHERE id = $2")
            .bind(to_json(command, &row.canary)?)
            .bind(row.id)
            .execute(self.sql())
            .await?;
        Ok(())
    }

    /// Makes the command due that opens the ticket of this gate.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn retry_opening(&mut self, gate: &GateId, now: Millis) -> Result<(), Error> {
        query("UPDATE outbox SET parked_at = NULL, due_at = $1 WHERE gate = $2 AND kind = 'open'")
            .bind(now.0)
            .bind(gate.0.as_str())
            .execute(self.sql())
            .await?;
        Ok(())
    }

    /// Delays Flagger's further reports for a gate, so that they wait for the next comment. Those that are already due
    /// stay due: the end of the rollout made them so, and its comment must come after them.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn delay_progress(&mut self, gate: &GateId, now: Millis) -> Result<(), Error> {
        let next = (now + GATHER_FOR).0;
        query("UPDATE outbox SET due_at = $1 WHERE gate = $2 AND kind = 'progress' AND due_at > $3 AND due_at < $1")
            .bind(next)
            .bind(gate.0.as_str())
            .bind(now.0)
            .execute(self.sql())
            .await?;
        Ok(())
    }

    /// Parks a command that cannot be read.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn park(&mut self, id: i64, why: &str, now: Millis) -> Result<(), Error> {
        query("UPDATE outbox SET parked_at = $1, why = $2 WHERE id = $3")
            .bind(now.0)
            .bind(one_line(why, MAX_REASON_CHARS))
            .bind(id)
            .execute(self.sql())
            .await?;
        Ok(())
    }

    /// Stores the outcome of the attempt that `row` was claimed for. Returns false, and stores nothing, if another
    /// worker has claimed the command since: a process that was paused for longer than its lease must not settle it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn settle(
        &mut self,
        row: &OutboxRow,
        how: &AttemptOutcome,
        now: Millis,
    ) -> Result<bool, Error> {
        let (due, parked, why, sent) = match how {
            AttemptOutcome::Done => {
                let done = query("DELETE FROM outbox WHERE id = $1 AND attempts = $2")
                    .bind(row.id)
                    .bind(i64::from(row.stored_attempts))
                    .execute(self.sql())
                    .await?;
                return Ok(done == 1);
            }
            // Whoever reads of a cause takes it for a failure.
            AttemptOutcome::Later { at, sent, .. } => (at.0, None, None, sent),
            AttemptOutcome::Retry { at, why, sent } => (at.0, None, Some(why), sent),
            AttemptOutcome::Parked { why, sent } => (now.0, Some(now.0), Some(why), sent),
        };
        let updated = query(
            "UPDATE outbox SET due_at = $1, parked_at = $2, why = $3, sent_at = $4, attempts = $5
             WHERE id = $6 AND attempts = $7",
        )
        .bind(due)
        .bind(parked)
        .bind(why.map(|why| one_line(why, MAX_REASON_CHARS)))
        .bind(sent.map(|at| at.0))
        .bind(i64::from(row.attempts) + 1)
        .bind(row.id)
        .bind(i64::from(row.stored_attempts))
        .execute(self.sql())
        .await?;
        Ok(updated == 1)
    }
}
