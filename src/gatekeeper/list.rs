//! All gates at a glance. The words of a gate are made only for whoever reads them: there may be thousands.

use std::sync::Arc;

use super::{answer, base::Gatekeeper};
use crate::{
    gate::{GateName, Verdict},
    millis::Millis,
    rollout::{Canary, CanaryId},
    view::GateView,
};

/// A line of the list of all gates.
#[derive(Clone, Debug)]
pub enum Listed {
    /// A live gate.
    Live {
        /// Its canary, as of when the list was made.
        canary: Arc<Canary>,
        /// Which of its gates.
        name: GateName,
        /// When Flagger first asked.
        asked: Millis,
        /// Whether there is a ticket that is looked at.
        watched: bool,
        /// How it stands.
        verdict: Verdict,
    },
    /// A question that no ticket was opened for, or a canary that cannot be read.
    Told(GateView),
}

impl Listed {
    /// How it stands.
    pub const fn verdict(&self) -> Verdict {
        match self {
            Self::Live { verdict, .. } => *verdict,
            Self::Told(view) => view.state,
        }
    }

    /// Whether there is a ticket that is looked at.
    #[must_use]
    pub const fn is_watched(&self) -> bool {
        match self {
            Self::Live { watched, .. } => *watched,
            Self::Told(_) => false,
        }
    }

    /// What a list is sorted by: when Flagger first asked, and the canary's name.
    fn place(&self) -> (Option<Millis>, &str) {
        match self {
            Self::Live { canary, asked, .. } => (Some(*asked), &canary.id.name),
            Self::Told(view) => (None, &view.canary),
        }
    }
}

/// How many of them have each verdict.
pub fn counts(list: &[Listed]) -> [(Verdict, u64); Verdict::ALL.len()] {
    Verdict::ALL
        .map(|verdict| (verdict, list.iter().filter(|listed| listed.verdict() == verdict).count() as u64))
}

impl Gatekeeper {
    /// All gates: what belongs to none, then those that wait longest.
    #[must_use]
    pub fn list(&self, now: Millis) -> Vec<Listed> {
        let mut list = Vec::new();
        for canary in self.store.live() {
            let canary = self.unsaved.as_read(canary);
            for gate in canary.rollout.iter().flat_map(|rollout| &rollout.gates) {
                list.push(Listed::Live {
                    canary: Arc::clone(&canary),
                    name: gate.name.clone(),
                    asked: gate.asked,
                    watched: gate.ticket().is_some(),
                    verdict: gate.verdict(now, self.trust(&canary.id, &gate.name)),
                });
            }
        }
        let has_ticket = |id: &CanaryId, name: &GateName| {
            self.store.canary(id).is_some_and(|canary| canary.gate(name).is_some())
        };
        let refused = self.refused.lately(now, self.timing.idle_after, has_ticket);
        list.extend(refused.into_iter().map(Listed::Told));
        let unreadable = self.store.unreadable();
        list.extend(unreadable.iter().map(|(id, why)| Listed::Told(answer::unreadable(id, why))));
        list.sort_by(|a, b| a.place().cmp(&b.place()));
        list
    }

    /// What is shown of one of the list.
    #[must_use]
    pub fn shown(&self, listed: &Listed, now: Millis) -> GateView {
        match listed {
            Listed::Told(view) => view.clone(),
            Listed::Live { canary, name, .. } => {
                self.answer(canary, name, self.trust(&canary.id, name), now).gate
            }
        }
    }

    /// All gates as they are shown, in the same order.
    #[must_use]
    pub fn gates(&self, now: Millis) -> Vec<GateView> {
        self.list(now).iter().map(|listed| self.shown(listed, now)).collect()
    }
}
