//! Which gates of the list somebody wants to see, and how they are grouped. Needs no words of a gate: there may be thousands, and
//! anybody may ask.

use std::{collections::BTreeMap, time::Duration};

use super::{handle::Gatekeeper, list::ListedGate};
use crate::{gate::Verdict, millis::Millis, view::GateView};

/// Which gates are wanted; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of this cluster.
    pub cluster: Option<String>,
    /// Of this namespace.
    pub namespace: Option<String>,
    /// Of the canary with this name.
    pub canary: Option<String>,
    /// In this state.
    pub state: Option<Verdict>,
    /// First asked about this long ago, or longer.
    pub older_than: Option<Duration>,
}

impl Selection {
    /// Whether a gate is wanted.
    #[must_use]
    pub fn selects(&self, gate: &ListedGate, now: Millis) -> bool {
        let [cluster, namespace, canary] = gate.place_names();
        let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
        is(&self.cluster, cluster)
            && is(&self.namespace, namespace)
            && is(&self.canary, canary)
            && self.state.is_none_or(|state| state == gate.verdict())
            && self.older_than.is_none_or(|age| gate.asked_at().is_some_and(|asked| now.since(asked) >= age))
    }
}

impl Gatekeeper {
    /// The wanted gates as they are shown, without the first `skipped`, and at most `most`; and how many there are in all.
    #[must_use]
    pub fn selected(
        &self,
        wanted: &Selection,
        skipped: usize,
        most: usize,
        now: Millis,
    ) -> (Vec<GateView>, usize) {
        let list = self.list(now);
        let found: Vec<&ListedGate> = list.iter().filter(|gate| wanted.selects(gate, now)).collect();
        let page = found.iter().skip(skipped).take(most);
        (page.map(|gate| self.gate_view(gate, now)).collect(), found.len())
    }
}

/// By what gates are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// The cluster.
    Cluster,
    /// Cluster and namespace.
    Namespace,
    /// The state.
    State,
}

impl GroupBy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cluster, Self::Namespace, Self::State];

    /// Its name in queries and options.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Namespace => "namespace",
            Self::State => "state",
        }
    }
}

/// Some gates that have something in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What selects them.
    pub selection: Selection,
    /// How many there are.
    pub gates: u64,
    /// How many of them wait for a decision.
    pub waiting: u64,
    /// How many of them are closed for another reason, and asked about.
    pub held_up: u64,
    /// When Flagger first asked about the one of them that it has been asking about longest.
    pub oldest: Option<Millis>,
}

/// The groups of these gates; first those with most gates that wait or are held up, then by name.
#[must_use]
pub fn groups(gates: &[&ListedGate], by: GroupBy) -> Vec<Group> {
    let mut all: BTreeMap<(&str, &str, &str), Group> = BTreeMap::new();
    for gate in gates {
        let [cluster, namespace, _] = gate.place_names();
        let (key, selection) = match by {
            GroupBy::Cluster => {
                ((cluster, "", ""), Selection { cluster: Some(cluster.to_owned()), ..Selection::default() })
            }
            GroupBy::Namespace => (
                (cluster, namespace, ""),
                Selection {
                    cluster: Some(cluster.to_owned()),
                    namespace: Some(namespace.to_owned()),
                    ..Selection::default()
                },
            ),
            GroupBy::State => (
                ("", "", gate.verdict().as_str()),
                Selection { state: Some(gate.verdict()), ..Selection::default() },
            ),
        };
        let none = || Group { selection, gates: 0, waiting: 0, held_up: 0, oldest: None };
        let group = all.entry(key).or_insert_with(none);
        group.gates += 1;
        match gate.verdict() {
            Verdict::Waiting => group.waiting += 1,
            Verdict::Approved | Verdict::Recorded | Verdict::Passed => {}
            Verdict::Opening
            | Verdict::Stuck
            | Verdict::Rejected
            | Verdict::NotAllowed
            | Verdict::Expired
            | Verdict::Frozen
            | Verdict::Stale
            | Verdict::Gone => group.held_up += 1,
        }
        group.oldest = [group.oldest, gate.asked_at()].into_iter().flatten().min();
    }
    let mut all: Vec<Group> = all.into_values().collect();
    all.sort_by_key(|group| std::cmp::Reverse(group.waiting + group.held_up));
    all
}
