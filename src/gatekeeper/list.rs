//! The list of all gates. The text of a gate is made only when it is shown: there may be thousands.

use std::sync::Arc;

use super::{answer, handle::Gatekeeper};
use crate::{
    gate::{GateName, Verdict},
    millis::Millis,
    rollout::{Canary, CanaryId},
    view::GateView,
};

/// A line of the list of all gates.
#[derive(Clone, Debug)]
pub enum ListedGate {
    /// A live gate.
    Live {
        /// Its canary when the list was made.
        canary: Arc<Canary>,
        /// The name of the gate.
        name: GateName,
        /// When Flagger first asked.
        asked: Millis,
        /// Whether there is a ticket that the bridge reads.
        watched: bool,
        /// The verdict of the gate.
        verdict: Verdict,
    },
    /// A gate whose questions are refused a ticket, or a canary that cannot be read.
    Unwatched(GateView),
}

impl ListedGate {
    /// The verdict of the gate.
    pub const fn verdict(&self) -> Verdict {
        match self {
            Self::Live { verdict, .. } => *verdict,
            Self::Unwatched(view) => view.state,
        }
    }

    /// Whether there is a ticket that the bridge reads.
    #[must_use]
    pub const fn is_watched(&self) -> bool {
        match self {
            Self::Live { watched, .. } => *watched,
            Self::Unwatched(_) => false,
        }
    }

    /// The sort key: when Flagger first asked, then the name of the canary.
    fn place(&self) -> (Option<Millis>, &str) {
        match self {
            Self::Live { canary, asked, .. } => (Some(*asked), &canary.id.name),
            Self::Unwatched(view) => (None, &view.canary),
        }
    }
}

/// How many gates have each verdict.
pub fn counts(list: &[ListedGate]) -> [(Verdict, u64); Verdict::ALL.len()] {
    Verdict::ALL
        .map(|verdict| (verdict, list.iter().filter(|listed| listed.verdict() == verdict).count() as u64))
}

impl Gatekeeper {
    /// All gates: refused and unreadable ones first, then those that wait longest.
    #[must_use]
    pub fn list(&self, now: Millis) -> Vec<ListedGate> {
        let mut list = Vec::new();
        for canary in self.store.live() {
            let canary = self.unsaved_readings.as_read(canary);
            for gate in canary.rollout.iter().flat_map(|rollout| &rollout.gates) {
                list.push(ListedGate::Live {
                    canary: Arc::clone(&canary),
                    name: gate.name.clone(),
                    asked: gate.asked_at,
                    watched: gate.ticket().is_some(),
                    verdict: gate.verdict(now, self.validity(&canary.id, &gate.name)),
                });
            }
        }
        let has_ticket = |id: &CanaryId, name: &GateName| {
            self.store.canary(id).is_some_and(|canary| canary.gate(name).is_some())
        };
        let refused = self.refused_gates.recent(now, self.config.rollout.idle_after, has_ticket);
        list.extend(refused.into_iter().map(ListedGate::Unwatched));
        let unreadable = self.store.unreadable();
        list.extend(unreadable.iter().map(|(id, why)| ListedGate::Unwatched(answer::unreadable(id, why))));
        list.sort_by(|a, b| a.place().cmp(&b.place()));
        list
    }

    /// What is shown for a gate of the list.
    #[must_use]
    pub fn gate_view(&self, listed: &ListedGate, now: Millis) -> GateView {
        match listed {
            ListedGate::Unwatched(view) => view.clone(),
            ListedGate::Live { canary, name, .. } => {
                self.answer(canary, name, self.validity(&canary.id, name), now).gate
            }
        }
    }

    /// All gates as they are shown, in the same order.
    #[must_use]
    pub fn gates(&self, now: Millis) -> Vec<GateView> {
        self.list(now).iter().map(|listed| self.gate_view(listed, now)).collect()
    }
}
