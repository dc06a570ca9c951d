//! PURE: the span of a part of a changelog, from its oldest to its newest entry.

use crate::millis::Millis;

/// When an entry was made, and its id.
pub(super) type EntryPosition = (Millis, u64);

/// The oldest and the newest of some entries that are in order by time and by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntrySpan {
    oldest: EntryPosition,
    newest: EntryPosition,
}

impl EntrySpan {
    /// The span of entries, given the oldest first. None if there are none, if they are not in order, or if one has no
    /// position.
    pub(super) fn of(mut places: impl Iterator<Item = Option<EntryPosition>>) -> Option<Self> {
        let first = places.next()??;
        places.try_fold(Self { oldest: first, newest: first }, |span, place| {
            let place = place?;
            span.join(Self { oldest: place, newest: place })
        })
    }

    /// The span joined with that of the entries directly after it, if the order continues.
    #[must_use]
    pub fn join(self, newer: Self) -> Option<Self> {
        let goes_on = self.newest.0 <= newer.oldest.0 && self.newest.1 < newer.oldest.1;
        goes_on.then_some(Self { oldest: self.oldest, newest: newer.newest })
    }

    /// The span joined with an overlapping newer one.
    #[must_use]
    pub fn join_overlapping(self, newer: Self) -> Option<Self> {
        let goes_on = self.oldest <= newer.oldest && self.newest <= newer.newest;
        goes_on.then_some(Self { oldest: self.oldest, newest: newer.newest })
    }

    /// The position of the newest entry.
    #[must_use]
    pub const fn newest(self) -> EntryPosition {
        self.newest
    }

    /// Whether the span begins before this moment, so that no entry of the moment is missing.
    #[must_use]
    pub fn starts_before(self, at: Millis) -> bool {
        self.oldest.0 < at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(places: &[(i64, u64)]) -> Option<EntrySpan> {
        EntrySpan::of(places.iter().map(|(at, id)| Some((Millis(*at), *id))))
    }

    #[test]
    fn entries_are_in_order_by_time_and_id_or_not_at_all() {
        for (places, ordered) in [
            (&[][..], false),
            (&[(1, 1)], true),
            (&[(1, 1), (1, 2), (5, 3)], true),
            (&[(1, 1), (5, 1)], false),
            (&[(1, 2), (5, 1)], false),
            (&[(5, 1), (1, 2)], false),
        ] {
            assert_eq!(span(places).is_some(), ordered, "{places:?}");
        }
        assert_eq!(EntrySpan::of([Some((Millis(1), 1)), None].into_iter()), None);
    }

    #[test]
    fn parts_make_a_whole_if_the_order_goes_on() {
        let (early, late) = (span(&[(1, 1), (3, 3)]).unwrap(), span(&[(3, 4), (9, 9)]).unwrap());
        assert_eq!(early.join(late), span(&[(1, 1), (9, 9)]));
        assert_eq!(late.join(early), None);
        assert_eq!(span(&[(1, 1), (3, 3), (3, 4)]).unwrap().join_overlapping(late), span(&[(1, 1), (9, 9)]));
        assert_eq!(late.join_overlapping(early), None);
        assert!(late.starts_before(Millis(4)));
        assert!(!late.starts_before(Millis(3)), "there may be more of that moment");
    }
}
