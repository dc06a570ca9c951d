//! Where two of Jira's answers may disagree, the more direct one is asked for.

use super::{Worker, look::Seen};
use crate::{
    gate::{Standing, View},
    millis::Millis,
};

/// Why what was read of many tickets is not enough to say so of one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It is.
    None,
    /// It would give up the gate, or take back an issue that was not the gate's.
    Gone,
    /// It is news, and only an index says so.
    Index,
    /// It would open the gate, or keep it open for long, and only an index says so: that alone opens nothing.
    Opens,
    /// It shows again what was approved, and only an index says so. The issue itself said so lately, so it need not be asked; but
    /// for how long that is trusted counts from then.
    Renews,
}

impl Worker {
    /// Why what many tickets' request showed of this one is not enough.
    pub(super) fn doubt(&self, seen: &Seen, now: Millis) -> Doubt {
        let Some(canary) = self.store().canary(&seen.canary) else { return Doubt::None };
        let Some(gate) = canary.gate_by_id(&seen.gate) else { return Doubt::None };
        let trust = self.gatekeeper.trust(&seen.canary, &gate.name);
        let after = gate.see(&seen.sighting, &seen.statuses, &seen.author, now, seen.arrived, trust);
        let Some(after) = after else { return Doubt::None };
        let (Standing::Watched { view: before, .. }, Standing::Watched { view, .. }) =
            (&gate.standing, &after.standing)
        else {
            return Doubt::None;
        };
        let reads_an_index = self.jira.reads_an_index();
        match view {
            // Nothing but a no counts of a ticket that was labelled as dead, and that was replaced.
            View::Waiting { .. }
            | View::Approved { .. }
            | View::NotAllowed { .. }
            | View::Unjudged { .. }
            | View::Gone { .. }
                if gate.is_labelled() && canary.is_replaced(&gate.id) =>
            {
                Doubt::None
            }
            // Where many are read, an index may not know what the issue itself lacks.
            View::Waiting { .. }
            | View::Approved { .. }
            | View::Rejected { .. }
            | View::NotAllowed { .. }
            | View::Unjudged { .. }
                if gate.is_unmarked() =>
            {
                Doubt::Gone
            }
            View::Gone { .. } if before != view => Doubt::Gone,
            View::Approved { .. } if reads_an_index => {
                let is_judged = gate.judged_by == Some(trust.judged_by);
                if before == view && is_judged && self.was_read_directly(seen, now) {
                    Doubt::Renews
                } else {
                    Doubt::Opens
                }
            }
            // Where it stands first is no news that a lagging index could get wrong.
            View::Waiting { .. } if matches!(before, View::Waiting { status: None }) => Doubt::None,
            View::Waiting { .. }
            | View::Approved { .. }
            | View::Rejected { .. }
            | View::NotAllowed { .. }
            | View::Unjudged { .. }
                if before != view && reads_an_index =>
            {
                Doubt::Index
            }
            View::Waiting { .. }
            | View::Approved { .. }
            | View::Rejected { .. }
            | View::NotAllowed { .. }
            | View::Unjudged { .. }
            | View::Gone { .. } => Doubt::None,
        }
    }

    /// Whether an approval was read past every index lately: half of the time for which it is trusted.
    fn was_read_directly(&self, seen: &Seen, now: Millis) -> bool {
        let read = self.memory().manners.read_directly(&seen.gate);
        read.is_some_and(|at| now.apart(at) < self.gatekeeper.timing().trust_for / 2)
    }
}
