//! A simulated Flagger for one canary. It sends the same calls in the same order as Flagger 1.44.0 did in the
//! recordings (`fixtures/flagger/traces`). It runs no workload and routes no traffic.
//!
//! The canary has weights of 20, 40 and 60, metrics that always pass, and the six hooks that can call the bridge:
//! confirm-rollout, confirm-traffic-increase, confirm-promotion, rollback, event and post-rollout. It may have fewer
//! of the first three.

mod call;
mod phase;
mod revision;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use reqwest::Client;

pub use self::{
    call::{Answered, Call},
    phase::Phase,
};
use self::{
    call::{Body, Metadata, client},
    revision::Revision,
};
use crate::millis::Millis;

/// The hooks that can stop a rollout until somebody confirms it, in the order in which Flagger asks them.
pub const CONFIRM_HOOKS: [&str; 3] = [CONFIRM_ROLLOUT, CONFIRM_TRAFFIC_INCREASE, CONFIRM_PROMOTION];
/// Asks before a rollout begins.
pub const CONFIRM_ROLLOUT: &str = "confirm-rollout";
/// Asks before each step of traffic.
pub const CONFIRM_TRAFFIC_INCREASE: &str = "confirm-traffic-increase";
/// Asks before the new revision replaces the running one.
pub const CONFIRM_PROMOTION: &str = "confirm-promotion";
/// How much traffic each step adds, in percent.
const STEP: u8 = 20;
/// The weight at which the canary waits for its promotion, in percent.
const FULL_WEIGHT: u8 = 60;

/// What happened in one check of the canary.
#[derive(Clone, Debug)]
#[must_use]
pub struct Tick {
    /// The calls with their answers, in order.
    pub calls: Vec<Call>,
    /// The canary's phase afterwards.
    pub phase: Phase,
    /// How much traffic the new revision has afterwards, in percent.
    pub weight: u8,
}

/// A simulated Flagger for one canary. It has no clock: its owner calls [`Self::tick`] for each check.
pub struct FakeFlagger {
    client: Client,
    /// The base URL of the bridge's gate listener.
    bridge: String,
    namespace: String,
    name: String,
    phase: Phase,
    weight: u8,
    primary_exists: bool,
    /// The revision that Flagger applied last; `None` before the primary is set up.
    applied: Option<Revision>,
    /// The revision pushed since then.
    pushed: Option<Revision>,
    /// The confirm hooks of the Canary.
    confirm_hooks: Vec<&'static str>,
    /// The metadata of each of them.
    metadata: BTreeMap<String, String>,
    calls: Vec<Call>,
}

impl FakeFlagger {
    /// A new canary of the revision `v1`, with every hook and no metadata. `bridge` is the base URL of the bridge's gate
    /// listener.
    ///
    /// # Errors
    /// If the HTTP client cannot be built.
    pub fn new(bridge: &str, namespace: &str, name: &str) -> reqwest::Result<Self> {
        Ok(Self {
            client: client()?,
            bridge: bridge.trim_end_matches('/').to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            phase: Phase::Initializing,
            weight: 0,
            primary_exists: false,
            applied: None,
            pushed: Some(Revision::new("v1")),
            confirm_hooks: CONFIRM_HOOKS.to_vec(),
            metadata: BTreeMap::new(),
            calls: Vec::new(),
        })
    }

    /// Removes the confirm hooks except this one: Flagger passes the other stages without a question.
    pub fn keep_only(&mut self, hook: &str) {
        self.confirm_hooks.retain(|kept| *kept == hook);
    }

    /// The confirm hooks of the Canary.
    #[must_use]
    pub fn confirm_hooks(&self) -> &[&'static str] {
        &self.confirm_hooks
    }

    /// Edits the metadata that the confirm hooks send. A release pipeline does so whenever it pushes a revision.
    pub fn set_metadata(&mut self, metadata: BTreeMap<String, String>) {
        self.metadata = metadata;
    }

    /// The metadata that the confirm hooks send.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Pushes a revision. Flagger notices it at its next check in a phase in which it looks for one. Pushing the same
    /// name again after a failure stands for an edit of the Canary's spec: the checksum stays, and Flagger retries.
    pub fn push(&mut self, revision: &str) {
        self.pushed = Some(Revision::new(revision));
    }

