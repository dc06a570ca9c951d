//! PURE: a gate as it is shown: the same form for the API, the page, and Flagger's answer as JSON.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{gate::Verdict, millis::Millis};

/// A point in time that is written as RFC 3339 in UTC, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339(pub Millis);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Millis(at)) = self;
        match jiff::Timestamp::from_millisecond(*at) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{at}"),
        }
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rfc3339 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        Ok(Self(Millis(time.as_millisecond())))
    }
}

/// A gate as `GET /api/gates` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateView {
    /// The canary's cluster.
    pub cluster: String,
    /// The canary's namespace.
    pub namespace: String,
    /// The canary's name.
    pub canary: String,
    /// The stage, as Flagger spells it, or `rollback`.
    pub stage: String,
    /// The gate's own name, if it has one.
    pub gate: Option<String>,
    /// The verdict.
    pub state: Verdict,
    /// The reason, in one line.
    pub reason: String,
    /// What its ticket says that the rollout changes, on one line; none if the bridge does not read the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// The share of the traffic that goes to the new version now, in percent, if the bridge knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
    /// Which step of traffic of its rollout it is for, from 1, if each step has a gate of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// The share of the traffic that an approval of this step allows, in percent, if the bridge knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_weight: Option<u8>,
    /// That it asks nobody; none if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ModeView>,
    /// Its ticket, once there is one.
    pub ticket: Option<TicketView>,
    /// When its windows and freezes next let the gate open; none if they do so now, or if no such time is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Rfc3339>,
    /// When Flagger first asked; none for a question that belongs to no gate.
    pub asked_at: Option<Rfc3339>,
    /// When Flagger last asked, as far as this replica knows: what another replica heard in the last minute may be
    /// missing, and a time in which no replica ran counts as one in which Flagger asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_asked_at: Option<Rfc3339>,
    /// The rollout it belongs to, if there is one.
    pub rollout: Option<RolloutView>,
    /// The steps of its approval, in their order; left out if an approval has only one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepView>,
    /// Until when a decision is due, if one is awaited and there is a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decide_by: Option<Rfc3339>,
    /// The status of the step that is to be made next, while a decision is awaited and there are several steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
}

/// A step of an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// The status that the ticket must be moved into.
    pub status: String,
    /// Who moved it there; none if nobody did.
    pub by: Option<String>,
    /// When that was, by Jira's clock.
    pub at: Option<Rfc3339>,
    /// Why that does not count, or why it is not known, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// `approval.mode`, if that is not the usual one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModeView {
    /// The gate asks nobody.
    Record,
}

/// Settings by which gates ask nobody, as the page shows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordingView {
    /// The key that says so.
    pub key: String,
    /// The gates, in words.
    pub gates: String,
}

/// A ticket, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketView {
    /// Its key.
    pub key: String,
    /// Its URL in Jira.
    pub url: String,
    /// The name of its last known status; none if no status is known.
    pub status: Option<String>,
}

/// A rollout, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutView {
    /// When the bridge received its first message.
    pub began_at: Rfc3339,
    /// The revision that is being replaced, as far as known.
    pub base: Option<String>,
    /// The revision that is being rolled out, as far as known.
    pub revision: Option<String>,
    /// The team's name for the revision.
    pub label: Option<String>,
    /// `asked`, `waiting`, `admitted` or `running`.
    pub course: String,
}

/// A command that failed, as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedView {
    /// The canary: `cluster/namespace/name`.
    pub canary: String,
    /// What is to be done, in a few words.
    pub what: String,
    /// The ticket it is about, once there is one.
    pub ticket: Option<TicketView>,
    /// Whether it waits until the cause is fixed; otherwise it is soon tried again.
    pub parked: bool,
    /// Since when it is to be done.
    pub since: Rfc3339,
    /// When it was last tried, if this replica knows.
    pub tried_at: Option<Rfc3339>,
    /// When it is tried again, if this replica knows.
    pub next_try_at: Option<Rfc3339>,
    /// Why the last attempt failed.
    pub why: String,
}

/// Whether an outcome is what the team hoped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// It is.
    Good,
    /// It is not.
    Bad,
    /// Neither.
    Plain,
}

/// What happened at a gate or to a rollout, as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryView {
    /// The canary: `cluster/namespace/name`.
    pub canary: String,
    /// The team's name for the version, or else what the rollout changes, or its revision, as far as known.
    pub version: Option<String>,
    /// Whether that is good.
    pub tone: Tone,
    /// What happened, in a few words.
    pub outcome: String,
    /// The stage, and the gate's own name if it has one; none for a whole rollout.
    pub gate: Option<String>,
    /// Its ticket; those of all gates for a whole rollout, with what each showed as its status.
    pub tickets: Vec<TicketView>,
    /// Who decided, if a person did.
    pub by: Option<String>,
    /// When it happened.
    pub at: Rfc3339,
}

/// A version that shipped without an approval, as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnaskedView {
    /// The canary: `cluster/namespace/name`.
    pub canary: String,
    /// The version: its checksum, images or label.
    pub revision: String,
    /// The ticket of the approval it started under, or of the gate that it came past.
    pub ticket: Option<TicketView>,
    /// When the bridge learned of it.
    pub at: Rfc3339,
}

/// What the page shows beside the gates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// Commands that failed, up to a limit: first those that wait until an operator fixes the cause.
    pub failed: Vec<FailedView>,
    /// How many commands are parked in all.
    pub parked_total: u64,
    /// How many other commands are to be performed.
    pub pending: u64,
    /// What happened last at gates and to rollouts, newest first.
    pub history: Vec<HistoryView>,
    /// Revisions that shipped recently without a question, newest first.
    pub unasked: Vec<UnaskedView>,
}

/// A Canary that asks nobody, as `GET /api/unguarded` and the page show it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UnguardedView {
    /// Its cluster.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub canary: String,
    /// Why, in a few words.
    pub why: String,
}
