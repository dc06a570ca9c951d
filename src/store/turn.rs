//! A writing transaction. Holding one means: nobody else writes.

use std::time::Duration;

use sqlx::{AnyConnection, Row as _, any::AnyRow};

use super::{
    Away, Error, FORMAT, InTime as _, LEASE, Leader, Store, key, outbox, parse, query, query_scalar,
};
use crate::{
    millis::Millis,
    rollout::{Canary, CanaryId, Command, Note},
};

/// A writing transaction. Dropped without [`Turn::end`], it changes nothing.
pub struct Turn {
    store: Store,
    transaction: sqlx::Transaction<'static, sqlx::Any>,
    seq: i64,
    saved: Vec<Canary>,
    commands: i64,
}

/// Whether this replica works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    /// It holds the lease, as before.
    Holds,
    /// It holds the lease again, which had ended; nobody else held it meanwhile.
    Again,
    /// It holds the lease from now on; whoever held it before is gone.
    TookOver,
    /// Another replica holds it.
    Follows,
}

impl Store {
    /// Begins a writing transaction. On SQLite this takes the write lock, on PostgreSQL a row lock; on both,
    /// transactions commit in the order of their numbers.
    ///
    /// # Errors
    /// If the database fails, or others hold it for too long.
    pub async fn turn(&self) -> Result<Turn, Error> {
        match self.try_turn().await {
            Err(error) if super::only_reads(&error) => {
                // By now another connection may do better.
                self.0.only_read.found();
                self.try_turn().await
            }
            begun => begun,
        }
    }

    async fn try_turn(&self) -> Result<Turn, Error> {
        let mut transaction = self.begin().await?;
        let seq = query_scalar("UPDATE turn SET seq = seq + 1 WHERE only_row = 1 RETURNING seq")
            .fetch_one(&mut *transaction)
            .in_time()
            .await?;
        Ok(Turn { store: self.clone(), transaction, seq, saved: Vec::new(), commands: 0 })
    }

    /// Takes or renews the worker's lease for `replica`. With `at_once`, which only a process that has the database
    /// for itself may say, it is taken from whoever holds it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn lead(&self, replica: &str, now: Millis, at_once: bool) -> Result<Lead, Error> {
        let mut reading = self.begin().await?;
        let (holder, until, renewed): (String, i64, i64) =
            query("SELECT holder, until, renewed_at FROM lease WHERE only_row = 1")
                .try_map(|row: AnyRow| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
                .fetch_one(&mut *reading)
                .in_time()
                .await?;
        drop(reading);
        let renewed = Millis(renewed);
        self.others().leader =
            Some(if holder == replica { Leader::This { renewed } } else { Leader::Other { renewed } });
        if holder == replica && Millis(until).since(now) > LEASE * 2 / 3 {
            // Renewed lately enough: a quiet bridge writes little.
            return Ok(Lead::Holds);
        }
        if holder != replica && until > now.0 && !at_once {
            // It lives, and nobody need write to find that out.
            return Ok(Lead::Follows);
        }
        let mut turn = self.turn().await?;
        let lead = turn.lead(replica, now, at_once).await?;
        turn.end().await?;
        if lead != Lead::Follows {
            self.others().leader = Some(Leader::This { renewed: now });
        }
        if lead == Lead::TookOver || lead == Lead::Again {
            let away = if renewed.0 > 0 { now.since(renewed) } else { Duration::ZERO };
            self.load_heard(Away::All(away)).await?;
        }
        Ok(lead)
    }

    /// Gives the lease back, so that another replica need not wait for its end.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn resign(&self, replica: &str, now: Millis) -> Result<(), Error> {
        let mut turn = self.turn().await?;
        query("UPDATE lease SET until = 0, renewed_at = $1 WHERE holder = $2")
            .bind(now.0)
            .bind(replica)
            .execute(turn.sql())
            .in_time()
            .await?;
        turn.end().await
    }
}

impl Turn {
    pub(super) const fn seq(&self) -> i64 {
        self.seq
    }

    pub(super) fn sql(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }

    /// Reads what others committed before this turn, so that memory is as new as the turn itself.
    ///
    /// # Errors
    /// As [`Store::follow`].
    pub async fn follow(&mut self) -> Result<(), Error> {
        let store = self.store.clone();
        store.learn(self.sql()).await.map(drop)
    }

