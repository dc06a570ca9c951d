//! PURE: a change while it is built.

use crate::{
    gate::{Gate, GateId},
    millis::Millis,
    rollout::{canary::Canary, change::AuditEvent, command::Command, notice::Notice},
};

/// A change while it is built.
pub(super) struct Step {
    pub(super) canary: Canary,
    pub(super) commands: Vec<Command>,
    pub(super) audit_events: Vec<AuditEvent>,
    pub(super) now: Millis,
}

impl Step {
    /// Starts from an unchanged canary.
    pub(super) fn new(canary: &Canary, now: Millis) -> Self {
        Self { canary: canary.clone(), commands: Vec::new(), audit_events: Vec::new(), now }
    }

    pub(super) fn gate(&mut self, id: &GateId) -> Option<&mut Gate> {
        self.canary.rollout.as_mut()?.gates.iter_mut().find(|gate| gate.id == *id)
    }
}

/// Queues a comment on the ticket of a gate, once per tag. Returns whether this is the first time.
pub(super) fn notify_once(commands: &mut Vec<Command>, gate: &mut Gate, notice: Notice) -> bool {
    let tag = notice.tag();
    let is_first = !gate.notified.contains(&tag);
    if is_first {
        gate.notified.push(tag);
        commands.push(Command::Comment { gate: gate.id.clone(), notice });
    }
    is_first
}
