//! PURE: the texts of tickets and comments.
//!
//! External text (names, checksums, metadata) is only ever a *value*: never template source, never markup. In templates
//! a value is one line of limited length, so that it cannot look like a paragraph of the ticket.

mod bypass;
mod change;
mod comment;
mod doc;
mod event_note;
mod sections;
mod spans;
mod writer;

use std::collections::BTreeMap;

use minijinja::Value;

use self::writer::Writer;
use crate::{policy::Route, rollout::Subject, text::one_line};

pub use self::{
    comment::comment,
    doc::{Block, Doc, Span},
    event_note::event_note,
    writer::{Unrenderable, denied},
};

/// The names that each template may use. `metadata.x` that was not sent renders empty.
pub const QUESTION_NAMES: [&str; 10] =
    ["canary", "namespace", "cluster", "stage", "gate", "phase", "base", "revision", "label", "metadata"];
/// The names that only the template of a ticket may use: what the API server shows. Who may not approve must not depend on
/// whether that can be read.
pub const CHANGE_NAMES: [&str; 6] = ["images", "old", "new", "changes", "annotations", "weight"];

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

/// Writes a new ticket. `status_page` is the URL of the bridge's status page, if there is one.
///
/// # Errors
/// If a template cannot be rendered; the key of the first such template is named.
pub fn draft(subject: &Subject, route: &Route, status_page: Option<&str>) -> Result<Draft, Unrenderable> {
    let writer = Writer::new(subject);
    let settings = &route.ticket;
    let (summary, description) = match &subject.bypass {
        Some(bypass) => bypass::words(&subject.canary, bypass, status_page),
        None => {
            let summary = writer.text(&route.key_of("summary"), &settings.summary)?;
            let words = writer.text(&route.key_of("description"), &settings.description)?;
            let mut description = spans::blocks(&words);
            description.extend(change::change_section(subject.change.as_ref(), subject.bound));
            description.extend(sections::rollout_section(subject));
            description.extend(sections::decision_section(subject, settings));
            description.extend(sections::approvers_section(subject, route));
            description.extend(status_page.map(sections::status_page));
            // Last, so that only metadata is cut if the text is too long.
            description.extend(sections::metadata_section(&subject.metadata));
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
    Ok(Draft { summary: one_line(&summary, 250), description: Doc(description), fields })
}
