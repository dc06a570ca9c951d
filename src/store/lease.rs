//! The lease: one of several replicas is the leader, which runs the worker.

use std::time::Duration;

use sqlx::AnyConnection;

use super::{
    activity::Downtime,
    error::Error,
    handle::{LastLeader, Store},
    query::query,
    write_tx::WriteTx,
};
use crate::millis::Millis;

/// How long a lease is valid without renewal.
pub const LEASE: Duration = Duration::from_secs(10);

/// Whether this replica is the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// It holds the lease, as before.
    Holds,
    /// It holds the lease again, which had expired; no other replica held it meanwhile.
    Regained,
    /// It has just acquired the lease from another replica, or is the first.
    TookOver,
    /// Another replica holds it.
    Standby,
}

impl Store {
    /// Acquires or renews the lease for `replica`. With `at_once`, it is taken even from a replica that holds it; only
    /// a process that has the database to itself may set that.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn lead(&self, replica: &str, now: Millis, at_once: bool) -> Result<LeaseOutcome, Error> {
        let mut reading = self.begin().await?;
        let (holder, until, renewed) = lease(&mut reading).await?;
        drop(reading);
        self.replicas().leader = Some(if holder == replica {
            LastLeader::This { renewed }
        } else {
            LastLeader::Other { renewed }
        });
        if holder == replica && until.since(now) > LEASE * 2 / 3 {
            // Renewed recently enough: an idle bridge writes little.
            return Ok(LeaseOutcome::Holds);
        }
        if holder != replica && until > now && !at_once {
            // The leader is alive: no write is needed to find that out.
            return Ok(LeaseOutcome::Standby);
        }
        let mut tx = self.begin_write().await?;
        let lead = tx.lead(replica, now, at_once).await?;
        tx.commit().await?;
        if lead != LeaseOutcome::Standby {
            self.replicas().leader = Some(LastLeader::This { renewed: now });
        }
        if lead == LeaseOutcome::TookOver || lead == LeaseOutcome::Regained {
            let away = if renewed.0 > 0 { now.since(renewed) } else { Duration::ZERO };
            self.load_activity(Downtime::All(away)).await?;
        }
        Ok(lead)
    }

    /// Releases the lease, so that another replica need not wait until it expires.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn resign(&self, replica: &str, now: Millis) -> Result<(), Error> {
        let mut tx = self.begin_write().await?;
        query("UPDATE lease SET until = 0, renewed_at = $1 WHERE holder = $2")
            .bind(now.0)
            .bind(replica)
            .execute(tx.sql())
            .await?;
        tx.commit().await
    }

    /// Which replica is the leader; `None` before the lease was first read.
    #[must_use]
    pub fn leader(&self) -> Option<LastLeader> {
        self.replicas().leader
    }

    /// The newest time that any replica stored, as far as this one has read it. It is not later than now, unless clocks
    /// differ.
    #[must_use]
    pub fn newest_time(&self) -> Millis {
        let replicas = self.replicas();
        match replicas.leader {
            Some(LastLeader::This { renewed } | LastLeader::Other { renewed }) => {
                renewed.max(replicas.newest_message)
            }
            None => replicas.newest_message,
        }
    }
}

impl WriteTx {
    /// See [`Store::lead`].
    ///
    /// # Errors
    /// If the database fails.
    pub async fn lead(&mut self, replica: &str, now: Millis, at_once: bool) -> Result<LeaseOutcome, Error> {
        let (holder, until, renewed) = lease(self.sql()).await?;
        let alive = until > now;
        if holder != replica && alive && !at_once {
            return Ok(LeaseOutcome::Standby);
        }
        query("UPDATE lease SET holder = $1, until = $2, renewed_at = $3 WHERE only_row = 1")
            .bind(replica)
            .bind((now + LEASE).0)
            .bind(now.0)
            .execute(self.sql())
            .await?;
        if holder == replica && alive {
            return Ok(LeaseOutcome::Holds);
        }
        if renewed.0 > 0 {
            self.discount_downtime(now.since(renewed), now).await?;
        }
        Ok(if holder == replica { LeaseOutcome::Regained } else { LeaseOutcome::TookOver })
    }
}

/// The holder of the lease, its expiry, and the time of its last renewal.
async fn lease(sql: &mut AnyConnection) -> Result<(String, Millis, Millis), Error> {
    let (holder, until, renewed) =
        query("SELECT holder, until, renewed_at FROM lease WHERE only_row = 1").one(sql).await?;
    Ok((holder, Millis(until), Millis(renewed)))
}
