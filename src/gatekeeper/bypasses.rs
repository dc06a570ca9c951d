//! Promotions that no gate let pass, as Canaries show them.

use std::collections::HashMap;

use serde_json::Value;

use super::{ask::fresh_id, handle::Gatekeeper};
use crate::{
    gate::{GateName, Stage},
    hooks::{Hooks, Silence, hooks},
    millis::Millis,
    rollout::{Canary, CanaryId, Event, Promotion},
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
        for NewPromotion { id, promotion, before } in self.new_promotions(&mut seen.never_asked, now) {
            self.apply_promotion(&id, promotion, &before, now).await?;
            seen.never_asked.remove(&id);
        }
        seen.changes = Some(changes);
        Ok(())
    }

    /// The promotions that were not seen before: of each Canary that has asked, and of those whose hooks call the bridge.
    fn new_promotions(
        &self,
        never_asked: &mut HashMap<CanaryId, Promotion>,
        now: Millis,
    ) -> Vec<NewPromotion> {
        let mut new = Vec::new();
        for (cluster, canaries) in self.clusters.canaries() {
            for canary in canaries {
                let Some((id, spec)) = promoted(cluster, &canary) else { continue };
                let known = self.store.canary(&id);
                let before = match &known {
                    Some(known) => known.promotion.as_ref(),
                    None => never_asked.get(&id),
                };
                if before.is_some_and(|before| before.spec == spec)
                    || !self.config.flagger.namespaces.is_match(&id.namespace)
                {
                    continue;
                }
                let shown = self.clusters.change(&id, now);
                let images = shown.as_deref().and_then(images).unwrap_or_default();
                let promotion = Promotion { spec, images };
                match (&known, before.cloned()) {
                    (Some(_), None) => new.push(NewPromotion { id, promotion, before: Before::None }),
                    (Some(_), Some(_)) => new.push(NewPromotion { id, promotion, before: Before::Stored }),
                    (None, Some(before)) => {
                        new.push(NewPromotion { id, promotion, before: Before::InMemory(before) });
                    }
                    (None, None) => match hooks(&canary, cluster, &self.config.flagger) {
                        Hooks::Elsewhere | Hooks::AskNobody(Silence::NoHook) => {}
                        Hooks::AskNobody(Silence::ReportsOnly | Silence::SkipAnalysis) | Hooks::Ask(_) => {
                            never_asked.insert(id, promotion);
                        }
                    },
                }
            }
        }
        new
    }

    async fn apply_promotion(
        &self,
        id: &CanaryId,
        mut promotion: Promotion,
        before: &Before,
        now: Millis,
    ) -> Result<(), store::Error> {
        let before = match before {
            Before::None => None,
            Before::Stored | Before::InMemory(_) => {
                // The watch of Deployments may be behind that of Canaries.
                if let Some(images) = self.clusters.read(id).await.as_deref().and_then(images) {
                    promotion.images = images;
                }
                if let Before::InMemory(before) = before { Some(before) } else { None }
            }
        };
        let promotion = &promotion;
        let on_bypass =
            self.route(id, &GateName { stage: Stage::ConfirmPromotion, approver: None }).ticket.on_bypass;
        let new_id = fresh_id();
        let event = |_: &Canary, _| Event::Promoted { promotion, before, new_id: new_id.clone(), on_bypass };
        match self.apply_message(id, self.store.last_message(id), now, event).await {
            // The store has logged that.
            Ok(_) | Err(store::Error::Corrupt { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The images that run, on one line. `None`: they could not be read.
fn images(shown: &Shown) -> Option<String> {
    shown.change().map(Change::running_images)
}

/// A Canary, and Flagger's hash of what it promoted last. `None`: it has promoted nothing yet.
fn promoted(cluster: &str, canary: &Value) -> Option<(CanaryId, String)> {
    let text = |path: &str| canary.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let id = CanaryId {
        cluster: cluster.to_owned(),
        namespace: text("/metadata/namespace")?,
        name: text("/metadata/name")?,
    };
    Some((id, text("/status/lastPromotedSpec").filter(|spec| !spec.is_empty())?))
}
