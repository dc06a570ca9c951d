//! Changes of an existing ticket: comments, the label `flagger-ended`, transitions, links. Each step first asks Jira
//! whether it was done already, so that it can be repeated after a crash.

use serde_json::{Map, Value};

use super::{
    reminder,
    result::{CommandResult, Failure},
    time_out::{Rejecting, reject},
};
use crate::{
    gate::{GateId, IssueSnapshot, Move},
    jira::{self, LinkOutcome, Marks, TicketPresence, TransitionOutcome},
    millis::Millis,
    policy::{Meaning, Milestone, Route, Status, Target},
    rollout::{Command, Notice},
    store::{OutboxRow, TicketRecord},
    ticket,
    worker::{
        context::Context,
        lookups::{Lookups, WORKFLOW_TTL},
        statuses::resolve,
    },
};

/// A command about an existing ticket.
struct Update<'a> {
    context: &'a Context,
    lookups: &'a Lookups,
    row: &'a OutboxRow,
    opened: &'a TicketRecord,
    /// The settings of its gate.
    route: &'a Route,
}

/// Performs a command about an existing ticket.
pub(super) async fn perform(
    context: &Context,
    lookups: &Lookups,
    row: &OutboxRow,
) -> Result<CommandResult, Failure> {
    let opened = context.store().ticket(row.command.gate()).await.map_err(Failure::of_row)?;
    // The ticket was never opened: there is nothing to do.
    let Some(opened) = &opened else { return Ok(CommandResult::Done) };
    let route = context.gatekeeper.route(&opened.canary, &opened.name);
    let update = Update { context, lookups, row, opened, route };
    let (lease, term) = (context.lease.clone(), context.lease.term());
    match jira::fenced(move || lease.holds(term), update.update_ticket()).await {
        Err(Failure::Jira(error)) if error.is_missing() => {
            Ok(update.not_found(Some(error.to_string())).await)
        }
        done => done,
    }
}

