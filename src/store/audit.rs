//! The audit record of all decisions: append-only rows, each with the hash of the row before it.
//!
//! [`AuditLog::verify`] finds rows that were changed, removed, inserted or moved. An attacker with write access to the
//! database can also write a new chain with new hashes: only a hash stored elsewhere rules that out.

use sqlx::AssertSqlSafe;

use super::{error::Error, handle::Store, query::query, rows::key, write_tx::WriteTx};
use crate::{millis::Millis, rollout::CanaryId};

mod log;
#[cfg(test)]
mod tests;
mod verify;

pub use log::{AuditLog, AuditPages, AuditRow};
use log::{COLUMNS, ChainEnds};
pub use verify::{ChainProblem, Verified};

/// At most so many rows are pruned in one transaction, because other writers wait for it; the next one continues.
const PRUNE_BATCH: i64 = 10_000;
/// So many of the newest rows are searched for those of a kind: the search must not become slow as the record grows.
const LOOKBACK_ROWS: i64 = 2_000;

/// An entry to append to the audit record.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// When it happened.
    pub at: Millis,
    /// The canary it concerns.
    pub canary: CanaryId,
    /// What happened, such as `ticket_opened`.
    pub kind: &'static str,
    /// The evidence. It contains no secret.
    pub detail: serde_json::Map<String, serde_json::Value>,
}

impl WriteTx {
    /// Appends entries to the audit record, in this order.
    ///
    /// # Errors
    /// If the database fails, or the row of `audit_chain` is missing.
    pub async fn audit(&mut self, entries: &[AuditEntry]) -> Result<(), Error> {
        if entries.is_empty() {
            return Ok(());
        }
        let ChainEnds { mut newest, mut hash, .. } =
            ChainEnds::read(self.sql()).await?.ok_or(Error::NoChain)?;
        for entry in entries {
            newest += 1;
            let detail = serde_json::Value::Object(entry.detail.clone()).to_string();
            let (canary, kind) = (key(&entry.canary), entry.kind.to_owned());
            let mut row = AuditRow {
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
            .await?;
        }
        query("UPDATE audit_chain SET newest = $1, hash = $2 WHERE only_row = 1")
            .bind(newest)
            .bind(hash)
            .execute(self.sql())
            .await?;
        Ok(())
    }

    /// Deletes rows from the old end, up to the first that is not older than `before`, in limited batches. Returns how
    /// many.
    ///
    /// # Errors
    /// If the database fails, or the row of `audit_chain` is missing.
    pub async fn prune_audit(&mut self, before: Millis) -> Result<u64, Error> {
        let ChainEnds { first, newest, hash, .. } =
            ChainEnds::read(self.sql()).await?.ok_or(Error::NoChain)?;
        let (first_kept,): (Option<i64>,) =
            query("SELECT MIN(id) FROM audit WHERE at >= $1").bind(before.0).one(self.sql()).await?;
        let keep = first_kept.unwrap_or(newest + 1).min(first.saturating_add(PRUNE_BATCH));
        if keep <= first {
            return Ok(0);
        }
        // Pruning would hide missing or inserted rows from `verify`.
        let (rows,): (i64,) =
            query("SELECT COUNT(*) FROM audit WHERE id < $1").bind(keep).one(self.sql()).await?;
        let next: Option<(String,)> =
            query("SELECT prior FROM audit WHERE id = $1").bind(keep).optional(self.sql()).await?;
        let prior = if keep > newest { Some(hash) } else { next.map(|(prior,)| prior) };
        let (Some(prior), true) = (prior, rows == keep - first) else {
            tracing::error!(
                "the audit record was changed, so no rows of it are pruned; run flagger-jira-bridge audit --verify"
            );
            return Ok(0);
        };
        query("UPDATE audit_chain SET first = $1, prior = $2 WHERE only_row = 1")
            .bind(keep)
            .bind(prior)
            .execute(self.sql())
            .await?;
        query("DELETE FROM audit WHERE id < $1").bind(keep).execute(self.sql()).await
    }
}

impl Store {
    /// At most `most` rows of these kinds, each with what its detail must contain, newest first, from among the newest
    /// rows of the record.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn newest_of_kinds(
        &self,
        kinds: &[(&'static str, &'static str)],
        most: u32,
    ) -> Result<Vec<AuditRow>, Error> {
        let mut reading = self.begin().await?;
        let places = (0..kinds.len()).map(|nth| 2 * nth + 3);
        let kind = places.map(|n| format!("(kind = ${n} AND detail LIKE ${})", n + 1));
        let sql = format!(
            "SELECT {COLUMNS} FROM audit
             WHERE id > (SELECT newest FROM audit_chain WHERE only_row = 1) - $1 AND ({})
             ORDER BY id DESC LIMIT $2",
            kind.collect::<Vec<_>>().join(" OR ")
        );
        // Safe: only numbers of parameters were formatted into it.
        let mut rows = query(AssertSqlSafe(sql)).bind(LOOKBACK_ROWS).bind(i64::from(most));
        for (kind, contained) in kinds {
            rows = rows.bind(*kind).bind(format!("%{contained}%"));
        }
        rows.all(&mut reading).await
    }

    /// The number of the last write transaction: while it stays the same, so does everything that is stored.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn last_turn(&self) -> Result<i64, Error> {
        let mut reading = self.begin().await?;
        let (seq,) = query("SELECT seq FROM turn WHERE only_row = 1").one(&mut reading).await?;
        Ok(seq)
    }

    /// Prunes the record, as [`WriteTx::prune_audit`]. Begins no write transaction if there is nothing to prune.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn prune_audit(&self, before: Millis) -> Result<u64, Error> {
        let mut reading = self.begin().await?;
        let oldest: Option<(i64,)> =
            query("SELECT at FROM audit ORDER BY id LIMIT 1").optional(&mut reading).await?;
        drop(reading);
        if oldest.is_none_or(|(at,)| at >= before.0) {
            return Ok(0);
        }
        let mut tx = self.begin_write().await?;
        let pruned = tx.prune_audit(before).await?;
        tx.commit().await?;
        Ok(pruned)
    }
}
