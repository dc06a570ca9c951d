//! The record of what was decided: rows that only grow, each with the hash of the row before it.
//!
//! A row that is changed, missing, inserted or moved is found by [`Record::verify`]. Whoever can write to the database
//! can also write a new chain with new hashes: only a hash that was noted elsewhere proves that nobody did.

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use sqlx::{AnyConnection, AnyPool, Row as _, any::AnyRow};

use super::{
    Connected, Error, InTime as _, Mode, OnlyRead, Store, Turn, Volumes, connect, key, place, query,
    query_scalar,
};
use crate::{millis::Millis, rollout::CanaryId};

#[cfg(test)]
mod tests;
mod verify;

pub use verify::{Problem, Verified};

/// So many rows are held in memory at a time.
const PAGE: i64 = 1_000;
/// At most so many rows are pruned in one turn, for which others wait; the rest goes the next time.
const PRUNED_AT_ONCE: i64 = 10_000;
/// So far back the newest rows of a kind are looked for: looking must not become slow as the record grows.
const LOOKED_BACK: i64 = 2_000;

/// Something that is to be on record.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When it happened.
    pub at: Millis,
    /// To which canary.
    pub canary: CanaryId,
    /// What it is: `ticket_opened`.
    pub kind: &'static str,
    /// The evidence; no secret.
    pub detail: serde_json::Map<String, serde_json::Value>,
}

/// A row of the record, as it is stored: whether it is as it was written, only [`Record::verify`] knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number.
    pub id: i64,
    /// When it happened.
    pub at: Millis,
    /// The canary: `cluster/namespace/name`.
    pub canary: String,
    /// What it is.
    pub kind: String,
    /// A JSON object.
    pub detail: String,
    /// The hash of the row before it.
    pub prior: String,
    /// Its own hash.
    pub hash: String,
}

/// Where the record begins and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chain {
    /// The first row that is kept; none is if it is after the newest.
    first: i64,
    /// The hash of the row before that.
    prior: String,
    /// The newest row, 0 before the first.
    newest: i64,
    /// Its hash.
    hash: String,
}

impl Row {
    /// SHA-256, in hexadecimal, over prior, id, at, canary, kind and detail: each as UTF-8, numbers in decimal, after
    /// its length in bytes as eight bytes, the highest first.
    pub(super) fn computed_hash(&self) -> String {
        let (id, at) = (self.id.to_string(), self.at.0.to_string());
        let mut hash = Sha256::new();
        for field in [&self.prior, &id, &at, &self.canary, &self.kind, &self.detail] {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field.as_bytes());
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Cluster, namespace and name of the canary.
    #[must_use]
    pub fn names(&self) -> [&str; 3] {
        let mut parts = self.canary.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(cluster), Some(namespace), Some(name)) => [cluster, namespace, name],
            _ => ["", "", &self.canary],
        }
    }
}

