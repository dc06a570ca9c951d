//! Tickets that somebody asks to look at: stored until they were looked at.

use sqlx::{Row as _, any::AnyRow};

use super::{Error, InTime as _, Store, Turn, query};
use crate::millis::Millis;

/// Somebody asks for a ticket to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nudge {
    /// The ticket, by Jira's issue id.
    pub ticket: String,
    /// Since when, by the clock of the replica that was asked. A nudge that takes the place of another has a later time than it.
    pub at: Millis,
}

impl Store {
    /// The nudges that are to be followed, longest ago first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn nudges(&self) -> Result<Vec<Nudge>, Error> {
        let mut reading = self.begin().await?;
        let nudges = query("SELECT ticket, at FROM nudge ORDER BY at")
            .try_map(|row: AnyRow| Ok(Nudge { ticket: row.try_get(0)?, at: Millis(row.try_get(1)?) }))
            .fetch_all(&mut *reading)
            .in_time()
            .await?;
        Ok(nudges)
    }
}

impl Turn {
    /// Asks to look at a ticket soon. Asked for again before that, it stays one look.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn nudge(&mut self, ticket: &str, now: Millis) -> Result<(), Error> {
        query(
            // Whoever follows the one before must not take this for it, though the clocks of replicas differ.
            "INSERT INTO nudge (ticket, at) VALUES ($1, $2)
             ON CONFLICT (ticket) DO UPDATE SET at = CASE WHEN excluded.at > nudge.at THEN excluded.at ELSE nudge.at + 1 END",
        )
        .bind(ticket)
        .bind(now.0)
        .execute(self.sql())
        .in_time()
        .await?;
        Ok(())
    }

    /// A nudge was followed. If the ticket was nudged again since, that stays.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn followed(&mut self, nudge: &Nudge) -> Result<(), Error> {
        query("DELETE FROM nudge WHERE ticket = $1 AND at = $2")
            .bind(nudge.ticket.as_str())
            .bind(nudge.at.0)
            .execute(self.sql())
            .in_time()
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;

    /// Two replicas are told of the same ticket, the second while the worker reads it for the first, and their clocks differ.
    #[tokio::test]
    async fn a_nudge_by_a_clock_that_is_behind_is_followed_as_well() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::fresh(directory.path()).await;
        let store = Store::open(&database.url.clone().into()).await.unwrap();
        let nudge = async |at| {
            let mut turn = store.turn().await.unwrap();
            turn.nudge("10042", Millis(at)).await.unwrap();
            turn.end().await.unwrap();
        };
        let follow = async |nudges: &[Nudge]| {
            let mut turn = store.turn().await.unwrap();
            for nudge in nudges {
                turn.followed(nudge).await.unwrap();
            }
            turn.end().await.unwrap();
        };
        for second in [1_000_000, 1_000_500, 998_000] {
            nudge(1_000_000).await;
            let followed = store.nudges().await.unwrap();
            nudge(second).await;
            follow(&followed).await;
            let left = store.nudges().await.unwrap();
            assert_eq!(left.len(), 1, "{second}");
            assert!(left[0].at > followed[0].at, "{second}");
            follow(&left).await;
            assert_eq!(store.nudges().await.unwrap(), []);
        }
        store.close().await;
    }
}
