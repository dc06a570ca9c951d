//! The fake Jira, and what tests can read from it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    delivery::Delivery,
    model::{IssueView, Setup},
    recorded::Recorded,
    state::State,
};

/// A fake Jira in memory. Clones share their state.
#[derive(Clone)]
pub struct FakeJira(Arc<Mutex<State>>);

impl FakeJira {
    /// An empty Jira with the projects `OPS` and `PAY`, each with the issue types `Change` and `Task`.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self(Arc::new(Mutex::new(State::new(setup))))
    }

    /// All issues, oldest first.
    #[must_use]
    pub fn issues(&self) -> Vec<IssueView> {
        let state = self.lock();
        state.issues.keys().filter_map(|id| state.view(*id)).collect()
    }

    /// An issue by its id, its key, or a key that it had before a move.
    #[must_use]
    pub fn issue(&self, id_or_key: &str) -> Option<IssueView> {
        let state = self.lock();
        state.find_issue(id_or_key).and_then(|id| state.view(id))
    }

    /// Every request to the REST API since the last [`FakeJira::clear_requests`], in order. Requests to the pages are
    /// not recorded.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.lock().requests.clone()
    }

    /// Discards the recorded requests.
    pub fn clear_requests(&self) {
        self.lock().requests.clear();
    }

    /// The mistakes of the caller, which every Jira would reject: unknown fields, invalid documents, wrong media types,
    /// unbounded searches, unknown paths. Requests that are rejected because of this Jira's configuration or state (a
    /// field that is not on the screen, a transition that is not available, a deleted issue) are not included.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.lock().complaints.clone()
    }

    /// The deliveries to the webhooks, in the order in which they completed.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.lock().deliveries.clone()
    }

    /// How many bytes of [`super::Fault::Flood`] were sent, including buffered bytes that the caller has not read.
    #[must_use]
    pub fn flooded(&self) -> u64 {
        self.lock().flooded_bytes
    }

    /// Whether the answer to the last request is delayed by a fault.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.lock().answer_delayed
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
