//! Whether Jira lets tickets be read at all, as the last rounds found.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use crate::{
    jira,
    millis::Millis,
    worker::{backoff::Backoff, lock::lock},
};

/// While Jira does not answer, single tickets are tried once in so many times.
const TRIED_ONCE_IN: u32 = 4;

/// Why tickets are read. One round of each kind may be under way at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::worker) enum Why {
    /// Somebody moved them.
    Nudged,
    /// They are due.
    Polled,
}

/// How often rounds failed in a row.
#[derive(Default)]
pub(super) struct Availability(Mutex<State>);

#[derive(Default)]
struct State {
    polls: Backoff,
    nudges: Backoff,
    /// Whether reading tickets that were moved failed last in a way that may be these tickets' own.
    nudges_fail_alone: bool,
}

/// What a round that worked means for the others.
pub(super) struct Worked {
    /// Whether Jira was away before.
    pub(super) is_back: bool,
    /// Whether polling works, too.
    pub(super) polls_work: bool,
}

impl State {
    const fn is_away(&self) -> bool {
        self.nudges.has_failed() || self.polls.has_failed()
    }

    const fn of(&mut self, why: Why) -> &mut Backoff {
        match why {
            Why::Nudged => &mut self.nudges,
            Why::Polled => &mut self.polls,
        }
    }
}

impl Availability {
    /// Whether nothing is read now. Where one kind of round failed the other makes no haste. But tickets that were moved, and
    /// cannot be read, keep no others from being polled; and where polling fails, that is tried first.
    pub(super) fn rests(&self, why: Why, now: Millis, poll_every: Duration) -> bool {
        let state = self.state();
        let (poll_at, nudge_at) = (state.polls.until(), state.nudges.until());
        let at = match why {
            Why::Polled if state.nudges_fail_alone => poll_at,
            // Unless nothing is there to be polled.
            Why::Nudged if state.polls.has_failed() => nudge_at.max(poll_at + poll_every),
            Why::Polled | Why::Nudged => nudge_at.max(poll_at),
        };
        now < at
    }

    /// A round failed. Returns whether that is news.
    pub(super) fn failed(&self, why: Why, error: &jira::Error, now: Millis, poll_every: Duration) -> bool {
        let mut state = self.state();
        let is_news = !state.is_away();
        state.of(why).fails(error, now, poll_every);
        if why == Why::Nudged {
            state.nudges_fail_alone = error.is_of_one();
        }
        is_news
    }

    /// A round worked; or none of its tickets could be read, and `vain` tells how often that was so.
    pub(super) fn worked(&self, why: Why, vain: Option<Backoff>) -> Worked {
        let mut state = self.state();
        let was_away = state.is_away();
        *state.of(why) = vain.unwrap_or_default();
        state.nudges_fail_alone |= vain.is_some();
        Worked { is_back: was_away && !state.is_away(), polls_work: !state.polls.has_failed() }
    }

    /// What becomes of reading what was moved, if none of it can be read for this error.
    pub(super) fn vain(&self, error: &jira::Error, now: Millis, poll_every: Duration) -> Backoff {
        self.state().nudges.after(error, now, poll_every)
    }

    /// Whether it is worth while to ask for one ticket alone: where Jira does not answer at all that costs requests.
    pub(super) fn tries_alone(&self) -> bool {
        let state = self.state();
        state.polls.failures().max(state.nudges.failures()).is_multiple_of(TRIED_ONCE_IN)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}