impl Turn {
    /// Puts entries on record, in this order.
    ///
    /// # Errors
    /// If the database fails, or the row that says where the record ends is gone.
    pub async fn audit(&mut self, entries: &[Entry]) -> Result<(), Error> {
        if entries.is_empty() {
            return Ok(());
        }
        let Chain { mut newest, mut hash, .. } = chain(self.sql()).in_time().await?.ok_or(Error::NoChain)?;
        for entry in entries {
            newest += 1;
            let detail = serde_json::Value::Object(entry.detail.clone()).to_string();
            let (canary, kind) = (key(&entry.canary), entry.kind.to_owned());
            let mut row = Row {
                id: newest,
                at: entry.at,
                canary,
                kind,
                detail,
                prior: hash.clone(),
                hash: String::new(),
            };
            row.hash = row.computed_hash();
            hash.clone_from(&row.hash);
            query(
                "INSERT INTO audit (id, at, canary, kind, detail, prior, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(row.id)
            .bind(row.at.0)
            .bind(row.canary)
            .bind(row.kind)
            .bind(row.detail)
            .bind(row.prior)
            .bind(row.hash)
            .execute(self.sql())
            .in_time()
            .await?;
        }
        query("UPDATE audit_chain SET newest = $1, hash = $2 WHERE only_row = 1")
            .bind(newest)
            .bind(hash)
            .execute(self.sql())
            .in_time()
            .await?;
        Ok(())
    }

    /// Drops rows of before `before` from the old end, up to the first that is not, and not too many at once. Returns
    /// how many.
    ///
    /// # Errors
    /// If the database fails, or the row that says where the record begins is gone.
    pub async fn prune_audit(&mut self, before: Millis) -> Result<u64, Error> {
        let Chain { first, newest, hash, .. } = chain(self.sql()).in_time().await?.ok_or(Error::NoChain)?;
        let young: Option<i64> = query_scalar("SELECT MIN(id) FROM audit WHERE at >= $1")
            .bind(before.0)
            .fetch_one(self.sql())
            .in_time()
            .await?;
        let keep = young.unwrap_or(newest + 1).min(first.saturating_add(PRUNED_AT_ONCE));
        if keep <= first {
            return Ok(0);
        }
        // What is missing or inserted there is for `verify` to find: pruning would hide it.
        let rows: i64 = query_scalar("SELECT COUNT(*) FROM audit WHERE id < $1")
            .bind(keep)
            .fetch_one(self.sql())
            .in_time()
            .await?;
        let next: Option<String> = query_scalar("SELECT prior FROM audit WHERE id = $1")
            .bind(keep)
            .fetch_optional(self.sql())
            .in_time()
            .await?;
        let prior = if keep > newest { Some(hash) } else { next };
        let (Some(prior), true) = (prior, rows == keep - first) else {
            tracing::error!(
                "the audit record is not as it was written, and nothing of it is dropped; run flagger-jira-bridge audit --verify"
            );
            return Ok(0);
        };
        query("UPDATE audit_chain SET first = $1, prior = $2 WHERE only_row = 1")
            .bind(keep)
            .bind(prior)
            .execute(self.sql())
            .in_time()
            .await?;
        let pruned =
            query("DELETE FROM audit WHERE id < $1").bind(keep).execute(self.sql()).in_time().await?;
        Ok(pruned.rows_affected())
    }
}

impl Store {
    /// The newest rows of a kind, newest first, as far as they are among the newest of all.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn lately(&self, kind: &'static str, most: u32) -> Result<Vec<Row>, Error> {
        let mut reading = self.begin().await?;
        let rows = query(
            "SELECT id, at, canary, kind, detail, prior, hash FROM audit
             WHERE id > (SELECT newest FROM audit_chain WHERE only_row = 1) - $1 AND kind = $2
             ORDER BY id DESC LIMIT $3",
        )
        .bind(LOOKED_BACK)
        .bind(kind)
        .bind(i64::from(most))
        .try_map(|row: AnyRow| fields(row.try_get(0)?, &row))
        .fetch_all(&mut *reading)
        .in_time()
        .await?;
        Ok(rows)
    }

    /// Drops what is on record from before `before`; see [`Turn::prune_audit`]. Costs no turn if there is nothing.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn prune_audit(&self, before: Millis) -> Result<u64, Error> {
        let mut reading = self.begin().await?;
        let oldest: Option<i64> = query_scalar("SELECT at FROM audit ORDER BY id LIMIT 1")
            .fetch_optional(&mut *reading)
            .in_time()
            .await?;
        drop(reading);
        if oldest.is_none_or(|at| at >= before.0) {
            return Ok(0);
        }
        let mut turn = self.turn().await?;
        let pruned = turn.prune_audit(before).await?;
        turn.end().await?;
        Ok(pruned)
    }
}

/// The record of a database, to read: beside a bridge that is at work on it, or without one.
pub struct Record {
    pool: AnyPool,
    begin: &'static str,
}

