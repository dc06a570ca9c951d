//! PURE: what the bridge says on a ticket after it was opened.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    analysis::Analysis,
    canary::is_default,
    failure::{FailureCause, Rollback},
    message::{Label, Revision},
    obstacle::Obstacle,
    progress::TicketOutcome,
};
use crate::{gate::GateName, millis::Millis, policy::Milestone};

/// Something else would start, or started, than a ticket shows. The changes are on one line each; `shown` is none if the
/// ticket does not say what changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherTarget {
    /// Another version was pushed while the ticket waited.
    Pushed {
        /// What the ticket shows.
        shown: Option<String>,
        /// What would start now.
        now: String,
    },
    /// What would start is what runs.
    TakenBack {
        /// What the ticket shows.
        shown: String,
    },
    /// The pod template is the same, but the content of ConfigMaps changed while the ticket waited.
    ConfigsChanged {
        /// Which ConfigMaps.
        names: Vec<String>,
    },
    /// Flagger started the pod template of the ticket, with other content of ConfigMaps.
    ConfigsStarted {
        /// Which ConfigMaps.
        names: Vec<String>,
    },
    /// Something else is deployed while the rollout runs.
    Deployed {
        /// What the ticket of a later gate shows.
        shown: String,
        /// What is deployed.
        now: String,
    },
    /// Flagger started another version.
    Started {
        /// What the ticket shows.
        shown: Option<String>,
        /// What started.
        now: String,
    },
}

