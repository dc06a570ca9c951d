//! A model of the API server: what is true there, what the watches of each replica of the bridge show of it, perhaps
//! late, and what the bridge reads from it when it answers. Written after `gatekeeper::observe` and
//! `gatekeeper::canaries`, which cannot be called without a server.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use flagger_jira_bridge::{
    gate::GateName,
    millis::Millis,
    rollout::{Canary, CanaryStatus, Observed, Phase},
    workload::{Shown, TargetKind},
};
use rand::{RngExt as _, rngs::StdRng};

use super::workloads::{Deployed, shown};

/// `kubernetes.mode` of the bridge, and one that a bridge must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Off,
    Show,
    Bind,
    /// As `Bind`, but what a watch shows counts as read after the question came. Only to prove that this is wrong.
    TrustsWatches,
}

/// How the bridge reads the cluster, and how well that works.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    pub(super) mode: Mode,
    /// A watch shows a change late, by anything up to many intervals.
    pub(super) late: f64,
    /// A reading fails.
    pub(super) unread: f64,
    /// At a tick: watches break, or nothing can be read, for a while.
    pub(super) away: f64,
    /// Before any message, and between an answer and what Flagger does then: somebody pushes.
    pub(super) raced: f64,
}

impl Sight {
    /// Whether answers are judged by what tickets show.
    pub(super) fn judges_tickets(&self) -> bool {
        self.raced > 0.0
    }
}

/// The bridge does not read the cluster.
pub(super) const BLIND: Sight = Sight { mode: Mode::Off, late: 0.0, unread: 0.0, away: 0.0, raced: 0.0 };

/// What the API server has of a Canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CanaryObject {
    pub(super) uid: u64,
    pub(super) phase: Phase,
    /// The revision that Flagger applied last.
    pub(super) applied: u32,
}

impl CanaryObject {
    fn status(self) -> CanaryStatus {
        let applied = Some(self.applied.to_string());
        CanaryStatus {
            uid: self.uid.to_string(),
            phase: self.phase,
            applied,
            promoted: None,
            failed_checks: None,
        }
    }
}

/// One watch of one replica.
struct Watch<T> {
    /// `None`: it has not listed anything since its start.
    shown: Option<T>,
    coming: VecDeque<(Millis, T)>,
    /// It is broken until then, and lists again: what came and went meanwhile is never shown.
    broken: Option<Millis>,
}

impl<T: Copy> Watch<T> {
    const fn new(shown: T) -> Self {
        Self { shown: Some(shown), coming: VecDeque::new(), broken: None }
    }

    /// Watches show changes in their order.
    fn changes(&mut self, value: T, at: Millis) {
        if self.broken.is_none() {
            let at = self.coming.back().map_or(at, |(last, _)| at.max(*last));
            self.coming.push_back((at, value));
        }
    }

    fn breaks(&mut self, until: Millis) {
        self.coming.clear();
        self.broken = Some(self.broken.map_or(until, |then| then.max(until)));
    }

    fn advance(&mut self, now: Millis, truth: T) {
        if self.broken.is_some_and(|until| until <= now) {
            self.broken = None;
            self.shown = Some(truth);
        }
        while let Some((_, value)) = self.coming.pop_front_if(|(at, _)| *at <= now) {
            self.shown = Some(value);
        }
    }

    fn next(&self) -> Option<Millis> {
        self.coming.front().map(|(at, _)| *at).or(self.broken)
    }
}

/// What one replica sees.
struct View {
    canaries: Watch<Option<CanaryObject>>,
    workloads: Watch<Deployed>,
}

/// How many replicas the bridge has. Each has its own watches.
const REPLICAS: usize = 2;

/// The cluster and the bridge's view of it.
pub(super) struct Cluster {
    pub(super) sight: Sight,
    kind: TargetKind,
    /// The revision that the cluster should run.
    pub(super) target: u32,
    /// The newest revision that was ever pushed.
    pub(super) newest: u32,
    primary: u32,
    canary: Option<CanaryObject>,
    views: [View; REPLICAS],
    /// The replica that reads Canaries.
    leader: usize,
    /// Nothing can be read until then.
    away: Millis,
    /// A Canary could not be read: it is not tried again before.
    pub(super) retry_canaries: Millis,
}

