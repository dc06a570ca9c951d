//! The request that a handler gets.

use axum::http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::answer::Answer;

/// A request to the REST API or to a page.
pub(super) struct Call {
    pub(super) method: String,
    pub(super) path: String,
    /// The request came through Atlassian's gateway, where access tokens count.
    pub(super) gateway: bool,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) json: Option<Value>,
    /// The account that the request runs as.
    pub(super) account: Option<&'static str>,
    /// The caller forced English, see [`english`].
    pub(super) english: bool,
}

impl Call {
    /// The first query parameter with this name.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// A list in the query: the parameter is repeated, or its values are separated by commas, or both.
    pub(super) fn query_list(&self, name: &str) -> Vec<String> {
        let given = self.query.iter().filter(|(n, _)| n == name);
        given.flat_map(|(_, v)| v.split(',')).filter(|v| !v.is_empty()).map(|v| v.trim().to_owned()).collect()
    }

    /// A whole number in the query.
    ///
    /// # Errors
    /// Jira's answer to any other value.
    pub(super) fn number(&self, name: &str, default: usize) -> Result<usize, Answer> {
        let Some(text) = self.query(name) else { return Ok(default) };
        text.parse().map_err(|_| {
            let body = serde_json::json!({ "title": "Bad Request", "status": 400, "detail": format!("{name} is not a number") });
            Answer::text(400, "application/problem+json;charset=UTF-8", body.to_string())
                .with_complaint(format!("{name} is not a number"))
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
            .ok_or_else(|| Answer::invalid("The request body must be an object."))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
}

/// Decodes percent-encoding.
pub(super) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Whether the caller forces English. Jira ignores `Accept-Language` without `X-Force-Accept-Language: true`.
pub(super) fn english(headers: &HeaderMap) -> bool {
    let header =
        |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    header("x-force-accept-language") == "true" && header("accept-language").starts_with("en")
}
