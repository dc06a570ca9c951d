//! PURE: why a rollout failed.

use serde::{Deserialize, Serialize};

use crate::{
    gate::{Decision, GateName, Ticket},
    millis::Millis,
};

/// How many of Flagger's messages about a failure are quoted: the last ones.
const MOST_QUOTED: usize = 3;

/// The bridge told Flagger to roll back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// When, by the bridge's clock.
    pub at: Millis,
    /// The name of the person whose rejection it was: external text. Empty if nobody decided in time.
    pub by: String,
    /// The key of the rejected ticket.
    pub ticket: String,
    /// Its gate.
    pub gate: GateName,
    /// Whether nobody decided in time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub timed_out: bool,
}

impl Rollback {
    /// Because nobody decided in time.
    pub(super) fn by_time(at: Millis, gate: &GateName, ticket: &Ticket) -> Self {
        Self { at, by: String::new(), ticket: ticket.key.clone(), gate: gate.clone(), timed_out: true }
    }

    /// Because of this rejection.
    pub(super) fn of(at: Millis, gate: &GateName, ticket: &Ticket, decision: &Decision) -> Self {
        let by = decision.by();
        Self { at, by, ticket: ticket.key.clone(), gate: gate.clone(), timed_out: false }
    }
}

/// How many of Flagger's checks have failed, as the Canary says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedChecks {
    /// How many: at least one.
    pub count: u64,
    /// After so many Flagger rolls back.
    pub threshold: u64,
}

impl FailedChecks {
    /// Whether Flagger rolls back because of them.
    pub(super) const fn is_full(&self) -> bool {
        self.count >= self.threshold
    }
}

/// Why a rollout failed, as far as the bridge knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCause {
    /// A ticket was rejected, and Flagger was told to roll back.
    Rejected(Rollback),
    /// Flagger's own checks failed.
    Checks {
        /// The last messages in which Flagger said so: external text.
        lines: Vec<String>,
        /// How many had failed when Flagger was about to roll back because of them, where the bridge reads the Canary.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<FailedChecks>,
    },
}

impl FailureCause {
    /// The cause if a rollout has failed: it was rolled back like this, Flagger reported something, or its Canary showed
    /// failed checks. `None`: the bridge does not know it.
    pub(super) fn of(
        rolled_back: Option<&Rollback>,
        reports: &[String],
        checks: Option<FailedChecks>,
    ) -> Option<Self> {
        if let Some(rollback) = rolled_back {
            return Some(Self::Rejected(rollback.clone()));
        }
        let said: Vec<&String> = reports.iter().filter(|line| says_failure(line)).collect();
        let last = said.len().saturating_sub(MOST_QUOTED);
        let lines: Vec<String> = said[last..].iter().map(|line| (*line).clone()).collect();
        (!lines.is_empty() || checks.is_some()).then_some(Self::Checks { lines, failed: checks })
    }
}

/// Whether a message of Flagger says that a check failed, or that Flagger rolls back. Those it sends while it waits for
/// an approval begin like the first (Flagger's `pkg/controller/scheduler.go`).
fn says_failure(message: &str) -> bool {
    let waits_for_approval = message.contains(" waiting for ") && message.contains("approval");
    message.starts_with("Halt ") && !waits_for_approval || message.starts_with("Rolling back ")
}
