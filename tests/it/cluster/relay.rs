//! What Flagger calls: its hooks are passed on to the bridge and noted, its queries for metrics are answered.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::any,
};
use serde_json::{Value, json};

use crate::world::program::plain_client;

/// A call of a hook, and the bridge's answer.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// `/gate/confirm-rollout`
    pub(super) path: String,
    pub(super) body: Value,
    pub(super) status: u16,
    pub(super) answer: String,
    /// The image that was deployed as the target then.
    pub(super) deployed: String,
}

impl Call {
    /// Whether it let a rollout go on.
    pub(super) fn opened(&self) -> bool {
        self.path.starts_with("/gate/") && self.path != "/gate/rollback" && self.status == 200
    }
}

struct Shared {
    client: reqwest::Client,
    bridge: String,
    calls: Mutex<Vec<Call>>,
    deployed: Mutex<String>,
    metrics_pass: AtomicBool,
}

/// A server between Flagger and the bridge.
pub(super) struct Relay {
    /// Host and port.
    pub(super) address: String,
    shared: Arc<Shared>,
}

impl Relay {
    /// Serves until the runtime ends.
    pub(super) async fn start(bridge: &str) -> Self {
        let shared = Arc::new(Shared {
            client: plain_client(),
            bridge: bridge.to_owned(),
            calls: Mutex::default(),
            deployed: Mutex::default(),
            metrics_pass: AtomicBool::new(true),
        });
        let router = Router::new()
            .route("/api/v1/query", any(metric))
            .fallback(pass_on)
            .with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }));
        Self { address, shared }
    }

    /// The calls so far.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// The image that is deployed as the target from now on.
    pub(super) fn deploys(&self, image: &str) {
        image.clone_into(&mut self.shared.deployed.lock().unwrap());
    }

    /// Whether Flagger's checks pass from now on.
    pub(super) fn metrics_pass(&self, pass: bool) {
        self.shared.metrics_pass.store(pass, SeqCst);
    }
}

/// Prometheus' answer: in percent, how many requests succeed. Flagger asks for `vector(1)` first.
async fn metric(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let is_probe = request.uri().query().is_some_and(|query| query.contains("vector"));
    let value = match (is_probe, shared.metrics_pass.load(SeqCst)) {
        (true, _) => "1",
        (false, true) => "100",
        (false, false) => "0",
    };
    let result = json!([{ "metric": {}, "value": [1_790_000_000, value] }]);
    axum::Json(json!({ "status": "success", "data": { "resultType": "vector", "result": result } }))
        .into_response()
}

#[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
async fn pass_on(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = head.uri.path_and_query().unwrap().to_string();
    let mut onward = shared.client.post(format!("{}{path}", shared.bridge)).body(body.clone());
    for name in [header::CONTENT_TYPE, header::AUTHORIZATION] {
        if let Some(value) = head.headers.get(&name) {
            onward = onward.header(name, value);
        }
    }
    let (status, answer) = match onward.send().await {
        Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
        Err(error) => (502, error.to_string()),
    };
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let deployed = shared.deployed.lock().unwrap().clone();
    shared.calls.lock().unwrap().push(Call { path, body, status, answer: answer.clone(), deployed });
    (StatusCode::from_u16(status).unwrap(), answer).into_response()
}
