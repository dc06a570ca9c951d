//! Answers to requests, and the `Status` objects of those that failed.

use serde_json::{Value, json};

use super::kind::Kind;

/// The result of a handler. Both sides are answers; the error side lets handlers return early with `?`.
pub(super) type HandlerResult = Result<Answer, Answer>;

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    /// The caller's mistake, or what this server does not serve.
    pub(super) complaint: Option<String>,
}

impl Answer {
    pub(super) const fn new(status: u16, body: Value) -> Self {
        Self { status, body, complaint: None }
    }

    /// A `Status`. See `k8s.io/apimachinery/pkg/api/errors`, which has the words of all of these.
    pub(super) fn failure(code: u16, reason: &str, message: &str, details: Option<Value>) -> Self {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        });
        if let Some(details) = details {
            status["details"] = details;
        }
        Self::new(code, status)
    }

    /// A 400 for a mistake of the caller; the message is the complaint too.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        let message = message.into();
        Self::failure(400, "BadRequest", &message, None).with_complaint(message)
    }

    pub(super) fn unauthorized() -> Self {
        Self::failure(401, "Unauthorized", "Unauthorized", None)
    }

    pub(super) fn unavailable() -> Self {
        Self::failure(503, "ServiceUnavailable", "apiserver is shutting down", None)
    }

    pub(super) fn not_found(kind: Kind, name: &str) -> Self {
        Self::about(404, "NotFound", kind, name, "not found")
    }

    pub(super) fn already_exists(kind: Kind, name: &str) -> Self {
        Self::about(409, "AlreadyExists", kind, name, "already exists")
    }

    fn about(code: u16, reason: &str, kind: Kind, name: &str, what: &str) -> Self {
        let message = format!("{} {name:?} {what}", qualified(kind.group(), kind.resource()));
        Self::failure(code, reason, &message, Some(details(kind.group(), kind.resource(), Some(name))))
    }

    /// The version or the page that the caller asks for is no longer known.
    pub(super) fn expired(message: &str) -> Self {
        Self::failure(410, "Expired", message, None)
    }

    /// Records what this server does not serve, or a mistake of the caller.
    pub(super) fn with_complaint(mut self, complaint: impl Into<String>) -> Self {
        self.complaint = Some(complaint.into());
        self
    }
}

/// A resource as messages name it: `deployments.apps`.
pub(super) fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

/// The `details` of a `Status` about a resource.
pub(super) fn details(group: &str, resource: &str, name: Option<&str>) -> Value {
    let mut details = json!({ "kind": resource });
    if !group.is_empty() {
        details["group"] = group.into();
    }
    if let Some(name) = name {
        details["name"] = name.into();
    }
    details
}
