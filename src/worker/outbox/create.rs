//! Opening tickets: claim, perform, settle.
//!
//! Creating an issue is not idempotent, and Jira has no idempotency key. So the bridge stores the time of sending
//! first. Whatever the result, it creates nothing again until it has searched Jira, whose index lags, for long enough
//! after the *last* sending.

use std::time::Duration;

use tokio::sync::Mutex;

use super::{
    duplicates, refused_fields,
    result::{CommandResult, Failure},
    take::{InHand, Take},
};
use crate::{
    gate::{GateId, Home, ShownRules, Ticket},
    jira::{self, SideEffect},
    millis::Millis,
    policy::{ApprovalMode, Route},
    rollout::{Canary, Command, Subject, Taking},
    store::{self, OutboxRow, WriteTx},
    ticket::{self, Surroundings},
    worker::{
        context::{Context, StepOutcome},
        lookups::Lookups,
        statuses::resolve,
    },
    workload::Shown,
};

/// How often the bridge searches for a ticket that may have been created.
const SEARCH_EVERY: Duration = Duration::from_secs(15);
/// A create is sent within this time after its sending was stored, or not at all.
const SENT_WITHIN: Duration = Duration::from_secs(5);

/// What opening a ticket needs.
pub(super) struct Create<'a> {
    pub(super) context: &'a Context,
    pub(super) lookups: &'a Lookups,
    /// Lets one command of the outbox at a time write to the database.
    pub(super) writing: &'a Mutex<()>,
    pub(super) in_hand: &'a InHand,
}

