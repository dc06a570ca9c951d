//! Refused calls. Flagger does not show the bridge's answers, so each refusal is logged once and then counted, and
//! shown on the page, in the API and as a metric.

mod hint;

use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use secrecy::ExposeSecret as _;
use serde::Serialize;

pub(crate) use self::hint::{
    METHOD, NAME_RULES, SIGNATURE, TOKEN, for_connection, for_parameter, for_path, nearest_hook, slug,
};
use crate::{
    lock::lock,
    metrics::{ListenerLabel, Metrics, RefusalReason},
    millis::Millis,
    secret::Secret,
    text,
    view::Rfc3339,
};

/// The most rows that are kept for each listener's authenticated callers, and for its unauthenticated ones. So a flood
/// of invented calls does not push out the rows of authenticated callers.
const MAX_ROWS: usize = 100;
/// How many of these rows one address may have.
const MAX_ROWS_PER_ADDRESS: usize = MAX_ROWS / 2;
/// A row is dropped if its call did not come again for this long. If it comes back, it is logged again.
const DROP_ROW_AFTER: Duration = Duration::from_secs(24 * 3600);
/// When all rows are taken, a call that came only once is dropped after this.
const DROP_SINGLE_AFTER: Duration = Duration::from_secs(60);
/// The most lines logged for each group within [`LOG_WINDOW`].
const MAX_LOG_LINES: u32 = 30;
const LOG_WINDOW: Duration = Duration::from_secs(600);
/// The longest part of a path that is kept, in characters.
const MAX_PATH_CHARS: usize = 100;

/// Whether the caller has authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Authentication {
    /// It has, or no token is configured.
    Authenticated,
    /// It has not.
    Unauthenticated,
}

/// A call that was refused.
#[derive(Clone, Debug)]
pub struct RefusedCall {
    /// The listener that refused it.
    pub listener: ListenerLabel,
    /// Whether the caller has authenticated.
    pub authentication: Authentication,
    /// The caller's address, if known.
    pub source: Option<IpAddr>,
    /// The path without its query, as the caller sent it. Empty if no request arrived.
    pub path: String,
    /// The canary it is about, if known: `namespace/name`.
    pub canary: Option<String>,
    /// The kind of reason, a label of the metric.
    pub reason: RefusalReason,
    /// The reason as text.
    pub message: String,
    /// What to change.
    pub hint: String,
}

/// A row of refused calls, as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub struct RefusedView {
    /// The listener that refused them.
    pub listener: ListenerLabel,
    /// The caller's address.
    pub source: String,
    /// The path; empty if no request arrived.
    pub path: String,
    /// The canary, if known: `namespace/name`.
    pub canary: Option<String>,
    /// The kind of reason, a label of the metric.
    pub kind: RefusalReason,
    /// The reason as text.
    pub reason: String,
    /// What to change.
    pub hint: String,
    /// When the first was refused.
    pub first: Rfc3339,
    /// When the last was refused.
    pub last: Rfc3339,
    /// How many were refused.
    pub count: u64,
}

/// Recently refused calls. Kept only in memory, and bounded.
#[derive(Default)]
pub struct RefusedCalls {
    groups: Mutex<BTreeMap<(ListenerLabel, Authentication), RefusalGroup>>,
    /// Secrets, which are masked wherever they appear, for instance in a path.
    secrets: Vec<Secret>,
}

#[derive(Default)]
struct RefusalGroup {
    rows: BTreeMap<RefusalKey, RefusalRow>,
    /// Calls for which no row was free.
    others: Option<RefusalRow>,
    /// The start of the current log window, and the number of lines in it.
    lines: (Millis, u32),
}

/// Calls with equal keys share a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RefusalKey {
    source: Option<IpAddr>,
    canary: Option<String>,
    reason: RefusalReason,
    message: String,
    path: String,
}

impl RefusalKey {
    /// Whether both are logged as one line.
    fn is_logged_with(&self, other: &Self) -> bool {
        (self.source, self.reason) == (other.source, other.reason)
            && self.canary == other.canary
            && self.message == other.message
    }
}

struct RefusalRow {
    hint: String,
    first: Millis,
    last: Millis,
    count: u64,
}

/// Whether a refusal is to be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LogDecision {
    /// It is the first of its kind.
    Log,
    /// It was already logged.
    AlreadyLogged,
    /// There are too many: log only that.
    TooMany,
}

impl fmt::Debug for RefusedCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").finish_non_exhaustive()
    }
}

impl RefusedCalls {
    /// An empty list that masks these secrets.
    #[must_use]
    pub fn masking(secrets: Vec<Secret>) -> Self {
        Self { groups: Mutex::default(), secrets }
    }

    /// Counts a refused call, and logs it if it is new.
    pub fn refuse(&self, refusal: RefusedCall, metrics: &Metrics, now: Millis) {
        metrics.call_refused(refusal.listener, refusal.reason);
        let RefusedCall { listener, authentication, source, path, canary, reason, message, hint } = refusal;
        let path = text::single_line(&path).chars().take(MAX_PATH_CHARS).collect();
        let [path, message] = [path, message].map(|words| self.without_secrets(words));
        let key = RefusalKey { source, canary, reason, message, path };
        let decision = self.count((listener, authentication), &key, &hint, now);
        if decision == LogDecision::TooMany {
            tracing::warn!(
                listener = listener.as_str(),
                "more callers are refused than the log lists; see /api/refused, and calls_refused_total"
            );
        }
        if decision != LogDecision::Log {
            return;
        }
        let RefusalKey { canary, message, path, .. } = key;
        let (source, canary) = (source_text(source), canary.unwrap_or_else(|| "not known".to_owned()));
        match listener {
            ListenerLabel::Gate => tracing::warn!(
                source,
                canary,
                path,
                why = message,
                hint,
                "refused a call at the gate listener; the hint says what to change"
            ),
            ListenerLabel::Webhook => tracing::warn!(
                source,
                path,
                why = message,
                hint,
                "refused a call at the webhook listener; the hint says what to change"
            ),
        }
    }

