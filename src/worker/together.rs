//! Look-ups that several commands need at the same time: one asks Jira, and the others take what came of it, also that it
//! failed. Otherwise each would wait for `jira.timeout` after the other.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::time::Instant;

use crate::jira;

/// When a look-up last failed, and how.
type Failed = Option<(Instant, jira::Error)>;

/// Look-ups of one kind, by what is looked up.
pub(super) struct Together<K>(Mutex<HashMap<K, Arc<tokio::sync::Mutex<Failed>>>>);

impl<K> Default for Together<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Together<K> {
    /// Asks, unless somebody who asked meanwhile failed. What was found is kept by `asking` itself.
    ///
    /// # Errors
    /// Those of `asking`, or of whoever asked meanwhile.
    pub(super) async fn look_up<T>(
        &self,
        what: K,
        asking: impl Future<Output = Result<T, jira::Error>>,
    ) -> Result<T, jira::Error> {
        let began = Instant::now();
        let asks = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default());
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
