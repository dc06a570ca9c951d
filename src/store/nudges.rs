//! Nudges: requests to read a ticket soon, stored until the worker has read it.

use super::{error::Error, handle::Store, query::query, write_tx::WriteTx};
use crate::millis::Millis;

/// A request to read a ticket soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nudge {
    /// The ticket, by Jira's issue id.
    pub ticket: String,
    /// The number of the transaction that stored it: a later nudge of the same ticket has a higher one, on any replica.
    pub seq: i64,
}

impl Store {
    /// All stored nudges, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn nudges(&self) -> Result<Vec<Nudge>, Error> {
        let mut reading = self.begin().await?;
        let nudges = query("SELECT ticket, seq FROM nudge ORDER BY seq").all(&mut reading).await?;
        Ok(nudges.into_iter().map(|(ticket, seq)| Nudge { ticket, seq }).collect())
    }
}

impl WriteTx {
    /// Stores a nudge. A ticket has at most one: a second nudge replaces the first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn nudge(&mut self, ticket: &str, now: Millis) -> Result<(), Error> {
        let seq = self.seq();
        query(
            "INSERT INTO nudge (ticket, at, seq) VALUES ($1, $2, $3)
             ON CONFLICT (ticket) DO UPDATE SET at = excluded.at, seq = excluded.seq",
        )
        .bind(ticket)
        .bind(now.0)
        .bind(seq)
        .execute(self.sql())
        .await?;
        Ok(())
    }

    /// Deletes a nudge whose ticket was read, unless a later nudge has replaced it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn ack_nudge(&mut self, nudge: &Nudge) -> Result<(), Error> {
        query("DELETE FROM nudge WHERE ticket = $1 AND seq = $2")
            .bind(nudge.ticket.as_str())
            .bind(nudge.seq)
            .execute(self.sql())
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;

    /// Two replicas receive a nudge of the same ticket, the second while the worker reads it, and their clocks differ.
    #[tokio::test]
    async fn a_nudge_by_a_slow_clock_is_not_lost() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::fresh(directory.path()).await;
        let store = Store::open(&database.url.clone().into()).await.unwrap();
        let nudge = async |at| {
            let mut tx = store.begin_write().await.unwrap();
            tx.nudge("10042", Millis(at)).await.unwrap();
            tx.commit().await.unwrap();
        };
        let ack = async |nudges: &[Nudge]| {
            let mut tx = store.begin_write().await.unwrap();
            for nudge in nudges {
                tx.ack_nudge(nudge).await.unwrap();
            }
            tx.commit().await.unwrap();
        };
        for second in [1_000_000, 1_000_500, 998_000] {
            nudge(1_000_000).await;
            let first = store.nudges().await.unwrap();
            nudge(second).await;
            ack(&first).await;
            let left = store.nudges().await.unwrap();
            assert_eq!(left.len(), 1, "{second}");
            assert!(left[0].seq > first[0].seq, "{second}");
            ack(&left).await;
            assert_eq!(store.nudges().await.unwrap(), []);
        }
        store.close().await;
    }
}
