//! The settings in force, as a configuration file: defaults, file and environment merged, secrets hidden.

use std::path::Path;

use serde_json::{Map, Value};

use super::{
    layers::{self, EXAMPLE},
    problems::Sink,
};
use crate::text::single_line;

/// What stands for a secret: the number makes each of them another one, as tokens have to be.
const HIDDEN: &str = "hidden";

/// The settings in force, as TOML that [`super::load`] accepts. After each value a comment says where it comes from.
/// `None` if the file cannot be read; `sink` then says why.
pub(super) fn render(
    path: &Path,
    env: impl IntoIterator<Item = (String, String)>,
    sink: &Sink,
) -> Option<String> {
    let tree = layers::merge(path, env, sink)?;
    let file = std::fs::read_to_string(path).ok()?.parse::<toml::Table>().ok()?;
    let name = single_line(&path.display().to_string());
    let mut page = Page { file: &file, name: &name, sink, hidden: 0, text: String::new() };
    let mut sections: Vec<&str> = EXAMPLE.lines().filter_map(header).collect();
    sections.extend(["routes", "windows", "freezes", "notify"]);
    page.text =
        format!("# The settings in force: the defaults, {name} and the environment. Secrets are hidden.\n");
    for section in sections {
        match tree.get(section) {
            Some(Value::Object(table)) => page.section(section, table),
            Some(Value::Array(list)) => page.list(section, list),
            Some(_) | None => {}
        }
    }
    Some(page.text)
}

/// The name of a section of the example that stands in no other.
fn header(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']').filter(|name| !name.contains(['[', '.']))
}

/// The names of a table, in the order in which the example has them.
fn ordered(table: &Map<String, Value>) -> Vec<&String> {
    let place = |name: &str| {
        EXAMPLE.lines().position(|line| {
            let line = line.strip_prefix("# ").unwrap_or(line);
            line.split('=').next().is_some_and(|key| key.trim_end() == name)
        })
    };
    let mut names: Vec<&String> = table.keys().collect();
    names.sort_by_cached_key(|name| (place(name).unwrap_or(usize::MAX), (*name).clone()));
    names
}

struct Page<'a> {
    file: &'a toml::Table,
    name: &'a str,
    sink: &'a Sink,
    /// How many secrets were hidden.
    hidden: usize,
    text: String,
}

impl Page<'_> {
    fn section(&mut self, key: &str, table: &Map<String, Value>) {
        self.text.push_str(&format!("\n[{key}]\n"));
        let names = ordered(table);
        let is_list = |value: &Value| {
            value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_object))
        };
        // What TOML wants last: tables, and lists of them.
        for name in names.iter().filter(|name| !table[**name].is_object() && !is_list(&table[**name])) {
            self.line(&format!("{key}.{name}"), name, &table[*name]);
        }
        for name in &names {
            let below = format!("{key}.{name}");
            let value = &table[*name];
            if let Some(table) = value.as_object().filter(|table| !table.is_empty()) {
                self.sub_table(&below, table);
            } else if let Some(list) = value.as_array().filter(|_| is_list(value)) {
                self.list(&below, list);
            }
        }
    }

    fn sub_table(&mut self, key: &str, table: &Map<String, Value>) {
        self.text.push_str(&format!("\n[{key}]\n"));
        for name in ordered(table) {
            self.line(&format!("{key}.{name}"), name, &table[name]);
        }
    }

    /// A list of tables comes from one place.
    fn list(&mut self, key: &str, list: &[Value]) {
        for table in list.iter().filter_map(Value::as_object) {
            let origin = self.origin(key);
            self.text.push_str(&format!("\n[[{key}]] # {origin}\n"));
            for name in ordered(table) {
                let value = match (key, name.as_str()) {
                    ("notify", "url") => self.hidden_address(),
                    _ => self.without_secrets(name, &table[name]),
                };
                self.text.push_str(&format!("{} = {}\n", key_of(name), toml(&value)));
            }
        }
    }

    /// What stands for the address of a channel, which is a secret as a whole.
    fn hidden_address(&mut self) -> Value {
        self.hidden += 1;
        format!("https://{HIDDEN}-{}", self.hidden).into()
    }

    fn line(&mut self, key: &str, name: &str, value: &Value) {
        let (value, origin) = (self.without_secrets(name, value), self.origin(key));
        self.text.push_str(&format!("{} = {} # {origin}\n", key_of(name), toml(&value)));
    }

    /// Where a value comes from.
    fn origin(&self, key: &str) -> String {
        if let Some(variable) = self.sink.variable_of(key) {
            return variable;
        }
        let mut parts = key.split('.');
        let first = parts.next().and_then(|part| self.file.get(part));
        let given = parts.try_fold(first, |at, part| at.map(|at| at.get(part)));
        if given.flatten().is_some() { self.name.to_owned() } else { "default".to_owned() }
    }

    /// The value with secrets hidden: those of the keys for secrets, and passwords in addresses.
    fn without_secrets(&mut self, name: &str, value: &Value) -> Value {
        match value {
            Value::String(_) if is_secret(name) => {
                self.hidden += 1;
                format!("{HIDDEN}-{}", self.hidden).into()
            }
            Value::String(text) => without_passwords(text).into(),
            Value::Array(list) => list.iter().map(|value| self.without_secrets(name, value)).collect(),
            Value::Object(table) => {
                let hide =
                    |(name, value): (&String, &Value)| (name.clone(), self.without_secrets(name, value));
                Value::Object(table.iter().map(hide).collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }
}

/// Whether a key holds a secret itself, not the name of a file.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    ["token", "secret", "password"].iter().any(|word| name.ends_with(word))
}

/// The text without the secrets of addresses in it: `https://user:password@host`, `https://token@host` and
/// `?password=…`. If in doubt it hides too much: a password may hold any character, also one that should be escaped.
fn without_passwords(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        // A value that begins with an address is one, and may hold spaces, too.
        let is_whole = shown.is_empty() && !before.contains(char::is_whitespace);
        let ends = |c: char| if is_whole { c == '\n' } else { c.is_whitespace() };
        let (address, more) = after.split_at(after.find(ends).unwrap_or(after.len()));
        shown.push_str(before);
        let (credentials, place) = match address.rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials), place),
            None => (None, address),
        };
        match credentials {
            // The `@` may be in the secret of a parameter: then the rest of it follows.
            Some(credentials) if without_parameters(credentials) != credentials => shown.push_str(HIDDEN),
            Some(credentials) => {
                let credentials = without_password(before, credentials);
                shown.push_str(&format!("{credentials}@{}", without_parameters(place)));
            }
            None => shown.push_str(&without_parameters(place)),
        }
        rest = more;
    }
    shown + rest
}

