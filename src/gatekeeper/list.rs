//! The list of all gates. The text of a gate is made only when it is shown: there may be thousands.

use std::{sync::Arc, time::Duration};

use super::{answer, handle::Gatekeeper};
use crate::{
    gate::{GateName, Verdict},
    millis::Millis,
    rollout::{Canary, CanaryId},
    view::{GateView, Rfc3339},
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
        /// Until when a decision is due, if there is a limit.
        due: Option<Millis>,
    },
    /// A gate whose questions are refused a ticket, or a canary that cannot be read.
    Unwatched(GateView),
}

/// When Flagger first asked; canary, cluster, namespace and stage; the gate's own name, and the step of traffic.
type Place<'a> = (Option<Millis>, [&'a str; 4], Option<&'a str>, Option<u32>);

impl ListedGate {
    /// The verdict of the gate.
    pub const fn verdict(&self) -> Verdict {
        match self {
            Self::Live { verdict, .. } => *verdict,
            Self::Unwatched(view) => view.state,
        }
    }

    /// What people call the gate: its canary as `cluster/namespace/name`, its stage and name, and the ticket, label and
    /// revision, as far as there are any. Costs little.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Live { canary, name, .. } => {
                let rollout = canary.rollout.as_ref();
                let label = rollout.and_then(|rollout| rollout.label.as_ref());
                let revision = rollout.and_then(|rollout| rollout.revision());
                let ticket = canary.gate(name).and_then(|gate| gate.ticket());
                let known = [
                    name.approver.clone(),
                    ticket.map(|ticket| ticket.key.clone()),
                    label.map(|label| label.0.clone()),
                    revision.map(|revision| revision.0.clone()),
                ];
                let always = [canary.id.to_string(), name.stage.to_string()];
                always.into_iter().chain(known.into_iter().flatten()).collect()
            }
            Self::Unwatched(view) => {
                let rollout = view.rollout.as_ref();
                let known = [
                    view.gate.clone(),
                    view.ticket.as_ref().map(|ticket| ticket.key.clone()),
                    rollout.and_then(|rollout| rollout.label.clone()),
                    rollout.and_then(|rollout| rollout.revision.clone()),
                ];
                let canary = format!("{}/{}/{}", view.cluster, view.namespace, view.canary);
                [canary, view.stage.clone()].into_iter().chain(known.into_iter().flatten()).collect()
            }
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

    /// Its cluster, namespace and canary.
    #[must_use]
    pub fn place_names(&self) -> [&str; 3] {
        match self {
            Self::Live { canary, .. } => [&canary.id.cluster, &canary.id.namespace, &canary.id.name],
            Self::Unwatched(view) => [&view.cluster, &view.namespace, &view.canary],
        }
    }

    /// When Flagger first asked. None: that is not known.
    #[must_use]
    pub const fn asked_at(&self) -> Option<Millis> {
        match self {
            Self::Live { asked, .. } => Some(*asked),
            Self::Unwatched(_) => None,
        }
    }

    /// The sort key: when Flagger first asked, then the names. No two gates have the same, so that pages do not overlap.
    fn place(&self) -> Place<'_> {
        let [cluster, namespace, canary] = self.place_names();
        let (stage, approver, step) = match self {
            Self::Live { name, .. } => (name.stage.as_str(), name.approver.as_deref(), name.step),
            Self::Unwatched(view) => (view.stage.as_str(), view.gate.as_deref(), view.step),
        };
        (self.asked_at(), [canary, cluster, namespace, stage], approver, step)
    }
}

/// How many gates have each verdict.
pub fn counts<'a>(
    list: impl Iterator<Item = &'a ListedGate> + Clone,
) -> [(Verdict, u64); Verdict::ALL.len()] {
    Verdict::ALL
        .map(|verdict| (verdict, list.clone().filter(|listed| listed.verdict() == verdict).count() as u64))
}

/// How long the gate has been waiting that has been waiting for a decision longest; zero if none waits.
pub fn oldest_waiting(list: &[ListedGate], now: Millis) -> Duration {
    let waiting = list.iter().filter_map(|listed| match listed {
        ListedGate::Live { asked, verdict: Verdict::Waiting, .. } => Some(now.since(*asked)),
        ListedGate::Live { .. } | ListedGate::Unwatched(_) => None,
    });
    waiting.max().unwrap_or_default()
}

