//! Lookups that several commands need at the same time: one command asks Jira, and the others share the result, even
//! an error. Otherwise they would wait for `jira.timeout` one after another.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex},
};

use tokio::time::Instant;

use crate::{jira, lock::lock};

/// When a lookup last failed, and with which error.
type LastFailure = Option<(Instant, jira::Error)>;

/// Lookups of one kind, by key.
pub(super) struct SingleFlight<K>(Mutex<HashMap<K, Arc<tokio::sync::Mutex<LastFailure>>>>);

impl<K> Default for SingleFlight<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> SingleFlight<K> {
    /// Asks, unless a concurrent call failed meanwhile. `asking` itself caches what it finds.
    pub(super) async fn join<T>(
        &self,
        what: K,
        asking: impl Future<Output = Result<T, jira::Error>>,
    ) -> Result<T, jira::Error> {
        let began = Instant::now();
        let asks = Arc::clone(lock(&self.0).entry(what).or_default());
        let mut failed = asks.lock().await;
        if let Some((at, error)) = failed.as_ref()
            && *at >= began
        {
            return Err(error.clone());
        }
        let found = asking.await;
        *failed = found.as_ref().err().map(|error| (Instant::now(), error.clone()));
        found
    }
}
