//! The labels of the metrics, and their values. Each has a fixed set of values.

use prometheus_client::encoding::EncodeLabelSet;

/// The label `verdict`: the answer to Flagger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerLabel {
    /// 200
    Open,
    /// 403
    Closed,
    /// 200 at a gate that asks nobody.
    Recorded,
}

/// The label `decision`: what a person did to a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionLabel {
    /// The ticket was moved into an approved status.
    Approved,
    /// The ticket was moved into a rejected status.
    Rejected,
}

/// The label `source`: the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Flagger, with a question or a report.
    Flagger,
    /// Jira, with a webhook.
    Jira,
}

/// The label `format` of messages.
pub const CHANNEL_FORMATS: [&str; 3] = ["slack", "teams", "json"];
/// The label `outcome` of messages.
pub const MESSAGE_OUTCOMES: [&str; 4] = ["sent", "refused", "failed", "unknown"];

/// The label `outcome`: the result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookOutcome {
    /// A question was answered, open or closed; or a report or a nudge was stored.
    Accepted,
    /// It does not concern the bridge: a report of another namespace, or an issue that belongs to no gate.
    Ignored,
    /// The caller is not authenticated or not authorized.
    Refused,
    /// The bridge could not read it.
    Invalid,
    /// The bridge could not store it.
    Failed,
}

impl AnswerLabel {
    pub(super) const ALL: [Self; 3] = [Self::Open, Self::Closed, Self::Recorded];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Recorded => "recorded",
        }
    }
}

impl DecisionLabel {
    pub(super) const ALL: [Self; 2] = [Self::Approved, Self::Rejected];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

impl Source {
    pub(super) const ALL: [Self; 2] = [Self::Flagger, Self::Jira];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Flagger => "flagger",
            Self::Jira => "jira",
        }
    }
}

impl WebhookOutcome {
    pub(super) const ALL: [Self; 5] =
        [Self::Accepted, Self::Ignored, Self::Refused, Self::Invalid, Self::Failed];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ignored => "ignored",
            Self::Refused => "refused",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct VerdictLabels {
    pub(super) stage: &'static str,
    pub(super) verdict: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct WebhookLabels {
    pub(super) source: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) operation: &'static str,
    pub(super) status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct StateLabel {
    pub(super) state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct HowLabel {
    pub(super) how: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ReasonLabel {
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct RefusedLabels {
    pub(super) listener: &'static str,
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct MessageLabels {
    pub(super) format: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct DecisionLabels {
    pub(super) decision: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct BuildLabels {
    pub(super) version: &'static str,
}
