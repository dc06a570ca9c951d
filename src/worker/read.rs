//! Reading tickets: many in one request, and alone those that must be.
//!
//! One ticket hurts only itself. A request for many that fails as a whole is halved, until it is known which tickets make
//! it fail; those are read alone from then on. Whatever costs a request of its own waits until all that are read together
//! were, and there is a little of it in each look.

use std::collections::{HashMap, HashSet, VecDeque, hash_map::Entry};

use super::{Backoff, Worker, due::Due, trail::Trails};
use crate::{
    gate::{Browse, GateId, Sighting, Status, decisive},
    jira::{self, Reading},
    millis::Millis,
    policy::{Meaning, Statuses},
};

/// So many tickets are read alone in one look at most.
pub(super) const MOST_ALONE: usize = 20;
/// So many further pages of changelogs are read in one look at most, and they come last.
const MOST_PAGES: usize = 5;
/// A request for many that failed so often, and in no part worked, would fail for any.
const FAILS_FOR_ANY: usize = 8;
/// So many tickets are tried alone, to know whether it is their request for many that fails, or Jira.
const TRIED_ALONE: usize = 2;
/// While Jira does not answer, that is tried once in so many times.
const TRIED_ONCE_IN: u32 = 4;
/// Until it is tried together with others again, in ms.
const APART_FOR: i64 = 3_600_000;

/// How each ticket can be read. All of it may be lost.
#[derive(Default)]
pub(super) struct Manners {
    /// Those that make a request for many fail, until when they are read alone.
    apart: HashMap<GateId, Millis>,
    /// Those that could not be read alone.
    failing: HashMap<GateId, Backoff>,
    /// Those that showed less alone than was seen before, as in a Jira that was restored.
    older: HashMap<GateId, Backoff>,
    /// How often in a row a request for many failed for any, and until when none is sent.
    together: Backoff,
    /// What was read of changelogs beyond their newest entries.
    trails: Trails,
    /// How long each changelog was when it was last read past every index, if that was told, and when that was.
    direct: HashMap<GateId, (Option<usize>, Millis)>,
}

impl Manners {
    /// Whether it has to be read alone now.
    pub(super) fn is_alone(&self, gate: &GateId, now: Millis) -> bool {
        self.together.rests(now) || self.apart.get(gate).is_some_and(|until| now < *until)
    }

    /// Whether it was tried alone in vain a short time ago.
    pub(super) fn rests(&self, gate: &GateId, now: Millis) -> bool {
        [&self.failing, &self.older].iter().any(|all| all.get(gate).is_some_and(|failed| failed.rests(now)))
    }

    /// It shows what is known of it, or more.
    pub(super) fn is_up_to_date(&mut self, gate: &GateId) {
        self.older.remove(gate);
    }

    /// When the ticket was last read past every index.
    pub(super) fn read_directly(&self, gate: &GateId) -> Option<Millis> {
        self.direct.get(gate).map(|(_, at)| *at)
    }

    /// Forgets all but those that live.
    pub(super) fn keep(&mut self, live: &HashSet<&GateId>, now: Millis) {
        self.apart.retain(|gate, until| live.contains(gate) && now < *until);
        self.failing.retain(|gate, _| live.contains(gate));
        self.older.retain(|gate, _| live.contains(gate));
        self.trails.keep(live);
        self.direct.retain(|gate, _| live.contains(gate));
    }
}

/// Why tickets could not be read or understood, by the id of the issue.
type Unread = HashMap<String, String>;

