//! Reading tickets: the only way in which decisions arrive, whether a timer or a webhook asked for it.

use std::{collections::HashSet, sync::Arc};

use super::{
    context::{Context, StepOutcome},
    failures::Failures,
    lookups::Lookups,
    poll_queue::{DueTicket, PollQueue},
    read_health::{ReadHealth, ReadTrigger},
};
use crate::{
    gate::GateId,
    jira,
    millis::Millis,
    rollout::{Change, Event, TOLD_AFTER},
    store::{self, Nudge, TicketRecord},
};

mod interpret;
mod round;
mod seen;

use round::{ReadMode, Round, RoundFindings, RoundStart};
use seen::SeenTicket;

/// Reads tickets.
pub(super) struct Poll {
    context: Arc<Context>,
    lookups: Arc<Lookups>,
    queue: Arc<PollQueue>,
    health: ReadHealth,
}

impl Poll {
    pub(super) fn new(context: Arc<Context>, lookups: Arc<Lookups>, queue: Arc<PollQueue>) -> Self {
        let health = ReadHealth::new(Arc::clone(&context));
        Self { context, lookups, queue, health }
    }

    /// Reads tickets again with the next step, whatever failed before.
    pub(super) fn retry_now(&self) {
        self.health.retry_now();
    }

    /// Reads the tickets that webhooks reported as moved, ahead of all other requests to Jira.
    pub(super) async fn read_nudged(&self) -> Result<StepOutcome, store::Error> {
        let started = self.begin(ReadTrigger::Nudge);
        self.queue.nudges_done();
        self.context.gatekeeper.store_late_nudges(started.at).await?;
        if let Some(idle) = self.idle_outcome(started) {
            return Ok(idle);
        }
        let nudges = self.context.store().nudges().await?;
        if nudges.is_empty() {
            return Ok(StepOutcome::Idle);
        }
        let ended = self.ended_nudges().await?;
        let living: Vec<_> = nudges
            .into_iter()
            .filter(|nudge| !ended.iter().any(|(_, ended)| ended.ticket == nudge.ticket))
            .collect();
        let due = self.queue.nudged(&living, started.at);
        // No index is up to date about a recent move.
        let how = if self.context.jira.reads_an_index() { ReadMode::Alone } else { ReadMode::Together };
        let looked = jira::urgently(self.read_and_apply(&due, how, &living, started)).await;
        self.queue.nudges_done();
        if due.is_empty() { looked.map(|_| StepOutcome::Idle) } else { looked }
    }

    /// The nudged tickets of ended rollouts that had no late move answered yet.
    pub(super) async fn ended_nudges(&self) -> Result<Vec<(TicketRecord, Nudge)>, store::Error> {
        let store = self.context.store();
        let mut ended = Vec::new();
        for (nudge, opened) in store.ended_nudges().await? {
            if store.gate_by_ticket(&nudge.ticket).is_some() {
                continue;
            }
            match opened {
                Ok(opened) => ended.push((opened, nudge)),
                // Its nudge is acknowledged: a row that cannot be read must not delay live tickets.
                Err(error) => tracing::error!(
                    issue = nudge.ticket,
                    "{error}; the ticket of an ended rollout was moved, and the bridge cannot comment that this opens nothing"
                ),
            }
        }
        Ok(ended)
    }

    /// Reads the tickets that are due: often those that Flagger asks about, and occasionally all others.
    pub(super) async fn read_due(&self) -> Result<StepOutcome, store::Error> {
        let started = self.begin(ReadTrigger::Poll);
        if let Some(idle) = self.idle_outcome(started) {
            return Ok(idle);
        }
        let due = self.queue.due(&self.health, started.at).await;
        if !due.is_empty() {
            return self.read_and_apply(&due, ReadMode::Together, &[], started).await;
        }
        let mut alone = self.queue.due_alone();
        if alone.is_empty() {
            alone.extend(self.queue.due_directly(&self.health, started.at));
        }
        if alone.is_empty() {
            Ok(StepOutcome::Idle)
        } else {
            self.read_and_apply(&alone, ReadMode::Alone, &[], started).await
        }
    }

    fn begin(&self, trigger: ReadTrigger) -> RoundStart {
        RoundStart { trigger, at: self.context.clock.now(), term: self.context.lease.term() }
    }

