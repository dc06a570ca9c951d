//! Applies an event to its canary: from memory if it changes nothing, otherwise in a transaction.

use std::{sync::Arc, time::Duration};

use super::{audit, handle::Gatekeeper, logging};
use crate::{
    gate::{GateId, GateName, TicketState, Validity},
    metrics::DecisionLabel,
    millis::Millis,
    policy::Milestone,
    rollout::{AuditEvent, Canary, CanaryId, Change, Command, Event, Observed, publish},
    store::{self, WriteTx},
};

/// What an event did to a canary, in a transaction that is not committed yet.
#[derive(Debug)]
#[must_use]
pub struct Applied {
    /// The canary after the event.
    pub canary: Canary,
    /// The events to announce once the transaction is committed.
    pub audit_events: Vec<AuditEvent>,
    /// The decisions that were seen for the first time, each with how long it took from Flagger's first question on.
    decisions: Vec<(DecisionLabel, Duration)>,
}

/// The gates without a ticket for which a question names another one than before.
fn gates_with_other_names<'a>(was: &'a Canary, is: &'a Canary) -> impl Iterator<Item = &'a GateId> {
    let gates = is.rollout.iter().flat_map(|rollout| &rollout.gates);
    gates
        .filter(|gate| was.gate_by_id(&gate.id).is_some_and(|was| was.names != gate.names))
        .map(|gate| &gate.id)
}

/// The decisions in events that were not seen before. A decision is read again and again, for instance after a change of
/// who may approve, so only one that is newer than every move seen before is new.
fn new_decisions(was: &Canary, is: &Canary, audit_events: &[AuditEvent]) -> Vec<(DecisionLabel, Duration)> {
    let new = |audit_event: &AuditEvent| {
        let AuditEvent::TicketSeen { gate, ticket_state, .. } = audit_event else { return None };
        let (label, decision) = match ticket_state {
            TicketState::Approved { decision, .. } | TicketState::JudgmentPending { decision, .. } => {
                (DecisionLabel::Approved, decision)
            }
            TicketState::Rejected { decision, .. } => (DecisionLabel::Rejected, decision),
            TicketState::Waiting { .. } | TicketState::NotAllowed { .. } | TicketState::Invalid { .. } => {
                return None;
            }
        };
        let seen = was.gate(gate).and_then(|gate| gate.newest_move);
        // Nobody waits for an approval of a gate that asks nobody.
        let is_asked = label == DecisionLabel::Rejected || !is.gate(gate)?.is_recorded();
        let is_new = is_asked && seen.is_none_or(|newest| newest < decision.changelog_entry.at);
        is_new.then_some((label, decision.since.since(is.gate(gate)?.asked_at)))
    };
    audit_events.iter().filter_map(new).collect()
}

