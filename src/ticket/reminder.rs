//! PURE: comments that mention the people who are to decide.

use super::{
    comment::comment,
    doc::{Block, Doc, Span},
    people::{NamedAccount, People},
    sections::text,
    words::{LONGEST_NAME, moment},
};
use crate::{policy::Route, rollout::Notice, text::one_line};

/// The comment for a notice, with a mention of the assignee, if there is one, or else of the approvers that are people.
#[must_use]
pub fn reminder(notice: &Notice, route: &Route, assignee: Option<&NamedAccount>, people: &People) -> Doc {
    let Doc(mut blocks) = comment(notice, route, people);
    let mut who = vec![text(" ")];
    match (assignee, route.approval.approvers.as_slice()) {
        (Some(NamedAccount { id, name }), _) => {
            who.push(text("It is assigned to "));
            who.push(Span::Mention { id: id.clone(), name: one_line(name, LONGEST_NAME) });
        }
        (None, []) => who.push(text("Any Jira user who can move it may decide")),
        (None, approvers) => {
            who.push(text("Who may approve it: "));
            who.extend(people.mentioned(approvers));
        }
    }
    who.push(text("."));
    if let Notice::Reminder { due: Some(due), .. } = notice {
        who.push(text(&format!(" A decision is due by {}.", moment(*due))));
    }
    if let Some(Block::Paragraph(spans)) = blocks.first_mut() {
        spans.extend(who);
    }
    Doc(blocks)
}
