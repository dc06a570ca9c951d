//! Flagger's JSON. No other module knows its form.
//!
//! Questions and reports have the same body: `name`, `namespace`, `phase`, `checksum`, and the hook's own `metadata`.
//! The event hook adds `eventMessage`, `eventType` and `timestamp` to that metadata. Only the path says which hook a
//! message comes from.

mod sent;

use std::collections::BTreeMap;

use secrecy::SecretString;

use self::sent::{JsonObject, JsonValue};
use crate::{
    rollout::{Label, Message, Phase, Revision},
    text::{self, Quoted},
};

/// A message of Flagger about one canary, with validated names.
#[derive(Debug)]
pub struct Payload {
    /// The canary's name, a DNS subdomain.
    pub name: String,
    /// Its namespace, a DNS label.
    pub namespace: String,
    /// Its phase, checksum and label.
    pub message: Message,
    /// The hook's own metadata, sanitized, without the token and the keys that the event hook adds.
    pub metadata: BTreeMap<String, String>,
    /// `eventMessage`, in one line: Flagger's description of what happened.
    pub event_message: Option<String>,
    /// `metadata.token`, if one was sent.
    pub token: Option<SecretString>,
}

/// What is wrong with a payload, in one line. Shows at most 60 characters of it, escaped, and never the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPayload {
    /// The body is empty.
    #[error("the body is empty")]
    Empty,
    /// The body is not JSON.
    #[error("the body is not JSON (line {line}, column {column})")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 at the start of a line.
        column: usize,
    },
    /// The body is JSON, but not an object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// A required key is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value has the wrong type.
    #[error("{key} is not {wanted}")]
    Kind {
        /// The key, as the error shows it.
        key: String,
        /// The expected type, with its article.
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
    /// The checksum is too long or has other characters. Flagger's have 9 or 10 digits.
    #[error("checksum {} is not valid (at most {CHECKSUM} printable ASCII characters, no spaces)", Quoted(.0))]
    Checksum(String),
}

/// The beginning of Flagger's event message when a Canary has been set up.
const SET_UP: &str = "Initialization done!";
/// The longest accepted checksum.
const CHECKSUM: usize = 64;
/// The longest label that is kept, in characters.
const LABEL: usize = 200;
/// The longest event message that is kept, in characters.
const EVENT_MESSAGE: usize = 500;

/// Reads a question or a report.
///
/// Ignores unknown keys, and reads an unknown phase as [`Phase::Other`]: Flagger has phases that do not matter here.
///
/// # Errors
/// If it is not JSON, Kubernetes would not accept a name, or a value is not what Flagger sends.
pub fn parse(body: &[u8]) -> Result<Payload, BadPayload> {
    if body.is_empty() {
        return Err(BadPayload::Empty);
    }
    let json = serde_json::from_slice(body)
        .map_err(|error| BadPayload::NotJson { line: error.line(), column: error.column() })?;
    let JsonValue::Object(keys) = json else { return Err(BadPayload::NotAnObject) };
    let name = text(&keys, "name")?.ok_or(BadPayload::Missing("name"))?;
    let namespace = text(&keys, "namespace")?.ok_or(BadPayload::Missing("namespace"))?;
    if !is_subdomain(name) {
        return Err(BadPayload::Name { what: "name", found: name.to_owned() });
    }
    check_dns_label("namespace", namespace)?;
    let checksum = text(&keys, "checksum")?.filter(|checksum| !checksum.is_empty());
    if let Some(odd) = checksum.filter(|checksum| !is_checksum(checksum)) {
        return Err(BadPayload::Checksum(odd.to_owned()));
    }
    let Metadata { kept, revision, event_message, token } = metadata(&keys)?;
    let phase = text(&keys, "phase")?.map_or(Phase::Other, Phase::named);
    // The last event while a Canary is set up already has the next phase.
    let sets_up = event_message.as_deref().is_some_and(|words| words.starts_with(SET_UP));
    Ok(Payload {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        message: Message {
            phase: if sets_up { Phase::Initializing } else { phase },
            checksum: checksum.map(|checksum| Revision(checksum.to_owned())),
            label: revision.map(Label),
        },
        metadata: kept,
        event_message,
        token,
    })
}

/// `namespace/name` of a rejected message, if both can be read and are valid.
#[must_use]
pub fn canary_name(body: &[u8]) -> Option<String> {
    let Ok(JsonValue::Object(keys)) = serde_json::from_slice(body) else { return None };
    let (name, namespace) = (text(&keys, "name").ok()??, text(&keys, "namespace").ok()??);
    (is_subdomain(name) && is_label(namespace) && namespace.len() <= 63)
        .then(|| format!("{namespace}/{name}"))
}

/// Accepts a DNS label of at most 63 characters: a namespace, or the bridge's name for a gate or cluster.
///
/// # Errors
/// If `found` is not a DNS label. `what` says in the error what `found` names.
pub fn check_dns_label(what: &'static str, found: &str) -> Result<(), BadPayload> {
    if found.len() <= 63 && is_label(found) {
        Ok(())
    } else {
        Err(BadPayload::Name { what, found: found.to_owned() })
    }
}

/// The text of a key; `None` if it is missing or null, because Flagger leaves out empty values.
fn text<'a>(keys: &'a JsonObject<'_>, key: &'static str) -> Result<Option<&'a str>, BadPayload> {
    match keys.get(key) {
        None | Some(JsonValue::Null) => Ok(None),
        Some(JsonValue::Text(text)) => Ok(Some(text)),
        Some(JsonValue::Object(_) | JsonValue::Other) => {
            Err(BadPayload::Kind { key: key.to_owned(), wanted: "a string" })
        }
    }
}

/// The parsed metadata.
#[derive(Default)]
struct Metadata {
    /// The hook's own keys and values.
    kept: BTreeMap<String, String>,
    /// `revision`, in one line; `kept` holds it, too.
    revision: Option<String>,
    /// `eventMessage`, in one line.
    event_message: Option<String>,
    token: Option<SecretString>,
}

fn metadata(keys: &JsonObject<'_>) -> Result<Metadata, BadPayload> {
    let sent = match keys.get("metadata") {
        None | Some(JsonValue::Null) => return Ok(Metadata::default()),
        Some(JsonValue::Object(sent)) => sent,
        Some(JsonValue::Text(_) | JsonValue::Other) => {
            return Err(BadPayload::Kind { key: "metadata".to_owned(), wanted: "an object" });
        }
    };
    let mut metadata = Metadata::default();
    let mut is_event = false;
    for (key, value) in &sent.0 {
        let JsonValue::Text(value) = value else {
            return Err(BadPayload::Kind { key: format!("metadata {}", Quoted(key)), wanted: "a string" });
        };
        match &**key {
            "token" => {
                metadata.token = Some(&**value).filter(|token| !token.is_empty()).map(SecretString::from);
                continue;
            }
            "eventMessage" => {
                metadata.event_message = short_line(value, EVENT_MESSAGE);
                continue;
            }
            "eventType" => {
                is_event = true;
                continue;
            }
            "revision" => metadata.revision = short_line(value, LABEL),
            _ => {}
        }
        // PostgreSQL rejects NUL.
        metadata.kept.insert(text::sanitize(key), text::sanitize(value));
    }
    if is_event {
        metadata.kept.remove("timestamp");
    }
    Ok(metadata)
}

/// An RFC 1123 subdomain, as Kubernetes requires for most names: labels separated by dots, at most 253 characters.
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
