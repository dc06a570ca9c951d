//! Cached parts of changelogs beyond the newest entries, which each answer contains: the bridge does not read these
//! parts again.

use std::collections::{HashMap, HashSet};

use crate::{
    gate::{GateId, Invalidation, IssueSnapshot, Move},
    jira::{self, EntrySpan, Reading},
};

/// The cached parts of all changelogs. Losing them is harmless.
#[derive(Default)]
pub(super) struct Trails(HashMap<GateId, Trail>);

/// The newest part of a changelog, back to some entry.
struct Trail {
    /// The index of its oldest entry; the oldest of the whole changelog is 0.
    start: usize,
    /// The index after its newest entry.
    end: usize,
    moves: Vec<Move>,
    invalidations: Vec<Invalidation>,
    /// The range of its entries, if they are in order.
    span: Option<EntrySpan>,
}

impl Trail {
    /// The length of the whole changelog, if the answer does not include it. If the answer contains the newest cached
    /// entry, the entries before that are all the newer ones, without a gap.
    fn total(&self, reading: &Reading) -> Option<usize> {
        let newest = self.span?.newest();
        let newer = reading.positions.iter().position(|place| *place == newest)?;
        Some(self.end + newer)
    }
}

impl Trails {
    /// Forgets all except live gates.
    pub(super) fn retain(&mut self, live: &HashSet<&GateId>) {
        self.0.retain(|gate, _| live.contains(gate));
    }

    /// Drops the cached part of one changelog.
    pub(super) fn remove(&mut self, gate: &GateId) {
        self.0.remove(gate);
    }

    /// Adds the cached part of a changelog to a reading.
    pub(super) fn join(&mut self, gate: &GateId, reading: &mut Reading) {
        let Some(known) = self.0.get(gate) else { return };
        // A whole changelog needs no addition.
        if reading.total.is_none() && !reading.is_whole {
            reading.total = known.total(reading);
        }
        let Some(total) = reading.total else { return };
        let start = total.saturating_sub(reading.entries_read);
        // A changelog only grows: a cached part that is longer belongs to another one.
        if known.start >= start || known.end < start || known.end > total {
            return;
        }
        let IssueSnapshot::Issue { moves, invalidations, .. } = &mut reading.snapshot else { return };
        jira::add_missing(moves, known.moves.clone());
        jira::add_missing(invalidations, known.invalidations.clone());
        reading.span = match (known.span, reading.span) {
            (span, _) if reading.entries_read == 0 => span,
            (Some(known_span), Some(read)) if start < known.end => known_span.join_overlapping(read),
            (Some(known_span), Some(read)) => known_span.join(read),
            (None, _) | (_, None) => None,
        };
        reading.entries_read = total - known.start;
        reading.is_whole = known.start == 0;
        self.cache(gate, reading);
    }

    /// Caches what was read of a changelog.
    pub(super) fn cache(&mut self, gate: &GateId, reading: &Reading) {
        let IssueSnapshot::Issue { moves, invalidations, .. } = &reading.snapshot else { return };
        let Some(end) = reading.total else { return };
        let (moves, invalidations, span) = (moves.clone(), invalidations.clone(), reading.span);
        let start = end.saturating_sub(reading.entries_read);
        self.0.insert(gate.clone(), Trail { start, end, moves, invalidations, span });
    }
}
