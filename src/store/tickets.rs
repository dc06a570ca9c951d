//! Every ticket that was ever opened, so that the bridge can react to moves after its rollout ended.

use sqlx::{AssertSqlSafe, FromRow, Row as _, any::AnyRow};

use super::{
    error::Error,
    handle::Store,
    nudges::Nudge,
    query::{Keyed, query},
    rows::{from_json, key, owner, to_json, unreadable},
    write_tx::WriteTx,
};
use crate::{
    gate::{GateId, GateName, Ticket},
    millis::Millis,
    rollout::CanaryId,
};

/// A ticket and the gate it was opened for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketRecord {
    /// The gate. A duplicate, which opens no gate, is stored under an id of its own.
    pub gate: GateId,
    /// Its canary.
    pub canary: CanaryId,
    /// The gate's name.
    pub name: GateName,
    /// The ticket, as it was opened.
    pub ticket: Ticket,
    /// When its rollout's end was written to it, by Jira's clock.
    pub ended_at: Option<Millis>,
    /// Since when, by the bridge's clock, Jira has not shown it, although the credentials work.
    pub missing_since: Option<Millis>,
}

impl TicketRecord {
    /// The record of a ticket that was just opened or found.
    #[must_use]
    pub fn new(canary: &CanaryId, gate: &GateId, name: &GateName, ticket: &Ticket) -> Self {
        let (canary, gate, name, ticket) = (canary.clone(), gate.clone(), name.clone(), ticket.clone());
        Self { gate, canary, name, ticket, ended_at: None, missing_since: None }
    }

    /// Whether an issue with the marks of these gates can be this ticket. A duplicate has the mark of the gate that it
    /// was opened for, and its own id begins with that gate's id.
    #[must_use]
    pub fn is_marked_by(&self, marks: &[GateId]) -> bool {
        marks.iter().any(|GateId(mark)| {
            let rest = self.gate.0.strip_prefix(mark.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    }
}

/// The columns of a ticket without its gate, which comes last: in the order of [`StoredTicket`].
const COLUMNS: &str = "canary, name, ticket.ticket, ended_at, missing_since";
/// How many they are.
const COLUMN_COUNT: usize = 5;

impl Store {
    /// The ticket of a gate, whether or not its rollout has ended.
    ///
    /// # Errors
    /// If the database fails or the row cannot be read.
    pub async fn ticket(&self, gate: &GateId) -> Result<Option<TicketRecord>, Error> {
        let sql = AssertSqlSafe(format!("SELECT {COLUMNS}, gate FROM ticket WHERE gate = $1"));
        let mut reading = self.begin().await?;
        let row = query(sql).bind(gate.0.as_str()).optional(&mut reading).await?;
        row.map(ticket_record).transpose()
    }

    /// Whether a ticket with this issue id is stored.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn has_ticket(&self, id: &str) -> Result<bool, Error> {
        let mut reading = self.begin().await?;
        let (kept,): (i64,) =
            query("SELECT COUNT(*) FROM ticket WHERE id = $1").bind(id).one(&mut reading).await?;
        Ok(kept > 0)
    }

    /// The nudges of ended tickets whose late move the bridge has not answered yet, oldest first, each with its ticket.
    ///
    /// # Errors
    /// If the database fails. A ticket row that cannot be read is an `Err` in the list.
    pub async fn ended_nudges(&self) -> Result<Vec<(Nudge, Result<TicketRecord, Error>)>, Error> {
        let mut reading = self.begin().await?;
        let ended = query(AssertSqlSafe(ended_nudges_sql())).all(&mut reading).await?;
        Ok(ended.into_iter().map(|NudgedTicket(nudge, row)| (nudge, ticket_record(row))).collect())
    }

    /// At most `most` ended tickets that are due to be read without a nudge, the longest due first, each with its gate.
    ///
    /// # Errors
    /// If the database fails. A ticket row that cannot be read is an `Err` in the list.
    pub async fn ended_to_read(
        &self,
        now: Millis,
        most: usize,
    ) -> Result<Vec<(GateId, Result<TicketRecord, Error>)>, Error> {
        let sql = AssertSqlSafe(format!(
            "SELECT {COLUMNS}, gate FROM ticket WHERE read_at IS NOT NULL AND read_at <= $1 ORDER BY read_at LIMIT $2"
        ));
        let mut reading = self.begin().await?;
        let ended: Vec<StoredTicket> =
            query(sql).bind(now.0).bind(i64::try_from(most).unwrap_or(i64::MAX)).all(&mut reading).await?;
        Ok(ended.into_iter().map(|row| (GateId(row.0.clone()), ticket_record(row))).collect())
    }

    /// Whether this is the issue id of an ended ticket whose next move the bridge will answer.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn is_ended(&self, id: &str) -> Result<bool, Error> {
        let mut reading = self.begin().await?;
        let sql = "SELECT COUNT(*) FROM ticket WHERE id = $1 AND answered = 0 AND ended_at IS NOT NULL";
        let (ended,): (i64,) = query(sql).bind(id).one(&mut reading).await?;
        Ok(ended > 0)
    }
}

impl WriteTx {
    /// Stores a ticket that was just opened.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn store_ticket(&mut self, opened: &TicketRecord) -> Result<(), Error> {
        query(
            "INSERT INTO ticket (gate, canary, name, id, ticket, answered) VALUES ($1, $2, $3, $4, $5, 0)
             ON CONFLICT (gate) DO NOTHING",
        )
        .bind(opened.gate.0.as_str())
        .bind(key(&opened.canary))
        .bind(to_json(&opened.name, &opened.canary)?)
        .bind(opened.ticket.id.as_str())
        .bind(to_json(&opened.ticket, &opened.canary)?)
        .execute(self.sql())
        .await?;
        Ok(())
    }

