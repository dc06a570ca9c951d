//! Looking at tickets: the one way in which a decision comes in, whether the clock or a webhook asked for it.

use std::collections::HashSet;

use super::{
    Backoff, Memory, Outcome, Unclear, Worker, doubt::Doubt, due::Due, judge::judge, lease::Term,
    lookups::RoundLookups, read::Found, statuses,
};
use crate::{
    gate::{self, Gate, GateId, Sighting},
    gatekeeper::Reading,
    jira,
    millis::Millis,
    policy::{Author, Route, Statuses, denies_all},
    rollout::{CanaryId, Change, Denials, Event, MOST_DENIALS},
    store::{self, Nudge},
};

/// Shown when an answer is older than what was already seen.
const SHOWN_BEFORE: &str = "Jira showed more of this ticket's history before, so this answer is an old one, or Jira was restored; \
                            only a move that is newer than what was seen counts";

/// Jira's limit for one request.
pub(super) const MOST: usize = 100;

/// Why tickets are looked at. One look of each kind may be under way at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Somebody moved them.
    Nudged,
    /// It is their turn.
    Polled,
}

/// How tickets are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// Many in one request.
    Together,
    /// Each in a request of its own, past every index.
    Alone,
}

/// The beginning of a look.
#[derive(Clone, Copy)]
struct Begun {
    why: Why,
    at: Millis,
    term: Term,
}

/// A ticket that was looked at.
pub(super) struct Seen {
    pub(super) canary: CanaryId,
    pub(super) gate: GateId,
    pub(super) sighting: Sighting,
    pub(super) statuses: Statuses,
    pub(super) author: Author,
    pub(super) denials: Denials,
    pub(super) arrived: Millis,
}

impl Seen {
    fn event(&self) -> Event<'_> {
        let Self { gate, sighting, statuses, author, denials, arrived, .. } = self;
        Event::Seen { gate, sighting, statuses, author, denials, arrived: *arrived }
    }

    fn reading(&self, at: Millis) -> Reading {
        let Self { gate, sighting, statuses, author, denials, arrived, .. } = self;
        let (gate, sighting, statuses) = (gate.clone(), sighting.clone(), statuses.clone());
        let (author, denials) = (author.clone(), denials.clone());
        Reading { gate, sighting, statuses, author, denials, at, arrived: *arrived }
    }

    /// Whether it could be told who decided, if anybody did, and whether that counts.
    const fn is_judged(&self) -> bool {
        match self.author {
            Author::Accepted | Author::NotAccepted { .. } | Author::NotJudged => true,
            Author::Unknown { .. } => false,
        }
    }
}

