//! PURE: what is said about each state.

use crate::gate::Verdict;

/// The order of the gates: first those that stay closed until a person does something that nobody is asked for, last
/// those that are open. Gates of the same rank are in the order in which Flagger first asked.
pub(super) const fn urgency(state: Verdict) -> u8 {
    match state {
        Verdict::Stuck => 0,
        Verdict::Expired => 1,
        Verdict::NotAllowed => 2,
        Verdict::Opening
        | Verdict::Waiting
        | Verdict::Rejected
        | Verdict::Frozen
        | Verdict::Stale
        | Verdict::Gone => 3,
        Verdict::Recorded => 4,
        Verdict::Approved => 5,
        Verdict::Passed => 6,
    }
}

pub(super) fn state_word(state: Verdict) -> String {
    match state {
        Verdict::Recorded => "recorded, not asked".to_owned(),
        Verdict::Opening
        | Verdict::Stuck
        | Verdict::Waiting
        | Verdict::Approved
        | Verdict::Rejected
        | Verdict::NotAllowed
        | Verdict::Expired
        | Verdict::Frozen
        | Verdict::Stale
        | Verdict::Gone
        | Verdict::Passed => state.as_str().replace('_', " "),
    }
}

/// What a state means, and what to do about it.
pub(super) const fn meaning(state: Verdict) -> &'static str {
    match state {
        Verdict::Opening => "Flagger asked just now, and the ticket is on its way. There is nothing to do.",
        Verdict::Stuck => {
            "No ticket can be opened, or the bridge cannot tell whether the approval counts. The reason says why; \
             flagger-jira-bridge check shows what to fix. The bridge retries automatically."
        }
        Verdict::Waiting => "The ticket is not decided yet. Ask the change manager to decide it.",
        Verdict::Recorded => {
            "The gate is open and nobody is asked, because approval.mode is record. The ticket only records the rollout. \
             Rejecting it closes the gate."
        }
        Verdict::Passed => {
            "The ticket was for an earlier step of traffic. Flagger asks about another step now, which has its own ticket. There \
             is nothing to do."
        }
        Verdict::Approved => "The gate is open. Flagger continues the next time it asks.",
        Verdict::Rejected => {
            "The ticket was rejected. Fix the cause and ship again, or have the ticket moved back."
        }
        Verdict::NotAllowed => {
            "The user who approved may not approve this. Have an allowed user approve, unless the reason says that there is none."
        }
        Verdict::Expired => {
            "Approved, but Flagger did not use it in time. Move the ticket back and approve it again."
        }
        Verdict::Frozen => {
            "Approved, or nobody is asked, but outside of the windows of this gate, or in a freeze. The reason says when it opens next. Until then there is nothing to do."
        }
        Verdict::Stale => {
            "Approved, but Jira has not confirmed it lately. Check whether the bridge can reach Jira."
        }
        Verdict::Gone => {
            "The ticket no longer proves anything: it was moved elsewhere or deleted, its history does not show the \
             approval, or it is labelled flagger-ended. Its reason says what to do."
        }
    }
}
