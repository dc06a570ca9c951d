//! PURE: where a rollout begins and ends, and what each message means for it.
//!
//! [`Canary::apply`] is the whole story: an event and the time go in, a [`Change`] comes out. The table that says
//! which message begins, moves or ends a rollout is in [`edge`].

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    gate::{
        Decision, Doubt, Gate, GateId, GateName, Sighting, Stage, Standing, Ticket, Trust, Used, Verdict,
        View,
    },
    millis::Millis,
    policy::Statuses,
    ticket::Subject,
};

mod edge;
#[cfg(test)]
mod tests;

use edge::{Edge, Heard};

/// Flagger's resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CanaryId {
    /// The cluster, by the bridge's name for it.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for CanaryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.cluster, self.namespace, self.name)
    }
}

/// Flagger's `checksum`: what is being rolled out. At confirm-rollout it names the outgoing revision instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision(pub String);

/// What people call the revision: `metadata.revision`, if the team sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label(pub String);

/// Flagger's word for how far a canary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing was rolled out yet.
    Initialized,
    /// Waiting for confirm-rollout.
    Waiting,
    /// Under way.
    Progressing,
    /// Waiting for confirm-promotion.
    WaitingPromotion,
    /// The new revision is being copied to the primary.
    Promoting,
    /// The last steps.
    Finalising,
    /// Done.
    Succeeded,
    /// Rolled back, or about to be.
    Failed,
    /// Any other word, such as `Initializing`: it moves nothing.
    Other,
}

impl Phase {
    /// Flagger's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initialized => "Initialized",
            Self::Waiting => "Waiting",
            Self::Progressing => "Progressing",
            Self::WaitingPromotion => "WaitingPromotion",
            Self::Promoting => "Promoting",
            Self::Finalising => "Finalising",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Other => "other",
        }
    }
}

/// What every message of Flagger says of the rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The phase it names. For events it is often that of the tick before.
    pub phase: Phase,
    /// The checksum; Flagger sends none before 1.34.
    pub checksum: Option<Revision>,
    /// The label, if the team sends one.
    pub label: Option<Label>,
}

/// Which report a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The post-rollout hook: the rollout is over.
    PostRollout,
    /// The event hook: something happened; the phase may be stale.
    Event,
}

/// One canary and the rollout it is in, if any: one row of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// Which canary.
    pub id: CanaryId,
    /// The rollout that lives.
    pub rollout: Option<Rollout>,
}

/// One attempt to ship one revision of one canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// When it was first heard of.
    pub began: Millis,
    /// What people call its revision, once a message said so.
    pub label: Option<Label>,
    /// How far it is.
    pub course: Course,
    /// The gates that were asked about, in that order.
    pub gates: Vec<Gate>,
}

/// How far a rollout is, as far as its messages show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// confirm-rollout was asked.
    Asked(Base),
    /// … and asked again in phase `Waiting`.
    Waiting(Base),
    /// confirm-rollout was answered open.
    Admitted(Base),
    /// The revision itself was heard of.
    Running(Run),
    /// Flagger reported `Failed`, but has not rolled back yet. A rejection still stands, for `rollback` alone.
    Failing(Run),
}

/// The checksum that came with confirm-rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// The revision that is being replaced.
    Outgoing(Option<Revision>),
    /// It came in phase `Failed`: after a failed rollout Flagger already sends the new revision's.
    AfterFailure(Option<Revision>),
}

impl Base {
    /// The checksum.
    #[must_use]
    pub const fn revision(&self) -> Option<&Revision> {
        match self {
            Self::Outgoing(revision) | Self::AfterFailure(revision) => revision.as_ref(),
        }
    }
}

/// A rollout whose revision is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What came with confirm-rollout, if that was heard.
    pub base: Option<Base>,
    /// The revision; none if Flagger sends no checksums.
    pub revision: Option<Revision>,
    /// How far the phases heard went.
    pub leg: Leg,
}

/// How far the phases of a running rollout went. Within one rollout they never go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leg {
    /// `WaitingPromotion` was not heard.
    Progressing,
    /// `WaitingPromotion` was heard.
    WaitingPromotion,
}

/// How a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Flagger said so.
    Succeeded,
    /// Flagger said so.
    Failed,
    /// Another rollout took its place.
    Superseded,
    /// Nothing was heard of it for `abandon_after`.
    Abandoned,
}

impl End {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Abandoned => "abandoned",
        }
    }
}

