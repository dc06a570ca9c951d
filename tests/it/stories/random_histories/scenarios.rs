//! The scenarios, and how many wrong answers each accepts.

use super::{
    cluster::{BLIND, Mode, Sight},
    connection::Faults,
    flagger::{Gates, Hooks},
    tally::Tally,
};

/// A canary's configuration, its faults, and the accepted wrong answers.
#[derive(Clone, Copy)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) hooks: Hooks,
    pub(super) faults: Faults,
    /// Whether the Canary is occasionally deleted and created again.
    pub(super) recreated: bool,
    /// How the bridge reads the cluster.
    pub(super) sight: Sight,
    /// The accepted wrong answers.
    pub(super) accepted: Accepted,
}

impl Scenario {
    /// Wrong answers of any kind.
    pub(super) const fn wrong(&self, tally: &Tally) -> u64 {
        match self.accepted {
            Accepted::Nothing | Accepted::Rates { .. } => tally.wrong(),
            Accepted::NoWrongBinding { .. } => tally.wrongly_bound(),
        }
    }
}

/// The accepted wrong answers.
#[derive(Clone, Copy)]
pub(super) enum Accepted {
    /// None.
    Nothing,
    /// No gate is opened by the approval of something else. Being asked once more is accepted, and so are these numbers in 30,000
    /// histories.
    NoWrongBinding {
        /// Opened by the approval of the same revision in an attempt that failed before it started anything, and that no
        /// message showed.
        alike: f64,
        /// What started unapproved was seen, but a later gate was opened before that could be proven.
        missed: f64,
    },
    /// The accepted number of each kind in 30,000 histories.
    Rates {
        /// Opened by the approval of another attempt that the received messages do not distinguish.
        alike: f64,
        /// Opened by the approval of another attempt, although the messages distinguish the two.
        wrong_opens: f64,
        /// Approved, but answered 403 with a new ticket.
        asked_again: f64,
        /// Rolled back without a rejection of this attempt.
        wrong_rollbacks: f64,
    },
}

const ONE: Gates = &[None];
const TWO: Gates = &[Some("qa"), Some("security")];

const ALL: Hooks =
    Hooks { rollout: ONE, traffic: ONE, promotion: ONE, rollback: true, event: true, post_rollout: true };
const SILENT: Hooks = Hooks { rollback: false, event: false, post_rollout: false, ..ALL };

const NONE: Faults = Faults { lost: 0.0, unanswered: 0.0, twice: 0.0, unsaved: 0.0, down: 0.0 };
const SOME: Faults = Faults { lost: 0.01, unanswered: 0.01, twice: 0.01, unsaved: 0.01, down: 0.002 };

const NO_WRONG_ANSWERS: Accepted = Accepted::Nothing;
/// The highest rates seen in 150,000 histories were 1 and 2.
const BOUND: Accepted = Accepted::NoWrongBinding { alike: 1.0, missed: 1.0 };
/// With faults: the targets were 5 wrong opens and 120 gates asked again.
const FAULTY: Accepted =
    Accepted::Rates { alike: 5.0, wrong_opens: 0.0, asked_again: 120.0, wrong_rollbacks: 5.0 };
/// Without event and post-rollout hooks no wrong open can be distinguished, so their rate is the rate at which the same
/// revision comes back in these histories. The target was 77, which is met with the rollback hook.
const CONFIRM: Accepted =
    Accepted::Rates { alike: 160.0, wrong_opens: 0.0, asked_again: 23.0, wrong_rollbacks: 0.0 };
const WITH_ROLLBACK: Accepted =
    Accepted::Rates { alike: 77.0, wrong_opens: 0.0, asked_again: 0.0, wrong_rollbacks: 33.0 };
/// With the promotion hook alone the bridge receives nothing of a rollout until its analysis has ended.
const PROMOTION: Accepted =
    Accepted::Rates { alike: 600.0, wrong_opens: 0.0, asked_again: 34.0, wrong_rollbacks: 0.0 };
