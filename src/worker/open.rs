//! Opening tickets: claim, perform, settle.
//!
//! A create is not idempotent, and Jira has no key to make it so. Hence the time of sending is stored before it, and
//! whatever came of it, nothing is created again before Jira's search, which lags, has been asked for long enough
//! after the *last* sending.

use std::time::Duration;

use super::{
    Outcome, Worker, recount,
    workflow::{WORKFLOW, resolve},
};
use crate::{
    gate::{GateId, Home, Ticket},
    jira::{self, Happened, Retry, retry},
    millis::Millis,
    rollout::{Canary, Command, Event, Fact},
    store::{self, Opened, Row, Settled, Turn},
    ticket::{self, Subject},
};

/// How often Jira's search is asked for a ticket that may have been created.
const SEARCH_EVERY: Duration = Duration::from_secs(15);
/// A create goes out within this after its sending was recorded, or not at all.
const SENT_WITHIN: Duration = Duration::from_secs(5);
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

/// The ticket that a gate has from now on.
struct Adopted {
    ticket: Ticket,
    /// What else was found for the gate, and is ours.
    others: Vec<Ticket>,
}

impl Worker {
    /// Performs the command that is due longest.
    ///
    /// # Errors
    /// If the database fails. What was done in Jira meanwhile is found again.
    pub async fn work_once(&self) -> Result<Outcome, store::Error> {
        if !self.lease.leads() {
            return Ok(Outcome::Follows);
        }
        let Some(row) = self.gatekeeper.store().due(self.clock.now()).await? else {
            return Ok(Outcome::Idle);
        };
        match row.command.clone() {
            Command::Open { gate, subject, sent_to } => self.open(row, gate, &subject, &sent_to).await,
            Command::Recount { .. }
            | Command::Comment { .. }
            | Command::Label { .. }
            | Command::Move { .. }
            | Command::Link { .. } => self.tell(row).await,
        }
    }

