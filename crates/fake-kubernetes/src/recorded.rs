//! Recorded requests.

/// A request, and the status of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The HTTP method.
    pub method: String,
    /// The path, as it was sent.
    pub path: String,
    /// The query parameters, decoded.
    pub query: Vec<(String, String)>,
    /// The HTTP status of the answer; `None` if there was none, or not yet.
    pub status: Option<u16>,
}
