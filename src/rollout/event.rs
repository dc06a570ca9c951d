//! PURE: what can happen to a canary, and what comes of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Canary, End, Message, Report};
use crate::{
    gate::{Decision, Gate, GateId, GateName, Sighting, Ticket, Trust, View},
    policy::Statuses,
    ticket::Subject,
};

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