/// What a look has found out so far.
#[derive(Default)]
pub(super) struct Found {
    pub(super) readings: HashMap<String, Reading>,
    /// Why tickets could not be read or understood, by the id of the issue.
    pub(super) unread: Unread,
    /// Those that are read alone, but not in this look.
    pub(super) later: Vec<GateId>,
    /// Those that were not tried, because they failed a short time ago.
    pub(super) resting: HashSet<GateId>,
    /// Those that were read past every index.
    pub(super) directly: HashSet<String>,
    /// Those that were answered alone, but not so that they can be understood.
    pub(super) odd: HashSet<String>,
    /// How often in a row reading failed for what was asked, if one did now.
    pub(super) vain: Option<Backoff>,
    /// How many were read alone.
    alone: usize,
    /// How many further pages were read.
    pages: usize,
}

impl Worker {
    /// Reads these tickets together. Those that are absent from the result were not seen.
    ///
    /// # Errors
    /// If Jira as a whole does not answer.
    pub(super) async fn read_together(
        &self,
        due: &[&Due],
        now: Millis,
    ) -> Result<HashMap<String, Reading>, jira::Error> {
        let ids: Vec<String> = due.iter().map(|due| due.ticket.id.clone()).collect();
        let mut read = HashMap::new();
        let (mut parts, mut failed, mut worked, mut is_jira_well) = (VecDeque::from([ids]), 0, 0, false);
        let mut halved = Vec::new();
        while let Some(part) = parts.pop_front() {
            let error = match self.jira.look(&part).await {
                Ok(readings) => {
                    worked += 1;
                    read.extend(readings);
                    continue;
                }
                Err(error) if error.is_of_one() => error,
                // What was read is not lost by what was not; that is asked for alone.
                Err(error) if read.is_empty() => return Err(error),
                Err(_) => break,
            };
            failed += 1;
            is_jira_well = is_jira_well || (self.tries_alone() && self.answers_alone(&part, &mut read).await);
            if !is_jira_well {
                return Err(error);
            }
            let anew = !self.memory().manners.together.has_failed();
            if worked == 0 && (failed == FAILS_FOR_ANY || !anew) {
                self.reads_none_together(&error, now);
                return Ok(read);
            }
            match part.len() {
                0 => {}
                1 => self.sets_apart(due, &part[0], &error, now),
                many => {
                    let (first, second) = part.split_at(many / 2);
                    parts.extend([first.to_vec(), second.to_vec()]);
                    halved.push((part, error));
                }
            }
        }
        self.sets_longest_apart(due, &halved, &read, now);
        if worked > 0 && std::mem::take(&mut self.memory().manners.together).has_failed() {
            tracing::info!("Jira lets the bridge read several tickets in one request again");
        }
        if worked > 0 {
            self.gatekeeper.unread().together();
        }
        Ok(read)
    }

    /// Whether it is worth while to ask for one alone: where Jira does not answer at all that costs requests.
    fn tries_alone(&self) -> bool {
        let memory = self.memory();
        memory.poll_failures.failures().max(memory.nudge_failures.failures()).is_multiple_of(TRIED_ONCE_IN)
    }

    /// Whether Jira answers if it is asked for one of these alone.
    async fn answers_alone(&self, part: &[String], read: &mut HashMap<String, Reading>) -> bool {
        let from = rand::random_range(0..part.len().max(1));
        for id in part.iter().cycle().skip(from).take(TRIED_ALONE.min(part.len())) {
            match self.jira.look_alone(id).await {
                Ok(Some(reading)) => {
                    read.insert(id.clone(), reading);
                    return true;
                }
                Ok(None) => return true,
                Err(_) => {}
            }
        }
        false
    }

    fn reads_none_together(&self, error: &jira::Error, now: Millis) {
        let mut memory = self.memory();
        let before = memory.manners.together;
        memory.manners.together = before.after(error, now, self.gatekeeper.timing().trust_for);
        drop(memory);
        self.gatekeeper.unread().one_by_one(&self.explain(error), now);
        if !before.has_failed() {
            tracing::warn!(
                "{error}; that is so only for several tickets in one request, so they are read one by one, which takes longer"
            );
        }
    }

