//! Validates the bodies of requests.

use serde_json::{Map, Value};

use super::{
    adf,
    answer::{Answer, FieldErrors},
    model::{Field, Flavour, Shape},
    state::State,
};

const MAX_TEXT_CHARS: usize = 32_767;
const MAX_LABEL_CHARS: usize = 255;
const MAX_PROPERTY_BYTES: usize = 32_768;

/// Validates the value of a field.
pub(super) fn check_value(state: &State, field: &Field, value: &Value, errors: &mut FieldErrors) {
    if value.is_null() {
        if field.id == "summary" {
            errors.reject_invalid("summary", "You must specify a summary of the issue.");
        } else if field.required {
            errors.reject(&field.id, format!("{} is required.", field.name));
        }
        return;
    }
    match &field.shape {
        Shape::Text if field.id == "summary" => check_summary(value, errors),
        Shape::Text => match value.as_str() {
            None => errors.reject(&field.id, "Operation value must be a string"),
            Some(text) if text.chars().count() > 255 => errors.reject(
                &field.id,
                "The entered text is too long. It exceeds the allowed limit of 255 characters.",
            ),
            Some(_) => {}
        },
        Shape::Paragraph => {
            if let Err((message, complaint)) = check_rich_text(state.flavour, value) {
                errors.fields.insert(field.id.clone(), Value::String(message));
                errors.complaints.push(format!("{}: {complaint}", field.id));
            }
        }
        Shape::Labels => check_labels(&field.id, value, errors),
        Shape::Select(names) => {
            if let Err(message) = check_option(state.flavour, field, names, value) {
                errors.reject(&field.id, message);
            }
        }
        Shape::MultiSelect(names) => {
            let each = |value: &Value| check_option(state.flavour, field, names, value);
            check_array(field, value, each, errors);
        }
        Shape::DateTime => {
            if !value.is_string() {
                errors.reject(&field.id, "Operation value must be a string");
            }
        }
        Shape::Number => {
            if !value.is_number() {
                errors.reject(&field.id, "Operation value must be a number");
            }
        }
        Shape::User => {
            if let Err(message) = check_user(state, value) {
                errors.reject(&field.id, message);
            }
        }
        Shape::Users => check_array(field, value, |value: &Value| check_user(state, value), errors),
        Shape::Project | Shape::IssueType => {}
    }
}

/// Validates each entry of an array.
fn check_array(
    field: &Field,
    value: &Value,
    check: impl Fn(&Value) -> Result<(), String>,
    errors: &mut FieldErrors,
) {
    let Some(all) = value.as_array() else {
        errors.reject(&field.id, "data was not an array");
        return;
    };
    if let Some(message) = all.iter().find_map(|value| check(value).err()) {
        errors.reject(&field.id, message);
    }
}

/// # Errors
/// Jira's message about an account. Data Center's is known from reports; Cloud's is not.
fn check_user(state: &State, value: &Value) -> Result<(), String> {
    let keys = match state.flavour {
        Flavour::Cloud => ["accountId", "id"],
        Flavour::DataCenter => ["name", "key"],
    };
    let account = keys.iter().find_map(|k| value.get(k)).and_then(Value::as_str);
    match (account, state.flavour) {
        (None, Flavour::Cloud) => Err("data was not an object".into()),
        (None, Flavour::DataCenter) => Err("expected Object containing a 'name' property".into()),
        (Some(account), _) if state.person(account).is_none() => Err("Specified user does not exist.".into()),
        (Some(_), _) => Ok(()),
    }
}

/// # Errors
/// Jira's message about an option: of another shape, or not among `names`. The messages are those in public reports.
fn check_option(flavour: Flavour, field: &Field, names: &[String], value: &Value) -> Result<(), String> {
    let kind = field.built_in_option_type();
    let by = if kind.is_some() { "name" } else { "value" };
    let said = ["id", by].iter().find_map(|key| value.get(key)).and_then(Value::as_str);
    match (said, kind, flavour) {
        (Some(_), ..) if selected_name(names, value).is_some() => Ok(()),
        // It says so about objects and strings alike.
        (_, Some("priority"), Flavour::Cloud) => {
            Err("Specify the Priority (id or name) in the string format".into())
        }
        (Some(said), Some(kind), _) => {
            let (first, rest) = kind.split_at(1);
            Err(format!("{}{rest} name '{said}' is not valid", first.to_uppercase()))
        }
        (Some(said), None, _) => Err(format!("Option value '{said}' is not valid")),
        (None, Some(_), _) => Err("data was not an object".into()),
        (None, None, _) => Err(format!("Specify a valid 'id' or 'name' for {}", field.name)),
    }
}

/// The name that a value such as `{"name": "High"}` or `{"id": "2"}` selects.
pub(super) fn selected_name<'a>(names: &'a [String], value: &Value) -> Option<&'a str> {
    if let Some(id) = value.get("id").and_then(Value::as_str) {
        let index = id.parse::<usize>().ok()?.checked_sub(1)?;
        return names.get(index).map(String::as_str);
    }
    let name = value.get("name").or_else(|| value.get("value")).and_then(Value::as_str)?;
    names.iter().find(|n| n.as_str() == name).map(String::as_str)
}

