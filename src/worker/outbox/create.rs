//! Opening tickets: claim, perform, settle.
//!
//! A create is not idempotent, and Jira has no key to make it so. Hence the time of sending is stored before it, and
//! whatever came of it, nothing is created again before Jira's search, which lags, has been asked for long enough
//! after the *last* sending.

use std::time::Duration;

use tokio::sync::Mutex;

use super::{
    duplicates,
    effect::{CommandResult, Failure},
};
use crate::{
    gate::{GateId, Home, Ticket},
    jira::{self, SideEffect, retry},
    millis::Millis,
    rollout::{Canary, Command, Subject},
    store::{self, OutboxRow, WriteTx},
    ticket,
    worker::{
        context::{Context, CycleOutcome},
        lookups::Lookups,
        statuses::resolve,
    },
};

/// How often Jira's search is asked for a ticket that may have been created.
const SEARCH_EVERY: Duration = Duration::from_secs(15);
/// A create goes out within this after its sending was recorded, or not at all.
const SENT_WITHIN: Duration = Duration::from_secs(5);

/// What opening a ticket takes.
pub(super) struct Create<'a> {
    pub(super) context: &'a Context,
    pub(super) lookups: &'a Lookups,
    /// One turn of the outbox at a time.
    pub(super) writing: &'a Mutex<()>,
}

