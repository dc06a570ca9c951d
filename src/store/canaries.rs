//! The canaries as last committed, cached in memory. A write transaction updates the cache when it commits;
//! [`Store::catch_up`] adds what other replicas or cancelled requests committed.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sqlx::{AnyConnection, AssertSqlSafe, FromRow, Row as _, any::AnyRow};

use super::{
    cache::OpenTickets,
    error::Error,
    handle::Store,
    query::query,
    rows::{self, canary_id, key},
};
use crate::{
    gate::GateId,
    millis::Millis,
    rollout::{Canary, CanaryId},
};

/// A replica that has not caught up for this long does so before it answers: the bridge promises that a change made on
/// one replica shows on all within two seconds.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(2);

const CANARIES: &str = "SELECT format, state, seq, id FROM canary";

/// A row of a canary: its id and, if readable, its format, its state, and the number of the transaction that wrote it.
struct Committed(String, Result<(i64, String, i64), sqlx::Error>);

impl FromRow<'_, AnyRow> for Committed {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        // An id that is not text belongs to no canary.
        Ok(Self(row.try_get(3).unwrap_or_default(), FromRow::from_row(row)))
    }
}

impl Store {
    /// The cached canary, with all commits of this replica and those of other replicas up to about a second ago.
    #[must_use]
    pub fn canary(&self, id: &CanaryId) -> Option<Arc<Canary>> {
        self.cache().canary(id)
    }

    /// All canaries with a live rollout.
    #[must_use]
    pub fn live(&self) -> Vec<Arc<Canary>> {
        self.cache().live()
    }

    /// How many tickets of live gates count towards the limits: in total, and in the canary's namespace.
    #[must_use]
    pub fn open_tickets(&self, canary: &CanaryId) -> OpenTickets {
        self.cache().open_tickets(canary)
    }

    /// How many tickets of live gates count towards the limits, in total.
    #[must_use]
    pub fn all_open_tickets(&self) -> usize {
        self.cache().all_open_tickets()
    }

    /// The namespaces, as `cluster/namespace`, in which at least `least` gates count towards the limits; each with that
    /// number.
    #[must_use]
    pub fn namespaces_with_at_least(&self, least: usize) -> Vec<(String, usize)> {
        self.cache().namespaces_with_at_least(least)
    }

    /// The live gate whose ticket has this issue id.
    #[must_use]
    pub fn gate_by_ticket(&self, ticket: &str) -> Option<(CanaryId, GateId)> {
        self.cache().gate_by_ticket(ticket)
    }

    /// The canaries whose rows cannot be read, and why. Their gates are closed.
    #[must_use]
    pub fn unreadable(&self) -> Vec<(CanaryId, String)> {
        self.cache().unreadable()
    }

    /// Why the row of this canary cannot be read, if it cannot.
    #[must_use]
    pub fn unreadable_reason(&self, id: &CanaryId) -> Option<String> {
        self.cache().unreadable_reason(id)
    }

    /// Reads what any replica committed since the last call, and retries rows that could not be read. Returns how many
    /// canaries changed.
    ///
    /// # Errors
    /// If the database fails. A row that cannot be read is logged and skipped: it closes only its own canary's gates.
    pub async fn catch_up(&self) -> Result<usize, Error> {
        let mut reading = self.begin().await?;
        let changed = self.read_commits(&mut reading).await?;
        for (id, _) in self.unreadable() {
            let sql = AssertSqlSafe(format!("{CANARIES} WHERE id = $1"));
            match query(sql).bind(key(&id)).optional(&mut reading).await? {
                Some(row) => self.cache_row(row),
                None => self.cache_mut().remove(&id),
            }
        }
        Ok(changed)
    }