    /// Of tickets that could be read in parts, but not together, the longest is read alone from now on. Else they would be read
    /// in vain each time.
    fn sets_longest_apart(
        &self,
        due: &[&Due],
        halved: &[(Vec<String>, jira::Error)],
        read: &HashMap<String, Reading>,
        now: Millis,
    ) {
        // The smallest parts come last.
        for (part, error) in halved.iter().rev() {
            let is_apart =
                |due: &&&Due| part.contains(&due.ticket.id) && self.memory().manners.is_alone(&due.gate, now);
            if due.iter().any(|due| is_apart(&due)) || !part.iter().all(|id| read.contains_key(id)) {
                continue;
            }
            let longest = part.iter().max_by_key(|id| read.get(*id).map(|reading| reading.length));
            longest.into_iter().for_each(|id| self.sets_apart(due, id, error, now));
        }
    }

    fn sets_apart(&self, due: &[&Due], id: &str, error: &jira::Error, now: Millis) {
        let Some(due) = due.iter().find(|due| due.ticket.id == *id) else { return };
        let until = Millis(now.0.saturating_add(APART_FOR));
        if self.memory().manners.apart.insert(due.gate.clone(), until).is_none() {
            let (canary, ticket) = (&due.canary.id, due.ticket.key.as_str());
            tracing::warn!(%canary, ticket, "{error}; the ticket makes reading several in one request fail, so it is read alone");
        }
    }

    /// Reads tickets alone, as many as one look may; the others come later.
    ///
    /// # Errors
    /// If Jira as a whole does not answer.
    pub(super) async fn read_alone(
        &self,
        due: &[&Due],
        found: &mut Found,
        now: Millis,
    ) -> Result<(), jira::Error> {
        let mut missing = Vec::new();
        for &due in due {
            if found.alone == MOST_ALONE {
                found.later.push(due.gate.clone());
                continue;
            }
            found.alone += 1;
            let id = &due.ticket.id;
            match self.jira.look_alone(id).await {
                Ok(reading) => {
                    let mut memory = self.memory();
                    memory.manners.failing.remove(&due.gate);
                    found.directly.insert(id.clone());
                    match reading {
                        Some(reading) => {
                            memory.manners.direct.insert(due.gate.clone(), (reading.total, now));
                            found.readings.insert(id.clone(), reading);
                        }
                        None => missing.push(due),
                    }
                }
                // One issue that cannot be read must not hide the others.
                Err(error) if error.is_of_one() => {
                    if matches!(error, jira::Error::Unreadable { .. }) {
                        found.odd.insert(id.clone());
                    }
                    self.cannot_read(due, &error, found);
                }
                Err(error) => return Err(error),
            }
        }
        self.prove_missing(&missing, found).await
    }

    fn cannot_read(&self, due: &Due, error: &jira::Error, found: &mut Found) {
        if !self.gatekeeper.unread().has(&due.gate) {
            let (canary, ticket) = (&due.canary.id, due.ticket.key.as_str());
            tracing::warn!(%canary, ticket, "{error}; the ticket stays as last seen, until jira.trust_for is over");
        }
        let mut memory = self.memory();
        let (before, poll_every) = (memory.nudge_failures, self.pace.poll_every);
        found.vain = Some(before.after(error, self.clock.now(), poll_every));
        let failing = memory.manners.failing.entry(due.gate.clone()).or_default();
        *failing = self.in_vain_again(*failing);
        drop(memory);
        found.unread.insert(due.ticket.id.clone(), self.explain(error));
    }

    /// A ticket that was read alone shows less than was seen before. It will as long as nobody moves it, so it is asked for ever more
    /// seldom: after Jira was restored that may be true of all tickets, each of which costs a request.
    pub(super) fn shows_less(&self, due: &Due) {
        let mut memory = self.memory();
        let older = memory.manners.older.entry(due.gate.clone()).or_default();
        *older = self.in_vain_again(*older);
    }

