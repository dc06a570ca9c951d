//! The only entry point: applies questions, reports, nudges and snapshots to their canary, and saves it.
//!
//! [`Gatekeeper::apply`] is the only place that loads, applies and saves. A question that changes nothing is answered
//! from memory; one that changes something costs one local transaction. No question ever waits for Jira.

mod analyses;
mod answer;
mod apply;
mod ask;
mod audit;
mod bypasses;
mod canaries;
mod handle;
mod last_overview;
mod last_readings;
mod list;
mod logging;
mod notify;
mod nudges;
mod observe;
mod overview;
mod promotions;
mod readings;
mod recent_nudges;
mod refused_gates;
mod report;
mod retries;
mod schedule;
mod selection;
mod traffic_steps;
mod unguarded;
mod unread_tickets;
mod unsaved_readings;

pub use self::{
    answer::{Answer, AnswerLinks},
    apply::Applied,
    ask::Question,
    handle::Gatekeeper,
    list::{ListedGate, counts, oldest_waiting, overdue},
    nudges::NudgeOutcome,
    retries::Retries,
    selection::{Group, GroupBy, Selection, groups},
    unread_tickets::{NoneRead, UnreadTickets},
    unsaved_readings::TicketReading,
};