    /// The outcome of a round that reads nothing; `None` if it may read.
    fn idle_outcome(&self, started: RoundStart) -> Option<StepOutcome> {
        let idle = self.idle_reason(started.trigger, started.at)?;
        if idle == StepOutcome::Standby {
            // The next leader reads from a queue of its own.
            self.queue.clear();
        }
        Some(idle)
    }

    /// Why nothing is read now; `None` if reading may go on.
    pub(super) fn idle_reason(&self, trigger: ReadTrigger, now: Millis) -> Option<StepOutcome> {
        if !self.context.lease.leads() {
            return Some(StepOutcome::Standby);
        }
        self.health.is_paused(trigger, now).then_some(StepOutcome::Idle)
    }

    /// Reads tickets, and applies the readings. One request serves a hundred tickets.
    async fn read_and_apply(
        &self,
        due: &[DueTicket],
        how: ReadMode,
        nudges: &[Nudge],
        started: RoundStart,
    ) -> Result<StepOutcome, store::Error> {
        let (context, health, lookups) = (&*self.context, &self.health, self.lookups.round());
        let mut round = Round { context, health, lookups, due, started, findings: RoundFindings::default() };
        let seen = match round.see(how).await {
            Ok(seen) => seen,
            Err(error) => return Ok(self.round_failed(&error, started)),
        };
        let RoundFindings { deferred, backing_off, mut unread, not_judged, fruitless, .. } = round.findings;
        let tickets = seen.len();
        let (deferred, done): (Vec<&DueTicket>, Vec<&DueTicket>) =
            due.iter().partition(|due| deferred.contains(&due.gate));
        match started.trigger {
            ReadTrigger::Nudge => seen.iter().for_each(|seen| self.queue.nudge_read(seen.gate())),
            ReadTrigger::Poll => deferred.iter().for_each(|due| self.queue.queue_alone(due, started.at)),
        }
        let fruitless = fruitless.filter(|_| tickets == 0 && started.trigger == ReadTrigger::Nudge);
        let Some(changed) = self.apply(&seen, &done, nudges, started).await? else {
            // Another replica is the leader now; these readings do not count.
            if self.context.lease.term() == started.term {
                self.context.lease.invalidate();
            }
            return Ok(StepOutcome::Standby);
        };
        self.mark_read(&seen, &done, started);
        if !done.is_empty() {
            self.round_worked(fruitless, started);
        }
        if !due.is_empty() {
            let counts = done
                .iter()
                .filter(|due| !self.is_superseded(started, &due.gate) && !backing_off.contains(&due.gate));
            let gates = counts.map(|due| (&due.gate, unread.remove(&due.ticket.id)));
            self.context.gatekeeper.unread_tickets().read(gates, started.at);
            let not_judged =
                done.iter().filter_map(|due| Some((*due, not_judged.get(&due.ticket.id)?.as_str())));
            self.comment_not_judged(not_judged, started).await?;
        }
        Ok(StepOutcome::Read { tickets, changed })
    }

