//! PURE: the comments on a ticket after it was opened.

mod ending;
mod rules;
mod steps;
mod time_limit;

use super::{
    doc::{Block, Doc, Span},
    people::People,
    spans::{any_of, duration_in_words},
    words::{LONGEST_LINE, LONGEST_REASON, OVER, moment, person},
};
use crate::{
    gate::GateName,
    policy::{ApprovalMode, ApprovalSource, Milestone, Route},
    rollout::{Analysis, Notice, Rollback},
    text::one_line,
};

/// The comment for a notice. `people` are the accounts that the configuration names, as far as they are known.
#[must_use]
pub fn comment(notice: &Notice, route: &Route, people: &People) -> Doc {
    let approved = any_of(&route.ticket.approved);
    let again = match route.approval.source {
        ApprovalSource::Status => steps::again(route, &approved),
        ApprovalSource::Jsm => ASK_AGAIN.to_owned(),
    };
    let out_and_back = match (route.approval.source, route.ticket.rejected.as_slice()) {
        (ApprovalSource::Jsm, _) => DECLINE_AGAIN.to_owned(),
        (ApprovalSource::Status, []) => "to another status and back".to_owned(),
        (ApprovalSource::Status, rejected) => format!("out of {} and back", any_of(rejected)),
    };
    let or_delete = "If it cannot be moved out, delete it: after a while the bridge opens another one.";
    let reason = |why: &str| one_line(why, LONGEST_REASON);
    let words = match notice {
        Notice::Ended { outcome, name, other, cause, recorded: false } => {
            return Doc(ending::ended(*outcome, name, other.as_ref(), cause.as_ref()));
        }
        Notice::Ended { outcome, name, other: _, cause, recorded: true } => {
            return Doc(ending::ended_without_asking(*outcome, name, cause.as_ref()));
        }
        Notice::Progress { lines, analysis } => return progress(lines, *analysis),
        Notice::RulesChanged { deny, obstacle, is_last, at: _ } => {
            return Doc(match route.approval.mode {
                ApprovalMode::Required => rules::changed(deny, *obstacle, *is_last, route, people),
                ApprovalMode::Record => rules::asks_nobody(route),
            });
        }
        Notice::Passed { by, at, name: GateName { approver, .. }, .. } => {
            let told = format!(
                "Flagger was told to go on at {} because {} approved this ticket.",
                moment(*at),
                person(by)
            );
            match approver {
                Some(_) => format!(
                    "{told} Flagger goes on once every ticket of this step is approved."
                ),
                None => told,
            }
        }
        Notice::RolledBack { rollback: Rollback { at, timed_out: true, .. }, .. } => {
            format!("Flagger was told to roll back at {} because nobody decided in time.", moment(*at))
        }
        Notice::RolledBack { rollback: Rollback { at, by, .. }, .. } => format!(
            "Flagger was told to roll back at {} because {} rejected this ticket.",
            moment(*at),
            person(by)
        ),
        // The reason may name hosts, settings and accounts, which are not for every reader of the ticket.
        Notice::NotJudged { .. } => "The bridge cannot tell at the moment whether the decision on this ticket counts. Until it \
             can, Flagger neither goes on nor rolls back because of it. Tell the team that runs the bridge: its status page \
             and \"flagger-jira-bridge gates\" say why. There is no need to move this ticket again: the bridge keeps checking."
            .to_owned(),
        Notice::RejectedAtStart { .. } => format!(
            "This rejection keeps the rollout from starting. Nothing is running yet, so there is nothing to roll back. \
             Flagger keeps asking. To start the rollout after all, move this ticket to {approved}. To drop the change, \
             leave this ticket as it is and ask the team to deploy what should run instead: once this ticket is \
             approved, Flagger starts whatever is deployed then."
        ),
        Notice::RejectionNotCounted { why, for_good: true, .. } => format!(
            "This rejection holds the rollout, but cannot roll it back, and nor can another one: {}. Ask the application team \
             to do that.",
            reason(why)
        ),
        Notice::RejectionNotCounted { why, .. } => format!(
            "This rejection holds the rollout, but cannot roll it back: {}. To roll it back, an approver must move this ticket \
             {out_and_back}.",
            reason(why)
        ),
        Notice::RejectedWithoutRollback { .. } => format!(
            "This rejection keeps the rollout on hold. Flagger has not asked yet whether to roll back. If it asks, and \
             whoever rejected this ticket may approve it, the bridge says yes. A canary without a rollback hook never \
             asks: the new version then stays where it is until the team deploys another one, this ticket is moved to \
             {approved}, or Flagger's checks fail."
        ),
        Notice::NotAllowed { why, for_good: true, .. } => format!(
            "This approval does not count, and no approval counts here: {}. Ask the application team to do that. The rollout \
             stays on hold, wherever this ticket is moved.",
            reason(why)
        ),
        Notice::NotAllowed { why, .. } => format!(
            "This approval does not count: {}. The rollout stays on hold. {again}",
            one_line(why, LONGEST_LINE)
        ),
        Notice::Relocated { .. } => format!(
            "This approval does not count: at the same time or later, the ticket was moved between projects, issue types \
             or workflows. Only a transition of its own workflow approves. The rollout stays on hold. {again} {or_delete}"
        ),
        Notice::Mapped { .. } => format!(
            "This approval does not count: the ticket came to {approved} from a status that is not in its workflow. Jira \
             may have put it there when that status was removed, and only a transition approves. The rollout stays on \
             hold. {again} {or_delete}"
        ),
        Notice::NoHistory { .. } => "The decision on this ticket does not count: its history cannot be read, or does not show \
             how it got to its status. The rollout stays on hold. Move this ticket to another status \
             and back, or delete it: after a while the bridge opens another one."
            .to_owned(),
        Notice::Renamed { .. } => {
            "Nothing is approved: this ticket is in a status that did not mean approved when the ticket was opened, or no \
             longer does. The rollout stays on hold. Move the ticket to a status that meant approved then and still does, \
             or delete it: after a while the bridge opens another one."
                .to_owned()
        }
        Notice::ApprovedBefore => format!(
            "This approval does not count: it was given before the bridge commented here what an approval of this ticket does. \
             The rollout stays on hold. {again}"
        ),
        Notice::Expired { valid_for, .. } => format!(
            "This approval has expired: it was more than {} old when Flagger asked. The rollout stays on hold. {}",
            duration_in_words(u128::from(*valid_for)),
            match route.approval.source {
                ApprovalSource::Status => {
                    format!("To renew the approval, move this ticket out of {approved} and back.")
                }
                ApprovalSource::Jsm => ASK_AGAIN.to_owned(),
            }
        ),
        Notice::Frozen { why, passed: false, .. } => format!(
            "This approval does not let Flagger go on yet: {}. There is nothing to do if the approval has not expired by then.",
            reason(why)
        ),
        Notice::Frozen { why, passed: true, .. } => format!(
            "This approval does not let Flagger go on at the moment: {}. What Flagger was told to do before goes on.",
            reason(why)
        ),
        Notice::Excepted { why, exception, by, .. } => format!(
            "Flagger was told to go on although it is {}, because {} gave this ticket {}.",
            reason(why),
            person(by),
            reason(exception)
        ),
        Notice::LabelledEnded => format!(
            "{OVER} It has the label flagger-ended, which marks tickets of rollouts that are over. Flagger is still asking, \
             so the bridge opens another ticket and links this one to it. Decide there."
        ),
        Notice::Replaced { by } => format!(
            "{OVER} Jira did not show it to the bridge for a while, as if it had been deleted, so the bridge opened another \
             one: {by}. Decide there."
        ),
        Notice::Duplicate { of: Some(key) } => format!(
            "This ticket is a duplicate of {key} and controls nothing. Decide there. Jira did not answer when the bridge \
             opened the first of the two, so the bridge opened the second."
        ),
        Notice::Duplicate { of: None } => {
            "This ticket controls nothing: its rollout was over before Jira showed it.".to_owned()
        }
        Notice::Late { live: Some(key) } => {
            format!("{OVER} The rollout that is waiting now has {key}. Decide there.")
        }
        Notice::Late { live: None } => {
            format!("{OVER} No rollout of this canary is waiting for a ticket now. The next one gets its own ticket.")
        }
        Notice::NotLinked { to, why } => {
            format!("{to} took the place of this ticket. The bridge could not link the two: {}.", reason(why))
        }
        Notice::OtherRevision { asked, started } => format!(
            "Flagger asked about revision {} when this ticket was opened, but started {}, which was pushed while this \
             ticket was waiting.",
            one_line(&asked.0, LONGEST_LINE),
            one_line(&started.0, LONGEST_LINE)
        ),
        Notice::OtherLabel { label, before } => format!(
            "The team now calls the revision that started \"{}\". It used to call the same checksum \"{}\".",
            one_line(&label.0, LONGEST_LINE),
            one_line(&before.0, LONGEST_LINE)
        ),
        Notice::Unasked { revision } => format!(
            "Nobody approved revision {}, and it has shipped: Flagger started it under this approval without asking. To be \
             asked about such a revision, add a confirm-promotion hook to the canary.",
            one_line(&revision.0, LONGEST_LINE)
        ),
        Notice::TimedOut { within, name } => time_limit::timed_out(*within, name),
        Notice::Overdue { within } => time_limit::overdue(*within),
        Notice::TooLate { within, .. } => time_limit::too_late(*within),
        // The mentions are added by `reminder`.
        Notice::Reminder { after, .. } => time_limit::reminded(*after),
        Notice::Step { of, status, by, next, why, .. } => {
            steps::step(*of, (status, by), next, why.as_deref())
        }
        Notice::NotMoved { milestone, why } => not_moved(*milestone, &reason(why)),
    };
    Doc(vec![Block::Paragraph(vec![Span::Text(words)])])
}

/// How to decline again in Jira Service Management, after "must move this ticket".
const DECLINE_AGAIN: &str =
    "back to the status in which Jira Service Management asks for the approval, and decline it there";
/// What to do if an approval in Jira Service Management does not count.
const ASK_AGAIN: &str = "To have it approved, move this ticket back to the status in which Jira Service Management asks for the \
                         approval, and answer it there.";

/// Does not say how the rollout ended: another comment does, once.
fn not_moved(milestone: Milestone, why: &str) -> String {
    let (could_not, then) = match milestone {
        Milestone::Opened => (
            "The bridge opened this ticket but could not move it on",
            "If it cannot be decided in its current status, move it by hand.",
        ),
        Milestone::Succeeded
        | Milestone::Failed
        | Milestone::Superseded
        | Milestone::Abandoned
        | Milestone::Bypassed
        | Milestone::TimedOut => (
            "The bridge could not move this ticket",
            "You can move it by hand. That does not affect the rollout.",
        ),
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
