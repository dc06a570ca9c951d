//! Editing issues.

use serde_json::{Map, Value};

use super::{
    adf,
    answer::{Answer, FieldErrors, HandlerResult},
    call::Call,
    check, issues,
    model::{Change, Field, Flavour, Shape},
    state::{Issue, State},
};

/// `PUT issue/{id}`
pub(super) fn edit(state: &mut State, call: &Call, id_or_key: &str) -> HandlerResult {
    let body = call.object()?;
    check::reject_unknown_keys(body, &["fields", "update", "properties", "historyMetadata", "transition"])?;
    if call.query("notifyUsers") == Some("false") {
        let message =
            "To discard the user notification either admin or project admin permissions are required.";
        return Err(Answer::error(403, message).with_complaint("notifyUsers=false"));
    }
    let issue = state.visible_issue(call.account, id_or_key).ok_or_else(Answer::issue_not_found)?.clone();
    if !state.has_permission(call.account, &issue.project, "EDIT_ISSUES") {
        return Err(Answer::error(403, "You do not have permission to edit issues in this project."));
    }
    let properties = check::parse_properties(body.get("properties"))?;
    let fields = body.get("fields").and_then(Value::as_object).cloned().unwrap_or_default();
    let update = body.get("update").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(both) = update.keys().find(|k| fields.contains_key(*k)) {
        return Err(Answer::invalid(format!("Field '{both}' cannot be in both fields and update.")));
    }
    let screen = editable_fields(state, &issue);
    check_fields(state, &screen, &fields)?;
    let mut labels = issue.labels.clone();
    if fields.contains_key("labels") {
        labels = issues::unique_labels(fields.get("labels"));
    }
    for (field, operations) in &update {
        if field != "labels" {
            return Err(Answer::invalid(format!("update.{field}: not served by this Jira.")));
        }
        apply_label_operations(&mut labels, operations)?;
    }
    let mut changes = change_fields(state, issue.id, &screen, &fields);
    changes.extend(state.set_labels(issue.id, labels));
    if let Some(issue) = state.issues.get_mut(&issue.id) {
        issue.properties.extend(properties);
    }
    state.record_changes(issue.id, call.account, changes);
    Ok(Answer::empty(204))
}

/// The fields that can be edited. On Cloud labels and description need not be on the screen.
fn editable_fields(state: &State, issue: &Issue) -> Vec<Field> {
    let mut screen =
        state.issue_type(&issue.project, &issue.type_id).map_or_else(Vec::new, |t| t.screen.clone());
    if state.flavour == Flavour::Cloud {
        let always_editable = [
            Field::optional("labels", "Labels", Shape::Labels),
            Field::optional("description", "Description", Shape::Paragraph),
        ];
        screen.extend(always_editable);
    }
    screen
}

fn check_fields(state: &State, screen: &[Field], fields: &Map<String, Value>) -> Result<(), Answer> {
    let mut errors = FieldErrors::default();
    for (name, value) in fields {
        match screen.iter().find(|f| f.id == *name) {
            Some(field) => check::check_value(state, field, value, &mut errors),
            None => check::reject_off_screen(&mut errors, name),
        }
    }
    errors.into_result()
}

/// Sets all fields except labels and returns the changes.
pub(super) fn change_fields(
    state: &mut State,
    id: u64,
    screen: &[Field],
    fields: &Map<String, Value>,
) -> Vec<Change> {
    let Some(issue) = state.issues.get_mut(&id) else { return Vec::new() };
    let mut changes = Vec::new();
    let mut changed = |field: &str, from: String, to: String| {
        if from != to {
            let (from_string, to_string) = (Some(from), Some(to));
            changes.push(Change { field: field.into(), from_string, to_string, ..Change::default() });
        }
    };
    if let Some(summary) = fields.get("summary").and_then(Value::as_str) {
        let before = std::mem::replace(&mut issue.summary, summary.to_owned());
        changed("summary", before, summary.to_owned());
    }
    if let Some(description) = fields.get("description") {
        let before = std::mem::replace(&mut issue.description, description.clone());
        changed("description", adf::text(&before), adf::text(description));
    }
    for (name, value) in issues::other_fields(screen, fields) {
        let before = issue.fields.insert(name.clone(), value.clone()).unwrap_or_default();
        changed(&name, before.to_string(), value.to_string());
    }
    changes
}

/// Applies `add`, `remove` and `set` to labels.
fn apply_label_operations(labels: &mut Vec<String>, operations: &Value) -> Result<(), Answer> {
    let invalid = |message: String| {
        Answer::field_error(400, "labels", message.clone()).with_complaint(format!("labels: {message}"))
    };
    let operations = operations.as_array().ok_or_else(|| invalid("must be an array of operations".into()))?;
    for operation in operations {
        let Some((verb, value)) =
            operation.as_object().filter(|o| o.len() == 1).and_then(|o| o.iter().next())
        else {
            return Err(invalid("an operation has exactly one verb".into()));
        };
        match verb.as_str() {
            "add" => {
                let label = check::check_label(value).map_err(invalid)?;
                if !labels.iter().any(|l| l == label) {
                    labels.push(label.to_owned());
                }
            }
            "remove" => {
                let label = check::check_label(value).map_err(invalid)?;
                labels.retain(|l| l != label);
            }
            "set" => {
                for label in value.as_array().into_iter().flatten() {
                    check::check_label(label).map_err(invalid)?;
                }
                *labels = issues::unique_labels(Some(value));
            }
            _ => return Err(invalid(format!("unknown verb {verb:?}"))),
        }
    }
    Ok(())
}