/// How many gates wait for a decision longer than they should.
pub fn overdue(list: &[ListedGate], now: Millis) -> u64 {
    let is_overdue = |listed: &&ListedGate| {
        let ListedGate::Live { verdict: Verdict::Waiting | Verdict::NotAllowed, due, .. } = listed else {
            return false;
        };
        due.is_some_and(|due| due < now)
    };
    list.iter().filter(is_overdue).count() as u64
}

impl Gatekeeper {
    /// All gates: refused and unreadable ones first, then those that wait longest.
    #[must_use]
    pub fn list(&self, now: Millis) -> Vec<ListedGate> {
        let mut list = Vec::new();
        for canary in self.store.live() {
            self.list_canary(canary, now, &mut list);
        }
        list.extend(self.gates_without_ticket(now).into_iter().map(ListedGate::Unwatched));
        let unreadable = self.store.unreadable();
        list.extend(unreadable.iter().map(|(id, why)| ListedGate::Unwatched(answer::unreadable(id, why))));
        list.sort_by(|a, b| a.place().cmp(&b.place()));
        list
    }

    /// Adds the gates of a canary to the list.
    fn list_canary(&self, canary: Arc<Canary>, now: Millis, list: &mut Vec<ListedGate>) {
        let canary = self.unsaved_readings.as_read(canary);
        for gate in canary.rollout.iter().flat_map(|rollout| &rollout.gates) {
            let within = self.route(&canary.id, &gate.name).approval.limits.decide_within;
            list.push(ListedGate::Live {
                canary: Arc::clone(&canary),
                name: gate.name.clone(),
                asked: gate.asked_at,
                watched: gate.ticket().is_some(),
                verdict: gate.verdict(now, self.validity(&canary.id, &gate.name, Some(gate), now)),
                due: within.map(|within| gate.due(within)),
            });
        }
    }

    /// The gates whose questions were refused a ticket lately.
    fn gates_without_ticket(&self, now: Millis) -> Vec<GateView> {
        let has_ticket = |id: &CanaryId, name: &GateName| {
            self.store.canary(id).is_some_and(|canary| canary.gate(name).is_some())
        };
        self.refused_gates.recent(now, self.config.rollout.idle_after, has_ticket)
    }

    /// The gates of the canaries with this namespace and name: in this cluster or, if none is given, in each that may
    /// ask. Other canaries cost nothing.
    #[must_use]
    pub fn gates_of(
        &self,
        cluster: Option<&str>,
        namespace: &str,
        canary: &str,
        now: Millis,
    ) -> Vec<GateView> {
        let flagger = &self.config.flagger;
        let every = std::iter::once(flagger.cluster.as_str())
            .chain(flagger.clusters.iter().map(|cluster| cluster.name.as_str()));
        let clusters: Vec<&str> = cluster.map_or_else(|| every.collect(), |cluster| vec![cluster]);
        let mut list = Vec::new();
        for cluster in &clusters {
            let id = CanaryId {
                cluster: (*cluster).to_owned(),
                namespace: namespace.to_owned(),
                name: canary.to_owned(),
            };
            if let Some(canary) = self.store.canary(&id) {
                self.list_canary(canary, now, &mut list);
            }
            let unreadable = self.store.unreadable_reason(&id);
            list.extend(unreadable.map(|why| ListedGate::Unwatched(answer::unreadable(&id, &why))));
        }
        let is_wanted = |view: &GateView| {
            clusters.contains(&view.cluster.as_str()) && view.namespace == namespace && view.canary == canary
        };
        let refused = self.gates_without_ticket(now).into_iter().filter(is_wanted);
        list.extend(refused.map(ListedGate::Unwatched));
        list.iter().map(|listed| self.gate_view(listed, now)).collect()
    }

    /// What is shown for a gate of the list.
    #[must_use]
    pub fn gate_view(&self, listed: &ListedGate, now: Millis) -> GateView {
        match listed {
            ListedGate::Unwatched(view) => view.clone(),
            ListedGate::Live { canary, name, .. } => {
                let view = self
                    .answer(canary, name, self.validity(&canary.id, name, canary.gate(name), now), now)
                    .gate;
                GateView { last_asked_at: self.last_asked(canary, name).map(Rfc3339), ..view }
            }
        }
    }

    /// When Flagger last asked at a gate.
    fn last_asked(&self, canary: &Canary, name: &GateName) -> Option<Millis> {
        let gate = canary.gate(name)?;
        self.store.asked_at(&canary.id, &gate.id).max(Some(gate.asked_at))
    }

    /// All gates as they are shown, in the same order.
    #[must_use]
    pub fn gates(&self, now: Millis) -> Vec<GateView> {
        self.list(now).iter().map(|listed| self.gate_view(listed, now)).collect()
    }
}
