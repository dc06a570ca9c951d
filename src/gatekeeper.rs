//! The one way in: questions, reports and nudges are applied to the canary they are about, and saved.

use std::collections::BTreeMap;

use crate::{
    gate::GateName,
    millis::Millis,
    rollout::{CanaryId, Message, Report},
    view::GateView,
};

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

/// The answer to a question, in the shapes people and programs read.
#[derive(Clone, Debug)]
pub struct Answer {
    /// 200 or 403.
    pub open: bool,
    /// One line: verdict, ticket, status, link, reason.
    pub line: String,
    /// The same as an object.
    pub gate: GateView,
}

/// The database could not do it; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreFailed(String);

/// What became of a nudge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nudged {
    /// The ticket will be looked at now.
    Stored,
    /// No live gate has this ticket.
    Unknown,
}

/// Applies what is heard, and answers.
pub struct Gatekeeper {}

impl Gatekeeper {
    /// Answers a gate question. Never fails: trouble is a closed answer that says so.
    pub async fn ask(&self, question: &Question, now: Millis) -> Answer {
        let _ = (question, now);
        todo!()
    }

    /// Answers whether to roll back. It opens no ticket. Never fails.
    pub async fn ask_rollback(&self, canary: &CanaryId, message: &Message, now: Millis) -> Answer {
        let _ = (canary, message, now);
        todo!()
    }

    /// Takes note of a report.
    ///
    /// # Errors
    /// If it could not be stored.
    pub async fn report(
        &self,
        canary: &CanaryId,
        report: Report,
        message: &Message,
        now: Millis,
    ) -> Result<(), StoreFailed> {
        let _ = (canary, report, message, now);
        todo!()
    }

    /// Asks for a ticket to be looked at, by Jira's numeric issue id.
    ///
    /// # Errors
    /// If it could not be stored.
    pub async fn nudge(&self, ticket: &str, now: Millis) -> Result<Nudged, StoreFailed> {
        let _ = (ticket, now);
        todo!()
    }

    /// All live gates, those that wait longest first.
    #[must_use]
    pub fn gates(&self, now: Millis) -> Vec<GateView> {
        let _ = now;
        todo!()
    }
}
