//! PURE: a message as the bridge's own object, for other programs. docs/notifications.md describes it.

use serde_json::{Value, json};

use super::message::Message;
use crate::{rollout::Turn, ticket::NotificationText, view::Rfc3339};

/// The object. A field that is not known is null.
pub(super) fn body(message: &Message<'_>, text: &NotificationText) -> Value {
    let Message { id, canary, about, .. } = message;
    let ticket = message.ticket().map(|(key, url)| json!({ "key": key, "url": url }));
    let (event, by, reason) = match &about.turn {
        Turn::Waiting => ("waiting", None, None),
        Turn::Approved { by, .. } => ("approved", Some(by.as_str()), None),
        Turn::Rejected { by, .. } => ("rejected", Some(by.as_str()), None),
        Turn::TimedOut { .. } => ("rejected", None, Some("nobody decided in time")),
        Turn::Stuck { why } => ("stuck", None, Some(why.as_str())),
        Turn::ShippedWithoutApproval => ("shipped_without_approval", None, None),
        Turn::StartedUnapproved => ("started_unapproved", None, None),
        Turn::PromotedUnasked { bypass } => ("shipped_without_approval", None, Some(bypass.cause())),
    };
    json!({
        "id": id,
        "event": event,
        "at": Rfc3339(about.at),
        "text": text.sentence(),
        "cluster": canary.cluster,
        "namespace": canary.namespace,
        "canary": canary.name,
        "stage": about.gate.stage.as_str(),
        "gate": about.gate.approver,
        "step": about.gate.step,
        "ticket": ticket,
        "change": about.change,
        "label": about.label,
        "by": by,
        "reason": reason,
    })
}
