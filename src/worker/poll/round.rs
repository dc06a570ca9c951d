//! One round of reading tickets: many in one request, and some alone.
//!
//! A bad ticket affects only itself. A request for many tickets that fails as a whole is halved, until the tickets
//! that make it fail are known; those are read alone from then on. Requests for single tickets wait for the combined
//! ones, and each round makes only a few of them.

use std::collections::{HashMap, HashSet, VecDeque, hash_map::Entry};

use crate::{
    gate::{Browse, GateId, IssueSnapshot, decisive, steps_need_history_since},
    jira::{self, Reading},
    millis::Millis,
    policy::{Meaning, Status, Statuses},
    worker::{
        context::Context,
        failures::Failures,
        lease::Term,
        lookups::RoundLookups,
        poll_queue::{DueTicket, MAX_ALONE},
        read_health::{ReadHealth, ReadTrigger},
    },
};

/// The most further pages of changelogs in one round. They are read last.
const MAX_PAGES: usize = 5;
/// A request for many tickets that failed this often, and worked for no part, would fail for any tickets.
const MAX_FAILURES: usize = 8;
/// How many tickets are tried alone to find out whether the request for many fails, or Jira as a whole.
const PROBES: usize = 2;

/// How tickets are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadMode {
    /// Many in one request.
    Together,
    /// Each in a request of its own, without an index.
    Alone,
}

/// The start of a round.
#[derive(Clone, Copy)]
pub(super) struct RoundStart {
    pub(super) trigger: ReadTrigger,
    pub(super) at: Millis,
    pub(super) term: Term,
}

/// A round that reads tickets.
pub(super) struct Round<'a> {
    pub(super) context: &'a Context,
    pub(super) health: &'a ReadHealth,
    pub(super) lookups: RoundLookups<'a>,
    pub(super) due: &'a [DueTicket],
    pub(super) started: RoundStart,
    pub(super) findings: RoundFindings,
}

/// What a round has found out so far.
#[derive(Default)]
pub(super) struct RoundFindings {
    /// By the id of the issue.
    pub(super) readings: HashMap<String, Reading>,
    /// Why tickets could not be read or interpreted, by the id of the issue.
    pub(super) unread: HashMap<String, String>,
    /// The issues among them that were read, and may be decided, each with the changelog entry of its newest move: only what
    /// that means is not known.
    pub(super) not_judged: HashMap<String, String>,
    /// Gates of tickets that are read alone, but not in this round.
    pub(super) deferred: Vec<GateId>,
    /// Gates of tickets that were not tried, because they failed a short time ago.
    pub(super) backing_off: HashSet<GateId>,
    /// Ids of issues that were read without an index.
    pub(super) directly: HashSet<String>,
    /// Ids of issues that were read alone, with an answer that cannot be interpreted.
    pub(super) unexpected: HashSet<String>,
    /// How often in a row reading single tickets failed, if it failed in this round.
    pub(super) fruitless: Option<Failures>,
    /// How many tickets were read alone.
    alone: usize,
    /// How many further pages were read.
    pages: usize,
    /// How many tickets had their approvals read.
    pub(super) approvals: usize,
}

