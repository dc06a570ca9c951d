//! Which channels are told what.

use super::{handle::Gatekeeper, schedule::address};
use crate::{
    gate::{GateId, GateName},
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
        let id = canary.id.clone();
        let asks = |gate: &GateName| self.route(&id, gate).approval.mode.is_required();
        let found = notifications(audit_events, before, canary, asks, now);
        found.into_iter().flat_map(|(gate, about)| self.to_channels(canary, &gate, &about)).collect()
    }

    /// One message for each channel that is told about this gate.
    fn to_channels(&self, canary: &Canary, about: &GateId, notification: &Notification) -> Vec<Command> {
        let address = address(&canary.id, &notification.gate);
        let told = self.config.notify.iter().filter(|channel| channel.gates.is_match(address));
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
