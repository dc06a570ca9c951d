//! PURE: the texts of tickets and comments.
//!
//! External text (names, checksums, metadata) is only ever a *value*: never template source, never markup. In templates
//! a value is one line of limited length, so that it cannot look like a paragraph of the ticket.

mod approval_steps;
mod approvers;
mod bypass;
mod change;
mod comment;
mod decision;
mod doc;
mod event_note;
mod evidence;
mod hours;
mod labels;
mod links;
mod notification;
mod people;
mod recorded;
mod reminder;
mod sections;
mod spans;
mod summary;
mod taken;
mod team;
mod technical;
mod time_limit;
mod traffic_step;
mod versions;
mod words;
mod writer;

use std::collections::BTreeMap;

use minijinja::Value;

use self::{approvers::obstacle, writer::Writer};
use crate::{
    policy::{ApprovalMode, Route},
    rollout::Subject,
};

pub use self::{
    comment::comment,
    doc::{Block, Doc, Span},
    event_note::event_note,
    hours::TicketHours,
    labels::labels,
    notification::{NotificationText, Words, notification},
    people::{MOST_NAMED, NamedAccount, People},
    recorded::RECORDED_LABEL,
    reminder::reminder,
    taken::given_back,
    writer::{Unrenderable, denied},
};

/// The names that each template may use. `metadata.x` that was not sent renders empty.
pub const QUESTION_NAMES: [&str; 10] =
    ["canary", "namespace", "cluster", "stage", "gate", "phase", "base", "revision", "label", "metadata"];
/// The names that only the template of a ticket may use: what the API server shows, and what the bridge makes of it. Who may not
/// approve must not depend on whether that can be read. `action` and `versions` are words for a summary, such as `Promote` and
/// `2.13.2 → 2.15.0`; `number` counts the rollouts of a canary.
pub const TICKET_NAMES: [&str; 9] =
    ["images", "old", "new", "changes", "annotations", "weight", "action", "versions", "number"];

/// The parts of a new ticket that are written from a [`Subject`].
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// One line.
    pub summary: String,
    /// The description.
    pub description: Doc,
    /// Further fields by id.
    pub fields: BTreeMap<String, Value>,
}

/// What a new ticket needs besides its subject and its settings.
pub struct Surroundings<'a> {
    /// The address of the bridge's status page, if there is one.
    pub status_page: Option<&'a str>,
    /// Makes the address of a ticket of its key.
    pub browse: &'a dyn Fn(&str) -> String,
    /// The accounts that `approval.approvers` and `approval.deny` name, as far as they are known.
    pub people: &'a People,
    /// When the gate may open; none if at any time.
    pub hours: Option<&'a TicketHours>,
}

/// Writes a new ticket.
///
/// # Errors
/// If a template cannot be rendered; the key of the first such template is named.
pub fn draft(subject: &Subject, route: &Route, around: &Surroundings<'_>) -> Result<Draft, Unrenderable> {
    let writer = Writer::new(subject);
    let settings = &route.ticket;
    let (summary, description) = match &subject.bypass {
        Some(bypass) => bypass::words(subject, bypass, around.status_page),
        None => {
            let summary = writer.text(&route.key_of("summary"), &settings.summary)?;
            let words = writer.text(&route.key_of("description"), &settings.description)?;
            let mut description = vec![Block::External(spans::blocks(&words))];
            description.extend(sections(subject, route, around));
            (summary, description)
        }
    };
    let fields = settings
        .fields
        .iter()
        .map(|(name, value)| {
            Ok((name.clone(), writer.value(&route.key_of(&format!("fields.{name}")), value)?))
        })
        .collect::<Result<_, _>>()?;
    Ok(Draft { summary: summary::fitting(&summary), description: Doc(description), fields })
}

/// What each ticket says: what changes, what each move does, who decides, what is known so far.
fn sections(subject: &Subject, route: &Route, around: &Surroundings<'_>) -> Vec<Block> {
    let mut sections = change::change_section(subject);
    match route.approval.mode {
        ApprovalMode::Required => {
            let deny = denied(subject, &route.approval.deny);
            let obstacle = obstacle(subject, &deny);
            sections.extend(decision::decision_section(subject, &route.ticket, obstacle));
            sections.extend(approvers::approvers_section(subject, route, &deny, around.people, around.hours));
        }
        ApprovalMode::Record => {
            sections.extend(recorded::recorded_section(subject, route, around.people, around.hours));
        }
    }
    sections.extend(evidence::evidence_section(subject, around.status_page, around.browse));
    sections.extend(technical::technical_section(subject));
    sections.push(Block::External(team::everything(subject)));
    sections
}

/// Writes the comment that makes an existing ticket that of a gate: what a new ticket would say. `from` is the name under
/// which the question sent its key.
#[must_use]
pub fn taken(subject: &Subject, from: &str, route: &Route, around: &Surroundings<'_>) -> Doc {
    Doc(taken::opening(subject, from).into_iter().chain(sections(subject, route, around)).collect())
}