    /// Comments on tickets that may be decided, each by this changelog entry, and could not be judged for some time.
    async fn comment_not_judged<'d>(
        &self,
        due: impl Iterator<Item = (&'d DueTicket, &'d str)>,
        started: RoundStart,
    ) -> Result<(), store::Error> {
        let gatekeeper = &self.context.gatekeeper;
        for (due, entry) in due {
            let Some((since, why)) = gatekeeper.unread_tickets().since(&due.gate) else { continue };
            let event = Event::NotJudged { gate: &due.gate, why: &why, entry };
            let Some(canary) = self.context.store().canary(&due.canary.id) else { continue };
            let is_news = || gatekeeper.preview(&canary, &event, started.at) != Change::Unchanged;
            if started.at.since(since) < TOLD_AFTER || !is_news() {
                continue;
            }
            let Some(mut tx) = self.context.begin_if_leading().await? else { return Ok(()) };
            match gatekeeper.apply(&mut tx, &canary.id, &event, started.at).await {
                Ok(_) => tx.commit().await?,
                // The store has logged that, and the canary's gates are closed.
                Err(store::Error::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn round_failed(&self, error: &jira::Error, started: RoundStart) -> StepOutcome {
        if self.health.failed(started.trigger, error, started.at) {
            tracing::warn!("{error}; approvals hold as last seen until jira.trust_for is over");
        }
        let why = self.context.explain(error);
        let next = self.health.resumes_at(started.trigger);
        self.context.gatekeeper.unread_tickets().all_failed(&why, started.at, next);
        StepOutcome::Later { why }
    }

    /// Applies the readings of these tickets, and returns how many tickets had changed. A reading without a change
    /// costs no write. `None` if another replica is the leader now.
    async fn apply(
        &self,
        seen: &[SeenTicket],
        due: &[&DueTicket],
        nudges: &[Nudge],
        started: RoundStart,
    ) -> Result<Option<usize>, store::Error> {
        let (now, gatekeeper, store) = (started.at, &self.context.gatekeeper, self.context.store());
        // A reading for a nudge is compared within the transaction: a polling round may be about to commit an older
        // one.
        let may_be_news =
            |seen: &&SeenTicket| started.trigger == ReadTrigger::Nudge || seen.is_news(&self.context);
        let news: Vec<&SeenTicket> = seen.iter().filter(may_be_news).collect();
        // A decision that closes a gate holds from now on, even if it cannot be stored.
        for seen in news.iter().filter(|seen| !self.is_superseded(started, seen.gate())) {
            gatekeeper.apply_reading(&seen.canary, seen.reading.clone());
        }
        let read: HashSet<&str> = due.iter().map(|due| due.ticket.id.as_str()).collect();
        let followed: Vec<&Nudge> = nudges
            .iter()
            .filter(|Nudge { ticket, .. }| {
                read.contains(ticket.as_str()) || store.gate_by_ticket(ticket).is_none()
            })
            .collect();
        let mut applied = Vec::new();
        if !news.is_empty() || !followed.is_empty() {
            let tx = self.context.begin_if_leading().await?;
            // Another replica has newer readings.
            let Some(mut tx) = tx.filter(|_| self.context.lease.term() == started.term) else {
                return Ok(None);
            };
            for seen in &news {
                // Checked within the transaction: a nudge that came since then applies its own reading later.
                if self.is_superseded(started, seen.gate()) {
                    continue;
                }
                match gatekeeper.apply(&mut tx, &seen.canary, &seen.reading.event(), now).await {
                    Ok(done) => applied.push(done),
                    // The store has logged that, and the canary's gates are closed.
                    Err(store::Error::Corrupt { .. }) => continue,
                    Err(error) => return Err(error),
                }
                let Some(limits) = seen.limits(&self.context) else { continue };
                let event = Event::Waited { gate: seen.gate(), limits, read: now };
                let waited = Box::pin(gatekeeper.apply(&mut tx, &seen.canary, &event, now));
                applied.push(waited.await?);
            }
            for nudge in followed {
                tx.ack_nudge(nudge).await?;
            }
            tx.commit().await?;
        }
        for applied in &applied {
            gatekeeper.announce(applied, now);
        }
        for seen in seen.iter().filter(|seen| !self.is_superseded(started, seen.gate())) {
            gatekeeper.reading_stored(seen.gate());
        }
        Ok(Some(applied.iter().filter(|applied| !applied.audit_events.is_empty()).count()))
    }

    /// Marks these tickets as read, until they are due again.
    fn mark_read(&self, seen: &[SeenTicket], due: &[&DueTicket], started: RoundStart) {
        for due in due {
            let is_over = match started.trigger {
                // Also for tickets that could not be interpreted.
                ReadTrigger::Poll => true,
                // A nudge works only once. A ticket that it did not show, or that could not be judged, must be read
                // no later than without the nudge.
                ReadTrigger::Nudge => seen.iter().any(|seen| seen.is_of(due) && seen.is_judged()),
            };
            if self.is_superseded(started, &due.gate) {
                self.queue.read_again_soon(due);
            } else if is_over {
                self.queue.was_read(&due.gate, started.at);
            }
        }
    }

    /// Jira answered. If no ticket could be read, `fruitless` is how often in a row that was so.
    fn round_worked(&self, fruitless: Option<Failures>, started: RoundStart) {
        if self.health.worked(started.trigger, fruitless) {
            tracing::info!("Jira answers again");
        }
        // Tickets that were read for nudges need no polling; but while polling fails, that is no successful poll.
        if fruitless.is_none() && self.health.polls_work() {
            self.context.metrics.poll_succeeded(started.at);
        }
    }

    /// Whether this round's reading of a gate's ticket must be discarded.
    fn is_superseded(&self, started: RoundStart, gate: &GateId) -> bool {
        match started.trigger {
            ReadTrigger::Nudge => false,
            ReadTrigger::Poll => self.queue.is_superseded(gate),
        }
    }
}
