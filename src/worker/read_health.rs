//! How tickets can be read: whether at all, together with others, only alone, or not for a while. All that is known of it may
//! be lost.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use super::{context::Context, failures::Failures, lock::lock};
use crate::{
    gate::GateId,
    jira::{self, Reading},
    millis::Millis,
};

mod trail;

use trail::Trails;

/// How long a ticket is read alone until it is tried together with others again, in ms.
const APART_FOR: i64 = 3_600_000;
/// While Jira does not answer, single tickets are tried once in so many times.
const TRIED_ONCE_IN: u32 = 4;

/// Why tickets are read. One round of each kind may be under way at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadTrigger {
    /// They were moved, as a webhook says.
    Nudge,
    /// They are due.
    Poll,
}

/// What reading tickets has taught so far.
pub(super) struct ReadHealth {
    context: Arc<Context>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Rounds of tickets that were due.
    polls: Failures,
    /// Rounds of tickets that were moved.
    nudges: Failures,
    /// Whether these failed last in a way that may be their tickets' own.
    nudges_fail_alone: bool,
    /// Requests for many, which failed for any.
    together: Failures,
    /// Those that make a request for many fail, until when they are read alone.
    apart: HashMap<GateId, Millis>,
    /// Those that could not be read alone.
    failing: HashMap<GateId, Failures>,
    /// Those that showed less alone than was seen before, as in a Jira that was restored.
    older: HashMap<GateId, Failures>,
    /// What was read of changelogs beyond their newest entries.
    trails: Trails,
    /// How long each changelog was when it was last read past every index, if that was told, and when that was.
    direct: HashMap<GateId, (Option<usize>, Millis)>,
    /// Routes whose statuses could not be resolved, so that the log says so once.
    bad_routes: HashSet<String>,
}

impl State {
    const fn is_away(&self) -> bool {
        self.nudges.has_failed() || self.polls.has_failed()
    }

    const fn rounds(&mut self, why: ReadTrigger) -> &mut Failures {
        match why {
            ReadTrigger::Nudge => &mut self.nudges,
            ReadTrigger::Poll => &mut self.polls,
        }
    }
}

