//! Calls a listener's router: logs each request, and answers it even if its handler panics.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use axum::{Router, extract::Request, http::StatusCode, response::Response};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use crate::http::plain::text_line;

/// A listener's router as a hyper service.
pub(super) type App = TowerToHyperService<Router>;

/// Logs each request without its query, headers and body, any of which may hold a token. If the handler panics, answers
/// a gate question with 403 and every other request with 500.
pub(super) async fn call_app(app: &App, request: Request) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = catch_panics(app.call(request)).await;
    let path = uri.path();
    if response.is_none() {
        tracing::error!(%method, ?path, "a handler panicked, and its request was refused; report it with the panic that is logged above this line");
    }
    let response = match response {
        Some(Ok(response)) => response,
        None if path.starts_with("/gate/") || path.starts_with("/rollback/") => {
            text_line(StatusCode::FORBIDDEN, "closed: internal error, see the bridge's log")
        }
        None => text_line(StatusCode::INTERNAL_SERVER_ERROR, "internal error, see the bridge's log"),
    };
    tracing::debug!(%method, ?path, status = response.status().as_u16(), "request");
    response
}

/// The output of a future; `None` if it panics.
async fn catch_panics<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        // After a panic the future is dropped and never polled again, so no code sees its inconsistent state.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

/// A router's answer, for tests: status, headers, body.
#[cfg(test)]
pub(super) async fn answer(app: Router, request: Request) -> (u16, axum::http::HeaderMap, String) {
    let (parts, body) = call_app(&App::new(app), request).await.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};

    use super::*;

    #[tokio::test]
    async fn a_panic_is_caught_and_nothing_else_is() {
        assert_eq!(catch_panics(async { 7 }).await, Some(7));
        assert_eq!(catch_panics(async { panic!("a bug") }).await, None::<()>);
        let later = async {
            tokio::task::yield_now().await;
            panic!("a later bug")
        };
        assert_eq!(catch_panics(later).await, None::<()>);
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
