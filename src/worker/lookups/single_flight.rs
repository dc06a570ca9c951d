//! Look-ups that several commands need at the same time: one asks Jira, and the others take what came of it, also that it
//! failed. Otherwise each would wait for `jira.timeout` after the other.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex},
};

use tokio::time::Instant;

use crate::{jira, worker::lock::lock};

/// When a look-up last failed, and how.
type LastFailure = Option<(Instant, jira::Error)>;

/// Look-ups of one kind, by what is looked up.
pub(super) struct SingleFlight<K>(Mutex<HashMap<K, Arc<tokio::sync::Mutex<LastFailure>>>>);

impl<K> Default for SingleFlight<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> SingleFlight<K> {
    /// Asks, unless another who asked meanwhile failed. What was found is kept by `asking` itself.
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