impl ReadHealth {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, state: Mutex::default() }
    }

    /// Whether nothing is read now. Where one kind of round failed the other makes no haste. But tickets that were moved, and
    /// cannot be read, keep no others from being polled; and where polling fails, that is tried first.
    pub(super) fn is_paused(&self, why: ReadTrigger, now: Millis) -> bool {
        let State { polls, nudges, nudges_fail_alone, .. } = &*lock(&self.state);
        let at = match why {
            ReadTrigger::Poll if *nudges_fail_alone => polls.until,
            // Unless nothing is there to be polled.
            ReadTrigger::Nudge if polls.has_failed() => {
                nudges.until.max(polls.until + self.context.config().jira.poll_every)
            }
            ReadTrigger::Poll | ReadTrigger::Nudge => nudges.until.max(polls.until),
        };
        now < at
    }

    /// A round failed. Returns whether Jira worked before.
    pub(super) fn failed(&self, why: ReadTrigger, error: &jira::Error, now: Millis) -> bool {
        let mut state = lock(&self.state);
        let worked = !state.is_away();
        state.rounds(why).record(error, now, self.context.config().jira.poll_every);
        if why == ReadTrigger::Nudge {
            state.nudges_fail_alone = error.is_about_object();
        }
        worked
    }

    /// A round worked; or none of its tickets could be read, and `vain` tells how often that was so. Returns whether Jira
    /// was away before and is not any more.
    pub(super) fn worked(&self, why: ReadTrigger, vain: Option<Failures>) -> bool {
        let mut state = lock(&self.state);
        let was_away = state.is_away();
        *state.rounds(why) = vain.unwrap_or_default();
        state.nudges_fail_alone |= vain.is_some();
        was_away && !state.is_away()
    }

    /// Whether rounds of tickets that are due work.
    pub(super) fn polls_work(&self) -> bool {
        !lock(&self.state).polls.has_failed()
    }

    /// Whether it is worth while to ask for one ticket alone: where Jira does not answer at all that costs requests.
    pub(super) fn tries_alone(&self) -> bool {
        let state = lock(&self.state);
        state.polls.count.max(state.nudges.count).is_multiple_of(TRIED_ONCE_IN)
    }

    /// Whether a ticket has to be read alone now.
    pub(super) fn is_alone(&self, gate: &GateId, now: Millis) -> bool {
        let state = lock(&self.state);
        state.together.is_backing_off(now) || state.apart.get(gate).is_some_and(|until| now < *until)
    }

    /// Whether it was tried alone in vain a short time ago.
    pub(super) fn is_tried(&self, gate: &GateId, now: Millis) -> bool {
        let state = lock(&self.state);
        [&state.failing, &state.older]
            .iter()
            .any(|all| all.get(gate).is_some_and(|tried| tried.is_backing_off(now)))
    }

    /// When it was last read past every index.
    pub(super) fn read_directly(&self, gate: &GateId) -> Option<Millis> {
        lock(&self.state).direct.get(gate).map(|(_, at)| *at)
    }

    /// Whether its changelog was longer when it was read past every index.
    pub(super) fn shows_fewer_entries(&self, gate: &GateId, reading: &Reading) -> bool {
        let known = lock(&self.state).direct.get(gate).and_then(|(known, _)| *known);
        reading.total.zip(known).is_some_and(|(length, known)| length < known)
    }

    /// Jira answered what was asked about it alone: with a reading, or that it is missing.
    pub(super) fn answered_alone(&self, gate: &GateId, reading: Option<&Reading>, now: Millis) {
        let mut state = lock(&self.state);
        state.failing.remove(gate);
        if let Some(reading) = reading {
            state.direct.insert(gate.clone(), (reading.total, now));
        }
    }

    /// It could not be read alone. Returns what becomes of rounds of tickets that were moved, if that is so for all of one.
    pub(super) fn failed_alone(&self, gate: &GateId, error: &jira::Error) -> Failures {
        let poll_every = self.context.config().jira.poll_every;
        let (state, now) = (&mut *lock(&self.state), self.context.clock.now());
        let failing = state.failing.entry(gate.clone()).or_default();
        failing.record_with_delay(poll_every, now, self.context.slow_cycle());
        let mut vain = state.nudges;
        vain.record(error, now, poll_every);
        vain
    }

    /// A ticket that was read alone shows less than was seen before. It will until it is moved, so it is asked for ever more
    /// seldom: after Jira was restored that may be true of all tickets, each of which costs a request.
    pub(super) fn back_off_incomplete(&self, gate: &GateId) {
        let poll_every = self.context.config().jira.poll_every;
        let (state, now) = (&mut *lock(&self.state), self.context.clock.now());
        let older = state.older.entry(gate.clone()).or_default();
        older.record_with_delay(poll_every, now, self.context.slow_cycle());
    }

    /// It shows what is known of it, or more.
    pub(super) fn is_up_to_date(&self, gate: &GateId) {
        lock(&self.state).older.remove(gate);
    }

    /// It makes requests for many fail, and is read alone for a while. Returns whether that is news.
    pub(super) fn set_apart(&self, gate: &GateId, now: Millis) -> bool {
        let until = Millis(now.0.saturating_add(APART_FOR));
        lock(&self.state).apart.insert(gate.clone(), until).is_none()
    }

    /// Whether requests for many failed for any, when they were last sent.
    pub(super) fn fails_together(&self) -> bool {
        lock(&self.state).together.has_failed()
    }

    /// A request for many failed as it would for any. Returns whether that is news.
    pub(super) fn failed_together(&self, error: &jira::Error, now: Millis) -> bool {
        lock(&self.state).together.record(error, now, self.context.config().jira.trust_for)
    }

    /// A request for many worked. Returns whether that is news.
    pub(super) fn worked_together(&self) -> bool {
        std::mem::take(&mut lock(&self.state).together).has_failed()
    }

    /// The statuses of this route cannot be resolved. Returns whether that is news.
    pub(super) fn is_bad(&self, route: &str) -> bool {
        lock(&self.state).bad_routes.insert(route.to_owned())
    }

    /// The statuses of this route are resolved.
    pub(super) fn is_good(&self, route: &str) {
        lock(&self.state).bad_routes.remove(route);
    }

    /// Adds to what an answer shows of a changelog what is known of the part before that.
    pub(super) fn join_trail(&self, gate: &GateId, reading: &mut Reading) {
        lock(&self.state).trails.join(gate, reading);
    }

    /// The same, and keeps all of it.
    pub(super) fn extend_trail(&self, gate: &GateId, reading: &mut Reading) {
        let trails = &mut lock(&self.state).trails;
        trails.join(gate, reading);
        trails.knows(gate, reading);
    }

    /// Forgets what is known of a changelog.
    pub(super) fn forget_trail(&self, gate: &GateId) {
        lock(&self.state).trails.remove(gate);
    }

    /// Forgets all tickets but those of live gates.
    pub(super) fn retain(&self, live: &HashSet<&GateId>, now: Millis) {
        let mut state = lock(&self.state);
        state.apart.retain(|gate, until| live.contains(gate) && now < *until);
        state.failing.retain(|gate, _| live.contains(gate));
        state.older.retain(|gate, _| live.contains(gate));
        state.trails.retain(live);
        state.direct.retain(|gate, _| live.contains(gate));
    }
}
