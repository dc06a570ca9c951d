//! PURE: what comments say about a decision that takes long, or took too long.

use crate::{
    gate::{GateName, Stage},
    ticket::spans::duration_in_words,
};

pub(super) fn timed_out(within: i64, gate: &GateName) -> String {
    let then = match gate.stage {
        Stage::ConfirmRollout => "The rollout does not start.",
        Stage::ConfirmTrafficIncrease | Stage::ConfirmPromotion | Stage::Gate => {
            "The rollout goes no further. If the canary has a rollback hook, Flagger takes the new version back the next time it \
             asks."
        }
    };
    format!(
        "This ticket was not approved within {} of Flagger's first question, so the bridge rejects it. {then} An approval that \
         comes now does not count. The next rollout opens another ticket.",
        words(within)
    )
}

pub(super) fn too_late(within: i64) -> String {
    format!(
        "This approval does not count, because it came too late: a decision had to be made within {} of Flagger's first question. \
         The next rollout opens another ticket.",
        words(within)
    )
}

pub(super) fn overdue(within: i64) -> String {
    format!(
        "Nobody has decided on this ticket within {} of Flagger's first question. Flagger keeps waiting, and this ticket can \
         still be decided.",
        words(within)
    )
}

pub(super) fn reminded(after: i64) -> String {
    format!("Flagger has been waiting for a decision on this ticket for {}.", words(after))
}

fn words(millis: i64) -> String {
    duration_in_words(u128::try_from(millis).unwrap_or_default())
}
