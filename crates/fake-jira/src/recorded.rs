//! Recorded requests.

use serde_json::Value;

use super::{operation::Operation, time::EpochMillis};

/// Whether Jira accepted the credentials of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// The request had no credentials.
    None,
    /// Jira accepted them.
    Right,
    /// Jira rejected them.
    Wrong,
}

/// A request to the REST API, and the status of its answer.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The operation.
    pub operation: Operation,
    /// The HTTP method.
    pub method: String,
    /// The path as it was sent, without the context path.
    pub path: String,
    /// The query parameters, decoded.
    pub query: Vec<(String, String)>,
    /// The headers, with names in lower case, without `authorization` and `cookie`.
    pub headers: Vec<(String, String)>,
    /// Whether Jira accepted the credentials.
    pub credentials: Credentials,
    /// The body, if it was JSON.
    pub body: Option<Value>,
    /// The HTTP status of the answer; `None` if the connection ended without an answer.
    pub status: Option<u16>,
    /// When it was processed, by this Jira's clock.
    pub at: EpochMillis,
}
