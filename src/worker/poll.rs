//! Reading tickets: the one way in which a decision comes in, whether the clock or a webhook asked for it.

use std::{collections::HashSet, sync::Arc};

use super::{
    context::{Context, Outcome},
    failures::Failures,
    lookups::Lookups,
    poll_queue::{Due, PollQueue},
    read_health::{ReadHealth, Why},
};
use crate::{
    gate::GateId,
    jira,
    millis::Millis,
    store::{self, Nudge, Opened},
};

mod round;
mod seen;
mod understand;

use round::{Begun, Found, How, Round};
use seen::Seen;

/// The room of reading tickets.
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

    /// Reads the tickets that were moved, as their webhooks say, ahead of all else that waits for Jira.
    pub(super) async fn read_nudged(&self) -> Result<Outcome, store::Error> {
        let begun = self.begin(Why::Nudged);
        self.queue.nudges_done();
        self.context.gatekeeper.store_late_nudges(begun.at).await?;
        if let Some(rests) = self.rests(begun.why, begun.at) {
            return Ok(rests);
        }
        let nudges = self.context.store().nudges().await?;
        if nudges.is_empty() {
            return Ok(Outcome::Idle);
        }
        let dead = self.dead_nudges().await?;
        let living: Vec<_> = nudges
            .into_iter()
            .filter(|nudge| !dead.iter().any(|(_, dead)| dead.ticket == nudge.ticket))
            .collect();
        let due = self.queue.nudged(&living, begun.at);
        // What was moved a moment ago is behind in every index.
        let how = if self.context.jira.reads_an_index() { How::Alone } else { How::Together };
        let looked = jira::urgently(self.look(&due, how, &living, begun)).await;
        self.queue.nudges_done();
        if due.is_empty() { looked.map(|_| Outcome::Idle) } else { looked }
    }

    /// The nudged tickets whose rollout is over and that were not answered yet.
    pub(super) async fn dead_nudges(&self) -> Result<Vec<(Opened, Nudge)>, store::Error> {
        let store = self.context.store();
        let mut dead = Vec::new();
        for (nudge, opened) in store.dead_nudges().await? {
            if store.gate_of(&nudge.ticket).is_some() {
                continue;
            }
            match opened {
                Ok(opened) => dead.push((opened, nudge)),
                // Its nudge is done with: a row that cannot be read must not keep live tickets waiting.
                Err(error) => tracing::error!(
                    issue = nudge.ticket,
                    "{error}; a dead ticket was moved, and is not told that it opens nothing"
                ),
            }
        }
        Ok(dead)
    }

    /// Reads the tickets that are due: those Flagger asks about, and now and then all others.
    pub(super) async fn read_due(&self) -> Result<Outcome, store::Error> {
        let begun = self.begin(Why::Polled);
        if let Some(rests) = self.rests(begun.why, begun.at) {
            return Ok(rests);
        }
        let due = self.queue.due(&self.health, begun.at).await;
        if !due.is_empty() {
            return self.look(&due, How::Together, &[], begun).await;
        }
        let mut alone = self.queue.due_alone();
        if alone.is_empty() {
            alone.extend(self.queue.due_directly(&self.health, begun.at));
        }
        if alone.is_empty() { Ok(Outcome::Idle) } else { self.look(&alone, How::Alone, &[], begun).await }
    }

    fn begin(&self, why: Why) -> Begun {
        Begun { why, at: self.context.clock.now(), term: self.context.lease.term() }
    }

    /// Why nothing is read now, if that is so.
    pub(super) fn rests(&self, why: Why, now: Millis) -> Option<Outcome> {
        if !self.context.lease.leads() {
            self.queue.clear();
            return Some(Outcome::Standby);
        }
        self.health.rests(why, now).then_some(Outcome::Idle)
    }

    /// Reads tickets, and applies what they show. One request serves a hundred.
    async fn look(
        &self,
        due: &[Due],
        how: How,
        nudges: &[Nudge],
        begun: Begun,
    ) -> Result<Outcome, store::Error> {
        let (context, health, lookups) = (&*self.context, &self.health, self.lookups.round());
        let mut round = Round { context, health, lookups, due, begun, found: Found::default() };
        let seen = match round.see(how).await {
            Ok(seen) => seen,
            Err(error) => return Ok(self.did_not_see(&error, begun)),
        };
        let Found { later, resting, mut unread, vain, .. } = round.found;
        let tickets = seen.len();
        let (later, done): (Vec<&Due>, Vec<&Due>) = due.iter().partition(|due| later.contains(&due.gate));
        match begun.why {
            Why::Nudged => seen.iter().for_each(|seen| self.queue.nudge_saw(seen.gate())),
            Why::Polled => later.iter().for_each(|due| self.queue.alone(due, begun.at)),
        }
        let vain = vain.filter(|_| tickets == 0 && begun.why == Why::Nudged);
        let Some(changed) = self.apply(&seen, &done, nudges, begun).await? else {
            // What it saw is another replica's business now.
            if self.context.lease.term() == begun.term {
                self.context.lease.doubt();
            }
            return Ok(Outcome::Standby);
        };
        self.is_over(&seen, &done, begun);
        if !done.is_empty() {
            self.worked(vain, begun);
        }
        if !due.is_empty() {
            let counts =
                done.iter().filter(|due| !self.yields(begun, &due.gate) && !resting.contains(&due.gate));
            let gates = counts.map(|due| (&due.gate, unread.remove(&due.ticket.id)));
            self.context.gatekeeper.unread().read(gates, begun.at);
        }
        Ok(Outcome::Looked { tickets, changed })
    }

    fn did_not_see(&self, error: &jira::Error, begun: Begun) -> Outcome {
        if self.health.failed(begun.why, error, begun.at) {
            tracing::warn!("{error}; approvals hold as last seen until jira.trust_for is over");
        }
        let why = self.context.explain(error);
        self.context.gatekeeper.unread().none(&why, begun.at);
        Outcome::Postponed { why }
    }

    /// Applies what was seen of these tickets, and returns how many had changed. What is no news costs no write. `None` if
    /// another replica reads tickets by now.
    async fn apply(
        &self,
        seen: &[Seen],
        due: &[&Due],
        nudges: &[Nudge],
        begun: Begun,
    ) -> Result<Option<usize>, store::Error> {
        let (now, gatekeeper, store) = (begun.at, &self.context.gatekeeper, self.context.store());
        // A reading for a nudge is compared within the turn: a round may be about to commit what it read before.
        let may_be_news = |seen: &&Seen| begun.why == Why::Nudged || seen.is_news(&self.context);
        let news: Vec<&Seen> = seen.iter().filter(may_be_news).collect();
        // What closes a gate does so now, also if it cannot be stored.
        for seen in news.iter().filter(|seen| !self.yields(begun, seen.gate())) {
            gatekeeper.was_read(&seen.canary, seen.reading.clone());
        }
        let read: HashSet<&str> = due.iter().map(|due| due.ticket.id.as_str()).collect();
        let followed: Vec<&Nudge> = nudges
            .iter()
            .filter(|Nudge { ticket, .. }| read.contains(ticket.as_str()) || store.gate_of(ticket).is_none())
            .collect();
        let mut applied = Vec::new();
        if !news.is_empty() || !followed.is_empty() {
            let tx = self.context.begin_if_leading().await?;
            // Another replica has seen more lately than this.
            let Some(mut tx) = tx.filter(|_| self.context.lease.term() == begun.term) else {
                return Ok(None);
            };
            for seen in &news {
                // Looked up within the turn: what began since then applies later what it sees.
                if self.yields(begun, seen.gate()) {
                    continue;
                }
                match gatekeeper.apply(&mut tx, &seen.canary, &seen.reading.event(), now).await {
                    Ok(done) => applied.push(done),
                    // The store has said so, and its gates are closed.
                    Err(store::Error::Corrupt { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            for nudge in followed {
                tx.ack_nudge(nudge).await?;
            }
            tx.end().await?;
        }
        for applied in &applied {
            gatekeeper.record(applied, now);
        }
        for seen in seen.iter().filter(|seen| !self.yields(begun, seen.gate())) {
            gatekeeper.was_stored(seen.gate());
        }
        Ok(Some(applied.iter().filter(|applied| !applied.facts.is_empty()).count()))
    }

    /// These tickets are read again when they are due again.
    fn is_over(&self, seen: &[Seen], due: &[&Due], begun: Begun) {
        for due in due {
            let is_over = match begun.why {
                // Also of those that could not be understood.
                Why::Polled => true,
                // A nudge is spent, so what it did not show, or could not be judged, is seen no later than without it.
                Why::Nudged => seen.iter().any(|seen| seen.is_of(due) && seen.is_judged()),
            };
            if self.yields(begun, &due.gate) {
                self.queue.again(due);
            } else if is_over {
                self.queue.looked(&due.gate, begun.at);
            }
        }
    }

    /// Jira answered; where none of the tickets could be read, `vain` tells how often that was so.
    fn worked(&self, vain: Option<Failures>, begun: Begun) {
        if self.health.worked(begun.why, vain) {
            tracing::info!("Jira answers again");
        }
        // What is read for nudges need not be polled; but where polling fails that is no success.
        if vain.is_none() && self.health.polls_work() {
            self.context.metrics.poll_succeeded(begun.at);
        }
    }

    /// Whether what this round shows of a gate's ticket does not count.
    fn yields(&self, begun: Begun, gate: &GateId) -> bool {
        match begun.why {
            Why::Nudged => false,
            Why::Polled => self.queue.yields(gate),
        }
    }
}
