//! PURE: every word a ticket says.
//!
//! What comes from outside (names, checksums, metadata) is only ever a *value*: never template source, never markup.
//! In templates a value is one line of limited length, so that it cannot pretend to be a paragraph of the ticket.

mod comment;
mod sections;
mod words;
mod writer;

use std::collections::BTreeMap;

use minijinja::Value;

use self::writer::Writer;
use crate::{
    policy::{Entry, Route},
    rollout::Subject,
    text::one_line,
};

pub use comment::comment;

/// The names a template may use. `metadata.x` that was not sent renders empty.
pub const TEMPLATE_NAMES: [&str; 10] =
    ["canary", "namespace", "cluster", "stage", "gate", "phase", "base", "revision", "label", "metadata"];

/// The longest value that is put into a template, in characters.
const LONGEST_VALUE: usize = 500;

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

/// A template of the configuration cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrenderable {
    /// The key of the template.
    pub key: String,
    /// What the template engine says.
    pub what: String,
}

/// A text for people, before it becomes ADF or wiki markup. Its strings are words: nothing in them is ever markup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doc(pub Vec<Block>);

/// A part of a [`Doc`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A heading of the third level, on one line.
    Heading(String),
    /// A paragraph.
    Paragraph(Vec<Span>),
    /// A bulleted list, an entry each.
    Bullets(Vec<Vec<Span>>),
    /// Text from outside, shown to the letter, in a box of its own.
    Verbatim(String),
}

/// A run of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Plain words.
    Text(String),
    /// Words that matter.
    Strong(String),
    /// A link.
    Link {
        /// What is shown.
        text: String,
        /// Where it leads.
        url: String,
    },
    /// A new line in the same paragraph.
    Break,
}

/// Writes a new ticket. `status_page` is where people reach the bridge's page, if they do.
///
/// # Errors
/// If a template cannot be rendered; the key of the first such template is named.
pub fn draft(subject: &Subject, route: &Route, status_page: Option<&str>) -> Result<Draft, Unrenderable> {
    let writer = Writer::new(subject);
    let settings = &route.ticket;
    let summary = writer.text(&route.key_of("summary"), &settings.summary)?;
    let words = writer.text(&route.key_of("description"), &settings.description)?;
    let mut description = words::blocks(&words);
    description.extend(sections::what(subject));
    description.extend(sections::decision(&subject.gate, settings));
    description.extend(sections::approvers(subject, route));
    description.extend(status_page.map(sections::status_page));
    // Last, so that what does not fit is missing here and nowhere else.
    description.extend(sections::metadata(&subject.metadata));
    let fields = settings
        .fields
        .iter()
        .map(|(name, value)| {
            Ok((name.clone(), writer.value(&route.key_of(&format!("fields.{name}")), value)?))
        })
        .collect::<Result<_, _>>()?;
    Ok(Draft { summary: one_line(&summary, 250), description: Doc(description), fields })
}

/// The entries of `approval.deny` for this question. One that cannot be rendered comes out empty, which keeps the gate
/// closed; so does one that becomes a group or a role only by a value from outside.
#[must_use]
pub fn denied(subject: &Subject, deny: &[String]) -> Vec<String> {
    let writer = Writer::new(subject);
    let render = |entry: &String| {
        let rendered = one_line(&writer.text("deny", entry).unwrap_or_default(), LONGEST_VALUE);
        let kind = |text: &str| match Entry::read(text) {
            Entry::Nothing | Entry::Account(_) => "",
            Entry::Group(_) => "group",
            Entry::Role(_) => "role",
        };
        if kind(&rendered) == kind(entry) { rendered } else { String::new() }
    };
    deny.iter().map(render).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        gate::{GateName, Stage},
        rollout::{CanaryId, Message, Phase},
    };

    fn subject(metadata: &[(&str, &str)]) -> Subject {
        let canary = CanaryId { cluster: "default".into(), namespace: "shop".into(), name: "cart".into() };
        let gate = GateName { stage: Stage::ConfirmPromotion, approver: None };
        let message = Message { phase: Phase::Progressing, checksum: None, label: None };
        let metadata = metadata.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Subject::new(canary, gate, &message, metadata)
    }

    #[test]
    fn deny_is_rendered_and_closes_where_it_cannot_be() {
        let entries = |metadata: &[(&str, &str)], deny: &str| {
            denied(&subject(metadata), &[deny.to_owned()]).pop().unwrap()
        };
        let author = |value| [("author", value)];
        for (metadata, deny, rendered) in [
            (&author("mia@example.com\n")[..], "{{ metadata.author }}", "mia@example.com"),
            (&author("shop"), "group:{{ metadata.author }}-{{ namespace }}", "group:shop-shop"),
            (&[], "role:Developers", "role:Developers"),
            (&[], "{{ metadata.author }}", ""),
            (&[], "group:{{ metadata.team }}", ""),
            (&author("0"), "{{ 1 // (metadata.author|int) }}", ""),
            // A value is a name, and nothing but a name.
            (&author("group:nobody"), "{{ metadata.author }}", ""),
            (&author(" role:nobody"), "{{ metadata.author }}", ""),
            (&author("{{ canary }}"), "{{ metadata.author }}", "{{ canary }}"),
        ] {
            assert_eq!(entries(metadata, deny), rendered, "{deny}");
        }
    }
}
