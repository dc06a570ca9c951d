//! The metrics, for Prometheus. Labels have a fixed set of values: never a canary, a ticket or a person.

mod labels;
#[cfg(target_os = "linux")]
mod process;
mod refused;

use std::{fmt, sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use self::labels::{
    BuildLabels, DecisionLabels, HowLabel, MessageLabels, ReasonLabel, RefusedLabels, RequestLabels,
    StateLabel, VerdictLabels, WebhookLabels,
};
pub use self::{
    labels::{AnswerLabel, CHANNEL_FORMATS, DecisionLabel, MESSAGE_OUTCOMES, Source, WebhookOutcome},
    refused::{ListenerLabel, RefusalReason},
};
use crate::{
    gate::{Stage, Verdict},
    millis::Millis,
    rollout::{End, TicketLimit},
};

/// All metrics of a process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    verdicts: Family<VerdictLabels, Counter>,
    webhooks: Family<WebhookLabels, Counter>,
    jira_requests: Family<RequestLabels, Histogram, fn() -> Histogram>,
    jira_throttled: Counter<f64, AtomicU64>,
    outbox_rows: Family<StateLabel, Gauge>,
    outbox_oldest: Gauge<f64, AtomicU64>,
    gates: Family<StateLabel, Gauge>,
    rollouts_ended: Family<HowLabel, Counter>,
    tickets_refused: Family<ReasonLabel, Counter>,
    calls_refused: Family<RefusedLabels, Counter>,
    messages: Family<MessageLabels, Counter>,
    unasked: Counter,
    bypassed: Counter,
    poll_succeeded: Gauge<f64, AtomicU64>,
    approval_to_open: Histogram,
    decisions: Family<DecisionLabels, Histogram, fn() -> Histogram>,
    oldest_waiting: Gauge<f64, AtomicU64>,
    calendars_unusable: Gauge,
    overdue: Gauge,
    timed_out: Counter,
    /// Metrics of the process, whose names have no prefix.
    process: Registry,
}

