//! PURE: which part of a changelog an answer holds.

use serde_json::Value;

use super::{Changelog, history::place};
use crate::jira::span::Span;

/// Cloud puts at most this many entries into an issue; an older answer may not say how many there are.
const CLOUD_ENTRIES: usize = 40;

/// What an answer holds of a changelog.
#[derive(Debug, Default)]
pub(in crate::jira) struct Trail {
    /// The entries: all, or the newest, with none left out between them.
    pub(in crate::jira) histories: Vec<Value>,
    /// Whether there are no others.
    pub(in crate::jira) is_whole: bool,
    /// How many there are in all, if that is known.
    pub(in crate::jira) total: Option<usize>,
    /// From when to when they are, if they are in order.
    pub(in crate::jira) span: Option<Span>,
}

impl Trail {
    /// From an answer. A part of a changelog is worth something only if it is the newest part for sure: each entry is
    /// newer than the next, by its time and by its id.
    pub(super) fn of(changelog: Changelog) -> Option<Self> {
        let total = changelog.total;
        let histories = changelog.entries()?;
        let is_whole = match total {
            Some(total) => histories.len() >= total,
            None => histories.len() < CLOUD_ENTRIES,
        };
        let total = total.or(is_whole.then_some(histories.len()));
        let span = span(histories.iter().rev());
        let histories = if is_whole || span.is_some() { histories } else { vec![] };
        Some(Self { histories, is_whole, total, span })
    }
}

/// From when to when entries are, the oldest first, if they are in order.
pub(in crate::jira) fn span<'a>(entries: impl Iterator<Item = &'a Value>) -> Option<Span> {
    Span::of(entries.map(place))
}
