//! PURE: what is read of a ticket, and how parts of its changelog become a whole.

use super::span::{EntryPosition, EntrySpan};
use crate::{
    gate::{Invalidation, IssueSnapshot, Move},
    millis::Millis,
};

/// What an answer shows of a ticket.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What it shows. All moves are among the newest entries of the changelog; there may be older ones.
    pub snapshot: IssueSnapshot,
    /// How many of the newest entries of its changelog were read.
    pub newest: usize,
    /// Whether those are all.
    pub is_whole: bool,
    /// How many there are in all, if that is known.
    pub total: Option<usize>,
    /// Where that was not told: the place of each that was read, the newest first.
    pub places: Vec<EntryPosition>,
    /// From when to when they are, if they are in order.
    pub span: Option<EntrySpan>,
    /// How long it is in the answer, where that is for many.
    pub length: usize,
}

/// Where in a changelog to go on, towards its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageBefore {
    /// At its end.
    End,
    /// Before an entry.
    Entry {
        /// Its number; the oldest one is 0.
        entry: usize,
        /// How many there are in all.
        of: usize,
    },
}

/// Part of a changelog.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangelogPage {
    /// The changes of the status in it.
    pub moves: Vec<Move>,
    /// What in it undoes those before.
    pub invalidations: Vec<Invalidation>,
    /// From when to when its entries are, if they are in order.
    pub span: Option<EntrySpan>,
    /// The number of its oldest entry.
    pub start: usize,
    /// The number of the entry after its newest one.
    pub end: usize,
}

impl Reading {
    /// Adds the part of the changelog right before what was read.
    pub fn add(&mut self, page: ChangelogPage) {
        let IssueSnapshot::Issue { moves, invalidations, .. } = &mut self.snapshot else { return };
        // Where the length was not known, the page is the end of the changelog, and has the newest entries again.
        let newer = if self.newest == 0 || self.total.is_none() { None } else { Some(self.span) };
        self.span = match newer {
            None => page.span,
            Some(newer) => page.span.zip(newer).and_then(|(older, newer)| older.and(newer)),
        };
        add(moves, page.moves);
        add(invalidations, page.invalidations);
        let end = self.total.unwrap_or(page.end);
        self.total = Some(end);
        self.newest = end - page.start;
        self.is_whole = page.start == 0;
    }

    /// Whether nothing is missing of the changelog since then, by Jira's clock.
    #[must_use]
    pub fn goes_back_to(&self, since: Millis) -> bool {
        self.is_whole || self.span.is_some_and(|span| span.is_from_before(since))
    }

    /// What follows what was read towards the beginning.
    #[must_use]
    pub fn before(&self) -> PageBefore {
        let before = |total: usize| PageBefore::Entry { entry: total.saturating_sub(self.newest), of: total };
        self.total.map_or(PageBefore::End, before)
    }
}

/// Adds what is not there yet.
pub fn add<T: PartialEq>(to: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !to.contains(&one) {
            to.push(one);
        }
    }
}
