//! Statements. Each runs in a transaction, is not prepared under a name, and has a deadline.

use futures_util::TryStreamExt as _;
use sqlx::{
    Any, AnyConnection, AnyPool, Decode, Encode, FromRow, Row as _, SqlSafeStr, Type,
    any::{AnyArguments, AnyRow},
    query::Query,
};
use tokio::time::timeout;

use super::error::{ANSWER_TIMEOUT, Error};

/// A transaction. Dropped, it is rolled back.
pub(super) type Transaction = sqlx::Transaction<'static, Any>;

/// Begins a transaction. Every statement runs in one: a pooler may give each transaction another session, so limits are
/// set for each transaction.
pub(super) async fn begin(pool: &AnyPool, begin: &'static str) -> Result<Transaction, Error> {
    with_timeout(pool.begin_with(begin)).await
}

/// Commits. After an error it is unknown whether the transaction committed.
pub(super) async fn commit(transaction: Transaction) -> Result<(), Error> {
    with_timeout(transaction.commit()).await
}

/// The database's answer, or [`Error::NoAnswer`] after a timeout. The server's own limits do not help if the network to
/// it is broken. It is then unknown whether a write was done; [`Store::catch_up`] finds out.
///
/// [`Store::catch_up`]: super::Store::catch_up
async fn with_timeout<T>(answer: impl Future<Output = Result<T, sqlx::Error>> + Send) -> Result<T, Error> {
    timeout(ANSWER_TIMEOUT, answer).await.map_err(|_| Error::NoAnswer)?.map_err(Error::Database)
}

/// A statement without a name. A named prepared statement belongs to a session, and with a pooler each transaction may
/// run in another session.
pub(super) fn query(sql: impl SqlSafeStr) -> Statement {
    Statement(sqlx::query(sql).persistent(false))
}

/// See [`query`].
pub(super) struct Statement(Query<'static, Any, AnyArguments>);

impl Statement {
    /// Binds the next parameter.
    pub(super) fn bind<'t>(self, value: impl Encode<'t, Any> + Type<Any>) -> Self {
        Self(self.0.bind(value))
    }

    /// Executes it. Returns how many rows it changed.
    pub(super) async fn execute(self, sql: &mut AnyConnection) -> Result<u64, Error> {
        Ok(with_timeout(self.0.execute(sql)).await?.rows_affected())
    }

    /// Returns its only row.
    pub(super) async fn one<T: Readable>(self, sql: &mut AnyConnection) -> Result<T, Error> {
        with_timeout(self.0.try_map(read).fetch_one(sql)).await
    }

    /// Returns its row, if there is one.
    pub(super) async fn optional<T: Readable>(self, sql: &mut AnyConnection) -> Result<Option<T>, Error> {
        with_timeout(self.0.try_map(read).fetch_optional(sql)).await
    }

    /// Returns its rows.
    pub(super) async fn all<T: Readable>(self, sql: &mut AnyConnection) -> Result<Vec<T>, Error> {
        with_timeout(self.0.try_map(read).fetch_all(sql)).await
    }

    /// Passes its rows to `take` one by one, because there may be many.
    pub(super) async fn for_each<T: Readable>(
        self,
        sql: &mut AnyConnection,
        mut take: impl FnMut(T),
    ) -> Result<(), Error> {
        let mut rows = self.0.try_map(read).fetch(sql);
        while let Some(row) = with_timeout(rows.try_next()).await? {
            take(row);
        }
        Ok(())
    }
}

/// A type that a row can be converted into.
pub(super) trait Readable: for<'r> FromRow<'r, AnyRow> + Send + Unpin + 'static {}

impl<T: for<'r> FromRow<'r, AnyRow> + Send + Unpin + 'static> Readable for T {}

fn read<T: Readable>(row: AnyRow) -> Result<T, sqlx::Error> {
    T::from_row(&row)
}

/// A row's key, which is its last column, and the columns before it, if they can be read: SQLite stores a value of any
/// type in any column.
pub(super) struct Keyed<K, T>(pub(super) K, pub(super) Result<T, sqlx::Error>);

impl<'r, K: Decode<'r, Any> + Type<Any>, T: FromRow<'r, AnyRow>> FromRow<'r, AnyRow> for Keyed<K, T> {
    fn from_row(row: &'r AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self(row.try_get(row.len() - 1)?, T::from_row(row)))
    }
}
