//! A Jira in memory, and what tests see of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    delivery::Delivery,
    model::{IssueView, Setup},
    recorded::Recorded,
    state::State,
};

/// A Jira in memory. Clones are the same Jira.
#[derive(Clone)]
pub struct FakeJira(Arc<Mutex<State>>);

impl FakeJira {
    /// An empty Jira with the projects `OPS` and `PAY`, each with the issue types `Change` and `Task`.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self(Arc::new(Mutex::new(State::new(setup))))
    }

    /// Every issue that exists, the oldest first.
    #[must_use]
    pub fn issues(&self) -> Vec<IssueView> {
        let state = self.lock();
        state.issues.keys().filter_map(|id| state.view(*id)).collect()
    }

    /// One issue by id, key or a key it had before it was moved.
    #[must_use]
    pub fn issue(&self, id_or_key: &str) -> Option<IssueView> {
        let state = self.lock();
        state.find(id_or_key).and_then(|id| state.view(id))
    }

    /// Every request to the REST API since the last [`FakeJira::clear_requests`], in order. The page is not recorded.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.lock().requests.clone()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.lock().requests.clear();
    }

    /// What the caller did that no caller of Jira's REST API should: unknown fields, invalid documents, wrong media
    /// types, unbounded searches, paths that do not exist. Refusals for other reasons (a field that is not on the
    /// screen, a transition that is not available, an issue that is gone) are not in here.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.lock().complaints.clone()
    }

    /// What was posted to the webhooks, in the order the answers came.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.lock().deliveries.clone()
    }

    /// How many bytes of [`super::Fault::Flood`] callers have taken, with what was still on its way.
    #[must_use]
    pub fn flooded(&self) -> u64 {
        self.lock().flooded
    }

    /// Whether the request that came last will not be answered for long.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.lock().silent
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
