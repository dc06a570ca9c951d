//! PURE: the ticket about a version that nobody approved.

use super::{
    doc::{Block, Span},
    sections::{self, line},
    writer::LONGEST_VALUE,
};
use crate::{
    rollout::{Bypass, CanaryId, Subject},
    text::one_line,
};

/// Its summary and its description.
pub(super) fn words(subject: &Subject, bypass: &Bypass, status_page: Option<&str>) -> (String, Vec<Block>) {
    let CanaryId { cluster, namespace, name } = &subject.canary;
    let number = subject.number.map(|number| format!(" #{number}")).unwrap_or_default();
    let Bypass { before, now, .. } = bypass;
    let known = |images: &str| {
        if images.is_empty() { "not known".to_owned() } else { one_line(images, LONGEST_VALUE) }
    };
    let paragraph = |words: &str| Block::Paragraph(vec![Span::Text(words.into())]);
    let mut description = vec![
        paragraph(&format!(
            "Flagger promoted a version of {name} in namespace {namespace} on cluster {cluster}, and nobody approved it: \
             Flagger did not ask."
        )),
        Block::Bullets(vec![
            line("Canary", name),
            line("Namespace", namespace),
            line("Cluster", cluster),
            line("Ran before", &known(before)),
            line("Runs now", &known(now)),
            line("Cause", bypass.cause()),
        ]),
        paragraph("Find out who did that. If this version must not run, have the team deploy another one."),
        paragraph("This ticket opens no gate, wherever it is moved."),
    ];
    description.extend(status_page.map(sections::status_page));
    (format!("Shipped WITHOUT approval: {namespace}/{name} on {cluster}{number}"), description)
}
