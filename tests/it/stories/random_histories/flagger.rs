//! A model of Flagger: which questions it asks and what it reports, tick by tick, written from what was recorded of
//! the real one. It knows which attempt each question is about; the bridge never learns it.

use flagger_jira_bridge::{gate::Stage, rollout::Phase};

use super::line::Line;

/// The gates of one stage, in the order in which they are asked.
pub(super) type Gates = &'static [Option<&'static str>];

/// The webhooks of a canary.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hooks {
    pub(super) rollout: Gates,
    pub(super) traffic: Gates,
    pub(super) promotion: Gates,
    pub(super) rollback: bool,
    pub(super) event: bool,
    pub(super) post_rollout: bool,
}

/// How a canary is analysed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    /// So many steps of traffic.
    Canary { steps: u32 },
    /// So many iterations. While waiting for promotion, it asks every second tick.
    AbTesting { iterations: u32 },
    /// … and asks again in the tick after the first 200.
    BlueGreen { iterations: u32 },
    /// No analysis at all.
    Skipped,
}

/// A workload that Flagger watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Workload {
    Ready,
    Unready,
    /// Unready for longer than its progress deadline.
    Stuck,
}

/// What Flagger keeps in the Canary's status.
#[derive(Clone, Debug)]
pub(super) struct Status {
    pub(super) phase: Phase,
    /// The revision last applied; its checksum is what the messages carry.
    pub(super) applied: u32,
    pub(super) promoted: u32,
    /// Steps or iterations done.
    step: u32,
    failed_checks: u32,
    /// In truth: the revision that was applied before the analysis started, until a question is asked after that.
    unseen_since: Option<u32>,
    /// In truth: the attempt that is under way, or was last.
    pub(super) attempt: u64,
}

pub(super) struct Flagger {
    pub(super) hooks: Hooks,
    pub(super) strategy: Strategy,
    pub(super) status: Status,
    /// The revision that the cluster should run.
    pub(super) target: u32,
    pub(super) primary: Workload,
    pub(super) canary: Workload,
    pub(super) metrics_fail: bool,
    threshold: u32,
    /// In truth: the last attempt that was begun, whether or not that could be saved.
    begun: u64,
}

/// The checksum of a Canary whose status is empty.
const NOTHING: u32 = 0;

impl Flagger {
    /// A canary that runs revision 1.
    pub(super) fn new(hooks: Hooks, strategy: Strategy) -> Self {
        Self {
            hooks,
            strategy,
            status: Status {
                phase: Phase::Initialized,
                applied: 1,
                promoted: 1,
                step: 0,
                failed_checks: 0,
                unseen_since: None,
                attempt: 0,
            },
            target: 1,
            primary: Workload::Ready,
            canary: Workload::Ready,
            metrics_fail: false,
            threshold: 2,
            begun: 0,
        }
    }

    /// Whether nothing is being rolled out.
    pub(super) fn idle(&self) -> bool {
        matches!(
            self.status.phase,
            Phase::Initialized | Phase::Succeeded | Phase::Failed | Phase::Initializing
        )
    }

    /// The Canary was deleted and created anew, with an empty status.
    pub(super) fn recreated(&mut self) {
        self.status = Status {
            phase: Phase::Initializing,
            applied: NOTHING,
            promoted: NOTHING,
            step: 0,
            failed_checks: 0,
            unseen_since: None,
            attempt: self.status.attempt + 1,
        };
    }

    /// Looks at the canary once.
    pub(super) fn tick(&mut self, line: &mut Line) {
        match self.status.phase {
            Phase::Initializing | Phase::Other => self.initialise(line),
            Phase::Initialized | Phase::Succeeded | Phase::Failed => self.look_for_a_change(line),
            Phase::Waiting => self.wait(line),
            Phase::Progressing | Phase::WaitingPromotion => self.analyse(line),
            Phase::Promoting if self.primary == Workload::Stuck => {
                // The one failure without an event of its own.
                line.post_rollout(self, Phase::Failed);
                self.rolled_back();
            }
            Phase::Promoting => {
                self.event(line);
                if self.primary == Workload::Ready {
                    self.status.phase = Phase::Finalising;
                }
            }
            Phase::Finalising => self.succeed(line),
        }
    }

    fn event(&self, line: &mut Line) {
        line.event(self, self.status.phase);
    }

    /// A new Canary: what the cluster runs becomes the primary, and no gate is asked.
    fn initialise(&mut self, line: &mut Line) {
        self.event(line);
        self.status.applied = self.target;
        self.status.promoted = self.target;
        self.status.phase = Phase::Initialized;
        self.event(line);
    }

    fn look_for_a_change(&mut self, line: &mut Line) {
        if self.target == self.status.applied {
            return self.give_up();
        }
        if self.status.phase == Phase::Failed {
            if self.primary != Workload::Ready {
                // It is taken note of, and never rolled out.
                self.event(line);
                self.status.applied = self.target;
                return;
            }
            self.status.applied = self.target;
        }
        if self.target == self.status.promoted {
            return self.give_up();
        }
        match self.primary {
            Workload::Ready => {}
            Workload::Unready => return self.event(line),
            Workload::Stuck => {
                self.event(line);
                return self.fail(line);
            }
        }
        self.status.attempt += 1;
        self.begun = self.status.attempt;
        self.confirm_rollout(line);
    }

