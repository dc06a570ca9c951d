//! Flagger's questions: each is answered, whatever happens.

use std::{collections::BTreeMap, time::Duration};

use rand::Rng as _;
use tokio::time::timeout;

use super::{
    answer::{self, Answer},
    apply::silent_for,
    handle::Gatekeeper,
    logging,
    refused_gates::Novelty,
    traffic_steps::{asked_about, known},
};
use crate::{
    gate::{Gate, GateId, GateName, Pace, Validity},
    millis::Millis,
    policy::{Approval, Route},
    rollout::{Canary, CanaryId, Change, Event, HoursOf, Message, StepReading, Subject, TicketLimit},
    store,
    text::one_line,
    ticket,
    view::Rfc3339,
};

/// At most so many characters of what a question sends as the key of its ticket are kept.
const LONGEST_NAMED: usize = 100;
/// Why a gate stays closed that is open by its rules, while nothing is stored of that: no opening goes unrecorded.
const UNRECORDED: &str = "nothing is stored of this opening, which is a mistake in the bridge";
/// How long a question waits for the database. Flagger gives up after 10 s, and there may be two such waits in a row.
const ANSWERED_WITHIN: Duration = Duration::from_secs(4);

/// A question of Flagger whether it may go on.
#[derive(Clone, Debug)]
pub struct Question {
    /// The canary it is about.
    pub canary: CanaryId,
    /// The gate it is about.
    pub gate: GateName,
    /// What it says about the rollout.
    pub message: Message,
    /// The hook's own metadata, without any token. Untrusted input.
    pub metadata: BTreeMap<String, String>,
}

impl Gatekeeper {
    /// Answers a gate question. Never fails: an error becomes a closed answer that names it.
    pub async fn ask(&self, question: &Question, now: Millis) -> Answer {
        let Question { canary: id, gate, message, metadata } = question;
        let last_message = self.store.last_message(id);
        let step = self.step_reading(id, gate).await;
        let before = self.store.canary(id).map(|known| asked_about(&known, gate, step.as_ref()));
        let observed = self.observe(id, Some(before.as_ref().unwrap_or(gate)), now).await;
        let analysis = self.clusters.analysis(id, now);
        let Approval { deny, .. } = &self.route(id, gate).approval;
        let (deny, denials) = match deny.as_slice() {
            [] => (Vec::new(), Vec::new()),
            deny => {
                let subject = Subject::new(id.clone(), gate.clone(), message, metadata.clone());
                let rendered = ticket::denied(&subject, deny);
                let rendered_only =
                    |(entry, rendered): &(&String, &String)| entry != rendered && !rendered.is_empty();
                let its_own = deny.iter().zip(&rendered).filter(rendered_only);
                let denials = its_own.map(|(_, rendered)| rendered.clone()).collect();
                (rendered, denials)
            }
        };
        let hours = |asked: &Gate| self.hours_now(id, asked, now);
        let names = named_ticket(self.route(id, gate), metadata);
        let validity = |canary: &Canary| {
            let asked_before = known(canary, gate, step.as_ref());
            let target = observed.proof(gate.stage, asked_before);
            Validity { target, ..self.validity(id, gate, asked_before, now) }
        };
        let event = |canary: &Canary, silent_for| Event::Asked {
            gate,
            message,
            metadata,
            names: names.as_deref(),
            deny: &deny,
            denials: &denials,
            new_id: fresh_id(),
            silent_for,
            pace: known(canary, gate, step.as_ref())
                .map_or_else(Pace::default, |known| self.store.pace(id, &known.id)),
            observed: observed.clone(),
            analysis,
            hours: HoursOf(&hours),
            step: step.clone(),
        };
        match in_time(self.apply_message(id, last_message, now, event)).await {
            Ok((canary, _)) if canary.misses_checksum(message) => {
                self.touch(id, now);
                self.missing_checksum(id, gate, now)
            }
            Ok((canary, audit_events)) => {
                let gate = &asked_about(&canary, gate, step.as_ref());
                let mut answer = self.answer_with(&canary, gate, validity(&canary), &observed, now);
                if answer.open && canary.gate(gate).is_none_or(|gate| gate.used.is_none()) {
                    tracing::error!(canary = %id, %gate, "{UNRECORDED}; the question is answered closed");
                    answer = answer::unrecorded(id, gate, UNRECORDED);
                }
                match canary.gate(gate) {
                    Some(known) => {
                        answer.gate.last_asked_at = Some(Rfc3339(now));
                        self.store.question_answered(id, &known.id, answer.open, now);
                        logging::log_answer(id, &answer, &audit_events);
                    }
                    None if canary.is_late(gate) => self.touch(id, now),
                    None if let Some(StepReading::Unread { why }) = &step => {
                        self.touch(id, now);
                        return self.unknown_step(id, gate, why, now);
                    }
                    None => {
                        self.touch(id, now);
                        // Checked by the current limits: the transaction may have used up the last free ticket.
                        if let Some(refusal) =
                            canary.refusal(gate, now, &self.rules(id, gate, None, now).budget)
                        {
                            return self.refused(&canary, gate, refusal, now);
                        }
                    }
                }
                answer
            }
            Err(error) => {
                self.touch_not_stored(id, last_message, now);
                tracing::error!(canary = %id, %gate, "{error}; the question is answered closed");
                if let Some(canary) =
                    self.decided_from_cache(id, |known| event(known, silent_for(last_message, now)), now)
                {
                    let gate = &asked_about(&canary, gate, step.as_ref());
                    let answer = self.answer_with(&canary, gate, validity(&canary), &observed, now);
                    // A gate that this question would have created was not stored.
                    let is_known = canary.gate(gate).is_some_and(|gate| {
                        self.store.canary(id).is_some_and(|stored| stored.gate_by_id(&gate.id).is_some())
                    });
                    if is_known && !answer.open {
                        return answer;
                    }
                }
                answer::failed(id, gate.stage.as_str(), gate.approver.as_deref(), &error)
            }
        }
    }