impl Cluster {
    /// A canary that runs revision 1.
    pub(super) fn new(sight: Sight, kind: TargetKind) -> Self {
        let canary = Some(CanaryObject { uid: 0, phase: Phase::Initialized, applied: 1 });
        let workloads = Deployed { kind, target: 1, primary: 1, idle: true };
        let view = || View { canaries: Watch::new(canary), workloads: Watch::new(workloads) };
        Self {
            sight,
            kind,
            target: 1,
            newest: 1,
            primary: 1,
            canary,
            views: [view(), view()],
            leader: 0,
            away: Millis(0),
            retry_canaries: Millis(0),
        }
    }

    const fn is_read(&self) -> bool {
        !matches!(self.sight.mode, Mode::Off)
    }

    /// Whether a promotion would change nothing.
    pub(super) const fn ships_nothing(&self) -> bool {
        self.target == self.primary
    }

    /// Flagger scales the target to zero where nothing is rolled out.
    fn deployed(&self) -> Deployed {
        let idle = self.canary.is_none_or(|canary| match canary.phase {
            Phase::Initialized | Phase::Waiting | Phase::Succeeded | Phase::Failed => true,
            Phase::Initializing
            | Phase::Progressing
            | Phase::WaitingPromotion
            | Phase::Promoting
            | Phase::Finalising
            | Phase::Other => false,
        });
        Deployed { kind: self.kind, target: self.target, primary: self.primary, idle }
    }

    /// When a watch shows what changes now.
    fn lag(&self, interval: Duration, rng: &mut StdRng) -> Duration {
        if !rng.random_bool(self.sight.late) {
            return Duration::from_millis(rng.random_range(0..500));
        }
        let most = [5.0, interval.as_secs_f64(), 10.0 * interval.as_secs_f64()][rng.random_range(0..3)];
        Duration::from_secs_f64(most * rng.random::<f64>())
    }

    fn workloads_changed(&mut self, now: Millis, interval: Duration, rng: &mut StdRng) {
        if !self.is_read() {
            return;
        }
        let deployed = self.deployed();
        for replica in 0..REPLICAS {
            let at = now + self.lag(interval, rng);
            self.views[replica].workloads.changes(deployed, at);
        }
    }

    /// Somebody pushes a revision.
    pub(super) fn pushed(&mut self, revision: u32, now: Millis, interval: Duration, rng: &mut StdRng) {
        self.target = revision;
        self.newest = self.newest.max(revision);
        self.workloads_changed(now, interval, rng);
    }

    /// Flagger copies the target to the primary.
    pub(super) fn promoted(&mut self, now: Millis, interval: Duration, rng: &mut StdRng) {
        self.primary = self.target;
        self.workloads_changed(now, interval, rng);
    }

    /// Flagger saved the status of its Canary, or the Canary was deleted.
    pub(super) fn saved(
        &mut self,
        canary: Option<CanaryObject>,
        now: Millis,
        interval: Duration,
        rng: &mut StdRng,
    ) {
        if self.canary == canary {
            return;
        }
        let was = self.deployed();
        self.canary = canary;
        if !self.is_read() {
            return;
        }
        for replica in 0..REPLICAS {
            let at = now + self.lag(interval, rng);
            self.views[replica].canaries.changes(canary, at);
        }
        if self.deployed() != was {
            self.workloads_changed(now, interval, rng);
        }
    }

    /// The API server is away, or a part of it.
    pub(super) fn goes_away(&mut self, until: Millis, rng: &mut StdRng) {
        let which: u32 = rng.random_range(0..4);
        if which == 0 || which == 3 {
            self.away = self.away.max(until);
        }
        for view in &mut self.views {
            if which == 1 || which == 3 {
                view.canaries.breaks(until);
            }
            if which == 2 || which == 3 {
                view.workloads.breaks(until);
            }
        }
    }

