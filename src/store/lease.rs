//! The lease: of several replicas one works.

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

/// How long a worker's lease holds without being renewed.
pub const LEASE: Duration = Duration::from_secs(10);

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
    Standby,
}

impl Store {
    /// Takes or renews the worker's lease for `replica`. With `at_once`, which only a process that has the database
    /// for itself may say, it is taken from whoever holds it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn lead(&self, replica: &str, now: Millis, at_once: bool) -> Result<Lead, Error> {
        let mut reading = self.begin_read().await?;
        let (holder, until, renewed) = lease(&mut reading).await?;
        drop(reading);
        self.replicas().leader = Some(if holder == replica {
            LastLeader::This { renewed }
        } else {
            LastLeader::Other { renewed }
        });
        if holder == replica && until.since(now) > LEASE * 2 / 3 {
            // Renewed lately enough: a quiet bridge writes little.
            return Ok(Lead::Holds);
        }
        if holder != replica && until > now && !at_once {
            // It lives, and nobody need write to find that out.
            return Ok(Lead::Standby);
        }
        let mut tx = self.begin_write().await?;
        let lead = tx.lead(replica, now, at_once).await?;
        tx.end().await?;
        if lead != Lead::Standby {
            self.replicas().leader = Some(LastLeader::This { renewed: now });
        }
        if lead == Lead::TookOver || lead == Lead::Again {
            let away = if renewed.0 > 0 { now.since(renewed) } else { Duration::ZERO };
            self.load_heard(Downtime::All(away)).await?;
        }
        Ok(lead)
    }

    /// Gives the lease back, so that another replica need not wait for its end.
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
        tx.end().await
    }

    /// Who works; none before that was looked at.
    #[must_use]
    pub fn leader(&self) -> Option<LastLeader> {
        self.replicas().leader
    }

    /// The newest time that any replica put down of what it did, as far as read: not later than now, unless clocks differ.
    #[must_use]
    pub fn newest_time(&self) -> Millis {
        let others = self.replicas();
        match others.leader {
            Some(LastLeader::This { renewed } | LastLeader::Other { renewed }) => renewed.max(others.heard),
            None => others.heard,
        }
    }
}

impl WriteTx {
    /// See [`Store::lead`].
    ///
    /// # Errors
    /// If the database fails.
    pub async fn lead(&mut self, replica: &str, now: Millis, at_once: bool) -> Result<Lead, Error> {
        let (holder, until, renewed) = lease(self.sql()).await?;
        let alive = until > now;
        if holder != replica && alive && !at_once {
            return Ok(Lead::Standby);
        }
        query("UPDATE lease SET holder = $1, until = $2, renewed_at = $3 WHERE only_row = 1")
            .bind(replica)
            .bind((now + LEASE).0)
            .bind(now.0)
            .execute(self.sql())
            .await?;
        if holder == replica && alive {
            return Ok(Lead::Holds);
        }
        if renewed.0 > 0 {
            self.forgive_silence(now.since(renewed), now).await?;
        }
        Ok(if holder == replica { Lead::Again } else { Lead::TookOver })
    }
}

/// Who holds the lease, until when, and when it was last renewed.
async fn lease(sql: &mut AnyConnection) -> Result<(String, Millis, Millis), Error> {
    let (holder, until, renewed) =
        query("SELECT holder, until, renewed_at FROM lease WHERE only_row = 1").one(sql).await?;
    Ok((holder, Millis(until), Millis(renewed)))
}
