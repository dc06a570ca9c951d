//! Questions: each is answered, whatever happens.

use std::{collections::BTreeMap, time::Duration};

use rand::Rng as _;
use tokio::time::timeout;

use super::{
    answer::{self, Answer},
    apply::silent_for,
    handle::Gatekeeper,
    logging,
    refused_gates::Novelty,
};
use crate::{
    gate::{GateId, GateName, Pace},
    millis::Millis,
    policy::Approval,
    rollout::{Canary, CanaryId, Change, Event, Message, Subject, TicketLimit},
    store, ticket,
};

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

impl Gatekeeper {
    /// Answers a gate question. Never fails: trouble is a closed answer that says so.
    pub async fn ask(&self, question: &Question, now: Millis) -> Answer {
        let Question { canary: id, gate, message, metadata } = question;
        let heard = self.store.last_heard(id);
        let Approval { deny, .. } = &self.route(id, gate).approval;
        let (deny, denials) = match deny.as_slice() {
            [] => (Vec::new(), Vec::new()),
            deny => {
                let subject = Subject::new(id.clone(), gate.clone(), message, metadata.clone());
                let rendered = ticket::denied(&subject, deny);
                let its_own =
                    |(entry, rendered): &(&String, &String)| entry != rendered && !rendered.is_empty();
                let its_own = deny.iter().zip(&rendered).filter(its_own);
                let denials = its_own.map(|(_, rendered)| rendered.clone()).collect();
                (rendered, denials)
            }
        };
        let trust = self.trust(id, gate);
        let event = |canary: &Canary, silent_for| Event::Asked {
            gate,
            message,
            metadata,
            deny: &deny,
            denials: &denials,
            fresh: fresh_id(),
            silent_for,
            pace: canary.gate(gate).map_or_else(Pace::default, |known| self.store.pace(id, &known.id)),
        };
        match in_time(self.apply_message(id, heard, now, event)).await {
            Ok((canary, _)) if canary.misses_checksum(message) => {
                self.touch(id, now);
                self.missing_checksum(id, gate, now)
            }
            Ok((canary, audit_events)) => {
                let answer = self.answer(&canary, gate, trust, now);
                match canary.gate(gate) {
                    Some(known) => {
                        self.store.question_answered(id, &known.id, answer.open, now);
                        logging::log_answer(id, &answer, &audit_events);
                    }
                    None if canary.is_late(gate) => self.touch(id, now),
                    None => {
                        self.touch(id, now);
                        // As of now: the turn may have taken the last room.
                        if let Some(refusal) = canary.refusal(gate, now, &self.rules(id, gate).budget) {
                            return self.refused(&canary, gate, refusal, now);
                        }
                    }
                }
                answer
            }
            Err(error) => {
                self.touch_not_stored(id, heard, now);
                tracing::error!(canary = %id, %gate, "{error}; the question is answered closed");
                if let Some(canary) =
                    self.decided_from_cache(id, |known| event(known, silent_for(heard, now)), now)
                {
                    let answer = self.answer(&canary, gate, trust, now);
                    // A gate that would begin now was not stored.
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

    /// Answers whether to roll back. It opens no ticket. Never fails.
    pub async fn ask_rollback(&self, id: &CanaryId, message: &Message, now: Millis) -> Answer {
        let heard = self.store.last_heard(id);
        let event = |_: &Canary, silent_for| Event::RollbackAsked { message, silent_for };
        match in_time(self.apply_message(id, heard, now, event)).await {
            Ok((canary, _)) => {
                self.touch(id, now);
                self.links.answer_rollback(&canary)
            }
            Err(error) => {
                self.touch_not_stored(id, heard, now);
                let known = self.decided_from_cache(id, |known| event(known, silent_for(heard, now)), now);
                if let Some(canary) = known.filter(|canary| canary.rolls_back().is_some()) {
                    tracing::error!(canary = %id, "{error}; Flagger is told to roll back all the same, for its ticket was rejected");
                    return self.links.answer_rollback(&canary);
                }
                tracing::error!(canary = %id, "{error}; Flagger is told not to roll back");
                answer::failed(id, answer::ROLLBACK, None, &error)
            }
        }
    }

    /// What a canary would be after this, where it could not be stored and what was read of its tickets could not either:
    /// that closes, and a rejection rolls back, all the same.
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

    /// The canary is heard of now, if it is known: of another no trace is kept.
    fn touch(&self, id: &CanaryId, now: Millis) {
        if self.store.canary(id).is_some() {
            self.store.message_received(id, now);
        }
    }

    /// A message came that could not be stored. Flagger was not silent all the same; but a silence that was long enough
    /// to mean something is not broken by what left no trace.
    pub(super) fn touch_not_stored(&self, id: &CanaryId, heard: Option<Millis>, now: Millis) {
        if silent_for(heard, now) < self.config.rollout.idle_after.min(self.config.rollout.abandon_after) {
            self.touch(id, now);
        }
    }

    /// The answer where a limit keeps the ticket from being opened.
    fn refused(&self, canary: &Canary, gate: &GateName, refusal: TicketLimit, now: Millis) -> Answer {
        let id = &canary.id;
        self.metrics.ticket_refused(refusal.key());
        let limit = match refusal {
            TicketLimit::PerCanary => self.config.limits.tickets_per_canary_per_hour,
            TicketLimit::PerNamespace => self.config.limits.open_tickets_per_namespace,
            TicketLimit::Overall => self.config.limits.open_tickets,
        };
        let answer = answer::refused(id, gate, refusal, limit, canary.alternates(now));
        if self.refused_gates.refuse(id, gate, &answer.gate, now, self.config.rollout.idle_after) == Novelty::Fresh {
            let reason = &answer.gate.reason;
            tracing::warn!(canary = %id, %gate, reason, "a limit keeps the gate closed");
        }
        answer
    }

    /// The answer to a question without a checksum about a canary that sends them.
    fn missing_checksum(&self, id: &CanaryId, gate: &GateName, now: Millis) -> Answer {
        let answer = answer::missing_checksum(id, gate);
        if self.refused_gates.refuse(id, gate, &answer.gate, now, self.config.rollout.idle_after) == Novelty::Fresh {
            tracing::warn!(canary = %id, %gate, "a question without a checksum is answered closed, for this canary sends them; who asks?");
        }
        answer
    }
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