impl Record {
    /// Connects. It creates and changes nothing.
    ///
    /// # Errors
    /// [`Error::NoRecord`] if no bridge that keeps a record was at work on it yet; [`Error::Unopened`] if it cannot be
    /// reached, or the file is not there; [`Error::Database`] if it fails then.
    pub async fn open(url: &SecretString) -> Result<Self, Error> {
        let url = url.expose_secret();
        place::look(url, Mode::Reads, Volumes::Any)?;
        let Connected { pool, begin, .. } = match connect(url, Mode::Reads, &OnlyRead::default()).await {
            Ok(connected) => connected,
            Err(error) => return Err(place::unopened(url, Mode::Reads, &error).await),
        };
        let missing = |error: &sqlx::Error| {
            error.as_database_error().is_some_and(|error| {
                // PostgreSQL has a code for it; SQLite, only words.
                error.code().is_some_and(|code| code == "42P01")
                    || error.message().starts_with("no such table")
            })
        };
        let looked = async { chain(&mut *pool.begin_with(begin).await?).await.map(drop) }.await;
        match looked {
            Err(error) if missing(&error) => Err(Error::NoRecord),
            Err(error) => Err(error.into()),
            Ok(()) => Ok(Self { pool, begin }),
        }
    }

    /// The rows from a time on, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn since(&self, from: Option<Millis>) -> Result<Pages, Error> {
        let transaction = self.pool.begin_with(self.begin).await?;
        Ok(Pages { transaction, after: i64::MIN, from: from.map_or(i64::MIN, |from| from.0) })
    }
}

/// The rows of the record as they were when the reading began, a page at a time.
pub struct Pages {
    transaction: sqlx::Transaction<'static, sqlx::Any>,
    after: i64,
    from: i64,
}

/// The columns of a row, or only its id if a column is not what it was made as.
type Read = Result<Row, i64>;

impl Pages {
    /// The next rows; none at the end.
    ///
    /// # Errors
    /// If the database fails, or a row cannot be read.
    pub async fn next(&mut self) -> Result<Vec<Row>, Error> {
        self.read().await?.into_iter().map(|row| row.map_err(Error::UnreadableRecord)).collect()
    }

    async fn read(&mut self) -> Result<Vec<Read>, Error> {
        let rows = query(
            "SELECT id, at, canary, kind, detail, prior, hash FROM audit
             WHERE id > $1 AND at >= $2 ORDER BY id LIMIT $3",
        )
        .bind(self.after)
        .bind(self.from)
        .bind(PAGE)
        .try_map(|row: AnyRow| {
            let id: i64 = row.try_get(0)?;
            Ok((id, fields(id, &row).map_err(|_| id)))
        })
        .fetch_all(&mut *self.transaction)
        .in_time()
        .await?;
        self.after = rows.last().map_or(self.after, |(id, _)| *id);
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    async fn chain(&mut self) -> Result<Option<Chain>, Error> {
        chain(&mut self.transaction).in_time().await
    }
}

fn fields(id: i64, row: &AnyRow) -> Result<Row, sqlx::Error> {
    Ok(Row {
        id,
        at: Millis(row.try_get(1)?),
        canary: row.try_get(2)?,
        kind: row.try_get(3)?,
        detail: row.try_get(4)?,
        prior: row.try_get(5)?,
        hash: row.try_get(6)?,
    })
}

async fn chain(sql: &mut AnyConnection) -> Result<Option<Chain>, sqlx::Error> {
    query("SELECT first, prior, newest, hash FROM audit_chain WHERE only_row = 1")
        .try_map(|row: AnyRow| {
            Ok(Chain {
                first: row.try_get(0)?,
                prior: row.try_get(1)?,
                newest: row.try_get(2)?,
                hash: row.try_get(3)?,
            })
        })
        .fetch_optional(sql)
        .await
}
