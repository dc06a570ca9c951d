//! Answers to requests, and Jira's error bodies.

use serde_json::{Map, Value, json};

/// The result of a handler. Both sides are answers; the error side lets handlers return early with `?`.
pub(super) type HandlerResult = Result<Answer, Answer>;

#[derive(Debug)]
pub(super) enum Content {
    Empty,
    Json(Value),
    /// The media type and the text.
    Text(&'static str, String),
    /// See [`super::Fault::Flood`].
    Flood,
    /// See [`super::Fault::Trickle`].
    Trickle,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) content: Content,
    /// The caller's mistake, if every Jira would reject this request.
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

    /// Jira's error body with one message.
    pub(super) fn error(status: u16, message: impl Into<String>) -> Self {
        Self::error_body(status, vec![message.into()], Map::new())
    }

    /// Jira's error body about one field.
    pub(super) fn field_error(status: u16, field: &str, message: impl Into<String>) -> Self {
        let mut errors = Map::new();
        errors.insert(field.to_owned(), Value::String(message.into()));
        Self::error_body(status, Vec::new(), errors)
    }

    pub(super) fn error_body(status: u16, messages: Vec<String>, errors: Map<String, Value>) -> Self {
        Self::new(status, Content::Json(json!({ "errorMessages": messages, "errors": errors })))
    }

    /// The answer about a missing or hidden issue; Jira does not reveal which.
    pub(super) fn issue_not_found() -> Self {
        Self::error(404, "Issue does not exist or you do not have permission to see it.")
    }

    /// Records that the request was a mistake of the caller.
    pub(super) fn with_complaint(mut self, complaint: impl Into<String>) -> Self {
        self.complaint = Some(complaint.into());
        self
    }

    /// A 400 for a mistake of the caller; the message is the complaint too.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        let message = message.into();
        Self::error(400, message.clone()).with_complaint(message)
    }

    pub(super) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// All errors in the fields of a request. Jira reports them together.
#[derive(Default)]
pub(super) struct FieldErrors {
    pub(super) messages: Vec<String>,
    pub(super) fields: Map<String, Value>,
    /// The mistakes of the caller among them.
    pub(super) complaints: Vec<String>,
}

impl FieldErrors {
    /// Rejects a field because of this Jira's configuration.
    pub(super) fn reject(&mut self, field: &str, message: impl Into<String>) {
        self.fields.insert(field.to_owned(), Value::String(message.into()));
    }

    /// Rejects a field that every Jira would reject.
    pub(super) fn reject_invalid(&mut self, field: &str, message: impl Into<String>) {
        let message = message.into();
        self.complaints.push(format!("{field}: {message}"));
        self.reject(field, message);
    }

    /// # Errors
    /// Returns a 400 with all errors.
    pub(super) fn into_result(self) -> Result<(), Answer> {
        if self.messages.is_empty() && self.fields.is_empty() {
            return Ok(());
        }
        let answer = Answer::error_body(400, self.messages, self.fields);
        Err(if self.complaints.is_empty() {
            answer
        } else {
            answer.with_complaint(self.complaints.join("; "))
        })
    }
}
