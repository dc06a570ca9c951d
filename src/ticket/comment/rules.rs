//! PURE: the comment that the rules for a ticket are other ones than it shows.

use crate::{
    policy::{Route, is_template},
    ticket::{
        approvers::{has_empty_entry, nobody, validity, who_may_approve, who_may_reject},
        decision::other_status,
        doc::Block,
        people::People,
        sections::{line, paragraph},
        spans::any_of,
        steps::steps_line,
        time_limit::today,
    },
};

/// The rules of today. `deny` is who may not approve, as far as stored with the gate: an entry that was added since is a
/// template until Flagger's next question.
pub(super) fn changed(deny: &[String], route: &Route, people: &People) -> Vec<Block> {
    let added = route.approval.deny.iter().filter(|entry| !deny.contains(entry) && !is_template(entry));
    let deny: Vec<String> = deny.iter().chain(added).cloned().collect();
    let lines = if has_empty_entry(&deny) {
        vec![
            nobody(route),
            line("Any status", "no move of this ticket releases the rollout or rolls it back."),
        ]
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
        lines.extend(today(&route.approval.limits).map(|words| line("Until when", &words)));
        lines.push(validity(route));
        lines
    };
    vec![
        paragraph(
            "The rules for this ticket changed when the bridge was restarted with new settings. These rules apply now, even to \
             a decision made earlier:",
        ),
        Block::Bullets(lines),
        paragraph("Anyone whom an earlier question of this rollout ruled out stays ruled out."),
    ]
}
