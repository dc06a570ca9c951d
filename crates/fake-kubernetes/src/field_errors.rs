//! All that is wrong with the fields of an object. The real server reports it together.

use serde_json::{Value, json};

use super::answer::Answer;

/// See `k8s.io/apimachinery/pkg/util/validation/field`.
#[derive(Default)]
pub(super) struct FieldErrors(Vec<(String, &'static str, String)>);

impl FieldErrors {
    pub(super) fn required(&mut self, field: &str, detail: &str) {
        let text =
            if detail.is_empty() { "Required value".into() } else { format!("Required value: {detail}") };
        self.0.push((field.to_owned(), "FieldValueRequired", text));
    }

    pub(super) fn invalid(&mut self, field: &str, value: &Value, detail: &str) {
        self.0.push((field.to_owned(), "FieldValueInvalid", format!("Invalid value: {value}: {detail}")));
    }

    pub(super) fn forbidden(&mut self, field: &str, detail: &str) {
        self.0.push((field.to_owned(), "FieldValueForbidden", format!("Forbidden: {detail}")));
    }

    /// # Errors
    /// Returns a 422 with all errors, for an object of this group and kind. The group is empty if the real server
    /// leaves it out.
    pub(super) fn into_result(self, group: &str, kind: &str, name: &str) -> Result<(), Answer> {
        let texts: Vec<String> = self.0.iter().map(|(field, _, text)| format!("{field}: {text}")).collect();
        let text = match texts.as_slice() {
            [] => return Ok(()),
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let causes: Vec<Value> = self
            .0
            .into_iter()
            .map(|(field, reason, message)| json!({ "reason": reason, "message": message, "field": field }))
            .collect();
        let mut details = super::answer::details(group, kind, Some(name).filter(|name| !name.is_empty()));
        details["causes"] = causes.into();
        let message = format!("{} {name:?} is invalid: {text}", super::answer::qualified(group, kind));
        Err(Answer::failure(422, "Invalid", &message, Some(details)).with_complaint(message))
    }
}
