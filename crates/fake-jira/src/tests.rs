//! Tests of the fake Jira over HTTP, as its callers use it.

mod data_center;
mod faults;
mod issues;
mod pages;
mod reading;
mod webhooks;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::{EpochMillis, FakeJira, Flavour, Setup, TimeSource};

/// 2026-09-21T13:33:20Z
pub(super) const START: EpochMillis = 1_790_000_000_000;

/// A running fake Jira and an HTTP client for it.
pub(super) struct Site {
    pub(super) jira: FakeJira,
    pub(super) base: String,
    /// The time of the fake Jira's clock.
    pub(super) now: Arc<AtomicI64>,
    client: reqwest::Client,
    /// The header `Authorization`; empty: not sent.
    pub(super) authorization: String,
}

/// A response.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
    /// Null if the text is not JSON.
    pub(super) body: Value,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

impl Site {
    pub(super) async fn cloud() -> Self {
        // bridge@example.com:jira-token
        Self::start(Flavour::Cloud, "Basic YnJpZGdlQGV4YW1wbGUuY29tOmppcmEtdG9rZW4=").await
    }

    pub(super) async fn data_center() -> Self {
        Self::start(Flavour::DataCenter, "Bearer jira-token").await
    }

    async fn start(flavour: Flavour, authorization: &str) -> Self {
        let now = Arc::new(AtomicI64::new(START));
        let time = TimeSource::new({
            let now = now.clone();
            move || now.load(Ordering::SeqCst)
        });
        let jira = FakeJira::new(Setup::new(flavour, time));
        let base = jira.start().await.unwrap();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap();
        Self { jira, base, now, client, authorization: authorization.into() }
    }

    /// Moves the clock forward.
    pub(super) fn advance(&self, by: Duration) {
        self.now.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(super) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.base));
        match self.authorization.as_str() {
            "" => request,
            authorization => request.header("Authorization", authorization),
        }
    }

    /// Sends the request and does not read the body of the response.
    #[expect(clippy::disallowed_methods, reason = "this is a test of the server, not of the bridge's client")]
    pub(super) async fn send_unread(
        &self,
        request: reqwest::RequestBuilder,
    ) -> reqwest::Result<reqwest::Response> {
        request.send().await
    }

    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Received> {
        let answer = self.send_unread(request).await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Received { status, headers, text, body })
    }

    pub(super) async fn get(&self, path: &str) -> Received {
        self.send(self.request("GET", path)).await.unwrap()
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Received {
        self.send(self.request("POST", path).json(&body)).await.unwrap()
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> Received {
        self.send(self.request("PUT", path).json(&body)).await.unwrap()
    }

    /// Creates an issue in OPS and returns its id.
    pub(super) async fn create(&self, label: &str) -> String {
        let version = if self.authorization.starts_with("Basic") { 3 } else { 2 };
        let body =
            json!({ "fields": fields(label), "properties": [{ "key": "gate", "value": { "id": label } }] });
        let got = self.post(&format!("/rest/api/{version}/issue"), body).await;
        assert_eq!(got.status, 201, "{}", got.text);
        got.body["id"].as_str().unwrap().to_owned()
    }
}

pub(super) fn fields(label: &str) -> Value {
    json!({
        "project": { "key": "OPS" }, "issuetype": { "id": "10004" },
        "summary": "Approve prod/podinfo", "labels": ["flagger-gate", label],
    })
}

pub(super) fn doc(text: &str) -> Value {
    json!({ "type": "doc", "version": 1, "content": [
        { "type": "paragraph", "content": [{ "type": "text", "text": text }] },
    ] })
}