fn check_summary(value: &Value, errors: &mut FieldErrors) {
    let Some(text) = value.as_str() else {
        errors.reject_invalid("summary", "Operation value must be a string");
        return;
    };
    if text.trim().is_empty() {
        errors.reject_invalid("summary", "You must specify a summary of the issue.");
    } else if text.contains(['\n', '\r']) {
        errors.reject_invalid("summary", "The summary is invalid because it contains newline characters.");
    } else if text.chars().count() > 255 {
        errors.reject_invalid("summary", "Summary can't exceed 255 characters.");
    }
}

fn check_labels(id: &str, value: &Value, errors: &mut FieldErrors) {
    let Some(labels) = value.as_array() else {
        errors.reject_invalid(id, "data was not an array");
        return;
    };
    for label in labels {
        if let Err(message) = check_label(label) {
            errors.reject_invalid(id, message);
        }
    }
}

/// # Errors
/// Jira's message about an invalid label.
pub(super) fn check_label(label: &Value) -> Result<&str, String> {
    let Some(label) = label.as_str() else { return Err("data was not a string".into()) };
    if label.is_empty() {
        Err("The label is empty.".into())
    } else if label.contains(char::is_whitespace) {
        Err(format!("The label '{label}' contains spaces which is invalid."))
    } else if label.chars().count() > MAX_LABEL_CHARS {
        Err(format!("The label '{label}' exceeds the limit of {MAX_LABEL_CHARS} characters."))
    } else {
        Ok(label)
    }
}

/// # Errors
/// Jira's message, and the complaint about the caller.
pub(super) fn check_rich_text(flavour: Flavour, value: &Value) -> Result<(), (String, String)> {
    match flavour {
        Flavour::Cloud => {
            if !value.is_object() {
                let message =
                    "Operation value must be an Atlassian Document (see the Atlassian Document Format)";
                return Err((message.into(), "not a document".into()));
            }
            adf::check(value).map_err(|complaint| ("INVALID_INPUT".into(), complaint))?;
        }
        Flavour::DataCenter => {
            if !value.is_string() {
                return Err(("Operation value must be a string".into(), "not a string".into()));
            }
        }
    }
    if adf::text(value).chars().count() > MAX_TEXT_CHARS {
        let message = "The entered text is too long. It exceeds the allowed limit of 32,767 characters.";
        return Err((message.into(), "too long".into()));
    }
    Ok(())
}

/// The properties of a create, edit or comment: an array of objects with a key and a value.
///
/// # Errors
/// Jira's answer to anything else.
pub(super) fn parse_properties(given: Option<&Value>) -> Result<Vec<(String, Value)>, Answer> {
    let Some(given) = given else { return Ok(Vec::new()) };
    let invalid = || Answer::invalid("properties: must be an array of objects with a key and a value.");
    let mut found = Vec::new();
    for property in given.as_array().ok_or_else(invalid)? {
        let property = property.as_object().ok_or_else(invalid)?;
        if property.keys().any(|k| k != "key" && k != "value") {
            return Err(invalid());
        }
        let (Some(key), Some(value)) = (property.get("key").and_then(Value::as_str), property.get("value"))
        else {
            return Err(invalid());
        };
        check_property(key, value)?;
        found.push((key.to_owned(), value.clone()));
    }
    Ok(found)
}

/// # Errors
/// Jira's answer to a key or value that is too long.
pub(super) fn check_property(key: &str, value: &Value) -> Result<(), Answer> {
    if key.is_empty() || key.chars().count() > 255 {
        return Err(Answer::invalid("The property key is invalid: it must have 1 to 255 characters."));
    }
    if value.to_string().len() > MAX_PROPERTY_BYTES {
        return Err(Answer::invalid("The property value is too long: the limit is 32768 characters."));
    }
    Ok(())
}

/// Rejects unknown keys in a body.
///
/// # Errors
/// Jira's 400.
pub(super) fn reject_unknown_keys(body: &Map<String, Value>, known: &[&str]) -> Result<(), Answer> {
    let mut errors = FieldErrors::default();
    for key in body.keys().filter(|k| !known.contains(&k.as_str())) {
        errors.reject_invalid(key, format!("Unrecognized field \"{key}\""));
    }
    errors.into_result()
}

/// Rejects a field that is not on the screen.
pub(super) fn reject_off_screen(errors: &mut FieldErrors, field: &str) {
    errors.reject(
        field,
        format!("Field '{field}' cannot be set. It is not on the appropriate screen, or unknown."),
    );
}

/// An array of strings in a body.
///
/// # Errors
/// Jira's answer to anything else.
pub(super) fn strings(body: &Map<String, Value>, key: &str) -> Result<Option<Vec<String>>, Answer> {
    let Some(value) = body.get(key) else { return Ok(None) };
    let invalid = || Answer::invalid(format!("{key}: must be an array of strings."));
    let list = value.as_array().ok_or_else(invalid)?;
    list.iter()
        .map(|v| v.as_str().map(str::to_owned).ok_or_else(invalid))
        .collect::<Result<Vec<_>, _>>()
        .map(Some)
}

/// A whole number in a body.
///
/// # Errors
/// Jira's answer to anything else.
pub(super) fn number(body: &Map<String, Value>, key: &str, default: usize) -> Result<usize, Answer> {
    let Some(value) = body.get(key) else { return Ok(default) };
    let number = value.as_u64().and_then(|n| usize::try_from(n).ok());
    number.ok_or_else(|| Answer::invalid(format!("{key}: must be a whole number.")))
}
