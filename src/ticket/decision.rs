//! PURE: the section of a ticket that says what each move of it does, and how soon.

use std::time::Duration;

use super::{
    doc::{Block, Span},
    sections::{line, paragraph, section, text},
    spans::{all_of, any_of, duration_in_words},
    traffic_step,
    versions::{new_version, old_version},
};
use crate::{
    gate::Stage,
    policy::{Milestone, TicketSettings},
    rollout::{Obstacle, Subject},
    workload::{RollbackHook, Shown, Timing},
};

/// What an approval of the start covers if it is bound to what the ticket shows.
const BOUND: &str = "This approves the images and pod settings shown above. If another version is pushed before Flagger \
    starts this one, that version gets its own ticket. Not covered: the content of ConfigMaps and Secrets, the number of \
    replicas, and the strategy.";
/// The same if it is bound to ConfigMaps, too.
const BOUND_WITH_CONFIGS: &str = "This approves the images and pod settings shown above, and the content that the \
    ConfigMaps tracked by Flagger had when this ticket was opened. If another version is pushed before Flagger starts \
    this one, or the content of such a ConfigMap changes, that gets its own ticket. Not covered: the content of \
    Secrets and of other ConfigMaps, the number of replicas, and the strategy.";
/// When the bridge moves a ticket whose rollout has ended.
const ENDINGS: [Milestone; 5] = [
    Milestone::Succeeded,
    Milestone::Failed,
    Milestone::Superseded,
    Milestone::Abandoned,
    Milestone::Bypassed,
];
/// How soon, if the bridge does not know how often Flagger asks.
const NEXT_QUESTION: &str =
    "the next time it asks, which it does about once a minute, unless the team changed that";

/// What moving the ticket does, and what it does not.
pub(super) fn decision_section(
    subject: &Subject,
    settings: &TicketSettings,
    obstacle: Option<Obstacle>,
) -> Vec<Block> {
    let words = match obstacle {
        Some(Obstacle::EmptyDenial | Obstacle::TooManyDenials) => vec![paragraph(
            "No move of this ticket releases this rollout or rolls it back, because nobody may approve it. The rollout stays \
             on hold.",
        )],
        Some(Obstacle::NothingShown) => vec![paragraph(
            "Do not decide here: no move of this ticket starts anything, because the ticket does not show what changes. Once \
             the bridge can read that, another ticket shows it. If that does not happen, tell the team that runs the bridge.",
        )],
        None => decision(subject, settings),
    };
    section("What your decision does", words)
}

fn decision(subject: &Subject, settings: &TicketSettings) -> Vec<Block> {
    let timing = match &subject.change {
        Some(Shown::Change { change, .. }) => change.timing.as_ref(),
        Some(Shown::Unreadable { .. }) | None => None,
    };
    let (yes, no, limits) = match subject.gate.stage {
        Stage::ConfirmRollout => (
            started(subject, timing),
            "nothing starts. This can be taken back: Flagger keeps asking, and starts the rollout if this ticket is approved later."
                .to_owned(),
            start_limits(subject),
        ),
        Stage::ConfirmTrafficIncrease if let Some(share) = subject.share => (
            traffic_step::taken(subject, share, &soon(timing.map(Timing::next_look))),
            format!("{} gets no more traffic. {}", new_version(subject), rolled_back(subject, timing)),
            traffic_step::LIMITS,
        ),
        Stage::ConfirmTrafficIncrease => (
            increased(subject, timing),
            format!("{} gets no more traffic. {}", new_version(subject), rolled_back(subject, timing)),
            "This approves all remaining traffic increases of this rollout. After the last one, all users get the new version, unless \
             the team has set up another approval before that.",
        ),
        Stage::ConfirmPromotion => (
            promoted(subject, timing),
            format!(
                "{} does not replace {}. {}",
                new_version(subject),
                old_version(subject),
                rolled_back(subject, timing)
            ),
            "This approves this rollout only: another one, even of the same version, gets its own ticket.",
        ),
        Stage::Gate => (
            format!("Flagger takes the next steps of this rollout {}.", soon(timing.map(Timing::next_look))),
            format!("the rollout does not continue. {}", rolled_back(subject, timing)),
            "Flagger does not say here which step it asks about. An approval covers all questions of this rollout that it asks \
             in this way, and one of them may be whether all users get the new version.",
        ),
    };
    let yes = match subject.gate.approver {
        Some(_) => format!("once every ticket of this step is approved, {yes}"),
        None => yes,
    };
    let mut lines = vec![line(&any_of(&settings.approved), &yes)];
    if !settings.rejected.is_empty() {
        lines.push(line(&any_of(&settings.rejected), &no));
    }
    lines.push(line("Any other status", &other_status(settings)));
    let mut limits = vec![text(limits)];
    if subject.gate.approver.is_some() {
        limits.extend([Span::Break, text("Other approvers of this step may have their own tickets.")]);
    }
    vec![Block::Bullets(lines), Block::Paragraph(limits)]
}