    /// The canary's phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// `namespace/name`.
    #[must_use]
    pub fn canary(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The canary's namespace and name.
    #[must_use]
    pub fn place(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    /// How much traffic the new revision has, in percent.
    #[must_use]
    pub fn weight(&self) -> u8 {
        self.weight
    }

    /// The name of the revision that was pushed last.
    #[must_use]
    pub fn deployed(&self) -> &str {
        self.pushed.as_ref().or(self.applied.as_ref()).map_or("", |revision| &revision.name)
    }

    /// The name of the revision that Flagger applied last.
    #[must_use]
    pub fn applied(&self) -> &str {
        self.applied.as_ref().map_or("", |revision| &revision.name)
    }

    /// The name of the revision that is being rolled out, or was last.
    #[must_use]
    pub fn revision(&self) -> &str {
        // While Flagger waits to begin, the gate is about the pushed revision.
        let begun = self.applied.as_ref().filter(|_| !self.phase.is_idle() && self.phase != Phase::Waiting);
        begun.or(self.pushed.as_ref()).or(self.applied.as_ref()).map_or("", |revision| &revision.name)
    }

    /// Checks the canary once. `now` is only sent in events.
    pub async fn tick(&mut self, now: Millis) -> Tick {
        match self.phase {
            Phase::Initializing => self.initialize(now).await,
            Phase::Initialized | Phase::Succeeded | Phase::Failed if self.pushed.is_none() => {}
            Phase::Initialized | Phase::Succeeded | Phase::Failed | Phase::Waiting => self.begin(now).await,
            Phase::Progressing | Phase::WaitingPromotion if self.pushed.is_some() => self.restart(now).await,
            Phase::Progressing | Phase::WaitingPromotion => self.advance(now).await,
            Phase::Promoting => {
                self.normal(now, "Routing all traffic to primary").await;
                self.phase = Phase::Finalising;
            }
            Phase::Finalising => self.succeed(now).await,
        }
        Tick { calls: std::mem::take(&mut self.calls), phase: self.phase, weight: self.weight }
    }

    async fn initialize(&mut self, now: Millis) {
        self.normal(now, "all the metrics providers are available!").await;
        if !self.primary_exists {
            let primary = format!("{}-primary.{}", self.name, self.namespace);
            let text = format!(
                "{primary} not ready: waiting for rollout to finish: 0 out of 1 new replicas have been updated"
            );
            self.warning(now, &text).await;
            self.primary_exists = true;
            return;
        }
        self.phase = Phase::Initialized;
        self.take_over();
        self.normal(now, &format!("Initialization done! {}", self.dotted())).await;
    }

    /// Asks whether the pushed revision may begin. The question names the previous revision, except after a failure.
    async fn begin(&mut self, now: Millis) {
        if self.phase == Phase::Failed {
            self.take_over();
        }
        if self.has(CONFIRM_ROLLOUT) {
            if !self.ask(CONFIRM_ROLLOUT, self.phase).await {
                if self.phase != Phase::Waiting {
                    let text =
                        format!("Halt {} advancement waiting for approval confirm-rollout", self.dotted());
                    self.warning(now, &text).await;
                }
                self.phase = Phase::Waiting;
                return;
            }
            self.normal(now, "Confirm-rollout check confirm-rollout passed").await;
        }
        self.phase = Phase::Progressing;
        self.normal(now, &format!("New revision detected! Scaling up {}", self.dotted())).await;
        self.weight = 0;
        self.take_over();
    }

    /// A newer revision replaces the running one, without a question.
    async fn restart(&mut self, now: Millis) {
        self.normal(now, &format!("New revision detected! Restarting analysis for {}", self.dotted())).await;
        self.phase = Phase::Progressing;
        self.weight = 0;
        self.take_over();
    }

    async fn advance(&mut self, now: Millis) {
        if self.ask("rollback", self.phase).await {
            self.roll_back(now).await;
            return;
        }
        self.normal(now, "Rollback hook rollback not signaling a rollback").await;
        if self.phase == Phase::Progressing && !self.may_increase(now).await {
            return;
        }
        if self.phase == Phase::Progressing && self.weight < FULL_WEIGHT {
            self.weight += STEP;
            let text = format!("Advance {} canary weight {}", self.dotted(), self.weight);
            self.normal(now, &text).await;
            return;
        }
        self.promote(now).await;
    }

    async fn may_increase(&mut self, now: Millis) -> bool {
        if self.weight == 0 {
            self.normal(now, &format!("Starting canary analysis for {}", self.dotted())).await;
        }
        if !self.has(CONFIRM_TRAFFIC_INCREASE) {
            return true;
        }
        let open = self.ask(CONFIRM_TRAFFIC_INCREASE, Phase::Progressing).await;
        if open {
            self.normal(now, "Confirm-traffic-increase check confirm-traffic-increase passed").await;
        } else {
            let text = format!(
                "Halt {} advancement waiting for traffic increase approval confirm-traffic-increase",
                self.dotted()
            );
            self.warning(now, &text).await;
        }
        open
    }

    async fn may_promote(&mut self, now: Millis) -> bool {
        if !self.has(CONFIRM_PROMOTION) {
            return true;
        }
        // Flagger sends Progressing as the phase of this question, even while the canary is in WaitingPromotion.
        if !self.ask(CONFIRM_PROMOTION, Phase::Progressing).await {
            if self.phase != Phase::WaitingPromotion {
                let text = format!(
                    "Halt {} advancement waiting for promotion approval confirm-promotion",
                    self.dotted()
                );
                self.warning(now, &text).await;
            }
            self.phase = Phase::WaitingPromotion;
            return false;
        }
        self.normal(now, "Confirm-promotion check confirm-promotion passed").await;
        true
    }

    async fn promote(&mut self, now: Millis) {
        if !self.may_promote(now).await {
            return;
        }
        let primary = format!("{}-primary.{}", self.name, self.namespace);
        self.normal(now, &format!("Copying {} template spec to {primary}", self.dotted())).await;
        self.phase = Phase::Promoting;
    }

    async fn succeed(&mut self, now: Millis) {
        self.phase = Phase::Succeeded;
        self.weight = 0;
        self.report("/post-rollout", None).await;
        self.normal(now, "Post-rollout check post-rollout passed").await;
        self.normal(now, &format!("Promotion completed! Scaling down {}", self.dotted())).await;
    }

    /// Flagger reports the failure before the rollback is done, and the last event names the old phase, not the new
    /// one.
    async fn roll_back(&mut self, now: Millis) {
        let before = self.phase;
        self.warning(now, "Rollback check rollback passed").await;
        self.warning(now, &format!("Rolling back {} manual webhook invoked", self.dotted())).await;
        self.phase = Phase::Failed;
        self.weight = 0;
        self.warning(now, &format!("Canary failed! Scaling down {}", self.dotted())).await;
        self.report("/post-rollout", None).await;
        self.phase = before;
        self.normal(now, "Post-rollout check post-rollout passed").await;
        self.phase = Phase::Failed;
    }

    fn take_over(&mut self) {
        if let Some(pushed) = self.pushed.take() {
            self.applied = Some(pushed);
        }
    }

    /// `name.namespace`, as in Flagger's events.
    fn dotted(&self) -> String {
        format!("{}.{}", self.name, self.namespace)
    }

    async fn normal(&mut self, now: Millis, message: &str) {
        self.report("/event", Some(Metadata::event(message, "Normal", now))).await;
    }

    async fn warning(&mut self, now: Millis, message: &str) {
        self.report("/event", Some(Metadata::event(message, "Warning", now))).await;
    }

    async fn report(&mut self, path: &str, metadata: Option<Metadata>) {
        let _ = self.send(path.to_owned(), self.phase, metadata).await;
    }

    fn has(&self, hook: &str) -> bool {
        self.confirm_hooks.contains(&hook)
    }

    /// Asks a question, and returns whether the answer lets Flagger continue.
    async fn ask(&mut self, hook: &str, phase: Phase) -> bool {
        let metadata = Some(&self.metadata).filter(|metadata| self.has(hook) && !metadata.is_empty());
        let metadata = metadata.cloned().map(Metadata::Hook);
        self.send(format!("/gate/{hook}"), phase, metadata).await
    }

    async fn send(&mut self, path: String, phase: Phase, metadata: Option<Metadata>) -> bool {
        let checksum = Revision::checksum(self.applied.as_ref());
        let body = Body {
            name: &self.name,
            namespace: &self.namespace,
            phase: phase.as_str(),
            checksum: &checksum,
            metadata: metadata.as_ref(),
        };
        let answered = body.post(&self.client, &format!("{}{path}", self.bridge)).await;
        let open = answered.is_open();
        let message = metadata.and_then(Metadata::into_message);
        self.calls.push(Call { path, phase, checksum, message, answered });
        open
    }
}