/// What a comment on a ticket says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// How its rollout ended, and that it opens nothing any more.
    Ended {
        /// How.
        #[serde(rename = "fate")]
        outcome: TicketOutcome,
        /// At which gate.
        name: GateName,
        /// Why another rollout took its place, if something else would start, or started, than the ticket shows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        other: Option<OtherTarget>,
        /// Why it failed, if it did and that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<FailureCause>,
        /// Whether nobody was asked at this gate, so that the words speak of no approval.
        #[serde(default, skip_serializing_if = "is_default")]
        recorded: bool,
    },
    /// Its approval let Flagger pass for the first time.
    Passed {
        /// The changelog entry of the approval.
        entry: String,
        /// The name of the person who approved: external text.
        by: String,
        /// When Flagger was told, by the bridge's clock.
        at: Millis,
        /// At which gate.
        name: GateName,
    },
    /// Its rejection let Flagger roll back for the first time.
    RolledBack {
        /// The changelog entry of the rejection.
        entry: String,
        /// When Flagger was told, and whose rejection it was.
        rollback: Rollback,
    },
    /// The bridge could not judge its decision for some time.
    NotJudged {
        /// Why not. The comment does not say it.
        why: String,
        /// The changelog entry of its newest move. None: stored by an earlier version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entry: Option<String>,
    },
    /// The settings that its decision is judged by are not those that it shows.
    RulesChanged {
        /// When the bridge noticed that, by its own clock.
        at: Millis,
        /// Who may not approve it, as far as stored with its gate.
        deny: Vec<String>,
        /// Why no approval counts, if that is so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        obstacle: Option<Obstacle>,
        /// Whether no comment says so if they change again.
        #[serde(default, skip_serializing_if = "is_default")]
        is_last: bool,
    },
    /// It is in an approved status, and its history does not show how it got there.
    NoHistory {
        /// The id of that status.
        status: String,
    },
    /// Flagger reported something during the rollout: several messages make one comment.
    Progress {
        /// Flagger's messages: external text.
        lines: Vec<String>,
        /// How far the analysis is when the comment is written, where the bridge reads that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        analysis: Option<Analysis>,
    },
    /// It was rejected before anything had started.
    RejectedAtStart {
        /// The changelog entry of the rejection.
        entry: String,
    },
    /// It was rejected, but the author's move does not count: that closes the gate, and rolls nothing back.
    #[serde(rename = "rejected_by_nobody")]
    RejectionNotCounted {
        /// The changelog entry of the rejection.
        entry: String,
        /// Why it does not count.
        why: String,
        /// Whether no rejection counts in this rollout.
        #[serde(default, skip_serializing_if = "is_default")]
        for_good: bool,
    },
    /// It was rejected, and Flagger has not asked whether to roll back.
    RejectedWithoutRollback {
        /// The changelog entry of the rejection.
        entry: String,
    },
    /// It was approved, but the author may not approve.
    NotAllowed {
        /// The changelog entry of the approval.
        entry: String,
        /// Why not.
        why: String,
        /// Whether no approval counts in this rollout.
        #[serde(default, skip_serializing_if = "is_default")]
        for_good: bool,
    },
    /// It was approved, but not by a transition of its own workflow, or its project, issue type or workflow changed
    /// since.
    Relocated {
        /// The changelog entry of the approval.
        entry: String,
    },
    /// It was approved, but not by a transition: the status that it left is not in its workflow.
    Mapped {
        /// The changelog entry of the approval.
        entry: String,
    },
    /// Its status did not mean approved when it was opened.
    Renamed {
        /// The id of that status.
        status: String,
    },
    /// It existed before its gate, and was approved before the bridge took it.
    ApprovedBefore,
    /// Its approval is too old to be used.
    Expired {
        /// The changelog entry of the approval.
        entry: String,
        /// For how long an unused approval is valid, in ms.
        valid_for: u64,
    },
    /// Its approval does not count yet: the windows and freezes of its gate do not let it open.
    Frozen {
        /// The changelog entry of the approval.
        entry: String,
        /// Why, and when they do next.
        why: String,
        /// Whether the approval let Flagger pass before.
        #[serde(default, skip_serializing_if = "is_default")]
        passed: bool,
    },
    /// It has the label `flagger-ended`, and its gate has another ticket.
    LabelledEnded,
    /// Jira did not show it for so long that its gate has another ticket.
    Replaced {
        /// The key of the other ticket.
        by: String,
    },
    /// Jira opened it although another ticket was opened, or none was needed any more.
    Duplicate {
        /// The key of the ticket that counts, if there is one.
        of: Option<String>,
    },
    /// It was moved after its rollout had ended.
    Late {
        /// The key of the ticket that the canary waits for now, if any.
        live: Option<String>,
    },
    /// The bridge could not link it to the ticket that took its place.
    NotLinked {
        /// The key of the other ticket.
        to: String,
        /// Why not.
        why: String,
    },
    /// Flagger started another revision than the one that it named when it asked.
    OtherRevision {
        /// The named revision.
        asked: Revision,
        /// The started revision.
        started: Revision,
    },
    /// The started revision has the checksum of one that had another label before.
    OtherLabel {
        /// The label now.
        label: Label,
        /// The label before.
        before: Label,
    },
    /// A newer revision that started under its approval, without a question, has shipped.
    Unasked {
        /// The newer revision.
        revision: Revision,
    },
    /// Nobody decided in time, so that it is rejected.
    TimedOut {
        /// How long a decision could take, in ms.
        within: i64,
        /// At which gate.
        name: GateName,
    },
    /// Nobody decided in time, and it waits on.
    Overdue {
        /// How long a decision should take, in ms.
        within: i64,
    },
    /// It is still waiting for a decision.
    Reminder {
        /// For how long at least, in ms.
        after: i64,
        /// Until when a decision is due, if it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Millis>,
    },
    /// It was approved after the time for a decision was over.
    TooLate {
        /// The changelog entry of the approval.
        entry: String,
        /// How long a decision could take, in ms.
        within: i64,
    },
    /// A step of its approval was made.
    Step {
        /// The changelog entry of the move.
        entry: String,
        /// Which step, from 1, and of how many.
        of: (usize, usize),
        /// The name of its status.
        status: String,
        /// The name of the person who made it: external text.
        by: String,
        /// The name of the next step's status.
        next: String,
        /// Why it does not count, if it does not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// Its label or priority lets Flagger go on outside of its windows or in a freeze.
    Excepted {
        /// The changelog entry by which somebody set it.
        entry: String,
        /// Why the gate would be closed.
        why: String,
        /// What was set, such as `the label "emergency"`.
        exception: String,
        /// Who set it, by name: external text.
        by: String,
    },
    /// The bridge could not move it.
    NotMoved {
        /// When it was to be moved.
        milestone: Milestone,
        /// Why not.
        why: String,
    },
}

