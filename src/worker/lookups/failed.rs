//! What one round asked of Jira without success: it would fail for the next ticket too, and may take as long as
//! `jira.timeout` each time.

use std::collections::HashMap;

use crate::jira;

/// After so many look-ups without an answer nothing more is looked up for this round.
const MOST_SILENT: usize = 3;

/// The look-ups of one round that failed.
#[derive(Default)]
pub(super) struct Failed {
    errors: HashMap<String, jira::Error>,
    /// How many of them say that Jira does not answer at all.
    silent: usize,
}

impl Failed {
    /// Asks, unless that was asked in vain in this round.
    pub(super) async fn or<T>(
        &mut self,
        what: String,
        asking: impl Future<Output = Result<T, jira::Error>>,
    ) -> Result<T, jira::Error> {
        if let Some(error) = self.error(&what) {
            return Err(error.clone());
        }
        let found = asking.await;
        if let Err(error) = &found {
            self.silent += usize::from(!error.is_of_one());
            self.errors.insert(what, error.clone());
        }
        found
    }

    fn error(&self, what: &str) -> Option<&jira::Error> {
        let any = || self.errors.values().find(|error| !error.is_of_one());
        self.errors.get(what).or_else(|| any().filter(|_| self.silent >= MOST_SILENT))
    }
}
