//! What happens in the cluster, and what the bridge reads of it.

use std::time::Duration;

use flagger_jira_bridge::{
    gate::GateName,
    millis::Millis,
    rollout::{Observed, Start},
};
use rand::RngExt as _;

use super::{
    cluster::{CanaryObject, Mode},
    connection::Connection,
};

/// How long the bridge waits after a Canary could not be read, as `gatekeeper::canaries`.
const RETRY_CANARIES: Duration = Duration::from_secs(30);

impl Connection {
    /// Somebody may push just now.
    pub(super) fn may_push(&mut self) {
        if self.chance(self.cluster.sight.raced) {
            let revision = match self.rng.random_range(0..4) {
                0 => self.rng.random_range(1..=self.cluster.newest),
                _ => self.cluster.newest + 1,
            };
            self.push(revision);
        }
    }

    /// Somebody pushes this revision.
    pub(super) fn push(&mut self, revision: u32) {
        if revision != self.cluster.target {
            self.note(|| format!("pushed: c{revision}"));
            self.cluster.pushed(revision, self.now, self.interval, &mut self.rng);
        }
    }

    /// Flagger copies the target to the primary.
    pub(super) fn promote(&mut self) {
        self.cluster.promoted(self.now, self.interval, &mut self.rng);
    }

    /// Flagger saved the status of its Canary; none if that was deleted.
    pub(super) fn save(&mut self, canary: Option<CanaryObject>) {
        self.cluster.saved(canary, self.now, self.interval, &mut self.rng);
    }

    /// The API server goes away, or a part of it.
    pub(super) fn cluster_goes_away(&mut self, away: Duration) {
        self.note(|| format!("the API server is away for {} s, or a part of it", away.as_secs()));
        self.cluster.goes_away(self.now + away, &mut self.rng);
    }

    pub(super) fn observe(&mut self, gate: Option<&GateName>) -> Observed {
        self.cluster.advance(self.now);
        let observed = self.cluster.observe(&self.bridge.canary, gate, self.now, &mut self.rng);
        if let Observed::Read(_) = observed {
            self.deployed_is_shown();
        }
        observed
    }

    /// The bridge ends what the Canary says is over.
    fn reads_canaries(&mut self) {
        let Some(was) = self.bridge.canary.rollout.clone() else { return };
        if self.down.is_some() || self.now < self.cluster.retry_canaries {
            return;
        }
        let Some(watched) = self.cluster.watched_canary() else { return };
        if !self.bridge.would_change(&was, watched.as_ref(), self.now) {
            return;
        }
        let Some(read) = self.cluster.read_canary(self.now, &mut self.rng) else {
            self.cluster.retry_canaries = self.now + RETRY_CANARIES;
            return;
        };
        if read.is_some() != watched.is_some() {
            return;
        }
        let observed = self.cluster.observe_by_leader(&self.bridge.canary, self.now, &mut self.rng);
        if was.start == Start::Unverified && observed.is_unread() {
            self.cluster.retry_canaries = self.now + RETRY_CANARIES;
            return;
        }
        if let Observed::Read(_) = observed {
            self.deployed_is_shown();
        }
        self.bridge.canary_read(&was, read.as_ref(), &observed, self.now);
        self.note_unapproved();
        if self.bridge.canary.rollout.is_none() {
            self.note(|| "the bridge reads the Canary: the rollout is over".into());
        }
    }

    /// What watches show until then, and what the bridge does about it.
    pub(super) fn watch_until(&mut self, then: Millis) {
        if self.cluster.sight.mode == Mode::Off {
            return;
        }
        while let Some(at) = self.cluster.next_news().filter(|at| *at <= then) {
            self.now = self.now.max(at);
            self.cluster.advance(self.now);
            self.reads_canaries();
        }
        self.cluster.advance(then);
        self.reads_canaries();
    }
}