    async fn open(
        &self,
        row: Row,
        gate: GateId,
        subject: &Subject,
        sent_to: &[Home],
    ) -> Result<Outcome, store::Error> {
        let waits = self.waits_for_ticket(&row, &gate).await?;
        if let Some(why) = self.gatekeeper.store().unreadable_why(&row.canary) {
            return self.put_off(&row, &gate, why).await;
        }
        if !waits && row.sent.is_none() {
            // The rollout ended before its ticket was opened: now nobody needs it.
            return self.settle(&row, &gate, Settled::Done, None).await;
        }
        if let Some(sent) = row.sent {
            match self.search(&gate, sent_to, sent).await? {
                Ok(Some(adopted)) => return self.settle(&row, &gate, Settled::Done, Some(adopted)).await,
                Ok(None) if !waits => return self.settle(&row, &gate, Settled::Done, None).await,
                Ok(None) => {}
                Err(hindrance) => return self.hindered(&row, &gate, hindrance, Some(sent)).await,
            }
        }
        match self.prepare(gate.clone(), subject).await {
            Ok(draft) => self.create(row, draft).await,
            Err(hindrance) => self.hindered(&row, &gate, hindrance, row.sent).await,
        }
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

    async fn prepare(&self, gate: GateId, subject: &Subject) -> Result<jira::Draft, Hindrance> {
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
        Ok(jira::Draft {
            gate,
            project: settings.project.clone(),
            issue_type: workflow.issue_type_id,
            summary: words.summary,
            description: words.description,
            labels: settings.labels.clone(),
            fields: fields.as_object().cloned().unwrap_or_default(),
        })
    }

    /// The ticket that an earlier attempt created, if the search shows one that is certainly ours.
    async fn search(
        &self,
        gate: &GateId,
        sent_to: &[Home],
        sent: Millis,
    ) -> Result<Result<Option<Adopted>, Hindrance>, store::Error> {
        let asked = self.clock.now();
        let mut others = match self.newly_found(gate).await? {
            Ok(found) => found,
            Err(error) => return Ok(Err(error.into())),
        };
        if !others.is_empty() {
            let Ticket { id, key, project, issue_type } = others.remove(0);
            let found = Home { project, issue_type };
            // Elsewhere than where it was sent to, somebody has moved it already.
            let home = sent_to.iter().find(|home| **home == found).or(sent_to.last());
            let ticket = ticket(home.unwrap_or(&found).clone(), id, key);
            return Ok(Ok(Some(Adopted { ticket, others })));
        }
        if asked.since(sent) <= self.pace.index_lag + SENT_WITHIN {
            return Ok(Err(Hindrance::NotFoundYet));
        }
        Ok(Ok(None))
    }

    async fn create(&self, row: Row, draft: jira::Draft) -> Result<Outcome, store::Error> {
        let home = Home { project: draft.project.clone(), issue_type: draft.issue_type.clone() };
        // The place under the rate limit comes first: what is stored must be the time of sending, not of queueing.
        let slot = self.jira.slot().await;
        let (now, recorded) = (self.clock.now(), self.clock.stopwatch());
        let Some(mut turn) = self.working_turn().await? else { return Ok(Outcome::Follows) };
        let canary = match turn.canary(&row.canary).await {
            Ok(canary) => canary,
            Err(error @ store::Error::Corrupt { .. }) => {
                drop(turn);
                return self.put_off(&row, &draft.gate, error.to_string()).await;
            }
            Err(error) => return Err(error),
        };
        if !waits(&canary, &draft.gate) {
            // The rollout ended while the request waited for its turn; the next step finds that out, if memory does.
            drop(turn);
            self.gatekeeper.store().follow().await?;
            return Ok(Outcome::Did);
        }
        let Some(claimed) = turn.claim(row.id, Some(now)).await? else { return Ok(Outcome::Did) };
        if claimed.sent != row.sent {
            // Somebody sent it meanwhile; the next step searches first.
            return Ok(Outcome::Did);
        }
        address(&mut turn, claimed.clone(), home.clone(), now).await?;
        turn.end().await?;
        let (lease, term) = (self.lease.clone(), self.lease.term());
        let permit = move || lease.holds(term) && recorded.elapsed() < SENT_WITHIN;
        match jira::only_while(permit, self.jira.create(slot, &draft)).await {
            Ok(created) => {
                let ticket = ticket(home, created.id, created.key);
                let adopted = Adopted { ticket, others: vec![] };
                self.settle(&claimed, &draft.gate, Settled::Done, Some(adopted)).await
            }
            Err(error) => {
                let (claimed, sent) = match error.happened() {
                    // Next it is searched for, and soon: how often an earlier sending was is no reason to wait.
                    Happened::Maybe => (Row { attempts: 0, ..claimed }, Some(now)),
                    // This sending came to nothing, but an earlier one may still have.
                    Happened::No => {
                        let sent = claimed.sent;
                        (claimed, sent)
                    }
                };
                self.hindered(&claimed, &draft.gate, Hindrance::Jira(error), sent).await
            }
        }
    }

    /// Whether the gate lives cannot be told, as its canary's row cannot be read: nothing is opened, and nothing is
    /// dropped, until the row is mended.
    async fn put_off(&self, row: &Row, gate: &GateId, why: String) -> Result<Outcome, store::Error> {
        let at = self.clock.now() + retry::delay(row.attempts, None, rand::random::<f64>());
        self.settle(row, gate, Settled::Again { at, why, sent: row.sent }, None).await
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
        let (now, why, spread) = (self.clock.now(), self.words(error), rand::random::<f64>());
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
        adopted: Option<Adopted>,
    ) -> Result<Outcome, store::Error> {
        let Command::Open { subject, .. } = &row.command else { return Ok(Outcome::Did) };
        let (now, late) = (self.clock.now(), adopted.as_ref().map(|adopted| adopted.ticket.clone()));
        let mut turn = self.gatekeeper.store().turn().await?;
        let event = match (&how, adopted) {
            (Settled::Done, Some(Adopted { ticket, others })) => {
                let canary = row.canary.clone();
                let (gate_id, name) = (gate.clone(), subject.gate.clone());
                let opened = Opened { gate: gate_id, canary, name, ticket: ticket.clone(), ended_at: None };
                turn.keep_ticket(&opened).await?;
                let of = (gate, &subject.gate);
                recount::close(&mut turn, &row.canary, of, Some(&ticket), &others, now).await?;
                Some(Event::Opened { gate, ticket })
            }
            (Settled::Done, None) => {
                if let Some(since) = row.sent {
                    // Jira may show later what nobody needs any more.
                    turn.enqueue(&row.canary, &again(gate, subject, since), now).await?;
                }
                None
            }
            (Settled::Again { why, .. } | Settled::Parked { why, .. }, _) => {
                Some(Event::NotOpened { gate, why: why.clone() })
            }
        };
        let ours = turn.settle(row, &how, now).await?;
        if !ours && late.is_none() {
            // Another replica has taken it over: that one says what became of it.
            return Ok(Outcome::Did);
        }
        let opened = matches!(event, Some(Event::Opened { .. }));
        let applied = match event {
            None => None,
            Some(event) => match self.gatekeeper.apply(&mut turn, &row.canary, &event, now).await {
                Ok(applied) => Some(applied),
                Err(error @ store::Error::Corrupt { .. }) => {
                    // The command is done all the same, and its ticket is kept.
                    tracing::debug!("{error}; what became of a command is not applied");
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
        if opened && let Some(canary) = self.gatekeeper.store().canary(&row.canary) {
            self.memory().turns.opened(canary, gate.clone());
        }
        if let Some(applied) = applied {
            self.gatekeeper.record(&applied, now);
        }
        Ok(Outcome::of(&how))
    }
}

/// Stores where the ticket is about to be opened; and if it may have been opened already, that it is to be looked for a
/// second one afterwards.
async fn address(turn: &mut Turn, mut row: Row, home: Home, now: Millis) -> Result<(), store::Error> {
    let Command::Open { gate, subject, sent_to } = &mut row.command else { return Ok(()) };
    let recount = again(gate, subject, now);
    if !sent_to.contains(&home) {
        sent_to.push(home);
    }
    turn.reword(&row, &row.command).await?;
    if row.sent.is_some() {
        turn.enqueue(&row.canary, &recount, now).await?;
    }
    Ok(())
}

fn again(gate: &GateId, subject: &Subject, since: Millis) -> Command {
    Command::Recount { gate: gate.clone(), name: subject.gate.clone(), since }
}

fn waits(canary: &Canary, gate: &GateId) -> bool {
    canary.gate_by_id(gate).is_some_and(|gate| gate.ticket().is_none())
}

fn ticket(home: Home, id: String, key: String) -> Ticket {
    Ticket { id, key, project: home.project, issue_type: home.issue_type }
}
