//! Liveness and readiness.

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::get};

use crate::http::{
    plain::{STORE_NOT_OPEN, text_line},
    shared::Shared,
};

/// `/healthz` and `/readyz`, served by two listeners.
pub(super) fn health(shared: Shared) -> Router {
    let alive = async || text_line(StatusCode::OK, "ok");
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).with_state(shared)
}

async fn ready(State(shared): State<Shared>) -> Response {
    match shared.gatekeeper() {
        Some(_) => text_line(StatusCode::OK, "ready"),
        None => text_line(StatusCode::SERVICE_UNAVAILABLE, STORE_NOT_OPEN),
    }
}
