//! Write transactions. Only one is open at a time.

use sqlx::AnyConnection;

use super::{
    error::{Error, is_read_only},
    handle::Store,
    query::{self, Keyed, Transaction, query},
    rows::{self, FORMAT, key, to_json},
};
use crate::{
    millis::Millis,
    rollout::{Canary, CanaryId, Command},
};

/// A write transaction. Dropped without [`WriteTx::commit`], it is rolled back.
pub struct WriteTx {
    store: Store,
    transaction: Transaction,
    seq: i64,
    saved: Vec<Canary>,
    commands: i64,
}

impl Store {
    /// Begins a write transaction. On SQLite this takes the write lock, on PostgreSQL a row lock; on both,
    /// transactions commit in the order of their sequence numbers.
    ///
    /// # Errors
    /// If the database fails, or other processes hold the lock for too long.
    pub async fn begin_write(&self) -> Result<WriteTx, Error> {
        match self.try_begin_write().await {
            Err(error) if is_read_only(&error) => {
                // A new connection may be able to write.
                self.0.read_only.mark();
                self.try_begin_write().await
            }
            begun => begun,
        }
    }

    async fn try_begin_write(&self) -> Result<WriteTx, Error> {
        let mut transaction = self.begin().await?;
        let next = "UPDATE turn SET seq = seq + 1 WHERE only_row = 1 RETURNING seq";
        let (seq,) = query(next).one(&mut transaction).await?;
        Ok(WriteTx { store: self.clone(), transaction, seq, saved: Vec::new(), commands: 0 })
    }
}

impl WriteTx {
    pub(super) const fn seq(&self) -> i64 {
        self.seq
    }

    pub(super) fn sql(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }

    /// The number of the next command: unique, and ascending in the order in which commands are stored.
    pub(super) const fn next_command(&mut self) -> i64 {
        self.commands += 1;
        self.seq * 1000 + self.commands - 1
    }

    /// Reads what was committed before this transaction, so that the cache is as new as the transaction.
    ///
    /// # Errors
    /// As [`Store::catch_up`].
    pub async fn catch_up(&mut self) -> Result<(), Error> {
        let store = self.store.clone();
        store.read_commits(self.sql()).await.map(drop)
    }

    /// The canary as this transaction sees it; a new one if it is not stored.
    ///
    /// # Errors
    /// If the database fails or the row cannot be read.
    pub async fn canary(&mut self, id: &CanaryId) -> Result<Canary, Error> {
        let row: Option<Keyed<String, (i64, String)>> =
            query("SELECT format, state, id FROM canary WHERE id = $1")
                .bind(key(id))
                .optional(self.sql())
                .await?;
        let Some(Keyed(key, row)) = row else { return Ok(Canary::new(id.clone())) };
        let read = match row {
            Ok((format, state)) => rows::canary(&key, format, &state),
            Err(error) => Err(rows::unreadable(key.as_str(), &error)),
        };
        if let Err(error) = &read {
            self.store.mark_unreadable(&key, error);
        }
        read
    }

    /// Saves the canary, and adds the commands to the outbox.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn save(&mut self, canary: &Canary, commands: &[Command], now: Millis) -> Result<(), Error> {
        let state = to_json(canary, &canary.id)?;
        let seq = self.seq;
        query(
            "INSERT INTO canary (id, format, state, seq) VALUES ($1, $2, $3, $4)
             ON CONFLICT (id) DO UPDATE SET format = excluded.format, state = excluded.state, seq = excluded.seq",
        )
        .bind(key(&canary.id))
        .bind(FORMAT)
        .bind(state)
        .bind(seq)
        .execute(self.sql())
        .await?;
        for command in commands {
            self.enqueue(&canary.id, command, now).await?;
        }
        self.saved.retain(|saved| saved.id != canary.id);
        self.saved.push(canary.clone());
        Ok(())
    }

    /// Commits. The saved canaries are in the cache before this returns.
    ///
    /// # Errors
    /// If the database fails. It is then unknown whether it committed; [`Store::catch_up`] finds out.
    pub async fn commit(self) -> Result<(), Error> {
        tracing::trace!(target: "step", seq = self.seq, "committing");
        query::commit(self.transaction).await?;
        tracing::trace!(target: "step", seq = self.seq, "committed");
        self.store.cache_committed(self.saved, self.seq);
        Ok(())
    }
}
