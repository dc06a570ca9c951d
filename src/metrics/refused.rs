//! The labels of calls that were turned away.

use serde::Serialize;

/// A listener that faces callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ListenerLabel {
    /// Flagger's.
    Gate,
    /// Jira's.
    Webhook,
}

impl ListenerLabel {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Gate, Self::Webhook];

    /// The label `listener`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Webhook => "webhook",
        }
    }
}

/// Why a call was turned away: the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// No token, or a wrong one; at the webhook, no signature, or a wrong one.
    Token,
    /// A cluster that is not in the configuration, or another than the token's.
    Cluster,
    /// A namespace that may not ask, or not with this token.
    Namespace,
    /// There is nothing at that path.
    Path,
    /// The path takes no such method.
    Method,
    /// The content type is another one.
    ContentType,
    /// `?gate=` or `?cluster=` holds what cannot be a name, or is there twice.
    Query,
    /// The body is not what Flagger or Jira sends.
    Body,
    /// The head or the body is too large.
    TooLarge,
    /// Gates are not opened by hand.
    ByHand,
    /// The TLS handshake failed.
    Handshake,
    /// The caller does not speak HTTP, or speaks it where TLS is spoken.
    Protocol,
    /// The request did not come in time.
    Slow,
    /// It was slow or large while there was no room.
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

    /// The label.
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
