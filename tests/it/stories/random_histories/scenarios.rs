//! The canaries whose histories are driven, and how many wrong answers are accepted of each.

use super::{
    flagger::{Gates, Hooks},
    line::Faults,
};

/// A way to set up a canary, and what may go wrong.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) hooks: Hooks,
    pub(super) faults: Faults,
    /// Whether the Canary is deleted now and then, and created anew.
    pub(super) recreated: bool,
    /// The most wrong opens and the most approved gates asked again that are accepted, in 30,000 histories.
    pub(super) accepted: Accepted,
}

/// What may be wrong.
pub(super) enum Accepted {
    /// Nothing at all.
    Nothing,
    /// So many in 30,000 histories.
    Rates {
        /// Opened by the approval of another attempt, told apart by nothing that was heard.
        alike: f64,
        /// Opened by the approval of another attempt, though the messages could have told.
        wrong_opens: f64,
        /// Approved, and asked again.
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

const HEARD: Accepted = Accepted::Nothing;
/// With faults: 5 wrong opens and 120 gates asked again were the rates to match.
const FAULTY: Accepted =
    Accepted::Rates { alike: 5.0, wrong_opens: 0.0, asked_again: 120.0, wrong_rollbacks: 5.0 };
/// Without event and post-rollout hooks all wrong opens look alike, so that their rate is that of the same revision
/// coming back, as often as it does here. 77 was the rate to match, which it does where rollback is asked.
const CONFIRM: Accepted =
    Accepted::Rates { alike: 160.0, wrong_opens: 0.0, asked_again: 23.0, wrong_rollbacks: 0.0 };
const WITH_ROLLBACK: Accepted =
    Accepted::Rates { alike: 77.0, wrong_opens: 0.0, asked_again: 0.0, wrong_rollbacks: 33.0 };
/// … and with the promotion hook alone, where nothing is heard of a rollout until its analysis is over.
const PROMOTION: Accepted =
    Accepted::Rates { alike: 600.0, wrong_opens: 0.0, asked_again: 34.0, wrong_rollbacks: 0.0 };
pub(super) const SCENARIOS: [Scenario; 10] = [
    Scenario { name: "all six hooks", hooks: ALL, faults: NONE, recreated: false, accepted: HEARD },
    Scenario {
        name: "rollout, promotion, rollback, event, post",
        hooks: Hooks { traffic: &[], ..ALL },
        faults: NONE,
        recreated: false,
        accepted: HEARD,
    },
    Scenario {
        name: "two gates of each stage, all heard",
        hooks: Hooks { rollout: TWO, promotion: TWO, ..ALL },
        faults: NONE,
        recreated: false,
        accepted: HEARD,
    },
    Scenario {
        name: "promotion, event, post",
        hooks: Hooks { rollout: &[], traffic: &[], rollback: false, ..ALL },
        faults: NONE,
        recreated: false,
        accepted: HEARD,
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
        name: "all six hooks, Canary created anew",
        hooks: ALL,
        faults: NONE,
        recreated: true,
        accepted: HEARD,
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