impl Round<'_> {
    /// Reads these tickets together. A ticket without a reading was not seen.
    pub(super) async fn read_together(&mut self, due: &[&DueTicket]) -> Result<(), jira::Error> {
        let read = self.read_in_parts(due).await?;
        let is_current = |id: &str, reading: &Reading| {
            due.iter().any(|due| due.ticket.id == id && !self.is_overtaken(due, reading))
        };
        self.findings.readings = read.into_iter().filter(|(id, reading)| is_current(id, reading)).collect();
        Ok(())
    }

    async fn read_in_parts(&self, due: &[&DueTicket]) -> Result<HashMap<String, Reading>, jira::Error> {
        let ids: Vec<String> = due.iter().map(|due| due.ticket.id.clone()).collect();
        let mut read = HashMap::new();
        let (mut parts, mut failed, mut worked, mut is_jira_well) = (VecDeque::from([ids]), 0, 0, false);
        let mut halved = Vec::new();
        while let Some(part) = parts.pop_front() {
            let error = match self.context.jira.read_many(&part).await {
                Ok(readings) => {
                    worked += 1;
                    read.extend(readings);
                    continue;
                }
                Err(error) if error.is_about_object() => error,
                // Keeps what was read; the rest is read alone.
                Err(error) if read.is_empty() => return Err(error),
                Err(_) => break,
            };
            failed += 1;
            is_jira_well =
                is_jira_well || (self.health.tries_alone() && self.answers_alone(&part, &mut read).await);
            if !is_jira_well {
                return Err(error);
            }
            if worked == 0 && (failed == MAX_FAILURES || self.health.fails_together()) {
                self.switch_to_single_reads(&error);
                return Ok(read);
            }
            match part.len() {
                0 => {}
                1 => self.set_apart(due, &part[0], &error),
                many => {
                    let (first, second) = part.split_at(many / 2);
                    parts.extend([first.to_vec(), second.to_vec()]);
                    halved.push((part, error));
                }
            }
        }
        self.set_longest_apart(due, &halved, &read);
        if worked > 0 && self.health.worked_together() {
            tracing::info!("Jira lets the bridge read several tickets in one request again");
        }
        if worked > 0 {
            self.context.gatekeeper.unread_tickets().clear_one_by_one();
        }
        Ok(read)
    }

    /// Whether Jira answers a request for one of these tickets.
    async fn answers_alone(&self, part: &[String], read: &mut HashMap<String, Reading>) -> bool {
        let from = rand::random_range(0..part.len().max(1));
        for id in part.iter().cycle().skip(from).take(PROBES.min(part.len())) {
            match self.context.jira.read_alone(id).await {
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

    fn switch_to_single_reads(&self, error: &jira::Error) {
        let is_news = self.health.failed_together(error, self.started.at);
        self.context.gatekeeper.unread_tickets().one_by_one(&self.context.explain(error), self.started.at);
        if is_news {
            tracing::warn!(
                "{error}; this happens only if one request asks for several tickets, so the bridge reads them one by one, which takes longer"
            );
        }
    }

    /// If tickets could be read in parts, but not together, the longest of them is read alone from now on. Otherwise
    /// the request for all of them would fail each time.
    fn set_longest_apart(
        &self,
        due: &[&DueTicket],
        halved: &[(Vec<String>, jira::Error)],
        read: &HashMap<String, Reading>,
    ) {
        // The smallest parts come last.
        for (part, error) in halved.iter().rev() {
            let is_apart = |due: &&DueTicket| {
                part.contains(&due.ticket.id) && self.health.is_alone(&due.gate, self.started.at)
            };
            if due.iter().any(is_apart) || !part.iter().all(|id| read.contains_key(id)) {
                continue;
            }
            let longest = part.iter().max_by_key(|id| read.get(*id).map(|reading| reading.json_length));
            longest.into_iter().for_each(|id| self.set_apart(due, id, error));
        }
    }

    fn set_apart(&self, due: &[&DueTicket], id: &str, error: &jira::Error) {
        let Some(due) = due.iter().find(|due| due.ticket.id == *id) else { return };
        if self.health.set_apart(&due.gate, self.started.at) {
            let (canary, ticket) = (&due.canary.id, due.ticket.key.as_str());
            tracing::warn!(%canary, ticket, "{error}; requests for several tickets fail because of this one, so the bridge reads it alone");
        }
    }

    /// Reads tickets alone, as many as one round may. The others come later.
    pub(super) async fn read_alone(&mut self, due: &[&DueTicket]) -> Result<(), jira::Error> {
        let mut missing = Vec::new();
        for &due in due {
            if self.findings.alone == MAX_ALONE {
                self.findings.deferred.push(due.gate.clone());
                continue;
            }
            self.findings.alone += 1;
            let id = &due.ticket.id;
            match self.context.jira.read_alone(id).await {
                Ok(reading) => {
                    self.health.answered_alone(&due.gate, reading.as_ref(), self.started.at);
                    self.findings.directly.insert(id.clone());
                    match reading {
                        Some(reading) => drop(self.findings.readings.insert(id.clone(), reading)),
                        None => missing.push(due),
                    }
                }
                // One issue that cannot be read must not hide the others.
                Err(error) if error.is_about_object() => {
                    if matches!(error, jira::Error::Unreadable { .. }) {
                        self.findings.unexpected.insert(id.clone());
                    }
                    self.record_unread(due, &error);
                }
                Err(error) => return Err(error),
            }
        }
        self.prove_missing(&missing).await
    }

    fn record_unread(&mut self, due: &DueTicket, error: &jira::Error) {
        if !self.context.gatekeeper.unread_tickets().has(&due.gate) {
            let (canary, ticket) = (&due.canary.id, due.ticket.key.as_str());
            tracing::warn!(%canary, ticket, "{error}; the ticket stays as last seen, until jira.trust_for is over");
        }
        self.findings.fruitless = Some(self.health.failed_alone(&due.gate, error));
        self.findings.unread.insert(due.ticket.id.clone(), self.context.explain(error));
    }

    /// Interprets 404s. Jira also answers 404 to an anonymous caller, and to an account that may not see the issue:
    /// without proof, a 404 changes nothing.
    async fn prove_missing(&mut self, missing: &[&DueTicket]) -> Result<(), jira::Error> {
        if missing.is_empty() {
            return Ok(());
        }
        self.context.jira.verify_credentials().await?;
        let mut projects: HashMap<&str, Browse> = HashMap::new();
        for due in missing {
            let browse = match projects.entry(due.ticket.project.as_str()) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(unknown) => match self.context.jira.browse_permission(unknown.key()).await {
                    Ok(browse) => *unknown.insert(browse),
                    Err(error) if error.is_about_object() => *unknown.insert(Browse::Unproven),
                    Err(error) => return Err(error),
                },
            };
            let snapshot = IssueSnapshot::Missing { browse };
            self.findings.readings.insert(
                due.ticket.id.clone(),
                Reading {
                    snapshot,
                    entries_read: 0,
                    is_whole: true,
                    total: None,
                    positions: vec![],
                    span: None,
                    json_length: 0,
                },
            );
        }
        Ok(())
    }

    /// Reads a changelog as far back as needed to know who decided. Returns whether that is known; the pages that
    /// were read are kept.
    pub(super) async fn read_back(
        &mut self,
        due: &DueTicket,
        reading: &mut Reading,
        statuses: &Statuses,
    ) -> Result<bool, jira::Error> {
        let known = due.canary.gate_by_id(&due.gate).and_then(|gate| gate.newest_move);
        self.read_back_until(due, reading, |reading| suffices(reading, statuses, &due.gate, known)).await
    }

    /// The same as far back as this time.
    pub(super) async fn read_back_to(
        &mut self,
        due: &DueTicket,
        reading: &mut Reading,
        since: Millis,
    ) -> Result<bool, jira::Error> {
        self.read_back_until(due, reading, |reading| reading.covers_since(since)).await
    }

    async fn read_back_until(
        &mut self,
        due: &DueTicket,
        reading: &mut Reading,
        suffices: impl Fn(&Reading) -> bool,
    ) -> Result<bool, jira::Error> {
        self.health.join_trail(&due.gate, reading);
        while !suffices(reading) {
            if self.findings.pages == MAX_PAGES {
                self.findings.deferred.push(due.gate.clone());
                return Ok(false);
            }
            self.findings.pages += 1;
            let page = match self.context.jira.read_before(&due.ticket.id, reading.next_page()).await {
                Ok(page) => page,
                Err(error) if error.is_about_object() => {
                    if matches!(error, jira::Error::Unreadable { .. }) {
                        // The cached part of the changelog may be wrong.
                        self.health.forget_trail(&due.gate);
                    }
                    self.record_unread(due, &error);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            };
            reading.add(page);
            // It may reach the cached part now.
            self.health.extend_trail(&due.gate, reading);
        }
        Ok(true)
    }

    /// Whether a reading is older than an earlier one, or than one that was made without an index.
    fn is_overtaken(&self, due: &DueTicket, reading: &Reading) -> bool {
        let knows_newer = || self.context.gatekeeper.knows_newer(&due.canary, &due.gate, &reading.snapshot);
        self.health.shows_fewer_entries(&due.gate, reading) || (reading.is_whole && knows_newer())
    }
}

/// Whether older entries of the changelog would add nothing. Any later entry, or one of nearly the same moment, may
/// have undone a decision, so all of these must have been read, and be in order. `known` is the newest move ever
/// seen: a reading that does not go back to it may be older than that move.
fn suffices(reading: &Reading, statuses: &Statuses, gate: &GateId, known: Option<Millis>) -> bool {
    let IssueSnapshot::Issue { status, moves, .. } = &reading.snapshot else { return true };
    let is_known = known
        .is_none_or(|known| reading.snapshot.newest_move(gate) >= Some(known) || reading.covers_since(known));
    let is_explained = is_waiting(status, statuses)
        || decisive(status, moves, statuses)
            .is_some_and(|entry| reading.covers_since(entry.history_needed_since()));
    let are_steps_explained = steps_need_history_since(status, moves, statuses)
        .is_some_and(|since| since.is_none_or(|since| reading.covers_since(since)));
    reading.is_whole || (is_known && is_explained && are_steps_explained)
}

fn is_waiting(status: &Status, statuses: &Statuses) -> bool {
    statuses.meaning(&status.id) == Meaning::Waiting
}
