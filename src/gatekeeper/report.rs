//! What is heard and not answered: reports of Flagger, and its silence.

use super::handle::Gatekeeper;
use crate::{
    millis::Millis,
    rollout::{Canary, CanaryId, Event, Message, Report},
    store,
};

impl Gatekeeper {
    /// Takes note of a report. One about a canary that nobody asked about leaves no trace.
    ///
    /// # Errors
    /// If it could not be stored.
    pub async fn report(
        &self,
        id: &CanaryId,
        report: Report,
        message: &Message,
        words: Option<&str>,
        now: Millis,
    ) -> Result<(), store::Error> {
        // Reports are few, and nobody repeats one that was not understood: memory must be as new as the store.
        self.store.catch_up().await?;
        if self.store.canary(id).is_none() && self.store.unreadable_why(id).is_none() {
            return Ok(());
        }
        let heard = self.store.last_heard(id);
        let event = |_: &Canary, silent_for| Event::Reported { report, message, words, silent_for };
        match self.apply_message(id, heard, now, event).await {
            Ok(_) => self.store.message_received(id, now),
            Err(error) => {
                self.touch_not_stored(id, heard, now);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Ends rollouts of which nothing was heard for too long.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn time_passed(&self, now: Millis) -> Result<(), store::Error> {
        let event = |_: &Canary, silent_for| Event::TimePassed { silent_for };
        for canary in self.store.live() {
            let heard = self.store.last_heard(&canary.id);
            match self.apply_message(&canary.id, heard, now, event).await {
                // The store has said what cannot be read; its gates are closed.
                Ok(_) | Err(store::Error::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
