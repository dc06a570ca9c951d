//! Tests of the fake API server over HTTP, as its callers use it.

mod access;
mod bad_days;
mod events;
mod reading;
mod watching;

use serde_json::{Value, json};

use super::FakeKubernetes;

pub(super) const CANARIES: &str = "/apis/flagger.app/v1beta1/canaries";
pub(super) const DEPLOYMENTS: &str = "/apis/apps/v1/deployments";

/// A running API server and an HTTP client for it.
pub(super) struct Cluster {
    pub(super) api: FakeKubernetes,
    base: String,
    client: reqwest::Client,
    /// The bearer token; empty: none is sent.
    pub(super) token: String,
}

/// The lines of a watch's answer.
pub(super) struct Watching {
    response: reqwest::Response,
    read: Vec<u8>,
}

impl Cluster {
    pub(super) async fn start() -> Self {
        let api = FakeKubernetes::new();
        let base = api.start().await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { api, base, client, token: "kubernetes-token".into() }
    }

    #[expect(clippy::disallowed_methods, reason = "this is a test of the server, not of the bridge's client")]
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<(&str, Value)>,
    ) -> reqwest::Response {
        let mut request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some((media, body)) = body {
            request = request.header("Content-Type", media).body(body.to_string());
        }
        request.send().await.unwrap()
    }

    /// The status and the JSON of an answer.
    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.send("GET", path, None).await;
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let answer = self.send("POST", path, Some(("application/json", body))).await;
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Watches a collection from a version on.
    pub(super) async fn watch(&self, path: &str, version: &str) -> Watching {
        let response = self.send("GET", &format!("{path}?watch=true&resourceVersion={version}"), None).await;
        assert_eq!(response.status(), 200);
        Watching { response, read: Vec::new() }
    }

    /// The version of a list.
    pub(super) async fn version(&self, path: &str) -> String {
        self.get(path).await.1["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
    }
}

impl Watching {
    /// The next event; `None` at the end of the answer.
    pub(super) async fn try_next(&mut self) -> reqwest::Result<Option<Value>> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line).unwrap()));
            }
            match self.response.chunk().await? {
                Some(chunk) => self.read.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }

    /// The next event in short: `ADDED prod/podinfo 2`.
    pub(super) async fn next(&mut self) -> String {
        match self.try_next().await.unwrap() {
            None => "end".into(),
            Some(event) if event["type"] == "ERROR" => {
                format!("ERROR {} {}", event["object"]["code"], event["object"]["message"].as_str().unwrap())
            }
            Some(event) => {
                let meta = &event["object"]["metadata"];
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let (kind, version) = (text(&event["type"]), text(&meta["resourceVersion"]));
                format!("{kind} {}/{} {version}", text(&meta["namespace"]), text(&meta["name"]))
            }
        }
    }
}

pub(super) fn canary(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": { "namespace": namespace, "name": name },
        "spec": { "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": name } },
        "status": { "phase": "Waiting" },
    })
}

pub(super) fn deployment(namespace: &str, name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "namespace": namespace, "name": name },
        "spec": { "template": { "spec": { "containers": [{ "name": "podinfod", "image": image }] } } },
    })
}
