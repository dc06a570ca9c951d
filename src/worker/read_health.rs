//! How tickets can be read at present: not at all, together with others, only alone, or not for a while. Losing this
//! is harmless.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use super::{context::Context, failures::Failures};
use crate::{
    gate::GateId,
    jira::{self, Reading},
    lock::lock,
    millis::Millis,
};

mod trail;

use trail::Trails;

/// How long a ticket is read alone before it is tried together with others again, in ms.
const APART_FOR: i64 = 3_600_000;
/// While Jira does not answer, single tickets are tried once in this many rounds.
const PROBE_EVERY: u32 = 4;

/// Why tickets are read. At most one round of each kind runs at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadTrigger {
    /// A webhook reported that they were moved.
    Nudge,
    /// They are due.
    Poll,
}

/// What earlier readings showed about reading tickets.
pub(super) struct ReadHealth {
    context: Arc<Context>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Failures of rounds of due tickets.
    polls: Failures,
    /// Failures of rounds of nudged tickets.
    nudges: Failures,
    /// Whether the last failure of `nudges` may concern its tickets only.
    nudges_fail_alone: bool,
    /// Failures of requests for many tickets that would fail for any tickets.
    together: Failures,
    /// Tickets that make a request for many fail, each with until when it is read alone.
    apart: HashMap<GateId, Millis>,
    /// Tickets that could not be read alone.
    failing: HashMap<GateId, Failures>,
    /// Tickets that showed less alone than was seen before, as in a restored Jira.
    incomplete: HashMap<GateId, Failures>,
    /// Cached parts of changelogs, beyond their newest entries.
    trails: Trails,
    /// How long each changelog was when it was last read without an index, if known, and when that was.
    direct_reads: HashMap<GateId, (Option<usize>, Millis)>,
    /// Routes with statuses that could not be resolved, so that the log says so once.
    bad_routes: HashSet<String>,
}

impl State {
    const fn is_away(&self) -> bool {
        self.nudges.has_failed() || self.polls.has_failed()
    }

    const fn rounds(&mut self, trigger: ReadTrigger) -> &mut Failures {
        match trigger {
            ReadTrigger::Nudge => &mut self.nudges,
            ReadTrigger::Poll => &mut self.polls,
        }
    }
}

