//! Creating and reading issues.

use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, FieldErrors, HandlerResult},
    call::Call,
    check,
    model::{BRIDGE, Field, Shape},
    render::{self, ReadOptions},
    state::{Issue, IssueType, State},
};

const BODY_KEYS: &[&str] = &["fields", "update", "transition", "properties", "historyMetadata"];

/// `POST issue`
pub(super) fn create(state: &mut State, call: &Call) -> HandlerResult {
    let body = call.object()?;
    check::reject_unknown_keys(body, BODY_KEYS)?;
    let properties = check::parse_properties(body.get("properties"))?;
    let mut fields = body
        .get("fields")
        .and_then(Value::as_object)
        .cloned()
        .ok_or_else(|| Answer::invalid("fields: must be an object."))?;
    for (field, operations) in body.get("update").and_then(Value::as_object).into_iter().flatten() {
        if fields.contains_key(field) {
            return Err(Answer::invalid(format!("Field '{field}' cannot be in both fields and update.")));
        }
        fields.insert(field.clone(), value_of_set(field, operations)?);
    }
    let (id, key) = open(state, call, &fields, properties)?;
    Ok(Answer::created(
        json!({ "id": id.to_string(), "key": key, "self": format!("{}/issue/{id}", render::api_url(state)) }),
    ))
}

/// Opens an issue with these fields, and returns its id and key.
pub(super) fn open(
    state: &mut State,
    call: &Call,
    fields: &Map<String, Value>,
    properties: Vec<(String, Value)>,
) -> Result<(u64, String), Answer> {
    let (project, kind) = project_and_type(state, call, fields)?;
    check_screen(state, &kind, fields)?;
    let id = state.next_issue;
    state.next_issue += 1;
    let now = state.time.now();
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let labels = unique_labels(fields.get("labels"));
    let issue = Issue {
        id,
        key: state.next_issue_key(&project),
        old_keys: Vec::new(),
        project,
        status: kind.workflow.statuses.first().map_or_else(String::new, |s| s.id.clone()),
        summary: text("summary"),
        description: fields.get("description").cloned().unwrap_or_default(),
        labels,
        fields: other_fields(&kind.screen, fields),
        type_id: kind.id,
        properties: properties.into_iter().collect(),
        comments: Vec::new(),
        creator: call.account.unwrap_or(BRIDGE).to_owned(),
        created: now,
        updated: now,
        histories: Vec::new(),
        hidden: false,
        approvals: Vec::new(),
        broken: false,
    };
    let key = issue.key.clone();
    state.insert_issue(issue);
    Ok((id, key))
}

/// The labels without duplicates, as Jira stores them.
pub(super) fn unique_labels(value: Option<&Value>) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for label in value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !labels.iter().any(|l| l == label) {
            labels.push(label.to_owned());
        }
    }
    labels
}

/// The value of `"update": {"f": [{"set": v}]}`, which means the same as `"fields": {"f": v}` in a create.
fn value_of_set(field: &str, operations: &Value) -> Result<Value, Answer> {
    match operations.as_array().map(Vec::as_slice) {
        Some([one]) if one.get("set").is_some() => Ok(one.get("set").cloned().unwrap_or_default()),
        _ => Err(Answer::invalid(format!("update.{field}: only one set operation is possible here."))),
    }
}

/// The project and issue type that the fields name.
fn project_and_type(
    state: &State,
    call: &Call,
    fields: &Map<String, Value>,
) -> Result<(String, IssueType), Answer> {
    let identifier = |field: &str, keys: [&str; 2]| {
        let value = fields.get(field)?;
        keys.iter().find_map(|k| value.get(k)).and_then(Value::as_str).map(str::to_owned)
    };
    let Some(name) = identifier("project", ["key", "id"]) else {
        return Err(Answer::field_error(400, "project", "Specify a valid project ID or key")
            .with_complaint("no project"));
    };
    let project = state
        .project_by_key_or_id(&name)
        .filter(|p| state.has_permission(call.account, &p.key, "BROWSE_PROJECTS"))
        .ok_or_else(|| Answer::field_error(400, "project", "valid project is required"))?;
    if !state.has_permission(call.account, &project.key, "CREATE_ISSUES") {
        return Err(Answer::field_error(
            400,
            "project",
            "You do not have permission to create issues in this project.",
        ));
    }
    let Some(name) = identifier("issuetype", ["id", "name"]) else {
        return Err(
            Answer::field_error(400, "issuetype", "Specify an issue type").with_complaint("no issue type")
        );
    };
    let kind = project.types.iter().find(|t| t.id == name || t.name == name);
    kind.map(|t| (project.key.clone(), t.clone()))
        .ok_or_else(|| Answer::field_error(400, "issuetype", "The issue type selected is invalid."))
}

