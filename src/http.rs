//! The three listeners: Flagger's questions, Jira's webhook, and the status page.
//!
//! A handler reads the request, finds out whether the caller may ask, and leaves everything else to the gatekeeper.

pub mod door;
pub mod flagger;
pub mod jira;
pub mod proof;
pub mod serve;
pub mod status;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, OnceLock},
    task::Poll,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest as _, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};

use crate::{clock::Clock, flagger::Shown, gatekeeper::Gatekeeper, metrics::Metrics};

/// What all listeners need.
#[derive(Clone)]
pub struct Shared {
    /// Empty until the store is open: until then every gate is closed, and nothing can be reported.
    pub gatekeeper: Arc<OnceLock<Arc<Gatekeeper>>>,
    /// The time of day.
    pub clock: Clock,
    /// Where to count.
    pub metrics: Arc<Metrics>,
}

impl Shared {
    /// The gatekeeper, once the store is open.
    fn gatekeeper(&self) -> Option<&Gatekeeper> {
        self.gatekeeper.get().map(Arc::as_ref)
    }
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

/// Gives a listener what all have: a limit on bodies, words for unknown paths and methods, a line in the log.
fn finish(router: Router, body_limit: usize) -> Router {
    router
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(middleware::from_fn(watched))
}

async fn unknown_path(uri: Uri) -> Response {
    line(StatusCode::NOT_FOUND, &format!("there is nothing at {}", Shown(uri.path())))
}

/// The router adds `Allow` to this.
async fn wrong_method(method: Method) -> Response {
    line(StatusCode::METHOD_NOT_ALLOWED, &format!("this path does not take {}", Shown(method.as_str())))
}

/// Logs each request without its query, headers and body, any of which may hold a token. Turns a bug that panicked
/// into an answer, too: closed for whoever asks at a gate, 500 for anybody else.
async fn watched(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = caught(next.run(request)).await;
    if response.is_none() {
        tracing::error!(%method, ?path, "a request met a bug, described above this line, and was not answered open; report it");
    }
    let response = match response {
        Some(response) => response,
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

/// The body, or the answer that says why it could not be read: 413 beyond the listener's limit, else 400.
async fn whole(request: Request) -> Result<Bytes, (StatusCode, &'static str)> {
    Bytes::from_request(request, &()).await.map_err(|refused| match refused.status() {
        StatusCode::PAYLOAD_TOO_LARGE => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
        _ => (StatusCode::BAD_REQUEST, "the body broke off"),
    })
}

/// One line of plain text. Control characters in it, which can only come from outside, become spaces.
fn line(status: StatusCode, words: &str) -> Response {
    let mut text: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
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
    use hyper::service::Service as _;
    let service = hyper_util::service::TowerToHyperService::new(app);
    let (parts, body) = service.call(request).await.unwrap().into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

/// What a listener needs before the store is open, for tests.
#[cfg(test)]
fn not_open_yet() -> Shared {
    let clock = Clock::manual(crate::millis::Millis(1_790_000_000_000));
    Shared { gatekeeper: Arc::default(), clock, metrics: Arc::default() }
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
            let app = finish(Router::new().route(path, get(broken)), 10);
            let (status, _, words) = answer(app, Request::get(path).body(Body::empty()).unwrap()).await;
            assert_eq!(status, expected);
            assert!(words.ends_with("internal error, see the bridge's log\n"), "{words}");
        }
    }
}
