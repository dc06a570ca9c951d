//! PURE: the comments on a ticket after it was opened.

use super::{
    doc::{Block, Doc, Span},
    spans::{any_of, duration_in_words},
};
use crate::{
    gate::Stage,
    policy::{Milestone, Route},
    rollout::{Analysis, End, Notice, OtherTarget, TicketOutcome},
    text::one_line,
    workload::content_of,
};

/// The longest message of Flagger that is quoted, in characters.
const LONGEST_LINE: usize = 300;
/// The longest reason that is quoted, in characters: it may name statuses.
const LONGEST_REASON: usize = 500;

/// The comment for a notice.
#[must_use]
pub fn comment(notice: &Notice, route: &Route) -> Doc {
    let approved = any_of(&route.ticket.approved);
    let words = match notice {
        Notice::Ended { outcome, name, other } => ended(*outcome, name.stage, other.as_ref()),
        Notice::Progress { lines, analysis } => return progress(lines, *analysis),
        Notice::RejectedAtStart { .. } => format!(
            "This rejection keeps the rollout from starting; nothing has begun that could be rolled back. Flagger \
             keeps asking. To let it start after all, move this ticket to {approved}. To drop the change, leave the \
             ticket here and have the team deploy what should run instead: Flagger starts whatever is deployed once \
             this ticket is approved."
        ),
        Notice::RejectionNotCounted { why, for_good: true, .. } => format!(
            "This rejection keeps the gate closed, but it rolls nothing back, because no rejection counts here: {}.",
            one_line(why, LONGEST_REASON)
        ),
        Notice::RejectionNotCounted { why, .. } => format!(
            "This rejection keeps the gate closed, but it rolls nothing back, because it does not count as one: {}. To roll \
             back, an approver has to reject it.",
            one_line(why, LONGEST_REASON)
        ),
        Notice::RejectedWithoutRollback { .. } => format!(
            "This rejection keeps the gate closed. Flagger has not asked whether to roll back. If it asks, and an approver \
             rejected this ticket, the bridge answers yes. If this canary has no rollback hook, the new version stays \
             where it is, and the rollout waits until the team deploys another version or this ticket is moved to \
             {approved}."
        ),
        Notice::NotAllowed { why, for_good: true, .. } => format!(
            "This approval does not count, and no approval counts here: {}. The gate stays closed, wherever this ticket is moved.",
            one_line(why, LONGEST_REASON)
        ),
        Notice::NotAllowed { why, .. } => format!(
            "This approval does not count: {}. The gate stays closed. To open it, an approver has to move this \
             ticket out of {approved} and back.",
            one_line(why, LONGEST_LINE)
        ),
        Notice::Relocated { .. } => format!(
            "This approval does not count: with it or since, the ticket was moved between projects, issue types or \
             workflows, and only a transition of its own workflow approves. The gate stays closed. To open it, an approver \
             has to move this ticket out of {approved} and back. If it cannot be moved out, delete it: after a while the \
             bridge opens another one."
        ),
        Notice::Mapped { .. } => format!(
            "This approval does not count: the ticket came to {approved} from a status that is not in its workflow, so Jira \
             may have put it there when that status was removed, and only a transition approves. The gate stays \
             closed. To open it, an approver has to move this ticket out of {approved} and back. If it cannot \
             be moved out, delete it: after a while the bridge opens another one."
        ),
        Notice::Renamed { .. } => {
            "This ticket stands in a status that did not mean approved when it was opened, or does not any more, so nothing \
             is approved. The gate stays closed. Move the ticket to a status that did and does, or delete it: after a \
             while the bridge opens another one."
                .to_owned()
        }
        Notice::Expired { valid_for, .. } => format!(
            "This approval is not used any more: it is more than {} old, and Flagger asks only now. The gate stays \
             closed. To renew the approval, move this ticket out of {approved} and back.",
            duration_in_words(u128::from(*valid_for))
        ),
        Notice::LabelledEnded => {
            "This ticket opens nothing any more, because it has the label flagger-ended, which marks tickets of ended \
             rollouts. Flagger still asks, so the bridge opens another ticket and links this one to it; decide there."
                .to_owned()
        }
        Notice::Replaced { by } => format!(
            "This ticket opens nothing any more. Jira did not show it to the bridge for a while, as if it were deleted, so the \
             gate has another one: {by}. Decide there."
        ),
        Notice::Duplicate { of: Some(key) } => format!(
            "This ticket is a duplicate of {key}, and opens nothing; decide there. Jira did not answer when the bridge \
             opened the one, so it opened the other."
        ),
        Notice::Duplicate { of: None } => {
            "This ticket opens nothing: Jira showed it only after the rollout it was opened for was over.".to_owned()
        }
        Notice::Late { live: Some(key) } => {
            format!("This ticket opens nothing any more. The rollout that waits now has {key}; decide there.")
        }
        Notice::Late { live: None } => {
            "This ticket opens nothing any more. No rollout of this canary waits for a ticket now; the next one opens \
             its own."
                .to_owned()
        }
        Notice::NotLinked { to, why } => format!(
            "The ticket that took the place of this one is {to}. The bridge could not link the two: {}.",
            one_line(why, LONGEST_REASON)
        ),
        Notice::OtherRevision { asked, started } => format!(
            "Flagger named revision {} when it asked for this ticket, and started {}: that one was pushed while this \
             ticket waited.",
            one_line(&asked.0, LONGEST_LINE),
            one_line(&started.0, LONGEST_LINE)
        ),
        Notice::OtherLabel { label, before } => format!(
            "The team now calls the started revision {}. It called the same checksum {} before.",
            one_line(&label.0, LONGEST_LINE),
            one_line(&before.0, LONGEST_LINE)
        ),
        Notice::Unasked { revision } => format!(
            "The newer revision {}, which Flagger started under this approval without a question, has shipped. Nobody \
             approved it. To be asked about such a revision, add a confirm-promotion hook to the canary.",
            one_line(&revision.0, LONGEST_LINE)
        ),
        Notice::NotMoved { milestone, why } => not_moved(*milestone, &one_line(why, LONGEST_REASON)),
    };
    Doc(vec![Block::Paragraph(vec![Span::Text(words)])])
}

