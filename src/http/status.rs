//! The status page, the API, health and metrics: everything on the admin listener.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use jiff::Timestamp;
use minijinja::{Environment, value::Serde};
use serde::Serialize;

use crate::{
    http::{NOSNIFF, NOT_OPEN, Shared, finish, health, line},
    metrics::CONTENT_TYPE,
    millis::Millis,
    store::Parked,
    view::{GateView, State as Stands},
};

/// How the connection to Jira is, in one line; asked anew for each page.
pub type JiraLine = Arc<dyn Fn() -> String + Send + Sync>;

/// Nobody sends a body here.
const BODY: usize = 4 * 1024;

#[derive(Clone)]
struct Admin {
    shared: Shared,
    jira: JiraLine,
}

/// Everything on the admin listener.
pub fn admin_router(shared: Shared, jira: JiraLine) -> Router {
    let health = health(shared.clone());
    let router = Router::new()
        .route("/", get(page))
        .route("/api/gates", get(gates))
        .route("/metrics", get(metrics))
        .with_state(Admin { shared, jira });
    finish(router.merge(health), BODY)
}

impl Admin {
    /// All live gates; `None` while the store is not open.
    fn gates(&self, now: Millis) -> Option<Vec<GateView>> {
        self.shared.gatekeeper().map(|gatekeeper| gatekeeper.gates(now))
    }
}

async fn gates(State(admin): State<Admin>) -> Response {
    match admin.gates(admin.shared.clock.now()) {
        Some(gates) => ([NOSNIFF, NO_STORE], Json(gates)).into_response(),
        None => line(StatusCode::SERVICE_UNAVAILABLE, NOT_OPEN),
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let metrics = &admin.shared.metrics;
    if let Some(gates) = admin.gates(admin.shared.clock.now()) {
        for state in Stands::ALL {
            let standing = gates.iter().filter(|gate| gate.state == state).count();
            metrics.set_gates(state, u64::try_from(standing).unwrap_or(u64::MAX));
        }
    }
    match metrics.encode() {
        Ok(text) => {
            let kind = (header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
            ([kind, NOSNIFF], text).into_response()
        }
        Err(_) => line(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written"),
    }
}

async fn page(State(admin): State<Admin>) -> Response {
    let now = admin.shared.clock.now();
    let parked = match admin.shared.gatekeeper() {
        None => Vec::new(),
        // The gates above it come from memory, and are shown also while the database is down.
        Some(gatekeeper) => gatekeeper.store().parked().await.unwrap_or_default(),
    };
    match render(admin.gates(now).as_deref(), &parked, &(admin.jira)(), now) {
        Ok(html) => {
            let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            ([kind, NOSNIFF, NO_STORE, NO_REFERRER, POLICY], html).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the status page cannot be rendered");
            line(StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be rendered, see the bridge's log")
        }
    }
}

const NO_STORE: (HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
const NO_REFERRER: (HeaderName, HeaderValue) =
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
/// The page is one file without scripts, pictures or forms, and nobody may frame it.
const POLICY: (HeaderName, HeaderValue) = (
    header::CONTENT_SECURITY_POLICY,
    HeaderValue::from_static(
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
);

/// What the page shows.
#[derive(Serialize)]
struct Page<'a> {
    /// `None` while the store is not open.
    rows: Option<Vec<Row<'a>>>,
    parked: Vec<Aside<'a>>,
    jira: &'a str,
    at: String,
    version: &'static str,
}

/// A gate in the page's table.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    gate: &'a GateView,
    /// The state as people read it.
    words: String,
    /// How long Flagger has been asking.
    age: Option<String>,
}

/// A command that was put aside.
#[derive(Serialize)]
struct Aside<'a> {
    canary: &'a str,
    why: &'a str,
    age: String,
}

fn render(
    gates: Option<&[GateView]>,
    parked: &[Parked],
    jira: &str,
    now: Millis,
) -> Result<String, minijinja::Error> {
    let rows: Option<Vec<Row<'_>>> = gates.map(|gates| {
        let row = |gate| Row { gate, words: words(gate.state), age: age(gate.asked_at.as_deref(), now) };
        gates.iter().map(row).collect()
    });
    let at = Timestamp::from_millisecond(now.0).map(|at| at.strftime("%F %T UTC").to_string());
    let parked = parked.iter().map(|parked| Aside {
        canary: &parked.canary,
        why: &parked.why,
        age: span(now.since(parked.at)),
    });
    let parked = parked.collect();
    let page = Page { rows, parked, jira, at: at.unwrap_or_default(), version: env!("CARGO_PKG_VERSION") };
    let mut pages = Environment::new();
    // The name's ending turns escaping on.
    pages.add_template("status.html", include_str!("status.html"))?;
    pages.get_template("status.html")?.render(Serde(page))
}

fn words(state: Stands) -> String {
    state.as_str().replace('_', " ")
}

/// The time since then.
fn age(since: Option<&str>, now: Millis) -> Option<String> {
    let since: Timestamp = since?.parse().ok()?;
    Some(span(now.since(Millis(since.as_millisecond()))))
}

/// A time in its largest whole unit, such as `3 h`.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;
