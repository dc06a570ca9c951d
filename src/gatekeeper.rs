//! The one way in: questions, reports, nudges and sightings are applied to the canary they are about, and saved.
//!
//! [`Gatekeeper::apply`] is the only place that loads, applies and saves. A question that changes nothing is answered
//! from memory; one that does costs one local transaction. No question ever waits for Jira.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rand::Rng as _;
use tokio::{sync::watch, time::timeout};

use crate::{
    gate::{GateId, GateName, Pace, Trust},
    metrics::Metrics,
    millis::Millis,
    policy::{Approval, Policy, Route},
    rollout::{
        Budget, Canary, CanaryId, Change, Command, Event, Fact, Message, Refusal, Report, Room, Rules,
    },
    store::{self, Store, Turn},
    ticket::{self, Subject},
};

mod answer;
mod audit;
mod list;
mod nudges;
mod overview;
mod record;
mod refused;
mod unread;

pub use answer::{Answer, Links, clock_time};
pub use list::{Listed, counts};
pub use nudges::Nudged;
use nudges::Nudges;
pub use overview::Overview;
use refused::{News, Refused};
pub use store::Error as StoreFailed;
pub use unread::Unread;

/// For how long a question waits for the database. Flagger gives up after 10 s, and two such waits may follow each other.
const ANSWERED_WITHIN: Duration = Duration::from_secs(4);

/// Flagger asks whether it may go on.
#[derive(Clone, Debug)]
pub struct Question {
    /// About which canary.
    pub canary: CanaryId,
    /// At which gate.
    pub gate: GateName,
    /// What it says of the rollout.
    pub message: Message,
    /// The hook's own metadata, without any token: words from outside.
    pub metadata: BTreeMap<String, String>,
}

/// The settings that hold for all gates.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For how long an answer of Jira proves an approval.
    pub trust_for: Duration,
    /// After this much silence an opened gate is not believed to be of the same rollout.
    pub idle_after: Duration,
    /// After this much silence a rollout has ended.
    pub abandon_after: Duration,
    /// New tickets an hour for one canary.
    pub tickets_per_canary_per_hour: usize,
    /// Live tickets in all.
    pub open_tickets: usize,
}

/// What an event did to a canary, in a turn that is not committed yet.
#[derive(Debug)]
#[must_use]
pub struct Applied {
    /// The canary as it is now.
    pub canary: Canary,
    /// What is to be recorded once the turn is committed.
    pub facts: Vec<Fact>,
}

/// Applies what is heard, and answers.
pub struct Gatekeeper {
    store: Store,
    policy: Policy,
    timing: Timing,
    links: Links,
    metrics: Arc<Metrics>,
    work: watch::Sender<()>,
    /// What limits refused lately, for the page.
    refused: Refused,
    nudges: Nudges,
    unread: Unread,
}

impl Gatekeeper {
    /// A gatekeeper over this store.
    #[must_use]
    pub fn new(store: Store, policy: Policy, timing: Timing, links: Links, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            policy,
            timing,
            links,
            metrics,
            work: watch::Sender::new(()),
            refused: Refused::default(),
            nudges: Nudges::default(),
            unread: Unread::default(),
        }
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Where people read.
    #[must_use]
    pub const fn links(&self) -> &Links {
        &self.links
    }

    /// The settings that hold for all gates.
    #[must_use]
    pub const fn timing(&self) -> Timing {
        self.timing
    }

    /// Which tickets could not be read lately.
    #[must_use]
    pub const fn unread(&self) -> &Unread {
        &self.unread
    }

    /// Changes when there may be something to do in Jira.
    pub fn work(&self) -> watch::Receiver<()> {
        self.work.subscribe()
    }

    /// The settings of one gate.
    #[must_use]
    pub fn route(&self, canary: &CanaryId, gate: &GateName) -> &Route {
        let CanaryId { cluster, namespace, name } = canary;
        self.policy.route(cluster, namespace, name, gate.stage.as_str(), gate.approver.as_deref())
    }

