//! The rows of the audit record, and how they are read.

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, FromRow, Row as _, any::AnyRow};

use crate::{
    millis::Millis,
    store::{
        connection::{Connections, ReadOnlySince, connect},
        error::Error,
        location::{self, Mode},
        query::{self, Keyed, Transaction, query},
        volume::AllowedVolumes,
    },
};

/// At most so many rows are in memory at a time.
const PAGE: i64 = 1_000;

/// The columns of a row, the id last, as [`Keyed`] needs it.
pub(super) const COLUMNS: &str = "at, canary, kind, detail, prior, hash, id";

/// A row of the audit record, as stored. Only [`AuditLog::verify`] shows whether it is what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number, without gaps.
    pub id: i64,
    /// When it happened.
    pub at: Millis,
    /// The canary: `cluster/namespace/name`.
    pub canary: String,
    /// What happened, such as `ticket_opened`.
    pub kind: String,
    /// The evidence, a JSON object.
    pub detail: String,
    /// The hash of the row before it.
    pub prior: String,
    /// Its own hash.
    pub hash: String,
}

/// Where the audit record begins and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChainEnds {
    /// The id of the first row; `newest + 1` if all rows were pruned.
    pub(super) first: i64,
    /// The hash of the row before the first.
    pub(super) prior: String,
    /// The id of the newest row, 0 if none was written yet.
    pub(super) newest: i64,
    /// The hash of the newest row.
    pub(super) hash: String,
}

impl AuditRow {
    /// SHA-256, in hexadecimal, over prior, id, at, canary, kind and detail: each as UTF-8, numbers in decimal, after
    /// its length in bytes as eight bytes, the highest first.
    pub(in crate::store) fn computed_hash(&self) -> String {
        let (id, at) = (self.id.to_string(), self.at.0.to_string());
        let mut hash = Sha256::new();
        for field in [&self.prior, &id, &at, &self.canary, &self.kind, &self.detail] {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field.as_bytes());
        }
        hex::encode(hash.finalize())
    }

    /// Cluster, namespace and name of the canary.
    #[must_use]
    pub fn canary_names(&self) -> [&str; 3] {
        let mut parts = self.canary.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(cluster), Some(namespace), Some(name)) => [cluster, namespace, name],
            _ => ["", "", &self.canary],
        }
    }
}

impl FromRow<'_, AnyRow> for AuditRow {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            at: Millis(row.try_get(0)?),
            canary: row.try_get(1)?,
            kind: row.try_get(2)?,
            detail: row.try_get(3)?,
            prior: row.try_get(4)?,
            hash: row.try_get(5)?,
            id: row.try_get(6)?,
        })
    }
}

impl ChainEnds {
    /// Reads the row of `audit_chain`; `None` if it is missing.
    pub(super) async fn read(sql: &mut AnyConnection) -> Result<Option<Self>, Error> {
        let noted = query("SELECT first, prior, newest, hash FROM audit_chain WHERE only_row = 1");
        let noted = noted.optional(sql).await?;
        Ok(noted.map(|(first, prior, newest, hash)| Self { first, prior, newest, hash }))
    }
}

/// The audit record of a database, for reading, also while a bridge uses the database.
pub struct AuditLog {
    pub(super) pool: AnyPool,
    pub(super) begin_sql: &'static str,
}

impl AuditLog {
    /// Connects, and creates and changes nothing.
    ///
    /// # Errors
    /// [`Error::NoRecord`] if no bridge with an audit record has used this database yet; [`Error::Unopened`] if the
    /// database cannot be reached or the file does not exist; [`Error::Database`] if it fails afterwards.
    pub async fn open(url: &SecretString) -> Result<Self, Error> {
        let url = url.expose_secret();
        location::check_file(url, Mode::ReadOnly, AllowedVolumes::Any)?;
        let Connections { pool, begin_sql, .. } =
            match connect(url, Mode::ReadOnly, &ReadOnlySince::default()).await {
                Ok(connected) => connected,
                Err(error) => return Err(location::open_error(url, Mode::ReadOnly, &error).await),
            };
        let record = Self { pool, begin_sql };
        match ChainEnds::read(&mut *record.begin().await?).await {
            Err(Error::Database(error)) if is_missing(&error) => Err(Error::NoRecord),
            Err(error) => Err(error),
            Ok(_) => Ok(record),
        }
    }

    async fn begin(&self) -> Result<Transaction, Error> {
        query::begin(&self.pool, self.begin_sql).await
    }

    /// The rows from a time on, or all, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn since(&self, from: Option<Millis>) -> Result<AuditPages, Error> {
        let transaction = self.begin().await?;
        Ok(AuditPages { transaction, after: i64::MIN, from: from.map_or(i64::MIN, |from| from.0) })
    }
}

/// Whether the table does not exist.
fn is_missing(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        // PostgreSQL has an error code for it; SQLite only a message.
        error.code().is_some_and(|code| code == "42P01") || error.message().starts_with("no such table")
    })
}

/// The rows of the audit record as of one moment, a page at a time.
pub struct AuditPages {
    transaction: Transaction,
    after: i64,
    from: i64,
}

impl AuditPages {
    /// The next page of rows; empty at the end.
    ///
    /// # Errors
    /// If the database fails, or a row cannot be read.
    pub async fn next_page(&mut self) -> Result<Vec<AuditRow>, Error> {
        let rows = self.read().await?.into_iter();
        rows.map(|Keyed(id, row)| row.map_err(|_| Error::UnreadableRecord(id))).collect()
    }

    /// The next page of rows, each with its id, also if one of its columns cannot be read.
    pub(super) async fn read(&mut self) -> Result<Vec<Keyed<i64, AuditRow>>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM audit WHERE id > $1 AND at >= $2 ORDER BY id LIMIT $3");
        let rows: Vec<Keyed<i64, AuditRow>> = query(AssertSqlSafe(sql))
            .bind(self.after)
            .bind(self.from)
            .bind(PAGE)
            .all(&mut self.transaction)
            .await?;
        self.after = rows.last().map_or(self.after, |Keyed(id, _)| *id);
        Ok(rows)
    }

    pub(super) async fn chain(&mut self) -> Result<Option<ChainEnds>, Error> {
        ChainEnds::read(&mut self.transaction).await
    }
}