    /// Stores that the end of the rollout was written to the ticket, at this time by Jira's clock. The worker reads it
    /// again at `read_at`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn mark_ended(&mut self, gate: &GateId, at: Millis, read_at: Millis) -> Result<(), Error> {
        query("UPDATE ticket SET ended_at = $1, read_at = $2 WHERE gate = $3 AND ended_at IS NULL")
            .bind(at.0)
            .bind(read_at.0)
            .bind(gate.0.as_str())
            .execute(self.sql())
            .await?;
        Ok(())
    }

    /// Sets when the worker reads an ended ticket next without a nudge; `None` for never.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn schedule_read(&mut self, gate: &GateId, at: Option<Millis>) -> Result<(), Error> {
        query("UPDATE ticket SET read_at = $1 WHERE gate = $2")
            .bind(at.map(|at| at.0))
            .bind(gate.0.as_str())
            .execute(self.sql())
            .await?;
        Ok(())
    }

    /// Sets since when Jira has not shown the ticket; `None` if it does.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set_missing_since(&mut self, gate: &GateId, since: Option<Millis>) -> Result<(), Error> {
        query("UPDATE ticket SET missing_since = $1 WHERE gate = $2")
            .bind(since.map(|since| since.0))
            .bind(gate.0.as_str())
            .execute(self.sql())
            .await?;
        Ok(())
    }

    /// Marks a late move of an ended ticket as answered. Returns whether it is the first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn answer_late_move(&mut self, gate: &GateId) -> Result<bool, Error> {
        let done = query("UPDATE ticket SET answered = 1, read_at = NULL WHERE gate = $1 AND answered = 0")
            .bind(gate.0.as_str())
            .execute(self.sql())
            .await?;
        Ok(done == 1)
    }
}

/// With CROSS JOIN, SQLite joins in this order: there are few nudges, and tickets are never deleted.
fn ended_nudges_sql() -> String {
    format!(
        "SELECT {COLUMNS}, nudge.ticket, nudge.seq, gate FROM nudge CROSS JOIN ticket
         WHERE ticket.id = nudge.ticket AND answered = 0 AND ended_at IS NOT NULL ORDER BY nudge.seq"
    )
}

type StoredTicket = Keyed<String, (String, String, String, Option<i64>, Option<i64>)>;

/// A nudge and the ticket that it is about.
struct NudgedTicket(Nudge, StoredTicket);

impl FromRow<'_, AnyRow> for NudgedTicket {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self(
            Nudge { ticket: row.try_get(COLUMN_COUNT)?, seq: row.try_get(COLUMN_COUNT + 1)? },
            FromRow::from_row(row)?,
        ))
    }
}

fn ticket_record(Keyed(gate, row): StoredTicket) -> Result<TicketRecord, Error> {
    let (canary, name, ticket, ended_at, missing_since) =
        row.map_err(|error| unreadable(format!("the ticket of gate {gate}"), &error))?;
    Ok(TicketRecord {
        gate: GateId(gate),
        canary: owner(&canary)?,
        name: from_json(&name, &canary)?,
        ticket: from_json(&ticket, &canary)?,
        ended_at: ended_at.map(Millis),
        missing_since: missing_since.map(Millis),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;

    /// The worker runs this query at each step, and an old database has many tickets.
    #[tokio::test]
    async fn ended_nudges_are_found_without_a_scan_of_all_tickets() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::fresh(directory.path()).await;
        let store = Store::open(&database.url.clone().into()).await.unwrap();
        assert_eq!(store.ended_nudges().await.unwrap().len(), 0);
        if store.is_sqlite() {
            let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", ended_nudges_sql()));
            let plan: Vec<String> = sqlx::query(sql)
                .try_map(|row: AnyRow| row.try_get(3))
                .fetch_all(&store.0.pool)
                .await
                .unwrap();
            assert!(
                plan.iter().any(|step| step.contains("SEARCH ticket USING INDEX ticket_by_id")),
                "{plan:?}"
            );
        }
        store.close().await;
    }
}
