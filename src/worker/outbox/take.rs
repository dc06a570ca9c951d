//! Making an existing issue the ticket of a gate: check, mark, comment, check again.
//!
//! Each step may be repeated. The mark and the comment come first, and only what Jira shows after them counts: an approval from
//! before cannot be meant for the rollout. What may be wrong with the issue is corrected by people, so it is looked at again
//! soon.

use std::{collections::HashSet, sync::Mutex as Lock, time::Duration};

use tokio::sync::Mutex;

use super::result::{CommandResult, Failure};
use crate::{
    gate::{GateId, Home, IssueSnapshot, NamedIssue, Ticket, Unusable, Wanted, issue_key},
    jira::{self, Origin, Retry, Workflow},
    lock::lock,
    policy::{Route, Statuses},
    rollout::{Command, Subject, Taking},
    store::OutboxRow,
    ticket::{self, Surroundings},
    worker::{
        context::{Context, StepOutcome},
        lookups::Lookups,
        statuses::resolve,
    },
};

/// How soon the bridge looks again at a ticket that a gate cannot have.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// The same if Flagger has not asked for a while.
const LOOK_AGAIN_LATER: Duration = Duration::from_mins(5);
/// How soon a gate tries again whose ticket another gate is being given.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// The keys of the issues that are being given to a gate: one gate at a time.
#[derive(Default)]
pub(super) struct InHand(Lock<HashSet<String>>);

/// The right to give an issue to a gate.
struct Hand<'a> {
    keys: &'a InHand,
    key: String,
}

impl InHand {
    fn take(&self, key: &str) -> Option<Hand<'_>> {
        lock(&self.0).insert(key.to_owned()).then(|| Hand { keys: self, key: key.to_owned() })
    }
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        lock(&self.keys.0).remove(&self.key);
    }
}

/// What taking a ticket needs.
pub(super) struct Take<'a> {
    pub(super) context: &'a Context,
    pub(super) lookups: &'a Lookups,
    /// Lets one command of the outbox at a time write to the database.
    pub(super) writing: &'a Mutex<()>,
    pub(super) in_hand: &'a InHand,
    pub(super) gate: &'a GateId,
    pub(super) subject: &'a Subject,
}

/// Why nothing came of it.
enum Refusal {
    Unusable(Unusable),
    Failure(Failure),
}

impl<E: Into<Failure>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Failure(error.into())
    }
}

