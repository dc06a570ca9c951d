//! Nudges: requests to read a ticket now.

use super::handle::Gatekeeper;
use crate::{millis::Millis, store};

/// The result of a nudge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NudgeOutcome {
    /// The ticket will be read now.
    Stored,
    /// No live gate has this ticket, nor is a late move of it to be answered.
    Unknown,
}

impl Gatekeeper {
    /// Asks for a ticket to be read, by Jira's numeric issue id. The nudge is stored at once, or, if there was
    /// another about the same ticket less than a second ago, at the end of that second.
    ///
    /// # Errors
    /// If it could not be stored.
    pub async fn nudge(&self, ticket: &str, now: Millis) -> Result<NudgeOutcome, store::Error> {
        if self.store.gate_by_ticket(ticket).is_none() && !self.store.is_ended(ticket).await? {
            // Another replica may have opened the ticket a moment ago.
            self.store.catch_up().await?;
            if self.store.gate_by_ticket(ticket).is_none() {
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
    /// If they could not be stored; the next call tries again.
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
            tx.commit().await
        };
        stored.await.inspect_err(|_| self.recent_nudges.not_stored(tickets, have_to))?;
        self.work.send_replace(());
        Ok(())
    }
}
