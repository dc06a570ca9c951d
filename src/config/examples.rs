//! What each key takes, from the example file: its default, or the line that is commented out.

use std::{collections::BTreeMap, sync::OnceLock};

use super::layers::EXAMPLE;

/// Longer examples are left out: they would not help in one line.
const MAX_CHARS: usize = 120;

/// A value that this key takes, as TOML writes it, if the example file has one. The key may be one of a list
/// (`routes[0].ticket.labels`) or of an entry in a list (`ticket.labels[2]`).
pub(super) fn example(key: &str) -> Option<String> {
    static EXAMPLES: OnceLock<BTreeMap<String, toml::Value>> = OnceLock::new();
    let examples = EXAMPLES.get_or_init(|| read(EXAMPLE));
    let value = examples.get(&plain(key))?;
    let is_entry = key.ends_with(']');
    let value = if is_entry { value.as_array()?.first()? } else { value };
    let text = value.to_string();
    (text.chars().count() <= MAX_CHARS && !text.contains('\n')).then_some(text)
}

/// The key without numbers. Routes take the keys of `[ticket]` and `[approval]`.
fn plain(key: &str) -> String {
    let parts = key.split('.').map(|part| part.split('[').next().unwrap_or_default());
    let plain: Vec<&str> = parts.collect();
    let plain = match plain.as_slice() {
        ["routes", rest @ ..] if matches!(rest.first(), Some(&("ticket" | "approval"))) && rest.len() > 1 => {
            rest
        }
        all => all,
    };
    plain.join(".")
}

/// All keys of an example, with their values; those that are commented out, too. A key with an empty default gets another
/// value if there is one.
fn read(example: &str) -> BTreeMap<String, toml::Value> {
    let mut found = BTreeMap::new();
    if let Ok(table) = example.parse::<toml::Table>() {
        keep("", toml::Value::Table(table), &mut found);
    }
    let mut section = String::new();
    for line in example.lines() {
        let code = line.strip_prefix("# ").unwrap_or(line);
        if let Some(name) = code.strip_prefix('[') {
            name.trim_matches(['[', ']']).clone_into(&mut section);
        } else if line.starts_with("# ")
            && code.split('=').next().is_some_and(is_key)
            && let Ok(table) = code.parse::<toml::Table>()
        {
            keep(&section, toml::Value::Table(table), &mut found);
        }
    }
    found
}

fn is_key(text: &str) -> bool {
    let text = text.trim_end();
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// Keeps a value, and those inside of it, except empty ones.
fn keep(key: &str, value: toml::Value, found: &mut BTreeMap<String, toml::Value>) {
    if let toml::Value::Table(table) = &value {
        for (name, value) in table {
            let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            keep(&key, value.clone(), found);
        }
    }
    let says_nothing = match &value {
        toml::Value::String(text) => text.is_empty(),
        toml::Value::Array(list) => list.is_empty(),
        toml::Value::Table(table) => table.is_empty(),
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_) => false,
    };
    if !says_nothing {
        found.entry(plain(key)).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_those_of_the_file() {
        let of = |key: &str| example(key).unwrap_or_default();
        for (key, text) in [
            ("ticket.labels", "[\"flagger\"]"),
            ("routes[3].ticket.labels", "[\"flagger\"]"),
            ("routes[0].ticket.labels[1]", "\"flagger\""),
            ("ticket.project", "\"OPS\""),
            ("approval.approvers", "[\"group:cab\"]"),
            ("routes[0].approval.approvers", "[\"group:cab\"]"),
            ("flagger.tokens[0].namespaces", "[\"shop\", \"payments-*\"]"),
            ("jira.burst", "10"),
            ("jira.timeout", "\"10s\""),
            ("ticket.fields.priority", "{ name = \"High\" }"),
            ("ticket.transitions.failed", "\"Failed\""),
            // No example, an empty one, a long one.
            ("jira.token", ""),
            ("server.public_url", ""),
            ("ticket.description", ""),
            ("jira.burst[0]", ""),
        ] {
            assert_eq!(of(key), text, "{key}");
        }
    }
}
