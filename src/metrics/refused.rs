//! The labels of refused calls.

use serde::Serialize;

/// The label `listener`: where the call arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ListenerLabel {
    /// Flagger's listener.
    Gate,
    /// Jira's listener.
    Webhook,
}

impl ListenerLabel {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Gate, Self::Webhook];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Webhook => "webhook",
        }
    }
}

/// The label `reason`: why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// No token, or a wrong one; at the webhook, no signature, or a wrong one.
    Token,
    /// A cluster that is not in the configuration, or not the token's.
    Cluster,
    /// A namespace that is not allowed, or not with this token.
    Namespace,
    /// There is no such path.
    Path,
    /// The path does not support the method.
    Method,
    /// The content type is wrong.
    ContentType,
    /// `?gate=` or `?cluster=` is not a valid name, or occurs twice.
    Query,
    /// The body is not what Flagger or Jira sends.
    Body,
    /// The head or the body is too large.
    TooLarge,
    /// A person called, not Flagger: gates are not opened by hand.
    ByHand,
    /// The TLS handshake failed.
    Handshake,
    /// The caller does not speak HTTP, or speaks plain HTTP to a TLS listener.
    Protocol,
    /// The request did not arrive in time.
    Slow,
    /// The request was slow or large while connections or memory were exhausted.
    Crowded,
}

impl RefusalReason {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Token,
        Self::Cluster,
        Self::Namespace,
        Self::Path,
        Self::Method,
        Self::ContentType,
        Self::Query,
        Self::Body,
        Self::TooLarge,
        Self::ByHand,
        Self::Handshake,
        Self::Protocol,
        Self::Slow,
        Self::Crowded,
    ];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Cluster => "cluster",
            Self::Namespace => "namespace",
            Self::Path => "path",
            Self::Method => "method",
            Self::ContentType => "content_type",
            Self::Query => "query",
            Self::Body => "body",
            Self::TooLarge => "too_large",
            Self::ByHand => "by_hand",
            Self::Handshake => "handshake",
            Self::Protocol => "protocol",
            Self::Slow => "slow",
            Self::Crowded => "crowded",
        }
    }
}
