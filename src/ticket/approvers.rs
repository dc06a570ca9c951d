//! PURE: the section of a ticket that says who decides, and until when. The comment on changed rules has lines of it.

use super::{
    approval_steps::steps_line,
    doc::{Block, Span},
    hours::{TicketHours, hours_line},
    people::People,
    sections::{labelled, line, section, text},
    spans::{any_of, duration_in_words},
    time_limit::until_when,
};
use crate::{
    gate::Stage,
    policy::{ApprovalSource, PersonEntry, Route},
    rollout::{Obstacle, Subject},
    workload::Shown,
};

/// Why no approval of a new ticket counts, if that is so; `deny` as rendered.
pub(super) fn obstacle(subject: &Subject, deny: &[String]) -> Option<Obstacle> {
    let shows_nothing = match &subject.change {
        Some(Shown::Change { .. }) => false,
        Some(Shown::Unreadable { .. }) | None => true,
    };
    if has_empty_entry(deny) {
        Some(Obstacle::EmptyDenial)
    } else if subject.gate.stage == Stage::ConfirmRollout && subject.bound && shows_nothing {
        Some(Obstacle::NothingShown)
    } else {
        None
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
    let lines = match obstacle(subject, deny) {
        Some(why @ (Obstacle::EmptyDenial | Obstacle::TooManyDenials)) => vec![
            nobody(why, route),
            line("Until when", &format!("the rollout stays on hold until it ends{}", for_instance(subject))),
        ],
        Some(why @ Obstacle::NothingShown) => vec![
            nobody(why, route),
            line(
                "Until when",
                "another ticket replaces this one once the bridge can read what changes. A comment here will say so.",
            ),
        ],
        None => {
            let mut lines =
                who_may_approve(route, deny, &people.mentioned(&route.approval.approvers), people);
            lines.extend(steps_line(&route.approval.steps));
            lines.extend(who_may_reject(route, after_rejection(subject.gate.stage)));
            let until = until_when(&route.approval.limits, subject.gate.stage).unwrap_or_else(|| {
                format!(
                    "there is no deadline. The rollout waits for a decision here, unless it ends before that{}",
                    for_instance(subject)
                )
            });
            lines.push(line("Until when", &until));
            lines.extend(hours.map(hours_line));
            lines.push(validity(route));
            lines.push(withdrawal(subject.gate.stage, route));
            lines
        }
    };
    section("Who decides, and until when", vec![Block::Bullets(lines)])
}

/// How a rollout may end. One that has not started need not end with a newer version: Flagger may start that instead, unless an
/// approval is bound to what the ticket shows.
fn for_instance(subject: &Subject) -> &'static str {
    if subject.gate.stage == Stage::ConfirmRollout && !subject.bound {
        ", for instance because the team removes the canary. A comment here will say so."
    } else {
        ", for instance because a newer version replaces it. A comment here will say so."
    }
}

/// What follows a rejection. Whether it rolls back, the section before says.
const fn after_rejection(stage: Stage) -> &'static str {
    match stage {
        Stage::ConfirmRollout => "",
        Stage::ConfirmTrafficIncrease | Stage::ConfirmPromotion | Stage::Gate => {
            " That stops the rollout here."
        }
    }
}

/// Where a decision is made that is an approval in Jira Service Management.
const WHERE: &str = "in this request's approval in Jira Service Management. Each person who approves there must be one of those who may. \
                     Moving this ticket by hand approves nothing.";

/// That nobody may approve, and whom to ask.
pub(super) fn nobody(why: Obstacle, route: &Route) -> Vec<Span> {
    let deny = route.approval_key("deny");
    let why = match why {
        Obstacle::EmptyDenial => format!(
            "nobody. An entry of {deny} is empty for this rollout, so no approval counts. Ask the application team to correct \
             the metadata that its hook sends, and to roll out again."
        ),
        Obstacle::TooManyDenials => format!(
            "nobody. The questions of this rollout excluded too many accounts by {deny}, so no approval counts. Ask the \
             application team to find out what sends another name with each question, and to roll out again."
        ),
        Obstacle::NothingShown => "nobody, because this ticket does not show what changes.".to_owned(),
    };
    line("Who may approve", &why)
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
            "any Jira user who can move this ticket. Approvals by apps, automations or the bridge itself are ignored.",
        )
    } else {
        let mut who = approvers.to_vec();
        who.push(text(&format!(
            ". Anyone else's approval does not count, and a comment will say so. Approvals by apps, automations or the bridge \
             itself are ignored unless their account is listed here by name{}.",
            if has_groups { "; a listed group or role is not enough" } else { "" }
        )));
        labelled("Who may approve", who)
    }];
    match route.approval.source {
        ApprovalSource::Status => {}
        ApprovalSource::Jsm => lines.push(line("Where to approve", WHERE)),
    }
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
    let back = match route.approval.source {
        ApprovalSource::Status => format!("out of {approved} and back"),
        ApprovalSource::Jsm => {
            "back to the status that asks for the approval, and answer it again".to_owned()
        }
    };
    line(
        "How long an approval is valid",
        &format!(
            "if Flagger has not used it within {}, it expires, and the rollout waits. To renew it, move this ticket {back}. \
            Once used, it no longer expires.",
            duration_in_words(route.approval.valid_for.as_millis()),
        ),
    )
}

/// What becomes of an approval that is taken back.
fn withdrawal(stage: Stage, route: &Route) -> Vec<Span> {
    let then = match stage {
        Stage::ConfirmRollout => "before Flagger starts. Later, that does not stop the rollout.",
        Stage::ConfirmPromotion => {
            "before Flagger begins to give the new version to all users. Later, that undoes nothing."
        }
        Stage::ConfirmTrafficIncrease | Stage::Gate => {
            ". From the next time it asks, Flagger takes no further step. That does not undo the steps already taken."
        }
    };
    let space = if then.starts_with('.') { "" } else { " " };
    let approved = any_of(&route.ticket.approved);
    line("To withdraw an approval", &format!("move this ticket out of {approved}{space}{then}"))
}
