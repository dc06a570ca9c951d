//! PURE: the sections that the bridge adds to a new ticket, below the team's own text.

use std::collections::BTreeMap;

use super::{
    doc::{Block, Span},
    spans::{any_of, duration_in_words, indent},
    writer::{LONGEST_VALUE, denied},
};
use crate::{
    gate::Stage,
    policy::{Approval, PersonEntry, Route, TicketSettings, quote_entry},
    rollout::{Analysis, Subject},
    text::{TRUNCATED, beginning, one_line},
    workload::Shown,
};

/// The longest metadata section, in characters. Jira's own limit for a description is 32,767.
const LONGEST_METADATA: usize = 12_000;
/// The longest value in it, so that one of them does not push out the others.
const LONGEST_ENTRY: usize = 3_000;
/// The longest name in it.
const LONGEST_NAME: usize = 100;
/// More entries of a list than this are counted, not named.
const MOST_NAMED: usize = 20;
/// What an approval at confirm-rollout covers if it is bound to what the ticket shows.
const BOUND: &str = "This approves the images and pod settings shown above. If another version is pushed before Flagger \
    starts this one, it gets a ticket of its own. Not covered: the content of ConfigMaps and Secrets, the number of \
    replicas, and the strategy.";
/// The same if it is bound to ConfigMaps, too.
const BOUND_WITH_CONFIGS: &str = "This approves the images and pod settings shown above, and the content that the \
    ConfigMaps tracked by Flagger had when this ticket was opened. If another version is pushed before Flagger starts \
    this one, or the content of such a ConfigMap changes, that gets a ticket of its own. Not covered: the content of \
    Secrets and of other ConfigMaps, the number of replicas, and the strategy.";

/// What is about to change, and where.
pub(super) fn rollout_section(subject: &Subject) -> Vec<Block> {
    let named = |name: &str, value: &str| line(name, &one_line(value, LONGEST_VALUE));
    let mut lines = vec![
        named("Canary", &subject.canary.name),
        named("Namespace", &subject.canary.namespace),
        named("Cluster", &subject.canary.cluster),
        named("Stage", &subject.gate.to_string()),
    ];
    if let Some(Analysis { weight, failed_checks, threshold }) = subject.analysis {
        lines.extend(weight.map(|weight| line("Traffic to the new version", &format!("{weight} %"))));
        if failed_checks > 0 {
            lines.push(line("Failed checks", &format!("{failed_checks} of {threshold}")));
        }
    }
    if subject.unapproved {
        lines.push(line(
            "Not approved",
            "Flagger started this version although another one was approved at confirm-rollout",
        ));
    }
    lines.extend(subject.label.as_deref().map(|label| named("Version (as the team says)", label)));
    lines.extend(subject.called_before.as_deref().map(|before| {
        let before = one_line(before, LONGEST_VALUE);
        line("Called before", &format!("{before}. Flagger sends the same checksum for both"))
    }));
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
    vec![Block::Heading("What".into()), Block::Bullets(lines)]
}

/// What moving the ticket does, and what it does not.
pub(super) fn decision_section(subject: &Subject, settings: &TicketSettings) -> Vec<Block> {
    let gate = &subject.gate;
    let (yes, no, limits) = match gate.stage {
        Stage::ConfirmRollout if subject.bound => bound_words(subject),
        Stage::ConfirmRollout => (
            "Flagger starts this rollout.",
            "nothing is started. Flagger keeps asking, until this ticket is approved after all.",
            "This approves whatever is deployed when Flagger proceeds: a newer version that is pushed while this \
             ticket waits starts without a question of its own.",
        ),
        Stage::ConfirmTrafficIncrease => (
            "Flagger sends more traffic to the new version, step by step, as long as its own checks pass.",
            "the new version gets no more traffic; if the canary has a rollback hook, Flagger rolls back.",
            "This approves all steps of this rollout. After the last one Flagger promotes the new version, and asks \
             about that only if the canary has a confirm-promotion hook.",
        ),
        Stage::ConfirmPromotion => (
            "Flagger replaces the running version by the new one.",
            "nothing is promoted; if the canary has a rollback hook, Flagger rolls back.",
            "This approves this rollout only: another one, even of the same revision, opens a ticket of its own.",
        ),
        Stage::Gate => (
            "Flagger takes the next steps of this rollout.",
            "Flagger does not go on; if the canary has a rollback hook, it rolls back.",
            "Flagger does not say here which of its questions this is: an approval answers all those of this rollout \
             that are sent to this gate, the promotion among them.",
        ),
    };
    let mut lines = vec![line(&any_of(&settings.approved), yes)];
    if !settings.rejected.is_empty() {
        lines.push(line(&any_of(&settings.rejected), no));
    }
    lines.push(line("Any other status", "the rollout waits."));
    let mut limits = vec![text(limits)];
    if gate.approver.is_some() {
        limits.extend([
            Span::Break,
            text("This stage may have further tickets. Flagger goes on when all of them are approved."),
        ]);
    }
    vec![Block::Heading("What your decision does".into()), Block::Bullets(lines), Block::Paragraph(limits)]
}

