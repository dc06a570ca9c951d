//! Every ticket that was ever opened: so that what happens to it after its rollout is over still finds it.

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
    /// The gate. A duplicate, which opens no gate, is kept under an id of its own.
    pub gate: GateId,
    /// Its canary.
    pub canary: CanaryId,
    /// Which gate of the rollout it was.
    pub name: GateName,
    /// The ticket, as it was opened.
    pub ticket: Ticket,
    /// When it was told that its rollout is over, by Jira's clock.
    pub ended_at: Option<Millis>,
    /// Since when, by our clock, Jira does not show it, although credentials are proven.
    pub missing_since: Option<Millis>,
}

impl TicketRecord {
    /// Whether an issue that says that it is the ticket of these gates is this one. A duplicate says so of the gate that it was
    /// opened for, after which its own id is called.
    #[must_use]
    pub fn is_marked_by(&self, marks: &[GateId]) -> bool {
        marks.iter().any(|GateId(mark)| {
            let rest = self.gate.0.strip_prefix(mark.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    }
}

/// Of a ticket, but its gate, which comes last.
const COLUMNS: &str = "canary, name, ticket.ticket, ended_at, missing_since";

impl Store {
    /// The ticket of a gate, dead or alive.
    ///
    /// # Errors
    /// If the database fails or the row cannot be read.
    pub async fn ticket(&self, gate: &GateId) -> Result<Option<TicketRecord>, Error> {
        let sql = AssertSqlSafe(format!("SELECT {COLUMNS}, gate FROM ticket WHERE gate = $1"));
        let mut reading = self.begin_read().await?;
        let row = query(sql).bind(gate.0.as_str()).optional(&mut reading).await?;
        row.map(opened).transpose()
    }

    /// Whether this issue id is that of a ticket that is kept, whichever gate it is of.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn keeps(&self, id: &str) -> Result<bool, Error> {
        let mut reading = self.begin_read().await?;
        let (kept,): (i64,) =
            query("SELECT COUNT(*) FROM ticket WHERE id = $1").bind(id).one(&mut reading).await?;
        Ok(kept > 0)
    }

    /// The nudges about dead tickets of which no later move was answered yet, longest ago first, each with its ticket.
    ///
    /// # Errors
    /// If the database fails. A ticket whose row cannot be read is an error of its own.
    pub async fn ended_nudges(&self) -> Result<Vec<(Nudge, Result<TicketRecord, Error>)>, Error> {
        let mut reading = self.begin_read().await?;
        let ended = query(AssertSqlSafe(dead_nudges())).all(&mut reading).await?;
        Ok(ended.into_iter().map(|NudgedTicket(nudge, row)| (nudge, opened(row))).collect())
    }

    /// Dead tickets that are to be read although nobody asks for that, at most `most`, those first that wait longest; each
    /// with its gate.
    ///
    /// # Errors
    /// If the database fails. A ticket whose row cannot be read is an error of its own.
    pub async fn ended_to_read(
        &self,
        now: Millis,
        most: usize,
    ) -> Result<Vec<(GateId, Result<TicketRecord, Error>)>, Error> {
        let sql = AssertSqlSafe(format!(
            "SELECT {COLUMNS}, gate FROM ticket WHERE read_at IS NOT NULL AND read_at <= $1 ORDER BY read_at LIMIT $2"
        ));
        let mut reading = self.begin_read().await?;
        let ended: Vec<StoredTicket> =
            query(sql).bind(now.0).bind(i64::try_from(most).unwrap_or(i64::MAX)).all(&mut reading).await?;
        Ok(ended.into_iter().map(|row| (GateId(row.0.clone()), opened(row))).collect())
    }

    /// Whether this issue id is that of a dead ticket whose next move will be answered.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn is_ended(&self, id: &str) -> Result<bool, Error> {
        let mut reading = self.begin_read().await?;
        let sql = "SELECT COUNT(*) FROM ticket WHERE id = $1 AND answered = 0 AND ended_at IS NOT NULL";
        let (ended,): (i64,) = query(sql).bind(id).one(&mut reading).await?;
        Ok(ended > 0)
    }
}

impl WriteTx {
    /// Keeps a ticket that was just opened.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn keep_ticket(&mut self, opened: &TicketRecord) -> Result<(), Error> {
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

    /// The ticket was told that its rollout is over, at this time by Jira's clock. It is read again at `read_at`.
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

    /// When a dead ticket is read the next time although nobody asks for that; none: not any more.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn read_again(&mut self, gate: &GateId, at: Option<Millis>) -> Result<(), Error> {
        query("UPDATE ticket SET read_at = $1 WHERE gate = $2")
            .bind(at.map(|at| at.0))
            .bind(gate.0.as_str())
            .execute(self.sql())
            .await?;
        Ok(())
    }

    /// Since when Jira does not show the ticket; none: it does.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn missing(&mut self, gate: &GateId, since: Option<Millis>) -> Result<(), Error> {
        query("UPDATE ticket SET missing_since = $1 WHERE gate = $2")
            .bind(since.map(|since| since.0))
            .bind(gate.0.as_str())
            .execute(self.sql())
            .await?;
        Ok(())
    }

    /// A later move of a dead ticket is being answered. Returns whether it is the first.
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

/// SQLite joins in this order: nudges are few, and tickets are kept for ever.
fn dead_nudges() -> String {
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
        Ok(Self(Nudge { ticket: row.try_get(5)?, seq: row.try_get(6)? }, FromRow::from_row(row)?))
    }
}

fn opened(Keyed(gate, row): StoredTicket) -> Result<TicketRecord, Error> {
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

    /// It is looked for at each step of the worker, and a bridge that is old has many tickets.
    #[tokio::test]
    async fn nobody_goes_through_all_tickets_to_find_the_dead() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::fresh(directory.path()).await;
        let store = Store::open(&database.url.clone().into()).await.unwrap();
        assert_eq!(store.ended_nudges().await.unwrap().len(), 0);
        if store.is_sqlite() {
            let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", dead_nudges()));
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
