//! When each canary's last message was received, as stored. It is written in batches, because every question changes it
//! and a repeated question must not cost a write.

use std::time::Duration;

use sqlx::AssertSqlSafe;

use super::{
    activity::{CanaryActivity, Downtime},
    error::Error,
    handle::Store,
    query::query,
    rows::key,
    write_tx::WriteTx,
};
use crate::{
    gate::{GateId, Pace},
    millis::Millis,
    rollout::CanaryId,
};

/// At most so many canaries are written in one transaction.
const WRITE_BATCH: usize = 500;
/// At most so many canaries are written in one statement, with three parameters each: far below the databases' limits.
const ROWS_PER_STATEMENT: usize = 100;

impl Store {
    /// When the last message of any kind about this canary was received.
    #[must_use]
    pub fn last_message(&self, canary: &CanaryId) -> Option<Millis> {
        self.activity().last_message(canary)
    }

    /// How often Flagger asks at a gate.
    #[must_use]
    pub fn pace(&self, canary: &CanaryId, gate: &GateId) -> Pace {
        self.activity().pace(canary, gate)
    }

    /// When Flagger last asked at a gate.
    #[must_use]
    pub fn asked_at(&self, canary: &CanaryId, gate: &GateId) -> Option<Millis> {
        self.activity().asked_at(canary, gate)
    }

    /// Records that a message was received.
    pub fn message_received(&self, canary: &CanaryId, now: Millis) {
        self.activity().message_received(canary, now);
    }

    /// Records that a question at a gate was answered.
    pub fn question_answered(&self, canary: &CanaryId, gate: &GateId, open: bool, now: Millis) {
        self.activity().question_answered(canary, gate, open, now);
    }

    /// Writes what changed since the last call, in batches, so that other writers wait for a few hundred canaries at
    /// most. Returns how many canaries changed.
    ///
    /// # Errors
    /// If the database fails. Nothing is lost: the next call writes the rest.
    pub async fn write_back(&self) -> Result<usize, Error> {
        let changed = self.activity().unwritten();
        for some in changed.chunks(WRITE_BATCH) {
            let some = self.activity().with_live_gates(some, |id| self.canary(id));
            let mut tx = self.begin_write().await?;
            for few in some.chunks(ROWS_PER_STATEMENT) {
                tx.write_activity(few).await?;
            }
            tx.commit().await?;
            let mut activity = self.activity();
            some.iter().for_each(|(canary, was)| activity.mark_written(canary, was));
        }
        Ok(changed.len())
    }

    /// Reads what any replica has written, and keeps what is newer in memory.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn load_activity(&self, away: Downtime) -> Result<(), Error> {
        let mut reading = self.begin().await?;
        let rows: Vec<(String, i64, String)> =
            query("SELECT canary, at, paces FROM heard").all(&mut reading).await?;
        let mut newest = Millis(0);
        for (place, (id, at, paces)) in rows.into_iter().enumerate() {
            newest = newest.max(Millis(at));
            self.activity().merge_row(&id, Millis(at), &paces, away, place + 1);
        }
        self.replicas().newest_message = newest;
        Ok(())
    }
}

impl WriteTx {
    /// When any replica received the canary's last message, as far as written.
    pub(crate) async fn last_message(&mut self, canary: &CanaryId) -> Result<Option<Millis>, Error> {
        let at: Option<(i64,)> =
            query("SELECT at FROM heard WHERE canary = $1").bind(key(canary)).optional(self.sql()).await?;
        Ok(at.map(|(at,)| Millis(at)))
    }

    /// Stores that a message about the canary is received now.
    pub(crate) async fn store_last_message(&mut self, canary: &CanaryId, now: Millis) -> Result<(), Error> {
        query(
            "INSERT INTO heard (canary, at, paces) VALUES ($1, $2, '[]')
             ON CONFLICT (canary) DO UPDATE SET at = CASE WHEN heard.at > excluded.at THEN heard.at ELSE excluded.at END",
        )
        .bind(key(canary))
        .bind(now.0)
        .execute(self.sql())
        .await?;
        Ok(())
    }

    /// Writes some canaries, each listed once: a statement may change a row only once.
    async fn write_activity(&mut self, some: &[(CanaryId, CanaryActivity)]) -> Result<(), Error> {
        let rows: Vec<_> = some
            .iter()
            .filter_map(|(canary, activity)| Some((key(canary), activity.at?.0, activity.paces())))
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let places = (0..rows.len()).map(|row| 3 * row + 1);
        let places: Vec<String> = places.map(|n| format!("(${n}, ${}, ${})", n + 1, n + 2)).collect();
        let sql = format!(
            "INSERT INTO heard (canary, at, paces) VALUES {}
             ON CONFLICT (canary) DO UPDATE SET
                 at = CASE WHEN heard.at > excluded.at THEN heard.at ELSE excluded.at END,
                 paces = excluded.paces",
            places.join(", ")
        );
        // Safe: only numbers of parameters were formatted into it.
        let mut query = query(AssertSqlSafe(sql));
        for (canary, at, paces) in rows {
            query = query.bind(canary).bind(at).bind(paces);
        }
        query.execute(self.sql()).await?;
        Ok(())
    }

    /// No replica served for `away`: shifts all stored times by it, so that this silence does not count. No time
    /// becomes later than now: otherwise later silence would not count either.
    pub(super) async fn discount_downtime(&mut self, away: Duration, now: Millis) -> Result<(), Error> {
        let away = crate::millis::as_millis_i64(away);
        query("UPDATE heard SET at = CASE WHEN at + $1 > $2 THEN $3 ELSE at + $4 END WHERE at < $5")
            .bind(away)
            .bind(now.0)
            .bind(now.0)
            .bind(away)
            .bind(now.0)
            .execute(self.sql())
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;

    /// Needs several transactions and statements, the last of which is not full. The later time of each canary stays.
    #[tokio::test]
    async fn many_canaries_are_written_back() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::fresh(directory.path()).await;
        let url = database.url.clone().into();
        let (store, other) = (Store::open(&url).await.unwrap(), Store::open(&url).await.unwrap());
        let canary = |n: i64| CanaryId {
            cluster: "default".into(),
            namespace: "shop".into(),
            name: format!("canary-{n}"),
        };
        let many = 1_234;
        for n in 0..many {
            store.message_received(&canary(n), Millis(1_000 + n));
        }
        assert_eq!(store.write_back().await.unwrap(), 1_234);
        assert_eq!(store.write_back().await.unwrap(), 0);
        for n in 0..many {
            other.message_received(&canary(n), Millis(1_500));
        }
        assert_eq!(other.write_back().await.unwrap(), 1_234);
        store.close().await;
        other.close().await;
        let read = Store::open(&url).await.unwrap();
        read.load_activity(Downtime::None).await.unwrap();
        for n in 0..many {
            assert_eq!(read.last_message(&canary(n)), Some(Millis((1_000 + n).max(1_500))), "canary {n}");
        }
        read.close().await;
    }
}