/// What a status does that neither approves nor rejects. The bridge's own transitions lead to some of them.
pub(super) fn other_status(settings: &TicketSettings) -> String {
    let waits = "the rollout waits.".to_owned();
    let is_id = |status: &str| status.bytes().all(|byte| byte.is_ascii_digit());
    // Which status an id names is not known here: perhaps one that a transition of the bridge leads to.
    if settings.approved.iter().chain(&settings.rejected).any(|status| is_id(status.trim())) {
        return waits;
    }
    let decides = |status: &str| {
        let mut deciding = settings.approved.iter().chain(&settings.rejected);
        deciding.any(|name| name.to_lowercase() == status.to_lowercase())
    };
    let mut at_the_end: Vec<String> = Vec::new();
    for milestone in ENDINGS {
        let target = settings.transitions.target(milestone).map(|target| target.to.trim());
        // An id tells people nothing.
        if let Some(status) = target.filter(|status| !is_id(status) && !decides(status))
            && !at_the_end.iter().any(|known| known == status)
        {
            at_the_end.push(status.to_owned());
        }
    }
    if at_the_end.is_empty() {
        return waits;
    }
    format!(
        "the rollout waits, and is not cancelled. That includes {}: the bridge moves this ticket there when the rollout has ended.",
        all_of(&at_the_end)
    )
}

/// What an approval of the start covers, and what it does not.
const fn start_limits(subject: &Subject) -> &'static str {
    match &subject.change {
        Some(Shown::Change { change, .. }) if subject.bound => {
            if change.configs.is_some() {
                BOUND_WITH_CONFIGS
            } else {
                BOUND
            }
        }
        Some(Shown::Change { .. } | Shown::Unreadable { .. }) | None => {
            "If the team deploys a newer version before Flagger starts, this approval covers that one instead: Flagger may start it \
             without asking again."
        }
    }
}

fn started(subject: &Subject, timing: Option<&Timing>) -> String {
    let new = new_version(subject);
    let Some(timing) = timing else {
        return format!(
            "Flagger starts {new} {}. It checks the new version beside the old one. If all checks pass, all users get it, unless \
             another approval is needed on the way.",
            soon(None)
        );
    };
    let (first, all) = (soon(Some(timing.next_look())), about(timing.after_start()));
    if !timing.is_checked() {
        return format!("all users get {new} within {all}. Flagger does not check it first.");
    }
    let meanwhile = if timing.is_gradual() { "gives it to some users first" } else { "checks it" };
    format!(
        "Flagger starts {new} {first} and {meanwhile}. If all checks pass, all users get it within {all}, unless another approval \
         is needed on the way."
    )
}

fn increased(subject: &Subject, timing: Option<&Timing>) -> String {
    let new = new_version(subject);
    let weight = subject.analysis.and_then(|analysis| analysis.weight).unwrap_or_default();
    let Some((timing, all)) = timing.and_then(|timing| Some((timing, timing.after_increase(weight)?))) else {
        return format!(
            "Flagger sends more traffic to {new}, step by step, as long as its checks pass. It takes the first step {}.",
            soon(timing.map(Timing::next_look))
        );
    };
    let (first, all) = (soon(Some(timing.next_look())), about(all));
    let step = match timing.next_step(weight) {
        Some(share) => format!(
            "{new} gets {share} % of the traffic {first}, and more step by step as long as its checks pass"
        ),
        None => format!("Flagger continues the rollout of {new} {first}"),
    };
    format!("{step}. All users get it within {all}, unless another approval is needed on the way.")
}

fn promoted(subject: &Subject, timing: Option<&Timing>) -> String {
    let new = new_version(subject);
    match timing {
        Some(timing) => format!("all users get {new} within {}.", about(timing.after_promotion())),
        None => format!("all users get {new}. Flagger begins {}.", soon(None)),
    }
}

/// What follows a rejection of a version that has started.
fn rolled_back(subject: &Subject, timing: Option<&Timing>) -> String {
    let when =
        timing.map_or_else(|| "the next time it asks".to_owned(), |timing| soon(Some(timing.next_look())));
    let old = old_version(subject);
    match subject.change.as_ref().and_then(Shown::change).map(|change| change.rollback_hook) {
        Some(RollbackHook::Asks) => {
            format!(
                "If the person who rejects may also approve, Flagger rolls back {when}, and all users get {old} again. Otherwise \
                 nothing changes, unless Flagger's checks fail."
            )
        }
        Some(RollbackHook::Missing) => {
            "A rejection does not roll back, because the team had not set that up when this ticket was opened. Flagger still \
             rolls back if its checks fail."
                .to_owned()
        }
        Some(RollbackHook::Unknown) | None => format!(
            "The bridge does not know whether the team has set up a rollback after a rejection. If so, and if the person who rejects \
             may also approve, Flagger rolls back {when}, and all users get {old} again. Otherwise nothing changes, unless \
             Flagger's checks fail."
        ),
    }
}

fn soon(look: Option<Duration>) -> String {
    look.map_or_else(|| NEXT_QUESTION.to_owned(), |look| format!("within {}", about(look)))
}

/// `about 2 minutes`
fn about(duration: Duration) -> String {
    format!("about {}", duration_in_words(duration.as_millis()))
}
