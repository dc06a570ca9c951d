//! Questions that were refused a ticket recently: by a limit, or because they had no checksum. Kept in memory only, for
//! the page, and so that the log lists each gate once.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use crate::{
    gate::GateName,
    lock::lock,
    millis::Millis,
    rollout::CanaryId,
    view::{GateView, Rfc3339},
};

/// The most gates that are remembered. Further ones are counted, but neither shown nor logged.
const MAX_GATES: usize = 100;

/// Gates without a ticket because their questions were refused, for as long as Flagger asks at them.
#[derive(Default)]
pub(super) struct RefusedGates(Mutex<Gates>);

type Gates = BTreeMap<(CanaryId, GateName), (Millis, GateView)>;

/// Whether a refusal was logged already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    /// It is the first of its gate for a while.
    New,
    /// It was logged, or there are too many to log.
    Known,
}

impl RefusedGates {
    /// Records that a gate was refused. Forgets gates at which Flagger did not ask for `idle_after`.
    pub(super) fn refuse(
        &self,
        id: &CanaryId,
        name: &GateName,
        view: &GateView,
        now: Millis,
        idle_after: Duration,
    ) -> Novelty {
        let mut gates = self.gates();
        gates.retain(|_, (at, _)| now.since(*at) < idle_after);
        let gate = (id.clone(), name.clone());
        let known = gates.contains_key(&gate);
        if !known && gates.len() >= MAX_GATES {
            return Novelty::Known;
        }
        gates.insert(gate, (now, view.clone()));
        if known { Novelty::Known } else { Novelty::New }
    }

    /// The gates at which Flagger asked within `idle_after`, and which have no ticket since.
    pub(super) fn recent(
        &self,
        now: Millis,
        idle_after: Duration,
        has_ticket: impl Fn(&CanaryId, &GateName) -> bool,
    ) -> Vec<GateView> {
        let mut gates = self.gates();
        gates.retain(|(id, name), (at, _)| now.since(*at) < idle_after && !has_ticket(id, name));
        let shown =
            |(at, view): &(Millis, GateView)| GateView { last_asked_at: Some(Rfc3339(*at)), ..view.clone() };
        gates.values().map(shown).collect()
    }

    fn gates(&self) -> MutexGuard<'_, Gates> {
        lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{gate::Stage, gatekeeper::answer, rollout::TicketLimit};

    const IDLE: Duration = Duration::from_secs(600);

    fn refuse(refused: &RefusedGates, canary: usize, now: Millis) -> Novelty {
        let id = CanaryId { cluster: "c".into(), namespace: "n".into(), name: format!("made-up-{canary}") };
        let name = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
        let view = answer::refused(&id, &name, TicketLimit::Overall, 5, false).gate;
        refused.refuse(&id, &name, &view, now, IDLE)
    }

    #[test]
    fn each_is_logged_once_and_a_flood_is_not_logged() {
        let refused = RefusedGates::default();
        let news = |canary, now| refuse(&refused, canary, now);
        assert!((0..MAX_GATES).all(|canary| news(canary, Millis(0)) == Novelty::New));
        assert!((0..MAX_GATES).all(|canary| news(canary, Millis(1)) == Novelty::Known));
        assert!((MAX_GATES..10 * MAX_GATES).all(|canary| news(canary, Millis(2)) == Novelty::Known));
        assert_eq!(refused.recent(Millis(3), IDLE, |_, _| false).len(), MAX_GATES);
        // The page was not loaded meanwhile; the old gates make room all the same.
        let later = Millis(2) + IDLE;
        assert_eq!(news(7 * MAX_GATES, later), Novelty::New);
        assert_eq!(refused.recent(later, IDLE, |_, _| false).len(), 1);
        assert_eq!(refused.recent(later, IDLE, |_, _| true).len(), 0);
    }
}
