//! What the page shows beside the gates: parked commands, and what opened last.

use std::cmp::Reverse;

use serde_json::Value;

use super::{
    answer::AnswerLinks,
    audit::{BYPASSED, PASSED, UNASKED},
    handle::Gatekeeper,
};
use crate::{
    gate::GateId,
    rollout::Command,
    store::{self, Parked, audit},
    view::{ParkedView, PassedView, Rfc3339, UnaskedView},
};

/// The most entries that are shown of each kind.
const MAX_SHOWN: u32 = 20;

/// What the page shows beside the gates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// Commands that wait until an operator fixes the cause, longest first, up to a limit.
    pub parked: Vec<ParkedView>,
    /// How many commands are parked in all.
    pub parked_total: u64,
    /// How many other commands are to be performed.
    pub pending: u64,
    /// The approvals that let Flagger pass last, newest first.
    pub passed: Vec<PassedView>,
    /// Revisions that shipped recently without a question, newest first.
    pub unasked: Vec<UnaskedView>,
}

impl Gatekeeper {
    /// What the page shows beside the gates, from the database.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn overview(&self) -> Result<Overview, store::Error> {
        let backlog = self.store.backlog().await?;
        let parked = if backlog.parked == 0 && backlog.events == 0 {
            Vec::new()
        } else {
            self.store.parked(MAX_SHOWN).await?
        };
        let passed = self.store.newest_of_kind(PASSED, MAX_SHOWN).await?;
        let mut unasked = Vec::new();
        for kind in [UNASKED, BYPASSED] {
            for row in self.store.newest_of_kind(kind, MAX_SHOWN).await? {
                unasked.push(self.unasked_view(&row).await?);
            }
        }
        unasked.sort_by_key(|view| Reverse(view.at.0));
        unasked.truncate(MAX_SHOWN as usize);
        Ok(Overview {
            parked: parked.iter().map(|it| self.links.parked_views(it)).collect(),
            // Events that are parked are shown, too.
            parked_total: backlog.parked.max(parked.len() as u64),
            pending: backlog.pending,
            passed: passed.iter().map(|row| self.links.passed_views(row)).collect(),
            unasked,
        })
    }

    async fn unasked_view(&self, row: &audit::AuditRow) -> Result<UnaskedView, store::Error> {
        let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
        let text = |path: &str| detail.pointer(path).and_then(Value::as_str);
        let ticket = match text("/approved_before/0") {
            // If the row cannot be read, the code that needs the ticket reports that.
            Some(gate) => {
                let opened = self.store.ticket(&GateId(gate.to_owned())).await.ok().flatten();
                opened.map(|opened| opened.ticket.key)
            }
            None => text("/ticket/key").map(str::to_owned),
        };
        // The checksum, or the images, or at least the label.
        let version = ["/revision", "/now", "/rollout/label", "/rollout/revision"].into_iter().find_map(text);
        Ok(UnaskedView {
            canary: row.canary.clone(),
            revision: version.unwrap_or_default().to_owned(),
            ticket: ticket.map(|key| self.links.ticket_view(&key, None)),
            at: Rfc3339(row.at),
        })
    }
}

impl AnswerLinks {
    fn parked_views(&self, parked: &Parked) -> ParkedView {
        ParkedView {
            canary: parked.canary.clone(),
            what: parked
                .command
                .as_ref()
                .map_or("a command that this version cannot read", Command::describe)
                .to_owned(),
            ticket: parked.ticket.as_ref().map(|ticket| self.ticket_view(&ticket.key, None)),
            since: Rfc3339(parked.at),
            why: parked.why.clone(),
        }
    }

    fn passed_views(&self, row: &audit::AuditRow) -> PassedView {
        let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
        let word = |path: &str| detail.pointer(path).and_then(Value::as_str);
        let stage = word("/stage").unwrap_or_default();
        PassedView {
            canary: row.canary.clone(),
            gate: word("/gate").map_or_else(|| stage.to_owned(), |name| format!("{stage} ({name})")),
            ticket: word("/ticket/key").map(|key| self.ticket_view(key, None)),
            by: word("/decision/by/name").unwrap_or_default().to_owned(),
            at: Rfc3339(row.at),
        }
    }
}
