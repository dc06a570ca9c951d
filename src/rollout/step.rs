//! PURE: what an event does to a canary.

use std::time::Duration;

use super::{
    Canary, Change, Command, Course, End, Event, Fact, Message, Report, Rollout, Rules,
    edge::{self, Edge, Heard},
};
use crate::{
    gate::{Doubt, Gate, GateId, GateName, Sighting, Stage, Standing, Ticket, Used, Verdict, View},
    millis::Millis,
    policy::Statuses,
    ticket::Subject,
};

impl Canary {
    /// What `event` does to this canary.
    pub fn apply(&self, event: &Event<'_>, now: Millis, rules: &Rules) -> Change {
        let mut step = Step { canary: self.clone(), commands: Vec::new(), facts: Vec::new(), now };
        match event {
            Event::Asked { gate, message, subject, fresh, silent_for, longest_gap } => {
                let asked = Asked { name: gate, subject, fresh, longest_gap: *longest_gap };
                step.asked(&asked, message, *silent_for, rules);
            }
            Event::RollbackAsked { message, silent_for } => {
                step.heard(Heard::Rollback, message, *silent_for, rules);
            }
            Event::Reported { report: Report::PostRollout, message, silent_for } => {
                step.heard(Heard::PostRollout, message, *silent_for, rules);
            }
            Event::Reported { report: Report::Event, message, silent_for } => {
                step.heard(Heard::Event, message, *silent_for, rules);
            }
            Event::Opened { gate, ticket } => step.opened(gate, ticket),
            Event::NotOpened { gate, why } => step.not_opened(gate, why),
            Event::Seen { gate, sighting, statuses } => step.seen(gate, sighting, statuses, rules),
            Event::TimePassed { silent_for } => step.silence(*silent_for, rules),
        }
        if step.canary == *self && step.commands.is_empty() && step.facts.is_empty() {
            return Change::Unchanged;
        }
        Change::To { canary: step.canary, commands: step.commands, facts: step.facts }
    }
}

/// What comes with a question at a gate.
struct Asked<'a> {
    name: &'a GateName,
    subject: &'a Subject,
    fresh: &'a GateId,
    longest_gap: Duration,
}

/// A change in the making.
struct Step {
    canary: Canary,
    commands: Vec<Command>,
    facts: Vec<Fact>,
    now: Millis,
}

impl Step {
    fn asked(&mut self, asked: &Asked<'_>, message: &Message, silent_for: Duration, rules: &Rules) {
        let heard = match asked.name.stage {
            Stage::ConfirmRollout => Heard::ConfirmRollout,
            Stage::ConfirmTrafficIncrease | Stage::ConfirmPromotion | Stage::Gate => {
                let patience = self.canary.gate(asked.name).and_then(|gate| gate.used).map(|used| {
                    let longest = used.longest_gap.max(asked.longest_gap);
                    rules.idle_after.max(longest.saturating_mul(3))
                });
                Heard::OtherGate { patience }
            }
        };
        if !self.heard(heard, message, silent_for, rules) {
            return;
        }
        self.ensure_gate(asked);
        self.pass(asked, rules);
    }

    /// Moves the rollout by a message. Returns whether the message is about the rollout that lives now.
    fn heard(&mut self, heard: Heard, message: &Message, silent_for: Duration, rules: &Rules) -> bool {
        self.silence(silent_for, rules);
        if let Some(rollout) = &mut self.canary.rollout {
            match edge::between(rollout, heard, message, silent_for) {
                Edge::Stays => {
                    if rollout.label.is_none() {
                        rollout.label.clone_from(&message.label);
                    }
                    return true;
                }
                Edge::Moves(course) => {
                    rollout.course = course;
                    if rollout.label.is_none() {
                        rollout.label.clone_from(&message.label);
                    }
                    return true;
                }
                Edge::Ignored => return false,
                Edge::Ends(how) => self.end(how),
            }
        }
        let Some(course) = edge::begins(heard, message) else { return false };
        self.canary.rollout =
            Some(Rollout { began: self.now, label: message.label.clone(), course, gates: Vec::new() });
        self.facts.push(Fact::Began);
        true
    }

