//! PURE: Jira's error messages.

use serde_json::Value;

use crate::{jira::error::Origin, text};

/// Of more fields than this, the others are left out.
const MOST_FIELDS: usize = 100;

/// What a 4xx or 5xx answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::jira) struct Complaint {
    /// Its messages, on one line. They may repeat text that came from anybody.
    pub(in crate::jira) words: String,
    /// The ids of the fields that it is about: the keys of `errors`.
    pub(in crate::jira) fields: Vec<String>,
    /// Whether it has the form of Jira's API.
    pub(in crate::jira) by: Origin,
}

/// What a 4xx or 5xx answer says. Jira's API has a list of `errorMessages`, or `errors` by field, all of them texts. In
/// other programs, `errors` has another form.
pub(in crate::jira) fn complaint(body: &[u8]) -> Option<Complaint> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let messages = body.get("errorMessages").and_then(Value::as_array);
    let errors = body.get("errors").and_then(Value::as_object);
    let mut said: Vec<String> =
        messages.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    said.extend(errors.into_iter().flatten().map(|(field, message)| {
        let message = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
        format!("{field}: {message}")
    }));
    let listed = messages.map(|messages| messages.iter().all(Value::is_string));
    // Jira may leave it empty if it has the list.
    let by_field = errors.map(|errors| errors.values().all(Value::is_string));
    // Jira Service Management has another form.
    let desk = body.get("errorMessage").and_then(Value::as_str);
    let desk = desk.filter(|_| body.get("i18nErrorMessage").is_some_and(Value::is_object));
    said.extend(desk.map(str::to_owned));
    let by = match (listed, by_field, body.get("errorMessages"), body.get("errors")) {
        (Some(true), Some(true), ..) | (Some(true), None, _, None) | (None, Some(true), None, _) => {
            Origin::Jira
        }
        (None, None, None, None) if desk.is_some() => Origin::Jira,
        _ => Origin::Intermediary,
    };
    if said.is_empty() {
        let other =
            ["message", "detail", "title", "error"].iter().filter_map(|name| body.get(name)?.as_str());
        said.extend(other.take(1).map(str::to_owned));
    }
    let fields = errors.into_iter().flatten().map(|(field, _)| field.clone()).take(MOST_FIELDS).collect();
    Some(Complaint { words: text::truncate(&text::single_line(&said.join("; ")), 300), fields, by })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn complaints_are_joined_cleaned_and_cut() {
        let body =
            json!({"errorMessages": ["No\nway"], "errors": {"priority": "not on the screen"}}).to_string();
        let expected = Complaint {
            words: "No way; priority: not on the screen".to_owned(),
            fields: vec!["priority".to_owned()],
            by: Origin::Jira,
        };
        assert_eq!(complaint(body.as_bytes()), Some(expected));
        let long = json!({"errorMessages": ["x".repeat(1000)]}).to_string();
        assert_eq!(complaint(long.as_bytes()).unwrap().words.chars().count(), 300);
        let off = complaint(br#"{"message":"off"}"#).unwrap();
        assert_eq!((off.words.as_str(), off.by), ("off", Origin::Intermediary));
        let desk =
            json!({"errorMessage": "No request.", "i18nErrorMessage": {"i18nKey": "sd.no"}}).to_string();
        let desk = complaint(desk.as_bytes()).unwrap();
        assert_eq!((desk.words.as_str(), desk.by), ("No request.", Origin::Jira));
        let other = json!({"errorMessage": "No."}).to_string();
        assert_eq!(complaint(other.as_bytes()).unwrap().by, Origin::Intermediary);
        assert_eq!(complaint(b"<html>"), None);
    }

    /// A message that repeats text from outside names no field.
    #[test]
    fn only_keys_name_fields() {
        let body = json!({
            "errorMessages": ["assignee: no; assignee: no"],
            "errors": {"summary": "too long; assignee: x"},
        });
        assert_eq!(complaint(body.to_string().as_bytes()).unwrap().fields, ["summary"]);
    }
}
