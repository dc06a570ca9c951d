//! Flagger's JSON: the only module that knows how it is spelled.
//!
//! Questions and reports have the same body: `name`, `namespace`, `phase`, `checksum`, and the hook's own `metadata`.
//! The event hook adds `eventMessage`, `eventType` and `timestamp` to that metadata. Nothing in the body says which hook
//! it comes from; the path does.

mod sent;

use std::collections::BTreeMap;

use secrecy::SecretString;

use self::sent::{Keys, Sent};
use crate::{
    rollout::{Label, Message, Phase, Revision},
    text::{self, Quoted},
};

/// What Flagger said of one canary, with names that are known to be names.
#[derive(Debug)]
pub struct Payload {
    /// The canary's name, a DNS subdomain.
    pub name: String,
    /// Its namespace, a DNS label.
    pub namespace: String,
    /// How far the rollout is.
    pub message: Message,
    /// The hook's own metadata: words from outside, without the token and without what the event hook adds.
    pub metadata: BTreeMap<String, String>,
    /// `eventMessage`, in one line: what happened, as Flagger puts it.
    pub note: Option<String>,
    /// `metadata.token`, if one was sent.
    pub token: Option<SecretString>,
}

/// What is wrong with a payload, in one line. Shows at most 60 characters of it, escaped, and never the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPayload {
    /// There is nothing to read.
    #[error("the body is empty")]
    Empty,
    /// It cannot be read at all.
    #[error("the body is not JSON (line {line}, column {column})")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 at the start of a line.
        column: usize,
    },
    /// It is JSON, but of another kind.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// A key that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value is of another kind.
    #[error("{key} is not {wanted}")]
    Kind {
        /// Which, shown as it is in the error.
        key: String,
        /// What it should be, with its article.
        wanted: &'static str,
    },
    /// A name that Kubernetes would not accept.
    #[error("{what} {} is not a Kubernetes name (lower-case letters, digits and '-')", Quoted(.found))]
    Name {
        /// What it names.
        what: &'static str,
        /// What was sent.
        found: String,
    },
    /// Flagger's are 9 or 10 digits.
    #[error("checksum {} is not one (at most {CHECKSUM} printable ASCII characters, no spaces)", Quoted(.0))]
    Checksum(String),
}

/// How Flagger's words begin when a Canary has been set up.
const SET_UP: &str = "Initialization done!";
/// The longest checksum that is believed.
const CHECKSUM: usize = 64;
/// The longest label that is kept, in characters.
const LABEL: usize = 200;
/// The longest event message that is kept, in characters.
const NOTE: usize = 500;

/// Reads a question or a report.
///
/// Unknown keys are ignored, and so is a phase that is not known, for Flagger has more of them than matter here.
///
/// # Errors
/// If it is not JSON, a name is not one that Kubernetes would accept, or a value is of another kind than Flagger sends.
pub fn parse(body: &[u8]) -> Result<Payload, BadPayload> {
    if body.is_empty() {
        return Err(BadPayload::Empty);
    }
    let json = serde_json::from_slice(body)
        .map_err(|error| BadPayload::NotJson { line: error.line(), column: error.column() })?;
    let Sent::Object(keys) = json else { return Err(BadPayload::NotAnObject) };
    let name = text(&keys, "name")?.ok_or(BadPayload::Missing("name"))?;
    let namespace = text(&keys, "namespace")?.ok_or(BadPayload::Missing("namespace"))?;
    if !is_subdomain(name) {
        return Err(BadPayload::Name { what: "name", found: name.to_owned() });
    }
    label("namespace", namespace)?;
    let checksum = text(&keys, "checksum")?.filter(|checksum| !checksum.is_empty());
    if let Some(odd) = checksum.filter(|checksum| !is_checksum(checksum)) {
        return Err(BadPayload::Checksum(odd.to_owned()));
    }
    let Metadata { kept, revision, note, token } = metadata(&keys)?;
    let phase = text(&keys, "phase")?.map_or(Phase::Other, Phase::named);
    // The last words of a Canary that is being set up already carry the phase after it.
    let sets_up = note.as_deref().is_some_and(|words| words.starts_with(SET_UP));
    Ok(Payload {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        message: Message {
            phase: if sets_up { Phase::Initializing } else { phase },
            checksum: checksum.map(|checksum| Revision(checksum.to_owned())),
            label: revision.map(Label),
        },
        metadata: kept,
        note,
        token,
    })
}

