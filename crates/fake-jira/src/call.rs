//! A request, as the handlers of operations see it.

use axum::http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::answer::Answer;

/// A request as handlers see it.
pub(super) struct Call {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) json: Option<Value>,
    /// The account it runs as.
    pub(super) who: Option<&'static str>,
    /// English was forced by the special header.
    pub(super) english: bool,
}

impl Call {
    /// The first query parameter of a name.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// A list in the query: repeated, separated by commas, or both.
    pub(super) fn query_list(&self, name: &str) -> Vec<String> {
        let given = self.query.iter().filter(|(n, _)| n == name);
        given.flat_map(|(_, v)| v.split(',')).filter(|v| !v.is_empty()).map(|v| v.trim().to_owned()).collect()
    }

    /// A whole number in the query.
    ///
    /// # Errors
    /// Jira's answer to something else.
    pub(super) fn number(&self, name: &str, default: usize) -> Result<usize, Answer> {
        let Some(text) = self.query(name) else { return Ok(default) };
        text.parse().map_err(|_| {
            let body = serde_json::json!({ "title": "Bad Request", "status": 400, "detail": format!("{name} is no number") });
            Answer::text(400, "application/problem+json;charset=UTF-8", body.to_string())
                .blame(format!("{name} is no number"))
        })
    }

    /// The body as an object.
    ///
    /// # Errors
    /// Jira's answer to anything else.
    pub(super) fn object(&self) -> Result<&serde_json::Map<String, Value>, Answer> {
        self.json
            .as_ref()
            .and_then(Value::as_object)
            .ok_or_else(|| Answer::wrong("The request body must be an object."))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
}

/// Undoes percent-encoding.
pub(super) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// `X-Force-Accept-Language: true` makes Jira heed `Accept-Language`; it ignores that otherwise.
pub(super) fn english(headers: &HeaderMap) -> bool {
    let says =
        |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    says("x-force-accept-language") == "true" && says("accept-language").starts_with("en")
}