/// Checks that every field is on the create screen and that no required field is missing.
fn check_screen(state: &State, kind: &IssueType, fields: &Map<String, Value>) -> Result<(), Answer> {
    let mut errors = FieldErrors::default();
    for (name, value) in fields {
        match kind.screen.iter().find(|f| f.id == *name) {
            Some(field) => check::check_value(state, field, value, &mut errors),
            None => check::reject_off_screen(&mut errors, name),
        }
    }
    for field in kind.screen.iter().filter(|f| f.required && !f.has_default && !fields.contains_key(&f.id)) {
        if field.id == "summary" {
            errors.reject_invalid("summary", "You must specify a summary of the issue.");
        } else {
            errors.reject(&field.id, format!("{} is required.", field.name));
        }
    }
    errors.into_result()
}

/// The fields that [`Issue`] stores in its map, in the form in which Jira returns them.
pub(super) fn other_fields(screen: &[Field], fields: &Map<String, Value>) -> Map<String, Value> {
    let built_in = ["summary", "description", "labels", "project", "issuetype", "comment"];
    let other_fields = fields.iter().filter(|(name, _)| !built_in.contains(&name.as_str()));
    other_fields
        .map(|(name, value)| {
            let rendered = screen.iter().find(|f| f.id == *name).and_then(|f| match &f.shape {
                Shape::Select(names) => option_value(names, value),
                Shape::MultiSelect(names) => {
                    let all = value.as_array()?;
                    Some(all.iter().filter_map(|value| option_value(names, value)).collect())
                }
                Shape::Text
                | Shape::Paragraph
                | Shape::Labels
                | Shape::Number
                | Shape::DateTime
                | Shape::User
                | Shape::Users
                | Shape::Project
                | Shape::IssueType => None,
            });
            (name.clone(), rendered.unwrap_or_else(|| value.clone()))
        })
        .collect()
}

fn option_value(names: &[String], value: &Value) -> Option<Value> {
    let name = check::selected_name(names, value)?;
    let index = names.iter().position(|n| n == name)?;
    Some(json!({ "id": (index + 1).to_string(), "name": name, "value": name }))
}

/// `GET issue/{id}`
pub(super) fn get(state: &State, call: &Call, id_or_key: &str) -> HandlerResult {
    let issue = state.visible_issue(call.account, id_or_key).ok_or_else(Answer::issue_not_found)?;
    if issue.broken {
        return Err(Answer::error(500, "Internal server error"));
    }
    let mut fields = call.query_list("fields");
    if fields.is_empty() {
        fields.push("*all".into());
    }
    let changelog = call.query_list("expand").iter().any(|e| e == "changelog").then_some(100);
    let options =
        ReadOptions { fields, properties: call.query_list("properties"), changelog, english: call.english };
    Ok(Answer::ok(render::issue(state, issue, &options)))
}

/// `POST issue/bulkfetch`: issues that are missing or not visible are in neither list.
pub(super) fn bulk_fetch(state: &State, call: &Call) -> HandlerResult {
    let body = call.object()?;
    check::reject_unknown_keys(body, &["issueIdsOrKeys", "fields", "properties", "fieldsByKeys", "expand"])?;
    let requested = check::strings(body, "issueIdsOrKeys")?.unwrap_or_default();
    if requested.is_empty() || requested.len() > 100 {
        return Err(Answer::invalid("issueIdsOrKeys: must have 1 to 100 entries."));
    }
    let properties = check::strings(body, "properties")?.unwrap_or_default();
    if properties.len() > 5 {
        return Err(Answer::invalid("properties: at most 5 keys."));
    }
    let expand = check::strings(body, "expand")?.unwrap_or_default();
    let fields = check::strings(body, "fields")?.unwrap_or_else(|| vec!["*navigable".into()]);
    let changelog = expand.iter().any(|e| e == "changelog").then_some(40);
    let options = ReadOptions { fields, properties, changelog, english: call.english };
    let mut ids: Vec<u64> =
        requested.iter().filter_map(|k| state.visible_issue(call.account, k)).map(|i| i.id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.iter().filter_map(|id| state.issues.get(id)).any(|issue| issue.broken) {
        return Err(Answer::error(500, "Internal server error"));
    }
    let found = ids.iter().filter_map(|id| state.issues.get(id));
    let issues: Vec<Value> = found.map(|issue| render::issue(state, issue, &options)).collect();
    Ok(Answer::ok(json!({ "issues": issues, "issueErrors": [] })))
}