/// The settings that the course of a rollout depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long an approval proves something.
    pub trust: Trust,
    /// After this much silence an opened gate is not believed to be of the same rollout.
    pub idle_after: Duration,
    /// After this much silence a rollout has ended.
    pub abandon_after: Duration,
}

/// Something that happened to a canary.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Flagger asks at a gate.
    Asked {
        /// Which gate.
        gate: &'a GateName,
        /// What the question says.
        message: &'a Message,
        /// What the ticket will say, if one is to be opened.
        subject: &'a Subject,
        /// The id of a gate that may begin now.
        fresh: GateId,
        /// How long nothing was heard of the canary before this.
        silent_for: Duration,
        /// The longest pause between two questions about this gate while it was closed.
        longest_gap: Duration,
    },
    /// Flagger asks whether to roll back.
    RollbackAsked {
        /// What the question says.
        message: &'a Message,
        /// As above.
        silent_for: Duration,
    },
    /// Flagger reports.
    Reported {
        /// Through which hook.
        report: Report,
        /// What it says.
        message: &'a Message,
        /// As above.
        silent_for: Duration,
    },
    /// The ticket of a gate was opened.
    Opened {
        /// Which gate.
        gate: &'a GateId,
        /// Its ticket.
        ticket: Ticket,
    },
    /// An attempt to open the ticket of a gate failed.
    NotOpened {
        /// Which gate.
        gate: &'a GateId,
        /// What is in the way.
        why: String,
    },
    /// The ticket of a gate was looked at.
    Seen {
        /// Which gate.
        gate: &'a GateId,
        /// What Jira showed.
        sighting: &'a Sighting,
        /// What statuses mean there.
        statuses: &'a Statuses,
    },
    /// Nothing happened for a while.
    TimePassed {
        /// How long nothing was heard.
        silent_for: Duration,
    },
}

/// An effect to perform in Jira, stored before it is performed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Open the ticket of a gate.
    Open {
        /// Which gate.
        gate: GateId,
        /// What it is about.
        subject: Subject,
    },
}

/// Something worth a line in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A rollout began.
    Began,
    /// Flagger asked at a gate for the first time.
    GateAsked {
        /// Which gate.
        gate: GateName,
    },
    /// A ticket was opened.
    TicketOpened {
        /// For which gate.
        gate: GateName,
        /// The ticket.
        ticket: Ticket,
    },
    /// A ticket could not be opened.
    TicketStuck {
        /// For which gate.
        gate: GateName,
        /// Why.
        why: String,
    },
    /// A ticket shows something new.
    TicketSeen {
        /// Of which gate.
        gate: GateName,
        /// The ticket.
        ticket: Ticket,
        /// What it shows.
        view: View,
    },
    /// An approval let Flagger pass for the first time.
    Passed {
        /// At which gate.
        gate: GateName,
        /// The ticket.
        ticket: Ticket,
        /// The approval.
        decision: Decision,
    },
    /// A rollout ended, and its gates with it.
    Ended {
        /// How.
        how: End,
        /// Its gates.
        gates: Vec<Gate>,
    },
}

/// What an event does.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Change {
    /// Nothing that needs to be stored.
    Unchanged,
    /// The canary becomes another, effects are due, and the record grows; all in one transaction.
    To {
        /// What it becomes.
        canary: Canary,
        /// What is to be done in Jira.
        commands: Vec<Command>,
        /// What is to be recorded.
        facts: Vec<Fact>,
    },
}

impl Canary {
    /// A canary of which nothing was heard yet.
    #[must_use]
    pub const fn new(id: CanaryId) -> Self {
        Self { id, rollout: None }
    }

    /// The gate of this name in the rollout that lives.
    #[must_use]
    pub fn gate(&self, name: &GateName) -> Option<&Gate> {
        self.rollout.as_ref()?.gates.iter().find(|gate| gate.name == *name)
    }

    /// The gate with this id, if it still lives.
    #[must_use]
    pub fn gate_by_id(&self, id: &GateId) -> Option<&Gate> {
        self.rollout.as_ref()?.gates.iter().find(|gate| gate.id == *id)
    }

    /// The rejection for which a rollback is due: only while the rejected revision itself is under way.
    #[must_use]
    pub fn rolls_back(&self) -> Option<&Gate> {
        let rollout = self.rollout.as_ref()?;
        match rollout.course {
            Course::Asked(_) | Course::Waiting(_) | Course::Admitted(_) => None,
            Course::Running(_) | Course::Failing(_) => {
                rollout.gates.iter().find(|gate| gate.rejection().is_some())
            }
        }
    }

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
