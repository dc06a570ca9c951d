//! Looking at tickets: the one way in which a decision comes in, whether the clock or a webhook asked for it.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    time::Duration,
};

use super::{
    InVain, Outcome, Unclear, Worker,
    due::{Due, LookId},
    lease::Term,
};
use crate::{
    gate::{self, Gate, GateId, Move, Sighting, Ticket},
    jira::{self, Retry, retry},
    millis::Millis,
    policy::{Author, Route, Statuses},
    rollout::{Canary, CanaryId, Change, Command, Event, Fact, Note},
    store::{self, Opened},
};

/// Jira's limit for one request.
pub(super) const MOST: usize = 100;
/// A dead ticket that was moved, but cannot be read, is given up after this long.
const MOST_PATIENT: Duration = Duration::from_hours(24);
/// Dead tickets that are answered in one look at most.
const MOST_DEAD: usize = 10;

/// Why tickets could not be read or understood, by the id of the issue.
type Unread = HashMap<String, String>;

/// The beginning of a look. Two may be on their way at a time, one for nudges and one of a round.
#[derive(Clone, Copy)]
struct Begun {
    at: Millis,
    term: Term,
    look: LookId,
}

/// A ticket that was looked at.
struct Seen {
    canary: CanaryId,
    gate: GateId,
    sighting: Sighting,
    statuses: Statuses,
    author: Author,
    arrived: Millis,
}

impl Seen {
    fn event(&self) -> Event<'_> {
        let Self { gate, sighting, statuses, author, arrived, .. } = self;
        Event::Seen { gate, sighting, statuses, author, arrived: *arrived }
    }
}

