//! PURE: one gate of a rollout: the state of its ticket, and the verdict.
//!
//! No async, no clock, no I/O. Input is an [`IssueSnapshot`] of what Jira showed, and the time as `now`; output is a
//! [`Verdict`], computed when Flagger asks and never stored.

mod after_snapshot;
mod history;
mod interpret;
mod name;
mod pace;
mod snapshot;
mod state;
mod step;
#[cfg(test)]
mod tests;
mod ticket;
mod verdict;

pub use self::{
    history::{Invalidation, InvalidationCause, Move, decisive, why_not_counted},
    name::{GateId, GateName, Stage},
    pace::Pace,
    snapshot::{Browse, IssueSnapshot},
    state::{Gate, GateState, LastAnswer, Passage, ShownRules, Used},
    step::{Share, Step},
    ticket::{Decision, Home, InvalidReason, Ticket, TicketState},
    verdict::{Hours, TargetProof, Validity, Verdict},
};
