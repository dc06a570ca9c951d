//! The types of keys, in words.

use serde_json::Value;

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Text,
    Duration,
    Number,
    Flag,
    /// A list of strings.
    List,
    Table,
    Tables,
    /// A status, or a table with one.
    Status,
}

impl Wanted {
    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Duration => "a duration",
            Self::Number => "a whole number",
            Self::Flag => "true or false",
            Self::List => "a list of strings",
            Self::Table => "a table",
            Self::Tables => "a list of tables",
            Self::Status => "a status",
        }
    }

    /// For the keys that have no example of their own.
    pub(super) const fn any_example(self) -> &'static str {
        match self {
            Self::Text | Self::Status => "\"…\"",
            Self::Duration => "\"20s\"",
            Self::Number => "1",
            Self::Flag => "true",
            Self::List => "[\"…\"]",
            Self::Table => "{ … = \"…\" }",
            Self::Tables => "[{ … = \"…\" }]",
        }
    }
}

/// The type of a value, in words; never its content.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}
