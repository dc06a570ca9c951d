//! Which channels are told what.

use super::handle::Gatekeeper;
use crate::{
    gate::GateId,
    millis::Millis,
    rollout::{AuditEvent, Canary, Command, Notification, notifications},
};

impl Gatekeeper {
    /// The messages to channels about what is recorded in one change of a canary. Without channels nothing is remembered.
    pub(super) fn notify(
        &self,
        audit_events: &[AuditEvent],
        before: &Canary,
        canary: &mut Canary,
        now: Millis,
    ) -> Vec<Command> {
        if self.config.notify.is_empty() {
            return Vec::new();
        }
        let found = notifications(audit_events, before, canary, now);
        found.into_iter().flat_map(|(gate, about)| self.to_channels(canary, &gate, &about)).collect()
    }

    /// One message for each channel that is told about this gate.
    fn to_channels(&self, canary: &Canary, about: &GateId, notification: &Notification) -> Vec<Command> {
        let (id, gate) = (&canary.id, &notification.gate);
        let own = gate.approver.as_deref().unwrap_or_default();
        let told = self.config.notify.iter().filter(|channel| {
            channel.gates.is_for(&id.cluster, &id.namespace, &id.name, gate.stage.as_str(), own)
        });
        told.map(|channel| Command::Notify {
            lane: GateId(format!("{about}-to-{}", channel.id.0)),
            about: about.clone(),
            channel: channel.id.0.clone(),
            notification: notification.clone(),
            again: false,
        })
        .collect()
    }
}
