//! A Jira in memory, Cloud or Data Center: it keeps issues, answers Jira's REST API over HTTP, posts Jira's webhooks,
//! shows a page to click in, and checks what it is sent as strictly as Jira does.
//!
//! It is written from Jira's side alone and shares nothing with the bridge's client, so that a mistake there cannot be
//! repeated here.

mod adf;
mod administer;
mod answer;
mod auth;
mod body;
mod call;
mod changelog;
mod check;
mod comments;
mod configure;
mod directory;
mod edit;
mod faults;
mod html;
mod issues;
mod jql;
mod links;
mod meta;
mod model;
mod page;
mod people;
mod render;
mod route;
mod search;
mod serve;
mod state;
#[cfg(test)]
mod tests;
mod time;
mod transitions;
mod webhook;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::state::State;
pub use self::{
    adf::text,
    administer::Backup,
    faults::{Fault, Times},
    model::{
        AUTOMATION, AccountKind, BOB, BRIDGE, Category, Change, Comment, Field, Flavour, History, IssueView,
        Link, MIA, Person, Setup, Shape, Status, Transition, Workflow,
    },
    route::Operation,
    serve::{Credentials, Recorded},
    time::{EpochMillis, TimeSource},
    webhook::{Delivery, signature},
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

    /// How many bytes of [`Fault::Flood`] callers have taken, with what was still on its way.
    #[must_use]
    pub fn flooded(&self) -> u64 {
        self.lock().flooded
    }

    /// Whether the request that came last will not be answered for long.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.lock().silent
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
