//! Which Jira this is: the numbers of tickets mean something in one Jira only.

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Outcome, WRITE_BACK, Worker};
use crate::store;

impl Worker {
    /// Asks until it is known, once.
    pub(super) async fn recognising(&self, stop: &CancellationToken) {
        let asking = async {
            while !matches!(self.recognise_site().await, Ok(Outcome::Did)) {
                sleep(WRITE_BACK).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = asking => {}
        }
    }

    /// Compares the Jira that answers with the one that the stored tickets are of, says if that is another, and keeps which it
    /// is. No gate opens or closes by this: each ticket has to prove itself.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn recognise_site(&self) -> Result<Outcome, store::Error> {
        if !self.lease.leads() {
            return Ok(Outcome::Follows);
        }
        let server = match self.jira.server().await {
            Ok(server) => server,
            // Whoever needs Jira says so.
            Err(error) => return Ok(Outcome::Postponed { why: self.explain(&error) }),
        };
        let Some(now) = server.base_url.map(|url| url.trim().trim_end_matches('/').to_lowercase()) else {
            return Ok(Outcome::Did);
        };
        let before = self.store().site().await?;
        if before.as_ref() == Some(&now) {
            return Ok(Outcome::Did);
        }
        let Some(mut turn) = self.working_turn().await? else { return Ok(Outcome::Follows) };
        turn.set_site(&now).await?;
        turn.end().await?;
        if let Some(before) = before {
            tracing::warn!(
                before,
                now,
                "Jira calls itself by another address than when the stored tickets were opened; if it is another Jira, their gates \
                 stay closed, and the next rollouts open tickets of their own"
            );
        }
        Ok(Outcome::Did)
    }
}
