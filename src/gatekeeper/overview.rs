//! What the page shows beside the gates: commands that failed, and what happened last.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{sync::OwnedMutexGuard, time::Instant};

use super::{
    answer::AnswerLinks,
    audit::{BYPASSED, ENDED, EXPIRED, PASSED, RECORDED, ROLLED_BACK, SEEN, TIMED_OUT, UNASKED},
    handle::Gatekeeper,
    last_overview::LastOverview,
};
use crate::{
    gate::GateId,
    rollout::{Command, End},
    store::{self, CommandRetry, FailedCommand, audit},
    view::{FailedView, HistoryView, Overview, Rfc3339, TicketView, Tone, UnaskedView},
};

/// The most entries that are shown of each kind.
const MAX_SHOWN: u32 = 20;
/// The rows of the audit record that the history shows: their kind, and what their detail contains.
const HISTORY: [(&str, &str); 7] = [
    (PASSED, ""),
    (RECORDED, ""),
    (SEEN, "\"shows\":\"rejected\""),
    (ROLLED_BACK, ""),
    (TIMED_OUT, ""),
    (EXPIRED, ""),
    (ENDED, ""),
];

impl Gatekeeper {
    /// What the page shows beside the gates, from the database; at most `max_age` old unless the database is slow. One
    /// reading at a time, however many people look, and without a write since the last one it costs one row. It is
    /// finished and kept even if the caller stops waiting.
    ///
    /// # Errors
    /// In words, if the database fails.
    pub async fn overview(self: &Arc<Self>, max_age: Duration) -> Result<Arc<Overview>, String> {
        let came = Instant::now();
        let last = Arc::clone(&self.overview).lock_owned().await;
        if let Some(last) = &*last
            && last.answers(came, max_age, Instant::now())
        {
            return last.found.clone();
        }
        let this = Arc::clone(self);
        let reading = tokio::spawn(async move { this.update_overview(last).await });
        reading.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    async fn update_overview(
        &self,
        mut last: OwnedMutexGuard<Option<LastOverview>>,
    ) -> Result<Arc<Overview>, String> {
        let asked = Instant::now();
        let known = last.take().and_then(|last| Some((last.turn?, last.found.ok()?)));
        let (turn, found) = match self.store.last_turn().await {
            Ok(turn) => match known.filter(|(before, _)| *before == turn) {
                Some((_, overview)) => (Some(turn), Ok(overview)),
                None => (Some(turn), self.read_overview().await.map(Arc::new)),
            },
            Err(error) => (None, Err(error)),
        };
        let found = found.map_err(|error| error.to_string());
        *last = Some(LastOverview { asked, took: asked.elapsed(), turn, found: found.clone() });
        found
    }

    async fn read_overview(&self) -> Result<Overview, store::Error> {
        let backlog = self.store.backlog().await?;
        let failed = if backlog.parked + backlog.pending + backlog.events == 0 {
            Vec::new()
        } else {
            self.store.failed_commands(MAX_SHOWN).await?
        };
        let history = self.store.newest_of_kinds(&HISTORY, MAX_SHOWN).await?;
        let mut unasked = Vec::new();
        for row in self.store.newest_of_kinds(&[(UNASKED, ""), (BYPASSED, "")], MAX_SHOWN).await? {
            unasked.push(self.unasked_view(&row).await?);
        }
        let failed: Vec<_> = failed.iter().map(|it| self.failed_view(it)).collect();
        let parked_shown = failed.iter().filter(|it| it.parked).count() as u64;
        Ok(Overview {
            failed,
            // Events that are parked are shown, too.
            parked_total: backlog.parked.max(parked_shown),
            pending: backlog.pending,
            history: history.iter().map(|row| self.links.history_view(row)).collect(),
            unasked,
        })
    }

    fn failed_view(&self, failed: &FailedCommand) -> FailedView {
        let (parked, tried_at, next_try_at) = match failed.retry {
            CommandRetry::At(at) => (false, self.retries.tried_at(failed.id), Some(at)),
            CommandRetry::Parked { since } => (true, Some(since), self.retries.parked_retry()),
        };
        let mut ticket = failed.ticket.as_ref().map(|ticket| ticket.key.as_str());
        if let Some(Command::Notify { notification, .. }) = &failed.command {
            ticket = notification.ticket.as_deref();
        }
        FailedView {
            canary: failed.canary.clone(),
            what: failed
                .command
                .as_ref()
                .map_or("a command that this version cannot read", Command::describe)
                .to_owned(),
            ticket: ticket.map(|key| self.links.ticket_view(key, None)),
            parked,
            since: Rfc3339(failed.created_at),
            tried_at: tried_at.map(Rfc3339),
            next_try_at: next_try_at.map(Rfc3339),
            why: failed.why.clone(),
        }
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
    fn history_view(&self, row: &audit::AuditRow) -> HistoryView {
        let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
        let word = |path: &str| detail.pointer(path).and_then(Value::as_str);
        let (tone, outcome) = match row.kind.as_str() {
            PASSED => (Tone::Good, "told Flagger to go on".to_owned()),
            RECORDED => (Tone::Plain, "recorded, nobody asked".to_owned()),
            SEEN => (Tone::Bad, "rejected".to_owned()),
            ROLLED_BACK => (Tone::Bad, "told Flagger to roll back".to_owned()),
            TIMED_OUT => (Tone::Bad, "rejected: nobody decided in time".to_owned()),
            EXPIRED => (Tone::Plain, "approval expired".to_owned()),
            _ => {
                let how = word("/how").unwrap_or_default();
                let tone = match how {
                    how if how == End::Succeeded.as_str() => Tone::Good,
                    how if how == End::Failed.as_str() => Tone::Bad,
                    _ => Tone::Plain,
                };
                (tone, format!("rollout {how}"))
            }
        };
        let gate = word("/stage")
            .map(|stage| word("/gate").map_or_else(|| stage.to_owned(), |name| format!("{stage} ({name})")));
        let version = ["/rollout/label", "/rollout/change", "/rollout/revision"].into_iter().find_map(word);
        HistoryView {
            canary: row.canary.clone(),
            version: version.map(str::to_owned),
            tone,
            outcome,
            gate,
            tickets: self.tickets_of(&detail),
            by: word("/decision/by/name").map(str::to_owned),
            at: Rfc3339(row.at),
        }
    }

    /// The ticket of a row or, at the end of a rollout, those of its gates, each with what it showed.
    fn tickets_of(&self, detail: &Value) -> Vec<TicketView> {
        let key = |of: &Value| of["ticket"]["key"].as_str().map(str::to_owned);
        if let Some(key) = key(detail) {
            return vec![self.ticket_view(&key, None)];
        }
        let gates = detail["gates"].as_array().into_iter().flatten();
        let tickets = gates.filter_map(|gate| {
            let shows = gate["shows"].as_str().map(|shows| shows.replace('_', " "));
            Some(self.ticket_view(&key(gate)?, shows))
        });
        tickets.collect()
    }
}
