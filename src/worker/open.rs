//! Opening tickets: claim, perform, settle.
//!
//! A create is not idempotent, and Jira has no key to make it so. Hence the time of sending is stored before it, and
//! whatever came of it, nothing is created again before Jira's search, which lags, has been asked for long enough
//! after the *last* sending.

use std::time::Duration;

use super::{Outcome, WORKFLOW, Worker, resolve};
use crate::{
    gate::{GateId, Ticket},
    jira::{self, Happened, Ownership, Retry, retry},
    millis::Millis,
    rollout::{Canary, Command, Event, Fact},
    store::{self, Lead, Opened, Row, Settled},
    ticket::{self, Subject},
};

/// How often Jira's search is asked for a ticket that may have been created.
const SEARCH_EVERY: Duration = Duration::from_secs(15);
/// How soon a command is tried again that waits for credentials; the client asks Jira no more often by itself.
const CREDENTIALS: Duration = Duration::from_secs(15);

/// Why a ticket was not opened.
enum Hindrance {
    /// Jira.
    Jira(jira::Error),
    /// The configuration.
    Config(String),
    /// It may have been created already, and the search does not show it yet.
    NotFoundYet,
}

impl From<jira::Error> for Hindrance {
    fn from(error: jira::Error) -> Self {
        Self::Jira(error)
    }
}

/// Everything needed to open the ticket of a gate.
struct Prepared {
    draft: jira::Draft,
    gate: GateId,
}

impl Worker {
    /// Performs the command that is due longest.
    ///
    /// # Errors
    /// If the database fails. What was done in Jira meanwhile is found again.
    pub async fn work_once(&self) -> Result<Outcome, store::Error> {
        if !self.leads() {
            return Ok(Outcome::Follows);
        }
        let Some(row) = self.gatekeeper.store().due(self.clock.now()).await? else {
            return Ok(Outcome::Idle);
        };
        match row.command.clone() {
            Command::Open { gate, subject } => self.open(row, gate, &subject).await,
            Command::Comment { .. } | Command::Label { .. } | Command::Move { .. } | Command::Link { .. } => {
                self.tell(row).await
            }
        }
    }

    async fn open(&self, row: Row, gate: GateId, subject: &Subject) -> Result<Outcome, store::Error> {
        let waits = self.waits_for_ticket(&row, &gate).await?;
        if !waits && row.sent.is_none() {
            // The rollout ended before its ticket was opened: now nobody needs it.
            return self.settle(&row, &gate, Settled::Done, None).await;
        }
        let prepared = match self.prepare(gate.clone(), subject).await {
            Ok(prepared) => prepared,
            Err(hindrance) => return self.hindered(&row, &gate, hindrance, row.sent).await,
        };
        if let Some(sent) = row.sent {
            match self.search(&prepared, sent).await {
                Ok(Some(ticket)) => return self.settle(&row, &gate, Settled::Done, Some(ticket)).await,
                Ok(None) if !waits => return self.settle(&row, &gate, Settled::Done, None).await,
                Ok(None) => {}
                Err(hindrance) => return self.hindered(&row, &gate, hindrance, Some(sent)).await,
            }
        }
        self.create(row, prepared).await
    }

    /// Whether the gate lives and has no ticket. The row may be newer than memory, which then has to follow first.
    async fn waits_for_ticket(&self, row: &Row, gate: &GateId) -> Result<bool, store::Error> {
        let store = self.gatekeeper.store();
        let waits = || store.canary(&row.canary).is_some_and(|canary| waits(&canary, gate));
        if !waits() {
            store.follow().await?;
        }
        Ok(waits())
    }

    async fn prepare(&self, gate: GateId, subject: &Subject) -> Result<Prepared, Hindrance> {
        let route = self.gatekeeper.route(&subject.canary, &subject.gate);
        let settings = &route.ticket;
        let page = self.gatekeeper.links().status_page.as_deref();
        let words = ticket::draft(subject, route, page)
            .map_err(|error| Hindrance::Config(format!("{}: {}", error.key, error.what)))?;
        let fields = serde_json::to_value(&words.fields)
            .map_err(|error| Hindrance::Config(format!("{}: {error}", route.key_of("fields"))))?;
        let workflow = self.workflow(&settings.project, &settings.issue_type, WORKFLOW).await?;
        // Known before the first decision is looked at, so that this takes one request.
        self.jira.account().await?;
        // A ticket that nobody could approve is not opened.
        resolve(route, &workflow).map_err(Hindrance::Config)?;
        let draft = jira::Draft {
            gate: gate.clone(),
            project: settings.project.clone(),
            issue_type: workflow.issue_type_id,
            summary: words.summary,
            description: words.description,
            labels: settings.labels.clone(),
            fields: fields.as_object().cloned().unwrap_or_default(),
        };
        Ok(Prepared { draft, gate })
    }

    /// The ticket that an earlier attempt created, if the search shows one that is certainly ours.
    async fn search(&self, prepared: &Prepared, sent: Millis) -> Result<Option<Ticket>, Hindrance> {
        let asked = self.clock.now();
        let mut ours = self.jira.find(&prepared.gate).await?;
        ours.retain(|found| found.ownership == Ownership::Ours);
        ours.sort_by_key(|found| found.id.parse::<u64>().unwrap_or(u64::MAX));
        if let [first, others @ ..] = ours.as_slice() {
            for other in others {
                tracing::warn!(ticket = first.key, duplicate = other.key, "a ticket was opened twice");
            }
            return Ok(Some(ticket(&prepared.draft, first.id.clone(), first.key.clone())));
        }
        if asked.since(sent) <= self.pace.index_lag {
            return Err(Hindrance::NotFoundYet);
        }
        Ok(None)
    }

