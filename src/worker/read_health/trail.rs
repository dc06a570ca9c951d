//! What was read of changelogs beyond the newest entries, which come with each answer: it is not read again.

use std::collections::{HashMap, HashSet};

use crate::{
    gate::{GateId, Invalidation, IssueSnapshot, Move},
    jira::{self, EntrySpan, Reading},
};

/// What is known of the changelogs of tickets. All of it may be lost.
#[derive(Default)]
pub(super) struct Trails(HashMap<GateId, Trail>);

/// The newest part of a changelog, back to some entry.
struct Trail {
    /// The number of its oldest entry; the oldest of the changelog is 0.
    start: usize,
    /// The number after its newest.
    end: usize,
    moves: Vec<Move>,
    invalidations: Vec<Invalidation>,
    /// From when to when its entries are, if they are in order.
    span: Option<EntrySpan>,
}

impl Trail {
    /// How many entries there are in all, by those of an answer that does not say so. If the newest entry that is known is among
    /// them, those before it are all that are newer: nothing is missing between.
    fn total(&self, reading: &Reading) -> Option<usize> {
        let newest = self.span?.newest();
        let newer = reading.places.iter().position(|place| *place == newest)?;
        Some(self.end + newer)
    }
}

impl Trails {
    /// Forgets all but those that live.
    pub(super) fn retain(&mut self, live: &HashSet<&GateId>) {
        self.0.retain(|gate, _| live.contains(gate));
    }

    /// Forgets what is known of one.
    pub(super) fn remove(&mut self, gate: &GateId) {
        self.0.remove(gate);
    }

    /// Adds to what an answer shows of a changelog what is known of the part before that.
    pub(super) fn join(&mut self, gate: &GateId, reading: &mut Reading) {
        let Some(known) = self.0.get(gate) else { return };
        // What is whole needs nothing.
        if reading.total.is_none() && !reading.is_whole {
            reading.total = known.total(reading);
        }
        let Some(total) = reading.total else { return };
        let start = total.saturating_sub(reading.newest);
        // It only ever grows: what is longer than the changelog is not of this one.
        if known.start >= start || known.end < start || known.end > total {
            return;
        }
        let IssueSnapshot::Issue { moves, invalidations, .. } = &mut reading.snapshot else { return };
        jira::add(moves, known.moves.clone());
        jira::add(invalidations, known.invalidations.clone());
        reading.span = match (known.span, reading.span) {
            (span, _) if reading.newest == 0 => span,
            (Some(known_span), Some(read)) if start < known.end => known_span.up_to(read),
            (Some(known_span), Some(read)) => known_span.and(read),
            (None, _) | (_, None) => None,
        };
        reading.newest = total - known.start;
        reading.is_whole = known.start == 0;
        self.knows(gate, reading);
    }

    /// Keeps what was read of a changelog.
    pub(super) fn knows(&mut self, gate: &GateId, reading: &Reading) {
        let IssueSnapshot::Issue { moves, invalidations, .. } = &reading.snapshot else { return };
        let Some(end) = reading.total else { return };
        let (moves, invalidations, span) = (moves.clone(), invalidations.clone(), reading.span);
        let start = end.saturating_sub(reading.newest);
        self.0.insert(gate.clone(), Trail { start, end, moves, invalidations, span });
    }
}
