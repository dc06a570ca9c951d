//! One message on the wire.

use std::time::Duration;

use reqwest::{Client, header};
use serde::Serialize;

use super::phase::Phase;
use crate::millis::Millis;

/// Flagger's own limit for a webhook.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What was sent, and what came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `/gate/…`, `/event` or `/post-rollout`.
    pub path: String,
    /// The phase it named.
    pub phase: Phase,
    /// The revision it named.
    pub checksum: String,
    /// What an event said.
    pub message: Option<String>,
    /// The answer.
    pub answered: Answered,
}

impl Call {
    /// The hook that was asked, such as `confirm-rollout`; none for a report.
    #[must_use]
    pub fn question(&self) -> Option<&str> {
        self.path.strip_prefix("/gate/")
    }
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// A status, and the first line of the body.
    With {
        /// The status.
        status: u16,
        /// The first line of the body, which Flagger itself would not read.
        line: String,
    },
    /// There was none.
    Not {
        /// Why.
        why: String,
    },
}

impl Answered {
    /// Whether Flagger goes on: after 200, 201 and 202, and after nothing else.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self {
            Self::With { status, .. } => matches!(status, 200..=202),
            Self::Not { .. } => false,
        }
    }
}

/// The JSON, with the keys in Flagger's order.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    pub name: &'a str,
    pub namespace: &'a str,
    pub phase: &'static str,
    pub checksum: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<&'a Metadata>,
}

/// What an event adds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub event_message: String,
    pub event_type: &'static str,
    pub timestamp: String,
}

impl Metadata {
    pub(super) fn new(message: &str, kind: &'static str, now: Millis) -> Self {
        Self { event_message: message.to_owned(), event_type: kind, timestamp: now.0.to_string() }
    }
}

/// Flagger opens a connection for each call, and keeps to HTTP/1.1 without TLS.
pub(super) fn client() -> reqwest::Result<Client> {
    Client::builder()
        .user_agent("Go-http-client/1.1")
        .http1_only()
        .pool_max_idle_per_host(0)
        .timeout(TIMEOUT)
        .no_proxy()
        .build()
}

impl Body<'_> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is Flagger calling the bridge, not the bridge calling Jira"
    )]
    pub(super) async fn post(&self, client: &Client, url: &str) -> Answered {
        let body = match serde_json::to_vec(self) {
            Ok(body) => body,
            Err(error) => return Answered::Not { why: error.to_string() },
        };
        let request = client.post(url).header(header::CONTENT_TYPE, "application/json").body(body);
        match request.send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let text = answer.text().await.unwrap_or_default();
                Answered::With { status, line: text.lines().next().unwrap_or_default().to_owned() }
            }
            Err(error) => Answered::Not { why: error.without_url().to_string() },
        }
    }
}