impl Worker {
    /// Looks at the tickets that somebody moved, ahead of all that waits for its turn at Jira. Those whose rollout is over
    /// are told that they open nothing.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn follow_nudges(&self) -> Result<Outcome, store::Error> {
        let begun = self.begin();
        let now = begun.at;
        self.gatekeeper.store_late_nudges(now).await?;
        if let Some(rests) = self.rests(now) {
            return Ok(rests);
        }
        let nudges = self.gatekeeper.store().nudges().await?;
        if nudges.is_empty() {
            return Ok(Outcome::Idle);
        }
        let due = self.nudged(&nudges, now);
        let dead = self.dead(&nudges).await?;
        let living: Vec<_> = nudges
            .into_iter()
            .filter(|(id, _)| !dead.iter().any(|(dead, _)| dead.ticket.id == *id))
            .collect();
        let looked = jira::urgently(self.look(&due, &living, begun)).await?;
        if matches!(looked, Outcome::Postponed { .. }) {
            return Ok(looked);
        }
        // Only now: whatever is wrong with a dead ticket must not keep a live one waiting.
        if now >= self.memory().dead_failures.1 {
            let answered = self.answer_the_dead(&dead).await?;
            let mut memory = self.memory();
            memory.dead_failures = match answered {
                Ok(()) => (0, now),
                Err(error) => {
                    if memory.dead_failures.0 == 0 {
                        tracing::warn!(
                            "{error}; dead tickets that were moved are told later that they open nothing"
                        );
                    }
                    after_failure(memory.dead_failures, &error, now, Duration::MAX)
                }
            };
        }
        if due.is_empty() && dead.len() <= MOST_DEAD { Ok(Outcome::Idle) } else { Ok(looked) }
    }

    /// Looks at the tickets whose turn it is: those Flagger asks about, and now and then all others.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn poll(&self) -> Result<Outcome, store::Error> {
        let begun = self.begin();
        if let Some(rests) = self.rests(begun.at) {
            return Ok(rests);
        }
        let due = self.due(begun.at).await;
        if due.is_empty() { Ok(Outcome::Idle) } else { self.look(&due, &[], begun).await }
    }

    fn begin(&self) -> Begun {
        Begun { at: self.clock.now(), term: self.lease.term(), look: self.memory().turns.begin() }
    }

    /// Why nothing is looked at now, if that is so.
    fn rests(&self, now: Millis) -> Option<Outcome> {
        if !self.lease.leads() {
            return Some(Outcome::Follows);
        }
        (now < self.memory().look_failures.1).then_some(Outcome::Idle)
    }

    /// Reads tickets, and applies what they show. One request serves a hundred.
    async fn look(
        &self,
        due: &[Due],
        nudges: &[(String, Millis)],
        begun: Begun,
    ) -> Result<Outcome, store::Error> {
        let mut unread = HashMap::new();
        let (sightings, arrived) = match self.sightings(due, &mut unread).await {
            Ok(sightings) => sightings,
            Err(error) => return Ok(self.did_not_see(&error, begun.at)),
        };
        let seen = self.understand(due, sightings, arrived, &mut unread).await;
        if !due.is_empty() {
            let gates = due.iter().map(|due| (&due.gate, unread.remove(&due.ticket.id)));
            self.gatekeeper.unread().read(gates, begun.at);
        }
        let tickets = seen.len();
        let changed = self.save(seen, due, nudges, begun).await?;
        Ok(Outcome::Looked { tickets, changed })
    }

    /// What Jira shows of these tickets. One that is missing from the bulk answer is asked for alone.
    /// Also tells when Jira answered, by our clock.
    /// Those that cannot be read for themselves are noted in `unread`, with the reason.
    async fn sightings(
        &self,
        due: &[Due],
        unread: &mut Unread,
    ) -> Result<(HashMap<String, Sighting>, Millis), jira::Error> {
        if due.is_empty() {
            return Ok((HashMap::new(), self.clock.now()));
        }
        let ids: Vec<String> = due.iter().map(|due| due.ticket.id.clone()).collect();
        let mut sightings = self.jira.look(&ids).await?;
        let arrived = self.clock.now();
        for due in due {
            let Entry::Vacant(absent) = sightings.entry(due.ticket.id.clone()) else { continue };
            match self.jira.look_closely(absent.key()).await {
                Ok(sighting) => {
                    absent.insert(sighting);
                }
                // One issue that cannot be read must not hide the others.
                Err(error) if error.is_of_one() => {
                    if !self.gatekeeper.unread().has(&due.gate) {
                        let (canary, ticket) = (&due.canary.id, due.ticket.key.as_str());
                        tracing::warn!(%canary, ticket, "{error}; the ticket stays as last seen, until jira.trust_for is over");
                    }
                    unread.insert(absent.into_key(), self.words(&error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((sightings, arrived))
    }

    /// The nudged tickets whose rollout is over and that were not answered yet.
    async fn dead(&self, nudges: &[(String, Millis)]) -> Result<Vec<(Opened, Millis)>, store::Error> {
        let store = self.gatekeeper.store();
        let mut dead = Vec::new();
        for (id, at) in nudges {
            if store.gate_of(id).is_some() {
                continue;
            }
            match store.dead(id).await {
                Ok(Some(opened)) => dead.push((opened, *at)),
                Ok(None) => {}
                // Its nudge is done with: a row that cannot be read must not keep live tickets waiting.
                Err(error @ store::Error::Corrupt { .. }) => {
                    tracing::error!(
                        issue = id,
                        "{error}; a dead ticket was moved, and is not told that it opens nothing"
                    );
                }
                Err(error) => return Err(error),
            }
        }
        Ok(dead)
    }

    /// Somebody moved a ticket whose rollout is over: it is told, once, that this opens nothing any more.
    async fn answer_the_dead(
        &self,
        dead: &[(Opened, Millis)],
    ) -> Result<Result<(), jira::Error>, store::Error> {
        let store = self.gatekeeper.store();
        let mut failed = Ok(());
        for (dead, nudged) in dead.iter().take(MOST_DEAD) {
            let now = self.clock.now();
            let moved = match self.was_moved_late(dead).await {
                Ok(moved) => moved,
                Err(error) if error.retry() == Retry::Never || now.since(*nudged) > MOST_PATIENT => {
                    tracing::warn!(
                        canary = %dead.canary,
                        ticket = dead.ticket.key,
                        "{error}; a dead ticket was moved, and is not told that it opens nothing"
                    );
                    false
                }
                Err(error) if error.is_of_one() => {
                    // The others may fare better.
                    failed = Err(error);
                    continue;
                }
                Err(error) => return Ok(Err(error)),
            };
            let mut turn = store.turn().await?;
            turn.followed_nudge(&dead.ticket.id, *nudged).await?;
            if moved && turn.answer_late_move(&dead.gate).await? {
                let canary = match turn.canary(&dead.canary).await {
                    Ok(canary) => canary,
                    // Which ticket is the live one cannot be told, but that this one is dead can.
                    Err(store::Error::Corrupt { .. }) => Canary::new(dead.canary.clone()),
                    Err(error) => return Err(error),
                };
                let live = canary.rollout.as_ref().and_then(|rollout| {
                    rollout.gates.iter().rev().find_map(Gate::ticket).map(|ticket| ticket.key.clone())
                });
                let command = Command::Comment { gate: dead.gate.clone(), note: Note::Late { live } };
                turn.enqueue(&dead.canary, &command, now).await?;
                let fact = Fact::LateMove { gate: dead.name.clone(), ticket: dead.ticket.clone() };
                let applied = self.gatekeeper.note(&mut turn, canary, fact, now).await?;
                turn.end().await?;
                self.gatekeeper.record(&applied, now);
            } else {
                turn.end().await?;
            }
        }
        Ok(failed)
    }

    /// Whether anybody but the bridge itself has moved the ticket since it was told that its rollout is over. Both times
    /// are Jira's.
    async fn was_moved_late(&self, dead: &Opened) -> Result<bool, jira::Error> {
        let own = self.jira.account().await?;
        let Sighting::Issue { moves, .. } = self.jira.look_closely(&dead.ticket.id).await? else {
            return Ok(false);
        };
        let late =
            |entry: &Move| dead.ended_at.is_some_and(|ended| entry.at > ended) && entry.by.id != own.id;
        Ok(moves.iter().any(late))
    }

    fn did_not_see(&self, error: &jira::Error, now: Millis) -> Outcome {
        let mut memory = self.memory();
        let before = memory.look_failures;
        memory.look_failures = after_failure(before, error, now, self.pace.poll_every);
        drop(memory);
        if before.0 == 0 {
            tracing::warn!("{error}; approvals hold as last seen until jira.trust_for is over");
        }
        let why = self.words(error);
        self.gatekeeper.unread().none(&why, now);
        Outcome::Postponed { why }
    }

    /// Adds what the statuses mean. A ticket whose statuses cannot be told is left as it was last seen.
    async fn understand(
        &self,
        due: &[Due],
        mut sightings: HashMap<String, Sighting>,
        arrived: Millis,
        unread: &mut Unread,
    ) -> Vec<Seen> {
        let in_vain = InVain::default();
        let mut seen = Vec::new();
        for due in due {
            let Some(sighting) = sightings.remove(&due.ticket.id) else { continue };
            let Some(gate) = due.canary.gate_by_id(&due.gate) else { continue };
            let route = self.gatekeeper.route(&due.canary.id, &gate.name);
            let statuses = match &sighting {
                // Where they stand does not matter.
                Sighting::Missing | Sighting::Issue { ended: true, .. } => Ok(Statuses::default()),
                Sighting::Issue { status, ended: false, .. } => {
                    self.statuses(route, &due.ticket, &status.id, &in_vain).await
                }
            };
            match statuses {
                Ok(statuses) => {
                    self.memory().bad_routes.remove(&route.key);
                    let author =
                        self.author(route, gate, &due.ticket, (&sighting, &statuses), &in_vain).await;
                    if let Author::Unknown { why } = &author {
                        unread.insert(due.ticket.id.clone(), why.clone());
                    }
                    let (canary, gate) = (due.canary.id.clone(), due.gate.clone());
                    seen.push(Seen { canary, gate, sighting, statuses, author, arrived });
                }
                Err(why) => {
                    let why = match why {
                        Unclear::Jira(error) => self.words(&error),
                        Unclear::Config(why) => why,
                    };
                    unread.insert(due.ticket.id.clone(), why.clone());
                    if self.memory().bad_routes.insert(route.key.clone()) {
                        let ticket = due.ticket.key.as_str();
                        tracing::error!(
                            canary = %due.canary.id,
                            ticket,
                            "{why}; what its tickets show cannot be understood, and its gates close"
                        );
                    }
                }
            }
        }
        seen
    }

    /// Whether the move counts that decided about the ticket, if one did.
    async fn author(
        &self,
        route: &Route,
        gate: &Gate,
        ticket: &Ticket,
        (sighting, statuses): (&Sighting, &Statuses),
        in_vain: &InVain,
    ) -> Author {
        let Sighting::Issue { status, moves, .. } = sighting else { return Author::Accepted };
        match gate::decisive(status, moves, statuses) {
            Some(entry) => self.judge(route, &gate.deny, &ticket.project, &entry.by, in_vain).await,
            None => Author::Accepted,
        }
    }

    /// Applies what was seen. What is no news costs no write.
    async fn save(
        &self,
        seen: Vec<Seen>,
        due: &[Due],
        nudges: &[(String, Millis)],
        Begun { at: now, term, look }: Begun,
    ) -> Result<usize, store::Error> {
        let _one_after_the_other = self.applying.lock().await;
        let newest: HashSet<&GateId> = {
            let turns = &mut self.memory().turns;
            due.iter().map(|due| &due.gate).filter(|gate| turns.shows(gate, look)).collect()
        };
        let news: Vec<&Seen> =
            seen.iter().filter(|seen| newest.contains(&seen.gate) && self.is_news(seen, now)).collect();
        let read: HashSet<&str> = due.iter().map(|due| due.ticket.id.as_str()).collect();
        let store = self.gatekeeper.store();
        let followed: Vec<&(String, Millis)> = nudges
            .iter()
            .filter(|(ticket, _)| read.contains(ticket.as_str()) || store.gate_of(ticket).is_none())
            .collect();
        let mut applied = Vec::new();
        if !news.is_empty() || !followed.is_empty() {
            let turn = self.working_turn().await?.filter(|_| self.lease.term() == term);
            // Another replica has seen more lately than this.
            let Some(mut turn) = turn else { return Ok(0) };
            for seen in &news {
                match self.gatekeeper.apply(&mut turn, &seen.canary, &seen.event(), now).await {
                    Ok(done) => applied.push(done),
                    // The store has said so, and its gates are closed.
                    Err(store::Error::Corrupt { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            for (ticket, at) in followed {
                turn.followed_nudge(ticket, *at).await?;
            }
            turn.end().await?;
        }
        for applied in &applied {
            self.gatekeeper.record(applied, now);
        }
        let mut memory = self.memory();
        // Also those that could not be understood: their turn is over.
        for due in due {
            memory.turns.looked(&due.gate, now);
        }
        if !due.is_empty() {
            if memory.look_failures.0 > 0 {
                tracing::info!("Jira answers again");
            }
            memory.look_failures = (0, Millis(0));
            self.metrics.poll_succeeded(now);
        }
        Ok(applied.iter().filter(|applied| !applied.facts.is_empty()).count())
    }

    fn is_news(&self, seen: &Seen, now: Millis) -> bool {
        let Some(canary) = self.gatekeeper.store().canary(&seen.canary) else { return false };
        !matches!(self.gatekeeper.would(&canary, &seen.event(), now), Change::Unchanged)
    }
}

/// One failure more, and when the next attempt may come, after `longest` at the latest unless Jira demands more.
fn after_failure(
    (failures, _): (u32, Millis),
    error: &jira::Error,
    now: Millis,
    longest: Duration,
) -> (u32, Millis) {
    let spread = rand::random::<f64>();
    let wait = match error.retry() {
        Retry::NotBefore(wait) => retry::delay(0, Some(wait), spread),
        Retry::Now | Retry::Backoff | Retry::Never => retry::delay(failures, None, spread).min(longest),
    };
    (failures.saturating_add(1), now + wait)
}