/// Which canary a message is about that is turned away: namespace and name, if both can be read and are names.
#[must_use]
pub fn named(body: &[u8]) -> Option<String> {
    let Ok(Sent::Object(keys)) = serde_json::from_slice(body) else { return None };
    let (name, namespace) = (text(&keys, "name").ok()??, text(&keys, "namespace").ok()??);
    (is_subdomain(name) && is_label(namespace) && namespace.len() <= 63)
        .then(|| format!("{namespace}/{name}"))
}

/// Accepts a DNS label, as namespaces and our own names for gates and clusters are: at most 63 characters.
///
/// # Errors
/// If it is none; `what` says in the error what it should have named.
pub fn label(what: &'static str, found: &str) -> Result<(), BadPayload> {
    if found.len() <= 63 && is_label(found) {
        Ok(())
    } else {
        Err(BadPayload::Name { what, found: found.to_owned() })
    }
}

/// The text of a key; `None` where it is missing or null, as Flagger's client leaves out what is empty.
fn text<'a>(keys: &'a Keys<'_>, key: &'static str) -> Result<Option<&'a str>, BadPayload> {
    match keys.get(key) {
        None | Some(Sent::Null) => Ok(None),
        Some(Sent::Text(text)) => Ok(Some(text)),
        Some(Sent::Object(_) | Sent::Other) => {
            Err(BadPayload::Kind { key: key.to_owned(), wanted: "a string" })
        }
    }
}

/// What the metadata says.
#[derive(Default)]
struct Metadata {
    /// The hook's own words.
    kept: BTreeMap<String, String>,
    /// `revision`, which is one of them, in one line.
    revision: Option<String>,
    /// `eventMessage`, in one line.
    note: Option<String>,
    token: Option<SecretString>,
}

fn metadata(keys: &Keys<'_>) -> Result<Metadata, BadPayload> {
    let sent = match keys.get("metadata") {
        None | Some(Sent::Null) => return Ok(Metadata::default()),
        Some(Sent::Object(sent)) => sent,
        Some(Sent::Text(_) | Sent::Other) => {
            return Err(BadPayload::Kind { key: "metadata".to_owned(), wanted: "an object" });
        }
    };
    let mut metadata = Metadata::default();
    let mut is_event = false;
    for (key, value) in &sent.0 {
        let Sent::Text(value) = value else {
            return Err(BadPayload::Kind { key: format!("metadata {}", Quoted(key)), wanted: "a string" });
        };
        match &**key {
            "token" => {
                metadata.token = Some(&**value).filter(|token| !token.is_empty()).map(SecretString::from);
                continue;
            }
            "eventMessage" => {
                metadata.note = short_line(value, NOTE);
                continue;
            }
            "eventType" => {
                is_event = true;
                continue;
            }
            "revision" => metadata.revision = short_line(value, LABEL),
            _ => {}
        }
        // PostgreSQL takes no NUL.
        metadata.kept.insert(text::sanitize(key), text::sanitize(value));
    }
    if is_event {
        metadata.kept.remove("timestamp");
    }
    Ok(metadata)
}

/// RFC 1123, as Kubernetes has it for the names of most resources: labels with dots between them, 253 characters.
fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label)
}

fn is_label(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(inside) && !name.starts_with('-') && !name.ends_with('-')
}

fn is_checksum(checksum: &str) -> bool {
    checksum.len() <= CHECKSUM && checksum.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The first `most` characters, in one line; none if it would be empty.
fn short_line(words: &str, most: usize) -> Option<String> {
    let line = text::single_line(words);
    let line = line.trim();
    let kept = text::beginning(line, most).unwrap_or(line).trim_end();
    (!kept.is_empty()).then(|| kept.to_owned())
}

#[cfg(test)]
mod tests;
