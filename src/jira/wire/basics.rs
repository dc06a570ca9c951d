//! PURE: parts of many answers: ids, names, accounts.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::{
    jira::{account::Account, settings::Kind},
    policy::{Person, Status},
    text,
};

/// An id, written as a string or as a number. It is shown to people unchanged, so it may hold no control characters.
pub(super) fn id<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let value = Value::deserialize(from)?;
    id_of(&value).ok_or_else(|| {
        serde::de::Error::custom(match value {
            Value::String(_) => "an id with control characters",
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                "an id is neither a string nor a number"
            }
        })
    })
}

pub(super) fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::String(id) => (text::single_line(id) == *id).then(|| id.clone()),
        Value::Number(id) => Some(id.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::jira) struct User {
    account_id: Option<String>,
    account_type: Option<String>,
    name: Option<String>,
    key: Option<String>,
    display_name: Option<String>,
}

impl User {
    /// Whether it has an id.
    pub(in crate::jira) const fn is_named(&self) -> bool {
        self.account_id.is_some() || self.name.is_some()
    }

    /// The account: by `accountId` on Cloud, by `name` on Data Center.
    pub(in crate::jira) fn account(self) -> Option<Account> {
        let id = self.account_id.or(self.name)?;
        Some(Account { name: self.display_name.unwrap_or_else(|| id.clone()), id, key: self.key })
    }

    /// An account as far as it can be read.
    pub(super) fn read(value: &Value) -> Self {
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            account_id: text("accountId"),
            account_type: text("accountType"),
            name: text("name"),
            key: text("key"),
            display_name: text("displayName"),
        }
    }

    /// The author of a change. On Cloud, which has account types, only `atlassian` is a person; Data Center has neither
    /// types nor account ids.
    pub(in crate::jira) fn person(self, kind: Kind) -> Person {
        let app = match (kind, self.account_type.as_deref()) {
            (Kind::Cloud, account_type) => account_type != Some("atlassian") || self.account_id.is_none(),
            (Kind::DataCenter, None) => self.account_id.is_some(),
            (Kind::DataCenter, Some(account_type)) => account_type != "atlassian",
        };
        match self.account() {
            Some(account) => Person { id: account.id, name: text::single_line(&account.name), app },
            None => unknown_author(),
        }
    }
}

/// The author of a change that names none: a deleted user, or Jira itself. It does not count as a person who approved.
pub(super) fn unknown_author() -> Person {
    Person { id: String::new(), name: "an account that Jira does not name".into(), app: true }
}

#[derive(Debug, Deserialize)]
pub(in crate::jira) struct Named {
    #[serde(deserialize_with = "id")]
    pub(in crate::jira) id: String,
    #[serde(default)]
    pub(in crate::jira) name: String,
}

impl Named {
    pub(in crate::jira) fn status(self) -> Status {
        Status { id: self.id, name: text::single_line(&self.name) }
    }
}

/// A text or a number, as a text.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_is_one_line() {
        let named = |id: &str| serde_json::from_value::<Named>(json!({"id": id, "name": "Approved"}));
        assert!(named("10007").is_ok());
        for id in ["3\n", "\u{1b}[31m", "3\u{2028}", "3\u{202e}", "3\u{200b}"] {
            assert!(named(id).is_err(), "{id:?}");
        }
    }
}
