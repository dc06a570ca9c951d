//! How each ticket can be read: together with others, only alone, or not for a while. All of it may be lost.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
};

use super::{backoff::Backoff, context::Context, lock::lock};
use crate::{
    gate::GateId,
    jira::{self, Reading},
    millis::Millis,
};

mod trail;

use trail::Trails;

/// How long a ticket is read alone until it is tried together with others again, in ms.
const APART_FOR: i64 = 3_600_000;

/// What reading tickets has taught so far.
pub(super) struct ReadModes {
    context: Arc<Context>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those that make a request for many fail, until when they are read alone.
    apart: HashMap<GateId, Millis>,
    /// Those that could not be read alone.
    failing: HashMap<GateId, Backoff>,
    /// Those that showed less alone than was seen before, as in a Jira that was restored.
    older: HashMap<GateId, Backoff>,
    /// Requests for many, which failed for any.
    together: Backoff,
    /// What was read of changelogs beyond their newest entries.
    trails: Trails,
    /// How long each changelog was when it was last read past every index, if that was told, and when that was.
    direct: HashMap<GateId, (Option<usize>, Millis)>,
    /// Routes whose statuses could not be resolved, so that the log says so once.
    bad_routes: HashSet<String>,
}

impl ReadModes {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, state: Mutex::default() }
    }

    /// Whether it has to be read alone now.
    pub(super) fn is_alone(&self, gate: &GateId, now: Millis) -> bool {
        let state = self.state();
        state.together.rests(now) || state.apart.get(gate).is_some_and(|until| now < *until)
    }

    /// Whether it was tried alone in vain a short time ago.
    pub(super) fn rests(&self, gate: &GateId, now: Millis) -> bool {
        let state = self.state();
        [&state.failing, &state.older].iter().any(|all| all.get(gate).is_some_and(|tried| tried.rests(now)))
    }

    /// When the ticket was last read past every index.
    pub(super) fn read_directly(&self, gate: &GateId) -> Option<Millis> {
        self.state().direct.get(gate).map(|(_, at)| *at)
    }

    /// Whether a changelog was longer when it was read past every index.
    pub(super) fn was_longer(&self, gate: &GateId, reading: &Reading) -> bool {
        let known = self.state().direct.get(gate).and_then(|(known, _)| *known);
        reading.total.zip(known).is_some_and(|(length, known)| length < known)
    }

    /// Jira answered what was asked about this ticket alone: with a reading, or that it is missing.
    pub(super) fn answered_alone(&self, gate: &GateId, reading: Option<&Reading>, now: Millis) {
        let mut state = self.state();
        state.failing.remove(gate);
        if let Some(reading) = reading {
            state.direct.insert(gate.clone(), (reading.total, now));
        }
    }

    /// It could not be read alone.
    pub(super) fn failed_alone(&self, gate: &GateId) {
        self.rest(self.state().failing.entry(gate.clone()).or_default());
    }

    /// A ticket that was read alone shows less than was seen before. It will as long as nobody moves it, so it is asked for ever more
    /// seldom: after Jira was restored that may be true of all tickets, each of which costs a request.
    pub(super) fn shows_less(&self, gate: &GateId) {
        self.rest(self.state().older.entry(gate.clone()).or_default());
    }

    /// It shows what is known of it, or more.
    pub(super) fn is_up_to_date(&self, gate: &GateId) {
        self.state().older.remove(gate);
    }

    /// The first time it is tried again with the next cycle, then after twice as long each time.
    fn rest(&self, tried: &mut Backoff) {
        let Context { pace, clock, .. } = &*self.context;
        *tried = tried.doubled(pace.poll_every, clock.now(), self.context.slow_cycle());
    }

    /// It makes requests for many fail, and is read alone for a while. Returns whether that is news.
    pub(super) fn set_apart(&self, gate: &GateId, now: Millis) -> bool {
        let until = Millis(now.0.saturating_add(APART_FOR));
        self.state().apart.insert(gate.clone(), until).is_none()
    }

    /// Whether requests for many failed for any, when they were last sent.
    pub(super) fn fails_together(&self) -> bool {
        self.state().together.has_failed()
    }

    /// A request for many failed as it would for any. Returns whether that is news.
    pub(super) fn failed_together(&self, error: &jira::Error, now: Millis) -> bool {
        self.state().together.fails(error, now, self.context.gatekeeper.timing().trust_for)
    }

    /// A request for many worked. Returns whether that is news.
    pub(super) fn worked_together(&self) -> bool {
        std::mem::take(&mut self.state().together).has_failed()
    }

    /// The statuses of this route cannot be resolved. Returns whether that is news.
    pub(super) fn is_bad(&self, route: &str) -> bool {
        self.state().bad_routes.insert(route.to_owned())
    }

    /// The statuses of this route are resolved.
    pub(super) fn is_good(&self, route: &str) {
        self.state().bad_routes.remove(route);
    }

    /// Adds to what an answer shows of a changelog what is known of the part before that.
    pub(super) fn join_trail(&self, gate: &GateId, reading: &mut Reading) {
        self.state().trails.join(gate, reading);
    }

    /// The same, and keeps all of it.
    pub(super) fn extend_trail(&self, gate: &GateId, reading: &mut Reading) {
        let trails = &mut self.state().trails;
        trails.join(gate, reading);
        trails.knows(gate, reading);
    }

    /// Forgets what is known of a changelog.
    pub(super) fn forget_trail(&self, gate: &GateId) {
        self.state().trails.forget(gate);
    }

    /// Forgets all but those that live.
    pub(super) fn keep(&self, live: &HashSet<&GateId>, now: Millis) {
        let mut state = self.state();
        state.apart.retain(|gate, until| live.contains(gate) && now < *until);
        state.failing.retain(|gate, _| live.contains(gate));
        state.older.retain(|gate, _| live.contains(gate));
        state.trails.keep(live);
        state.direct.retain(|gate, _| live.contains(gate));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