impl Notice {
    /// Identifies the comment within its ticket, so that it is written once even if the command is repeated.
    #[must_use]
    pub fn tag(&self) -> String {
        match self {
            // A ticket that says how its rollout ended needs no second comment of these.
            Self::Ended { .. } | Self::LabelledEnded | Self::Replaced { .. } => "ended".into(),
            Self::Progress { .. } => "progress".into(),
            Self::Passed { entry, .. } => format!("{PASSED}{entry}"),
            // Also recorded with gates whose tickets got no such comment from an earlier version.
            Self::RolledBack { entry, .. } => format!("rolled-back-{entry}"),
            Self::NotJudged { entry: Some(entry), .. } => format!("{NOT_JUDGED}{entry}"),
            Self::NotJudged { why, entry: None } => format!("{NOT_JUDGED}{:016x}", short_hash(why)),
            // Settings may be changed and changed back.
            Self::RulesChanged { at, .. } => format!("{RULES}{}", at.0),
            Self::NoHistory { status } => format!("no-history-{status}"),
            Self::RejectedAtStart { entry }
            | Self::RejectedWithoutRollback { entry }
            | Self::RejectionNotCounted { entry, .. } => {
                format!("rejected-{entry}")
            }
            Self::NotAllowed { entry, .. } => format!("not-allowed-{entry}"),
            Self::Relocated { entry } => format!("relocated-{entry}"),
            Self::Mapped { entry } => format!("mapped-{entry}"),
            Self::Renamed { status } => format!("renamed-{status}"),
            Self::ApprovedBefore => "approved-before".into(),
            Self::Expired { entry, .. } => format!("expired-{entry}"),
            Self::Frozen { entry, passed: false, .. } => format!("frozen-{entry}"),
            Self::Frozen { entry, passed: true, .. } => format!("frozen-again-{entry}"),
            Self::Duplicate { .. } => "duplicate".into(),
            Self::Late { .. } => "late".into(),
            Self::NotLinked { to, .. } => format!("not-linked-{to}"),
            Self::OtherRevision { .. } => "other-revision".into(),
            Self::OtherLabel { .. } => "other-label".into(),
            Self::Unasked { .. } => "unasked".into(),
            Self::TimedOut { .. } => "timed-out".into(),
            Self::Overdue { within } => format!("overdue-{within}"),
            Self::Reminder { after, .. } => format!("reminder-{after}"),
            Self::TooLate { entry, .. } => format!("too-late-{entry}"),
            Self::Step { entry, why: None, .. } => format!("step-{entry}"),
            Self::Step { entry, why: Some(_), .. } => format!("step-not-counted-{entry}"),
            Self::Excepted { entry, .. } => format!("excepted-{entry}"),
            Self::NotMoved { milestone, .. } => format!("not-moved-{}", milestone.key()),
        }
    }
}

/// How the tags of [`Notice::Passed`] begin.
pub(super) const PASSED: &str = "passed-";
/// How the tags of [`Notice::NotJudged`] begin.
pub(super) const NOT_JUDGED: &str = "not-judged-";
/// How the tags of [`Notice::RulesChanged`] begin.
pub(super) const RULES: &str = "rules-";

/// Identifies a text.
fn short_hash(text: &str) -> u64 {
    Sha256::digest(text).iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