/// What is shown before the `@` of an address: the user of a database. Elsewhere a token may be in its place.
fn without_password(scheme: &str, credentials: &str) -> String {
    let is_database = scheme.starts_with("postgres");
    let is_name = |name: &str| is_database && !name.is_empty() && !name.contains(['/', '?', '#', '@', ' ']);
    match credentials.split_once(':') {
        Some((user, _)) if is_name(user) => format!("{user}:{HIDDEN}"),
        None if is_name(credentials) => credentials.to_owned(),
        Some(_) | None => HIDDEN.to_owned(),
    }
}

/// An address, from its host on, without the values of secret parameters.
fn without_parameters(place: &str) -> String {
    let Some(start) = place.find(['?', '#']) else { return place.to_owned() };
    let (path, mut rest) = place.split_at(start);
    let mut shown = path.to_owned();
    while let Some(separator) = rest.chars().next() {
        let after = &rest[separator.len_utf8()..];
        let (parameter, more) = after.split_at(after.find(['?', '#', '&', ';']).unwrap_or(after.len()));
        shown.push(separator);
        match parameter.split_once('=') {
            Some((name, _)) if is_secret_parameter(name) => {
                shown.push_str(&format!("{name}={HIDDEN}"));
                // The secret may hold a separator; only `&` begins another parameter for certain.
                rest = more.find('&').map_or("", |next| &more[next..]);
            }
            _ => {
                shown.push_str(parameter);
                rest = more;
            }
        }
    }
    shown
}

/// Whether a parameter of an address holds a secret, as far as its name says, which may be escaped.
fn is_secret_parameter(name: &str) -> bool {
    let name = unescape(name).to_lowercase();
    ["token", "secret", "pass", "pwd", "key", "sig", "auth", "cred"].iter().any(|word| name.contains(word))
}

/// The text without percent escapes.
fn unescape(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, more)) = rest.split_first() {
        let code = more.get(..2).filter(|_| first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A value as TOML writes it behind a key.
fn toml(value: &Value) -> String {
    toml::Value::try_from(value).map(|value| value.to_string()).unwrap_or_default()
}

fn key_of(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { toml(&name.into()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_hidden_in_addresses() {
        for (text, shown) in [
            ("sqlite://bridge.db", "sqlite://bridge.db"),
            ("postgres://u:p%2Fw@h:5432/d?sslmode=require", "postgres://u:hidden@h:5432/d?sslmode=require"),
            ("postgres://u@h/d?password=p&host=/run", "postgres://u@h/d?password=hidden&host=/run"),
            ("see https://a:b@x/y and http://c:d@z", "see https://hidden@x/y and http://hidden@z"),
            ("postgres://u:p@q@h/d", "postgres://u:hidden@h/d"),
            ("mia@example.com", "mia@example.com"),
            ("https://example.com/?token=t#x", "https://example.com/?token=hidden"),
            ("a {{ b }} :// c", "a {{ b }} :// c"),
            // A user may be a token, except at a database.
            ("https://s3cret@h/x", "https://hidden@h/x"),
            ("see https://s3cret@h/x, mia@example.com", "see https://hidden@h/x, mia@example.com"),
            ("postgres://:s3cret@h/d", "postgres://hidden@h/d"),
            // Characters that should be escaped.
            ("postgres://u:p/w@h/d", "postgres://u:hidden@h/d"),
            ("postgres://u:p?w#x'y\"z@h/d", "postgres://u:hidden@h/d"),
            ("postgres://u:p w@h/d", "postgres://u:hidden@h/d"),
            // Names of parameters may be escaped, and begin anywhere.
            ("postgres://u@h/d?pass%77ord=p&x=1", "postgres://u@h/d?pass%77ord=hidden&x=1"),
            ("https://h/a?b=1;api_key=k#c", "https://h/a?b=1;api_key=hidden"),
            ("https://h/a#access_token=t&x=%zz", "https://h/a#access_token=hidden&x=%zz"),
            // Rather too much than too little.
            ("https://h/a?to=mia@x", "https://hidden@x"),
            ("https://h/a?token=s3@cret", "https://hidden"),
        ] {
            assert_eq!(without_passwords(text), shown, "{text}");
        }
    }

    proptest! {
        /// Whatever characters a password holds.
        #[test]
        fn no_password_is_shown(password in "[ -~]{0,12}") {
            let marked = format!("s3{password}cret");
            for text in [
                format!("postgres://user:{marked}@host/database?sslmode=require"),
                format!("https://{marked}@host/path"),
                format!("https://host/path?token={}", marked.replace('&', "")),
            ] {
                let shown = without_passwords(&text);
                prop_assert!(!shown.contains("s3") && !shown.contains("cret"), "{text} shows {shown}");
            }
        }
    }
}
