//! A Flagger that looks at one canary: it asks and tells what Flagger 1.44.0 was recorded to ask and tell, call by call
//! and in the same order (`fixtures/flagger/traces`). It runs nothing and routes no traffic.
//!
//! The canary has weights of 20, 40 and 60, metrics that always pass, and the six hooks that can concern the bridge:
//! confirm-rollout, confirm-traffic-increase, confirm-promotion, rollback, event and post-rollout.

mod call;
mod phase;
mod revision;
#[cfg(test)]
mod tests;

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

/// How much traffic each step adds, in percent.
const STEP: u8 = 20;
/// The weight at which the canary waits for its promotion, in percent.
const FULL: u8 = 60;

/// What happened when Flagger looked at the canary.
#[derive(Clone, Debug)]
#[must_use]
pub struct Tick {
    /// What was asked and told, with the answers, in order.
    pub calls: Vec<Call>,
    /// Where the canary is afterwards.
    pub phase: Phase,
    /// How much traffic the new revision has afterwards, in percent.
    pub weight: u8,
}

/// Flagger, as far as one canary is concerned. It has no clock: whoever holds it says when it looks.
pub struct FakeFlagger {
    client: Client,
    /// Base URL of the gates and of the reports.
    bridge: String,
    namespace: String,
    name: String,
    phase: Phase,
    weight: u8,
    primary_exists: bool,
    /// What Flagger took over last; none before the primary is set up.
    applied: Option<Revision>,
    /// What somebody pushed since.
    pushed: Option<Revision>,
    calls: Vec<Call>,
}

impl FakeFlagger {
    /// A new canary of the revision `v1`. `bridge` is the base URL of the bridge's gate listener.
    ///
    /// # Errors
    /// If there can be no HTTP client.
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
            calls: Vec::new(),
        })
    }

    /// Somebody pushes a revision. Flagger notices when it next looks, if it then looks for one. Pushing a name again
    /// after it failed stands for touching the spec of the Canary: the checksum stays, and it is tried again.
    pub fn push(&mut self, revision: &str) {
        self.pushed = Some(Revision::new(revision));
    }

    /// Where the canary is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// `namespace/name`.
    #[must_use]
    pub fn canary(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// What people call the revision that is being rolled out, or was last.
    #[must_use]
    pub fn revision(&self) -> &str {
        // While Flagger waits to begin, it is the pushed one that the people at the gate decide about.
        let begun = self.applied.as_ref().filter(|_| !self.phase.rests() && self.phase != Phase::Waiting);
        begun.or(self.pushed.as_ref()).or(self.applied.as_ref()).map_or("", |revision| &revision.name)
    }

    /// Flagger looks at the canary, once. `now` is only told in events.
    pub async fn tick(&mut self, now: Millis) -> Tick {
        match self.phase {
            Phase::Initializing => self.initialize(now).await,
            Phase::Initialized | Phase::Succeeded | Phase::Failed if self.pushed.is_none() => {}
            Phase::Initialized | Phase::Succeeded | Phase::Failed | Phase::Waiting => self.begin(now).await,
            Phase::Progressing | Phase::WaitingPromotion if self.pushed.is_some() => self.restart(now).await,
            Phase::Progressing | Phase::WaitingPromotion => self.go_on(now).await,
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

    /// Asks whether the pushed revision may begin. It names the revision before it, save after a failure.
    async fn begin(&mut self, now: Millis) {
        if self.phase == Phase::Failed {
            self.take_over();
        }
        if !self.ask("confirm-rollout", self.phase).await {
            if self.phase != Phase::Waiting {
                let text = format!("Halt {} advancement waiting for approval confirm-rollout", self.dotted());
                self.warning(now, &text).await;
            }
            self.phase = Phase::Waiting;
            return;
        }
        self.normal(now, "Confirm-rollout check confirm-rollout passed").await;
        self.phase = Phase::Progressing;
        self.normal(now, &format!("New revision detected! Scaling up {}", self.dotted())).await;
        self.weight = 0;
        self.take_over();
    }

    /// A newer revision takes the place of the one under way, without a question.
    async fn restart(&mut self, now: Millis) {
        self.normal(now, &format!("New revision detected! Restarting analysis for {}", self.dotted())).await;
        self.phase = Phase::Progressing;
        self.weight = 0;
        self.take_over();
    }

    async fn go_on(&mut self, now: Millis) {
        if self.ask("rollback", self.phase).await {
            self.roll_back(now).await;
            return;
        }
        self.normal(now, "Rollback hook rollback not signaling a rollback").await;
        if self.phase == Phase::Progressing && !self.may_increase(now).await {
            return;
        }
        if self.phase == Phase::Progressing && self.weight < FULL {
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
        let open = self.ask("confirm-traffic-increase", Phase::Progressing).await;
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

    async fn promote(&mut self, now: Millis) {
        // The phase of this question is Progressing, also while the canary is in WaitingPromotion.
        if !self.ask("confirm-promotion", Phase::Progressing).await {
            if self.phase != Phase::WaitingPromotion {
                let text = format!(
                    "Halt {} advancement waiting for promotion approval confirm-promotion",
                    self.dotted()
                );
                self.warning(now, &text).await;
            }
            self.phase = Phase::WaitingPromotion;
            return;
        }
        self.normal(now, "Confirm-promotion check confirm-promotion passed").await;
        let primary = format!("{}-primary.{}", self.name, self.namespace);
        self.normal(now, &format!("Copying {} template spec to {primary}", self.dotted())).await;
        self.phase = Phase::Promoting;
    }

    async fn succeed(&mut self, now: Millis) {
        self.phase = Phase::Succeeded;
        self.weight = 0;
        self.tell("/post-rollout", None).await;
        self.normal(now, "Post-rollout check post-rollout passed").await;
        self.normal(now, &format!("Promotion completed! Scaling down {}", self.dotted())).await;
    }

    /// The failure is told before it is done, and the last event says where the canary was, not where it is.
    async fn roll_back(&mut self, now: Millis) {
        let before = self.phase;
        self.warning(now, "Rollback check rollback passed").await;
        self.warning(now, &format!("Rolling back {} manual webhook invoked", self.dotted())).await;
        self.phase = Phase::Failed;
        self.weight = 0;
        self.warning(now, &format!("Canary failed! Scaling down {}", self.dotted())).await;
        self.tell("/post-rollout", None).await;
        self.phase = before;
        self.normal(now, "Post-rollout check post-rollout passed").await;
        self.phase = Phase::Failed;
    }

    fn take_over(&mut self) {
        if let Some(pushed) = self.pushed.take() {
            self.applied = Some(pushed);
        }
    }

    /// As Flagger's events name a canary.
    fn dotted(&self) -> String {
        format!("{}.{}", self.name, self.namespace)
    }

    async fn normal(&mut self, now: Millis, message: &str) {
        self.tell("/event", Some(Metadata::new(message, "Normal", now))).await;
    }

    async fn warning(&mut self, now: Millis, message: &str) {
        self.tell("/event", Some(Metadata::new(message, "Warning", now))).await;
    }

    async fn tell(&mut self, path: &str, metadata: Option<Metadata>) {
        let _ = self.send(path.to_owned(), self.phase, metadata).await;
    }

    /// Whether the answer lets it go on.
    async fn ask(&mut self, hook: &str, phase: Phase) -> bool {
        self.send(format!("/gate/{hook}"), phase, None).await
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
        let message = metadata.map(|metadata| metadata.event_message);
        self.calls.push(Call { path, phase, checksum, message, answered });
        open
    }
}