pub(super) const SCENARIOS: [Scenario; 10] = [
    Scenario {
        name: "all six hooks",
        hooks: ALL,
        faults: NONE,
        recreated: false,
        sight: BLIND,
        accepted: NO_WRONG_ANSWERS,
    },
    Scenario {
        name: "rollout, promotion, rollback, event, post",
        hooks: Hooks { traffic: &[], ..ALL },
        faults: NONE,
        recreated: false,
        sight: BLIND,
        accepted: NO_WRONG_ANSWERS,
    },
    Scenario {
        name: "two gates of each stage, no faults",
        hooks: Hooks { rollout: TWO, promotion: TWO, ..ALL },
        faults: NONE,
        recreated: false,
        sight: BLIND,
        accepted: NO_WRONG_ANSWERS,
    },
    Scenario {
        name: "promotion, event, post",
        hooks: Hooks { rollout: &[], traffic: &[], rollback: false, ..ALL },
        faults: NONE,
        recreated: false,
        sight: BLIND,
        accepted: NO_WRONG_ANSWERS,
    },
    Scenario {
        name: "all six hooks, faults",
        hooks: ALL,
        faults: SOME,
        recreated: false,
        sight: BLIND,
        accepted: FAULTY,
    },
    Scenario {
        name: "two gates of each stage, faults",
        hooks: Hooks { rollout: TWO, promotion: TWO, ..ALL },
        faults: SOME,
        recreated: false,
        sight: BLIND,
        accepted: FAULTY,
    },
    Scenario {
        name: "all six hooks, Canary recreated",
        hooks: ALL,
        faults: NONE,
        recreated: true,
        sight: BLIND,
        accepted: NO_WRONG_ANSWERS,
    },
    Scenario {
        name: "confirm hooks alone",
        hooks: SILENT,
        faults: NONE,
        recreated: false,
        sight: BLIND,
        accepted: CONFIRM,
    },
    Scenario {
        name: "confirm and rollback hooks alone",
        hooks: Hooks { rollback: true, ..SILENT },
        faults: NONE,
        recreated: false,
        sight: BLIND,
        accepted: WITH_ROLLBACK,
    },
    Scenario {
        name: "promotion hook alone",
        hooks: Hooks { rollout: &[], traffic: &[], ..SILENT },
        faults: NONE,
        recreated: false,
        sight: BLIND,
        accepted: PROMOTION,
    },
];

/// Watches that are late, and pushes at any moment.
const LATE: Sight = Sight { mode: Mode::Bind, late: 0.3, unread: 0.0, away: 0.0, raced: 0.01 };
/// The same, and an API server with bad days.
const UNREAD: Sight = Sight { unread: 0.1, away: 0.05, ..LATE };
const UNSAVED: Faults = Faults { unsaved: 0.02, ..NONE };

/// The scenarios in which approvals are bound to what tickets show.
pub(super) const WITH_KUBERNETES: [Scenario; 5] = [
    Scenario {
        name: "bind, confirm hooks alone",
        hooks: SILENT,
        faults: NONE,
        recreated: false,
        sight: LATE,
        accepted: BOUND,
    },
    Scenario {
        name: "bind, confirm hooks alone, messages lost",
        hooks: SILENT,
        faults: SOME,
        recreated: false,
        sight: LATE,
        accepted: BOUND,
    },
    Scenario {
        name: "bind, confirm hooks alone, API errors",
        hooks: SILENT,
        faults: UNSAVED,
        recreated: false,
        sight: UNREAD,
        accepted: BOUND,
    },
    Scenario {
        name: "bind, all six hooks, all faults, recreated",
        hooks: ALL,
        faults: SOME,
        recreated: true,
        sight: UNREAD,
        accepted: BOUND,
    },
    Scenario {
        name: "bind, two gates of each stage, all faults",
        hooks: Hooks { rollout: TWO, promotion: TWO, ..SILENT },
        faults: SOME,
        recreated: true,
        sight: UNREAD,
        accepted: BOUND,
    },
];