/// The value of `stage` for a rollback question, which belongs to no stage.
const ROLLBACK: &str = "rollback";
/// The values of `how` that exist from the start.
const ENDS: [End; 5] = [End::Succeeded, End::Failed, End::Superseded, End::Abandoned, End::Recreated];
/// The values of `reason` that exist from the start: the keys of `[limits]`.
const LIMITS: [TicketLimit; 3] = [TicketLimit::PerCanary, TicketLimit::PerNamespace, TicketLimit::Overall];

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics, at zero. Series with known labels exist from the start, so that `rate` sees their first event.
    #[must_use]
    pub fn new() -> Self {
        let mut new = Self {
            registry: Registry::with_prefix("flagger_jira_bridge"),
            verdicts: Family::default(),
            webhooks: Family::default(),
            jira_requests: Family::new_with_constructor(request_times),
            jira_throttled: Counter::default(),
            outbox_rows: Family::default(),
            outbox_oldest: Gauge::default(),
            gates: Family::default(),
            rollouts_ended: Family::default(),
            tickets_refused: Family::default(),
            calls_refused: Family::default(),
            messages: Family::default(),
            unasked: Counter::default(),
            bypassed: Counter::default(),
            poll_succeeded: Gauge::default(),
            approval_to_open: Histogram::new([
                1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0, 259_200.0,
            ]),
            decisions: Family::new_with_constructor(decision_times),
            oldest_waiting: Gauge::default(),
            calendars_unusable: Gauge::default(),
            overdue: Gauge::default(),
            timed_out: Counter::default(),
            process: Registry::default(),
        };
        new.register();
        #[cfg(target_os = "linux")]
        new.process.register_collector(Box::new(process::ProcessCollector));
        new.start_at_zero();
        new
    }

    fn register(&mut self) {
        // The encoder appends `_total` to counters, and a period to each help text. The build is a constant gauge: the
        // older text format, which some scrapers still use, has no info type.
        let build = Family::<BuildLabels, Gauge>::default();
        build.get_or_create(&BuildLabels { version: env!("CARGO_PKG_VERSION") }).set(1);
        let all = &mut self.registry;
        all.register("gate_verdicts", "Gate questions answered", self.verdicts.clone());
        all.register("webhooks", "Calls of Flagger and Jira, by outcome", self.webhooks.clone());
        all.register("jira_request_seconds", "Requests to Jira", self.jira_requests.clone());
        all.register(
            "jira_throttled_seconds",
            "Time requests to Jira were held back",
            self.jira_throttled.clone(),
        );
        all.register("outbox_rows", "Commands to Jira that are not done yet", self.outbox_rows.clone());
        all.register(
            "outbox_oldest_seconds",
            "Age of the oldest command that is not done",
            self.outbox_oldest.clone(),
        );
        all.register("gates", "Live gates, by state", self.gates.clone());
        all.register("rollouts_ended", "Rollouts that ended, by how", self.rollouts_ended.clone());
        all.register("unasked", "Revisions that shipped without a question", self.unasked.clone());
        all.register("bypassed", "Approvals that were missing when a version shipped", self.bypassed.clone());
        all.register("tickets_refused", "Tickets not opened, by the limit hit", self.tickets_refused.clone());
        all.register("calls_refused", "Refused calls, by reason", self.calls_refused.clone());
        all.register(
            "messages",
            "Attempts to send a message to a channel, by outcome",
            self.messages.clone(),
        );
        all.register(
            "poll_last_success_timestamp_seconds",
            "When tickets were last read from Jira, in seconds since 1970",
            self.poll_succeeded.clone(),
        );
        all.register(
            "approval_to_open_seconds",
            "Time from an approval in Jira to the first answer it opened",
            self.approval_to_open.clone(),
        );
        all.register(
            "decision_seconds",
            "Time from Flagger's first question to a decision in Jira",
            self.decisions.clone(),
        );
        all.register(
            "oldest_waiting_seconds",
            "Time since Flagger's first question at the gate that has been waiting for a decision longest",
            self.oldest_waiting.clone(),
        );
        all.register(
            "calendars_unusable",
            "Calendars of freezes that cannot be used, so that their gates stay closed",
            self.calendars_unusable.clone(),
        );
        all.register(
            "overdue_gates",
            "Gates that have been waiting for a decision longer than approval.decide_within",
            self.overdue.clone(),
        );
        all.register(
            "timed_out",
            "Gates that were rejected because nobody decided in time",
            self.timed_out.clone(),
        );
        all.register("build_info", "The version that runs; always 1", build);
    }

    fn start_at_zero(&self) {
        for decision in DecisionLabel::ALL.map(DecisionLabel::as_str) {
            drop(self.decisions.get_or_create(&DecisionLabels { decision }));
        }
        for answer in AnswerLabel::ALL {
            for stage in Stage::ALL.map(Stage::as_str).into_iter().chain([ROLLBACK]) {
                self.verdicts.get_or_create(&VerdictLabels { stage, verdict: answer.as_str() }).inc_by(0);
            }
        }
        for source in Source::ALL {
            for outcome in WebhookOutcome::ALL {
                self.webhooks
                    .get_or_create(&WebhookLabels { source: source.as_str(), outcome: outcome.as_str() })
                    .inc_by(0);
            }
        }
        for verdict in Verdict::ALL {
            self.set_gates(verdict, 0);
        }
        for how in ENDS.map(End::as_str) {
            self.rollouts_ended.get_or_create(&HowLabel { how }).inc_by(0);
        }
        for listener in ListenerLabel::ALL.map(ListenerLabel::as_str) {
            for reason in RefusalReason::ALL.map(RefusalReason::as_str) {
                self.calls_refused.get_or_create(&RefusedLabels { listener, reason }).inc_by(0);
            }
        }
        for format in CHANNEL_FORMATS {
            for outcome in MESSAGE_OUTCOMES {
                self.messages.get_or_create(&MessageLabels { format, outcome }).inc_by(0);
            }
        }
        for reason in LIMITS.map(TicketLimit::key) {
            self.tickets_refused.get_or_create(&ReasonLabel { reason }).inc_by(0);
        }
    }

    /// Counts an answer to a gate question. `stage` is `None` for the rollback question.
    pub fn verdict(&self, stage: Option<Stage>, answer: AnswerLabel) {
        let stage = stage.map_or(ROLLBACK, Stage::as_str);
        self.verdicts.get_or_create(&VerdictLabels { stage, verdict: answer.as_str() }).inc();
    }

    /// Counts a call of Flagger or Jira.
    pub fn webhook(&self, source: Source, outcome: WebhookOutcome) {
        self.webhooks
            .get_or_create(&WebhookLabels { source: source.as_str(), outcome: outcome.as_str() })
            .inc();
    }

    /// Counts an attempt to send a message to a channel. `format` is one of [`CHANNEL_FORMATS`], and `outcome` one of
    /// [`MESSAGE_OUTCOMES`].
    pub fn message(&self, format: &'static str, outcome: &'static str) {
        self.messages.get_or_create(&MessageLabels { format, outcome }).inc();
    }

    /// Observes a finished request to Jira. `operation` is from a fixed set; `status` is from [`status_class`].
    pub fn jira_request(&self, operation: &'static str, status: &'static str, took: Duration) {
        self.jira_requests.get_or_create(&RequestLabels { operation, status }).observe(took.as_secs_f64());
    }

    /// Adds the time that the rate limit delayed a request to Jira.
    pub fn jira_throttled(&self, waited: Duration) {
        self.jira_throttled.inc_by(waited.as_secs_f64());
    }

    /// Sets how many rows of the outbox are in this state, which is from a fixed set.
    pub fn set_outbox(&self, state: &'static str, rows: u64) {
        self.outbox_rows.get_or_create(&StateLabel { state }).set(i64::try_from(rows).unwrap_or(i64::MAX));
    }

    /// Sets the age of the oldest row that is not done; zero if all are.
    pub fn outbox_oldest(&self, age: Duration) {
        self.outbox_oldest.set(age.as_secs_f64());
    }

    /// How many calendars of freezes cannot be used now.
    pub fn set_calendars_unusable(&self, calendars: u64) {
        self.calendars_unusable.set(i64::try_from(calendars).unwrap_or(i64::MAX));
    }

    /// Sets how many live gates have this verdict.
    pub fn set_gates(&self, verdict: Verdict, gates: u64) {
        self.gates
            .get_or_create(&StateLabel { state: verdict.as_str() })
            .set(i64::try_from(gates).unwrap_or(i64::MAX));
    }

    /// Counts a rollout that ended. `how` is from a fixed set.
    pub fn rollout_ended(&self, how: &'static str) {
        self.rollouts_ended.get_or_create(&HowLabel { how }).inc();
    }

    /// Counts a revision that shipped although Flagger asked no question about it.
    pub fn unasked(&self) {
        self.unasked.inc();
    }

    /// Something shipped without an approval.
    pub fn bypassed(&self) {
        self.bypassed.inc();
    }

    /// Counts a ticket that was not opened because of this key of `[limits]`.
    pub fn ticket_refused(&self, reason: &'static str) {
        self.tickets_refused.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Counts a refused call.
    pub fn call_refused(&self, listener: ListenerLabel, reason: RefusalReason) {
        let (listener, reason) = (listener.as_str(), reason.as_str());
        self.calls_refused.get_or_create(&RefusedLabels { listener, reason }).inc();
    }

    /// Sets the time at which tickets were last read from Jira.
    #[expect(clippy::cast_precision_loss, reason = "exact until the year 287396")]
    pub fn poll_succeeded(&self, now: Millis) {
        self.poll_succeeded.set(now.0 as f64 / 1_000.0);
    }

    /// Observes the time from an approval until it first opened its gate.
    pub fn approval_to_open(&self, took: Duration) {
        self.approval_to_open.observe(took.as_secs_f64());
    }

    /// Observes how long a person took to decide, from the first question on.
    pub fn decided(&self, decision: DecisionLabel, took: Duration) {
        let decision = decision.as_str();
        self.decisions.get_or_create(&DecisionLabels { decision }).observe(took.as_secs_f64());
    }

    /// Sets the age of the gate that has been waiting for a decision longest; zero if none waits.
    pub fn oldest_waiting(&self, age: Duration) {
        self.oldest_waiting.set(age.as_secs_f64());
    }

    /// Sets how many gates wait for a decision longer than they should.
    pub fn overdue_gates(&self, many: u64) {
        self.overdue.set(i64::try_from(many).unwrap_or(i64::MAX));
    }

    /// Counts a gate that was rejected because nobody decided in time.
    pub fn timed_out(&self) {
        self.timed_out.inc();
    }

    /// Everything in the OpenMetrics text format.
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode_registry(&mut text, &self.registry)?;
        text::encode_registry(&mut text, &self.process)?;
        text::encode_eof(&mut text)?;
        Ok(text)
    }
}

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The label `status` of a request to Jira: the class of the answer, `429` by itself because operators must act on it,
/// and `error` if there was no answer.
#[must_use]
pub const fn status_class(answer: Option<u16>) -> &'static str {
    match answer {
        Some(429) => "429",
        Some(100..=199) => "1xx",
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(400..=499) => "4xx",
        Some(500..=599) => "5xx",
        Some(_) | None => "error",
    }
}

/// Up to two weeks: people decide within minutes, or after the weekend.
fn decision_times() -> Histogram {
    Histogram::new([
        60.0,
        300.0,
        900.0,
        1_800.0,
        3_600.0,
        7_200.0,
        14_400.0,
        28_800.0,
        86_400.0,
        172_800.0,
        259_200.0,
        604_800.0,
        1_209_600.0,
    ])
}

fn request_times() -> Histogram {
    Histogram::new([0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

#[cfg(test)]
mod tests;
