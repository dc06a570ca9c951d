//! When failed commands were last tried, and when the parked ones are tried again. Kept in memory only, by the leader, for
//! the page.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use crate::{lock::lock, millis::Millis};

/// The attempts of failed commands.
#[derive(Default)]
pub struct Retries(Mutex<State>);

#[derive(Default)]
struct State {
    /// When each command was last tried, by its number.
    tried: HashMap<i64, Millis>,
    parked_at: Option<Millis>,
}

impl Retries {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// Records that this command failed and is retried by itself.
    pub fn failed(&self, command: i64, now: Millis) {
        self.state().tried.insert(command, now);
    }

    /// Forgets a command: it is done, or parked, which is stored.
    pub fn settled(&self, command: i64) {
        self.state().tried.remove(&command);
    }

    /// Records when all parked commands are tried again.
    pub fn set_parked_retry(&self, at: Millis) {
        self.state().parked_at = Some(at);
    }

    /// Forgets everything: another replica performs commands now.
    pub fn forget(&self) {
        *self.state() = State::default();
    }

    /// When this command was last tried, if it failed and is retried by itself.
    pub(super) fn tried_at(&self, command: i64) -> Option<Millis> {
        self.state().tried.get(&command).copied()
    }

    /// When all parked commands are tried again.
    pub(super) fn parked_retry(&self) -> Option<Millis> {
        self.state().parked_at
    }
}
