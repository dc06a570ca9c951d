//! PURE: what a new ticket says about an approval in several steps.

use super::{doc::Span, sections::line};

/// The line with the steps, in their order.
pub(super) fn steps_line(steps: &[String]) -> Option<Vec<Span>> {
    (!steps.is_empty()).then(|| {
        line(
            "Steps",
            &format!(
                "an approval takes {} steps, each by another person who may approve: move this ticket to {}. If it is moved back \
                 to an earlier step, the steps after that must be made again; if it is moved to any other status, all of them.",
                steps.len(),
                steps.join(", then to ")
            ),
        )
    })
}
