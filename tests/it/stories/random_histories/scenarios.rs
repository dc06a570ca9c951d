//! The scenarios, and how many wrong answers each accepts.

use super::{
    connection::Faults,
    flagger::{Gates, Hooks},
};

/// A canary's configuration, its faults, and the accepted wrong answers.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) hooks: Hooks,
    pub(super) faults: Faults,
    /// Whether the Canary is occasionally deleted and created again.
    pub(super) recreated: bool,
    /// The accepted wrong answers.
    pub(super) accepted: Accepted,
}

/// The accepted wrong answers.
pub(super) enum Accepted {
    /// None.
    Nothing,
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
        accepted: NO_WRONG_ANSWERS,
    },
    Scenario {
        name: "rollout, promotion, rollback, event, post",
        hooks: Hooks { traffic: &[], ..ALL },
        faults: NONE,
        recreated: false,
        accepted: NO_WRONG_ANSWERS,
    },
    Scenario {
        name: "two gates of each stage, no faults",
        hooks: Hooks { rollout: TWO, promotion: TWO, ..ALL },
        faults: NONE,
        recreated: false,
        accepted: NO_WRONG_ANSWERS,
    },
    Scenario {
        name: "promotion, event, post",
        hooks: Hooks { rollout: &[], traffic: &[], rollback: false, ..ALL },
        faults: NONE,
        recreated: false,
        accepted: NO_WRONG_ANSWERS,
    },
    Scenario { name: "all six hooks, faults", hooks: ALL, faults: SOME, recreated: false, accepted: FAULTY },
    Scenario {
        name: "two gates of each stage, faults",
        hooks: Hooks { rollout: TWO, promotion: TWO, ..ALL },
        faults: SOME,
        recreated: false,
        accepted: FAULTY,
    },
    Scenario {
        name: "all six hooks, Canary recreated",
        hooks: ALL,
        faults: NONE,
        recreated: true,
        accepted: NO_WRONG_ANSWERS,
    },
    Scenario {
        name: "confirm hooks alone",
        hooks: SILENT,
        faults: NONE,
        recreated: false,
        accepted: CONFIRM,
    },
    Scenario {
        name: "confirm and rollback hooks alone",
        hooks: Hooks { rollback: true, ..SILENT },
        faults: NONE,
        recreated: false,
        accepted: WITH_ROLLBACK,
    },
    Scenario {
        name: "promotion hook alone",
        hooks: Hooks { rollout: &[], traffic: &[], ..SILENT },
        faults: NONE,
        recreated: false,
        accepted: PROMOTION,
    },
];
