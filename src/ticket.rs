//! PURE: every word a ticket says.
//!
//! What comes from outside (names, checksums, metadata) is only ever a *value*: never template source, never markup.
//! In templates a value is one line of limited length, so that it cannot pretend to be a paragraph of the ticket.

mod comment;

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior, Value, value::ValueKind};
use serde::{Deserialize, Serialize};

use crate::{
    gate::{GateName, Stage},
    policy::{Entry, Route},
    rollout::{CanaryId, Phase, Revision},
};

pub use comment::comment;

/// The names a template may use. `metadata.x` that was not sent renders empty.
pub const TEMPLATE_NAMES: [&str; 10] =
    ["canary", "namespace", "cluster", "stage", "gate", "phase", "base", "revision", "label", "metadata"];

/// The longest value that is put into a template, in characters.
const LONGEST_VALUE: usize = 500;
/// The longest metadata section, in characters. Jira's own limit for a description is 32,767.
const LONGEST_METADATA: usize = 12_000;

/// What a ticket is about: all that is known when Flagger first asks. Stored with the command to open it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The canary.
    pub canary: CanaryId,
    /// The gate.
    pub gate: GateName,
    /// The phase Flagger named.
    pub phase: String,
    /// The revision that is being replaced, as far as known.
    pub base: Option<String>,
    /// The revision that is being rolled out, as far as known.
    pub revision: Option<String>,
    /// What the team calls it.
    pub label: Option<String>,
    /// The hook's own metadata.
    pub metadata: BTreeMap<String, String>,
}

impl Subject {
    /// What is known from a question alone. At confirm-rollout the checksum names the outgoing revision, except
    /// after a failure.
    #[must_use]
    pub fn new(
        canary: CanaryId,
        gate: GateName,
        message: &crate::rollout::Message,
        metadata: BTreeMap<String, String>,
    ) -> Self {
        let checksum = message.checksum.as_ref().map(|Revision(checksum)| checksum.clone());
        let outgoing = gate.stage == Stage::ConfirmRollout && message.phase != Phase::Failed;
        let (base, revision) = if outgoing { (checksum, None) } else { (None, checksum) };
        let label = message.label.as_ref().map(|label| label.0.clone());
        Self { canary, gate, phase: message.phase.as_str().into(), base, revision, label, metadata }
    }
}

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
    let mut description = blocks(&words);
    description.extend(what(subject));
    description.extend(decision(subject.gate.stage, &settings.approved, &settings.rejected));
    description.extend(metadata(&subject.metadata));
    if let Some(url) = status_page {
        let link = Span::Link { text: "Everything that waits, and why".into(), url: url.to_owned() };
        description.push(Block::Paragraph(vec![link]));
    }
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
    if deny.is_empty() {
        return Vec::new();
    }
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

/// Renders the templates of one ticket.
struct Writer {
    environment: Environment<'static>,
    values: Value,
}

impl Writer {
    fn new(subject: &Subject) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        let line = |text: &str| one_line(text, LONGEST_VALUE);
        let known = |text: &Option<String>| text.as_deref().map(line).unwrap_or_default();
        let metadata: BTreeMap<String, String> =
            subject.metadata.iter().map(|(name, value)| (name.clone(), line(value))).collect();
        let values = Value::from_pairs([
            ("canary", Value::from(line(&subject.canary.name))),
            ("namespace", Value::from(line(&subject.canary.namespace))),
            ("cluster", Value::from(line(&subject.canary.cluster))),
            ("stage", Value::from(subject.gate.stage.as_str())),
            ("gate", Value::from(subject.gate.approver.clone().unwrap_or_default())),
            ("phase", Value::from(line(&subject.phase))),
            ("base", Value::from(known(&subject.base))),
            ("revision", Value::from(known(&subject.revision))),
            ("label", Value::from(known(&subject.label))),
            ("metadata", Value::from_pairs(metadata)),
        ]);
        Self { environment, values }
    }

    fn text(&self, key: &str, template: &str) -> Result<String, Unrenderable> {
        self.environment.render_str(template, &self.values).map_err(|error| Unrenderable {
            key: key.to_owned(),
            what: one_line(&error.to_string(), LONGEST_VALUE),
        })
    }

    /// Every string in it is a template.
    #[expect(clippy::wildcard_enum_match_arm, reason = "not our enum, and open-ended")]
    fn value(&self, key: &str, value: &Value) -> Result<Value, Unrenderable> {
        match value.kind() {
            ValueKind::String => self
                .text(key, value.as_str().unwrap_or_default())
                .map(|text| Value::from(one_line(&text, 32_000))),
            ValueKind::Seq => {
                let items = value.try_iter().into_iter().flatten();
                Ok(Value::from(items.map(|item| self.value(key, &item)).collect::<Result<Vec<_>, _>>()?))
            }
            ValueKind::Map => {
                let names = value.try_iter().into_iter().flatten();
                let entries = names
                    .map(|name| {
                        let inner = value.get_item(&name).unwrap_or_default();
                        Ok((name.to_string(), self.value(key, &inner)?))
                    })
                    .collect::<Result<BTreeMap<_, _>, _>>()?;
                Ok(Value::from_pairs(entries))
            }
            _ => Ok(value.clone()),
        }
    }
}

