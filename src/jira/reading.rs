//! PURE: a reading of a ticket, and how parts of its changelog are joined.

use super::span::{EntryPosition, EntrySpan};
use crate::{
    gate::{Invalidation, IssueSnapshot, Move},
    millis::Millis,
};

/// What an answer says about a ticket.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The ticket's state. Its moves are those of the newest changelog entries; older entries may have more.
    pub snapshot: IssueSnapshot,
    /// How many of the newest entries of its changelog were read.
    pub entries_read: usize,
    /// Whether those are all entries.
    pub is_whole: bool,
    /// How many entries the changelog has, if known.
    pub total: Option<usize>,
    /// If `total` is unknown: the position of each entry that was read, newest first.
    pub positions: Vec<EntryPosition>,
    /// From the oldest to the newest entry that was read, if they are in order.
    pub span: Option<EntrySpan>,
    /// The length of the issue's JSON in bytes, if it was read together with others; else 0.
    pub json_length: usize,
}

/// Where to continue reading a changelog, toward its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageBefore {
    /// At the end of the changelog.
    End,
    /// Before an entry.
    Entry {
        /// The entry's number; the oldest is 0.
        entry: usize,
        /// How many entries the changelog has.
        total: usize,
    },
}

/// Part of a changelog.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangelogPage {
    /// The status changes in it.
    pub moves: Vec<Move>,
    /// What in it voids earlier moves.
    pub invalidations: Vec<Invalidation>,
    /// From its oldest to its newest entry, if they are in order.
    pub span: Option<EntrySpan>,
    /// The number of its oldest entry.
    pub start: usize,
    /// The number of the entry after its newest one.
    pub end: usize,
}

impl Reading {
    /// Adds the part of the changelog directly before the part that was read.
    pub fn add(&mut self, page: ChangelogPage) {
        let IssueSnapshot::Issue { moves, invalidations, .. } = &mut self.snapshot else { return };
        // If the length was unknown, the page is the end of the changelog and repeats the newest entries.
        let newer = if self.entries_read == 0 || self.total.is_none() { None } else { Some(self.span) };
        self.span = match newer {
            None => page.span,
            Some(newer) => page.span.zip(newer).and_then(|(older, newer)| older.join(newer)),
        };
        add_missing(moves, page.moves);
        add_missing(invalidations, page.invalidations);
        let end = self.total.unwrap_or(page.end);
        self.total = Some(end);
        self.entries_read = end - page.start;
        self.is_whole = page.start == 0;
    }

    /// Whether every changelog entry since then, by Jira's clock, was read.
    #[must_use]
    pub fn covers_since(&self, since: Millis) -> bool {
        self.is_whole || self.span.is_some_and(|span| span.starts_before(since))
    }

    /// Where the next older part of the changelog ends.
    #[must_use]
    pub fn next_page(&self) -> PageBefore {
        let before =
            |total: usize| PageBefore::Entry { entry: total.saturating_sub(self.entries_read), total };
        self.total.map_or(PageBefore::End, before)
    }
}

/// Adds the items that `to` does not hold yet.
pub fn add_missing<T: PartialEq>(to: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !to.contains(&one) {
            to.push(one);
        }
    }
}
