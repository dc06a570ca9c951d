//! Reads one table of the merged tree. Every getter reports the problem before it returns `None`, so that its caller
//! can continue and find the other problems, too.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    io::ErrorKind,
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use globset::{Glob, GlobSet, GlobSetBuilder};
use reqwest::Url;
use serde_json::{Map, Value};

use super::{
    duration,
    examples::example,
    problems::Sink,
    wanted::{Wanted, type_name},
};
use crate::secret::{self, Secret};

/// Names that other programs use for some keys, and the keys of the bridge.
const ALSO_CALLED: [(&str, &str); 6] = [
    ("username", "user"),
    ("email", "user"),
    ("api_token", "token"),
    ("password", "token"),
    ("base_url", "url"),
    ("issuetype", "issue_type"),
];

/// A table and its key. The keys that were read are known; [`Section::report_unknown_keys`] reports all others.
pub(super) struct Section<'a> {
    key: String,
    table: &'a Map<String, Value>,
    sink: &'a Sink,
    known: RefCell<BTreeSet<String>>,
}

impl<'a> Section<'a> {
    /// The table at `key`; the whole tree is at the empty key.
    pub(super) fn new(key: String, table: &'a Map<String, Value>, sink: &'a Sink) -> Self {
        Self { key, table, sink, known: RefCell::default() }
    }

    /// The key of this table.
    pub(super) fn at(&self) -> &str {
        &self.key
    }

