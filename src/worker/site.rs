//! Which Jira this is: a ticket's number has a meaning in one Jira only.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::context::{Context, StepOutcome};
use crate::store;

/// How long to wait before the next request, if Jira did not answer.
const RETRY_DELAY: Duration = Duration::from_secs(60);

/// Retries [`recognise`] until it succeeds, once.
pub(super) async fn recognise_loop(context: &Context, stop: &CancellationToken) {
    let asking = async {
        while !matches!(recognise(context).await, Ok(StepOutcome::Done)) {
            sleep(RETRY_DELAY).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = asking => {}
    }
}

/// Compares the Jira that answers with the one in which the stored tickets were opened, logs a difference, and stores
/// which one it is now. No gate opens or closes because of this: each ticket has to prove itself.
pub(super) async fn recognise(context: &Context) -> Result<StepOutcome, store::Error> {
    if !context.lease.leads() {
        return Ok(StepOutcome::Standby);
    }
    let server = match context.jira.server().await {
        Ok(server) => server,
        // Not logged here: the requests that need Jira log the error.
        Err(error) => return Ok(StepOutcome::Postponed { why: context.explain(&error) }),
    };
    let Some(now) = server.base_url.map(|url| url.trim().trim_end_matches('/').to_lowercase()) else {
        return Ok(StepOutcome::Done);
    };
    let before = context.store().site().await?;
    if before.as_ref() == Some(&now) {
        return Ok(StepOutcome::Done);
    }
    let Some(mut tx) = context.begin_if_leading().await? else { return Ok(StepOutcome::Standby) };
    tx.set_site(&now).await?;
    tx.commit().await?;
    if let Some(before) = before {
        tracing::warn!(
            before,
            now,
            "Jira calls itself by another address than when the stored tickets were opened; if it is another Jira, their gates \
             stay closed, and the next rollouts open their own tickets"
        );
    }
    Ok(StepOutcome::Done)
}
