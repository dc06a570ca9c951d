//! Issues that people opened, and that become the ticket of a gate: read, mark, and give back.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    client::Jira,
    error::Error,
    marks::{LABEL, PROPERTY},
    request::{Operation, Request},
    wire::ExistingIssue,
};
use crate::gate::{GateId, NamedIssue};

impl Jira {
    /// The issue with this id or key, without its history. None: Jira's API itself answered 404, and a `/myself` that was
    /// sent afterward succeeded. The key becomes part of the path: pass only what [`crate::gate::issue_key`] accepts.
    ///
    /// # Errors
    /// Any.
    pub async fn existing_issue(&self, id_or_key: &str) -> Result<Option<NamedIssue>, Error> {
        let kind = self.kind().await?;
        let request = Request::get(Operation::ISSUE, kind, &["issue", id_or_key])
            .query("fields", ExistingIssue::FIELDS)
            .query("properties", PROPERTY);
        let answer = match self.sender.call(request).await {
            Err(error) if error.is_missing() => {
                self.verify_credentials().await?;
                return Ok(None);
            }
            answer => answer?,
        };
        // Parsed as a `Value` first, because a key may occur twice.
        let issue: ExistingIssue = answer.part(answer.read()?)?;
        issue.read().map(Some).map_err(|what| answer.unreadable(what))
    }

    /// Marks an issue as the ticket of this gate, with its property and labels, in one request. The second time changes
    /// nothing.
    ///
    /// # Errors
    /// Any; after one with an unknown side effect, call again.
    pub async fn mark(&self, id: &str, gate: &GateId, labels: &[String]) -> Result<(), Error> {
        let own = [LABEL.to_owned(), gate.label()];
        let add: Vec<Value> = own.iter().chain(labels).map(|label| json!({"add": label})).collect();
        self.edit_marks(id, add, json!({"gate": gate})).await
    }

    /// Takes the mark of this gate from an issue again: its labels, and the gate in its property.
    ///
    /// # Errors
    /// As [`Jira::mark`].
    pub async fn unmark(&self, id: &str, gate: &GateId, labels: &[String]) -> Result<(), Error> {
        let own = [LABEL.to_owned(), gate.label()];
        let remove: Vec<Value> = own.iter().chain(labels).map(|label| json!({"remove": label})).collect();
        self.edit_marks(id, remove, json!({"released": gate})).await
    }

    async fn edit_marks(&self, id: &str, labels: Vec<Value>, property: Value) -> Result<(), Error> {
        let body =
            json!({"update": {"labels": labels}, "properties": [{"key": PROPERTY, "value": property}]});
        let request = Request::put(Operation::LABEL, self.kind().await?, &["issue", id]).body(body);
        self.sender.call(request).await?.expect_status(StatusCode::NO_CONTENT)
    }

    /// Whether the bridge wrote a comment with this tag.
    ///
    /// # Errors
    /// Any.
    pub async fn has_commented(&self, id: &str, tag: &str) -> Result<bool, Error> {
        self.has_comment(self.kind().await?, id, tag).await
    }
}
