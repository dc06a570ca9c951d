//! Whether the fields of a create or edit are what Jira takes.

use serde_json::{Map, Value};

use super::{
    adf,
    answer::{Answer, Problems},
    model::{Field, Flavour, Shape},
    state::State,
};

const LONGEST_TEXT: usize = 32_767;
const LONGEST_LABEL: usize = 255;
const LONGEST_PROPERTY: usize = 32_768;

/// Checks one value against its field.
pub(super) fn value(state: &State, field: &Field, value: &Value, problems: &mut Problems) {
    if value.is_null() {
        if field.id == "summary" {
            problems.wrong("summary", "You must specify a summary of the issue.");
        } else if field.required {
            problems.refuse(&field.id, format!("{} is required.", field.name));
        }
        return;
    }
    match &field.shape {
        Shape::Text if field.id == "summary" => summary(value, problems),
        Shape::Text => {
            if !value.is_string() {
                problems.wrong(&field.id, "Operation value must be a string");
            } else if value.as_str().is_some_and(|t| t.chars().count() > 255) {
                problems.wrong(
                    &field.id,
                    "The entered text is too long. It exceeds the allowed limit of 255 characters.",
                );
            }
        }
        Shape::Paragraph => {
            if let Err((said, why)) = rich_text(state.flavour, value) {
                problems.fields.insert(field.id.clone(), Value::String(said));
                problems.blame.push(format!("{}: {why}", field.id));
            }
        }
        Shape::Labels => labels(&field.id, value, problems),
        Shape::Select(names) => {
            if !value.is_object() {
                problems.wrong(&field.id, "data was not an object");
            } else if choice(names, value).is_none() || is_by_value(field, value) {
                problems.refuse(&field.id, format!("Option value '{value}' is not valid"));
            }
        }
        Shape::Number => {
            if !value.is_number() {
                problems.wrong(&field.id, "Operation value must be a number");
            }
        }
        Shape::User => {
            let keys = match state.flavour {
                Flavour::Cloud => ["accountId", "id"],
                Flavour::DataCenter => ["name", "key"],
            };
            let who = keys.iter().find_map(|k| value.get(k)).and_then(Value::as_str);
            match who {
                None => problems.wrong(&field.id, "data was not an object"),
                Some(who) if state.person(who).is_none() => {
                    problems.refuse(&field.id, "Specified user does not exist.")
                }
                Some(_) => {}
            }
        }
        Shape::Project | Shape::IssueType => {}
    }
}

/// Whether it is told as an option is, where Jira's own fields have names.
fn is_by_value(field: &Field, value: &Value) -> bool {
    field.own_kind().is_some() && value.get("id").or_else(|| value.get("name")).is_none()
}

/// Which of the names a value like `{"name": "High"}` or `{"id": "2"}` means.
pub(super) fn choice<'a>(names: &'a [String], value: &Value) -> Option<&'a str> {
    if let Some(id) = value.get("id").and_then(Value::as_str) {
        let index = id.parse::<usize>().ok()?.checked_sub(1)?;
        return names.get(index).map(String::as_str);
    }
    let name = value.get("name").or_else(|| value.get("value")).and_then(Value::as_str)?;
    names.iter().find(|n| n.as_str() == name).map(String::as_str)
}

fn summary(value: &Value, problems: &mut Problems) {
    let Some(text) = value.as_str() else {
        problems.wrong("summary", "Operation value must be a string");
        return;
    };
    if text.trim().is_empty() {
        problems.wrong("summary", "You must specify a summary of the issue.");
    } else if text.contains(['\n', '\r']) {
        problems.wrong("summary", "The summary is invalid because it contains newline characters.");
    } else if text.chars().count() > 255 {
        problems.wrong("summary", "Summary can't exceed 255 characters.");
    }
}

