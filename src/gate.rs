//! PURE: one gate of a rollout: where its ticket stands, and the verdict that follows.
//!
//! Nothing here waits, reads a clock or talks to anybody. What Jira showed comes in as a [`IssueSnapshot`], the time
//! as `now`; what goes out is a [`Verdict`], computed when Flagger asks and never stored.

mod history;
mod name;
mod pace;
mod read;
mod see;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod ticket;
mod verdict;

pub use self::{
    history::{Invalidation, InvalidationCause, Move, decisive, why_not_counted},
    name::{GateId, GateName, Stage},
    pace::Pace,
    snapshot::{Browse, IssueSnapshot},
    state::{Gate, GateState, LastAnswer, Used},
    ticket::{Decision, Home, InvalidReason, Ticket, TicketState},
    verdict::{Validity, Verdict},
};
