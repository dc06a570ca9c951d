//! Kubernetes Events on Canaries.

use std::time::Duration;

use super::result::CommandResult;
use crate::{
    gate::{GateId, GateName},
    kubernetes::{Note, Published},
    millis::Millis,
    rollout::CanaryEvent,
    store::OutboxRow,
    ticket,
    worker::context::Context,
};

/// What could not be published for so long is no news any more; Kubernetes itself keeps Events for an hour.
const NEWS_FOR: Duration = Duration::from_secs(24 * 3600);

/// Publishes an Event about a gate.
pub(super) async fn perform(
    context: &Context,
    row: &OutboxRow,
    (gate, name): (&GateId, Option<&GateName>),
    event: &CanaryEvent,
    at: Millis,
) -> CommandResult {
    let gatekeeper = &context.gatekeeper;
    let is_old = context.clock.now().since(at) > NEWS_FOR;
    if is_old || !gatekeeper.publishes_events(&row.canary) {
        return CommandResult::Done;
    }
    let note = Note {
        reason: event.reason(),
        is_warning: event.is_warning(),
        text: ticket::event_note(event, name, |key| (gatekeeper.links().browse)(key)),
    };
    let id = format!("{}-{}", gate.0, event.tag());
    match gatekeeper.clusters().publish(&row.canary, &id, &note, at).await {
        Published::Done => CommandResult::Done,
        Published::Refused(why) => CommandResult::Stuck { why },
        Published::Failed(why) => CommandResult::Retry { at: context.retry_at(row.attempts), why },
    }
}