    fn count(
        &self,
        group: (ListenerLabel, Authentication),
        key: &RefusalKey,
        hint: &str,
        now: Millis,
    ) -> LogDecision {
        let mut groups = self.groups();
        let group = groups.entry(group).or_default();
        if let Some(row) = group.rows.get_mut(key) {
            row.last = row.last.max(now);
            row.count += 1;
            return LogDecision::AlreadyLogged;
        }
        let already_logged = group.rows.keys().any(|other| other.is_logged_with(key));
        if !group.has_room(key, now) {
            let new = || RefusalRow { hint: String::new(), first: now, last: now, count: 0 };
            let others = group.others.get_or_insert_with(new);
            others.last = now;
            others.count += 1;
            return group.log_decision(now, false);
        }
        group.rows.insert(key.clone(), RefusalRow { hint: hint.to_owned(), first: now, last: now, count: 1 });
        if already_logged { LogDecision::AlreadyLogged } else { group.log_decision(now, true) }
    }

    /// The refused calls, newest first.
    #[must_use]
    pub fn recent(&self, now: Millis) -> Vec<RefusedView> {
        let mut groups = self.groups();
        let mut views = Vec::new();
        for ((listener, _), group) in groups.iter_mut() {
            group.drop_old_rows(now);
            let view = |key: &RefusalKey, row: &RefusalRow| RefusedView {
                listener: *listener,
                source: source_text(key.source),
                path: key.path.clone(),
                canary: key.canary.clone(),
                kind: key.reason,
                reason: key.message.clone(),
                hint: row.hint.clone(),
                first: Rfc3339(row.first),
                last: Rfc3339(row.last),
                count: row.count,
            };
            views.extend(group.rows.iter().map(|(key, row)| view(key, row)));
            let unlisted = RefusalKey {
                source: None,
                canary: None,
                reason: RefusalReason::Crowded,
                message: "more calls were refused than are listed".to_owned(),
                path: String::new(),
            };
            views.extend(group.others.iter().map(|row| view(&unlisted, row)));
        }
        views.sort_by_key(|view| std::cmp::Reverse(view.last.0));
        views
    }

    fn without_secrets(&self, words: String) -> String {
        let secrets = self.secrets.iter().flat_map(Secret::values);
        secrets.fold(words, |words, secret| match secret.expose_secret() {
            "" => words,
            secret => words.replace(secret, "…"),
        })
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<(ListenerLabel, Authentication), RefusalGroup>> {
        lock(&self.groups)
    }
}

impl RefusalGroup {
    fn drop_old_rows(&mut self, now: Millis) {
        self.rows.retain(|_, row| now.since(row.last) < DROP_ROW_AFTER);
        self.others.take_if(|row| now.since(row.last) >= DROP_ROW_AFTER);
    }

    /// Whether one more row fits. If not, drops an old row of a call that came only once.
    fn has_room(&mut self, key: &RefusalKey, now: Millis) -> bool {
        let of_address = |rows: &BTreeMap<RefusalKey, RefusalRow>| {
            rows.keys().filter(|other| other.source == key.source).count()
        };
        if self.rows.len() < MAX_ROWS && of_address(&self.rows) < MAX_ROWS_PER_ADDRESS {
            return true;
        }
        self.drop_old_rows(now);
        let is_address_full = of_address(&self.rows) >= MAX_ROWS_PER_ADDRESS;
        if !is_address_full && self.rows.len() < MAX_ROWS {
            return true;
        }
        let came_once = self.rows.iter().filter(|(other, row)| {
            row.count == 1
                && now.since(row.last) >= DROP_SINGLE_AFTER
                && (!is_address_full || other.source == key.source)
        });
        let oldest = came_once.min_by_key(|(_, row)| row.last).map(|(key, _)| key.clone());
        oldest.is_some_and(|oldest| self.rows.remove(&oldest).is_some())
    }

    /// Decides whether to log one more line now.
    fn log_decision(&mut self, now: Millis, is_row: bool) -> LogDecision {
        let (since, lines) = &mut self.lines;
        if *lines == 0 || now.since(*since) >= LOG_WINDOW {
            (*since, *lines) = (now, 0);
        }
        *lines = lines.saturating_add(1);
        match *lines {
            ..=MAX_LOG_LINES if is_row => LogDecision::Log,
            ..=MAX_LOG_LINES => {
                *lines = MAX_LOG_LINES + 1;
                LogDecision::TooMany
            }
            lines if lines == MAX_LOG_LINES + 1 => LogDecision::TooMany,
            _ => LogDecision::AlreadyLogged,
        }
    }
}

fn source_text(source: Option<IpAddr>) -> String {
    source.map_or_else(|| "not known".to_owned(), |source| source.to_string())
}

#[cfg(test)]
mod tests;