impl Worker {
    /// Looks at the tickets that somebody moved, ahead of all that waits for its turn at Jira.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn follow_nudges(&self) -> Result<Outcome, store::Error> {
        let begun = self.begin(Why::Nudged);
        self.memory().turns.nudges_done();
        self.gatekeeper.store_late_nudges(begun.at).await?;
        if let Some(rests) = self.rests(begun.why, begun.at) {
            return Ok(rests);
        }
        let nudges = self.store().nudges().await?;
        if nudges.is_empty() {
            return Ok(Outcome::Idle);
        }
        let dead = self.dead().await?;
        let living: Vec<_> = nudges
            .into_iter()
            .filter(|nudge| !dead.iter().any(|(_, dead)| dead.ticket == nudge.ticket))
            .collect();
        let due = self.nudged(&living, begun.at);
        // What was moved a moment ago is behind in every index.
        let how = if self.jira.reads_an_index() { How::Alone } else { How::Together };
        let looked = jira::urgently(self.look(&due, how, &living, begun)).await;
        self.memory().turns.nudges_done();
        if due.is_empty() { looked.map(|_| Outcome::Idle) } else { looked }
    }

    /// Looks at the tickets whose turn it is: those Flagger asks about, and now and then all others.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn poll(&self) -> Result<Outcome, store::Error> {
        let begun = self.begin(Why::Polled);
        if let Some(rests) = self.rests(begun.why, begun.at) {
            return Ok(rests);
        }
        let due = self.due(begun.at).await;
        if !due.is_empty() {
            return self.look(&due, How::Together, &[], begun).await;
        }
        let mut alone = self.due_alone();
        if alone.is_empty() {
            alone.extend(self.due_directly(begun.at));
        }
        if alone.is_empty() { Ok(Outcome::Idle) } else { self.look(&alone, How::Alone, &[], begun).await }
    }

    fn begin(&self, why: Why) -> Begun {
        Begun { why, at: self.clock.now(), term: self.lease.term() }
    }

    /// Why nothing is looked at now, if that is so. Where one kind of look failed the other makes no haste. But tickets that
    /// were moved, and cannot be read, keep nobody from polling the others; and where polling fails, that is tried first.
    pub(super) fn rests(&self, why: Why, now: Millis) -> Option<Outcome> {
        let mut memory = self.memory();
        if !self.lease.leads() {
            memory.turns.follows();
            return Some(Outcome::Follows);
        }
        let (poll_at, nudge_at) = (memory.poll_failures.until(), memory.nudge_failures.until());
        let at = match why {
            Why::Polled if memory.nudges_fail_alone => poll_at,
            // Unless nothing is there to be polled.
            Why::Nudged if memory.poll_failures.has_failed() => nudge_at.max(poll_at + self.pace.poll_every),
            Why::Polled | Why::Nudged => nudge_at.max(poll_at),
        };
        (now < at).then_some(Outcome::Idle)
    }

    /// Reads tickets, and applies what they show. One request serves a hundred.
    async fn look(
        &self,
        due: &[Due],
        how: How,
        nudges: &[Nudge],
        begun: Begun,
    ) -> Result<Outcome, store::Error> {
        let mut found = Found::default();
        let seen = match self.see(due, how, begun, &mut found).await {
            Ok(seen) => seen,
            Err(error) => return Ok(self.did_not_see(&error, begun)),
        };
        let tickets = seen.len();
        if begun.why == Why::Nudged {
            let turns = &mut self.memory().turns;
            seen.iter().for_each(|seen| turns.nudge_saw(&seen.gate));
        }
        let (later, done): (Vec<&Due>, Vec<&Due>) =
            due.iter().partition(|due| found.later.contains(&due.gate));
        if begun.why == Why::Polled {
            let turns = &mut self.memory().turns;
            later.iter().for_each(|due| turns.alone(due, begun.at));
        }
        let vain = found.vain.take().filter(|_| tickets == 0 && begun.why == Why::Nudged);
        let Some(changed) = self.save(seen, &done, nudges, vain, begun).await? else {
            // What it saw is another replica's business now.
            if self.lease.term() == begun.term {
                self.lease.doubt();
            }
            return Ok(Outcome::Follows);
        };
        if !due.is_empty() {
            let counts = done
                .iter()
                .filter(|due| !self.yields(begun, &due.gate) && !found.resting.contains(&due.gate));
            let gates = counts.map(|due| (&due.gate, found.unread.remove(&due.ticket.id)));
            self.gatekeeper.unread().read(gates, begun.at);
        }
        Ok(Outcome::Looked { tickets, changed })
    }

    /// What Jira shows of these tickets, and what that means. What is missing from the answer for many, or is older than what is
    /// known, is asked for alone; and so is what would give up a gate, and what only an index says.
    async fn see(
        &self,
        due: &[Due],
        how: How,
        begun: Begun,
        found: &mut Found,
    ) -> Result<Vec<Seen>, jira::Error> {
        let now = begun.at;
        let (alone, together): (Vec<&Due>, Vec<&Due>) =
            due.iter().partition(|due| how == How::Alone || self.memory().manners.is_alone(&due.gate, now));
        if !together.is_empty() {
            found.readings = self.read_together(&together, now).await?;
        }
        let arrived = self.clock.now();
        found.readings.retain(|id, reading| {
            together.iter().any(|due| due.ticket.id == *id && !self.is_overtaken(due, reading))
        });
        let absent: Vec<&Due> = together
            .into_iter()
            .filter(|due| !found.readings.contains_key(&due.ticket.id))
            .chain(alone)
            .collect();
        let (resting, absent): (Vec<&Due>, Vec<&Due>) = absent.into_iter().partition(|due| {
            begun.why == Why::Polled && self.memory().manners.rests(&due.gate, self.clock.now())
        });
        found.resting.extend(resting.iter().map(|due| due.gate.clone()));
        self.read_alone(&absent, found, now).await?;
        let mut lookups = self.lookups.round();
        let all: Vec<&Due> = due.iter().collect();
        let mut seen = self.understand(&all, arrived, found, &mut lookups).await?;
        seen.retain(|seen| {
            let is_direct =
                all.iter().any(|due| due.gate == seen.gate && found.directly.contains(&due.ticket.id));
            is_direct || self.doubt(seen, now) != Doubt::Renews
        });
        let doubtful: Vec<&Due> = all
            .into_iter()
            .filter(|due| !found.directly.contains(&due.ticket.id))
            .filter(|due| {
                seen.iter().any(|seen| seen.gate == due.gate && self.doubt(seen, now) != Doubt::None)
            })
            .collect();
        if doubtful.is_empty() {
            return Ok(seen);
        }
        if !self.still_leads(begun).await {
            // Another replica asks Jira by now. No gate is given up for what was not asked again, and what opens one is not stored.
            seen.retain(|seen| self.doubt(seen, now) != Doubt::Gone);
            return Ok(seen);
        }
        self.read_alone(&doubtful, found, now).await?;
        let better = self.understand(&doubtful, self.clock.now(), found, &mut lookups).await?;
        seen.retain(|seen| {
            let Some(due) = doubtful.iter().find(|due| due.gate == seen.gate) else { return true };
            if better.iter().any(|better| better.gate == seen.gate) || found.later.contains(&due.gate) {
                return false;
            }
            // Where the issue itself cannot be read the index is what there is, but no gate is given up for it. What was
            // answered, and does not tell what has to be known, is not proven by the index either.
            let id = &due.ticket.id;
            let is_answered = found.directly.contains(id) || found.odd.contains(id);
            let stays = self.doubt(seen, now) == Doubt::Index && !is_answered;
            if stays {
                found.unread.remove(&due.ticket.id);
            }
            stays
        });
        seen.extend(better);
        Ok(seen)
    }

    /// Whether no other replica works, as far as known. That is asked of the database where it has not said so lately: an answer
    /// of Jira may have taken long. A database that cannot be asked stops no reading: what closes a gate closes it in memory.
    async fn still_leads(&self, begun: Begun) -> bool {
        if self.lease.holds(begun.term) {
            return true;
        }
        match self.working_turn().await {
            Ok(Some(turn)) => {
                turn.end().await.ok();
                self.lease.term() == begun.term
            }
            Ok(None) => false,
            Err(_) => true,
        }
    }

    fn did_not_see(&self, error: &jira::Error, begun: Begun) -> Outcome {
        let mut memory = self.memory();
        let is_told = memory.is_jira_away();
        let failures = memory.failures(begun.why);
        *failures = failures.after(error, begun.at, self.pace.poll_every);
        if begun.why == Why::Nudged {
            memory.nudges_fail_alone = error.is_of_one();
        }
        drop(memory);
        if !is_told {
            tracing::warn!("{error}; approvals hold as last seen until jira.trust_for is over");
        }
        let why = self.explain(error);
        self.gatekeeper.unread().none(&why, begun.at);
        Outcome::Postponed { why }
    }

    /// Adds what the statuses mean. A ticket whose statuses cannot be told is left as it was last seen.
    async fn understand(
        &self,
        due: &[&Due],
        arrived: Millis,
        found: &mut Found,
        lookups: &mut RoundLookups<'_>,
    ) -> Result<Vec<Seen>, jira::Error> {
        let mut seen = Vec::new();
        for &due in due {
            let Some(mut reading) = found.readings.remove(&due.ticket.id) else { continue };
            let Some(gate) = due.canary.gate_by_id(&due.gate) else { continue };
            let route = self.gatekeeper.route(&due.canary.id, &gate.name);
            let statuses = match &reading.sighting {
                Sighting::Missing { .. } => Ok(Statuses::default()),
                Sighting::Issue { status, .. } => {
                    match statuses::of(lookups, route, &due.ticket, status, None).await {
                        Ok(today) => Ok(gate.statuses(today)),
                        Err(why) => closing(gate, &reading.sighting, &why).ok_or(why),
                    }
                }
            };
            let statuses = match statuses {
                Ok(statuses) => statuses,
                Err(why) => {
                    self.does_not_understand(due, &route.key, why, found);
                    continue;
                }
            };
            if !self.read_back(due, &mut reading, &statuses, found).await? {
                continue;
            }
            let statuses =
                match self.as_of_the_move((route, due, gate), &reading, statuses, arrived, lookups).await {
                    Ok(statuses) => statuses,
                    Err(why) => {
                        self.does_not_understand(due, &route.key, why, found);
                        continue;
                    }
                };
            self.memory().bad_routes.remove(&route.key);
            // By what it means today, more of the changelog may be needed.
            if !self.read_back(due, &mut reading, &statuses, found).await? {
                continue;
            }
            let sighting = reading.sighting;
            if self.gatekeeper.knows_newer(&due.canary, &due.gate, &sighting) {
                found.unread.insert(due.ticket.id.clone(), SHOWN_BEFORE.into());
                if found.directly.contains(&due.ticket.id) {
                    self.shows_less(due);
                }
                continue;
            }
            self.memory().manners.is_up_to_date(&due.gate);
            let denials = due.canary.denials(gate);
            let author = self.author(route, (due, &denials), (&sighting, &statuses), lookups).await;
            if let Author::Unknown { why } = &author {
                found.unread.insert(due.ticket.id.clone(), why.clone());
            }
            let (canary, gate) = (due.canary.id.clone(), due.gate.clone());
            seen.push(Seen { canary, gate, sighting, statuses, author, denials, arrived });
        }
        Ok(seen)
    }

    /// The same as of when the move was made that decided, if one did: until then the workflow may have been another.
    async fn as_of_the_move(
        &self,
        (route, due, gate): (&Route, &Due, &Gate),
        reading: &jira::Reading,
        statuses: Statuses,
        arrived: Millis,
        lookups: &mut RoundLookups<'_>,
    ) -> Result<Statuses, Unclear> {
        let Sighting::Issue { status, moves, answered, .. } = &reading.sighting else {
            return Ok(statuses);
        };
        let Some(entry) = gate::decisive(status, moves, &statuses) else { return Ok(statuses) };
        let ago = self.clock.now().since(arrived - answered.since(entry.at));
        match statuses::of(lookups, route, &due.ticket, status, Some((entry, ago))).await {
            Ok(today) => Ok(gate.statuses(today)),
            Err(why) => closing(gate, &reading.sighting, &why).ok_or(why),
        }
    }

    fn does_not_understand(&self, due: &Due, route: &str, why: Unclear, found: &mut Found) {
        let (why, is_told) = match why {
            // Another ticket of the route may need less of Jira.
            Unclear::Jira(error) => (self.explain(&error), self.gatekeeper.unread().has(&due.gate)),
            Unclear::Config { why, .. } => (why, !self.memory().bad_routes.insert(route.to_owned())),
        };
        found.unread.insert(due.ticket.id.clone(), why.clone());
        if !is_told {
            let ticket = due.ticket.key.as_str();
            tracing::error!(
                canary = %due.canary.id,
                ticket,
                "{why}; what its tickets show cannot be understood, and its gates close"
            );
        }
    }

    /// Whether the move counts that decided about the ticket, if one did.
    async fn author(
        &self,
        route: &Route,
        (due, denials): (&Due, &Denials),
        (sighting, statuses): (&Sighting, &Statuses),
        lookups: &mut RoundLookups<'_>,
    ) -> Author {
        let Sighting::Issue { status, moves, .. } = sighting else { return Author::NotJudged };
        match gate::decisive(status, moves, statuses) {
            Some(_) if denials.all => denies_all(MOST_DENIALS),
            Some(entry) => {
                judge(self, lookups, route, &denials.entries, &due.ticket.project, &entry.by).await
            }
            None => Author::NotJudged,
        }
    }

    /// Applies what was seen, and returns how many tickets had changed. What is no news costs no write. `None` if another
    /// replica reads tickets by now. Where none of them could be read, `vain` tells how often that was so.
    async fn save(
        &self,
        seen: Vec<Seen>,
        due: &[&Due],
        nudges: &[Nudge],
        vain: Option<Backoff>,
        begun: Begun,
    ) -> Result<Option<usize>, store::Error> {
        let now = begun.at;
        // A reading for a nudge is compared within the turn: a round may be about to commit what it read before.
        let may_be_news = |seen: &&Seen| begun.why == Why::Nudged || self.is_news(seen, now);
        let news: Vec<&Seen> = seen.iter().filter(may_be_news).collect();
        // What closes a gate does so now, also if it cannot be stored.
        for seen in news.iter().filter(|seen| !self.yields(begun, &seen.gate)) {
            self.gatekeeper.was_read(&seen.canary, seen.reading(now));
        }
        let read: HashSet<&str> = due.iter().map(|due| due.ticket.id.as_str()).collect();
        let store = self.store();
        let followed: Vec<&Nudge> = nudges
            .iter()
            .filter(|Nudge { ticket, .. }| read.contains(ticket.as_str()) || store.gate_of(ticket).is_none())
            .collect();
        let mut applied = Vec::new();
        if !news.is_empty() || !followed.is_empty() {
            let turn = self.working_turn().await?.filter(|_| self.lease.term() == begun.term);
            // Another replica has seen more lately than this.
            let Some(mut turn) = turn else { return Ok(None) };
            for seen in &news {
                // Looked up within the turn: whoever began since then applies later what it sees.
                if self.yields(begun, &seen.gate) {
                    continue;
                }
                match self.gatekeeper.apply(&mut turn, &seen.canary, &seen.event(), now).await {
                    Ok(done) => applied.push(done),
                    // The store has said so, and its gates are closed.
                    Err(store::Error::Corrupt { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            for nudge in followed {
                turn.followed(nudge).await?;
            }
            turn.end().await?;
        }
        for applied in &applied {
            self.gatekeeper.record(applied, now);
        }
        for seen in seen.iter().filter(|seen| !self.yields(begun, &seen.gate)) {
            self.gatekeeper.was_stored(&seen.gate);
        }
        for due in due {
            let yields = self.yields(begun, &due.gate);
            let is_over = match begun.why {
                // Also of those that could not be understood.
                Why::Polled => true,
                // A nudge is spent, so what it did not show, or nobody could judge, is seen no later than without it.
                Why::Nudged => seen.iter().any(|seen| seen.gate == due.gate && seen.is_judged()),
            };
            let turns = &mut self.memory().turns;
            if yields {
                turns.again(due);
            } else if is_over {
                turns.looked(&due.gate, now);
            }
        }
        if !due.is_empty() {
            let mut memory = self.memory();
            let was_away = memory.is_jira_away();
            *memory.failures(begun.why) = vain.unwrap_or_default();
            memory.nudges_fail_alone = memory.nudges_fail_alone || vain.is_some();
            if was_away && !memory.is_jira_away() {
                tracing::info!("Jira answers again");
            }
            // What is read for nudges need not be polled; but where polling fails that is no success.
            if !memory.poll_failures.has_failed() && vain.is_none() {
                self.metrics.poll_succeeded(now);
            }
        }
        Ok(Some(applied.iter().filter(|applied| !applied.facts.is_empty()).count()))
    }

    /// Whether what this look shows of a gate's ticket does not count.
    fn yields(&self, begun: Begun, gate: &GateId) -> bool {
        match begun.why {
            Why::Nudged => false,
            Why::Polled => self.memory().turns.yields(gate),
        }
    }

    fn is_news(&self, seen: &Seen, now: Millis) -> bool {
        let Some(canary) = self.store().canary(&seen.canary) else { return false };
        !matches!(self.gatekeeper.would(&canary, &seen.event(), now), Change::Unchanged)
    }
}

/// What statuses mean where it cannot be told which bear the configured names today. A no to the ticket as it was opened is one,
/// what is approved no more is not, and what carries the label of dead tickets opens nothing.
fn closing(gate: &Gate, sighting: &Sighting, why: &Unclear) -> Option<Statuses> {
    let Sighting::Issue { status, ended, .. } = sighting else { return None };
    let then = gate.statuses.as_ref();
    let workflow = match why {
        Unclear::Config { workflow, .. } => Some(workflow.clone()),
        Unclear::Jira(_) => None,
    };
    let closes = *ended || then.is_some_and(|then| !then.approved.contains(&status.id));
    let rejected = then.map(|then| then.rejected.clone()).unwrap_or_default();
    closes.then(|| Statuses { rejected, workflow, ..Statuses::default() })
}

impl Memory {
    /// How often looks of this kind failed.
    const fn failures(&mut self, why: Why) -> &mut Backoff {
        match why {
            Why::Nudged => &mut self.nudge_failures,
            Why::Polled => &mut self.poll_failures,
        }
    }

    const fn is_jira_away(&self) -> bool {
        self.nudge_failures.has_failed() || self.poll_failures.has_failed()
    }
}
