//! PURE: what an event does to a canary.

mod canary_read;
mod end;
mod promoted;
mod question;
mod recorded;
mod replaced;
mod report;
mod step;
mod target;
mod tickets;
mod traffic_step;
mod unasked;
mod waited;

use self::{question::GateQuestion, step::Step};
use super::{
    canary::Canary,
    change::Change,
    event::{Event, Rules},
    message::Report,
    transitions::Signal,
};
use crate::{
    gate::IssueSnapshot,
    millis::Millis,
    policy::{Author, DENY_LIST_GREW},
};

impl Canary {
    /// What `event` does to this canary.
    pub fn apply(&self, event: &Event<'_>, now: Millis, rules: &Rules) -> Change {
        let mut step = Step::new(self, now);
        match event {
            Event::Asked {
                gate,
                message,
                metadata,
                names,
                deny,
                denials,
                new_id,
                silent_for,
                pace,
                observed,
                analysis,
                hours,
                step: reading,
            } => {
                let asked = GateQuestion {
                    name: gate,
                    message,
                    metadata,
                    names: *names,
                    deny,
                    denials,
                    new_id,
                    pace: *pace,
                    observed,
                    analysis: *analysis,
                    hours: *hours,
                    step: reading.as_ref(),
                    share: None,
                };
                step.question(&asked, *silent_for, rules);
            }
            Event::RollbackAsked { message, silent_for, observed } => {
                if step.apply_message(Signal::Rollback, message, *silent_for, observed, rules) {
                    step.rollback_asked();
                }
            }
            Event::Reported { report, message, event_message, silent_for, observed } => {
                let signal = match report {
                    Report::PostRollout => Signal::PostRollout,
                    Report::Event => Signal::Event,
                };
                step.apply_message(signal, message, *silent_for, observed, rules);
                step.comment_progress(*event_message);
            }
            Event::Opened { gate, ticket, statuses, shows } => {
                step.opened(gate, ticket, statuses.as_ref(), *shows);
            }
            Event::NotOpened { gate, why } => step.not_opened(gate, why),
            Event::Seen { gate, snapshot, statuses, author, authors, denials, arrived } => {
                // A question may have ruled out the author while Jira was asked.
                let is_judged = self.gate_by_id(gate).is_some_and(|gate| self.denials(gate) == **denials);
                let unknown = Author::Unknown { why: DENY_LIST_GREW.into() };
                let author = if is_judged || **author != Author::Accepted { *author } else { &unknown };
                let outdated;
                let authors = if is_judged {
                    authors
                } else {
                    outdated = authors.outdated(DENY_LIST_GREW);
                    &outdated
                };
                step.seen(gate, rules.validity.mode, |gate| {
                    gate.after_snapshot(snapshot, statuses, (author, authors), now, *arrived, rules.validity)
                });
                if let IssueSnapshot::Issue { .. } = snapshot {
                    step.show_changed_rules(gate, rules);
                    step.miss_history(gate);
                }
            }
            Event::NotJudged { gate, why, entry } => step.not_judged(gate, why, entry, rules),
            Event::CanaryRead { was, status, observed } => step.canary_read(was, *status, observed),
            Event::Promoted { promotion, before, new_id, on_bypass } => {
                step.promoted(promotion, *before, new_id, *on_bypass, rules);
            }
            Event::Waited { gate, limits, read } => step.waited(gate, limits, *read),
            Event::TimePassed { silent_for } => step.end_if_silent(*silent_for, rules),
        }
        if step.canary == *self && step.commands.is_empty() && step.audit_events.is_empty() {
            return Change::Unchanged;
        }
        Change::To { canary: step.canary, commands: step.commands, audit_events: step.audit_events }
    }
}
