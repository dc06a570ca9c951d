//! A model of Flagger, written from recordings of the real one: the questions and reports of each tick. The model knows
//! the attempt of each question; the bridge does not.

use flagger_jira_bridge::{gate::Stage, rollout::Phase};

use super::connection::Connection;

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
    /// The number of traffic steps.
    Canary { steps: u32 },
    /// While waiting for promotion, it asks every second tick.
    AbTesting { iterations: u32 },
    /// The same, and it asks again in the tick after the first 200.
    BlueGreen { iterations: u32 },
    /// No analysis.
    Skipped,
}

/// A workload that Flagger watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Workload {
    Ready,
    Unready,
    /// Not ready for longer than its progress deadline.
    Stuck,
}

/// The state that Flagger keeps in the Canary's status.
#[derive(Clone, Debug)]
pub(super) struct Status {
    pub(super) phase: Phase,
    /// The revision last applied; messages carry its checksum.
    pub(super) applied: u32,
    pub(super) promoted: u32,
    /// The number of completed steps or iterations.
    step: u32,
    failed_checks: u32,
    /// Known to the model only: the revision applied before the analysis started, until the next question.
    unseen_since: Option<u32>,
    /// Known to the model only: the current or last attempt.
    pub(super) attempt: u64,
    /// Known to the model only: what begins with confirm-rollout and ends with a phase. A push in between begins another
    /// attempt in it, without a question.
    pub(super) course: u64,
    /// The uid of the Canary.
    pub(super) uid: u64,
}

