//! The three listeners: Flagger's questions, Jira's webhook, and the status page.
//!
//! A handler reads the request, finds out whether the caller may ask, and leaves everything else to the gatekeeper.

pub mod body;
pub mod door;
pub mod flagger;
pub mod jira;
pub mod proof;
pub mod refused;
pub mod serve;
pub mod status;

use std::{
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, OnceLock},
    task::Poll,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{Extensions, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use crate::{
    clock::Clock,
    gatekeeper::Gatekeeper,
    http::{
        body::Bodies,
        refused::{Proof, Refusal, Refused, at_connection},
        serve::{Broken, Caller, Connection},
    },
    metrics::{Listener, Metrics},
    text::{self, Shown},
};

/// What all listeners need.
#[derive(Clone)]
pub struct Shared {
    /// Empty until the store is open: until then every gate is closed, and nothing can be reported.
    pub gatekeeper: Arc<OnceLock<Arc<Gatekeeper>>>,
    /// The time of day.
    pub clock: Clock,
    /// Where to count.
    pub metrics: Arc<Metrics>,
    /// What is turned away.
    pub refused: Arc<Refused>,
    /// What the bodies of strangers hold.
    pub bodies: Arc<Bodies>,
}

impl Shared {
    /// The gatekeeper, once the store is open.
    fn gatekeeper(&self) -> Option<&Gatekeeper> {
        self.gatekeeper.get().map(Arc::as_ref)
    }
}

impl Shared {
    /// A connection never came to a request.
    pub fn tell_broken(&self, listener: Listener, source: IpAddr, broken: &Broken) {
        let (reason, why, hint) = at_connection(broken);
        self.refuse(Refusal {
            listener,
            proof: Proof::None,
            source: Some(source),
            path: String::new(),
            canary: None,
            reason,
            why,
            hint: hint.to_owned(),
        });
    }

    fn refuse(&self, refusal: Refusal) {
        self.refused.tell(refusal, &self.metrics, self.clock.now());
    }
}

/// Where a request comes from, if a listener brought it.
fn connection(extensions: &Extensions) -> Option<&Arc<Connection>> {
    extensions.get::<Caller>().map(|Caller(connection)| connection)
}

/// What is said while the database cannot be reached yet.
const NOT_OPEN: &str = "the store is not open yet";

/// `/healthz` and `/readyz`, which two listeners have.
fn health(shared: Shared) -> Router {
    let alive = async || line(StatusCode::OK, "ok");
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).with_state(shared)
}

async fn ready(State(shared): State<Shared>) -> Response {
    match shared.gatekeeper() {
        Some(_) => line(StatusCode::OK, "ready"),
        None => line(StatusCode::SERVICE_UNAVAILABLE, NOT_OPEN),
    }
}

/// Gives a listener words for unknown paths and methods.
fn finish(router: Router) -> Router {
    let unknown_path = async |uri: Uri| line(StatusCode::NOT_FOUND, &nothing_at(uri.path()));
    let wrong_method = async |method: Method| line(StatusCode::METHOD_NOT_ALLOWED, &does_not_take(&method));
    router.fallback(unknown_path).method_not_allowed_fallback(wrong_method)
}

fn nothing_at(path: &str) -> String {
    format!("there is nothing at {}", Shown(path))
}

/// The router adds `Allow` to this.
fn does_not_take(method: &Method) -> String {
    format!("this path does not take {}", Shown(method.as_str()))
}

/// A listener's router, as hyper calls it.
type App = TowerToHyperService<Router>;

/// Logs each request without its query, headers and body, any of which may hold a token. Turns a bug that panicked
/// into an answer, too: closed for whoever asks at a gate, 500 for anybody else.
async fn watched(app: &App, request: Request) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = caught(app.call(request)).await;
    let path = uri.path();
    if response.is_none() {
        tracing::error!(%method, ?path, "a request met a bug, described above this line, and was not answered open; report it");
    }
    let response = match response {
        Some(Ok(response)) => response,
        None if path.starts_with("/gate/") || path.starts_with("/rollback/") => {
            line(StatusCode::FORBIDDEN, "closed: internal error, see the bridge's log")
        }
        None => line(StatusCode::INTERNAL_SERVER_ERROR, "internal error, see the bridge's log"),
    };
    tracing::debug!(%method, ?path, status = response.status().as_u16(), "request");
    response
}

/// What comes of a future; nothing if it panics.
async fn caught<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        // It is dropped without being polled again, so nobody sees what the panic left half done.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

/// One line of plain text, whatever comes from outside in it.
fn line(status: StatusCode, words: &str) -> Response {
    let mut text = String::with_capacity(words.len() + 1);
    text.push_str(&text::line(words));
    text.push('\n');
    let text_plain = HeaderValue::from_static("text/plain; charset=utf-8");
    (status, [(header::CONTENT_TYPE, text_plain), NOSNIFF], text).into_response()
}

/// 401, with the header that goes with it.
fn unproven(words: &str) -> Response {
    let mut response = line(StatusCode::UNAUTHORIZED, words);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

const NOSNIFF: (HeaderName, HeaderValue) =
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

/// What a router answers, for tests: status, headers, body.
#[cfg(test)]
async fn answer(app: Router, request: Request) -> (u16, axum::http::HeaderMap, String) {
    let (parts, body) = watched(&App::new(app), request).await.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

/// What a listener needs before the store is open, for tests.
#[cfg(test)]
fn not_open_yet() -> Shared {
    let clock = Clock::manual(crate::millis::Millis(1_790_000_000_000));
    Shared {
        gatekeeper: Arc::default(),
        clock,
        metrics: Arc::default(),
        refused: Arc::default(),
        bodies: Arc::default(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_caught_and_nothing_else_is() {
        assert_eq!(caught(async { 7 }).await, Some(7));
        assert_eq!(caught(async { panic!("a bug") }).await, None::<()>);
        let later = async {
            tokio::task::yield_now().await;
            panic!("a later bug")
        };
        assert_eq!(caught(later).await, None::<()>);
    }

    #[tokio::test]
    async fn a_bug_closes_the_gate() {
        let broken = async || -> Response { panic!("a bug") };
        for (path, expected) in [("/gate/x", 403), ("/rollback/x", 403), ("/event", 500)] {
            let app = Router::new().route(path, get(broken));
            let (status, _, words) = answer(app, Request::get(path).body(Body::empty()).unwrap()).await;
            assert_eq!(status, expected);
            assert!(words.ends_with("internal error, see the bridge's log\n"), "{words}");
        }
    }
}
