//! Posts to webhooks: where to, still to be made, and made.

/// Where to post, and how to prove that it is Jira.
pub(super) struct Hook {
    pub(super) url: String,
    /// Signs the body.
    pub(super) secret: Option<String>,
    /// Sent as a bearer token, as Automation rules do.
    pub(super) bearer: Option<String>,
    pub(super) client: reqwest::Client,
}

/// A post that is still to be made.
pub(super) struct Outgoing {
    pub(super) client: reqwest::Client,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) event: String,
    pub(super) identifier: String,
    pub(super) retry: u32,
    pub(super) body: String,
}

/// A post to a webhook that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The address.
    pub url: String,
    /// The event, such as `jira:issue_updated`.
    pub event: String,
    /// `X-Atlassian-Webhook-Identifier`; the same for every attempt.
    pub identifier: String,
    /// How many attempts came before.
    pub retry: u32,
    /// The status that was answered; none if there was no answer.
    pub status: Option<u16>,
    /// The body that was posted.
    pub body: String,
}