impl Create<'_> {
    /// Opens a ticket, or finds the one that was opened before. Replaces `row` with its claimed version, which the
    /// caller settles.
    pub(super) async fn perform(&self, row: &mut OutboxRow) -> Result<CommandResult, Failure> {
        let Command::Open { gate, subject, sent_to, shows: _, takes, takings: _ } = row.command.clone()
        else {
            return Ok(CommandResult::Done);
        };
        let waits = subject.bypass.is_some() || self.waits_for_ticket(row, &gate).await?;
        if let Some(why) = self.context.store().unreadable_reason(&row.canary) {
            return Ok(self.retry(row, why));
        }
        let named = if waits { self.named(row, &gate) } else { None };
        let (context, lookups, writing, in_hand) = (self.context, self.lookups, self.writing, self.in_hand);
        let take = Take { context, lookups, writing, in_hand, gate: &gate, subject: &subject };
        if let Some(takes) = takes.filter(|takes| named.as_ref() != Some(&takes.named)) {
            take.give_back(row, &takes).await?;
        }
        if !waits && row.unknown_since.is_none() {
            // The rollout ended before its ticket was opened: now it is not needed.
            return Ok(CommandResult::Done);
        }
        if let Some(sent) = row.unknown_since {
            match self.search(row, &subject, &gate, &sent_to, sent).await? {
                Some(result) => return Ok(result),
                None if !waits => return Ok(CommandResult::Done),
                None => {}
            }
        }
        if let Some(named) = named {
            return take.perform(row, &named).await;
        }
        let draft = self.prepare(row.id, gate, &subject).await?;
        match self.create(row, &draft, &subject).await {
            Err(Failure::Jira(error)) => match self.without_assignee(row, &draft, &subject, &error) {
                Some(later) => Ok(later),
                None => {
                    let route = self.context.gatekeeper.route(&subject.canary, &subject.gate);
                    Err(refused_fields::explain(self.lookups, &self.context.jira, route, &draft, error).await)
                }
            },
            result => result,
        }
    }

    /// Whether the gate is live and has no ticket. The row may be newer than the cache, which then has to catch up
    /// first.
    async fn waits_for_ticket(&self, row: &OutboxRow, gate: &GateId) -> Result<bool, store::Error> {
        let store = self.context.store();
        let waits = || store.canary(&row.canary).is_some_and(|canary| waits(&canary, gate));
        if !waits() {
            store.catch_up().await?;
        }
        Ok(waits())
    }

    /// What the last question named as the ticket of this gate, if anything.
    fn named(&self, row: &OutboxRow, gate: &GateId) -> Option<String> {
        self.context.store().canary(&row.canary)?.gate_by_id(gate)?.names.clone()
    }

    async fn prepare(&self, row: i64, gate: GateId, subject: &Subject) -> Result<jira::Draft, Failure> {
        let route = self.context.gatekeeper.route(&subject.canary, &subject.gate);
        let settings = &route.ticket;
        let people = self.people(route).await;
        let words = self.words(subject, route, &people)?;
        let fields = serde_json::to_value(&words.fields)
            .map_err(|error| Failure::Stuck(format!("{}: {error}", route.key_of("fields"))))?;
        // The statuses of this workflow count for the ticket.
        let workflow = self.lookups.workflow_to_open(&settings.project, &settings.issue_type).await?;
        // Looked up before the first decision is read, which then takes one request less.
        self.context.jira.account().await?;
        // A ticket that could not be approved is not opened.
        resolve(route, &workflow).map_err(Failure::Stuck)?;
        Ok(jira::Draft {
            gate,
            project: settings.project.clone(),
            issue_type: workflow.issue_type_id,
            summary: words.summary,
            description: words.description,
            labels: labels(route, subject),
            assignee: self.assignee(row, route, &people),
            request: self.request_type(route).await?,
            fields: fields.as_object().cloned().unwrap_or_default(),
        })
    }

    /// The request type with which the ticket is opened, if there is one, and its service desk.
    async fn request_type(&self, route: &Route) -> Result<Option<jira::RequestType>, Failure> {
        let Some(id) = &route.ticket.request_type else { return Ok(None) };
        let project = &route.ticket.project;
        match self.context.jira.service_desk(project).await? {
            Some(desk) => Ok(Some(jira::RequestType { desk, id: id.clone() })),
            None => Err(Failure::Stuck(format!(
                "{}: {project} is no project of Jira Service Management, or the bridge's account is no agent in it",
                route.key_of("request_type")
            ))),
        }
    }

    fn words(
        &self,
        subject: &Subject,
        route: &Route,
        people: &ticket::People,
    ) -> Result<ticket::Draft, Failure> {
        let links = self.context.gatekeeper.links();
        let now = self.context.clock.now();
        let hours = self.context.gatekeeper.ticket_hours(&subject.canary, &subject.gate, now);
        let around = Surroundings {
            status_page: links.status_page.as_deref(),
            browse: &*links.browse,
            people,
            hours: hours.as_ref(),
        };
        ticket::draft(subject, route, &around)
            .map_err(|error| Failure::Stuck(format!("{}: {}", error.key, error.what)))
    }

    /// The accounts that the ticket names, and that the configuration names.
    async fn people(&self, route: &Route) -> ticket::People {
        self.lookups.named(route.ticket.assignee.as_deref(), &route.approval).await
    }

    /// The account id or user name of the assignee, unless it is not known, or Jira refused it lately.
    fn assignee(&self, row: i64, route: &Route, people: &ticket::People) -> Option<String> {
        let entry = route.ticket.assignee.as_deref()?;
        if self.lookups.is_assignee_refused(&route.ticket.project, entry)
            || self.lookups.is_without_assignee(row)
        {
            return None;
        }
        let account = people.account(entry);
        if account.is_none() {
            let key = route.key_of("assignee");
            tracing::warn!(
                key,
                "Jira does not show the account that is to be the assignee of a ticket; the ticket is opened without an assignee"
            );
        }
        account.map(|account| account.id.clone())
    }

    /// The result of an earlier attempt, as far as the search shows: it created a ticket that is certainly ours, or
    /// may still have created one.
    async fn search(
        &self,
        row: &OutboxRow,
        subject: &Subject,
        gate: &GateId,
        sent_to: &[Home],
        sent: Millis,
    ) -> Result<Option<CommandResult>, Failure> {
        let asked = self.context.clock.now();
        let route = self.context.gatekeeper.route(&subject.canary, &subject.gate);
        let labels = labels(route, subject);
        let mut others = duplicates::newly_found(self.context, gate, &labels).await?;
        // An existing issue that is just being made the gate's ticket was not opened by the lost request.
        if let Command::Open { takes: Some(Taking { id, .. }), .. } = &row.command {
            others.retain(|found| found.id != *id);
        }
        if !others.is_empty() {
            let Ticket { id, key, project, issue_type, .. } = others.remove(0);
            let found = Home { project, issue_type };
            // If the ticket is not where it was sent to, a person has already moved it.
            let home = sent_to.iter().find(|home| **home == found).or(sent_to.last());
            let ticket = ticket(home.unwrap_or(&found).clone(), id, key);
            return Ok(Some(CommandResult::Opened { ticket, others }));
        }
        if asked.since(sent) <= self.context.config().jira.index_lag + SENT_WITHIN {
            let why = "Jira did not answer when the ticket was opened; the bridge searches for it".into();
            let at = self.context.clock.now() + SEARCH_EVERY.min(self.context.config().jira.index_lag);
            return Ok(Some(CommandResult::Later { at, why }));
        }
        Ok(None)
    }

    /// Sends the create. The time of sending is stored first, in `row`, which the caller settles. The ticket of a bypass
    /// is created also if no gate waits for it.
    async fn create(
        &self,
        row: &mut OutboxRow,
        draft: &jira::Draft,
        subject: &Subject,
    ) -> Result<CommandResult, Failure> {
        let Context { jira, clock, lease, .. } = self.context;
        let home = Home { project: draft.project.clone(), issue_type: draft.issue_type.clone() };
        // The rate limiter comes first: the stored time must be that of sending, not of queueing.
        let slot = jira.create_permit().await;
        let writing = self.writing.lock().await;
        let tx = self.context.begin_if_leading().await?;
        let (now, recorded) = (clock.now(), clock.stopwatch());
        let mut tx = tx.ok_or(Failure::Aborted(StepOutcome::Standby))?;
        let canary = match tx.canary(&row.canary).await {
            Ok(canary) => canary,
            Err(error @ store::Error::Corrupt { .. }) => return Ok(self.retry(row, error.to_string())),
            Err(error) => return Err(error.into()),
        };
        if subject.bypass.is_none() && !waits(&canary, &draft.gate) {
            // The rollout ended while the request waited. After catching up, the next step finds that out.
            drop(tx);
            self.context.store().catch_up().await?;
            return Err(Failure::Aborted(StepOutcome::Done));
        }
        let claimed = tx.claim(row.id, Some(now)).await?;
        // If it was sent meanwhile, the next step searches first.
        let claimed = claimed.filter(|claimed| claimed.unknown_since == row.unknown_since);
        *row = claimed.ok_or(Failure::Aborted(StepOutcome::Done))?;
        let rules = self.context.gatekeeper.validity(&row.canary, &subject.gate, None, now).into();
        record_home(&mut tx, row.clone(), home.clone(), rules, now).await?;
        tx.commit().await?;
        drop(writing);
        let (lease, term) = (lease.clone(), lease.term());
        let permit = move || lease.holds(term) && recorded.elapsed() < SENT_WITHIN;
        match jira::fenced(permit, jira.create(slot, draft)).await {
            Ok(created) => {
                if draft.request.is_some()
                    && let Err(error) = jira.mark(&created.id, &draft.gate, &draft.labels).await
                {
                    // It exists, so the next attempt finds it, and marks it.
                    row.attempts = 0;
                    return Ok(CommandResult::Failed { error, sent: Some(now) });
                }
                let ticket = ticket(home, created.id, created.key);
                if let Some(Shown::Unreadable { why }) = &subject.change {
                    let (canary, ticket) = (&subject.canary, ticket.key.as_str());
                    tracing::warn!(%canary, ticket, why, "the cluster could not be read, so the ticket does not show what changes");
                }
                Ok(CommandResult::Opened { ticket, others: vec![] })
            }
            Err(error) => match error.side_effect() {
                SideEffect::Unknown => {
                    // The next attempt searches, and soon: the number of earlier attempts is no reason to wait.
                    row.attempts = 0;
                    Ok(CommandResult::Failed { error, sent: Some(now) })
                }
                // This request had no effect, but an earlier one may have had one.
                SideEffect::None => Err(error.into()),
            },
        }
    }

    /// If Jira refused the ticket because of its assignee, or does not say because of which field: the result, after
    /// which the next attempt names no assignee. The ticket matters more.
    fn without_assignee(
        &self,
        row: &OutboxRow,
        draft: &jira::Draft,
        subject: &Subject,
        error: &jira::Error,
    ) -> Option<CommandResult> {
        let refused = draft.assignee.as_ref().and_then(|_| error.refused_fields())?;
        let is_named = refused.iter().any(|field| field == "assignee");
        if !is_named && !refused.is_empty() {
            return None;
        }
        let route = self.context.gatekeeper.route(&subject.canary, &subject.gate);
        match &route.ticket.assignee {
            // Perhaps somebody to whom no ticket of the project can be assigned.
            Some(entry) if is_named => self.lookups.assignee_refused(&route.ticket.project, entry),
            // Perhaps it was something else in this ticket, which says nothing about others.
            _ => self.lookups.try_without_assignee(row.id),
        }
        let key = route.key_of("assignee");
        tracing::warn!(canary = %subject.canary, key, "{error}; the ticket is opened without an assignee");
        let why = "Jira refused the ticket with its assignee; it is opened without one".to_owned();
        Some(CommandResult::Later { at: self.context.clock.now(), why })
    }

    /// The row of the canary cannot be read, so it is unknown whether the gate is live: the bridge opens nothing and
    /// drops nothing until the row is repaired.
    fn retry(&self, row: &OutboxRow, why: String) -> CommandResult {
        CommandResult::Retry { at: self.context.retry_at(row.attempts), why }
    }
}