    async fn create(&self, row: Row, prepared: Prepared) -> Result<Outcome, store::Error> {
        // The place under the rate limit comes first: what is stored must be the time of sending, not of queueing.
        let slot = self.jira.slot().await;
        let now = self.clock.now();
        let mut turn = self.gatekeeper.store().turn().await?;
        if turn.lead(&self.replica, now, false).await? == Lead::Follows {
            return Ok(Outcome::Follows);
        }
        if !waits(&turn.canary(&row.canary).await?, &prepared.gate) {
            // The rollout ended while the request waited for its turn; the next step finds that out.
            return Ok(Outcome::Did);
        }
        let Some(claimed) = turn.claim(row.id, Some(now)).await? else { return Ok(Outcome::Did) };
        turn.end().await?;
        if claimed.sent != row.sent {
            // Somebody sent it meanwhile; the next step searches first.
            return Ok(Outcome::Did);
        }
        match self.jira.create(slot, &prepared.draft).await {
            Ok(created) => {
                let ticket = ticket(&prepared.draft, created.id, created.key);
                self.settle(&row, &prepared.gate, Settled::Done, Some(ticket)).await
            }
            Err(error) => {
                let (row, sent) = match error.happened() {
                    // Next it is searched for, and soon: how often an earlier sending was is no reason to wait.
                    Happened::Maybe => (Row { attempts: 0, ..row }, Some(now)),
                    // This sending came to nothing, but an earlier one may still have.
                    Happened::No => {
                        let sent = row.sent;
                        (row, sent)
                    }
                };
                self.hindered(&row, &prepared.gate, Hindrance::Jira(error), sent).await
            }
        }
    }

    async fn hindered(
        &self,
        row: &Row,
        gate: &GateId,
        hindrance: Hindrance,
        sent: Option<Millis>,
    ) -> Result<Outcome, store::Error> {
        let settled = match hindrance {
            Hindrance::Config(why) => Settled::Parked { why, sent },
            Hindrance::NotFoundYet => {
                let why = "Jira did not answer when the ticket was opened; it is searched for".into();
                let at = self.clock.now() + SEARCH_EVERY.min(self.pace.index_lag);
                Settled::Again { at, why, sent }
            }
            Hindrance::Jira(error) => self.after(&error, row, sent),
        };
        self.settle(row, gate, settled, None).await
    }

    /// What becomes of a command that Jira did not do.
    pub(super) fn after(&self, error: &jira::Error, row: &Row, sent: Option<Millis>) -> Settled {
        let (now, why, spread) = (self.clock.now(), error.to_string(), rand::random::<f64>());
        let wait = match error.retry() {
            Retry::Never => return Settled::Parked { why, sent },
            Retry::NotBefore(wait) => retry::delay(0, Some(wait), spread),
            Retry::Backoff if matches!(error, jira::Error::Unauthorized { .. }) => CREDENTIALS,
            Retry::Now | Retry::Backoff => retry::delay(row.attempts, None, spread),
        };
        Settled::Again { at: now + wait, why, sent }
    }

    /// Notes what became of the command, and what that means for the gate, in one turn.
    async fn settle(
        &self,
        row: &Row,
        gate: &GateId,
        how: Settled,
        ticket: Option<Ticket>,
    ) -> Result<Outcome, store::Error> {
        let Command::Open { subject, .. } = &row.command else { return Ok(Outcome::Did) };
        let (now, late) = (self.clock.now(), ticket.clone());
        let mut turn = self.gatekeeper.store().turn().await?;
        let (outcome, event) = match (&how, ticket) {
            (Settled::Done, Some(ticket)) => {
                let canary = row.canary.clone();
                let (gate_id, name) = (gate.clone(), subject.gate.clone());
                let opened = Opened { gate: gate_id, canary, name, ticket: ticket.clone(), ended_at: None };
                turn.keep_ticket(&opened).await?;
                (Outcome::Did, Some(Event::Opened { gate, ticket }))
            }
            (Settled::Done, None) => (Outcome::Did, None),
            (Settled::Again { why, .. }, _) => {
                (Outcome::Postponed { why: why.clone() }, Some(Event::NotOpened { gate, why: why.clone() }))
            }
            (Settled::Parked { why, .. }, _) => {
                (Outcome::Parked { why: why.clone() }, Some(Event::NotOpened { gate, why: why.clone() }))
            }
        };
        turn.settle(row, &how, now).await?;
        let applied = match event {
            None => None,
            Some(event) => match self.gatekeeper.apply(&mut turn, &row.canary, &event, now).await {
                Ok(applied) => Some(applied),
                Err(error @ store::Error::Corrupt { .. }) => {
                    // The command is done all the same, and its ticket is kept.
                    tracing::error!("{error}; its gates stay closed");
                    None
                }
                Err(error) => return Err(error),
            },
        };
        let applied = match (applied, late) {
            (Some(applied), Some(ticket)) if applied.facts.is_empty() => {
                // Its rollout is over: the ticket is told so, and is on record all the same.
                let fact = Fact::TicketOpened { gate: subject.gate.clone(), ticket };
                Some(self.gatekeeper.note(&mut turn, applied.canary, fact, now).await?)
            }
            (applied, _) => applied,
        };
        turn.end().await?;
        if let Some(applied) = applied {
            self.gatekeeper.record(&applied, now);
        }
        Ok(outcome)
    }
}

fn waits(canary: &Canary, gate: &GateId) -> bool {
    canary.gate_by_id(gate).is_some_and(|gate| gate.ticket().is_none())
}

fn ticket(draft: &jira::Draft, id: String, key: String) -> Ticket {
    Ticket { id, key, project: draft.project.clone(), issue_type: draft.issue_type.clone() }
}
