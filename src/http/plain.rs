//! One-line answers that several listeners share.

use axum::{
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use crate::text::{self, Quoted};

/// The answer until the database is open.
pub(super) const STORE_NOT_OPEN: &str = "the store is not open yet";

pub(super) const NOSNIFF: (HeaderName, HeaderValue) =
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

pub(super) fn not_found(path: &str) -> String {
    format!("there is nothing at {}", Quoted(path))
}

/// The text of a 405. The router adds the header `Allow`.
pub(super) fn method_not_allowed(method: &Method) -> String {
    format!("this path does not take {}", Quoted(method.as_str()))
}

/// An answer of one line of plain text, even if `words` holds line breaks or control characters.
pub(super) fn text_line(status: StatusCode, words: &str) -> Response {
    let mut text = String::with_capacity(words.len() + 1);
    text.push_str(&text::single_line(words));
    text.push('\n');
    let text_plain = HeaderValue::from_static("text/plain; charset=utf-8");
    (status, [(header::CONTENT_TYPE, text_plain), NOSNIFF], text).into_response()
}

/// 401, with the `WWW-Authenticate` header.
pub(super) fn unauthenticated(words: &str) -> Response {
    let mut response = text_line(StatusCode::UNAUTHORIZED, words);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}