impl Update<'_> {
    /// Jira answered 404. If the ticket is missing, the command is dropped once that is proven over `jira.trust_for`:
    /// if the bridge's account cannot see issues for a while, their comments must not be lost. If anything else is
    /// missing, an operator has to fix that.
    async fn not_found(&self, why: Option<String>) -> CommandResult {
        let later = || self.context.retry_at(self.row.attempts);
        let (now, opened) = (self.context.clock.now(), self.opened);
        let trust_for = self.context.config().jira.trust_for;
        match self.context.jira.ticket_presence(&opened.ticket).await {
            Ok(TicketPresence::Found) => match why {
                Some(why) => CommandResult::Stuck { why },
                // Jira shows the ticket again.
                None => CommandResult::Retry { at: later(), why: NOT_SHOWN.into() },
            },
            Ok(TicketPresence::Unproven { why }) => CommandResult::Stuck { why },
            Ok(TicketPresence::Missing) => {
                let since = opened.missing_since.filter(|since| *since <= now).unwrap_or(now);
                if now.since(since) < trust_for {
                    return CommandResult::Missing { since, at: later().min(since + trust_for) };
                }
                tracing::warn!(
                    canary = %opened.canary,
                    gate = %opened.name,
                    ticket = opened.ticket.key,
                    what = self.row.command.describe(),
                    "Jira has not shown the ticket for jira.trust_for, so it counts as deleted; this is dropped"
                );
                CommandResult::Deleted
            }
            Err(error) => CommandResult::Failed { error, sent: None },
        }
    }

    /// Performs the command in Jira.
    async fn update_ticket(&self) -> Result<CommandResult, Failure> {
        match &self.row.command {
            Command::Comment { notice, .. } => self.comment(notice).await,
            Command::Label { .. } => self.label().await,
            Command::Move { milestone: Milestone::TimedOut, .. } => Box::pin(self.reject()).await,
            Command::Move { milestone, .. } => self.move_ticket(*milestone).await,
            Command::Link { successor, .. } => {
                match self.context.store().ticket(successor).await.map_err(Failure::of_row)? {
                    None => Ok(CommandResult::Done),
                    Some(successor) => self.link(&successor).await,
                }
            }
            // These are performed elsewhere.
            Command::Open { .. }
            | Command::FindDuplicates { .. }
            | Command::Publish { .. }
            | Command::Notify { .. } => Ok(CommandResult::Done),
        }
    }

    /// Whether the ticket's number belongs to another issue now, on another site or in a restored Jira: then the
    /// bridge must not change that issue.
    fn is_of_another_site(&self, opened: &TicketRecord, marks: &[GateId]) -> bool {
        let is_ours = opened.is_marked_by(marks);
        if !is_ours {
            tracing::warn!(
                canary = %opened.canary,
                gate = %opened.name,
                ticket = opened.ticket.key,
                what = self.row.command.describe(),
                "the issue does not say that it is this gate's ticket, so it is left alone"
            );
        }
        !is_ours
    }

    /// The result if nothing may be done to the ticket. For commands that need to know only the ticket's marks.
    async fn reason_to_skip(&self) -> Result<Option<CommandResult>, Failure> {
        Ok(match self.context.jira.marks(&self.opened.ticket.id).await? {
            Marks::Missing => Some(self.not_found(None).await),
            Marks::Of(marks) => self.is_of_another_site(self.opened, &marks).then_some(CommandResult::Done),
        })
    }

    async fn comment(&self, notice: &Notice) -> Result<CommandResult, Failure> {
        let id = &self.opened.ticket.id;
        let kind = CommentRepeat::of(notice);
        let result = if kind == CommentRepeat::Last {
            // A move after this moment is a late move; the moves that the ticket shows now are not.
            match self.context.jira.read_since(id, Millis(i64::MAX)).await? {
                IssueSnapshot::Missing { .. } => return Ok(self.not_found(None).await),
                IssueSnapshot::Issue { marks, .. } if self.is_of_another_site(self.opened, &marks) => {
                    return Ok(CommandResult::Done);
                }
                IssueSnapshot::Issue { answered, .. } => CommandResult::Ended(answered),
            }
        } else {
            if let Some(result) = self.reason_to_skip().await? {
                return Ok(result);
            }
            CommandResult::Done
        };
        let tag = match kind {
            CommentRepeat::Repeated => format!("{}-{}", notice.tag(), self.row.id),
            CommentRepeat::Once | CommentRepeat::Last => notice.tag(),
        };
        let words = if reminder::asks(notice) {
            if !reminder::is_needed(self.context, self.opened) {
                return Ok(CommandResult::Done);
            }
            // Rare, so boxed to keep the future of the other commands small.
            Box::pin(reminder::words(self.context, self.lookups, self.opened, self.route, notice)).await?
        } else {
            ticket::comment(notice, self.route, &self.people(notice).await)
        };
        self.context.jira.comment(id, &tag, &words).await?;
        Ok(result)
    }

    /// The accounts that the comment names, and that the configuration names.
    async fn people(&self, notice: &Notice) -> ticket::People {
        let Notice::RulesChanged { .. } = notice else { return ticket::People::default() };
        self.lookups.named(None, &self.route.approval).await
    }

    async fn label(&self) -> Result<CommandResult, Failure> {
        if let Some(result) = self.reason_to_skip().await? {
            return Ok(result);
        }
        self.context.jira.label(&self.opened.ticket.id, jira::ENDED).await?;
        Ok(CommandResult::Done)
    }

    async fn move_ticket(&self, milestone: Milestone) -> Result<CommandResult, Failure> {
        let (opened, id) = (self.opened, &self.opened.ticket.id);
        // The status for this milestone, if one is configured.
        let Some(target) = self.route.ticket.transitions.target(milestone) else {
            return Ok(CommandResult::Done);
        };
        // Whether the bridge moves it depends on the moves that people made.
        let (status, moves) = match self.context.jira.read_whole(id).await? {
            IssueSnapshot::Missing { .. } => return Ok(self.not_found(None).await),
            IssueSnapshot::Issue { marks, .. } if self.is_of_another_site(opened, &marks) => {
                return Ok(CommandResult::Done);
            }
            IssueSnapshot::Issue { status, moves, .. } => (status, moves),
        };
        let left_alone = match milestone {
            Milestone::Opened => !moves.is_empty() || self.rollout_has_ended(),
            Milestone::Succeeded
            | Milestone::Failed
            | Milestone::Superseded
            | Milestone::Abandoned
            | Milestone::Bypassed
            | Milestone::TimedOut => self.must_stay(&status, &moves, &target.to).await?,
        };
        if left_alone {
            return Ok(CommandResult::Done);
        }
        let why = match self.context.jira.transition(id, &target.to, &fields(target)).await? {
            TransitionOutcome::AlreadyThere => return Ok(CommandResult::Done),
            TransitionOutcome::Moved { skipped_fields } => {
                if !skipped_fields.is_empty() {
                    let (ticket, fields) = (opened.ticket.key.as_str(), skipped_fields.join(", "));
                    tracing::warn!(
                        canary = %opened.canary,
                        ticket,
                        fields,
                        "moved the ticket without fields that the transition does not have; see ticket.transitions"
                    );
                }
                return Ok(CommandResult::Done);
            }
            TransitionOutcome::NoPath { reachable } if reachable.is_empty() => {
                format!(
                    "no transition leads to \"{}\" from its current status, or the bridge may not move it",
                    target.to
                )
            }
            TransitionOutcome::NoPath { reachable } => {
                format!("no transition leads to \"{}\", only to {}", target.to, reachable.join(", "))
            }
            TransitionOutcome::NeedsFields { missing } => {
                let key = self.route.key_of(&format!("transitions.{}", milestone.key()));
                format!(
                    "the transition to \"{}\" requires {}, which {key} does not set",
                    target.to,
                    missing.join(", ")
                )
            }
        };
        let ticket = opened.ticket.key.as_str();
        tracing::warn!(
            canary = %opened.canary,
            ticket,
            milestone = milestone.key(),
            why,
            "could not move the ticket, and says so in a comment; see ticket.transitions"
        );
        Ok(CommandResult::CommentInstead(Notice::NotMoved { milestone, why }))
    }

    /// Moves the ticket to a rejected status, because nobody decided in time.
    async fn reject(&self) -> Result<CommandResult, Failure> {
        if self.rollout_has_ended() {
            return Ok(CommandResult::Done);
        }
        Ok(match reject(self.context, self.lookups, self.opened, self.route).await? {
            Rejecting::Done => CommandResult::Done,
            Rejecting::Missing => self.not_found(None).await,
            Rejecting::OfAnotherSite(marks) => {
                self.is_of_another_site(self.opened, &marks);
                CommandResult::Done
            }
            Rejecting::Impossible(notice) => {
                let ticket = self.opened.ticket.key.as_str();
                if let Notice::NotMoved { why, .. } = &notice {
                    tracing::warn!(
                        canary = %self.opened.canary,
                        ticket,
                        why,
                        "could not move the ticket to a rejected status after nobody decided in time, and says so in a comment"
                    );
                }
                CommandResult::CommentInstead(notice)
            }
        })
    }

    /// Whether the rollout has ended: then it is too late to move its ticket to its first status.
    fn rollout_has_ended(&self) -> bool {
        let canary = self.context.store().canary(&self.opened.canary);
        canary.is_none_or(|canary| canary.gate_by_id(&self.opened.gate).is_none())
    }

    /// Whether the ticket must stay where it is: a person rejected it; or the bridge already moved it to its last
    /// status without receiving Jira's answer, and a person may have moved it since.
    async fn must_stay(&self, status: &Status, moves: &[Move], last: &str) -> Result<bool, jira::Error> {
        let own = self.context.jira.account().await?;
        if moves.iter().any(|entry| entry.by.id == own.id && jira::is_status(&entry.to, last)) {
            return Ok(true);
        }
        let ticket = &self.opened.ticket;
        let workflow = self.lookups.workflow(&ticket.project, &ticket.issue_type, WORKFLOW_TTL).await?;
        // If the meaning of the status is unknown, the ticket stays where it is.
        Ok(resolve(self.route, &workflow).map_or(true, |it| it.meaning(&status.id) == Meaning::Rejected))
    }

    async fn link(&self, successor: &TicketRecord) -> Result<CommandResult, Failure> {
        let (from, to) = (&self.opened.ticket, &successor.ticket);
        if let Some(result) = self.reason_to_skip().await? {
            return Ok(result);
        }
        // If the successor is missing, creating the link fails.
        if let Marks::Of(marks) = self.context.jira.marks(&to.id).await?
            && self.is_of_another_site(successor, &marks)
        {
            return Ok(CommandResult::Done);
        }
        let why = match self.context.jira.link(&from.id, &to.id).await {
            Ok(LinkOutcome::Linked) => return Ok(CommandResult::Done),
            Ok(LinkOutcome::Impossible { why }) => why,
            Err(error)
                if error.is_missing()
                    && self.context.jira.ticket_presence(to).await? != TicketPresence::Found =>
            {
                format!("Jira does not show {}", to.key)
            }
            Err(error) => return Err(error.into()),
        };
        tracing::warn!(
            canary = %self.opened.canary,
            ticket = from.key,
            successor = to.key,
            why,
            "could not link the ticket to the one that took its place, and says so in a comment"
        );
        Ok(CommandResult::CommentInstead(Notice::NotLinked { to: to.key.clone(), why }))
    }
}

