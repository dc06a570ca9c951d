//! What needs no answer: Flagger's reports, and its silence.

use super::handle::Gatekeeper;
use crate::{
    millis::Millis,
    rollout::{Canary, CanaryId, Event, Message, Report},
    store,
};

impl Gatekeeper {
    /// Applies a report. One about an unknown canary leaves no trace.
    ///
    /// # Errors
    /// If it could not be stored.
    pub async fn report(
        &self,
        id: &CanaryId,
        report: Report,
        message: &Message,
        event_message: Option<&str>,
        now: Millis,
    ) -> Result<(), store::Error> {
        // Reports are rare, and Flagger does not repeat one that had no effect: the cache must be up to date.
        self.store.catch_up().await?;
        if self.store.canary(id).is_none() && self.store.unreadable_reason(id).is_none() {
            return Ok(());
        }
        let last_message = self.store.last_message(id);
        let observed = self.observe(id, None, now).await;
        let event = |_: &Canary, silent_for| Event::Reported {
            report,
            message,
            event_message,
            silent_for,
            observed: observed.clone(),
        };
        match self.apply_message(id, last_message, now, event).await {
            Ok(_) => self.store.message_received(id, now),
            Err(error) => {
                self.touch_not_stored(id, last_message, now);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Ends rollouts about which Flagger sent nothing for too long.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn time_passed(&self, now: Millis) -> Result<(), store::Error> {
        let event = |_: &Canary, silent_for| Event::TimePassed { silent_for };
        for canary in self.store.live() {
            let last_message = self.store.last_message(&canary.id);
            match self.apply_message(&canary.id, last_message, now, event).await {
                // The store has logged that; the canary's gates are closed.
                Ok(_) | Err(store::Error::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