/// Each outcome has a word that no other outcome uses: `succeeded`, `failed`, `superseded`, `abandoned`, `WITHOUT this
/// approval`.
fn ended(outcome: TicketOutcome, stage: Stage, other: Option<&OtherTarget>) -> String {
    if let (TicketOutcome::Ended(End::Superseded), Some(other)) = (outcome, other) {
        return other_target(other);
    }
    let (how, then) = match outcome {
        TicketOutcome::Ended(End::Succeeded) => {
            ("The rollout succeeded: the new version runs.".to_owned(), "The next rollout opens its own.")
        }
        TicketOutcome::Ended(End::Failed) => (
            "The rollout failed: Flagger keeps the previous version, or went back to it. Its events on the canary say why.".to_owned(),
            "Another try opens its own.",
        ),
        TicketOutcome::Ended(End::Superseded) => (
            "The rollout was superseded: another one of this canary took its place.".to_owned(),
            "What was decided here is not carried over: if the other one asks, it opens a ticket of its own, to which \
             this one is then linked.",
        ),
        TicketOutcome::Ended(End::Abandoned) => (
            "The rollout was abandoned: Flagger stopped asking, as it does when a canary is deleted.".to_owned(),
            "If Flagger asks again, that opens a new one.",
        ),
        TicketOutcome::Ended(End::Recreated) => (
            "The rollout was superseded: its Canary was deleted and recreated, which starts what is deployed without a \
             question."
                .to_owned(),
            "The next rollout opens its own.",
        ),
        TicketOutcome::ShippedUnasked => (
            "The rollout was superseded: a newer revision was pushed while it ran, and started under this approval: \
             Flagger asks nobody at confirm-rollout then."
                .to_owned(),
            "If the canary has a hook that asks later, the newer revision gets a ticket of its own there, to which this \
             one is then linked.",
        ),
        TicketOutcome::Recreated => (
            "The rollout was superseded, because its Canary was deleted and recreated: what was waiting runs now without \
             this approval, unless the primary was kept or something else was deployed meanwhile."
                .to_owned(),
            "Ask the team how that came about. The next rollout opens its own.",
        ),
        TicketOutcome::Bypassed => (
            format!(
                "The rollout shipped WITHOUT this approval: Flagger reports that the new version runs, and {stage} was \
                 never opened for it."
            ),
            "Ask the team how that came about: the hook may have been removed or skipped, or the approval came too late.",
        ),
    };
    format!("{how} This ticket opens nothing any more. {then}")
}

