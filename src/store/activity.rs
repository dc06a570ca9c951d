//! When Flagger last sent a message about each canary, as far as this replica knows.

use std::{hash::Hash, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::rows::canary_id;
use crate::{
    gate::{GateId, Pace},
    map::Map,
    millis::Millis,
    rollout::{Canary, CanaryId},
};

/// The activity of all canaries.
#[derive(Default)]
pub(super) struct Activity(Map<CanaryId, CanaryActivity>);

/// When Flagger sent messages about a canary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CanaryActivity {
    /// When the last message of any kind was received.
    pub(super) at: Option<Millis>,
    /// How often Flagger asks at each gate.
    gates: Map<GateId, GateActivity>,
    /// Whether the database has this state.
    written: bool,
    /// The position of its row in the table, if known. Adjacent rows share a page of the database, so they are written
    /// together.
    row_index: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct GateActivity {
    pace: Pace,
    at: Millis,
}

/// Whether at least one replica served Flagger all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Downtime {
    /// At least one did.
    None,
    /// Possibly no replica served for this long.
    All(Duration),
}

impl Activity {
    /// When the last message of any kind about this canary was received.
    pub(super) fn last_message(&self, canary: &CanaryId) -> Option<Millis> {
        self.0.get(canary)?.at
    }

    /// How often Flagger asks at a gate.
    pub(super) fn pace(&self, canary: &CanaryId, gate: &GateId) -> Pace {
        self.gate_activity(canary, gate).map(|asked| asked.pace).unwrap_or_default()
    }

    /// When Flagger last asked at a gate.
    pub(super) fn asked_at(&self, canary: &CanaryId, gate: &GateId) -> Option<Millis> {
        self.gate_activity(canary, gate).map(|asked| asked.at)
    }

    fn gate_activity(&self, canary: &CanaryId, gate: &GateId) -> Option<&GateActivity> {
        self.0.get(canary)?.gates.get(gate)
    }

    /// Records that a message was received.
    pub(super) fn message_received(&mut self, canary: &CanaryId, now: Millis) {
        self.touch(canary, now, |_| {});
    }

    /// Records that a question at a gate was answered.
    pub(super) fn question_answered(&mut self, canary: &CanaryId, gate: &GateId, open: bool, now: Millis) {
        self.touch(canary, now, |activity| {
            update_or_insert(&mut activity.gates, gate, |asked| {
                asked.pace.answered(open, now);
                asked.at = now;
            });
        });
    }

    fn touch(&mut self, canary: &CanaryId, now: Millis, also: impl FnOnce(&mut CanaryActivity)) {
        update_or_insert(&mut self.0, canary, |activity| {
            activity.at = activity.at.max(Some(now));
            activity.written = false;
            also(activity);
        });
    }

    /// The canaries that changed since they were written, in the order of their rows.
    pub(super) fn unwritten(&self) -> Vec<CanaryId> {
        let mut changed: Vec<_> = self.0.iter().filter(|(_, activity)| !activity.written).collect();
        changed.sort_unstable_by_key(|(_, activity)| activity.row_index);
        changed.into_iter().map(|(id, _)| id.clone()).collect()
    }

    /// The activity of these canaries. Gates that are no longer live are removed from it.
    pub(super) fn with_live_gates(
        &mut self,
        some: &[CanaryId],
        known: impl Fn(&CanaryId) -> Option<Arc<Canary>>,
    ) -> Vec<(CanaryId, CanaryActivity)> {
        let known = some.iter().filter_map(|id| {
            let (canary, activity) = (known(id), self.0.get_mut(id)?);
            activity.gates.retain(|gate, _| canary.as_ref().is_some_and(|it| it.gate_by_id(gate).is_some()));
            Some((id.clone(), activity.clone()))
        });
        known.collect()
    }

    /// Marks a canary as written, unless it has changed since `was`, the state that was written.
    pub(super) fn mark_written(&mut self, canary: &CanaryId, was: &CanaryActivity) {
        if let Some(activity) = self.0.get_mut(canary)
            && activity == was
        {
            activity.written = true;
        }
    }

    /// Merges a row of the table, the `place`th; later times in memory stay.
    pub(super) fn merge_row(&mut self, id: &str, at: Millis, paces: &str, away: Downtime, place: usize) {
        let Some(canary) = canary_id(id) else { return };
        let missed = match away {
            Downtime::None => None,
            Downtime::All(missed) => Some(missed),
        };
        let activity = self
            .0
            .entry(canary)
            .or_insert_with(|| CanaryActivity { written: true, ..CanaryActivity::default() });
        activity.row_index = place;
        activity.at = activity.at.max(Some(at));
        // Paces that cannot be read count as unknown.
        for (gate, mut asked) in
            serde_json::from_str::<Vec<(GateId, GateActivity)>>(paces).unwrap_or_default()
        {
            asked.pace.resumed(at);
            let known = activity.gates.entry(gate).or_insert(asked);
            if known.at < asked.at || missed.is_some() && known.at == asked.at {
                // If Flagger asked shortly before the downtime, assume that it went on asking.
                let at = (asked.at + missed.unwrap_or_default()).min(at);
                *known = GateActivity { at: asked.at.max(at), ..asked };
            }
        }
    }
}

impl CanaryActivity {
    /// How often Flagger asks at each gate, as stored.
    pub(super) fn paces(&self) -> String {
        let gates: Vec<(&GateId, &GateActivity)> = self.gates.iter().collect();
        serde_json::to_string(&gates).unwrap_or_else(|_| "[]".into())
    }
}

/// Changes the value for a key, which is cloned only if it is new.
fn update_or_insert<K: Clone + Eq + Hash, V: Default>(
    map: &mut Map<K, V>,
    key: &K,
    change: impl FnOnce(&mut V),
) {
    match map.get_mut(key) {
        Some(known) => change(known),
        None => change(map.entry(key.clone()).or_default()),
    }
}
