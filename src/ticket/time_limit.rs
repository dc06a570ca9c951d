//! PURE: what a new ticket says about how long a decision may take.

use super::spans::duration_in_words;
use crate::{
    gate::Stage,
    policy::{OnTimeout, TimeLimits},
};

/// Until when the ticket can be decided.
pub(super) fn until_when(limits: &TimeLimits, stage: Stage) -> String {
    let Some(within) = limits.decide_within else {
        return "there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another way, for \
                instance because a newer version replaces it. A comment here says so then."
            .to_owned();
    };
    let within = duration_in_words(within.as_millis());
    match (limits.on_timeout, stage) {
        (OnTimeout::Wait, _) => format!(
            "within {within} of Flagger's first question. After that a comment here says that it is overdue. Flagger keeps waiting, \
             and this ticket can still be decided."
        ),
        (OnTimeout::Reject, Stage::ConfirmRollout) => format!(
            "within {within} of Flagger's first question. After that the bridge rejects this ticket: the rollout does not start, and \
             a later approval does not count."
        ),
        (OnTimeout::Reject, Stage::ConfirmTrafficIncrease | Stage::ConfirmPromotion | Stage::Gate) => {
            format!(
                "within {within} of Flagger's first question. After that the bridge rejects this ticket: the rollout goes no further, \
             Flagger takes the new version back if the team has set up a rollback hook, and a later approval does not count."
            )
        }
    }
}