impl Gatekeeper {
    /// Records an event that does not change the canary itself.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn record_only(
        &self,
        tx: &mut WriteTx,
        canary: Canary,
        audit_event: AuditEvent,
        now: Millis,
    ) -> Result<Applied, store::Error> {
        tx.audit(&[self.entry(&audit_event, &canary, &canary, &Observed::Unread, now)]).await?;
        Ok(Applied { canary, audit_events: vec![audit_event], decisions: Vec::new() })
    }

    /// Loads the canary, applies the event, saves and records the result, in a transaction that the caller commits.
    /// After that the caller has to call [`Gatekeeper::announce`].
    ///
    /// # Errors
    /// If the database fails, or the canary's row cannot be read.
    pub async fn apply(
        &self,
        tx: &mut WriteTx,
        id: &CanaryId,
        event: &Event<'_>,
        now: Millis,
    ) -> Result<Applied, store::Error> {
        let was = tx.canary(id).await?;
        match self.preview(&was, event, now) {
            Change::Unchanged => Ok(Applied { canary: was, audit_events: Vec::new(), decisions: Vec::new() }),
            Change::To { mut canary, mut commands, audit_events } => {
                commands.retain(|command| self.is_wanted(&canary.id, command));
                if self.publishes_events(&canary.id) {
                    commands.extend(publish(&audit_events, &was, now));
                }
                commands.extend(self.notify(&audit_events, &was, &mut canary, now));
                tx.save(&canary, &commands, now).await?;
                for gate in gates_with_other_names(&was, &canary) {
                    tx.retry_opening(gate, now).await?;
                }
                let entries: Vec<_> = audit_events
                    .iter()
                    .map(|audit_event| self.entry(audit_event, &was, &canary, event.observed(), now))
                    .collect();
                tx.audit(&entries).await?;
                let decisions = new_decisions(&was, &canary, &audit_events);
                Ok(Applied { canary, audit_events, decisions })
            }
        }
    }

    fn entry(
        &self,
        audit_event: &AuditEvent,
        was: &Canary,
        is: &Canary,
        observed: &Observed,
        now: Millis,
    ) -> store::audit::AuditEntry {
        let route = |gate: &GateName| self.route(&is.id, gate);
        let answer = |gate: &GateName| {
            let validity = Validity {
                target: observed.proof(gate.stage, is.gate(gate)),
                ..self.validity(&is.id, gate, is.gate(gate), now)
            };
            self.answer_with(is, gate, validity, observed, now).gate
        };
        audit::entry(audit_event, was, is, route, answer, now)
    }

    /// What an event would do to a canary.
    pub fn preview(&self, canary: &Canary, event: &Event<'_>, now: Millis) -> Change {
        let rules = match event {
            // The event knows the hours of the gate that it turns out to be about.
            Event::Asked { gate, .. } => self.rules_at_any_hour(&canary.id, gate),
            Event::Seen { gate, .. } | Event::NotJudged { gate, .. } => match canary.gate_by_id(gate) {
                Some(gate) => self.rules(&canary.id, &gate.name, Some(gate), now),
                None => return Change::Unchanged,
            },
            // These open no gate, so the validity of approvals does not matter.
            Event::RollbackAsked { .. }
            | Event::Reported { .. }
            | Event::Opened { .. }
            | Event::NotOpened { .. }
            | Event::CanaryRead { .. }
            | Event::Promoted { .. }
            | Event::Waited { .. }
            | Event::TimePassed { .. } => self.rules_of_no_gate(&canary.id),
        };
        canary.apply(event, now, &rules)
    }

    /// Whether the configuration asks for this command.
    fn is_wanted(&self, id: &CanaryId, command: &Command) -> bool {
        match command {
            Command::Move { name, milestone: Milestone::TimedOut, .. } => {
                !self.route(id, name).ticket.rejected.is_empty()
            }
            Command::Move { name, milestone, .. } => {
                self.route(id, name).ticket.transitions.target(*milestone).is_some()
            }
            Command::Open { .. }
            | Command::FindDuplicates { .. }
            | Command::Comment { .. }
            | Command::Label { .. }
            | Command::Link { .. }
            | Command::Publish { .. }
            | Command::Notify { .. } => true,
        }
    }

    /// Whether Events are published on this Canary.
    #[must_use]
    pub fn publishes_events(&self, id: &CanaryId) -> bool {
        self.config.kubernetes.events && self.clusters.includes(&id.cluster)
    }

    /// Logs and counts what was committed, and wakes the worker.
    pub fn announce(&self, applied: &Applied, now: Millis) {
        for audit_event in &applied.audit_events {
            logging::log_event(&applied.canary.id, audit_event, &self.metrics, now);
        }
        for (decision, took) in &applied.decisions {
            self.metrics.decided(*decision, *took);
        }
        if !applied.audit_events.is_empty() {
            self.work.send_replace(());
        }
    }

    /// Applies a message of Flagger: from memory if it changes nothing, otherwise in a transaction, which decides
    /// again by the stored state. Returns the canary after that, and what was recorded.
    pub(super) async fn apply_message<'a>(
        &self,
        id: &CanaryId,
        last_message: Option<Millis>,
        now: Millis,
        event: impl Fn(&Canary, Duration) -> Event<'a> + Send + Sync,
    ) -> Result<(Arc<Canary>, Vec<AuditEvent>), store::Error> {
        self.store.catch_up_by(now).await?;
        let (known, is_readable) = match self.store.canary(id) {
            Some(known) => (self.unsaved_readings.as_read(known), true),
            // If the row cannot be read, the cache has nothing; the transaction returns the reason.
            None => (Arc::new(Canary::new(id.clone())), self.store.unreadable_reason(id).is_none()),
        };
        let change = self.preview(&known, &event(&known, silent_for(last_message, now)), now);
        if matches!(change, Change::Unchanged) && is_readable {
            return Ok((known, Vec::new()));
        }
        // Boxed to keep the future of a repeated question small.
        Box::pin(self.apply_in_transaction(id, last_message, now, event)).await
    }

    async fn apply_in_transaction<'a>(
        &self,
        id: &CanaryId,
        last_message: Option<Millis>,
        now: Millis,
        event: impl Fn(&Canary, Duration) -> Event<'a> + Send + Sync,
    ) -> Result<(Arc<Canary>, Vec<AuditEvent>), store::Error> {
        let mut tx = self.store.begin_write().await?;
        // The limits count the gates of all replicas, as of this transaction.
        tx.catch_up().await?;
        // Another replica may have received a message about it more recently.
        let last_message = tx.last_message(id).await?.max(last_message);
        let silent_for = silent_for(last_message, now);
        let stored = tx.canary(id).await?;
        // First stores earlier readings that could not be stored, because the event is decided on top of them.
        let (mut read, unsaved) = (Vec::new(), self.unsaved_readings.readings(&stored));
        for reading in &unsaved {
            read.push(self.apply(&mut tx, id, &reading.event(), reading.at).await?);
        }
        let known = read.last().map_or(&stored, |applied| &applied.canary);
        let event = event(known, silent_for);
        let applied = self.apply(&mut tx, id, &event, now).await?;
        if stored == Canary::new(id.clone())
            && applied.canary.rollout.as_ref().is_some_and(|it| it.gates.is_empty())
        {
            // Beyond the limits, no row is stored for an unknown canary.
            return Ok((Arc::new(stored), Vec::new()));
        }
        if !read.is_empty() || !applied.audit_events.is_empty() || applied.canary != stored {
            // Stores the time of the message in the same write: after a crash Flagger must not seem to have been
            // silent.
            if !event.is_of_canary() {
                tx.store_last_message(id, now).await?;
            }
            tx.commit().await?;
        }
        for (applied, reading) in read.iter().zip(&unsaved) {
            self.reading_stored(&reading.gate);
            self.announce(applied, now);
        }
        self.announce(&applied, now);
        Ok((Arc::new(applied.canary), applied.audit_events))
    }
}

/// How long before `now` the last message was received.
pub(super) fn silent_for(last_message: Option<Millis>, now: Millis) -> Duration {
    last_message.map_or(Duration::ZERO, |at| now.since(at))
}
