//! PURE: the comment that the rules for a ticket are other ones than it shows.

use crate::{
    policy::{Route, Traffic, is_template},
    rollout::Obstacle,
    ticket::{
        approval_steps::steps_line,
        approvers::{has_empty_entry, nobody, validity, who_may_approve, who_may_reject},
        decision::other_status,
        doc::Block,
        people::People,
        sections::{line, paragraph},
        spans::any_of,
        time_limit::today,
    },
};

/// The rules of today. `deny` is who may not approve, as far as stored with the gate: an entry that was added since is a
/// template until Flagger's next question. With an obstacle no approval counts.
pub(super) fn changed(
    deny: &[String],
    obstacle: Option<Obstacle>,
    is_last: bool,
    route: &Route,
    people: &People,
) -> Vec<Block> {
    let added = route.approval.deny.iter().filter(|entry| !deny.contains(entry) && !is_template(entry));
    let deny: Vec<String> = deny.iter().chain(added).cloned().collect();
    let obstacle = obstacle.or_else(|| has_empty_entry(&deny).then_some(Obstacle::EmptyDenial));
    let lines = if let Some(why) = obstacle {
        let then = match why {
            Obstacle::EmptyDenial | Obstacle::TooManyDenials => {
                "no move of this ticket releases the rollout or rolls it back."
            }
            Obstacle::NothingShown => {
                "no move of this ticket starts anything. Another ticket replaces this one once the bridge can read what changes."
            }
        };
        vec![nobody(why, route), line("Any status", then)]
    } else {
        let settings = &route.ticket;
        let mut lines = vec![line(
            &any_of(&settings.approved),
            "this approves, but only if that status already meant approved when this ticket was opened.",
        )];
        if !settings.rejected.is_empty() {
            lines.push(line(
                &any_of(&settings.rejected),
                "this rejects. It rolls back only if that status already meant rejected then.",
            ));
        }
        lines.push(line("Any other status", &other_status(settings)));
        // Nobody has to do anything now, so nobody is mentioned.
        lines.extend(who_may_approve(route, &deny, &people.named(&route.approval.approvers), people));
        lines.extend(steps_line(&route.approval.steps));
        lines.extend(who_may_reject(route, " Flagger rolls back only if that user may also approve."));
        match route.ticket.traffic {
            Traffic::Once => {}
            Traffic::Step => lines.push(line("Steps of traffic", "each one needs its own ticket.")),
        }
        lines.extend(today(&route.approval.limits).map(|words| line("Until when", &words)));
        lines.push(validity(route));
        lines
    };
    let mut blocks = vec![
        paragraph(
            "The rules for this ticket changed when the bridge was restarted with new settings. These rules apply now, even to \
             a decision made earlier:",
        ),
        Block::Bullets(lines),
    ];
    if obstacle.is_none() {
        blocks.push(paragraph("Anyone whom an earlier question of this rollout ruled out stays ruled out."));
    }
    if is_last {
        blocks.push(paragraph(
            "If the rules change again, no comment here says so. The bridge's status page shows whether a decision on this ticket \
             counts.",
        ));
    }
    blocks
}

/// The same if the gate asks nobody now.
pub(super) fn asks_nobody(route: &Route) -> Vec<Block> {
    let key = route.approval_key("mode");
    let mut words = format!(
        "The rules for this ticket changed when the bridge was restarted with new settings: {key} is \"record\" now, so this \
         ticket asks nobody. Flagger goes on without an approval."
    );
    if !route.ticket.rejected.is_empty() {
        words.push_str(&format!(
            " To stop this rollout here, move the ticket to {}.",
            any_of(&route.ticket.rejected)
        ));
    }
    vec![paragraph(&words)]
}