/// Stores where the ticket is about to be opened, and which settings it shows. If it may have been opened already, also enqueues a later search
/// for a second one.
async fn record_home(
    tx: &mut WriteTx,
    mut row: OutboxRow,
    home: Home,
    rules: ShownRules,
    now: Millis,
) -> Result<(), store::Error> {
    let Command::Open { gate, subject, sent_to, shows, .. } = &mut row.command else { return Ok(()) };
    let later = duplicates::search_later(gate, subject, now);
    if !sent_to.contains(&home) {
        sent_to.push(home);
    }
    // A sending that certainly had no effect shows nothing. Of the others any may have opened it: if their settings
    // differ, or are not known, a comment says which count.
    let certainly_this_one = row.unknown_since.is_none() || *shows == Some(rules);
    *shows = Some(if certainly_this_one { rules } else { ShownRules::UNCLEAR });
    tx.update_command(&row, &row.command).await?;
    if row.unknown_since.is_some() {
        tx.enqueue(&row.canary, &later, now).await?;
    }
    Ok(())
}

fn labels(route: &Route, subject: &Subject) -> Vec<String> {
    let recorded = match route.approval.mode {
        ApprovalMode::Record if subject.bypass.is_none() => Some(ticket::RECORDED_LABEL.to_owned()),
        ApprovalMode::Record | ApprovalMode::Required => None,
    };
    route.ticket.labels.iter().cloned().chain(ticket::labels(&subject.canary)).chain(recorded).collect()
}

fn waits(canary: &Canary, gate: &GateId) -> bool {
    canary.gate_by_id(gate).is_some_and(|gate| gate.ticket().is_none())
}

fn ticket(home: Home, id: String, key: String) -> Ticket {
    Ticket { id, key, project: home.project, issue_type: home.issue_type, taken_at: None }
}
