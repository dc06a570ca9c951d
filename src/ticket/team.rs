//! PURE: what the application team says about a rollout: the metadata of its hooks, and the annotations of what it deploys.

use super::{
    doc::{Block, Span},
    links::{is_web_address, linked},
    sections::{labelled, paragraph, section, text},
    words::LONGEST_NAME,
};
use crate::{
    rollout::Subject,
    text::{TRUNCATED, beginning, one_line, sanitize},
    workload::{Annotation, AnnotationValue, Shown},
};

/// The longest value at the top of a ticket, in characters. What is longer stands at its end.
const LONGEST_SHORT: usize = 300;
/// The most lines of a value at the top.
const MOST_SHORT_LINES: usize = 8;
/// The most entries at the top.
const MOST_SHORT: usize = 20;
/// The longest value at the end of a ticket, so that one of them does not push out the others.
const LONGEST_VALUE: usize = 3_000;
/// The longest section at the end, in characters. Jira's own limit for a description is 32,767.
const LONGEST_REST: usize = 8_000;
/// The most lines of it: each takes more space than its text.
const MOST_LINES: usize = 150;

/// The table at the top. Dashboards are not in it: [`dashboards`].
pub(super) fn team_table(subject: &Subject) -> Vec<Block> {
    let entries = entries(subject);
    let rows: Vec<_> = entries.iter().filter(|entry| !entry.is_dashboard()).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![
        paragraph("The application team says about this rollout (nobody has checked it):"),
        table(rows.iter().take(MOST_SHORT).map(|entry| entry.row(entry.short())).collect()),
    ];
    if is_shortened(&entries) {
        blocks.push(paragraph("That is not all the team sent: the rest is at the end of this ticket."));
    }
    blocks
}

/// The links to dashboards: what the team sent with such a name, as far as it is an address.
pub(super) fn dashboards(subject: &Subject) -> Vec<Vec<Span>> {
    let all = entries(subject);
    let dashboards = all.iter().filter(|entry| entry.is_dashboard()).take(MOST_SHORT);
    let line = |entry: &Entry<'_>| {
        let link = Span::Link { text: entry.value.clone(), url: entry.value.clone() };
        labelled(&format!("{} (from the team)", entry.name()), vec![link])
    };
    dashboards.map(line).collect()
}

/// All that the team sent, if the table at the top does not hold it.
pub(super) fn everything(subject: &Subject) -> Vec<Block> {
    let entries = entries(subject);
    if !is_shortened(&entries) {
        return Vec::new();
    }
    let (mut left, mut lines, mut rows) = (LONGEST_REST, MOST_LINES, Vec::new());
    for entry in &entries {
        let value = entry.whole(&mut left, &mut lines);
        rows.push(entry.row(value));
        if left == 0 || lines == 0 {
            rows.push(vec![vec![text(TRUNCATED)], Vec::new()]);
            break;
        }
    }
    section("Everything the application team sent (nobody has checked it)", vec![table(rows)])
}

/// A name and a value from the team.
struct Entry<'a> {
    name: &'a str,
    value: String,
    /// Whether it may hold links.
    may_link: bool,
}

fn entries(subject: &Subject) -> Vec<Entry<'_>> {
    let annotations = subject.change.as_ref().and_then(Shown::change);
    let annotations = annotations.into_iter().flat_map(|change| &change.annotations);
    let sent = subject.metadata.iter().map(|(name, value)| Entry {
        name,
        value: sanitize(value).replace('\t', " ").trim().to_owned(),
        may_link: true,
    });
    sent.chain(annotations.map(Entry::of)).collect()
}

/// Whether the table at the top is not all.
fn is_shortened(entries: &[Entry<'_>]) -> bool {
    entries.iter().filter(|entry| !entry.is_dashboard()).count() > MOST_SHORT
        || !entries.iter().all(Entry::is_short)
}

fn table(rows: Vec<Vec<Vec<Span>>>) -> Block {
    Block::Table { header: vec!["Name".to_owned(), "Value".to_owned()], rows }
}

impl<'a> Entry<'a> {
    fn of(annotation: &'a Annotation) -> Self {
        let may_link = match annotation.value {
            AnnotationValue::Text(_) | AnnotationValue::Link(_) => true,
            AnnotationValue::Withheld(_) => false,
        };
        Self { name: &annotation.name, value: annotation.value.to_string(), may_link }
    }

    fn name(&self) -> String {
        one_line(self.name, LONGEST_NAME)
    }

    fn is_dashboard(&self) -> bool {
        self.may_link && self.name.to_lowercase().contains("dashboard") && is_web_address(&self.value)
    }

    fn row(&self, value: Vec<Span>) -> Vec<Vec<Span>> {
        vec![vec![text(&self.name())], value]
    }

    fn spans(&self, line: &str) -> Vec<Span> {
        if self.may_link { linked(line) } else { vec![text(line)] }
    }

    fn is_short(&self) -> bool {
        beginning(&self.value, LONGEST_SHORT).is_none() && self.value.lines().nth(MOST_SHORT_LINES).is_none()
    }

    /// The value if it is short, else its beginning on one line. An address that is cut would lead elsewhere.
    fn short(&self) -> Vec<Span> {
        if self.is_short() {
            let (mut left, mut lines) = (LONGEST_SHORT, MOST_SHORT_LINES + 1);
            return self.whole(&mut left, &mut lines);
        }
        vec![text(&one_line(&self.value, LONGEST_SHORT))]
    }

    /// The value with its lines, as far as there is room.
    fn whole(&self, left: &mut usize, lines: &mut usize) -> Vec<Span> {
        let kept = beginning(&self.value, LONGEST_VALUE.min(*left));
        let mut spans: Vec<Span> = Vec::new();
        for line in kept.unwrap_or(&self.value).lines().take(*lines) {
            if !spans.is_empty() {
                spans.push(Span::Break);
            }
            spans.extend(if kept.is_some() { vec![text(line)] } else { self.spans(line) });
            *lines -= 1;
        }
        *left =
            left.saturating_sub(self.name().chars().count() + self.value.chars().count().min(LONGEST_VALUE));
        if kept.is_some() || *lines == 0 {
            spans.push(text(TRUNCATED));
        }
        spans
    }
}
