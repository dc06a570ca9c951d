//! What goes back to the caller.

use serde_json::{Map, Value, json};

/// A handler's answer; the error side is an answer too, given early.
pub(super) type Reply = Result<Answer, Answer>;

#[derive(Debug)]
pub(super) enum Content {
    Empty,
    Json(Value),
    /// A media type and a text.
    Text(&'static str, String),
    /// JSON of 1 GiB.
    Flood,
    /// JSON that comes a blank at a time and never ends.
    Trickle,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) content: Content,
    /// Why the caller should not have sent this at all.
    pub(super) complaint: Option<String>,
}

impl Answer {
    pub(super) fn new(status: u16, content: Content) -> Self {
        Self { status, headers: Vec::new(), content, complaint: None }
    }

    pub(super) fn ok(value: Value) -> Self {
        Self::new(200, Content::Json(value))
    }

    pub(super) fn created(value: Value) -> Self {
        Self::new(201, Content::Json(value))
    }

    pub(super) fn empty(status: u16) -> Self {
        Self::new(status, Content::Empty)
    }

    pub(super) fn text(status: u16, media: &'static str, text: impl Into<String>) -> Self {
        Self::new(status, Content::Text(media, text.into()))
    }

    /// Jira's usual error body with messages only.
    pub(super) fn refused(status: u16, message: impl Into<String>) -> Self {
        Self::ok_errors(status, vec![message.into()], Map::new())
    }

    /// Jira's usual error body about one field.
    pub(super) fn field(status: u16, field: &str, message: impl Into<String>) -> Self {
        let mut errors = Map::new();
        errors.insert(field.to_owned(), Value::String(message.into()));
        Self::ok_errors(status, Vec::new(), errors)
    }

    pub(super) fn ok_errors(status: u16, messages: Vec<String>, errors: Map<String, Value>) -> Self {
        Self::new(status, Content::Json(json!({ "errorMessages": messages, "errors": errors })))
    }

    /// The answer about an issue that is missing or hidden: one cannot tell which.
    pub(super) fn no_issue() -> Self {
        Self::refused(404, "Issue does not exist or you do not have permission to see it.")
    }

    /// Remembered as a fault of the caller.
    pub(super) fn blame(mut self, complaint: impl Into<String>) -> Self {
        self.complaint = Some(complaint.into());
        self
    }

    /// A 400 that is the caller's fault, with the same words for both.
    pub(super) fn wrong(message: impl Into<String>) -> Self {
        let message = message.into();
        Self::refused(400, message.clone()).blame(message)
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What is wrong with the fields of a request: all of it, as Jira reports it.
#[derive(Default)]
pub(super) struct Problems {
    pub(super) messages: Vec<String>,
    pub(super) fields: Map<String, Value>,
    /// The part that is the caller's own fault.
    pub(super) blame: Vec<String>,
}

impl Problems {
    /// Refused because of how this Jira is set up.
    pub(super) fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.fields.insert(field.to_owned(), Value::String(message.into()));
    }

    /// Refused because no Jira would take it.
    pub(super) fn wrong(&mut self, field: &str, message: impl Into<String>) {
        let message = message.into();
        self.blame.push(format!("{field}: {message}"));
        self.refuse(field, message);
    }

    /// # Errors
    /// The 400 with everything that was found.
    pub(super) fn settle(self) -> Result<(), Answer> {
        if self.messages.is_empty() && self.fields.is_empty() {
            return Ok(());
        }
        let answer = Answer::ok_errors(400, self.messages, self.fields);
        Err(if self.blame.is_empty() { answer } else { answer.blame(self.blame.join("; ")) })
    }
}