    fn in_vain_again(&self, before: Backoff) -> Backoff {
        before.doubled(self.pace.poll_every, self.clock.now(), self.slow_cycle())
    }

    /// What it means that Jira knows no such issues. It says so to strangers too, and to an account that may not see them: what
    /// cannot be proven is no news.
    async fn prove_missing(&self, missing: &[&Due], found: &mut Found) -> Result<(), jira::Error> {
        if missing.is_empty() {
            return Ok(());
        }
        self.jira.knows_us().await?;
        let mut projects: HashMap<&str, Browse> = HashMap::new();
        for due in missing {
            let browse = match projects.entry(due.ticket.project.as_str()) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(unknown) => match self.jira.browses(unknown.key()).await {
                    Ok(browse) => *unknown.insert(browse),
                    Err(error) if error.is_of_one() => *unknown.insert(Browse::Unproven),
                    Err(error) => return Err(error),
                },
            };
            let sighting = Sighting::Missing { browse };
            found.readings.insert(
                due.ticket.id.clone(),
                Reading {
                    sighting,
                    newest: 0,
                    is_whole: true,
                    total: None,
                    places: vec![],
                    span: None,
                    length: 0,
                },
            );
        }
        Ok(())
    }

    /// Reads a changelog as far back as it takes to tell who decided. Returns whether that is known; what was read is not lost.
    pub(super) async fn read_back(
        &self,
        due: &Due,
        reading: &mut Reading,
        statuses: &Statuses,
        found: &mut Found,
    ) -> Result<bool, jira::Error> {
        self.memory().manners.trails.join(&due.gate, reading);
        let known = due.canary.gate_by_id(&due.gate).and_then(|gate| gate.newest_move);
        while !suffices(reading, statuses, &due.gate, known) {
            if found.pages == MOST_PAGES {
                found.later.push(due.gate.clone());
                return Ok(false);
            }
            found.pages += 1;
            let page = match self.jira.look_back(&due.ticket.id, reading.before()).await {
                Ok(page) => page,
                Err(error) if error.is_of_one() => {
                    if matches!(error, jira::Error::Unreadable { .. }) {
                        // Perhaps it does not fit what is known, and that is what is wrong.
                        self.memory().manners.trails.forget(&due.gate);
                    }
                    self.cannot_read(due, &error, found);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            };
            reading.add(page);
            let trails = &mut self.memory().manners.trails;
            // By now it may reach what is known.
            trails.join(&due.gate, reading);
            trails.knows(&due.gate, reading);
        }
        Ok(true)
    }

    /// Whether a reading is older than what was seen before, or than one that was made past every index.
    pub(super) fn is_overtaken(&self, due: &Due, reading: &Reading) -> bool {
        let known = self.memory().manners.direct.get(&due.gate).and_then(|(known, _)| *known);
        reading.total.zip(known).is_some_and(|(length, known)| length < known)
            || (reading.is_whole && self.gatekeeper.knows_newer(&due.canary, &due.gate, &reading.sighting))
    }
}

/// Whether older entries of the changelog would tell nothing more. A decision may have been undone by any entry since, or by
/// one of nearly the same moment, so all of those must have been read, and be in order. `known` is the newest move that was
/// ever seen: what does not go back to it may be older than that.
fn suffices(reading: &Reading, statuses: &Statuses, gate: &GateId, known: Option<Millis>) -> bool {
    let Sighting::Issue { status, moves, .. } = &reading.sighting else { return true };
    let is_known = known
        .is_none_or(|known| reading.sighting.newest_move(gate) >= Some(known) || reading.goes_back_to(known));
    let is_explained = is_waiting(status, statuses)
        || decisive(status, moves, statuses).is_some_and(|entry| reading.goes_back_to(entry.told_since()));
    reading.is_whole || (is_known && is_explained)
}

fn is_waiting(status: &Status, statuses: &Statuses) -> bool {
    statuses.meaning(&status.id) == Meaning::Waiting
}