    /// Answers a gate question. Never fails: trouble is a closed answer that says so.
    pub async fn ask(&self, question: &Question, now: Millis) -> Answer {
        let Question { canary: id, gate, message, metadata } = question;
        let heard = self.store.last_heard(id);
        let Approval { deny, .. } = &self.route(id, gate).approval;
        let deny = match deny.as_slice() {
            [] => Vec::new(),
            deny => {
                let subject = Subject::new(id.clone(), gate.clone(), message, metadata.clone());
                ticket::denied(&subject, deny)
            }
        };
        let trust = self.trust(id, gate);
        let event = |canary: &Canary, silent_for| Event::Asked {
            gate,
            message,
            metadata,
            deny: &deny,
            fresh: fresh_id(),
            silent_for,
            pace: canary.gate(gate).map_or_else(Pace::default, |known| self.store.pace(id, &known.id)),
        };
        match in_time(self.hear(id, heard, now, event)).await {
            Ok((canary, facts)) => {
                let answer = self.answer(&canary, gate, trust, now);
                match canary.gate(gate) {
                    Some(known) => {
                        self.store.answered(id, &known.id, answer.open, now);
                        record::answered(id, &answer, &facts);
                    }
                    None if canary.is_late(gate) => self.listen(id, now),
                    None => {
                        self.listen(id, now);
                        // As of now: the turn may have taken the last room.
                        if let Some(refusal) = canary.refusal(now, &self.rules(id, gate).budget) {
                            return self.refused(id, gate, refusal, now);
                        }
                    }
                }
                answer
            }
            Err(error) => {
                self.listen_in_vain(id, heard, now);
                tracing::error!(canary = %id, %gate, "{error}; the question is answered closed");
                answer::failed(id, gate.stage.as_str(), gate.approver.as_deref(), &error)
            }
        }
    }

    fn answer(&self, canary: &Canary, gate: &GateName, trust: Trust, now: Millis) -> Answer {
        let unread = canary.gate(gate).and_then(|gate| self.unread.trouble(&gate.id));
        self.links.answer(canary, gate, trust, unread.as_ref(), now)
    }

    /// The canary is heard of now, if it is known: of another no trace is kept.
    fn listen(&self, id: &CanaryId, now: Millis) {
        if self.store.canary(id).is_some() {
            self.store.hear(id, now);
        }
    }

    /// A message came that could not be stored. Flagger was not silent all the same; but a silence that was long enough
    /// to mean something is not broken by what left no trace.
    fn listen_in_vain(&self, id: &CanaryId, heard: Option<Millis>, now: Millis) {
        if silent_for(heard, now) < self.timing.idle_after.min(self.timing.abandon_after) {
            self.listen(id, now);
        }
    }

    /// The answer where a limit keeps the ticket from being opened.
    fn refused(&self, id: &CanaryId, gate: &GateName, refusal: Refusal, now: Millis) -> Answer {
        self.metrics.ticket_refused(refusal.key());
        let limit = match refusal {
            Refusal::PerCanary => self.timing.tickets_per_canary_per_hour,
            Refusal::Overall => self.timing.open_tickets,
        };
        let answer = answer::refused(id, gate, refusal, limit);
        if self.refused.note(id, gate, &answer.gate, now, self.timing.idle_after) == News::Fresh {
            let reason = &answer.gate.reason;
            tracing::warn!(canary = %id, %gate, reason, "a limit keeps the gate closed");
        }
        answer
    }

    /// Answers whether to roll back. It opens no ticket. Never fails.
    pub async fn ask_rollback(&self, id: &CanaryId, message: &Message, now: Millis) -> Answer {
        let heard = self.store.last_heard(id);
        let event = |_: &Canary, silent_for| Event::RollbackAsked { message, silent_for };
        match in_time(self.hear(id, heard, now, event)).await {
            Ok((canary, _)) => {
                self.listen(id, now);
                self.links.answer_rollback(&canary)
            }
            Err(error) => {
                self.listen_in_vain(id, heard, now);
                tracing::error!(canary = %id, "{error}; Flagger is told not to roll back");
                answer::failed(id, answer::ROLLBACK, None, &error)
            }
        }
    }

