//! The time limit of a decision, in words.

use crate::{
    gate::{Gate, TimedOut, Verdict},
    millis::{Millis, clock_time, config_notation},
    policy::TimeLimits,
};

/// Until when a decision is due; none if there is no limit, or none is awaited.
pub(super) fn due(gate: &Gate, verdict: Verdict, limits: &TimeLimits) -> Option<Millis> {
    match verdict {
        Verdict::Waiting | Verdict::NotAllowed => limits.decide_within.map(|within| gate.due(within)),
        Verdict::Opening
        | Verdict::Stuck
        | Verdict::Approved
        | Verdict::Rejected
        | Verdict::Expired
        | Verdict::Frozen
        | Verdict::Stale
        | Verdict::Gone
        | Verdict::Recorded
        | Verdict::Passed => None,
    }
}

/// Added to the reason of a gate that waits.
pub(super) fn words(due: Millis, now: Millis) -> String {
    let at = clock_time(due);
    if now <= due {
        format!("; a decision is due by {at}")
    } else {
        format!("; a decision has been due since {at}")
    }
}

/// Why a gate is rejected that nobody decided in time.
pub(super) fn rejected(gate: &Gate, TimedOut { within, .. }: TimedOut) -> String {
    format!(
        "rejected: not approved within {} of the first question, so by {}; an approval that comes later does not count, and the next \
         rollout opens another ticket",
        config_notation(within),
        clock_time(gate.due(within))
    )
}