/// What a decision at confirm-rollout does if an approval is for what the ticket shows: yes, no, and what it does not
/// cover.
const fn bound_words(subject: &Subject) -> (&'static str, &'static str, &'static str) {
    match &subject.change {
        Some(Shown::Change { change, .. }) => (
            "Flagger starts this rollout.",
            "nothing is started. Flagger keeps asking, until this ticket is approved after all.",
            if change.configs.is_some() { BOUND_WITH_CONFIGS } else { BOUND },
        ),
        Some(Shown::Unreadable { .. }) | None => (
            "nothing starts yet: this ticket does not show what changes, so approving it has no effect.",
            "nothing starts, either.",
            "Do not decide here. Once the bridge can read what changes, another ticket shows it. If that does not happen, \
             tell the team that runs the bridge.",
        ),
    }
}

/// Who may approve, and until when an approval can be used.
pub(super) fn approvers_section(subject: &Subject, route: &Route) -> Vec<Block> {
    let Approval { valid_for, approvers, deny } = &route.approval;
    let deny = denied(subject, deny);
    let has_empty_denial = deny.iter().any(|entry| PersonEntry::read(entry).is_empty());
    let mut lines = Vec::new();
    if has_empty_denial {
        lines.push(line(
            "Nobody",
            &format!(
                "{} has an entry that is empty for this rollout, so that no approval counts. Tell the team that runs \
                 the bridge.",
                route.approval_key("deny")
            ),
        ));
    } else if approvers.is_empty() {
        lines.push(line(
            "Who",
            "any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that \
             Jira marks as an app.",
        ));
    } else {
        lines.push(line(
            "Who",
            &format!(
                "{}. An app, an automation or the bridge's own account counts only if its account is named here.",
                list(approvers)
            ),
        ));
    }
    if !has_empty_denial && !deny.is_empty() {
        lines.push(line("Never", &format!("{}.", list(&deny))));
    }
    if !route.ticket.rejected.is_empty() && subject.gate.stage != Stage::ConfirmRollout {
        lines.push(line(
            "A rejection",
            "by any Jira user keeps the gate closed; it rolls back only if that user may approve.",
        ));
    }
    lines.push(line(
        "Until when",
        &format!(
            "Flagger must use an approval within {}. After that it does not count until the ticket is moved out of {} \
             and back. Once used, it holds until this rollout ends.",
            duration_in_words(valid_for.as_millis()),
            any_of(&route.ticket.approved),
        ),
    ));
    vec![Block::Heading("Who may approve, and until when".into()), Block::Bullets(lines)]
}

/// Entries of `approvers` or `deny`, for people to read.
fn list(entries: &[String]) -> String {
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

/// Where the bridge's page is.
pub(super) fn status_page(url: &str) -> Block {
    let link = Span::Link { text: "What waits now, and why".into(), url: url.to_owned() };
    Block::Paragraph(vec![link])
}

/// The metadata that the application team sent, in a separate box.
pub(super) fn metadata_section(metadata: &BTreeMap<String, String>) -> Vec<Block> {
    if metadata.is_empty() {
        return Vec::new();
    }
    let mut text = String::new();
    for (name, value) in metadata {
        let (name, value) = (one_line(name, LONGEST_NAME), indent(value, "    ", LONGEST_ENTRY));
        text.push_str(&format!("{name}: {value}\n"));
    }
    let text = match beginning(&text, LONGEST_METADATA) {
        Some(kept) => format!("{kept}{TRUNCATED}"),
        None => text.trim_end().to_owned(),
    };
    vec![Block::Heading("Sent by the application team, not checked".into()), Block::Verbatim(text)]
}

pub(super) fn line(name: &str, value: &str) -> Vec<Span> {
    vec![Span::Strong(format!("{name}: ")), text(value)]
}

pub(super) fn text(words: &str) -> Span {
    Span::Text(words.into())
}
