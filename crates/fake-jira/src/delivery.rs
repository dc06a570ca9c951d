//! Webhooks, and their pending and completed deliveries.

/// A webhook: its URL and its credentials.
pub(super) struct Webhook {
    pub(super) url: String,
    /// The secret that signs the body.
    pub(super) secret: Option<String>,
    /// The bearer token, which Automation rules send.
    pub(super) bearer: Option<String>,
    pub(super) client: reqwest::Client,
}

/// A delivery that was not sent yet.
pub(super) struct PendingDelivery {
    pub(super) client: reqwest::Client,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) event: String,
    pub(super) identifier: String,
    pub(super) retry: u32,
    pub(super) body: String,
}

/// A delivery to a webhook that completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The URL.
    pub url: String,
    /// The event, such as `jira:issue_updated`.
    pub event: String,
    /// The value of `X-Atlassian-Webhook-Identifier`; every attempt has the same.
    pub identifier: String,
    /// The number of earlier attempts.
    pub retry: u32,
    /// The HTTP status of the answer; `None` if there was no answer.
    pub status: Option<u16>,
    /// The body that was sent.
    pub body: String,
}