    /// Ends a rollout of which nothing was heard for too long.
    fn silence(&mut self, silent_for: Duration, rules: &Rules) {
        let Some(rollout) = &self.canary.rollout else { return };
        match rollout.course {
            Course::Failing(_) if silent_for > rules.idle_after => self.end(End::Failed),
            Course::Failing(_)
            | Course::Asked(_)
            | Course::Waiting(_)
            | Course::Admitted(_)
            | Course::Running(_)
                if silent_for > rules.abandon_after =>
            {
                self.end(End::Abandoned);
            }
            Course::Failing(_)
            | Course::Asked(_)
            | Course::Waiting(_)
            | Course::Admitted(_)
            | Course::Running(_) => {}
        }
    }

    fn end(&mut self, how: End) {
        if let Some(rollout) = self.canary.rollout.take() {
            self.facts.push(Fact::Ended { how, gates: rollout.gates });
        }
    }

    /// A gate that is asked about has a ticket, or one is being opened. One whose ticket is certainly gone begins
    /// anew, under a new id.
    fn ensure_gate(&mut self, asked: &Asked<'_>) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let known = rollout.gates.iter().position(|gate| gate.name == *asked.name);
        if let Some(at) = known {
            let Standing::Watched { view: View::Gone { doubt: Doubt::Missing { confirmed: true } }, .. } =
                rollout.gates[at].standing
            else {
                return;
            };
            rollout.gates.remove(at);
        }
        rollout.gates.push(Gate::new(asked.fresh.clone(), asked.name.clone(), self.now));
        self.commands.push(Command::Open { gate: asked.fresh.clone(), subject: asked.subject.clone() });
        self.facts.push(Fact::GateAsked { gate: asked.name.clone() });
    }

    /// Notes the first time an approval lets Flagger pass.
    fn pass(&mut self, asked: &Asked<'_>, rules: &Rules) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let Some(gate) = rollout.gates.iter_mut().find(|gate| gate.name == *asked.name) else { return };
        let Verdict::Open { ticket, decision } = gate.verdict(self.now, rules.trust) else { return };
        if gate.used.is_none() {
            self.facts.push(Fact::Passed {
                gate: gate.name.clone(),
                ticket: ticket.clone(),
                decision: decision.clone(),
            });
            gate.used = Some(Used { at: self.now, longest_gap: asked.longest_gap });
        }
        rollout.course = match (rollout.course.clone(), asked.name.stage) {
            (Course::Asked(base) | Course::Waiting(base), Stage::ConfirmRollout) => Course::Admitted(base),
            (course, _) => course,
        };
    }

    fn gate(&mut self, id: &GateId) -> Option<&mut Gate> {
        self.canary.rollout.as_mut()?.gates.iter_mut().find(|gate| gate.id == *id)
    }

    fn opened(&mut self, id: &GateId, ticket: &Ticket) {
        let now = self.now;
        let Some(gate) = self.gate(id) else { return };
        if gate.ticket().is_some() {
            return;
        }
        gate.standing =
            Standing::Watched { ticket: ticket.clone(), seen: now, view: View::Waiting { status: None } };
        let fact = Fact::TicketOpened { gate: gate.name.clone(), ticket: ticket.clone() };
        self.facts.push(fact);
    }

    fn not_opened(&mut self, id: &GateId, why: &str) {
        let Some(gate) = self.gate(id) else { return };
        let stuck = Standing::Stuck { why: why.to_owned() };
        if gate.ticket().is_some() || gate.standing == stuck {
            return;
        }
        gate.standing = stuck;
        let fact = Fact::TicketStuck { gate: gate.name.clone(), why: why.to_owned() };
        self.facts.push(fact);
    }

    fn seen(&mut self, id: &GateId, sighting: &Sighting, statuses: &Statuses, rules: &Rules) {
        let now = self.now;
        let Some(gate) = self.gate(id) else { return };
        let Some(after) = gate.see(sighting, statuses, now, rules.trust.trust_for) else { return };
        let before = std::mem::replace(gate, after);
        let (Standing::Watched { view: was, .. }, Standing::Watched { ticket, view, .. }) =
            (&before.standing, &gate.standing)
        else {
            return;
        };
        if was != view {
            let fact =
                Fact::TicketSeen { gate: gate.name.clone(), ticket: ticket.clone(), view: view.clone() };
            self.facts.push(fact);
        }
    }
}