impl ReadHealth {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, state: Mutex::default() }
    }

    /// Whether nothing is read now. After a failure of one kind of round, the other kind backs off, too. But nudged
    /// tickets that cannot be read do not stop polling; and while polling fails, polling is retried first.
    pub(super) fn is_paused(&self, trigger: ReadTrigger, now: Millis) -> bool {
        now < self.resumes_at(trigger)
    }

    /// From when on tickets are read.
    pub(super) fn resumes_at(&self, trigger: ReadTrigger) -> Millis {
        let State { polls, nudges, nudges_fail_alone, .. } = &*lock(&self.state);
        match trigger {
            ReadTrigger::Poll if *nudges_fail_alone => polls.until,
            // Polling goes first. After `poll_every`, nudges go on even if there was nothing to poll.
            ReadTrigger::Nudge if polls.has_failed() => {
                nudges.until.max(polls.until + self.context.config().jira.poll_every)
            }
            ReadTrigger::Poll | ReadTrigger::Nudge => nudges.until.max(polls.until),
        }
    }

    /// Ends all pauses after failed rounds.
    pub(super) fn retry_now(&self) {
        let state = &mut *lock(&self.state);
        state.nudges.until = Millis(0);
        state.polls.until = Millis(0);
    }

    /// Records that a round failed. Returns whether Jira worked before.
    pub(super) fn failed(&self, trigger: ReadTrigger, error: &jira::Error, now: Millis) -> bool {
        let mut state = lock(&self.state);
        let worked = !state.is_away();
        state.rounds(trigger).record(error, now, self.context.config().jira.poll_every);
        if trigger == ReadTrigger::Nudge {
            state.nudges_fail_alone = error.is_about_object();
        }
        worked
    }

    /// Records that a round worked; or, with `fruitless`, that none of its tickets could be read, and how often in a
    /// row.
    /// Returns whether an outage of Jira is over.
    pub(super) fn worked(&self, trigger: ReadTrigger, fruitless: Option<Failures>) -> bool {
        let mut state = lock(&self.state);
        let was_away = state.is_away();
        *state.rounds(trigger) = fruitless.unwrap_or_default();
        state.nudges_fail_alone |= fruitless.is_some();
        was_away && !state.is_away()
    }

    /// Whether rounds of due tickets work.
    pub(super) fn polls_work(&self) -> bool {
        !lock(&self.state).polls.has_failed()
    }

    /// Whether to try a ticket alone. While Jira does not answer at all, that is done only sometimes, because it
    /// costs requests.
    pub(super) fn tries_alone(&self) -> bool {
        let state = lock(&self.state);
        state.polls.count.max(state.nudges.count).is_multiple_of(PROBE_EVERY)
    }

    /// Whether a ticket has to be read alone now.
    pub(super) fn is_alone(&self, gate: &GateId, now: Millis) -> bool {
        let state = lock(&self.state);
        state.together.is_backing_off(now) || state.apart.get(gate).is_some_and(|until| now < *until)
    }

    /// Whether reading it alone failed a short time ago.
    pub(super) fn failed_recently(&self, gate: &GateId, now: Millis) -> bool {
        let state = lock(&self.state);
        [&state.failing, &state.incomplete]
            .iter()
            .any(|all| all.get(gate).is_some_and(|tried| tried.is_backing_off(now)))
    }

    /// When it was last read without an index.
    pub(super) fn read_directly(&self, gate: &GateId) -> Option<Millis> {
        lock(&self.state).direct_reads.get(gate).map(|(_, at)| *at)
    }

    /// Whether its changelog was longer when it was read without an index.
    pub(super) fn shows_fewer_entries(&self, gate: &GateId, reading: &Reading) -> bool {
        let known = lock(&self.state).direct_reads.get(gate).and_then(|(known, _)| *known);
        reading.total.zip(known).is_some_and(|(length, known)| length < known)
    }

    /// Records Jira's answer about a single ticket: a reading, or that it is missing.
    pub(super) fn answered_alone(&self, gate: &GateId, reading: Option<&Reading>, now: Millis) {
        let mut state = lock(&self.state);
        state.failing.remove(gate);
        if let Some(reading) = reading {
            state.direct_reads.insert(gate.clone(), (reading.total, now));
        }
    }

    /// Records that a ticket could not be read alone. Returns the failures of nudge rounds for the case that this
    /// holds for all tickets of the round.
    pub(super) fn failed_alone(&self, gate: &GateId, error: &jira::Error) -> Failures {
        let poll_every = self.context.config().jira.poll_every;
        let (state, now) = (&mut *lock(&self.state), self.context.clock.now());
        let failing = state.failing.entry(gate.clone()).or_default();
        failing.record_with_delay(poll_every, now, self.context.slow_cycle());
        let mut fruitless = state.nudges;
        fruitless.record(error, now, poll_every);
        fruitless
    }

    /// Records that a ticket, read alone, shows less than was seen before. That lasts until it is moved, so it is
    /// read less and less often: after Jira was restored, this may hold for all tickets, and each of them costs a
    /// request.
    pub(super) fn back_off_incomplete(&self, gate: &GateId) {
        let poll_every = self.context.config().jira.poll_every;
        let (state, now) = (&mut *lock(&self.state), self.context.clock.now());
        let older = state.incomplete.entry(gate.clone()).or_default();
        older.record_with_delay(poll_every, now, self.context.slow_cycle());
    }

    /// Records that a ticket shows all that is known of it.
    pub(super) fn is_up_to_date(&self, gate: &GateId) {
        lock(&self.state).incomplete.remove(gate);
    }

    /// Records that a ticket makes requests for many fail. It is read alone for a while. Returns whether that is new.
    pub(super) fn set_apart(&self, gate: &GateId, now: Millis) -> bool {
        let until = Millis(now.0.saturating_add(APART_FOR));
        lock(&self.state).apart.insert(gate.clone(), until).is_none()
    }

    /// Whether requests for many tickets failed when they were last sent.
    pub(super) fn fails_together(&self) -> bool {
        lock(&self.state).together.has_failed()
    }

    /// Records that a request for many tickets failed, as it would for any tickets. Returns whether that is new.
    pub(super) fn failed_together(&self, error: &jira::Error, now: Millis) -> bool {
        lock(&self.state).together.record(error, now, self.context.config().jira.trust_for)
    }

    /// Records that a request for many tickets worked. Returns whether that is new.
    pub(super) fn worked_together(&self) -> bool {
        std::mem::take(&mut lock(&self.state).together).has_failed()
    }

    /// Records that the statuses of this route cannot be resolved. Returns whether that is new.
    pub(super) fn mark_route_bad(&self, route: &str) -> bool {
        lock(&self.state).bad_routes.insert(route.to_owned())
    }

    /// Records that the statuses of this route are resolved.
    pub(super) fn mark_route_good(&self, route: &str) {
        lock(&self.state).bad_routes.remove(route);
    }

    /// Adds the cached part of a changelog to a reading.
    pub(super) fn join_trail(&self, gate: &GateId, reading: &mut Reading) {
        lock(&self.state).trails.join(gate, reading);
    }

    /// The same, and caches the result.
    pub(super) fn extend_trail(&self, gate: &GateId, reading: &mut Reading) {
        let trails = &mut lock(&self.state).trails;
        trails.join(gate, reading);
        trails.cache(gate, reading);
    }

    /// Drops the cached part of a changelog.
    pub(super) fn forget_trail(&self, gate: &GateId) {
        lock(&self.state).trails.remove(gate);
    }

    /// Forgets all tickets except those of live gates.
    pub(super) fn retain(&self, live: &HashSet<&GateId>, now: Millis) {
        let mut state = lock(&self.state);
        state.apart.retain(|gate, until| live.contains(gate) && now < *until);
        state.failing.retain(|gate, _| live.contains(gate));
        state.incomplete.retain(|gate, _| live.contains(gate));
        state.trails.retain(live);
        state.direct_reads.retain(|gate, _| live.contains(gate));
    }
}
