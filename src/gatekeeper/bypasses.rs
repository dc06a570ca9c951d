//! Promotions that no gate let pass, as Canaries show them.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;

use super::{ask::fresh_id, handle::Gatekeeper};
use crate::{
    gate::{GateName, Stage},
    hooks::{Hooks, Silence, hooks},
    millis::Millis,
    rollout::{Canary, CanaryId, CanaryStatus, Event, Promotion, Reading},
    store,
    workload::{Change, Shown},
};

/// A promotion that was not seen before.
struct NewPromotion {
    id: CanaryId,
    promotion: Promotion,
    before: Before,
}

/// The promotion before.
enum Before {
    /// None was seen.
    None,
    /// It is stored with the canary.
    Stored,
    /// The Canary never asked.
    InMemory(Promotion),
}

impl Gatekeeper {
    /// Records the promotions that no gate let pass: analysis was skipped, or a hook was taken out.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_bypasses(&self, now: Millis) -> Result<(), store::Error> {
        let changes = self.clusters.canary_changes();
        let mut seen = self.promotions.lock().await;
        if seen.changes == Some(changes) {
            return Ok(());
        }
        let mut all_read = true;
        for NewPromotion { id, promotion, before } in self.new_promotions(&mut seen.never_asked, now) {
            let promotion = match before {
                Before::None => Some(promotion),
                Before::Stored | Before::InMemory(_) => self.read_promotion(&id).await,
            };
            let Some(promotion) = promotion else {
                all_read = false;
                continue;
            };
            let before = if let Before::InMemory(before) = &before { Some(before) } else { None };
            self.apply_promotion(&id, &promotion, before, now).await?;
            seen.never_asked.remove(&id);
        }
        seen.changes = all_read.then_some(changes);
        Ok(())
    }

    /// The promotions that were not seen before: of each Canary that has asked, and of those whose hooks call the bridge.
    fn new_promotions(
        &self,
        never_asked: &mut HashMap<CanaryId, Promotion>,
        now: Millis,
    ) -> Vec<NewPromotion> {
        let mut new = Vec::new();
        let mut still_there = HashMap::new();
        for (cluster, canaries) in self.clusters.canaries() {
            for canary in canaries {
                let Some((id, uid, spec)) = promoted(cluster, &canary) else { continue };
                // A watch that fails may show what is long over.
                let is_current = self.clusters.canary(&id, now).is_ok();
                if !is_current || !self.config.flagger.namespaces.is_match(&id.namespace) {
                    continue;
                }
                let known = self.store.canary(&id);
                let is_same = |before: &Promotion| before.spec == spec && before.uid == uid;
                let before = match &known {
                    Some(known) if known.promotion.as_ref().is_some_and(is_same) => continue,
                    Some(known) if known.promotion.is_some() => Before::Stored,
                    Some(_) => Before::None,
                    None if !self.calls_the_bridge(&canary, cluster) => continue,
                    None => match never_asked.remove(&id) {
                        // A Canary that never asked and was created again may be another application's.
                        Some(before) if before.uid == uid && before.spec != spec => Before::InMemory(before),
                        before => {
                            let new = || self.watched_promotion(&id, uid.clone(), spec.clone(), now);
                            let promotion = before.filter(is_same).unwrap_or_else(new);
                            still_there.insert(id, promotion);
                            continue;
                        }
                    },
                };
                if let Before::InMemory(before) = &before {
                    still_there.insert(id.clone(), before.clone());
                }
                let promotion = self.watched_promotion(&id, uid, spec, now);
                new.push(NewPromotion { id, promotion, before });
            }
        }
        *never_asked = still_there;
        new
    }

    fn calls_the_bridge(&self, canary: &Value, cluster: &str) -> bool {
        match hooks(canary, cluster, &self.config.flagger) {
            Hooks::Elsewhere | Hooks::AskNobody(Silence::NoHook) => false,
            Hooks::AskNobody(Silence::ReportsOnly | Silence::SkipAnalysis) | Hooks::Ask(_) => true,
        }
    }

    fn watched_promotion(&self, id: &CanaryId, uid: String, spec: String, now: Millis) -> Promotion {
        Promotion { uid, spec, images: images(self.clusters.change(id, now)) }
    }

    /// The promotion as it is now: a watch may be late, and that of Deployments later than that of Canaries. `None`: it
    /// cannot be read.
    async fn read_promotion(&self, id: &CanaryId) -> Option<Promotion> {
        let CanaryStatus { uid, promoted, .. } = self.clusters.read_canary(id).await.ok()??;
        Some(Promotion {
            uid,
            spec: promoted?,
            images: images(self.clusters.read(id, Reading::Target).await),
        })
    }

    async fn apply_promotion(
        &self,
        id: &CanaryId,
        promotion: &Promotion,
        before: Option<&Promotion>,
        now: Millis,
    ) -> Result<(), store::Error> {
        let settings = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
        let on_bypass = self.route(id, &settings).ticket.on_bypass;
        let new_id = fresh_id();
        let event = |_: &Canary, _| Event::Promoted { promotion, before, new_id: new_id.clone(), on_bypass };
        match self.apply_message(id, self.store.last_message(id), now, event).await {
            // The store has logged that.
            Ok(_) | Err(store::Error::Corrupt { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The images that run, on one line; empty if they could not be read.
fn images(shown: Option<Arc<Shown>>) -> String {
    shown.as_deref().and_then(Shown::change).map(Change::running_images).unwrap_or_default()
}

/// A Canary, its uid, and Flagger's hash of what it promoted last. `None`: it has promoted nothing yet.
fn promoted(cluster: &str, canary: &Value) -> Option<(CanaryId, String, String)> {
    let text = |path: &str| canary.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let id = CanaryId {
        cluster: cluster.to_owned(),
        namespace: text("/metadata/namespace")?,
        name: text("/metadata/name")?,
    };
    let CanaryStatus { uid, promoted, .. } = CanaryStatus::of(canary)?;
    Some((id, uid, promoted?))
}