    /// Takes note of a report. One about a canary that nobody asked about leaves no trace.
    ///
    /// # Errors
    /// If it could not be stored.
    pub async fn report(
        &self,
        id: &CanaryId,
        report: Report,
        message: &Message,
        words: Option<&str>,
        now: Millis,
    ) -> Result<(), store::Error> {
        // Reports are few, and nobody repeats one that was not understood: memory must be as new as the store.
        self.store.follow().await?;
        if self.store.canary(id).is_none() && self.store.unreadable_why(id).is_none() {
            return Ok(());
        }
        let heard = self.store.last_heard(id);
        let event = |_: &Canary, silent_for| Event::Reported { report, message, words, silent_for };
        match self.hear(id, heard, now, event).await {
            Ok(_) => self.store.hear(id, now),
            Err(error) => {
                self.listen_in_vain(id, heard, now);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Ends rollouts of which nothing was heard for too long.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn pass_time(&self, now: Millis) -> Result<(), store::Error> {
        let event = |_: &Canary, silent_for| Event::TimePassed { silent_for };
        for canary in self.store.live() {
            let heard = self.store.last_heard(&canary.id);
            match self.hear(&canary.id, heard, now, event).await {
                // The store has said what cannot be read; its gates are closed.
                Ok(_) | Err(store::Error::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Puts on record what changes nothing about the canary itself.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn note(
        &self,
        turn: &mut Turn,
        canary: Canary,
        fact: Fact,
        now: Millis,
    ) -> Result<Applied, store::Error> {
        turn.audit(&[self.entry(&fact, &canary, &canary, now)]).await?;
        Ok(Applied { canary, facts: vec![fact] })
    }

    /// Loads, applies, saves and puts on record, in a turn that the caller ends; then it hands the facts to [`Gatekeeper::record`].
    ///
    /// # Errors
    /// If the database fails, or the canary's row cannot be read.
    pub async fn apply(
        &self,
        turn: &mut Turn,
        id: &CanaryId,
        event: &Event<'_>,
        now: Millis,
    ) -> Result<Applied, store::Error> {
        let was = turn.canary(id).await?;
        match self.would(&was, event, now) {
            Change::Unchanged => Ok(Applied { canary: was, facts: Vec::new() }),
            Change::To { canary, mut commands, facts } => {
                commands.retain(|command| self.is_wanted(&canary.id, command));
                turn.save(&canary, &commands, now).await?;
                let entries: Vec<_> = facts.iter().map(|fact| self.entry(fact, &was, &canary, now)).collect();
                turn.audit(&entries).await?;
                Ok(Applied { canary, facts })
            }
        }
    }

    fn entry(&self, fact: &Fact, was: &Canary, is: &Canary, now: Millis) -> store::audit::Entry {
        let route = |gate: &GateName| self.route(&is.id, gate);
        let stands = |gate: &GateName| self.answer(is, gate, self.trust(&is.id, gate), now).gate;
        audit::entry(fact, was, is, route, stands, now)
    }

    /// What an event would do to a canary.
    pub fn would(&self, canary: &Canary, event: &Event<'_>, now: Millis) -> Change {
        let rules = match event {
            Event::Asked { gate, .. } => self.rules(&canary.id, gate),
            // They open no gate: how long an approval is valid does not matter to them.
            Event::RollbackAsked { .. }
            | Event::Reported { .. }
            | Event::Opened { .. }
            | Event::NotOpened { .. }
            | Event::Seen { .. }
            | Event::TimePassed { .. } => self.rules_with(Duration::MAX),
        };
        canary.apply(event, now, &rules)
    }

    /// Whether the configuration asks for this at all.
    fn is_wanted(&self, id: &CanaryId, command: &Command) -> bool {
        match command {
            Command::Move { name, milestone, .. } => {
                self.route(id, name).ticket.transitions.target(*milestone).is_some()
            }
            Command::Open { .. }
            | Command::Recount { .. }
            | Command::Comment { .. }
            | Command::Label { .. }
            | Command::Link { .. } => true,
        }
    }

    /// Logs and counts what was committed, and wakes the worker.
    pub fn record(&self, applied: &Applied, now: Millis) {
        for fact in &applied.facts {
            record::fact(&applied.canary.id, fact, &self.metrics, now);
        }
        if !applied.facts.is_empty() {
            self.work.send_replace(());
        }
    }

    /// Applies a message of Flagger: from memory if it changes nothing, else in a turn, where it is decided again by
    /// what is stored. Returns what the canary is then, and what was put on record.
    async fn hear<'a>(
        &self,
        id: &CanaryId,
        heard: Option<Millis>,
        now: Millis,
        event: impl Fn(&Canary, Duration) -> Event<'a> + Send + Sync,
    ) -> Result<(Arc<Canary>, Vec<Fact>), store::Error> {
        self.store.follow_by(now).await?;
        let (known, is_readable) = match self.store.canary(id) {
            Some(known) => (known, true),
            // Where the row cannot be read, memory knows nothing; the turn says why.
            None => (Arc::new(Canary::new(id.clone())), self.store.unreadable_why(id).is_none()),
        };
        let change = self.would(&known, &event(&known, silent_for(heard, now)), now);
        if matches!(change, Change::Unchanged) && is_readable {
            return Ok((known, Vec::new()));
        }
        // In a box, or each repeated question would carry the room for it.
        Box::pin(self.hear_in_turn(id, heard, now, event)).await
    }

    async fn hear_in_turn<'a>(
        &self,
        id: &CanaryId,
        heard: Option<Millis>,
        now: Millis,
        event: impl Fn(&Canary, Duration) -> Event<'a> + Send + Sync,
    ) -> Result<(Arc<Canary>, Vec<Fact>), store::Error> {
        let mut turn = self.store.turn().await?;
        // The limits count the gates of all replicas, as of this turn.
        turn.follow().await?;
        // Another replica may have heard of it more recently.
        let last_heard = turn.last_heard(id).await?.max(heard);
        let silent_for = silent_for(last_heard, now);
        let stored = turn.canary(id).await?;
        let applied = self.apply(&mut turn, id, &event(&stored, silent_for), now).await?;
        if stored == Canary::new(id.clone())
            && applied.canary.rollout.as_ref().is_some_and(|it| it.gates.is_empty())
        {
            // Beyond the limits no row is kept of a canary that nobody knew.
            return Ok((Arc::new(stored), Vec::new()));
        }
        if !applied.facts.is_empty() || applied.canary != stored {
            // What is written anyway keeps when the canary was heard of: a crash must not make it forget its silence.
            turn.hear(id, now).await?;
            turn.end().await?;
        }
        self.record(&applied, now);
        Ok((Arc::new(applied.canary), applied.facts))
    }

    /// How long an approval of this gate holds.
    fn trust(&self, canary: &CanaryId, gate: &GateName) -> Trust {
        let valid_for = self.route(canary, gate).approval.valid_for;
        Trust { trust_for: self.timing.trust_for, valid_for }
    }

    fn rules(&self, canary: &CanaryId, gate: &GateName) -> Rules {
        self.rules_with(self.route(canary, gate).approval.valid_for)
    }

    fn rules_with(&self, valid_for: Duration) -> Rules {
        let Timing { trust_for, idle_after, abandon_after, tickets_per_canary_per_hour, open_tickets } =
            self.timing;
        let room = if self.store.live_gates() < open_tickets { Room::Left } else { Room::None };
        let budget = Budget { per_hour: tickets_per_canary_per_hour, room };
        Rules { trust: Trust { trust_for, valid_for }, idle_after, abandon_after, budget }
    }
}

/// How long nothing was heard before `now`.
fn silent_for(heard: Option<Millis>, now: Millis) -> Duration {
    heard.map_or(Duration::ZERO, |at| now.since(at))
}

/// What is answered to Flagger is answered before Flagger gives up, whoever else holds the database.
async fn in_time<T>(work: impl Future<Output = Result<T, store::Error>>) -> Result<T, store::Error> {
    timeout(ANSWERED_WITHIN, work).await.unwrap_or(Err(store::Error::Busy))
}

/// 128 random bits.
fn fresh_id() -> GateId {
    let mut bits = [0; 16];
    rand::rng().fill_bytes(&mut bits);
    GateId(format!("{:032x}", u128::from_be_bytes(bits)))
}
