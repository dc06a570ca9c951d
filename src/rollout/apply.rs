//! PURE: what an event does to a canary.

mod end;
mod heard;
mod question;
mod replaced;
mod step;
mod tickets;
mod unasked;

use self::{question::Asked, step::Step};
use super::{
    canary::Canary,
    change::Change,
    transitions::Heard,
    event::{Event, Rules},
    message::Report,
};
use crate::{
    millis::Millis,
    policy::{Author, DENIES_OTHERS},
};

impl Canary {
    /// What `event` does to this canary.
    pub fn apply(&self, event: &Event<'_>, now: Millis, rules: &Rules) -> Change {
        let mut step = Step::new(self, now);
        match event {
            Event::Asked { gate, message, metadata, deny, denials, fresh, silent_for, pace } => {
                let asked = Asked { name: gate, message, metadata, deny, denials, fresh, pace: *pace };
                step.asked(&asked, *silent_for, rules);
            }
            Event::RollbackAsked { message, silent_for } => {
                if step.heard(Heard::Rollback, message, *silent_for, rules) {
                    step.rollback_asked();
                }
            }
            Event::Reported { report, message, words, silent_for } => {
                let heard = match report {
                    Report::PostRollout => Heard::PostRollout,
                    Report::Event => Heard::Event,
                };
                step.heard(heard, message, *silent_for, rules);
                step.progress(*words);
            }
            Event::Opened { gate, ticket, statuses } => step.opened(gate, ticket, statuses.as_ref()),
            Event::NotOpened { gate, why } => step.not_opened(gate, why),
            Event::Seen { gate, sighting, statuses, author, denials, arrived } => {
                // A question may have ruled somebody out while Jira was asked.
                let is_judged = self.gate_by_id(gate).is_some_and(|gate| self.denials(gate) == **denials);
                let doubted = Author::Unknown { why: DENIES_OTHERS.into() };
                let author = if is_judged || **author != Author::Accepted { *author } else { &doubted };
                step.seen(gate, |gate| gate.see(sighting, statuses, author, now, *arrived, rules.trust));
            }
            Event::TimePassed { silent_for } => step.silence(*silent_for, rules),
        }
        if step.canary == *self && step.commands.is_empty() && step.facts.is_empty() {
            return Change::Unchanged;
        }
        Change::To { canary: step.canary, commands: step.commands, facts: step.facts }
    }
}
