//! PURE: what a new ticket says about how long a decision may take.

use super::spans::duration_in_words;
use crate::{
    gate::Stage,
    policy::{OnTimeout, TimeLimits},
};

/// Until when the ticket can be decided; none if there is no limit.
pub(super) fn until_when(limits: &TimeLimits, stage: Stage) -> Option<String> {
    let within = limits.decide_within?;
    let within = duration_in_words(within.as_millis());
    Some(match (limits.on_timeout, stage) {
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
    })
}

/// The limit of today, on a ticket that shows another one; none if there is none.
pub(super) fn today(limits: &TimeLimits) -> Option<String> {
    let within = duration_in_words(limits.decide_within?.as_millis());
    let then = match limits.on_timeout {
        OnTimeout::Wait => "this ticket is overdue, and can still be decided.",
        OnTimeout::Reject => "the bridge rejects this ticket, and a later approval does not count.",
    };
    Some(format!("within {within} of Flagger's first question. After that {then}"))
}