/// What is about to change, and where.
fn what(subject: &Subject) -> Vec<Block> {
    let line = |name: &str, value: &str| {
        vec![Span::Strong(format!("{name}: ")), Span::Text(one_line(value, LONGEST_VALUE))]
    };
    let mut lines = vec![
        line("Canary", &subject.canary.name),
        line("Namespace", &subject.canary.namespace),
        line("Cluster", &subject.canary.cluster),
        line("Stage", &subject.gate.to_string()),
    ];
    lines.extend(subject.label.as_deref().map(|label| line("Version", label)));
    lines.extend(subject.revision.as_deref().map(|revision| line("Revision", revision)));
    lines.extend(subject.base.as_deref().map(|base| line("Replaces revision", base)));
    if subject.revision.is_none() && subject.base.is_none() {
        lines.push(line("Revision", "not sent by this Flagger; rollouts are told apart less surely"));
    }
    vec![Block::Heading("What".into()), Block::Bullets(lines)]
}

/// What moving the ticket does.
fn decision(stage: Stage, approved: &[String], rejected: &[String]) -> Vec<Block> {
    let (yes, no, limits) = match stage {
        Stage::ConfirmRollout => (
            "Flagger starts this rollout.",
            "nothing is started; Flagger keeps asking until this ticket is approved.",
            "This approves whatever is deployed when Flagger proceeds: a newer version that is pushed while this \
             ticket waits starts without a question of its own.",
        ),
        Stage::ConfirmTrafficIncrease => (
            "Flagger sends more traffic to the new version, step by step, until it is promoted or fails.",
            "traffic stays where it is; with a rollback hook Flagger rolls back.",
            "This does not approve the promotion.",
        ),
        Stage::ConfirmPromotion => (
            "Flagger replaces the running version by the new one.",
            "nothing is promoted; with a rollback hook Flagger rolls back.",
            "This approves this rollout only: the next one opens a ticket of its own.",
        ),
        Stage::Gate => (
            "Flagger goes on.",
            "Flagger does not go on; with a rollback hook it rolls back.",
            "This approves this rollout only: the next one opens a ticket of its own.",
        ),
    };
    let mut lines = vec![vec![Span::Strong(format!("{}: ", any_of(approved))), Span::Text(yes.into())]];
    if !rejected.is_empty() {
        lines.push(vec![Span::Strong(format!("{}: ", any_of(rejected))), Span::Text(no.into())]);
    }
    lines.push(vec![Span::Strong("Any other status: ".into()), Span::Text("the rollout waits.".into())]);
    vec![
        Block::Heading("What your decision does".into()),
        Block::Bullets(lines),
        Block::Paragraph(vec![Span::Text(limits.into())]),
    ]
}

fn any_of(names: &[String]) -> String {
    names.join(" or ")
}

/// What the application team sent along, in a box of its own.
fn metadata(metadata: &BTreeMap<String, String>) -> Vec<Block> {
    if metadata.is_empty() {
        return Vec::new();
    }
    let mut text = String::new();
    for (name, value) in metadata {
        let value = without_control(value).replace('\n', "\n    ");
        text.push_str(&format!("{}: {value}\n", one_line(name, LONGEST_VALUE)));
    }
    let text = match text.char_indices().nth(LONGEST_METADATA) {
        Some((at, _)) => format!("{}… (cut)", &text[..at]),
        None => text.trim_end().to_owned(),
    };
    vec![Block::Heading("Sent along with the question".into()), Block::Verbatim(text)]
}

/// Plain text as paragraphs and bullets: a blank line ends a paragraph, `- ` begins a bullet.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut new_paragraph = true;
    for line in text.lines().map(str::trim) {
        if line.is_empty() {
            new_paragraph = true;
            continue;
        }
        match (line.strip_prefix("- "), blocks.last_mut()) {
            (Some(entry), Some(Block::Bullets(entries))) if !new_paragraph => {
                entries.push(vec![Span::Text(entry.into())]);
            }
            (Some(entry), _) => blocks.push(Block::Bullets(vec![vec![Span::Text(entry.into())]])),
            (None, Some(Block::Paragraph(spans))) if !new_paragraph => {
                spans.extend([Span::Break, Span::Text(line.into())]);
            }
            (None, _) => blocks.push(Block::Paragraph(vec![Span::Text(line.into())])),
        }
        new_paragraph = false;
    }
    blocks
}

/// One line of at most `longest` characters: control characters and line ends become spaces.
#[must_use]
pub fn one_line(text: &str, longest: usize) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let trimmed = spaced.trim();
    match trimmed.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", &trimmed[..at]),
        None => trimmed.to_owned(),
    }
}

fn without_control(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::{Message, Phase};

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
