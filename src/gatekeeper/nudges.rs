//! Nudges: somebody wants a ticket to be looked at.

use super::handle::Gatekeeper;
use crate::{millis::Millis, store};

/// What became of a nudge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NudgeOutcome {
    /// The ticket will be looked at now.
    Stored,
    /// No live gate has this ticket.
    Unknown,
}

impl Gatekeeper {
    /// Asks for a ticket to be looked at, by Jira's numeric issue id. A nudge is stored, or, within a second after
    /// another about the same ticket, waits for the end of that second.
    ///
    /// # Errors
    /// If it could not be stored.
    pub async fn nudge(&self, ticket: &str, now: Millis) -> Result<NudgeOutcome, store::Error> {
        if self.store.gate_of(ticket).is_none() && !self.store.is_ended(ticket).await? {
            // Another replica may have opened it a moment ago.
            self.store.catch_up().await?;
            if self.store.gate_of(ticket).is_none() {
                return Ok(NudgeOutcome::Unknown);
            }
        }
        if self.recent_nudges.received(ticket, now) {
            self.store_nudges(&[ticket.to_owned()], false, now).await?;
        }
        Ok(NudgeOutcome::Stored)
    }

    /// Stores the nudges that came too soon after another about the same ticket, once their second is over.
    ///
    /// # Errors
    /// If they could not be stored; they are at the next call.
    pub async fn store_late_nudges(&self, now: Millis) -> Result<(), store::Error> {
        let late = self.recent_nudges.due(now);
        if late.is_empty() { Ok(()) } else { self.store_nudges(&late, true, now).await }
    }

    async fn store_nudges(&self, tickets: &[String], have_to: bool, now: Millis) -> Result<(), store::Error> {
        let stored = async {
            let mut tx = self.store.begin_write().await?;
            for ticket in tickets {
                tx.nudge(ticket, now).await?;
            }
            tx.end().await
        };
        stored.await.inspect_err(|_| self.recent_nudges.not_stored(tickets, have_to))?;
        self.work.send_replace(());
        Ok(())
    }
}
