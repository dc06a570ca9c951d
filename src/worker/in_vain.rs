//! What one look asked of Jira without success: it would fail for the next ticket too, and may take as long as
//! `jira.timeout` each time.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::jira;

/// After so many look-ups without an answer nothing more is looked up for this look.
const MOST_SILENT: usize = 3;

/// The look-ups of one look that failed.
#[derive(Default)]
pub(super) struct InVain(Mutex<State>);

#[derive(Default)]
struct State {
    failed: HashMap<String, jira::Error>,
    /// How many of them say that Jira does not answer at all.
    silent: usize,
}

impl InVain {
    /// Asks, unless that was asked in vain in this look.
    ///
    /// # Errors
    /// Those of `asking`, now or before.
    pub(super) async fn look_up<T>(
        &self,
        what: String,
        asking: impl Future<Output = Result<T, jira::Error>>,
    ) -> Result<T, jira::Error> {
        if let Some(error) = self.state().error(&what) {
            return Err(error);
        }
        let found = asking.await;
        if let Err(error) = &found {
            self.state().note(what, error);
        }
        found
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn error(&self, what: &str) -> Option<jira::Error> {
        let any = (self.silent >= MOST_SILENT).then(|| self.failed.values().find(|error| !error.is_of_one()));
        self.failed.get(what).or(any.flatten()).cloned()
    }

    fn note(&mut self, what: String, error: &jira::Error) {
        self.silent += usize::from(!error.is_of_one());
        self.failed.insert(what, error.clone());
    }
}