impl Take<'_> {
    /// Makes the issue with the key `named`, which is what the question sent, the ticket of the gate. Replaces `row` with its
    /// claimed version, which the caller settles.
    pub(super) async fn perform(&self, row: &mut OutboxRow, named: &str) -> Result<CommandResult, Failure> {
        let Some(_hand) = self.in_hand.take(named) else {
            let why = format!("{named} is just being made the ticket of another gate");
            return Ok(CommandResult::Later { at: self.context.clock.now() + TRY_AGAIN, why });
        };
        match self.take(row, named).await {
            Ok(ticket) => Ok(CommandResult::Opened { ticket, others: vec![] }),
            Err(Refusal::Unusable(why)) => Ok(self.look_again(row, why.to_string())),
            // Only people can change that, and they may do so at any time.
            Err(Refusal::Failure(Failure::Jira(error))) if error.retry() == Retry::Never => {
                Ok(self.look_again(row, self.context.explain(&error)))
            }
            Err(Refusal::Failure(failure)) => Err(failure),
        }
    }

    async fn take(&self, row: &mut OutboxRow, named: &str) -> Result<Ticket, Refusal> {
        let Context { jira, gatekeeper, .. } = self.context;
        let route = gatekeeper.route(&row.canary, &self.subject.gate);
        let from = format!("metadata.{}", route.ticket.use_metadata.as_deref().unwrap_or_default());
        let Some(key) = issue_key(named) else {
            return Err(Refusal::Unusable(Unusable::NotAKey { from, sent: named.to_owned() }));
        };
        let settings = &route.ticket;
        let workflow = self.lookups.workflow_to_open(&settings.project, &settings.issue_type).await?;
        let statuses = resolve(route, &workflow).map_err(Failure::Stuck)?;
        let home = Home { project: settings.project.clone(), issue_type: workflow.issue_type_id.clone() };
        let wanted = self.wanted(&from, &home, &workflow, &statuses);
        let not_shown = || Refusal::Unusable(Unusable::NotShown { from: from.clone(), key: key.to_owned() });
        let issue = jira.existing_issue(key).await?.ok_or_else(not_shown)?;
        let is_taken = self.context.store().has_ticket(&issue.id).await?;
        if let Some(why) = issue.unusable(key, is_taken, wanted) {
            return Err(Refusal::Unusable(why));
        }
        let words = self.words(&from, route).await;
        // Looked up before the first decision is read, which then takes one request less.
        jira.account().await?;
        let nth = self.note(row, &issue.id, named).await?;
        self.mark(&issue, &not_shown).await?;
        self.comment(&issue, nth, &words).await?;
        let again = jira.existing_issue(&issue.id).await?.ok_or_else(not_shown)?;
        let after = jira.read_alone(&issue.id).await?.ok_or_else(not_shown)?;
        let IssueSnapshot::Issue { key, project, issue_type, status, ended, marks, answered, .. } =
            after.snapshot
        else {
            return Err(not_shown());
        };
        if !marks.contains(self.gate) && marks.is_empty() {
            return Err(Refusal::Unusable(Unusable::MarkLost { key }));
        }
        let after = NamedIssue {
            key: key.clone(),
            home: Home { project, issue_type },
            status,
            ended,
            marks,
            ..again
        };
        match after.unusable(named, false, wanted) {
            Some(why) => Err(Refusal::Unusable(why)),
            None => Ok(Ticket {
                id: issue.id,
                key,
                project: home.project.clone(),
                issue_type: home.issue_type.clone(),
                taken_at: Some(answered),
            }),
        }
    }

    fn wanted<'w>(
        &'w self,
        from: &'w str,
        home: &'w Home,
        workflow: &'w Workflow,
        statuses: &'w Statuses,
    ) -> Wanted<'w> {
        Wanted { gate: self.gate, from, home, type_name: &workflow.issue_type_name, statuses }
    }

    async fn words(&self, from: &str, route: &Route) -> ticket::Doc {
        let people = self.lookups.named(None, &route.approval).await;
        let links = self.context.gatekeeper.links();
        let now = self.context.clock.now();
        let hours = self.context.gatekeeper.ticket_hours(&self.subject.canary, &self.subject.gate, now);
        let around = Surroundings {
            status_page: links.status_page.as_deref(),
            browse: &*links.browse,
            people: &people,
            hours: hours.as_ref(),
        };
        ticket::taken(self.subject, from, route, &around)
    }

    /// Claims the row, and stores which issue is about to be marked.
    async fn note(&self, row: &mut OutboxRow, id: &str, named: &str) -> Result<u32, Failure> {
        let _writing = self.writing.lock().await;
        let tx = self.context.begin_if_leading().await?;
        let mut tx = tx.ok_or(Failure::Aborted(StepOutcome::Standby))?;
        let canary = tx.canary(&row.canary).await?;
        let live = canary.gate_by_id(self.gate).filter(|gate| gate.ticket().is_none());
        if live.is_none_or(|gate| gate.names.as_deref() != Some(named)) {
            // After catching up, the next step finds out what changed meanwhile.
            drop(tx);
            self.context.store().catch_up().await?;
            return Err(Failure::Aborted(StepOutcome::Done));
        }
        *row = tx.claim(row.id, None).await?.ok_or(Failure::Aborted(StepOutcome::Done))?;
        let mut nth = 1;
        if let Command::Open { takes, takings, .. } = &mut row.command {
            let goes_on = takes.as_ref().is_some_and(|takes| takes.id == id && takes.named == named);
            if !goes_on {
                *takings = takings.saturating_add(1);
                *takes = Some(Taking { id: id.to_owned(), named: named.to_owned(), nth: *takings });
            }
            nth = *takings;
        }
        tx.update_command(row, &row.command).await?;
        tx.commit().await?;
        Ok(nth)
    }

    async fn mark(&self, issue: &NamedIssue, not_shown: &impl Fn() -> Refusal) -> Result<(), Refusal> {
        if !self.context.lease.leads() {
            return Err(Failure::Aborted(StepOutcome::Standby).into());
        }
        let labels = ticket::labels(&self.subject.canary);
        match self.context.jira.mark(&issue.id, self.gate, &labels).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_missing() => Err(not_shown()),
            Err(error @ jira::Error::Refused { by: Origin::Jira, .. }) => {
                let why = error.to_string();
                Err(Refusal::Unusable(Unusable::NotEditable { key: issue.key.clone(), why }))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn comment(&self, issue: &NamedIssue, nth: u32, words: &ticket::Doc) -> Result<(), Refusal> {
        match self.write(&issue.id, &tag("taken", self.gate, nth), words).await {
            Ok(()) => Ok(()),
            Err(error @ jira::Error::Refused { by: Origin::Jira, .. }) => {
                let why = error.to_string();
                Err(Refusal::Unusable(Unusable::NotCommentable { key: issue.key.clone(), why }))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn write(&self, issue: &str, tag: &str, words: &ticket::Doc) -> Result<(), jira::Error> {
        let (lease, term) = (self.context.lease.clone(), self.context.lease.term());
        let writing = self.context.jira.comment(issue, tag, words);
        jira::fenced(move || lease.holds(term), writing).await
    }

    /// Gives an issue back that was marked, but is not to be the ticket of the gate any more: the rollout ended, or the
    /// question names another one now.
    pub(super) async fn give_back(&self, row: &mut OutboxRow, taking: &Taking) -> Result<(), Failure> {
        match self.unmark(taking).await {
            Err(error) if error.retry() == Retry::Never => {
                let (canary, key, issue) = (&row.canary, taking.named.as_str(), taking.id.as_str());
                tracing::warn!(%canary, key, issue, "{error}; the bridge cannot remove its mark from a ticket that no gate has");
            }
            unmarked => unmarked?,
        }
        let _writing = self.writing.lock().await;
        let tx = self.context.begin_if_leading().await?;
        let mut tx = tx.ok_or(Failure::Aborted(StepOutcome::Standby))?;
        *row = tx.claim(row.id, None).await?.ok_or(Failure::Aborted(StepOutcome::Done))?;
        if let Command::Open { takes, .. } = &mut row.command {
            *takes = None;
        }
        tx.update_command(row, &row.command).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn unmark(&self, taking: &Taking) -> Result<(), jira::Error> {
        let jira = &self.context.jira;
        let Some(issue) = jira.existing_issue(&taking.id).await? else { return Ok(()) };
        let tag = |what| tag(what, self.gate, taking.nth);
        if jira.has_commented(&issue.id, &tag("taken")).await? {
            self.write(&issue.id, &tag("given-back"), &ticket::given_back()).await?;
        }
        if issue.marks.contains(self.gate) {
            let labels = ticket::labels(&self.subject.canary);
            jira.unmark(&issue.id, self.gate, &labels).await?;
        }
        Ok(())
    }

    fn look_again(&self, row: &OutboxRow, why: String) -> CommandResult {
        let (now, context) = (self.context.clock.now(), self.context);
        let asked = context.store().asked_at(&row.canary, self.gate);
        let is_asked = asked.is_none_or(|at| now.since(at) < context.config().jira.trust_for);
        let wait = if is_asked { LOOK_AGAIN } else { LOOK_AGAIN_LATER };
        CommandResult::Retry { at: now + wait, why }
    }
}

/// The tag of a comment: what an approval of the ticket does now, or that it does nothing any more. A gate may take a ticket
/// again that it gave back, and then says so again.
fn tag(what: &str, gate: &GateId, nth: u32) -> String {
    match nth {
        0 | 1 => format!("{what}-{gate}"),
        nth => format!("{what}-{gate}-{nth}"),
    }
}
