//! PURE: which part of a changelog an answer holds.

use serde_json::Value;

use super::history::{Changelog, place};
use crate::jira::{
    settings::Kind,
    span::{EntryPosition, EntrySpan},
};

/// Cloud puts at most this many entries into an issue, and does not always say how many there are.
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
    /// Where that is not known: the place of each, if they are in order, as they are here.
    pub(in crate::jira) places: Vec<EntryPosition>,
    /// From when to when they are, if they are in order.
    pub(in crate::jira) span: Option<EntrySpan>,
}

impl Trail {
    /// From an answer. A part of a changelog is worth something only if it is the newest part for sure: each entry is
    /// newer than the next, by its time and by its id.
    ///
    /// So many of Cloud that it leaves out the others are never all of them, whatever it says.
    pub(super) fn of(changelog: Changelog, kind: Kind) -> Option<Self> {
        let total = changelog.total;
        let histories = changelog.entries()?;
        let is_all = total.is_none_or(|total| histories.len() >= total);
        let (is_whole, total) = match (kind, total) {
            (Kind::Cloud, _) | (Kind::DataCenter, None) if histories.len() < CLOUD_ENTRIES => (is_all, total),
            // A number that says what cannot be is none.
            (Kind::Cloud, _) => (false, total.filter(|_| !is_all)),
            (Kind::DataCenter, Some(_)) => (is_all, total),
            (Kind::DataCenter, None) => (false, None),
        };
        let total = total.or(is_whole.then_some(histories.len()));
        let span = span(histories.iter().rev());
        let histories = if is_whole || span.is_some() { histories } else { vec![] };
        let unplaced = total.is_some() || span.is_none();
        let places = if unplaced { vec![] } else { histories.iter().filter_map(place).collect() };
        Some(Self { histories, is_whole, total, places, span })
    }
}

/// From when to when entries are, the oldest first, if they are in order.
pub(in crate::jira) fn span<'a>(entries: impl Iterator<Item = &'a Value>) -> Option<EntrySpan> {
    EntrySpan::of(entries.map(place))
}