    /// The bridge starts again: its watches list everything, after a while, and another replica may lead.
    pub(super) fn bridge_restarts(&mut self, now: Millis, rng: &mut StdRng) {
        if !self.is_read() {
            return;
        }
        self.leader = rng.random_range(0..REPLICAS);
        self.retry_canaries = Millis(0);
        for view in &mut self.views {
            let listed = now + Duration::from_secs(rng.random_range(0..120));
            (view.canaries.shown, view.workloads.shown) = (None, None);
            view.canaries.breaks(listed);
            view.workloads.breaks(listed);
        }
    }

    /// When a watch next shows something new.
    pub(super) fn next_news(&self) -> Option<Millis> {
        self.views.iter().flat_map(|view| [view.canaries.next(), view.workloads.next()]).flatten().min()
    }

    pub(super) fn advance(&mut self, now: Millis) {
        let (canary, deployed) = (self.canary, self.deployed());
        for view in &mut self.views {
            view.canaries.advance(now, canary);
            view.workloads.advance(now, deployed);
        }
    }

    /// What a replica's watches show.
    fn watched(&self, replica: usize) -> Arc<Shown> {
        let view = &self.views[replica];
        match (view.canaries.shown, view.workloads.shown) {
            (Some(Some(_)), Some(deployed)) => shown(deployed),
            (None, _) | (_, None) => unreadable("the API server has not listed it yet"),
            (Some(None), Some(_)) => unreadable("there is no such Canary"),
        }
    }

    fn fails(&self, now: Millis, rng: &mut StdRng) -> bool {
        now < self.away || (self.sight.unread > 0.0 && rng.random_bool(self.sight.unread))
    }

    /// What the API server says now.
    fn read(&self, now: Millis, rng: &mut StdRng) -> Arc<Shown> {
        if self.fails(now, rng) {
            return unreadable("the API server did not answer within a second");
        }
        if self.canary.is_none() { unreadable("there is no such Canary") } else { shown(self.deployed()) }
    }

    /// What the bridge knows of the cluster when a message reaches one of its replicas.
    pub(super) fn observe(
        &self,
        canary: &Canary,
        gate: Option<&GateName>,
        now: Millis,
        rng: &mut StdRng,
    ) -> Observed {
        if !self.is_read() {
            return Observed::Unread;
        }
        let replica = rng.random_range(0..REPLICAS);
        self.observe_by(replica, canary, gate, now, rng)
    }

    fn observe_by(
        &self,
        replica: usize,
        canary: &Canary,
        gate: Option<&GateName>,
        now: Millis,
        rng: &mut StdRng,
    ) -> Observed {
        let watched = self.watched(replica);
        let read = match self.sight.mode {
            Mode::Off => return Observed::Unread,
            Mode::Show => return Observed::Shown(watched),
            Mode::Bind | Mode::TrustsWatches if canary.reading(gate, watched.change()).is_none() => {
                return Observed::Watched { shown: watched, unread: None };
            }
            Mode::Bind => self.read(now, rng),
            Mode::TrustsWatches => Arc::clone(&watched),
        };
        match &*read {
            Shown::Change { .. } => Observed::Read(read),
            Shown::Unreadable { why } => Observed::Watched { shown: watched, unread: Some(why.clone()) },
        }
    }

    /// The same for the replica that reads Canaries.
    pub(super) fn observe_by_leader(&self, canary: &Canary, now: Millis, rng: &mut StdRng) -> Observed {
        self.observe_by(self.leader, canary, None, now, rng)
    }

    /// What the leader's watch shows of the Canary. `None`: it is not known whether there is one.
    pub(super) fn watched_canary(&self) -> Option<Option<CanaryStatus>> {
        let watch = &self.views[self.leader].canaries;
        if !self.is_read() || watch.broken.is_some() {
            return None;
        }
        Some(watch.shown?.map(CanaryObject::status))
    }

    /// What the API server says of the Canary. `None`: it could not be read.
    pub(super) fn read_canary(&self, now: Millis, rng: &mut StdRng) -> Option<Option<CanaryStatus>> {
        (!self.fails(now, rng)).then(|| self.canary.map(CanaryObject::status))
    }
}

fn unreadable(why: &str) -> Arc<Shown> {
    Arc::new(Shown::Unreadable { why: why.into() })
}