    /// The key of an entry of this table.
    pub(super) fn key(&self, name: &str) -> String {
        if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) }
    }

    /// Reports a problem at an entry.
    pub(super) fn problem(&self, name: &str, what: impl Into<String>) {
        self.sink.push(&self.key(name), what);
    }

    /// All entries, for tables with keys that Jira defines.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.table.iter().inspect(|(name, _)| {
            self.known.borrow_mut().insert((*name).clone());
        })
    }

    /// An entry of any type, if it exists.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.known.borrow_mut().insert(name.to_owned());
        self.table.get(name)
    }

    /// Reads an entry that may be left out.
    pub(super) fn optional<T>(&self, name: &str, read: impl FnOnce(&Self, &str) -> Option<T>) -> Option<T> {
        self.value(name)?;
        read(self, name)
    }

    fn required(&self, name: &str) -> Option<&'a Value> {
        let value = self.value(name);
        if value.is_none() {
            self.problem(name, "is missing");
        }
        value
    }

    /// Reports a value of the wrong type, with an example of a right one.
    pub(super) fn wrong_type<T>(&self, name: &str, wanted: Wanted, value: &Value) -> Option<T> {
        let example = match wanted {
            Wanted::Flag => String::new(),
            Wanted::Tables => format!(", such as [[{}]]", self.key(name)),
            Wanted::Table if self.key.is_empty() => format!(", such as [{name}]"),
            Wanted::Table
            | Wanted::Text
            | Wanted::Duration
            | Wanted::Number
            | Wanted::List
            | Wanted::Status => {
                let example = example(&self.key(name));
                format!(", such as {}", example.as_deref().unwrap_or(wanted.any_example()))
            }
        };
        let or = if wanted == Wanted::Status { ", or { to = \"STATUS\", fields = { … } }" } else { "" };
        self.problem(name, format!("expected {}{example}{or}, got {}", wanted.describe(), type_name(value)));
        None
    }

    /// Any string.
    pub(super) fn string(&self, name: &str) -> Option<&'a str> {
        let value = self.required(name)?;
        value.as_str().or_else(|| self.wrong_type(name, Wanted::Text, value))
    }

    /// A string that is not blank, trimmed.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = self.string(name)?.trim();
        if text.is_empty() {
            self.problem(name, "is empty");
            return None;
        }
        Some(text.to_owned())
    }

    /// A duration above zero.
    pub(super) fn duration(&self, name: &str) -> Option<Duration> {
        let value = self.required(name)?;
        if let Value::Number(number) = value {
            self.problem(
                name,
                format!(
                    "{number} is not a duration; write a whole number with ms, s, m, h or d, for example \"20s\""
                ),
            );
            return None;
        }
        let Value::String(text) = value else {
            return self.wrong_type(name, Wanted::Duration, value);
        };
        duration::parse(text).map_err(|what| self.problem(name, format!("{text:?} {what}"))).ok()
    }

    /// A duration, or `"forever"`, for which the inner option is `None`.
    #[expect(
        clippy::option_option,
        reason = "as in every getter, the outer one says whether the value was valid"
    )]
    pub(super) fn duration_or_forever(&self, name: &str) -> Option<Option<Duration>> {
        let Some(text) = self.required(name)?.as_str() else { return self.duration(name).map(Some) };
        if text == "forever" {
            return Some(None);
        }
        let or_forever = |what| format!("{text:?} {what}, or \"forever\"");
        duration::parse(text).map(Some).map_err(|what| self.problem(name, or_forever(what))).ok()
    }

    /// An address to listen on.
    pub(super) fn address(&self, name: &str) -> Option<SocketAddr> {
        let text = self.string(name)?;
        // The admin listener requires no password, so the suggestion must not expose it by accident.
        let host = if name == "admin_listen" { "127.0.0.1" } else { "0.0.0.0" };
        let port = text.rsplit(':').next().and_then(|port| port.trim().parse::<u16>().ok());
        let port = port.unwrap_or(match name {
            "admin_listen" => 9090,
            "page_listen" => 9091,
            _ => 8080,
        });
        let what =
            |_| format!("{text:?} is not an address to listen on; write for example \"{host}:{port}\"");
        text.trim().parse().map_err(|e| self.problem(name, what(e))).ok()
    }

    /// Yes or no.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        let value = self.required(name)?;
        value.as_bool().or_else(|| self.wrong_type(name, Wanted::Flag, value))
    }

    /// A number of at least 1.
    pub(super) fn number(&self, name: &str) -> Option<NonZeroU32> {
        let value = self.required(name)?;
        let Value::Number(number) = value else { return self.wrong_type(name, Wanted::Number, value) };
        let fits = number.as_u64().and_then(|n| u32::try_from(n).ok()).and_then(NonZeroU32::new);
        if fits.is_none() {
            let what = format!("must be a whole number from 1 to {}, not {number}", u32::MAX);
            self.problem(name, what);
        }
        fits
    }

    /// A list of strings that are not blank.
    pub(super) fn texts(&self, name: &str) -> Option<Vec<String>> {
        self.checked_texts(name, |_| Ok(()))
    }

    /// A list of strings that are not blank and pass `check`, whose error says what is wrong with one.
    pub(super) fn checked_texts(
        &self,
        name: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Option<Vec<String>> {
        let value = self.required(name)?;
        let Value::Array(list) = value else { return self.wrong_type(name, Wanted::List, value) };
        let read = |(nth, value): (usize, &Value)| {
            let at = format!("{name}[{nth}]");
            let Value::String(text) = value else { return self.wrong_type(&at, Wanted::Text, value) };
            let right = match text.trim() {
                "" => Err("is empty; leave it out".to_owned()),
                text => check(text),
            };
            right.map_err(|what| self.problem(&at, what)).ok()?;
            Some(text.trim().to_owned())
        };
        // Reads all entries before it fails, so that every wrong entry is reported.
        list.iter().enumerate().map(read).collect::<Vec<_>>().into_iter().collect()
    }

    /// A list of globs, as one set and as they are written.
    pub(super) fn globs(&self, name: &str) -> Option<(GlobSet, Vec<String>)> {
        let read =
            |glob: &str| Glob::new(glob).map_err(|error| format!("{glob:?} is no glob: {}", error.kind()));
        let globs = self.checked_texts(name, |glob| read(glob).map(drop))?;
        let mut set = GlobSetBuilder::new();
        for glob in globs.iter().filter_map(|glob| read(glob).ok()) {
            set.add(glob);
        }
        let set = set.build();
        let set =
            set.map_err(|error| self.problem(name, format!("cannot be used: {}", error.kind()))).ok()?;
        Some((set, globs))
    }

    /// The address of a site, without a slash at its end. Errors do not quote it, because it may hold a password.
    pub(super) fn site(&self, name: &str) -> Option<String> {
        let text = self.string(name)?.trim();
        let what = match Url::parse(text) {
            // Anywhere in the text, because a password may hold characters that end a host.
            _ if text.contains('@') && name == "url" => {
                "must not hold a user or password; put them into jira.user and jira.token"
            }
            _ if text.contains('@') => "must not hold a user or password",
            // In `host:port`, the host would parse as a scheme.
            Err(_) | Ok(_) if !text.is_empty() && !text.contains("://") => {
                "has no scheme; put https:// in front"
            }
            Err(_) => "is no URL; write for example \"https://example.com\"",
            Ok(url) if !matches!(url.scheme(), "http" | "https") => "must begin with https:// or http://",
            Ok(url) if url.query().is_some() || url.fragment().is_some() => "must end before any ? or #",
            Ok(_) => return Some(text.trim_end_matches('/').to_owned()),
        };
        self.problem(name, what);
        None
    }

    /// A file that can be read now.
    pub(super) fn file(&self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.text(name)?);
        std::fs::File::open(&path)
            .map_err(|error| self.problem(name, unreadable(&path, &error, None)))
            .ok()?;
        Some(path)
    }

    /// A secret: `name` holds its value, or `name_file` the name of a file.
    pub(super) fn secret(&self, name: &str) -> Option<Secret> {
        let file = format!("{name}_file");
        match (self.value(name), self.value(&file)) {
            (None, None) => None,
            (Some(_), Some(_)) => {
                let (by_value, by_file) = (self.key(name), self.key(&file));
                self.sink.set_twice(&by_value, &by_file);
                None
            }
            (Some(Value::String(value)), None) => {
                Secret::value(value).map_err(|_| self.problem(name, "is empty")).ok()
            }
            (Some(other), None) => self.wrong_type(name, Wanted::Text, other),
            (None, Some(_)) => {
                let path = PathBuf::from(self.text(&file)?);
                let what = match Secret::file(&path) {
                    Ok(secret) => return Some(secret),
                    Err(secret::Error::Unreadable { source, .. }) => {
                        unreadable(&path, &source, Some(&self.key(name)))
                    }
                    Err(secret::Error::Empty(_)) => "the file is empty".to_owned(),
                    Err(secret::Error::NotText(_)) => "the file is not UTF-8 text".to_owned(),
                    Err(secret::Error::TooLong(_)) => {
                        "the file is longer than 64 KiB; is it the right one?".to_owned()
                    }
                };
                self.problem(&file, what);
                None
            }
        }
    }

    /// A table in this one.
    pub(super) fn section(&self, name: &str) -> Option<Self> {
        self.table(name, self.required(name)?)
    }

    fn table(&self, name: &str, value: &'a Value) -> Option<Self> {
        let Value::Object(table) = value else { return self.wrong_type(name, Wanted::Table, value) };
        Some(Self::new(self.key(name), table, self.sink))
    }

    /// A list of tables, empty if it is left out.
    pub(super) fn sections(&self, name: &str) -> Vec<Self> {
        let list = match self.value(name) {
            None => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(other) => {
                return self.wrong_type(name, Wanted::Tables, other).unwrap_or_default();
            }
        };
        let read = |(nth, value): (usize, &'a Value)| self.table(&format!("{name}[{nth}]"), value);
        list.iter().enumerate().filter_map(read).collect()
    }

    /// Reports the keys that were not read, as unknown.
    pub(super) fn report_unknown_keys(&self) {
        let known = self.known.borrow();
        for name in self.table.keys().filter(|name| !known.contains(*name)) {
            let distance = |other: &str| strsim::osa_distance(&name.to_lowercase(), other);
            let near = known.iter().map(|other| (distance(other), other)).min();
            // At most two typing mistakes, and in fewer than half of the letters.
            let near = near.filter(|(slips, other)| *slips <= 2 && *slips * 2 < other.len());
            let near = near.map(|(_, other)| other.clone()).or_else(|| {
                let also = ALSO_CALLED.iter().find(|(also, _)| *also == name.to_lowercase());
                also.map(|(_, meant)| (*meant).to_owned()).filter(|meant| known.contains(meant))
            });
            self.sink.unknown(&self.key(name), near.map(|meant| self.key(&meant)).as_deref());
        }
    }
}

/// Why a file cannot be read. `secret` is the key for a secret's value: a name that does not look like a path may be
/// the secret itself, and is not quoted.
fn unreadable(path: &Path, error: &std::io::Error, secret: Option<&str>) -> String {
    // A slash alone proves nothing, because Base64 has slashes: the directory must exist.
    let is_in_a_directory =
        path.parent().is_some_and(|parent| !parent.as_os_str().is_empty() && parent.is_dir());
    let is_path = path.is_absolute() || path.to_string_lossy().starts_with('.') || is_in_a_directory;
    let here = std::env::current_dir().ok().filter(|_| path.is_relative());
    if let Some(key) = secret.filter(|_| !is_path) {
        let what = match here {
            Some(here) if error.kind() == ErrorKind::NotFound => {
                format!("there is no such file in {}", here.display())
            }
            Some(_) | None => format!("the file cannot be read: {error}"),
        };
        return format!("{what}; if the value is the secret itself, put it into {key}");
    }
    let looked = here.map(|here| format!(", looked for in {}", here.display())).unwrap_or_default();
    format!("cannot read {}{looked}: {error}", path.display())
}