pub(super) struct Flagger {
    pub(super) hooks: Hooks,
    pub(super) strategy: Strategy,
    pub(super) status: Status,
    pub(super) primary: Workload,
    pub(super) canary: Workload,
    pub(super) metrics_fail: bool,
    threshold: u32,
    /// Known to the model only: the last attempt that was begun, even if its status could not be saved.
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
                course: 0,
                uid: 0,
            },
            primary: Workload::Ready,
            canary: Workload::Ready,
            metrics_fail: false,
            threshold: 2,
            begun: 0,
        }
    }

    /// Whether no rollout is running.
    pub(super) fn idle(&self) -> bool {
        matches!(
            self.status.phase,
            Phase::Initialized | Phase::Succeeded | Phase::Failed | Phase::Initializing
        )
    }

    /// The Canary was deleted and created again, with an empty status.
    pub(super) fn recreated(&mut self) {
        self.status = Status {
            phase: Phase::Initializing,
            applied: NOTHING,
            promoted: NOTHING,
            step: 0,
            failed_checks: 0,
            unseen_since: None,
            attempt: self.status.attempt + 1,
            course: self.status.course + 1,
            uid: self.status.uid + 1,
        };
    }

    /// Runs one tick.
    pub(super) fn tick(&mut self, connection: &mut Connection) {
        match self.status.phase {
            Phase::Initializing | Phase::Other => self.initialise(connection),
            Phase::Initialized | Phase::Succeeded | Phase::Failed => self.look_for_a_change(connection),
            Phase::Waiting => self.wait(connection),
            Phase::Progressing | Phase::WaitingPromotion => self.analyse(connection),
            Phase::Promoting if self.primary == Workload::Stuck => {
                // The only failure without an event.
                connection.post_rollout(self, Phase::Failed);
                self.rolled_back(connection);
            }
            Phase::Promoting => {
                self.event(connection);
                if self.primary == Workload::Ready {
                    self.status.phase = Phase::Finalising;
                }
            }
            Phase::Finalising => self.succeed(connection),
        }
    }

    fn event(&self, connection: &mut Connection) {
        connection.event(self, self.status.phase);
    }

    /// A new Canary: the running workload becomes the primary, without a question.
    fn initialise(&mut self, connection: &mut Connection) {
        self.event(connection);
        self.status.applied = connection.cluster.target;
        self.status.promoted = connection.cluster.target;
        connection.promote();
        self.status.phase = Phase::Initialized;
        self.event(connection);
    }

    fn look_for_a_change(&mut self, connection: &mut Connection) {
        let target = connection.cluster.target;
        if target == self.status.applied {
            return self.give_up();
        }
        if self.status.phase == Phase::Failed {
            if self.primary != Workload::Ready {
                // Flagger stores the revision, and never rolls it out.
                self.event(connection);
                self.status.applied = target;
                return;
            }
            self.status.applied = target;
        }
        if target == self.status.promoted {
            return self.give_up();
        }
        match self.primary {
            Workload::Ready => {}
            Workload::Unready => return self.event(connection),
            Workload::Stuck => {
                self.event(connection);
                return self.fail(connection);
            }
        }
        self.status.attempt += 1;
        self.begun = self.status.attempt;
        self.status.course += 1;
        self.confirm_rollout(connection);
    }

    /// The target already runs: an attempt that could not be saved has ended.
    fn give_up(&mut self) {
        self.status.attempt = self.status.attempt.max(self.begun);
    }

    fn wait(&mut self, connection: &mut Connection) {
        match self.primary {
            Workload::Ready => self.confirm_rollout(connection),
            Workload::Unready => self.event(connection),
            Workload::Stuck => {
                self.event(connection);
                self.fail(connection);
            }
        }
    }

    fn confirm_rollout(&mut self, connection: &mut Connection) {
        for approver in self.hooks.rollout {
            if !connection.ask(self, Stage::ConfirmRollout, *approver, self.status.phase) {
                if self.status.phase != Phase::Waiting {
                    self.event(connection);
                }
                self.status.phase = Phase::Waiting;
                return;
            }
            self.event(connection);
        }
        connection.event(self, Phase::Progressing);
        self.status.unseen_since = Some(self.status.applied);
        connection.starts(self.status.attempt);
        self.start(connection);
    }

    /// Starts the analysis of the current target.
    fn start(&mut self, connection: &Connection) {
        self.status.applied = connection.cluster.target;
        self.status.phase = Phase::Progressing;
        self.status.step = 0;
        self.status.failed_checks = 0;
    }

    fn analyse(&mut self, connection: &mut Connection) {
        match self.primary {
            Workload::Ready => {}
            Workload::Unready => return self.event(connection),
            Workload::Stuck => {
                self.event(connection);
                return self.fail(connection);
            }
        }
        let target = connection.cluster.target;
        if target != self.status.applied && target != self.status.promoted {
            self.event(connection);
            // An analysis without a question, of the checksum asked about before, looks as if Flagger were still
            // waiting.
            if self.status.unseen_since != Some(self.status.applied) {
                self.status.attempt += 1;
                self.status.unseen_since = None;
            }
            connection.restarts(self.status.attempt);
            self.start(connection);
            return;
        }
        if self.strategy == Strategy::Skipped {
            self.event(connection);
            connection.promote();
            return self.succeed(connection);
        }
        match self.canary {
            Workload::Ready => {}
            Workload::Unready => return self.event(connection),
            Workload::Stuck => {
                self.event(connection);
                return self.fail(connection);
            }
        }
        if self.hooks.rollback {
            self.status.unseen_since = None;
            let back = connection.ask_to_roll_back(self);
            self.event(connection);
            if back {
                return self.fail(connection);
            }
        }
        if self.status.failed_checks >= self.threshold {
            self.event(connection);
            return self.fail(connection);
        }
        if self.metrics_fail {
            self.status.failed_checks += 1;
            return self.event(connection);
        }
        self.advance(connection);
    }

    fn advance(&mut self, connection: &mut Connection) {
        if self.status.step == 0 {
            self.event(connection);
        }
        match self.strategy {
            Strategy::Canary { steps } => {
                if self.status.phase != Phase::WaitingPromotion
                    && !self.confirm(connection, Stage::ConfirmTrafficIncrease, self.hooks.traffic)
                {
                    return self.event(connection);
                }
                if self.status.step < steps && self.status.phase != Phase::WaitingPromotion {
                    self.status.step += 1;
                    return self.event(connection);
                }
                if self.confirm_promotion(connection) {
                    self.promote(connection);
                }
            }
            Strategy::AbTesting { iterations } => {
                if self.status.step < iterations {
                    self.status.step += 1;
                    self.event(connection);
                } else if self.confirm_promotion(connection) {
                    self.promote(connection);
                } else {
                    self.status.step = iterations - 1;
                }
            }
            Strategy::BlueGreen { iterations } => {
                if self.status.step < iterations {
                    self.status.step += 1;
                    self.event(connection);
                } else if !self.confirm_promotion(connection) {
                    self.status.step = iterations - 1;
                } else if self.status.step == iterations {
                    self.status.step += 1;
                    self.event(connection);
                } else {
                    self.promote(connection);
                }
            }
            Strategy::Skipped => {}
        }
    }

    /// Asks at all gates of a stage of the analysis, always in phase `Progressing`; stops at the first refusal.
    fn confirm(&mut self, connection: &mut Connection, stage: Stage, gates: Gates) -> bool {
        for approver in gates {
            self.status.unseen_since = None;
            if !connection.ask(self, stage, *approver, Phase::Progressing) {
                return false;
            }
            self.event(connection);
        }
        true
    }

    fn confirm_promotion(&mut self, connection: &mut Connection) -> bool {
        let open = self.confirm(connection, Stage::ConfirmPromotion, self.hooks.promotion);
        if !open && self.status.phase != Phase::WaitingPromotion {
            self.event(connection);
            self.status.phase = Phase::WaitingPromotion;
        }
        open
    }

    fn promote(&mut self, connection: &mut Connection) {
        self.event(connection);
        connection.promote();
        self.status.phase = Phase::Promoting;
    }

    fn succeed(&mut self, connection: &mut Connection) {
        connection.post_rollout(self, Phase::Succeeded);
        connection.event(self, Phase::Succeeded);
        connection.event(self, Phase::Succeeded);
        self.status.phase = Phase::Succeeded;
        self.status.promoted = self.status.applied;
    }

    /// Sends an event before the rollback, and another one with the old phase after it.
    fn fail(&mut self, connection: &mut Connection) {
        connection.event(self, Phase::Failed);
        connection.post_rollout(self, Phase::Failed);
        self.event(connection);
        self.rolled_back(connection);
    }

    fn rolled_back(&mut self, connection: &Connection) {
        self.status.phase = Phase::Failed;
        // Flagger treats the current target as tried.
        self.status.applied = connection.cluster.target;
        self.status.failed_checks = 0;
    }
}
