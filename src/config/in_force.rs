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
    sections.extend(["routes", "notify"]);
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

/// The text without the passwords of addresses in it: `https://user:password@host` and `?password=…`.
fn without_passwords(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c)).unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((user, host)) => {
                let user =
                    user.split_once(':').map_or(user.to_owned(), |(user, _)| format!("{user}:{HIDDEN}"));
                shown.push_str(&format!("{user}@{host}"));
            }
            None => shown.push_str(authority),
        }
        let (path, more) = path.split_at(path.find(char::is_whitespace).unwrap_or(path.len()));
        shown.push_str(&without_parameters(path));
        rest = more;
    }
    shown + rest
}

/// A path without the values of secret parameters.
fn without_parameters(path: &str) -> String {
    let Some((path, query)) = path.split_once('?') else { return path.to_owned() };
    let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={HIDDEN}"),
        _ => parameter.to_owned(),
    });
    format!("{path}?{}", parameters.collect::<Vec<_>>().join("&"))
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
    use super::*;

    #[test]
    fn passwords_are_hidden_in_addresses() {
        for (text, shown) in [
            ("sqlite://bridge.db", "sqlite://bridge.db"),
            ("postgres://u:p%2Fw@h:5432/d?sslmode=require", "postgres://u:hidden@h:5432/d?sslmode=require"),
            ("postgres://u@h/d?password=p&host=/run", "postgres://u@h/d?password=hidden&host=/run"),
            ("see https://a:b@x/y and http://c:d@z", "see https://a:hidden@x/y and http://c:hidden@z"),
            ("postgres://u:p@q@h/d", "postgres://u:hidden@h/d"),
            ("mia@example.com", "mia@example.com"),
            ("https://example.com/?token=t#x", "https://example.com/?token=hidden"),
            ("a {{ b }} :// c", "a {{ b }} :// c"),
        ] {
            assert_eq!(without_passwords(text), shown, "{text}");
        }
    }
}
