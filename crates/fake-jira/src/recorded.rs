//! What is remembered of a request.

use serde_json::Value;

use super::{operation::Operation, time::EpochMillis};

/// Whether the credentials of a request were right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// None were sent.
    None,
    /// Jira took them.
    Right,
    /// Jira did not take them.
    Wrong,
}

/// A request to the REST API, and what became of it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Which operation it was.
    pub operation: Operation,
    /// The HTTP method.
    pub method: String,
    /// The path without the context path, as it was sent.
    pub path: String,
    /// The query parameters, decoded.
    pub query: Vec<(String, String)>,
    /// The headers with names in lower case, without `authorization`.
    pub headers: Vec<(String, String)>,
    /// Whether the credentials were right.
    pub credentials: Credentials,
    /// The body, if it was JSON.
    pub body: Option<Value>,
    /// The status that was answered; none if the connection ended without an answer.
    pub status: Option<u16>,
    /// When it was done, in this Jira's time.
    pub at: EpochMillis,
}
