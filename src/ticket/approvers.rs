//! PURE: the section of a ticket that says who decides, and until when.

use super::{
    doc::{Block, Span},
    people::People,
    sections::{labelled, line, section, text},
    spans::{any_of, duration_in_words},
    writer::denied,
};
use crate::{
    gate::Stage,
    policy::{Approval, PersonEntry, Route},
    rollout::Subject,
};

/// Who may approve, until when they can decide, and until when an approval can be used.
pub(super) fn approvers_section(subject: &Subject, route: &Route, people: &People) -> Vec<Block> {
    let Approval { valid_for, approvers, deny, mode: _ } = &route.approval;
    let deny = denied(subject, deny);
    let has_empty_denial = deny.iter().any(|entry| PersonEntry::read(entry).is_empty());
    let approved = any_of(&route.ticket.approved);
    let mut lines = Vec::new();
    if has_empty_denial {
        lines.push(line(
            "Who may approve",
            &format!(
                "nobody. {} has an entry that is empty for this rollout, so that no approval counts. Tell the team that runs \
                 the bridge.",
                route.approval_key("deny")
            ),
        ));
    } else if approvers.is_empty() {
        lines.push(line(
            "Who may approve",
            "any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that \
             Jira marks as an app.",
        ));
    } else {
        lines.push(labelled("Who may approve", ended(people.mentioned(approvers),
            ". An app, an automation or the bridge's own account counts only if its account is named here.",
        )));
    }
    if !has_empty_denial && !deny.is_empty() {
        lines.push(labelled("Who may not", ended(people.named(&deny), ".")));
    }
    if !route.ticket.rejected.is_empty() {
        let rejected = any_of(&route.ticket.rejected);
        lines.push(line("Who may reject", &match subject.gate.stage {
            Stage::ConfirmRollout => format!("any Jira user who can move this ticket to {rejected}."),
            Stage::ConfirmTrafficIncrease | Stage::ConfirmPromotion | Stage::Gate => format!(
                "any Jira user who can move this ticket to {rejected}. That stops the rollout here. Flagger takes the new version back \
                 only if that user may also approve."
            ),
        }));
    }
    lines.push(line(
        "Until when",
        "there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another way, for \
         instance because a newer version replaces it. A comment here says so then.",
    ));
    lines.push(line(
        "How long an approval counts",
        &format!(
            "it expires if Flagger does not use it within {}. To renew it, move this ticket out of {approved} and back. Once \
             used, it counts until this rollout ends.",
            duration_in_words(valid_for.as_millis()),
        ),
    ));
    section("Who decides, and until when", vec![Block::Bullets(lines)])
}

fn ended(mut spans: Vec<Span>, end: &str) -> Vec<Span> {
    spans.push(text(end));
    spans
}
