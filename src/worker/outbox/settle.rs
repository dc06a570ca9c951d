//! Stores what became of a command, and what that means for its gate.

use std::time::Duration;

use tokio::sync::Mutex;

use super::{duplicates, in_flight::Work, parked::ParkedLog, result::CommandResult};
use crate::{
    gate::Ticket,
    gatekeeper::Applied,
    jira::{self, Retry},
    millis::Millis,
    rollout::{AuditEvent, Command, Event, Notice},
    store::{self, AttemptOutcome, OutboxRow, TicketRecord, WriteTx},
    worker::{
        context::{Context, StepOutcome},
        failures::delay,
        lookups::Lookups,
        poll_queue::PollQueue,
        statuses::known_statuses,
    },
};

/// The retry delay of a command that failed because of the credentials; the client itself asks Jira no more often.
const CREDENTIALS_RETRY: Duration = Duration::from_secs(15);

/// What settling a command needs.
pub(super) struct Settle<'a> {
    pub(super) context: &'a Context,
    pub(super) lookups: &'a Lookups,
    pub(super) queue: &'a PollQueue,
    pub(super) parked: &'a ParkedLog,
    /// Lets one command of the outbox at a time write to the database.
    pub(super) writing: &'a Mutex<()>,
}

impl Settle<'_> {
    /// Stores the result of a command, and what it means for the gate, in one transaction.
    pub(super) async fn settle(
        &self,
        row: &OutboxRow,
        result: CommandResult,
    ) -> Result<StepOutcome, store::Error> {
        let (now, how) = (self.context.clock.now(), self.attempt_outcome(row, &result));
        let retries = self.context.gatekeeper.retries();
        if how == AttemptOutcome::Done {
            self.lookups.done(row.id);
        }
        match &how {
            AttemptOutcome::Retry { .. } => retries.failed(row.id, now),
            AttemptOutcome::Done | AttemptOutcome::Later { .. } | AttemptOutcome::Parked { .. } => {
                retries.settled(row.id);
            }
        }
        let writing = self.writing.lock().await;
        let mut tx = self.context.store().begin_write().await?;
        let ticket = keep_found(&mut tx, row, &result, now).await?;
        let opened = ticket.is_some();
        if !tx.settle(row, &how, now).await? && !opened {
            // Another replica has taken it over, and settles it.
            return Ok(StepOutcome::Done);
        }
        let applied = self.apply_to_gate(&mut tx, row, &how, ticket, now).await?;
        self.store_consequences(&mut tx, row, result, &how, now).await?;
        tx.commit().await?;
        drop(writing);
        if let Some(applied) = applied {
            if opened && let Some(canary) = self.context.store().canary(&row.canary) {
                self.queue.opened(canary, row.command.gate().clone());
            }
            self.context.gatekeeper.announce(&applied, now);
        }
        self.parked.log(self.context.store(), row, &how).await?;
        Ok(StepOutcome::of(&how))
    }

    /// What happens to a command after an attempt.
    fn attempt_outcome(&self, row: &OutboxRow, result: &CommandResult) -> AttemptOutcome {
        let sent = row.unknown_since;
        match result {
            CommandResult::Done
            | CommandResult::Opened { .. }
            | CommandResult::DuplicatesSearched { again: None, .. }
            | CommandResult::Ended(_)
            | CommandResult::CommentInstead(_)
            | CommandResult::Deleted => AttemptOutcome::Done,
            CommandResult::DuplicatesSearched { again: Some((at, why)), .. }
            | CommandResult::Later { at, why } => AttemptOutcome::Later { at: *at, why: why.clone(), sent },
            CommandResult::Retry { at, why } => AttemptOutcome::Retry { at: *at, why: why.clone(), sent },
            CommandResult::MaybeTaken { at, why } => AttemptOutcome::Retry {
                at: *at,
                why: format!("{why}; it may be there, so it is sent once more"),
                sent: Some(self.context.clock.now()),
            },
            CommandResult::Missing { at, .. } => {
                let why =
                    "Jira does not show the ticket; if that stays so for jira.trust_for, it was deleted"
                        .into();
                AttemptOutcome::Retry { at: *at, why, sent }
            }
            CommandResult::Stuck { why } => AttemptOutcome::Parked { why: why.clone(), sent },
            CommandResult::Failed { error, sent } => {
                let why = self.context.explain(error);
                let wait = match error.retry() {
                    Retry::Never => return AttemptOutcome::Parked { why, sent: *sent },
                    Retry::Backoff if matches!(error, jira::Error::Unauthorized { .. }) => CREDENTIALS_RETRY,
                    Retry::Now | Retry::NotBefore(_) | Retry::Backoff => {
                        delay(error, row.attempts, Duration::MAX)
                    }
                };
                AttemptOutcome::Retry { at: self.context.clock.now() + wait, why, sent: *sent }
            }
        }
    }

    /// Applies the result of opening a ticket to its gate; `ticket` is the ticket that the gate has now.
    async fn apply_to_gate(
        &self,
        tx: &mut WriteTx,
        row: &OutboxRow,
        how: &AttemptOutcome,
        ticket: Option<Ticket>,
        now: Millis,
    ) -> Result<Option<Applied>, store::Error> {
        let gatekeeper = &self.context.gatekeeper;
        let Command::Open { gate, subject, shows, .. } = &row.command else { return Ok(None) };
        let event = match (how, ticket.clone()) {
            (AttemptOutcome::Done, None) => return Ok(None),
            (AttemptOutcome::Done, Some(ticket)) => {
                let route = gatekeeper.route(&row.canary, &subject.gate);
                let statuses = known_statuses(self.lookups, route, &ticket);
                // If it was sent before, it may show the settings of another process.
                let shows = match row.unknown_since {
                    None => Some(gatekeeper.validity(&row.canary, &subject.gate, None, now).into()),
                    Some(_) => *shows,
                };
                Event::Opened { gate, ticket, statuses, shows }
            }
            (
                AttemptOutcome::Later { why, .. }
                | AttemptOutcome::Retry { why, .. }
                | AttemptOutcome::Parked { why, .. },
                _,
            ) => Event::NotOpened { gate, why: why.clone() },
        };
        let applied = match gatekeeper.apply(tx, &row.canary, &event, now).await {
            Ok(applied) => applied,
            Err(error @ store::Error::Corrupt { .. }) => {
                // The command is settled anyway, and its ticket is stored.
                tracing::debug!("{error}; what became of a command is not applied");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let Some(ticket) = ticket.filter(|_| applied.audit_events.is_empty()) else {
            return Ok(Some(applied));
        };
        // Its rollout has ended: a comment says so, and the ticket is still recorded.
        let audit_event = AuditEvent::TicketOpened { gate: subject.gate.clone(), ticket };
        let mut canary = applied.canary;
        if subject.bypass.is_some() {
            // It belongs to none.
            canary.rollout = None;
        }
        gatekeeper.record_only(tx, canary, audit_event, now).await.map(Some)
    }

    /// Stores what follows from a result: in the row of its ticket, and as further commands.
    async fn store_consequences(
        &self,
        tx: &mut WriteTx,
        row: &OutboxRow,
        result: CommandResult,
        how: &AttemptOutcome,
        now: Millis,
    ) -> Result<(), store::Error> {
        let gate = row.command.gate();
        match (&row.command, how) {
            (Command::Open { gate, subject, .. }, AttemptOutcome::Done)
                if matches!(
                    result,
                    CommandResult::Done
                        | CommandResult::Opened { ticket: Ticket { taken_at: Some(_), .. }, .. }
                ) && let Some(since) = row.unknown_since =>
            {
                // Jira may still show a ticket later that is not needed any more.
                tx.enqueue(&row.canary, &duplicates::search_later(gate, subject, since), now).await?;
            }
            (Command::Comment { notice: Notice::Progress { .. }, .. }, AttemptOutcome::Done) => {
                tx.delay_progress(gate, now).await?;
            }
            _ => {}
        }
        match result {
            CommandResult::Ended(at) => {
                tx.mark_ended(gate, at, now + self.context.slow_cycle()).await?;
                tx.set_missing_since(gate, None).await?;
            }
            CommandResult::Missing { since, .. } => tx.set_missing_since(gate, Some(since)).await?,
            CommandResult::CommentInstead(notice) => {
                tx.enqueue(&row.canary, &Command::Comment { gate: gate.clone(), notice }, now).await?;
                tx.set_missing_since(gate, None).await?;
            }
            // Jira showed the ticket, or did not prove that it is missing: the count of `jira.trust_for` starts again.
            CommandResult::Done | CommandResult::Stuck { .. } if Work::of(&row.command) == Work::Update => {
                tx.set_missing_since(gate, None).await?
            }
            CommandResult::Done
            | CommandResult::Opened { .. }
            | CommandResult::DuplicatesSearched { .. }
            | CommandResult::Failed { .. }
            | CommandResult::Later { .. }
            | CommandResult::MaybeTaken { .. }
            | CommandResult::Retry { .. }
            | CommandResult::Stuck { .. }
            | CommandResult::Deleted => {}
        }
        Ok(())
    }
}

/// Stores the tickets that were found or opened, and returns the one that counts, if there is one now.
async fn keep_found(
    tx: &mut WriteTx,
    row: &OutboxRow,
    result: &CommandResult,
    now: Millis,
) -> Result<Option<Ticket>, store::Error> {
    let canary = &row.canary;
    match (&row.command, result) {
        (Command::Open { gate, subject, .. }, CommandResult::Opened { ticket, others }) => {
            tx.store_ticket(&TicketRecord::new(canary, gate, &subject.gate, ticket)).await?;
            duplicates::close(tx, canary, (gate, &subject.gate), Some(ticket), others, now).await?;
            Ok(Some(ticket.clone()))
        }
        (
            Command::FindDuplicates { gate, name, .. },
            CommandResult::DuplicatesSearched { counts, found, .. },
        ) => {
            duplicates::close(tx, canary, (gate, name), counts.as_ref(), found, now).await?;
            Ok(None)
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Arc};

    use super::*;
    use crate::{
        gate::GateId,
        rollout::CanaryId,
        store::Take,
        worker::judge::tests::{BOTH, Site},
    };

    /// Jira refused a ticket without saying why, and its rollout ended before the next attempt: nothing is kept of it.
    #[tokio::test]
    async fn a_command_that_is_done_is_forgotten() {
        let site = Site::start(BOTH[0]).await;
        let (context, lookups) = (&*site.context, &site.lookups);
        let canary = CanaryId { cluster: "default".into(), namespace: "shop".into(), name: "cart".into() };
        let mut tx = context.store().begin_write().await.unwrap();
        tx.enqueue(&canary, &Command::Label { gate: GateId("g".into()) }, Millis(1)).await.unwrap();
        tx.commit().await.unwrap();
        let now = context.clock.now();
        let due = context.store().due_commands(Take::Others, now, &HashSet::new(), 1).await.unwrap();
        let row = due.into_iter().next().unwrap().1.unwrap();
        lookups.try_without_assignee(row.id);
        let (queue, parked, writing) =
            (PollQueue::new(Arc::clone(&site.context)), ParkedLog::default(), Mutex::default());
        let settle = Settle { context, lookups, queue: &queue, parked: &parked, writing: &writing };
        let again = CommandResult::Later { at: now, why: "why".into() };
        assert_eq!(settle.settle(&row, again).await.unwrap(), StepOutcome::Later { why: "why".into() });
        assert!(lookups.is_without_assignee(row.id));
        let row = OutboxRow { attempts: 1, stored_attempts: 1, ..row };
        assert_eq!(settle.settle(&row, CommandResult::Done).await.unwrap(), StepOutcome::Done);
        assert!(!lookups.is_without_assignee(row.id));
    }
}