    /// The canary as it is in this turn; a new one if it is not known.
    ///
    /// # Errors
    /// If the database fails or the row cannot be read.
    pub async fn canary(&mut self, id: &CanaryId) -> Result<Canary, Error> {
        let row: Option<Result<(i64, String), sqlx::Error>> =
            query("SELECT format, state FROM canary WHERE id = $1")
                .bind(key(id))
                .try_map(|row: AnyRow| Ok(row.try_get(0).and_then(|format| Ok((format, row.try_get(1)?)))))
                .fetch_optional(self.sql())
                .in_time()
                .await?;
        let Some(row) = row else { return Ok(Canary::new(id.clone())) };
        let parsed = match row {
            Ok((format, state)) => parse(&key(id), format, &state),
            Err(error) => Err(Error::Corrupt { canary: key(id), why: super::one_line(&error) }),
        };
        if let Err(error) = &parsed {
            self.store.cannot_read(&key(id), error);
        }
        parsed
    }

    /// Saves the canary, and the commands that are due.
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
        .in_time()
        .await?;
        for command in commands {
            self.enqueue(&canary.id, command, now).await?;
        }
        self.saved.retain(|saved| saved.id != canary.id);
        self.saved.push(canary.clone());
        Ok(())
    }

    /// Stores a command to be performed.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn enqueue(&mut self, canary: &CanaryId, command: &Command, now: Millis) -> Result<(), Error> {
        // Unique, and in the order in which they were stored.
        let id = self.seq * 1000 + self.commands;
        self.commands += 1;
        query(
            "INSERT INTO outbox (id, canary, gate, kind, command, created_at, due_at, attempts)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0)",
        )
        .bind(id)
        .bind(key(canary))
        .bind(command.gate().0.as_str())
        .bind(outbox::kind(command))
        .bind(to_json(command, canary)?)
        .bind(now.0)
        .bind((now + outbox::patience(command)).0)
        .execute(self.sql())
        .in_time()
        .await?;
        if matches!(command, Command::Comment { note: Note::Ended { .. }, .. }) {
            // What Flagger reported before the end is told before it.
            query("UPDATE outbox SET due_at = $1 WHERE gate = $2 AND kind = 'progress'")
                .bind(now.0)
                .bind(command.gate().0.as_str())
                .execute(self.sql())
                .in_time()
                .await?;
        }
        Ok(())
    }

    /// See [`Store::lead`].
    ///
    /// # Errors
    /// If the database fails.
    pub async fn lead(&mut self, replica: &str, now: Millis, at_once: bool) -> Result<Lead, Error> {
        let (holder, until, renewed): (String, i64, i64) =
            query("SELECT holder, until, renewed_at FROM lease WHERE only_row = 1")
                .try_map(|row: AnyRow| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
                .fetch_one(self.sql())
                .in_time()
                .await?;
        let alive = until > now.0;
        if holder != replica && alive && !at_once {
            return Ok(Lead::Follows);
        }
        query("UPDATE lease SET holder = $1, until = $2, renewed_at = $3 WHERE only_row = 1")
            .bind(replica)
            .bind((now + LEASE).0)
            .bind(now.0)
            .execute(self.sql())
            .in_time()
            .await?;
        if holder == replica && alive {
            return Ok(Lead::Holds);
        }
        if renewed > 0 {
            self.forgive_silence(now.since(Millis(renewed)), now).await?;
        }
        Ok(if holder == replica { Lead::Again } else { Lead::TookOver })
    }

    /// Commits. What was saved is in memory before this returns.
    ///
    /// # Errors
    /// If the database fails; whether it committed is not known then, and [`Store::follow`] finds out.
    pub async fn end(self) -> Result<(), Error> {
        tracing::trace!(target: "step", seq = self.seq, "committing");
        self.transaction.commit().in_time().await?;
        tracing::trace!(target: "step", seq = self.seq, "committed");
        self.store.remember(self.saved, self.seq);
        Ok(())
    }
}

pub(super) fn to_json(value: &impl serde::Serialize, canary: &CanaryId) -> Result<String, Error> {
    serde_json::to_string(value)
        .map_err(|error| Error::Corrupt { canary: canary.to_string(), why: error.to_string() })
}
