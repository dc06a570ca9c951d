//! A request to Jira, and what is known of it before it is sent.

use reqwest::Method;
use serde_json::Value;

use super::Kind;

/// A request before it has a host and credentials.
pub(super) struct Request {
    pub(super) operation: &'static str,
    pub(super) method: Method,
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    pub(super) repeat: Repeat,
    pub(super) proof: Proof,
}

/// Whether doing it twice does it twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// No.
    Harmless,
    /// Yes.
    Doubles,
}

/// Whether the answer must prove that it was given to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It must.
    Needed,
    /// Everybody gets the same.
    Needless,
}

impl Request {
    /// A request under `/rest/api/2` or `/3`, whichever this kind of Jira has.
    pub(super) fn new(operation: &'static str, method: Method, kind: Kind, path: &[&str]) -> Self {
        let mut segments = vec!["rest".to_owned(), "api".to_owned(), kind.api().to_owned()];
        segments.extend(path.iter().map(|segment| (*segment).to_owned()));
        let (query, body, repeat, proof) = (vec![], None, Repeat::Harmless, Proof::Needed);
        Self { operation, method, path: segments, query, body, repeat, proof }
    }

    /// With one more parameter.
    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// With a JSON body.
    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Not idempotent: it shows as the `step` events `sending` and `answered`.
    pub(super) fn doubles(self) -> Self {
        Self { repeat: Repeat::Doubles, ..self }
    }

    /// Worth as much when a stranger gets the same answer.
    pub(super) fn public(self) -> Self {
        Self { proof: Proof::Needless, ..self }
    }
}