    /// There is nothing to roll out any more: an attempt that could not be saved is over.
    fn give_up(&mut self) {
        self.status.attempt = self.status.attempt.max(self.begun);
    }

    fn wait(&mut self, line: &mut Line) {
        match self.primary {
            Workload::Ready => self.confirm_rollout(line),
            Workload::Unready => self.event(line),
            Workload::Stuck => {
                self.event(line);
                self.fail(line);
            }
        }
    }

    fn confirm_rollout(&mut self, line: &mut Line) {
        for approver in self.hooks.rollout {
            if !line.ask(self, Stage::ConfirmRollout, *approver, self.status.phase) {
                if self.status.phase != Phase::Waiting {
                    self.event(line);
                }
                self.status.phase = Phase::Waiting;
                return;
            }
            self.event(line);
        }
        line.event(self, Phase::Progressing);
        self.status.unseen_since = Some(self.status.applied);
        self.start();
    }

    /// The analysis starts with what is there now.
    fn start(&mut self) {
        self.status.applied = self.target;
        self.status.phase = Phase::Progressing;
        self.status.step = 0;
        self.status.failed_checks = 0;
    }

    fn analyse(&mut self, line: &mut Line) {
        match self.primary {
            Workload::Ready => {}
            Workload::Unready => return self.event(line),
            Workload::Stuck => {
                self.event(line);
                return self.fail(line);
            }
        }
        if self.target != self.status.applied && self.target != self.status.promoted {
            self.event(line);
            // A run with the checksum that was asked about before, and no question in it, is as if Flagger waited on.
            if self.status.unseen_since != Some(self.status.applied) {
                self.status.attempt += 1;
                self.status.unseen_since = None;
            }
            self.start();
            return;
        }
        if self.strategy == Strategy::Skipped {
            self.event(line);
            return self.succeed(line);
        }
        match self.canary {
            Workload::Ready => {}
            Workload::Unready => return self.event(line),
            Workload::Stuck => {
                self.event(line);
                return self.fail(line);
            }
        }
        if self.hooks.rollback {
            self.status.unseen_since = None;
            let back = line.ask_to_roll_back(self);
            self.event(line);
            if back {
                return self.fail(line);
            }
        }
        if self.status.failed_checks >= self.threshold {
            self.event(line);
            return self.fail(line);
        }
        if self.metrics_fail {
            self.status.failed_checks += 1;
            return self.event(line);
        }
        self.advance(line);
    }

    fn advance(&mut self, line: &mut Line) {
        if self.status.step == 0 {
            self.event(line);
        }
        match self.strategy {
            Strategy::Canary { steps } => {
                if self.status.phase != Phase::WaitingPromotion
                    && !self.confirm(line, Stage::ConfirmTrafficIncrease, self.hooks.traffic)
                {
                    return self.event(line);
                }
                if self.status.step < steps && self.status.phase != Phase::WaitingPromotion {
                    self.status.step += 1;
                    return self.event(line);
                }
                if self.confirm_promotion(line) {
                    self.promote(line);
                }
            }
            Strategy::AbTesting { iterations } => {
                if self.status.step < iterations {
                    self.status.step += 1;
                    self.event(line);
                } else if self.confirm_promotion(line) {
                    self.promote(line);
                } else {
                    self.status.step = iterations - 1;
                }
            }
            Strategy::BlueGreen { iterations } => {
                if self.status.step < iterations {
                    self.status.step += 1;
                    self.event(line);
                } else if !self.confirm_promotion(line) {
                    self.status.step = iterations - 1;
                } else if self.status.step == iterations {
                    self.status.step += 1;
                    self.event(line);
                } else {
                    self.promote(line);
                }
            }
            Strategy::Skipped => {}
        }
    }

    /// Asks at all gates of a stage of the analysis, which always say `Progressing`; the first refusal hides the rest.
    fn confirm(&mut self, line: &mut Line, stage: Stage, gates: Gates) -> bool {
        for approver in gates {
            self.status.unseen_since = None;
            if !line.ask(self, stage, *approver, Phase::Progressing) {
                return false;
            }
            self.event(line);
        }
        true
    }

    fn confirm_promotion(&mut self, line: &mut Line) -> bool {
        let open = self.confirm(line, Stage::ConfirmPromotion, self.hooks.promotion);
        if !open && self.status.phase != Phase::WaitingPromotion {
            self.event(line);
            self.status.phase = Phase::WaitingPromotion;
        }
        open
    }

    fn promote(&mut self, line: &mut Line) {
        self.event(line);
        self.status.phase = Phase::Promoting;
    }

    fn succeed(&mut self, line: &mut Line) {
        line.post_rollout(self, Phase::Succeeded);
        line.event(self, Phase::Succeeded);
        line.event(self, Phase::Succeeded);
        self.status.phase = Phase::Succeeded;
        self.status.promoted = self.status.applied;
    }

    /// The event comes before the rollback, and one more in the old phase after it.
    fn fail(&mut self, line: &mut Line) {
        line.event(self, Phase::Failed);
        line.post_rollout(self, Phase::Failed);
        self.event(line);
        self.rolled_back();
    }

    fn rolled_back(&mut self) {
        self.status.phase = Phase::Failed;
        // Whatever is there by now counts as tried.
        self.status.applied = self.target;
        self.status.failed_checks = 0;
    }
}
