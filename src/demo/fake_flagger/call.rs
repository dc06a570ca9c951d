//! One HTTP call from the simulated Flagger to the bridge.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Client, header};
use serde::Serialize;

use super::phase::Phase;
use crate::millis::Millis;

/// Flagger's own timeout for a webhook.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A call and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `/gate/…`, `/event` or `/post-rollout`.
    pub path: String,
    /// The phase in the body.
    pub phase: Phase,
    /// The checksum in the body.
    pub checksum: String,
    /// The message of an event.
    pub message: Option<String>,
    /// The answer.
    pub answered: Answered,
}

impl Call {
    /// The hook of a question, such as `confirm-rollout`; `None` for a report.
    #[must_use]
    pub fn question(&self) -> Option<&str> {
        self.path.strip_prefix("/gate/")
    }
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The bridge answered.
    Response {
        /// The status.
        status: u16,
        /// The first line of the body, which Flagger itself does not read.
        line: String,
    },
    /// No answer.
    NoResponse {
        /// Why.
        why: String,
    },
}

impl Answered {
    /// Whether Flagger continues: only after 200, 201 and 202.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self {
            Self::Response { status, .. } => matches!(status, 200..=202),
            Self::NoResponse { .. } => false,
        }
    }
}

/// The JSON body, with the keys in Flagger's order.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    pub name: &'a str,
    pub namespace: &'a str,
    pub phase: &'static str,
    pub checksum: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<&'a Metadata>,
}

/// The metadata of a call.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Metadata {
    /// What Flagger sends with an event.
    Event(Event),
    /// What the hook has in the Canary.
    Hook(BTreeMap<String, String>),
}

/// An event of Flagger.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    event_message: String,
    event_type: &'static str,
    timestamp: String,
}

impl Metadata {
    pub(super) fn event(message: &str, kind: &'static str, now: Millis) -> Self {
        let (event_message, timestamp) = (message.to_owned(), now.0.to_string());
        Self::Event(Event { event_message, event_type: kind, timestamp })
    }

    /// The message of an event.
    pub(super) fn into_message(self) -> Option<String> {
        match self {
            Self::Event(event) => Some(event.event_message),
            Self::Hook(_) => None,
        }
    }
}

/// Like Flagger's client: a new connection for each call, HTTP/1.1, without TLS.
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
            Err(error) => return Answered::NoResponse { why: error.to_string() },
        };
        let request = client.post(url).header(header::CONTENT_TYPE, "application/json").body(body);
        match request.send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let text = answer.text().await.unwrap_or_default();
                Answered::Response { status, line: text.lines().next().unwrap_or_default().to_owned() }
            }
            Err(error) => Answered::NoResponse { why: error.without_url().to_string() },
        }
    }
}
