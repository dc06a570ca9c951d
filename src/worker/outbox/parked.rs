//! Logs the commands that are parked, each reason once.

use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
};

use crate::{
    lock::lock,
    rollout::Command,
    store::{self, AttemptOutcome, OutboxRow, Store},
};

/// The logged reasons of parked commands.
#[derive(Default)]
pub(super) struct ParkedLog {
    /// By outbox row id.
    rows: Mutex<HashMap<i64, String>>,
    /// Of Kubernetes Events.
    events: Mutex<HashSet<String>>,
}

impl ParkedLog {
    /// Logs that a command is parked, once for each reason and not at each retry. Not if the ticket of a live gate
    /// cannot be opened: that is recorded and logged already.
    pub(super) async fn log(
        &self,
        store: &Store,
        row: &OutboxRow,
        how: &AttemptOutcome,
    ) -> Result<(), store::Error> {
        let why = match how {
            AttemptOutcome::Done => {
                lock(&self.rows).remove(&row.id);
                return Ok(());
            }
            AttemptOutcome::Later { .. } | AttemptOutcome::Retry { .. } => return Ok(()),
            AttemptOutcome::Parked { why, .. } => why,
        };
        // A right that is missing keeps back every Event: one line for all.
        let is_new = match row.command {
            Command::Publish { .. } => lock(&self.events).insert(why.clone()),
            Command::Open { .. }
            | Command::FindDuplicates { .. }
            | Command::Comment { .. }
            | Command::Label { .. }
            | Command::Move { .. }
            | Command::Link { .. }
            | Command::Notify { .. } => self.is_new(row.id, why),
        };
        if !is_new {
            return Ok(());
        }
        let canary = store.canary(&row.canary);
        let (gate, ticket) = match &row.command {
            Command::Open { gate, .. } if canary.is_some_and(|it| it.gate_by_id(gate).is_some()) => {
                return Ok(());
            }
            Command::Open { subject, .. } => (Some(subject.gate.clone()), None),
            Command::FindDuplicates { name, .. } => (Some(name.clone()), None),
            Command::Publish { name, .. } => (name.clone(), None),
            Command::Notify { notification, .. } => {
                (Some(notification.gate.clone()), notification.ticket.clone())
            }
            Command::Comment { gate, .. }
            | Command::Label { gate }
            | Command::Move { gate, .. }
            | Command::Link { gate, .. } => match store.ticket(gate).await {
                Ok(opened) => opened.map(|opened| (opened.name, opened.ticket.key)).unzip(),
                Err(store::Error::Corrupt { .. }) => (None, None),
                Err(error) => return Err(error),
            },
        };
        let gate = gate.map(|gate| gate.to_string());
        tracing::warn!(
            canary = %row.canary,
            gate,
            ticket,
            what = row.command.describe(),
            why,
            "this is refused; fix the cause: the bridge retries every hour and when it starts"
        );
        Ok(())
    }

    /// Whether this reason for parking the command was not logged yet. Remembers it.
    pub(super) fn is_new(&self, row: i64, why: &str) -> bool {
        lock(&self.rows).insert(row, why.to_owned()).as_deref() != Some(why)
    }
}
