//! Rollouts that are over, as the Canary itself says: Flagger reports it only where it has hooks for that.

use std::time::Duration;

use super::handle::Gatekeeper;
use crate::{
    lock::lock,
    millis::Millis,
    rollout::{Canary, Change, Event, Observed, Start},
    store,
};

/// How long to wait after a Canary could not be read.
const RETRY: Duration = Duration::from_secs(30);

impl Gatekeeper {
    /// Ends the rollouts that are over as their Canaries say. What a watch shows may be older than Flagger's last
    /// message, so a Canary is read before it ends anything.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn read_canaries(&self, now: Millis) -> Result<(), store::Error> {
        for canary in self.store.live() {
            let Some(was) = &canary.rollout else { continue };
            let cluster = &canary.id.cluster;
            if lock(&self.canaries_unread).get(cluster).is_some_and(|at| now.abs_diff(*at) < RETRY) {
                continue;
            }
            let Ok(watched) = self.clusters.canary(&canary.id, now) else { continue };
            let event = Event::CanaryRead { was, status: watched.as_ref(), observed: &Observed::Unread };
            if matches!(self.preview(&canary, &event, now), Change::Unchanged) {
                continue;
            }
            let Ok(read) = self.clusters.read_canary(&canary.id).await else {
                // Otherwise it would be tried again at once, and for each canary of this cluster.
                lock(&self.canaries_unread).insert(cluster.clone(), now);
                continue;
            };
            if read.is_some() != watched.is_some() {
                continue;
            }
            let observed = self.observe(&canary.id, None, now).await;
            if was.start == Start::Unverified && observed.is_unread() {
                lock(&self.canaries_unread).insert(cluster.clone(), now);
                continue;
            }
            let last_message = self.store.last_message(&canary.id);
            let event = |_: &Canary, _| Event::CanaryRead { was, status: read.as_ref(), observed: &observed };
            match self.apply_message(&canary.id, last_message, now, event).await {
                // The store has logged that; the canary's gates are closed.
                Ok(_) | Err(store::Error::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
