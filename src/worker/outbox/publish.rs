//! Kubernetes Events on Canaries.

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

/// Publishes an Event about a gate.
pub(super) async fn perform(
    context: &Context,
    row: &OutboxRow,
    (gate, name): (&GateId, Option<&GateName>),
    event: &CanaryEvent,
    at: Millis,
) -> CommandResult {
    let gatekeeper = &context.gatekeeper;
    if !gatekeeper.publishes_events(&row.canary) {
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
        Published::Failed(why) => CommandResult::Later { at: context.retry_at(row.attempts), why },
    }
}