/// What a ticket shows is not what would start, or what is deployed since Flagger started it.
fn other_target(other: &OtherTarget) -> String {
    let line = |change: &String| one_line(change, LONGEST_LINE);
    match other {
        OtherTarget::Pushed { shown: None, now } => format!(
            "The rollout was superseded: this ticket could not show what changes. The bridge can read it now: {}. This \
             ticket opens nothing any more. Another one shows the change: decide there.",
            line(now)
        ),
        OtherTarget::Pushed { shown: Some(shown), now } => format!(
            "The rollout was superseded: another version was pushed before Flagger started the one that this ticket \
             shows. It showed: {}. What would start now: {}.{} This ticket opens nothing any more, and an approval given \
             here does not count. Another ticket shows what would start: decide there.",
            line(shown),
            line(now),
            if shown == now {
                " They differ in what these words do not tell; compare the two tickets."
            } else {
                ""
            }
        ),
        OtherTarget::TakenBack { shown } => format!(
            "The rollout was superseded: the pod template was changed back before it started. This ticket showed: {}. What \
             would start now is what already runs, except perhaps for the content of ConfigMaps and Secrets. This ticket \
             opens nothing any more. Flagger still waits, so there is another ticket: decide there.",
            line(shown)
        ),
        OtherTarget::ConfigsChanged { names } => format!(
            "The rollout was superseded: {} is not what it was when this ticket was opened. It was changed, created or \
             deleted, or Flagger's tracking of it was turned on or off. This ticket opens nothing any more, and an approval \
             given here does not count. Another ticket is for what would start now: decide there.",
            content_of(names)
        ),
        OtherTarget::ConfigsStarted { names } => format!(
            "The rollout was superseded: after the approval at confirm-rollout {} changed, and Flagger starts what is \
             deployed. Nobody approved that content. This ticket opens nothing any more. If that is wrong, reject the next \
             ticket of this rollout, or have the team deploy the approved content.",
            content_of(names)
        ),
        OtherTarget::Deployed { shown, now } => format!(
            "The rollout was superseded: what is deployed while it runs is not what one of its tickets shows. That showed: \
             {}. Deployed is: {}. This ticket opens nothing any more. If Flagger asks again, another one shows what is \
             deployed: decide there.",
            line(shown),
            line(now)
        ),
        OtherTarget::Started { shown, now } => format!(
            "The rollout was superseded: after the approval at confirm-rollout another version was pushed, and Flagger starts \
             what is deployed. Approved was: {}. Deployed is: {}, which nobody approved. This ticket opens nothing any \
             more. If that is wrong, reject the next ticket of this rollout, or have the team deploy the approved version.",
            shown.as_ref().map_or_else(|| "not known".to_owned(), line),
            line(now)
        ),
    }
}

/// Does not say how the rollout ended: another comment does, once.
fn not_moved(milestone: Milestone, why: &str) -> String {
    let (could_not, then) = match milestone {
        Milestone::Opened => (
            "The bridge opened this ticket, and could not move it on",
            "Move it by hand, if it cannot be decided where it stands.",
        ),
        Milestone::Succeeded
        | Milestone::Failed
        | Milestone::Superseded
        | Milestone::Abandoned
        | Milestone::Bypassed => {
            ("The bridge could not move this ticket", "Move it by hand if you like; that opens nothing.")
        }
    };
    format!("{could_not}: {why}. {then}")
}

fn progress(lines: &[String], analysis: Option<Analysis>) -> Doc {
    let said = |line: &String| vec![Span::Text(one_line(line, LONGEST_LINE))];
    let paragraph = |words: String| Block::Paragraph(vec![Span::Text(words)]);
    let heading = paragraph("Flagger reports:".into());
    let blocks = [heading, Block::Bullets(lines.iter().map(said).collect())].into_iter();
    Doc(blocks.chain(analysis.map(|analysis| paragraph(now(analysis)))).collect())
}

/// How far the analysis is.
fn now(Analysis { weight, failed_checks, threshold }: Analysis) -> String {
    let checks = format!("Failed checks: {failed_checks} of {threshold}.");
    match weight {
        Some(weight) => format!("Traffic to the new version: {weight} %. {checks}"),
        None => checks,
    }
}
