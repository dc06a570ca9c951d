//! Tries a new token as soon as there is one, so that people who fix it see at once whether that was all.

use super::{
    context::{Context, StepOutcome},
    poll::Poll,
};
use crate::store;

/// If Jira refuses the credentials, and the file of the token has changed since: tries the new token and, if Jira accepts
/// it, whatever failed before. That finds the next problem, if there is one, and replaces the old one in answers and page.
pub(super) async fn try_it(context: &Context, poll: &Poll) -> Result<StepOutcome, store::Error> {
    if !context.jira.has_new_token() {
        return Ok(StepOutcome::Idle);
    }
    if !context.lease.leads() {
        return Ok(StepOutcome::Standby);
    }
    // Not logged here, nor tried again: the requests that need Jira log the error, and go on at their own pace.
    if context.jira.verify_credentials().await.is_err() {
        return Ok(StepOutcome::Idle);
    }
    tracing::info!("Jira accepts the new token");
    poll.retry_now();
    context.store().retry_openings(context.clock.now()).await?;
    Ok(StepOutcome::Done)
}
