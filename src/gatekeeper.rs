//! The one way in: questions, reports, nudges and sightings are applied to the canary they are about, and saved.
//!
//! [`Gatekeeper::apply`] is the only place that loads, applies and saves. A question that changes nothing is answered
//! from memory; one that does costs one local transaction. No question ever waits for Jira.

mod answer;
mod apply;
mod ask;
mod audit;
mod base;
mod list;
mod nudges;
mod overview;
mod readings;
mod recent_nudges;
mod record;
mod refused;
mod report;
mod unread;
mod unsaved;

pub use self::{
    answer::{Answer, AnswerLinks, clock_time},
    apply::Applied,
    ask::Question,
    base::{Gatekeeper, Timing},
    list::{ListedGate, counts},
    nudges::NudgeOutcome,
    overview::{Overview, describe_command},
    unread::UnreadTickets,
    unsaved::TicketReading,
};
