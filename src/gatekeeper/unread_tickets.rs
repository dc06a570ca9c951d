//! Tickets that could not be read recently, and why: part of the reason why a gate is closed. Kept in memory only, by
//! the leader.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard},
};

use crate::{gate::GateId, lock::lock, millis::Millis};

/// The tickets that could not be read.
#[derive(Default)]
pub struct UnreadTickets(Mutex<State>);

#[derive(Default)]
struct State {
    all: Option<NoneRead>,
    one_by_one: Option<UnreadSince>,
    some: HashMap<GateId, UnreadSince>,
}

/// That no ticket can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoneRead {
    /// Since when.
    pub since: Millis,
    /// When that was last tried.
    pub tried: Millis,
    /// When it is tried again.
    pub next: Millis,
    /// The reason, for people.
    pub why: String,
}

/// Since when a ticket cannot be read, and why.
#[derive(Clone)]
pub(super) struct UnreadSince {
    /// When that was first noticed.
    pub(super) since: Millis,
    /// The reason, for people.
    pub(super) why: String,
}

impl UnreadTickets {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// Records that no ticket could be read, and when that is tried again.
    pub fn all_failed(&self, why: &str, now: Millis, next: Millis) {
        let all = &mut self.state().all;
        let since = all.as_ref().map_or(now, |trouble| trouble.since);
        *all = Some(NoneRead { since, tried: now, next, why: why.to_owned() });
    }

    /// Records that the tickets of these gates were read, except those with a reason why not.
    pub fn read<'a>(&self, gates: impl IntoIterator<Item = (&'a GateId, Option<String>)>, now: Millis) {
        let mut state = self.state();
        state.all = None;
        for (gate, why) in gates {
            match why {
                None => drop(state.some.remove(gate)),
                Some(why) => {
                    let since = state.some.get(gate).map_or(now, |trouble| trouble.since);
                    state.some.insert(gate.clone(), UnreadSince { since, why });
                }
            }
        }
    }

    /// Records that requests for several tickets are refused, so that each ticket is read alone.
    pub fn one_by_one(&self, why: &str, now: Millis) {
        self.state().one_by_one.get_or_insert_with(|| UnreadSince { since: now, why: why.to_owned() });
    }

    /// Records that several tickets can be read in one request.
    pub fn clear_one_by_one(&self) {
        self.state().one_by_one = None;
    }

    /// Since when tickets are read one by one, and why.
    #[must_use]
    pub fn why_one_by_one(&self) -> Option<(Millis, String)> {
        self.state().one_by_one.clone().map(|trouble| (trouble.since, trouble.why))
    }

    /// Since when no ticket at all can be read, and why.
    #[must_use]
    pub fn all(&self) -> Option<NoneRead> {
        self.state().all.clone()
    }

    /// Forgets all gates except live ones. Without live gates no ticket is read, so nothing is known about reading.
    pub fn retain(&self, live: &HashSet<&GateId>) {
        let mut state = self.state();
        state.some.retain(|gate, _| live.contains(gate));
        if live.is_empty() {
            state.all = None;
        }
    }

    /// Forgets everything: another replica reads tickets now.
    pub fn forget(&self) {
        *self.state() = State::default();
    }

    /// Whether the ticket of this gate could not be read when it was last tried.
    pub fn has(&self, gate: &GateId) -> bool {
        self.state().some.contains_key(gate)
    }

    /// Since when the ticket of this gate alone cannot be read or judged, and why.
    #[must_use]
    pub fn since(&self, gate: &GateId) -> Option<(Millis, String)> {
        self.state().some.get(gate).map(|trouble| (trouble.since, trouble.why.clone()))
    }

    /// Since when the ticket of this gate cannot be read, and why.
    pub(super) fn unread_since(&self, gate: &GateId) -> Option<UnreadSince> {
        let state = self.state();
        let all = || state.all.as_ref().map(|all| UnreadSince { since: all.since, why: all.why.clone() });
        state.some.get(gate).cloned().or_else(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn troubled(gate: &GateId) -> UnreadTickets {
        let unread = UnreadTickets::default();
        unread.read([(gate, Some("it is gone".to_owned()))], Millis(1));
        unread.all_failed("Jira does not answer", Millis(2), Millis(3));
        unread
    }

    #[test]
    fn without_a_live_gate_no_trouble_is_reported() {
        let gate = GateId("one".into());
        let unread = troubled(&gate);
        unread.retain(&HashSet::from([&gate]));
        assert!(unread.all().is_some() && unread.has(&gate));
        unread.retain(&HashSet::from([&GateId("other".into())]));
        assert!(unread.all().is_some() && !unread.has(&gate));
        unread.retain(&HashSet::new());
        assert_eq!(unread.all(), None);
    }

    #[test]
    fn a_standby_forgets_everything() {
        let gate = GateId("one".into());
        let unread = troubled(&gate);
        unread.forget();
        assert!(unread.all().is_none() && unread.unread_since(&gate).is_none());
    }
}
