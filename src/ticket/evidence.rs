//! PURE: the section of a ticket with what is known about the new version so far.

use super::{
    doc::{Block, Span},
    people::MOST_NAMED,
    sections::{bullets, line, section, status_page, text},
    team::dashboards,
    words::{moment, person, step},
};
use crate::rollout::{Analysis, EarlierApproval, Subject};

/// How the new version does, and what was approved before. `browse` makes the address of a ticket of its key.
pub(super) fn evidence_section(
    subject: &Subject,
    page: Option<&str>,
    browse: &dyn Fn(&str) -> String,
) -> Vec<Block> {
    let mut lines = Vec::new();
    if let Some(Analysis { weight, failed_checks, threshold }) = subject.analysis {
        lines.extend(weight.map(|weight| line("Traffic to the new version", &format!("{weight} %"))));
        let rolls_back = format!("{failed_checks} (Flagger rolls back after {threshold})");
        lines.push(line("Failed checks so far", &rolls_back));
    }
    lines.extend(subject.earlier_approvals.iter().take(MOST_NAMED).map(|earlier| approval(earlier, browse)));
    let mut blocks: Vec<Block> = bullets(lines).into_iter().collect();
    blocks.extend(bullets(dashboards(subject)).map(|dashboards| Block::External(vec![dashboards])));
    blocks.extend(page.map(status_page));
    section("What is known so far", blocks)
}

fn approval(
    EarlierApproval { gate, ticket, by, at }: &EarlierApproval,
    browse: &dyn Fn(&str) -> String,
) -> Vec<Span> {
    vec![
        Span::Strong(format!("Earlier approval of {}: ", step(gate))),
        Span::Link { text: ticket.clone(), url: browse(ticket) },
        text(&format!(" by {} at {}", person(by), moment(*at))),
    ]
}
