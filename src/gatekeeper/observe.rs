//! What the API server shows of a canary when a message of Flagger arrives.

use super::handle::Gatekeeper;
use crate::{
    config::KubernetesMode,
    gate::{GateName, Stage},
    millis::Millis,
    rollout::{CanaryId, Observed, Reading},
    workload::Shown,
};

impl Gatekeeper {
    /// What the API server shows when a question at this gate arrives, or another message. From memory, unless the
    /// message may open what a ticket shows, or tell what was started: then the API server is asked, for a second at
    /// most.
    pub(super) async fn observe(&self, id: &CanaryId, gate: Option<&GateName>, now: Millis) -> Observed {
        match self.config.kubernetes.mode {
            KubernetesMode::Off => Observed::Unread,
            KubernetesMode::Show => self.clusters.change(id, now).map_or(Observed::Unread, Observed::Shown),
            KubernetesMode::Bind => self.observe_bound(id, gate, now).await,
        }
    }

    async fn observe_bound(&self, id: &CanaryId, gate: Option<&GateName>, now: Millis) -> Observed {
        let Some(watched) = self.clusters.change(id, now) else { return Observed::Unread };
        let known = self.store.canary(id).map(|known| self.unsaved_readings.as_read(known));
        let reading = match (&known, gate) {
            (Some(known), _) => known.reading(gate, watched.change()),
            (None, gate) => gate.map(Reading::of_new_gate),
        };
        let Some(reading) = reading else { return Observed::Watched { shown: watched, unread: None } };
        let Some(read) = self.clusters.read(id, reading).await else { return Observed::Unread };
        match &*read {
            Shown::Change { .. } => {
                self.last_readings.note(id, &read, now);
                Observed::Read(read)
            }
            Shown::Unreadable { why } => {
                // A new ticket shows what the watches show. That of a later gate stays proven for a while.
                let later = gate.filter(|gate| gate.stage != Stage::ConfirmRollout);
                let has_ticket =
                    known.is_some_and(|known| later.is_some_and(|gate| known.gate(gate).is_some()));
                match self.last_readings.get(id, now, self.config.jira.trust_for) {
                    Some(before) if has_ticket && is_same(&before, &watched) => Observed::ReadBefore(before),
                    _ => Observed::Watched { shown: watched, unread: Some(why.clone()) },
                }
            }
        }
    }
}

/// Whether what was read before is what the watches show now, as far as they do.
fn is_same(before: &Shown, watched: &Shown) -> bool {
    match (before.change(), watched.change()) {
        (Some(before), Some(watched)) => before.digest == watched.digest,
        (Some(_), None) => true,
        (None, _) => false,
    }
}
