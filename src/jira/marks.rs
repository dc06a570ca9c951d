//! PURE: the labels and properties by which the bridge recognizes its tickets and comments.

use serde_json::Value;

/// The label of every ticket that the bridge opened.
pub const LABEL: &str = "flagger-gate";

/// The label of a ticket after its rollout has ended.
pub const ENDED: &str = "flagger-ended";

/// The key of the properties that the bridge sets on issues and comments.
pub(super) const PROPERTY: &str = "flagger-jira-bridge";

/// Whether a property of the bridge has the value `word` under `name`.
pub(super) fn has_mark(value: &Value, name: &str, word: &str) -> bool {
    mark_value(value, name).is_some_and(|said| said == word)
}

/// The value under `name` in a property of the bridge. Data Center may return the property as text.
pub(super) fn mark_value(value: &Value, name: &str) -> Option<String> {
    let held = |value: &Value| value.get(name).and_then(Value::as_str).map(str::to_owned);
    match value {
        Value::String(text) => serde_json::from_str::<Value>(text).ok().as_ref().and_then(held),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => held(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_property_may_come_back_as_text() {
        assert!(has_mark(&json!({"gate": "ab"}), "gate", "ab"));
        assert!(has_mark(&json!(r#"{"gate":"ab"}"#), "gate", "ab"));
        assert!(!has_mark(&json!({"gate": "cd"}), "gate", "ab"));
        assert!(!has_mark(&json!("ab"), "gate", "ab"));
    }
}
