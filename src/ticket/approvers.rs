//! PURE: the section of a ticket that says who decides, and until when. The comment on changed rules has lines of it.

use super::{
    doc::{Block, Span},
    hours::{TicketHours, hours_line},
    people::People,
    sections::{labelled, line, section, text},
    spans::{any_of, duration_in_words},
};
use crate::{
    gate::Stage,
    policy::{PersonEntry, Route},
    rollout::Subject,
    workload::{RollbackHook, Shown},
};

/// Why no approval of a ticket counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// An entry of `approval.deny` came out empty.
    EmptyDenial,
    /// An approval is for what the ticket shows, and the ticket shows nothing.
    NothingShown,
}

impl Obstacle {
    /// The obstacle, if there is one; `deny` as rendered.
    pub(super) fn of(subject: &Subject, deny: &[String]) -> Option<Self> {
        let shows_nothing = match &subject.change {
            Some(Shown::Change { .. }) => false,
            Some(Shown::Unreadable { .. }) | None => true,
        };
        if has_empty_entry(deny) {
            Some(Self::EmptyDenial)
        } else if subject.gate.stage == Stage::ConfirmRollout && subject.bound && shows_nothing {
            Some(Self::NothingShown)
        } else {
            None
        }
    }
}

/// Whether an entry of `deny` came out empty, so that nobody may approve.
pub(super) fn has_empty_entry(deny: &[String]) -> bool {
    deny.iter().any(|entry| PersonEntry::read(entry).is_empty())
}

/// Who may approve, until when they can decide, and until when an approval can be used.
pub(super) fn approvers_section(
    subject: &Subject,
    route: &Route,
    deny: &[String],
    people: &People,
    hours: Option<&TicketHours>,
) -> Vec<Block> {
    let lines = match Obstacle::of(subject, deny) {
        Some(Obstacle::EmptyDenial) => vec![
            nobody(route),
            line("Until when", &format!("the rollout stays on hold until it ends{}", for_instance(subject))),
        ],
        Some(Obstacle::NothingShown) => vec![
            line("Who may approve", "nobody, because this ticket does not show what changes."),
            line(
                "Until when",
                "another ticket replaces this one once the bridge can read what changes. A comment here says so then.",
            ),
        ],
        None => {
            let mut lines =
                who_may_approve(route, deny, &people.mentioned(&route.approval.approvers), people);
            lines.extend(who_may_reject(route, after_rejection(subject)));
            lines.push(line(
                "Until when",
                &format!(
                    "there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another \
                     way{}",
                    for_instance(subject)
                ),
            ));
            lines.extend(hours.map(hours_line));
            lines.push(validity(route));
            lines
        }
    };
    section("Who decides, and until when", vec![Block::Bullets(lines)])
}

/// How a rollout may end. One that has not started need not end with a newer version: Flagger may start that instead, unless an
/// approval is bound to what the ticket shows.
fn for_instance(subject: &Subject) -> &'static str {
    if subject.gate.stage == Stage::ConfirmRollout && !subject.bound {
        ", for instance because the canary is deleted. A comment here says so then."
    } else {
        ", for instance because a newer version replaces it. A comment here says so then."
    }
}

/// What follows a rejection.
fn after_rejection(subject: &Subject) -> &'static str {
    let hook = subject.change.as_ref().and_then(Shown::change).map(|change| change.rollback_hook);
    match (subject.gate.stage, hook) {
        (Stage::ConfirmRollout, _) => "",
        (
            Stage::ConfirmTrafficIncrease | Stage::ConfirmPromotion | Stage::Gate,
            Some(RollbackHook::Missing),
        ) => " That stops the rollout here.",
        (
            Stage::ConfirmTrafficIncrease | Stage::ConfirmPromotion | Stage::Gate,
            Some(RollbackHook::Asks | RollbackHook::Unknown) | None,
        ) => {
            " That stops the rollout here. Flagger takes the new version back only if that user may also approve."
        }
    }
}

/// That nobody may approve, and whom to ask.
pub(super) fn nobody(route: &Route) -> Vec<Span> {
    line(
        "Who may approve",
        &format!(
            "nobody. An entry of {} is empty for this rollout, so no approval counts. Ask the application team to correct \
             the metadata that its hook sends, and to roll out again.",
            route.approval_key("deny")
        ),
    )
}

/// Who may approve and who may not. `approvers` are the names of `approval.approvers`.
pub(super) fn who_may_approve(
    route: &Route,
    deny: &[String],
    approvers: &[Span],
    people: &People,
) -> Vec<Vec<Span>> {
    let entries = &route.approval.approvers;
    let has_groups = entries
        .iter()
        .any(|entry| matches!(PersonEntry::read(entry), PersonEntry::Group(_) | PersonEntry::Role(_)));
    let mut lines = vec![if entries.is_empty() {
        line(
            "Who may approve",
            "any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that \
             Jira marks as an app.",
        )
    } else {
        let mut who = approvers.to_vec();
        who.push(text(&format!(
            ". An app, an automation or the bridge's own account counts only if its account is named here{}.",
            if has_groups { ": a group or role is not enough" } else { "" }
        )));
        labelled("Who may approve", who)
    }];
    if !deny.is_empty() {
        let mut who = people.named(deny);
        who.push(text("."));
        lines.push(labelled("Who may not approve", who));
    }
    lines
}

/// Who may reject, if a status rejects.
pub(super) fn who_may_reject(route: &Route, then: &str) -> Option<Vec<Span>> {
    let rejected = &route.ticket.rejected;
    (!rejected.is_empty()).then(|| {
        let rejected = any_of(rejected);
        line("Who may reject", &format!("any Jira user who can move this ticket to {rejected}.{then}"))
    })
}

/// Until when an approval can be used.
pub(super) fn validity(route: &Route) -> Vec<Span> {
    let approved = any_of(&route.ticket.approved);
    line(
        "How long an approval counts",
        &format!(
            "it expires if Flagger does not use it within {}. To renew it, move this ticket out of {approved} and back. Once \
             used, it no longer expires. Moving this ticket out of {approved} withdraws it, but undoes nothing that Flagger \
             has already done.",
            duration_in_words(route.approval.valid_for.as_millis()),
        ),
    )
}
