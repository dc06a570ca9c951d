//! An answer from Jira, and how it is read.

use reqwest::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap},
};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    credentials::Signature,
    denial::{Denial, Symptom, mentions_scope},
    error::{Error, NOT_JSON, Origin, UnreadableReason},
    request::Operation,
    wire::{self, Complaint},
};
use crate::{millis::Millis, text};

/// The longest answer that is read, after decompression: 4 MiB.
const LONGEST_ANSWER: usize = 4 << 20;

/// How much of a plain-text refusal is shown, in characters.
const LONGEST_COMPLAINT: usize = 200;

/// An answer with status 2xx or 4xx.
pub(super) struct Answer {
    pub(super) host: String,
    pub(super) operation: Operation,
    pub(super) status: StatusCode,
    pub(super) signature: Signature,
    pub(super) json: bool,
    pub(super) plain: bool,
    pub(super) body: Vec<u8>,
    /// From the `Date` header.
    pub(super) date: Option<Millis>,
    /// The token that the request was sent with.
    pub(super) token: SecretString,
}

impl Answer {
    /// The body as `T`.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if !self.json {
            return Err(self.not_json());
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| self.unreadable(&text::truncate(&text::single_line(&error.to_string()), 200)))
    }

    /// A part of the body as `T`.
    pub(super) fn part<T: DeserializeOwned>(&self, part: Value) -> Result<T, Error> {
        serde_json::from_value(part).map_err(|error| self.unreadable(&text::single_line(&error.to_string())))
    }

    /// Checks that the effect took place: Jira then answers with exactly this status. A proxy may answer 200 to
    /// anything.
    pub(super) fn expect_status(&self, status: StatusCode) -> Result<(), Error> {
        if self.status == status {
            return Ok(());
        }
        Err(self.unreadable(&format!("status {} where Jira says {}", self.status.as_u16(), status.as_u16())))
    }

    /// An error that says what is wrong with this answer.
    pub(super) fn unreadable(&self, what: &str) -> Error {
        self.flawed(what, UnreadableReason::Other)
    }

    /// The error for an answer that should be JSON and is not.
    pub(super) fn not_json(&self) -> Error {
        self.flawed(NOT_JSON, UnreadableReason::NotJson)
    }

    fn flawed(&self, what: &str, flaw: UnreadableReason) -> Error {
        let what = format!("{what} (in answer to {})", self.operation.doing);
        Error::Unreadable { host: self.host.clone(), what, reason: flaw }
    }

    /// The error for an answer that does not name the bridge's account, although Jira's other answers do: an
    /// intermediary gave it, or Jira gave it to an anonymous caller. A refusal counts as one by an intermediary.
    pub(super) fn wrong_account(&self) -> Error {
        if !self.status.is_client_error() {
            return self.unreadable("it does not name the bridge's account, as Jira's other answers do");
        }
        let said = self.complaint();
        self.refused_by(Origin::Intermediary, said)
    }

    /// The error for an answer of 4xx.
    pub(super) fn refused(&self) -> Error {
        let said = self.complaint();
        let (messages, form) =
            said.as_ref().map_or(("", Origin::Intermediary), |said| (said.words.as_str(), said.by));
        // Jira reports a missing path in another form than its API's, and reports every path as missing while it
        // starts. For other statuses in another form, such as `XSRF check failed`, the header proves that the answer is
        // Jira's.
        let is_of_path =
            matches!(self.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE);
        // Atlassian's gateway gives this answer to a token that lacks a scope.
        let lacks_scope = self.status == StatusCode::UNAUTHORIZED && mentions_scope(messages);
        let signed = self.signature == Signature::Ours && !is_of_path;
        let by = if signed || lacks_scope { Origin::Jira } else { form };
        self.refused_by(by, said)
    }

    fn refused_by(&self, by: Origin, said: Option<Complaint>) -> Error {
        let (host, operation, status) = (self.host.clone(), self.operation, self.status.as_u16());
        let (messages, fields) = said.map(|said| (said.words, said.fields)).unwrap_or_default();
        Error::Refused { host, operation, status, messages, fields, by }
    }
}

impl Answer {
    /// This 401 or 403 to the request `asked`, as a symptom that Jira denies the bridge access. A 403 gives Jira's
    /// reason; its 401 always says the same.
    pub(super) fn symptom(&self, asked: Option<Operation>) -> Symptom {
        let said = match self.jira_message() {
            words if words.is_empty() => String::new(),
            words => format!(": {}", words.trim_end_matches('.')),
        };
        Symptom::Refused { asked, status: self.status.as_u16(), said }
    }

    /// Why Jira denies the bridge access, as far as a 401 or 403 says. A 403 without any sign of Jira may come from an
    /// intermediary.
    pub(super) fn denial(&self) -> Denial {
        let said = self.jira_message();
        let jiras = self.json || self.signature != Signature::None;
        match Denial::from_message(&said) {
            Some(denial) => denial,
            None if self.status == StatusCode::FORBIDDEN && !jiras => Denial::Intermediary,
            None => Denial::Credentials,
        }
    }

    /// The words of a refusal, whoever gave it.
    pub(super) fn words(&self) -> String {
        self.complaint().map(|complaint| complaint.words).unwrap_or_default()
    }

    fn jira_message(&self) -> String {
        let said = if self.status == StatusCode::FORBIDDEN { self.complaint() } else { None };
        said.map(|said| said.words).unwrap_or_default()
    }

    /// The message of a refusal, and who gave it as far as its form says.
    fn complaint(&self) -> Option<Complaint> {
        if self.json { wire::complaint(&self.body) } else { self.plain_complaint() }
    }

    /// A plain-text message, such as `XSRF check failed`; an intermediary may have written it.
    fn plain_complaint(&self) -> Option<Complaint> {
        let text = String::from_utf8_lossy(&self.body);
        let words = text::truncate(text::single_line(&text).trim(), LONGEST_COMPLAINT);
        let is_said = self.plain && !words.is_empty();
        is_said.then_some(Complaint { words, fields: vec![], by: Origin::Intermediary })
    }
}

/// Why a body could not be read.
pub(super) enum Body {
    /// Longer than is read.
    TooLong,
    /// It ended too soon.
    Cut(reqwest::Error),
}

/// Reads a body to its end, decompressed.
pub(super) async fn body(response: Response) -> Result<Vec<u8>, Body> {
    body_within(response, LONGEST_ANSWER).await
}

/// Reads a body of at most `longest` bytes to its end, decompressed.
pub(super) async fn body_within(mut response: Response, longest: usize) -> Result<Vec<u8>, Body> {
    let mut body = vec![];
    while let Some(chunk) = response.chunk().await.map_err(Body::Cut)? {
        if body.len() + chunk.len() > longest {
            return Err(Body::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A header that is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The media type of an answer, without parameters, in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let media = text(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a media type is JSON.
pub(super) fn is_json(media: &str) -> bool {
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}
