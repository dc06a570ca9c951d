//! PURE: the labels and annotations of a target that a ticket shows.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::{members, name};
use crate::text::one_line;

/// The longest value that is shown, in characters.
const LONGEST_VALUE: usize = 500;
/// `kubectl apply` keeps a copy of the whole object here, with the values of its variables. Never shown.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// What stands behind one of these words and `=` or `:` is a secret. So is a value whose name ends with one of them.
const SECRET_WORDS: [&str; 10] = [
    "password",
    "passwd",
    "pwd",
    "secret",
    "token",
    "api_key",
    "api-key",
    "apikey",
    "access_key",
    "signature",
];
/// What begins with one of these is one, too.
const SECRET_PREFIXES: [&str; 3] = ["bearer ", "-----begin ", "sig="];
/// A run of so many letters and digits with upper case, lower case and a digit is no word but a token.
const SHORTEST_MIXED_TOKEN: usize = 20;
/// So is any longer run of letters with digits.
const SHORTEST_TOKEN: usize = 32;
/// But one of so many hex digits is a commit of Git.
const COMMIT: usize = 40;
/// And one of so many behind `sha256:` is a digest.
const SHA256: usize = 64;

/// A label or annotation of the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// Its name.
    pub name: String,
    /// Its value, as far as it is shown.
    pub value: AnnotationValue,
}

/// The value of an [`Annotation`]. Displayed, it is on one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnnotationValue {
    /// On one line.
    Text(String),
    /// An http or https URL.
    Link(String),
    /// The value is not kept.
    Withheld(Withheld),
}

/// Why a value is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withheld {
    /// It looks like a secret.
    Secret,
    /// It is JSON: what a tool notes there, often the whole object.
    Json,
}

impl fmt::Display for AnnotationValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(text) | Self::Link(text) => text,
            Self::Withheld(Withheld::Secret) => "not shown: looks like a secret",
            Self::Withheld(Withheld::Json) => "not shown: a tool's notes in JSON",
        })
    }
}

/// The annotations and labels of an object whose names are to be shown, by name.
pub(super) fn annotations(object: &Value, is_shown: &dyn Fn(&str) -> bool) -> Vec<Annotation> {
    let metadata = &object["metadata"];
    let all = members(&metadata["annotations"]).chain(members(&metadata["labels"]));
    let shown = all.filter(|(name, _)| *name != LAST_APPLIED && is_shown(name));
    let mut found: Vec<Annotation> = shown
        .filter_map(|(key, value)| {
            let value = value.as_str()?;
            Some(Annotation { name: name(key), value: AnnotationValue::of(key, value) })
        })
        .collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

impl AnnotationValue {
    fn of(name: &str, value: &str) -> Self {
        if SECRET_WORDS.iter().any(|word| name.to_lowercase().ends_with(word)) || looks_like_secret(value) {
            return Self::Withheld(Withheld::Secret);
        }
        if serde_json::from_str(value).is_ok_and(|json: Value| json.is_object() || json.is_array()) {
            return Self::Withheld(Withheld::Json);
        }
        let text = one_line(value, LONGEST_VALUE);
        // Not if it was cut or cleaned: it would lead elsewhere.
        if text == value && is_url(value) { Self::Link(text) } else { Self::Text(text) }
    }
}

fn is_url(value: &str) -> bool {
    let rest = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && !value.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '|' | '\\'))
}

/// Whether a value may be a secret. It errs on that side: a value too few is seen at once, a secret too many never.
fn looks_like_secret(value: &str) -> bool {
    let lower = value.to_lowercase();
    let is_given = |word: &str| {
        let mut behind = lower.split(word).skip(1);
        behind.any(|behind| behind.trim_start_matches(['"', '\'', ' ']).starts_with(['=', ':']))
    };
    SECRET_WORDS.into_iter().any(is_given)
        || SECRET_PREFIXES.iter().any(|prefix| lower.contains(prefix))
        || has_user(value)
        || has_token(value)
}

/// Whether there is a URL with a user or password in it.
fn has_user(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let url = rest.split(char::is_whitespace).next().unwrap_or_default();
        // A password may hold a slash that should be escaped; then a colon is before it.
        url.split_once('@').is_some_and(|(user, _)| user.contains(':') || !user.contains(['/', '?', '#']))
    })
}

fn has_token(value: &str) -> bool {
    let mut before = "";
    value.split_inclusive(|c: char| !c.is_ascii_alphanumeric()).any(|piece| {
        let run = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_token = is_token(run, before);
        before = piece;
        is_token
    })
}

/// Whether a run of letters and digits is a token. `before` is the run before it, with the sign between them.
fn is_token(run: &str, before: &str) -> bool {
    let has = |is: fn(&char) -> bool| run.chars().any(|c| is(&c));
    let (upper, lower, digit) =
        (has(char::is_ascii_uppercase), has(char::is_ascii_lowercase), has(char::is_ascii_digit));
    let is_hex = run.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_hash = is_hex && (run.len() == COMMIT || (run.len() == SHA256 && before == "sha256:"));
    let is_mixed = upper && lower && digit && run.len() >= SHORTEST_MIXED_TOKEN;
    !is_hash && (is_mixed || ((upper || lower) && digit && run.len() >= SHORTEST_TOKEN))
}
