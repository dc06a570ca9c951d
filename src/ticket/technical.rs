//! PURE: the last section of a ticket: the words of Flagger and Kubernetes.

use super::{
    doc::{Block, Span},
    sections::{line, section},
    writer::LONGEST_VALUE,
};
use crate::{
    rollout::Subject,
    text::one_line,
    workload::{Change, Shown},
};

/// What Flagger and Kubernetes call it.
pub(super) fn technical_section(subject: &Subject) -> Vec<Block> {
    let named = |name: &str, value: &str| line(name, &one_line(value, LONGEST_VALUE));
    let mut lines = vec![
        named("Canary", &subject.canary.name),
        named("Namespace", &subject.canary.namespace),
        named("Cluster", &subject.canary.cluster),
        named("Stage", &subject.gate.to_string()),
        named("Phase", &subject.phase),
    ];
    lines.extend(subject.number.map(|number| line("Rollout", &format!("#{number} of this canary"))));
    lines.extend(match (&subject.revision, subject.base.as_ref().or(subject.unclear_checksum.as_ref())) {
        (Some(revision), _) => Some(named("Revision", revision)),
        (None, Some(_)) => Some(line("Revision", "Flagger names it once the rollout has started")),
        (None, None) => Some(line(
            "Revision",
            "not sent by this Flagger, so the bridge distinguishes rollouts less reliably",
        )),
    });
    lines.extend(subject.base.as_deref().map(|base| named("Replaces revision", base)));
    lines.extend(subject.unclear_checksum.as_deref().map(|checksum| {
        let checksum = one_line(checksum, LONGEST_VALUE);
        let which = "The bridge missed the first question of this wait, so it does not know whether that is the \
                     previous revision or, after a failed rollout, the new one";
        line("Checksum sent", &format!("{checksum}. {which}"))
    }));
    match &subject.change {
        Some(Shown::Change { change, .. }) => lines.extend(deployment(change)),
        Some(Shown::Unreadable { why }) => lines.push(line("Reading the cluster", why)),
        None => {}
    }
    section("Technical details", vec![Block::Bullets(lines)])
}

/// What is deployed, by what, and how Flagger rolls it out.
fn deployment(change: &Change) -> Vec<Vec<Span>> {
    let mut lines = vec![line("Target", &change.target.to_string())];
    lines.extend(change.owner.as_ref().map(|owner| line("Deployed by", &owner.to_string())));
    lines.extend(change.pushed.as_ref().map(|push| line("Last pushed with", &push.to_string())));
    lines.extend(change.strategy.as_deref().map(|strategy| line("Strategy", strategy)));
    lines
}