    /// Catches up, unless that was done shortly before `now`: a process that was paused missed later commits.
    ///
    /// # Errors
    /// As [`Store::catch_up`].
    pub async fn catch_up_by(&self, now: Millis) -> Result<(), Error> {
        let caught_up_at = Millis(self.0.caught_up_at.load(Ordering::SeqCst));
        if now.abs_diff(caught_up_at) >= CATCH_UP_WITHIN {
            // Boxed to keep the future of each question small.
            Box::pin(self.catch_up()).await?;
            self.caught_up(now);
        }
        Ok(())
    }

    /// Records that everything committed before `now` has been read.
    pub(crate) fn caught_up(&self, now: Millis) {
        self.0.caught_up_at.store(now.0, Ordering::SeqCst);
    }

    /// Reads the rows that were committed since the last call into the cache. Returns how many there were.
    pub(super) async fn read_commits(&self, sql: &mut AnyConnection) -> Result<usize, Error> {
        let (mut newest, mut changed) = (self.cache().caught_up(), 0);
        let committed = query(AssertSqlSafe(format!("{CANARIES} WHERE seq > $1 ORDER BY seq"))).bind(newest);
        let cache_row = |row: Committed| {
            if let Committed(_, Ok((.., seq))) = row
                && seq > newest
            {
                // A transaction may have saved several rows; only now have all of the previous one been read.
                self.cache_mut().catch_up(newest);
                newest = seq;
            }
            self.cache_row(row);
            changed += 1;
        };
        committed.for_each(sql, cache_row).await?;
        self.cache_mut().catch_up(newest);
        Ok(changed)
    }

    /// Caches a canary's row, or that it cannot be read.
    fn cache_row(&self, Committed(id, row): Committed) {
        let read = match row {
            Ok((format, state, seq)) => rows::canary(&id, format, &state).map(|canary| (canary, seq)),
            Err(error) => Err(rows::unreadable(id.as_str(), &error)),
        };
        match read {
            Ok((canary, seq)) => self.cache_mut().insert(canary, seq),
            Err(error) => self.mark_unreadable(&id, &error),
        }
    }

    /// Drops a canary whose row cannot be read from the cache, so that no gate is open without proof in the row.
    pub(super) fn mark_unreadable(&self, id: &str, error: &Error) {
        let is_new = match canary_id(id) {
            Some(canary) => self.cache_mut().mark_unreadable(canary, error.to_string()),
            None => true,
        };
        if is_new {
            tracing::error!(
                canary = id,
                "{error}; its gates stay closed until its row is repaired or deleted"
            );
        }
    }

    /// Caches what a transaction committed.
    pub(super) fn cache_committed(&self, canaries: Vec<Canary>, seq: i64) {
        let mut cache = self.cache_mut();
        for canary in canaries {
            cache.insert(canary, seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;

    /// Reading a single row, as a retry of an unreadable one does, must not mark earlier commits as read.
    #[tokio::test]
    async fn reading_one_row_does_not_skip_earlier_ones() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::fresh(directory.path()).await;
        let url = database.url.clone().into();
        let (store, other) = (Store::open(&url).await.unwrap(), Store::open(&url).await.unwrap());
        let [first, second] = ["first", "second"].map(|name| CanaryId {
            cluster: "default".into(),
            namespace: "shop".into(),
            name: name.into(),
        });
        for canary in [&first, &second] {
            let mut tx = other.begin_write().await.unwrap();
            tx.save(&Canary::new(canary.clone()), &[], Millis(1)).await.unwrap();
            tx.commit().await.unwrap();
        }
        let sql = AssertSqlSafe(format!("{CANARIES} WHERE id = $1"));
        let row = query(sql).bind(key(&second)).one(&mut store.begin().await.unwrap()).await.unwrap();
        store.cache_row(row);
        assert!(store.canary(&first).is_none() && store.canary(&second).is_some());
        assert_eq!(store.catch_up().await.unwrap(), 2);
        assert!(store.canary(&first).is_some() && store.canary(&second).is_some());
        assert_eq!(store.catch_up().await.unwrap(), 0);
        store.close().await;
        other.close().await;
    }
}
