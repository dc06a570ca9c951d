//! PURE: one gate of a rollout: the state of its ticket, and the verdict.
//!
//! No async, no clock, no I/O. Input is an [`IssueSnapshot`] of what Jira showed, and the time as `now`; output is a
//! [`Verdict`], computed when Flagger asks and never stored.

mod after_snapshot;
mod approval_steps;
mod desk_approval;
mod exception;
mod existing;
mod history;
mod interpret;
mod name;
mod pace;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod ticket;
mod time_limit;
mod traffic_step;
mod verdict;

pub use self::{
    approval_steps::{ApprovalStep, OtherAuthors, StepState, steps_made, steps_need_history_since},
    desk_approval::{DeskApproval, DeskDecision, DeskRecord, NoApproval, explaining, moves_needed_since},
    exception::{ExceptionChange, ExceptionEntry, Lifted, ShownException, TicketException, newest_entry},
    existing::{AlreadyDecided, NamedIssue, Unusable, Wanted, issue_key},
    history::{Invalidation, InvalidationCause, Move, decisive, why_not_counted},
    name::{GateId, GateName, Stage},
    pace::Pace,
    snapshot::{Browse, IssueSnapshot},
    state::{Gate, GateState, LastAnswer, Passage, ShownRules, TimedOut, Used},
    ticket::{Decision, Home, InvalidReason, Ticket, TicketState},
    traffic_step::{Share, TrafficStep},
    verdict::{Hours, TargetProof, Validity, Verdict},
};
