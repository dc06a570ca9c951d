//! PURE: the result of an event: the changed canary, commands for Jira, and audit events.

use std::time::Duration;

use super::{
    canary::Canary, command::Command, limits::TicketLimit, message::Revision, progress::End,
    promotion::Bypass,
};
use crate::gate::{Decision, Gate, GateId, GateName, GateState, Lifted, Ticket, TicketState};

/// An event for the audit log.
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
    /// Flagger could pass for the first time because the gate asks nobody.
    Recorded {
        /// At which gate.
        gate: GateName,
        /// Its ticket, if it was opened already.
        ticket: Option<Ticket>,
    },
    /// A rollout ended, and its gates with it.
    Ended {
        /// How.
        how: End,
        /// Its gates.
        gates: Vec<Gate>,
    },
    /// Nobody decided about a ticket in time, so its gate is rejected.
    TimedOut {
        /// At which gate.
        gate: GateName,
        /// The ticket.
        ticket: Ticket,
        /// How long a decision could take.
        within: Duration,
    },
    /// Flagger was told to roll back because nobody decided in time.
    TimeoutRolledBack {
        /// At which gate.
        gate: GateName,
        /// The ticket.
        ticket: Ticket,
    },
    /// The answer at a gate changed from closed to open or back, except by the first use of an approval.
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
    /// An approval does not open its gate yet, because of the gate's windows and freezes.
    Frozen {
        /// At which gate.
        gate: GateName,
        /// The ticket.
        ticket: Ticket,
        /// The approval.
        decision: Decision,
    },
    /// A gate opened although it is outside of its windows or in a freeze, because of its ticket's label or priority.
    Excepted {
        /// Which gate.
        gate: GateName,
        /// The ticket.
        ticket: Option<Ticket>,
        /// What, and who set it.
        lifted: Lifted,
    },
    /// The answer to a rollback question was yes, for the first time after this rejection.
    RolledBack {
        /// At which gate it was rejected.
        gate: GateName,
        /// The ticket.
        ticket: Ticket,
        /// The rejection.
        decision: Decision,
    },
    /// A limit prevented a ticket: the first time within an hour.
    Refused {
        /// For which gate.
        gate: GateName,
        /// Which limit.
        refusal: TicketLimit,
    },
    /// A ticket was moved after its rollout had ended.
    LateMove {
        /// The gate that it belonged to.
        gate: GateName,
        /// The ticket.
        ticket: Ticket,
    },
    /// Flagger started another revision than the one that it named at confirm-rollout.
    OtherRevision {
        /// At which gate.
        gate: GateName,
        /// Its ticket, if it had one.
        ticket: Option<Ticket>,
        /// The named revision.
        asked: Revision,
        /// The started revision.
        started: Revision,
    },
    /// Flagger started another version than the one that was approved.
    Unapproved {
        /// At which gate.
        gate: GateName,
        /// Its ticket, if it had one.
        ticket: Option<Ticket>,
        /// The change that the ticket shows, on one line.
        shown: Option<String>,
        /// The change that started, on one line.
        started: String,
    },
    /// A newer revision that started in place of another, without a question, has shipped.
    Unasked {
        /// The newer revision.
        revision: Revision,
        /// The gates that were opened for the previous one.
        gates: Vec<GateId>,
    },
    /// The questions at confirm-rollout look like those of a hook without a type.
    LooksUntyped {
        /// At which gate.
        gate: GateName,
    },
    /// A rollout succeeded although this gate was never opened, or the Canary was created again.
    Bypassed {
        /// Which gate.
        gate: GateName,
        /// Its ticket, if it had one.
        ticket: Option<Ticket>,
        /// How the rollout ended.
        how: End,
    },
    /// A version was promoted, and no gate let it pass.
    PromotedUnasked {
        /// Identifies it, and its ticket if one is opened.
        id: GateId,
        /// What it changed.
        bypass: Bypass,
    },
}

impl AuditEvent {
    /// What the ticket of this gate shows; `None` if the gate has no ticket.
    pub(super) fn ticket_seen(gate: &Gate) -> Option<Self> {
        let GateState::Watched { ticket, ticket_state, .. } = &gate.state else { return None };
        let (gate, ticket, ticket_state) = (gate.name.clone(), ticket.clone(), ticket_state.clone());
        Some(Self::TicketSeen { gate, ticket, ticket_state })
    }
}

/// What an event does.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Change {
    /// Nothing that needs to be stored.
    Unchanged,
    /// The canary changes, commands are due, and audit events are recorded, all in one transaction.
    To {
        /// The changed canary.
        canary: Canary,
        /// What is to be done in Jira.
        commands: Vec<Command>,
        /// What is to be recorded.
        audit_events: Vec<AuditEvent>,
    },
}