/// How often a comment of this kind is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CommentRepeat {
    /// Once. The bridge still reads the ticket as a live one until its rollout ends.
    Once,
    /// More than once; the tag includes the row's id, so that each is one comment.
    Repeated,
    /// As the last comment: any later move is a late move.
    Last,
}

impl CommentRepeat {
    const fn of(notice: &Notice) -> Self {
        match notice {
            Notice::Progress { .. } => Self::Repeated,
            Notice::Ended { .. } | Notice::Replaced { .. } | Notice::Duplicate { .. } => Self::Last,
            Notice::LabelledEnded
            | Notice::Passed { .. }
            | Notice::RolledBack { .. }
            | Notice::NotJudged { .. }
            | Notice::RulesChanged { .. }
            | Notice::NoHistory { .. }
            | Notice::RejectedAtStart { .. }
            | Notice::RejectedWithoutRollback { .. }
            | Notice::RejectionNotCounted { .. }
            | Notice::NotAllowed { .. }
            | Notice::Relocated { .. }
            | Notice::Mapped { .. }
            | Notice::Renamed { .. }
            | Notice::ApprovedBefore
            | Notice::Expired { .. }
            | Notice::Frozen { .. }
            | Notice::Excepted { .. }
            | Notice::Late { .. }
            | Notice::NotLinked { .. }
            | Notice::OtherRevision { .. }
            | Notice::OtherLabel { .. }
            | Notice::Unasked { .. }
            | Notice::Step { .. }
            | Notice::TimedOut { .. }
            | Notice::Overdue { .. }
            | Notice::Reminder { .. }
            | Notice::TooLate { .. }
            | Notice::NotMoved { .. } => Self::Once,
        }
    }
}

/// Why a command is postponed.
const NOT_SHOWN: &str = "Jira shows the ticket again";

fn fields(target: &Target) -> Map<String, Value> {
    let fields = target
        .fields
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), serde_json::to_value(value).ok()?)));
    fields.collect()
}