impl Create<'_> {
    /// Opens a ticket, or finds the one that was opened before. What is settled then is `row` as it was claimed here.
    pub(super) async fn perform(&self, row: &mut OutboxRow) -> Result<CommandResult, Failure> {
        let Command::Open { gate, subject, sent_to } = row.command.clone() else {
            return Ok(CommandResult::Done);
        };
        let waits = self.waits_for_ticket(row, &gate).await?;
        if let Some(why) = self.context.store().unreadable_why(&row.canary) {
            return Ok(self.put_off(row, why));
        }
        if !waits && row.sent.is_none() {
            // The rollout ended before its ticket was opened: now it is not needed.
            return Ok(CommandResult::Done);
        }
        if let Some(sent) = row.sent {
            match self.search(&gate, &sent_to, sent).await? {
                Some(effect) => return Ok(effect),
                None if !waits => return Ok(CommandResult::Done),
                None => {}
            }
        }
        let draft = self.prepare(gate, &subject).await?;
        self.create(row, draft).await
    }

    /// Whether the gate lives and has no ticket. The row may be newer than memory, which then has to catch up first.
    async fn waits_for_ticket(&self, row: &OutboxRow, gate: &GateId) -> Result<bool, store::Error> {
        let store = self.context.store();
        let waits = || store.canary(&row.canary).is_some_and(|canary| waits(&canary, gate));
        if !waits() {
            store.catch_up().await?;
        }
        Ok(waits())
    }

    async fn prepare(&self, gate: GateId, subject: &Subject) -> Result<jira::Draft, Failure> {
        let route = self.context.gatekeeper.route(&subject.canary, &subject.gate);
        let settings = &route.ticket;
        let page = self.context.gatekeeper.links().status_page.as_deref();
        let words = ticket::draft(subject, route, page)
            .map_err(|error| Failure::Stuck(format!("{}: {}", error.key, error.what)))?;
        let fields = serde_json::to_value(&words.fields)
            .map_err(|error| Failure::Stuck(format!("{}: {error}", route.key_of("fields"))))?;
        // Its statuses are those that count for this ticket.
        let workflow = self.lookups.workflow_to_open(&settings.project, &settings.issue_type).await?;
        // Known before the first decision is looked at, so that this takes one request.
        self.context.jira.account().await?;
        // A ticket that could not be approved is not opened.
        resolve(route, &workflow).map_err(Failure::Stuck)?;
        Ok(jira::Draft {
            gate,
            project: settings.project.clone(),
            issue_type: workflow.issue_type_id,
            summary: words.summary,
            description: words.description,
            labels: settings.labels.clone(),
            fields: fields.as_object().cloned().unwrap_or_default(),
        })
    }

    /// What an earlier attempt came to, if the search tells: it created a ticket that is certainly ours, or may still have.
    async fn search(
        &self,
        gate: &GateId,
        sent_to: &[Home],
        sent: Millis,
    ) -> Result<Option<CommandResult>, Failure> {
        let asked = self.context.clock.now();
        let mut others = duplicates::newly_found(self.context, gate).await?;
        if !others.is_empty() {
            let Ticket { id, key, project, issue_type } = others.remove(0);
            let found = Home { project, issue_type };
            // Elsewhere than where it was sent to, a person has moved it already.
            let home = sent_to.iter().find(|home| **home == found).or(sent_to.last());
            let ticket = ticket(home.unwrap_or(&found).clone(), id, key);
            return Ok(Some(CommandResult::Opened { ticket, others }));
        }
        if asked.since(sent) <= self.context.config().jira.index_lag + SENT_WITHIN {
            let why = "Jira did not answer when the ticket was opened; it is searched for".into();
            let at = self.context.clock.now() + SEARCH_EVERY.min(self.context.config().jira.index_lag);
            return Ok(Some(CommandResult::Later { at, why }));
        }
        Ok(None)
    }

    /// Sends it. The time of sending is stored first, and the row that tells of it is what is settled then.
    async fn create(&self, row: &mut OutboxRow, draft: jira::Draft) -> Result<CommandResult, Failure> {
        let Context { jira, clock, lease, .. } = self.context;
        let home = Home { project: draft.project.clone(), issue_type: draft.issue_type.clone() };
        // The place under the rate limit comes first: what is stored must be the time of sending, not of queueing.
        let slot = jira.create_permit().await;
        let writing = self.writing.lock().await;
        let tx = self.context.begin_if_leading().await?;
        let (now, recorded) = (clock.now(), clock.stopwatch());
        let mut tx = tx.ok_or(Failure::Aborted(CycleOutcome::Standby))?;
        let canary = match tx.canary(&row.canary).await {
            Ok(canary) => canary,
            Err(error @ store::Error::Corrupt { .. }) => return Ok(self.put_off(row, error.to_string())),
            Err(error) => return Err(error.into()),
        };
        if !waits(&canary, &draft.gate) {
            // The rollout ended while the request waited; the next step finds that out, if memory does.
            drop(tx);
            self.context.store().catch_up().await?;
            return Err(Failure::Aborted(CycleOutcome::Done));
        }
        let claimed = tx.claim(row.id, Some(now)).await?;
        // If it was sent meanwhile the next step searches first.
        let claimed = claimed.filter(|claimed| claimed.sent == row.sent);
        *row = claimed.ok_or(Failure::Aborted(CycleOutcome::Done))?;
        address(&mut tx, row.clone(), home.clone(), now).await?;
        tx.end().await?;
        drop(writing);
        let (lease, term) = (lease.clone(), lease.term());
        let permit = move || lease.holds(term) && recorded.elapsed() < SENT_WITHIN;
        match jira::fenced(permit, jira.create(slot, &draft)).await {
            Ok(created) => {
                let ticket = ticket(home, created.id, created.key);
                Ok(CommandResult::Opened { ticket, others: vec![] })
            }
            Err(error) => match error.side_effect() {
                SideEffect::Unknown => {
                    // Next it is searched for, and soon: how often an earlier sending was is no reason to wait.
                    row.attempts = 0;
                    Ok(CommandResult::Failed { error, sent: Some(now) })
                }
                // This sending came to nothing, but an earlier one may still have.
                SideEffect::None => Err(error.into()),
            },
        }
    }

    /// Whether the gate lives cannot be told, as its canary's row cannot be read: nothing is opened, and nothing is
    /// dropped, until the row is mended.
    fn put_off(&self, row: &OutboxRow, why: String) -> CommandResult {
        let at = self.context.clock.now() + retry::delay(row.attempts, None, rand::random::<f64>());
        CommandResult::Later { at, why }
    }
}

/// Stores where the ticket is about to be opened; and if it may have been opened already, that it is to be looked for a
/// second one afterwards.
async fn address(tx: &mut WriteTx, mut row: OutboxRow, home: Home, now: Millis) -> Result<(), store::Error> {
    let Command::Open { gate, subject, sent_to } = &mut row.command else { return Ok(()) };
    let later = duplicates::look_again_later(gate, subject, now);
    if !sent_to.contains(&home) {
        sent_to.push(home);
    }
    tx.reword(&row, &row.command).await?;
    if row.sent.is_some() {
        tx.enqueue(&row.canary, &later, now).await?;
    }
    Ok(())
}

fn waits(canary: &Canary, gate: &GateId) -> bool {
    canary.gate_by_id(gate).is_some_and(|gate| gate.ticket().is_none())
}

fn ticket(home: Home, id: String, key: String) -> Ticket {
    Ticket { id, key, project: home.project, issue_type: home.issue_type }
}
