//! What was last read of each canary that approvals are bound to.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{lock::lock, millis::Millis, rollout::CanaryId, workload::Shown};

/// When there are so many, those that are too old are dropped.
const MANY: usize = 1_000;
/// Older ones prove nothing, whatever the settings.
const OLDEST: Duration = Duration::from_secs(24 * 3600);

/// What was last read of each canary, and when. Losing it closes gates until the API server can be asked.
#[derive(Default)]
pub(super) struct LastReadings(Mutex<HashMap<CanaryId, (Arc<Shown>, Millis)>>);

impl LastReadings {
    pub(super) fn note(&self, id: &CanaryId, read: &Arc<Shown>, now: Millis) {
        let mut known = lock(&self.0);
        if known.len() >= MANY {
            known.retain(|_, (_, at)| now.abs_diff(*at) <= OLDEST);
        }
        known.insert(id.clone(), (Arc::clone(read), now));
    }

    /// What was read within this time.
    pub(super) fn get(&self, id: &CanaryId, now: Millis, within: Duration) -> Option<Arc<Shown>> {
        let known = lock(&self.0);
        let (read, at) = known.get(id)?;
        (now.abs_diff(*at) <= within.min(OLDEST)).then(|| Arc::clone(read))
    }
}
