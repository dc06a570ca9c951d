//! PURE: the words for a gate that asks nobody.

use super::{
    doc::{Block, Span},
    hours::{TicketHours, recorded_hours_line},
    people::People,
    sections::{labelled, line, paragraph, section, text},
    spans::any_of,
    versions::new_version,
};
use crate::{gate::Stage, policy::Route, rollout::Subject};

/// The label of tickets that ask nobody, so that a search does not take them for approvals.
pub const RECORDED_LABEL: &str = "flagger-recorded";

/// What the ticket is for, and what a rejection does, instead of the sections on the decision and on who decides.
pub(super) fn recorded_section(
    subject: &Subject,
    route: &Route,
    people: &People,
    hours: Option<&TicketHours>,
) -> Vec<Block> {
    let key = route.approval_key("mode");
    let told = if hours.is_some() {
        "Flagger is told to go on without an approval, but only at the times below"
    } else {
        "Flagger was told to go on as soon as it asked, without an approval"
    };
    let mut blocks = vec![paragraph(&format!(
        "This ticket asks nobody. It records the rollout. {told}, because {key} is \"record\"."
    ))];
    let mut lines = Vec::new();
    if !route.ticket.rejected.is_empty() {
        lines.push(line(&any_of(&route.ticket.rejected), &rejected(subject)));
        lines.push(line("Who may reject", "any Jira user who can move this ticket."));
        lines.push(labelled("Whose rejection takes the new version back", who(route, people)));
    }
    lines.extend(hours.map(recorded_hours_line));
    lines.push(line(
        "Any other status",
        "has no effect. Moving this ticket to an approved status approves nothing, and is not recorded as an approval.",
    ));
    blocks.push(Block::Bullets(lines));
    section("Recorded, not asked", blocks)
}

fn rejected(subject: &Subject) -> String {
    let new = new_version(subject);
    match subject.gate.stage {
        Stage::ConfirmRollout => format!(
            "closes this gate until this ticket is moved out again. If {new} has started by then, Flagger is told to take it back \
             when it asks whether to roll back."
        ),
        Stage::ConfirmTrafficIncrease | Stage::ConfirmPromotion | Stage::Gate => format!(
            "closes this gate until this ticket is moved out again, which stops the rollout of {new} if Flagger has not gone on \
             yet. Flagger is told to take it back when it asks whether to roll back."
        ),
    }
}

/// Whose move counts, as for an approval.
fn who(route: &Route, people: &People) -> Vec<Span> {
    match route.approval.approvers.as_slice() {
        [] => vec![text("any person; the bridge's own account and apps do not count.")],
        approvers => {
            let mut spans = people.named(approvers);
            spans.push(text("."));
            spans
        }
    }
}
