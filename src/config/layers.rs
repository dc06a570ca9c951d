//! The layers of a configuration, merged: the example file's defaults, then the file, then the environment.

use std::path::Path;

use config::{ConfigError, File, FileFormat};
use serde::Deserialize as _;
use serde_json::{Map, Value};

use super::{
    problems::Sink,
    variables::{PREFIX, key_of, similar},
};

/// The example file: every key, and every default.
pub const EXAMPLE: &str = include_str!("../../config.example.toml");

/// The merged tree, or `None` if the file cannot be read as TOML at all.
pub(super) fn merge(
    path: &Path,
    env: impl IntoIterator<Item = (String, String)>,
    sink: &Sink,
) -> Option<Map<String, Value>> {
    let name = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let hint = if missing { "; give one with -c, or copy config.example.toml" } else { "" };
            sink.push(&name, format!("cannot read the configuration: {error}{hint}"));
            return None;
        }
    };
    // The message of the `config` crate would show the broken line, which may hold a secret.
    if let Err(error) = text.parse::<toml::Table>() {
        let line = error.span().map(|span| text.get(..span.start).unwrap_or(&text).matches('\n').count() + 1);
        let at = line.map_or(String::new(), |line| format!("line {line}: "));
        sink.push(&name, format!("{at}{}", error.message()));
        return None;
    }
    layered(&text, env, sink).map_err(|error| sink.push(&name, error.to_string())).ok()
}

fn layered(
    text: &str,
    env: impl IntoIterator<Item = (String, String)>,
    sink: &Sink,
) -> Result<Map<String, Value>, ConfigError> {
    let defaults: toml::Value = toml::from_str(EXAMPLE).map_err(|e| ConfigError::Foreign(Box::new(e)))?;
    let mut layers = config::Config::builder()
        .add_source(File::from_str(EXAMPLE, FileFormat::Toml))
        .add_source(File::from_str(text, FileFormat::Toml));
    let mut env: Vec<(String, String)> = env.into_iter().collect();
    for (variable, _) in &env {
        if let Some(meant) = similar(variable) {
            sink.push(variable, format!("sets nothing; did you mean {meant}?"));
        }
    }
    // Sorted, so that BRIDGE__TICKET__FIELDS comes before the variables for its entries.
    env.retain(|(name, _)| name.starts_with(PREFIX));
    env.sort();
    for (variable, value) in env {
        let key = key_of(&variable);
        sink.set_by(&key, &variable);
        let value = match read(&value, value_kind(&key, &defaults)) {
            Ok(value) => value,
            Err(what) => {
                sink.push(&key, what);
                continue;
            }
        };
        match config::Config::builder().set_override(&key, value).and_then(|layer| layer.build()) {
            Ok(layer) => layers = layers.add_source(layer),
            Err(_) => sink.unknown(&key, None),
        }
    }
    layers.build()?.try_deserialize()
}

/// How a variable's text is read.
enum ValueKind {
    Text,
    Number,
    Flag,
    List,
    Table,
    /// A list of tables.
    Tables,
    /// A field's value: a list or a table if it can be read as one, else a string.
    Field,
    /// A status, or a table.
    Target,
    /// A field's value that cannot be a template: a list, a table, or else a string.
    TransitionField,
}

/// The kind of a key's value, taken from its default. The few keys without a default are listed here.
fn value_kind(key: &str, defaults: &toml::Value) -> ValueKind {
    match key {
        "server.tls" | "approval.planned" | "jira.oauth" => return ValueKind::Table,
        "approval.steps" => return ValueKind::List,
        "flagger.tokens" | "flagger.clusters" | "routes" | "windows" | "freezes" | "notify" => {
            return ValueKind::Tables;
        }
        _ if key.starts_with("ticket.fields.") => return ValueKind::Field,
        _ if key.starts_with("ticket.transitions.") && key.contains(".fields.") => {
            return ValueKind::TransitionField;
        }
        _ if key.starts_with("ticket.transitions.") => return ValueKind::Target,
        _ => {}
    }
    match key.split('.').try_fold(defaults, |at, part| at.get(part)) {
        Some(toml::Value::Integer(_)) => ValueKind::Number,
        Some(toml::Value::Boolean(_)) => ValueKind::Flag,
        Some(toml::Value::Array(_)) => ValueKind::List,
        Some(toml::Value::Table(_)) => ValueKind::Table,
        Some(toml::Value::String(_) | toml::Value::Float(_) | toml::Value::Datetime(_)) | None => {
            ValueKind::Text
        }
    }
}

/// Reads a variable's text. Errors do not quote it, because it may be a secret.
fn read(text: &str, wanted: ValueKind) -> Result<config::Value, String> {
    let toml = || {
        let value = text.trim().parse::<toml::Value>().ok();
        value.and_then(|value| config::Value::deserialize(value).ok())
    };
    match wanted {
        ValueKind::Text => Ok(text.into()),
        ValueKind::Number => text
            .trim()
            .parse::<i64>()
            .map(Into::into)
            .map_err(|_| "expected a whole number, at least 1".to_owned()),
        ValueKind::Flag => {
            text.trim().parse::<bool>().map(Into::into).map_err(|_| "expected true or false".to_owned())
        }
        ValueKind::List if text.trim_start().starts_with('[') => {
            toml().ok_or_else(|| "is not a TOML list; write for example [\"a\", \"b\"], or a,b".to_owned())
        }
        ValueKind::List => {
            let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
            Ok(entries.map(str::to_owned).collect::<Vec<_>>().into())
        }
        ValueKind::Table => toml()
            .filter(|value| matches!(value.kind, config::ValueKind::Table(_)))
            .ok_or_else(|| "is not a TOML table; write for example { name = \"value\" }".to_owned()),
        ValueKind::Tables => {
            toml().filter(|value| matches!(value.kind, config::ValueKind::Array(_))).ok_or_else(|| {
                "is not a TOML list of tables; write for example [{ name = \"value\" }]".to_owned()
            })
        }
        // A template begins with {{ and is not TOML; it stays a string.
        ValueKind::Field if text.trim_start().starts_with(['{', '[']) => {
            Ok(toml().unwrap_or_else(|| text.into()))
        }
        ValueKind::Target | ValueKind::TransitionField if text.trim_start().starts_with('{') => {
            read(text, ValueKind::Table)
        }
        ValueKind::TransitionField if text.trim_start().starts_with('[') => read(text, ValueKind::List),
        ValueKind::Field | ValueKind::Target | ValueKind::TransitionField => Ok(text.into()),
    }
}
