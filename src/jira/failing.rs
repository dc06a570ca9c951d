//! Whether the last request to Jira failed.

use std::sync::Mutex;

use super::error::Error;
use crate::{lock::lock, millis::Millis};

/// The requests since Jira's last answer failed. Times are by the bridge's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// When the first of them failed.
    pub since: Millis,
    /// When the last of them failed.
    pub tried: Millis,
    /// Why the last one failed.
    pub why: String,
}

/// How the last request ended.
#[derive(Default)]
pub(super) struct LastRequest(Mutex<Option<Failing>>);

impl LastRequest {
    /// Records that Jira answered.
    pub(super) fn answered(&self) {
        *lock(&self.0) = None;
    }

    /// Records that a request failed. If Jira asked to wait, it answered.
    pub(super) fn failed(&self, error: &Error, now: Millis) {
        if let Error::Throttled { .. } = error {
            return self.answered();
        }
        let mut last = lock(&self.0);
        let since = last.as_ref().map_or(now, |failing| failing.since);
        *last = Some(Failing { since, tried: now, why: error.to_string() });
    }

    /// The failed requests since the last answer, if there are any.
    pub(super) fn failing(&self) -> Option<Failing> {
        lock(&self.0).clone()
    }
}
