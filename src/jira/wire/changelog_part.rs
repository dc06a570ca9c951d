//! PURE: the part of a changelog that an answer holds.

use serde_json::Value;

use super::history::{Changelog, position};
use crate::jira::{
    settings::Kind,
    span::{EntryPosition, EntrySpan},
};

/// Cloud puts at most this many changelog entries into an issue, and does not always say how many exist.
const CLOUD_ENTRIES: usize = 40;

/// The part of a changelog that an answer holds.
#[derive(Debug, Default)]
pub(in crate::jira) struct ChangelogPart {
    /// The entries: all, or the newest without a gap.
    pub(in crate::jira) histories: Vec<Value>,
    /// Whether the changelog has no other entries.
    pub(in crate::jira) is_whole: bool,
    /// How many entries the changelog has, if known.
    pub(in crate::jira) total: Option<usize>,
    /// If `total` is unknown: the position of each entry, if they are in order; in the order of `histories`.
    pub(in crate::jira) positions: Vec<EntryPosition>,
    /// From the oldest to the newest entry, if they are in order.
    pub(in crate::jira) span: Option<EntrySpan>,
}

impl ChangelogPart {
    /// From an answer. A part of a changelog counts only if it is certainly the newest part: each entry is newer than
    /// the next, by its time and by its id.
    ///
    /// If Cloud returns as many entries as it ever does, they never count as all entries, whatever its total.
    pub(super) fn of(changelog: Changelog, kind: Kind) -> Option<Self> {
        let total = changelog.total;
        let histories = changelog.entries()?;
        let is_all = total.is_none_or(|total| histories.len() >= total);
        let (is_whole, total) = match (kind, total) {
            (Kind::Cloud, _) | (Kind::DataCenter, None) if histories.len() < CLOUD_ENTRIES => (is_all, total),
            // An impossible total is ignored.
            (Kind::Cloud, _) => (false, total.filter(|_| !is_all)),
            (Kind::DataCenter, Some(_)) => (is_all, total),
            (Kind::DataCenter, None) => (false, None),
        };
        let total = total.or(is_whole.then_some(histories.len()));
        let span = span(histories.iter().rev());
        let histories = if is_whole || span.is_some() { histories } else { vec![] };
        let is_needed = total.is_none() && span.is_some();
        let positions = if is_needed { histories.iter().filter_map(position).collect() } else { vec![] };
        Some(Self { histories, is_whole, total, positions, span })
    }
}

/// The span of entries, given the oldest first, if they are in order.
pub(in crate::jira) fn span<'a>(entries: impl Iterator<Item = &'a Value>) -> Option<EntrySpan> {
    EntrySpan::of(entries.map(position))
}
