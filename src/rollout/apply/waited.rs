//! PURE: what happens to a gate that waits for long: people are reminded of its ticket, and its time limit passes.

use std::time::Duration;

use super::step::{Step, notify_once};
use crate::{
    gate::{Gate, GateId, TimedOut},
    millis::{Millis, as_millis_i64},
    policy::{Milestone, OnTimeout, TimeLimits},
    rollout::{change::AuditEvent, command::Command, notice::Notice},
};

impl Step {
    /// The ticket of a gate was read at `read`, so whatever was decided before is known: now its limits may have passed.
    pub(super) fn waited(&mut self, id: &GateId, limits: &TimeLimits, read: Millis) {
        let now = self.now;
        let Some(rollout) = &mut self.canary.rollout else { return };
        let Some(gate) = rollout.gates.iter_mut().find(|gate| gate.id == *id) else { return };
        if let Some(within) = limits.decide_within {
            match limits.on_timeout {
                OnTimeout::Reject if gate.was_not_decided_within(within, read) => {
                    gate.timed_out = Some(TimedOut { at: now, within, newest_move: gate.newest_move });
                    let notice = Notice::TimedOut { within: as_millis_i64(within), name: gate.name.clone() };
                    notify_once(&mut self.commands, gate, notice);
                    let (gate_id, name) = (gate.id.clone(), gate.name.clone());
                    let audit_event = gate.ticket().map(|ticket| AuditEvent::TimedOut {
                        gate: name.clone(),
                        ticket: ticket.clone(),
                        within,
                    });
                    self.audit_events.extend(audit_event);
                    let milestone = Milestone::TimedOut;
                    self.commands.push(Command::Move { gate: gate_id, name, milestone });
                    return;
                }
                OnTimeout::Wait if gate.has_waited(within, read) => {
                    let notice = Notice::Overdue { within: as_millis_i64(within) };
                    if notify_once(&mut self.commands, gate, notice) {
                        // It says more than a reminder that is due as well.
                        take_reminders(gate, limits, read);
                        return;
                    }
                }
                OnTimeout::Reject | OnTimeout::Wait => {}
            }
        }
        if let Some(after) = take_reminders(gate, limits, read) {
            let due = limits.decide_within.map(|within| gate.due(within)).filter(|due| *due > now);
            let notice = Notice::Reminder { after: as_millis_i64(after), due };
            self.commands.push(Command::Comment { gate: gate.id.clone(), notice });
        }
    }
}

/// Marks the reminders that are due as written, and returns the last of them: if several are due because the bridge was down,
/// one is enough.
fn take_reminders(gate: &mut Gate, limits: &TimeLimits, read: Millis) -> Option<Duration> {
    let mut last = None;
    for after in &limits.remind_after {
        let tag = Notice::Reminder { after: as_millis_i64(*after), due: None }.tag();
        if gate.has_waited(*after, read) && !gate.notified.contains(&tag) {
            gate.notified.push(tag);
            last = last.max(Some(*after));
        }
    }
    last
}
