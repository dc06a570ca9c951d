//! PURE: the comment that the rules for a ticket are other ones than it shows.

use crate::{
    policy::{PersonEntry, Route, Traffic, is_template, quote_entry},
    ticket::{
        doc::{Block, Span},
        spans::{any_of, duration_in_words},
    },
};

/// More entries of a list than this are counted, not named.
const MOST_NAMED: usize = 20;

/// The rules of today. `deny` is who may not approve, as far as stored with the gate: an entry that was added since is a
/// template until Flagger's next question.
pub(super) fn changed(deny: &[String], route: &Route) -> Vec<Block> {
    let approval = &route.approval;
    let added = approval.deny.iter().filter(|entry| !deny.contains(entry) && !is_template(entry));
    let deny: Vec<&String> = deny.iter().chain(added).collect();
    let is_empty = |entry: &&String| PersonEntry::read(entry).is_empty();
    let approvers: Vec<&String> = approval.approvers.iter().collect();
    let mut lines = vec![line(
        "Who may approve",
        match approvers.as_slice() {
            _ if deny.iter().any(is_empty) => {
                "nobody, because an entry of approval.deny is empty for this rollout".to_owned()
            }
            [] => "any Jira user who can move this ticket".to_owned(),
            approvers => list(approvers),
        },
    )];
    let named: Vec<&String> = deny.into_iter().filter(|entry| !is_empty(entry)).collect();
    if !named.is_empty() {
        lines.push(line("Never", list(&named)));
    }
    lines.push(line("To approve, move it to", statuses(&route.ticket.approved)));
    if !route.ticket.rejected.is_empty() {
        lines.push(line("To reject, move it to", any_of(&route.ticket.rejected)));
    }
    match route.ticket.traffic {
        Traffic::Once => {}
        Traffic::Step => {
            lines.push(line("Steps of traffic", "each one needs its own ticket".to_owned()));
        }
    }
    let valid_for = duration_in_words(approval.valid_for.as_millis());
    lines.push(line("Until when", format!("Flagger must use an approval within {valid_for}")));
    let paragraph = |words: &str| Block::Paragraph(vec![Span::Text(words.to_owned())]);
    vec![
        paragraph(
            "The rules for this ticket changed when the bridge was restarted with new settings. These rules apply now, even to \
             a decision made earlier:",
        ),
        Block::Bullets(lines),
        paragraph("Anyone whom an earlier question of this rollout ruled out stays ruled out."),
    ]
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
    vec![Block::Paragraph(vec![Span::Text(words)])]
}

fn statuses(approved: &[String]) -> String {
    format!("{}, but only if that already meant approved when this ticket was opened", any_of(approved))
}

fn line(name: &str, value: String) -> Vec<Span> {
    vec![Span::Strong(format!("{name}: ")), Span::Text(value)]
}

/// Entries of `approvers` or `deny`, for people to read.
fn list(entries: &[&String]) -> String {
    let named = entries.iter().take(MOST_NAMED).map(|entry| match PersonEntry::read(entry) {
        PersonEntry::Nothing => "nobody".to_owned(),
        PersonEntry::Account(account) => quote_entry(account),
        PersonEntry::Group(group) => format!("members of group {}", quote_entry(group)),
        PersonEntry::Role(role) => format!("users with role {} in this project", quote_entry(role)),
    });
    let named = any_of(&named.collect::<Vec<_>>());
    match entries.len().saturating_sub(MOST_NAMED) {
        0 => named,
        more => format!("{named}, and {more} more"),
    }
}
