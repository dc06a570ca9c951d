//! Which commands are due.

use std::collections::HashSet;

use sqlx::AssertSqlSafe;

use super::row::{OutboxRow, SELECT_ROWS, StoredCommand, outbox_row};
use crate::{
    gate::GateId,
    millis::Millis,
    store::{error::Error, handle::Store, query::query},
};

/// Which commands to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Those that open tickets.
    Opening,
    /// All others.
    Others,
    /// All others, without those that publish Kubernetes Events.
    OthersButEvents,
    /// Messages to channels, which are not among the others.
    Messages,
}

impl Store {
    /// The commands of these kinds that are due, longest first: at most `most`, the first of each gate, without the gates
    /// `held`. Each comes with its number, also if it cannot be read.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn due_commands(
        &self,
        take: Take,
        now: Millis,
        held: &HashSet<GateId>,
        most: usize,
    ) -> Result<Vec<(i64, Result<OutboxRow, Error>)>, Error> {
        let sql = AssertSqlSafe(due(take, held.len()));
        let mut asked = query(sql).bind(now.0).bind(i64::try_from(most).unwrap_or(i64::MAX));
        for gate in held {
            asked = asked.bind(gate.0.as_str());
        }
        let mut reading = self.begin().await?;
        let found: Vec<StoredCommand> = asked.all(&mut reading).await?;
        Ok(found.into_iter().map(|stored| (stored.0, outbox_row(stored))).collect())
    }
}

/// One query for each kind, so that each uses an index: thousands of rows may wait. Later commands of a gate wait for
/// one that is retried soon, but not for one that failed more than `SOON_ATTEMPTS` times.
fn due(take: Take, held: usize) -> String {
    let kinds = match take {
        Take::Opening => "kind = 'open'",
        Take::Others => "kind NOT IN ('open', 'notify')",
        Take::OthersButEvents => "kind NOT IN ('open', 'event', 'notify')",
        Take::Messages => "kind = 'notify'",
    };
    let others = if held == 0 {
        String::new()
    } else {
        let held: Vec<String> = (3..held + 3).map(|number| format!("${number}")).collect();
        format!("AND gate NOT IN ({})", held.join(", "))
    };
    format!(
        "{SELECT_ROWS} WHERE {kinds} AND parked_at IS NULL AND due_at <= $1 {others}
         AND NOT EXISTS (SELECT 1 FROM outbox earlier
                         WHERE earlier.gate = outbox.gate AND earlier.id < outbox.id
                         AND (earlier.kind = 'open'
                              OR (earlier.kind NOT IN ('recount', 'event') AND earlier.parked_at IS NULL
                                  AND (earlier.due_at <= $1 OR earlier.attempts BETWEEN 1 AND {SOON_ATTEMPTS}))))
         ORDER BY due_at, id LIMIT $2"
    )
}

/// After so many attempts, about half a minute after the first, a command is no longer retried soon.
const SOON_ATTEMPTS: u32 = 5;