    /// Answers a rollback question. Opens no ticket. Never fails.
    pub async fn ask_rollback(&self, id: &CanaryId, message: &Message, now: Millis) -> Answer {
        let last_message = self.store.last_message(id);
        let observed = self.observe(id, None, now).await;
        let event =
            |_: &Canary, silent_for| Event::RollbackAsked { message, silent_for, observed: observed.clone() };
        match in_time(self.apply_message(id, last_message, now, event)).await {
            Ok((canary, _)) => {
                self.touch(id, now);
                self.links.answer_rollback(&canary)
            }
            Err(error) => {
                self.touch_not_stored(id, last_message, now);
                let known =
                    self.decided_from_cache(id, |known| event(known, silent_for(last_message, now)), now);
                if let Some(canary) = known.filter(|canary| canary.rolls_back().is_some()) {
                    tracing::error!(canary = %id, "{error}; the rollback question is answered with 200 all the same, because a ticket was rejected");
                    return self.links.answer_rollback(&canary);
                }
                tracing::error!(canary = %id, "{error}; the rollback question is answered with 403");
                answer::failed(id, answer::ROLLBACK, None, &error)
            }
        }
    }

    /// The canary after this event, if neither the event nor earlier readings of its tickets could be stored: those
    /// readings still close gates, and a rejection among them still rolls back. `None` if there are no such readings.
    fn decided_from_cache<'a>(
        &self,
        id: &CanaryId,
        event: impl FnOnce(&Canary) -> Event<'a>,
        now: Millis,
    ) -> Option<Canary> {
        let stored = self.store.canary(id)?;
        if self.unsaved_readings.readings(&stored).is_empty() {
            return None;
        }
        let known = self.unsaved_readings.as_read(stored);
        match self.preview(&known, &event(&known), now) {
            Change::Unchanged => Some((*known).clone()),
            Change::To { canary, .. } => Some(canary),
        }
    }

    /// Records that Flagger sent a message about this canary, if it is known. An unknown one leaves no trace.
    fn touch(&self, id: &CanaryId, now: Millis) {
        if self.store.canary(id).is_some() {
            self.store.message_received(id, now);
        }
    }

    /// Records a message that could not be stored: Flagger was not silent. But such a message does not end a silence
    /// that was already long enough to have consequences.
    pub(super) fn touch_not_stored(&self, id: &CanaryId, last_message: Option<Millis>, now: Millis) {
        if silent_for(last_message, now)
            < self.config.rollout.idle_after.min(self.config.rollout.abandon_after)
        {
            self.touch(id, now);
        }
    }

    /// The answer if a limit keeps the ticket from being opened.
    fn refused(&self, canary: &Canary, gate: &GateName, refusal: TicketLimit, now: Millis) -> Answer {
        let id = &canary.id;
        self.metrics.ticket_refused(refusal.key());
        let limit = match refusal {
            TicketLimit::PerCanary => self.config.limits.tickets_per_canary_per_hour,
            TicketLimit::PerNamespace => self.config.limits.open_tickets_per_namespace,
            TicketLimit::Overall => self.config.limits.open_tickets,
        };
        let answer = answer::refused(id, gate, refusal, limit, canary.alternates(now));
        if self.refused_gates.refuse(id, gate, &answer.gate, now, self.config.rollout.idle_after)
            == Novelty::New
        {
            let reason = &answer.gate.reason;
            tracing::warn!(canary = %id, %gate, reason, "a limit keeps the gate closed");
        }
        answer
    }

    /// The answer to a question without a checksum about a canary that sends them.
    fn missing_checksum(&self, id: &CanaryId, gate: &GateName, now: Millis) -> Answer {
        let answer = answer::missing_checksum(id, gate);
        if self.refused_gates.refuse(id, gate, &answer.gate, now, self.config.rollout.idle_after)
            == Novelty::New
        {
            tracing::warn!(canary = %id, %gate, "a question without a checksum is answered closed, because other questions about this canary have one; find out which caller sends it");
        }
        answer
    }

    /// The answer if it is not known which step of traffic a question is about.
    fn unknown_step(&self, id: &CanaryId, gate: &GateName, why: &str, now: Millis) -> Answer {
        let answer = answer::unknown_step(id, gate, why);
        if self.refused_gates.refuse(id, gate, &answer.gate, now, self.config.rollout.idle_after)
            == Novelty::New
        {
            tracing::warn!(canary = %id, %gate, why, "the bridge cannot read which step of traffic Flagger asks about; no ticket is opened for it, and the gate stays closed");
        }
        answer
    }
}

/// What a question sends as the key of its ticket, if `ticket.use` asks for it.
fn named_ticket(route: &Route, metadata: &BTreeMap<String, String>) -> Option<String> {
    let sent = metadata.get(route.ticket.use_metadata.as_deref()?)?;
    Some(one_line(sent, LONGEST_NAMED).trim().to_owned()).filter(|named| !named.is_empty())
}

/// Limits the wait, so that Flagger gets an answer before it gives up, even if the database is busy.
async fn in_time<T>(work: impl Future<Output = Result<T, store::Error>>) -> Result<T, store::Error> {
    timeout(ANSWERED_WITHIN, work).await.unwrap_or(Err(store::Error::Busy))
}

/// 128 random bits.
pub(super) fn fresh_id() -> GateId {
    let mut bits = [0; 16];
    rand::rng().fill_bytes(&mut bits);
    GateId(format!("{:032x}", u128::from_be_bytes(bits)))
}
