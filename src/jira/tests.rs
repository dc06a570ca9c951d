//! The client against a Jira that is one function: the requests it sends, and its result for each kind of answer.

mod client;
mod hostile;
mod issues;
mod oauth;
mod random;
mod setup;
mod tickets;
mod times;

use std::{
    fmt,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::{
    clock::Clock,
    gate::{Browse, GateId, IssueSnapshot, Ticket},
    millis::Millis,
    policy::Status,
    secret::Secret,
    ticket::Doc,
};

/// A request as it arrived.
#[derive(Clone, Debug)]
struct Seen {
    line: String,
    headers: HeaderMap,
    body: Value,
}

/// An answer: status, headers, body.
type Reply = (u16, Vec<(&'static str, String)>, String);

struct Site {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    observed: Arc<Mutex<Vec<String>>>,
}

impl Site {
    async fn new(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(vec![]));
        let (answer, record) = (Arc::new(answer), Arc::clone(&seen));
        let app = Router::new().fallback(move |request: Request| {
            let (answer, record) = (Arc::clone(&answer), Arc::clone(&record));
            async move {
                let line = format!("{} {}", request.method(), request.uri());
                let headers = request.headers().clone();
                let bytes = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
                let body = serde_json::from_slice(&bytes).unwrap_or_default();
                record.lock().unwrap().push(Seen { line: line.clone(), headers, body });
                let (status, headers, body) = answer(&line);
                let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(body)).unwrap()
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, seen, observed: Arc::default() }
    }

    fn jira(&self, kind: Option<Kind>) -> Jira {
        self.jira_with(settings(&self.url, kind))
    }

    fn jira_with(&self, settings: Settings) -> Jira {
        let observed = Arc::clone(&self.observed);
        let observer: Observer = Arc::new(move |seen: &Observation| {
            observed.lock().unwrap().push(format!("{} {}", seen.operation, seen.outcome));
        });
        Jira::new(settings, observer, Clock::manual(Millis(1_800_000_000_000))).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|seen| seen.line.clone()).collect()
    }
}

fn token(user: Option<&str>, token: &str) -> Login {
    Login::Token { user: user.map(str::to_owned), token: Secret::value(token).unwrap() }
}

fn settings(url: &str, kind: Option<Kind>) -> Settings {
    let hundred = NonZeroU32::new(100).unwrap();
    Settings {
        url: url.to_owned(),
        kind,
        login: token(Some("bridge@example.com"), "s3cret-token"),
        ca_file: None,
        requests_per_second: hundred,
        burst: hundred,
        planned_fields: vec![],
        exceptions: vec![],
        opens_requests: false,
        timeout: Duration::from_secs(5),
    }
}

fn with(mut headers: Vec<(&'static str, String)>, status: u16, body: &Value) -> Reply {
    headers.push(("content-type", "application/json;charset=UTF-8".into()));
    (status, headers, body.to_string())
}

/// An answer of Cloud for the bridge's account.
fn ours(status: u16, body: &Value) -> Reply {
    with(vec![("x-aaccountid", "5b10".into())], status, body)
}

/// An answer that does not say which account it is for.
fn bare(status: u16, body: &Value) -> Reply {
    with(vec![], status, body)
}

fn myself() -> Value {
    json!({"accountId": "5b10", "displayName": "Bridge", "accountType": "atlassian"})
}

fn no_such_issue() -> Value {
    json!({"errorMessages": ["Issue does not exist or you do not have permission to see it."], "errors": {}})
}

fn issue() -> Value {
    json!({"id": "10042", "key": "OPS-7",
        "fields": {"status": {"id": "1", "name": "To Do"}, "project": {"key": "OPS"}, "issuetype": {"id": "10004"}, "labels": []},
        "properties": {},
        "changelog": {"startAt": 0, "maxResults": 0, "total": 0, "histories": []}})
}

fn draft() -> Draft {
    let (gate, project, issue_type) = (GateId("4f1c".into()), "OPS".into(), "10004".into());
    let (summary, description) = ("Approve".into(), Doc::default());
    Draft {
        gate,
        project,
        issue_type,
        summary,
        description,
        labels: vec![],
        request: None,
        assignee: None,
        fields: Map::new(),
    }
}

async fn create(jira: &Jira) -> Result<Created, Error> {
    let slot = jira.create_permit().await;
    jira.create(slot, &draft()).await
}

/// Records the `step` events of one thread.
struct Steps(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Steps {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Message(String);
        impl tracing::field::Visit for Message {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn fmt::Debug) {
                self.0 = format!("{value:?}");
            }
        }
        if event.metadata().target() == "step" {
            let mut message = Message(String::new());
            event.record(&mut message);
            self.0.lock().unwrap().push(message.0);
        }
    }
}