fn labels(id: &str, value: &Value, problems: &mut Problems) {
    let Some(labels) = value.as_array() else {
        problems.wrong(id, "data was not an array");
        return;
    };
    for label in labels {
        if let Err(why) = check_label(label) {
            problems.wrong(id, why);
        }
    }
}

/// # Errors
/// Jira's words about a label it does not take.
pub(super) fn check_label(label: &Value) -> Result<&str, String> {
    let Some(label) = label.as_str() else { return Err("data was not a string".into()) };
    if label.is_empty() {
        Err("The label is empty.".into())
    } else if label.contains(char::is_whitespace) {
        Err(format!("The label '{label}' contains spaces which is invalid."))
    } else if label.chars().count() > LONGEST_LABEL {
        Err(format!("The label '{label}' exceeds the limit of {LONGEST_LABEL} characters."))
    } else {
        Ok(label)
    }
}

/// # Errors
/// What Jira says, and what is wrong.
pub(super) fn rich_text(flavour: Flavour, value: &Value) -> Result<(), (String, String)> {
    match flavour {
        Flavour::Cloud => {
            if !value.is_object() {
                let said =
                    "Operation value must be an Atlassian Document (see the Atlassian Document Format)";
                return Err((said.into(), "not a document".into()));
            }
            adf::check(value).map_err(|why| ("INVALID_INPUT".into(), why))?;
        }
        Flavour::DataCenter => {
            if !value.is_string() {
                return Err(("Operation value must be a string".into(), "not a string".into()));
            }
        }
    }
    if adf::text(value).chars().count() > LONGEST_TEXT {
        let said = "The entered text is too long. It exceeds the allowed limit of 32,767 characters.";
        return Err((said.into(), "too long".into()));
    }
    Ok(())
}

/// The properties of a create, edit or comment: an array of key and value.
///
/// # Errors
/// Jira's answer to anything else.
pub(super) fn properties(given: Option<&Value>) -> Result<Vec<(String, Value)>, Answer> {
    let Some(given) = given else { return Ok(Vec::new()) };
    let wrong = || Answer::wrong("properties: must be an array of objects with a key and a value.");
    let mut found = Vec::new();
    for property in given.as_array().ok_or_else(wrong)? {
        let property = property.as_object().ok_or_else(wrong)?;
        if property.keys().any(|k| k != "key" && k != "value") {
            return Err(wrong());
        }
        let (Some(key), Some(value)) = (property.get("key").and_then(Value::as_str), property.get("value"))
        else {
            return Err(wrong());
        };
        property_value(key, value)?;
        found.push((key.to_owned(), value.clone()));
    }
    Ok(found)
}

/// # Errors
/// Jira's answer to a key or value that is too long.
pub(super) fn property_value(key: &str, value: &Value) -> Result<(), Answer> {
    if key.is_empty() || key.chars().count() > 255 {
        return Err(Answer::wrong("The property key is invalid: it must have 1 to 255 characters."));
    }
    if value.to_string().len() > LONGEST_PROPERTY {
        return Err(Answer::wrong("The property value is too long: the limit is 32768 characters."));
    }
    Ok(())
}

/// Refuses keys that a body does not have.
///
/// # Errors
/// Jira's 400.
pub(super) fn known_keys(body: &Map<String, Value>, known: &[&str]) -> Result<(), Answer> {
    let mut problems = Problems::default();
    for key in body.keys().filter(|k| !known.contains(&k.as_str())) {
        problems.wrong(key, format!("Unrecognized field \"{key}\""));
    }
    problems.settle()
}

/// The answer about a field that the screen does not have.
pub(super) fn off_screen(problems: &mut Problems, field: &str) {
    problems.refuse(
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
    let wrong = || Answer::wrong(format!("{key}: must be an array of strings."));
    let list = value.as_array().ok_or_else(wrong)?;
    list.iter()
        .map(|v| v.as_str().map(str::to_owned).ok_or_else(wrong))
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
    number.ok_or_else(|| Answer::wrong(format!("{key}: must be a whole number.")))
}
