//! PURE: what comes of an event: what a canary becomes, what is to be done, and what is put on record.

use super::{canary::Canary, command::Command, limits::TicketLimit, message::Revision, progress::End};
use crate::gate::{Decision, Gate, GateId, GateName, Ticket, TicketState};

/// Something worth a line in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditEvent {
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
        ticket_state: TicketState,
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
    /// The answer at a gate turned from closed to open or back, other than by the first use of an approval.
    AnswerChanged {
        /// At which gate.
        gate: GateName,
    },
    /// An approval was too old when Flagger asked.
    Expired {
        /// At which gate.
        gate: GateName,
        /// The ticket.
        ticket: Ticket,
        /// The approval.
        decision: Decision,
    },
    /// Flagger was told to roll back, for the first time after this rejection.
    RolledBack {
        /// At which gate it was rejected.
        gate: GateName,
        /// The ticket.
        ticket: Ticket,
        /// The rejection.
        decision: Decision,
    },
    /// A limit kept a ticket from being opened: the first time within an hour.
    Refused {
        /// For which gate.
        gate: GateName,
        /// Which limit.
        refusal: TicketLimit,
    },
    /// Somebody moved a ticket after its rollout had ended.
    LateMove {
        /// Of which gate it was.
        gate: GateName,
        /// The ticket.
        ticket: Ticket,
    },
    /// What started is another revision than the one that Flagger named when it asked at confirm-rollout.
    OtherRevision {
        /// At which gate.
        gate: GateName,
        /// Its ticket, if it had one.
        ticket: Option<Ticket>,
        /// Which it named.
        asked: Revision,
        /// Which started.
        started: Revision,
    },
    /// A newer revision that started in place of another has shipped, and nobody was asked about it.
    Unasked {
        /// Which.
        revision: Revision,
        /// The gates that were opened for the one before.
        gates: Vec<GateId>,
    },
    /// confirm-rollout is asked as by a hook without a type.
    LooksUntyped {
        /// At which gate.
        gate: GateName,
    },
    /// A rollout succeeded past a gate that was never opened, or the Canary was created anew past it.
    Bypassed {
        /// Which gate.
        gate: GateName,
        /// Its ticket, if it had one.
        ticket: Option<Ticket>,
        /// How the rollout ended.
        how: End,
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
        audit_events: Vec<AuditEvent>,
    },
}
