//! PURE: what comments say about the steps of an approval.

use crate::{
    policy::Route,
    text::one_line,
    ticket::words::{LONGEST_REASON, person},
};

/// What `Notice::Step` says.
pub(super) fn step(
    (nth, count): (usize, usize),
    (status, by): (&str, &str),
    next: &str,
    why: Option<&str>,
) -> String {
    let (by, status) = (person(by), one_line(status, LONGEST_REASON));
    match why {
        Some(why) => format!(
            "Step {nth} of {count} does not count: {by} moved this ticket to {status}, but {}. The rollout stays on hold. To do \
             this step again, move this ticket to a status that is none of the steps, and from there through them.",
            one_line(why, LONGEST_REASON)
        ),
        None => format!(
            "Step {nth} of {count} is done: {by} moved this ticket to {status}. Next, another person who may approve must move \
             it to {}.",
            one_line(next, LONGEST_REASON)
        ),
    }
}

/// How to approve a ticket again whose approval does not count.
pub(super) fn again(route: &Route, approved: &str) -> String {
    match route.approval.steps.as_slice() {
        [] => format!("To approve it, an approver must move this ticket out of {approved} and back."),
        steps => format!(
            "To approve it, move this ticket to a status that is none of the steps, and from there to {}, each \
             time by another person who may approve.",
            steps.join(", then to ")
        ),
    }
}
