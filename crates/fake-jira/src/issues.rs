//! Creating and reading issues.

use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Problems, Reply},
    call::Call,
    check,
    model::{BRIDGE, Field, Shape},
    render::{self, Wanted},
    state::{Issue, IssueType, State},
};

const BODY: &[&str] = &["fields", "update", "transition", "properties", "historyMetadata"];

/// `POST issue`
pub(super) fn create(state: &mut State, call: &Call) -> Reply {
    let body = call.object()?;
    check::known_keys(body, BODY)?;
    let properties = check::properties(body.get("properties"))?;
    let mut fields = body
        .get("fields")
        .and_then(Value::as_object)
        .cloned()
        .ok_or_else(|| Answer::wrong("fields: must be an object."))?;
    for (field, operations) in body.get("update").and_then(Value::as_object).into_iter().flatten() {
        if fields.contains_key(field) {
            return Err(Answer::wrong(format!("Field '{field}' cannot be in both fields and update.")));
        }
        fields.insert(field.clone(), set_operation(field, operations)?);
    }
    let (project, kind) = place(state, call, &fields)?;
    on_screen(state, &kind, &fields)?;
    let id = state.next_issue;
    state.next_issue += 1;
    let now = state.time.now();
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let labels = labels(fields.get("labels"));
    let issue = Issue {
        id,
        key: state.issue_key(&project),
        old_keys: Vec::new(),
        project,
        status: kind.workflow.statuses.first().map_or_else(String::new, |s| s.id.clone()),
        summary: text("summary"),
        description: fields.get("description").cloned().unwrap_or_default(),
        labels,
        fields: others(&kind.screen, &fields),
        kind: kind.id,
        properties: properties.into_iter().collect(),
        comments: Vec::new(),
        creator: call.who.unwrap_or(BRIDGE).to_owned(),
        created: now,
        updated: now,
        histories: Vec::new(),
        hidden: false,
        spoilt: false,
    };
    let key = issue.key.clone();
    state.insert(issue);
    Ok(Answer::created(
        json!({ "id": id.to_string(), "key": key, "self": format!("{}/issue/{id}", render::api(state)) }),
    ))
}

/// Jira keeps labels without repetition.
pub(super) fn labels(value: Option<&Value>) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for label in value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !labels.iter().any(|l| l == label) {
            labels.push(label.to_owned());
        }
    }
    labels
}

/// `"update": {"f": [{"set": v}]}` on a create is the same as `"fields": {"f": v}`.
fn set_operation(field: &str, operations: &Value) -> Result<Value, Answer> {
    match operations.as_array().map(Vec::as_slice) {
        Some([one]) if one.get("set").is_some() => Ok(one.get("set").cloned().unwrap_or_default()),
        _ => Err(Answer::wrong(format!("update.{field}: only one set operation is possible here."))),
    }
}

/// The project and issue type that the fields name.
fn place(state: &State, call: &Call, fields: &Map<String, Value>) -> Result<(String, IssueType), Answer> {
    let named = |field: &str, keys: [&str; 2]| {
        let value = fields.get(field)?;
        keys.iter().find_map(|k| value.get(k)).and_then(Value::as_str).map(str::to_owned)
    };
    let Some(wanted) = named("project", ["key", "id"]) else {
        return Err(Answer::field(400, "project", "Specify a valid project ID or key").blame("no project"));
    };
    let project = state
        .project_loosely(&wanted)
        .filter(|p| state.may(call.who, &p.key, "BROWSE_PROJECTS"))
        .ok_or_else(|| Answer::field(400, "project", "valid project is required"))?;
    if !state.may(call.who, &project.key, "CREATE_ISSUES") {
        return Err(Answer::field(
            400,
            "project",
            "You do not have permission to create issues in this project.",
        ));
    }
    let Some(wanted) = named("issuetype", ["id", "name"]) else {
        return Err(Answer::field(400, "issuetype", "Specify an issue type").blame("no issue type"));
    };
    let kind = project.types.iter().find(|t| t.id == wanted || t.name == wanted);
    kind.map(|t| (project.key.clone(), t.clone()))
        .ok_or_else(|| Answer::field(400, "issuetype", "The issue type selected is invalid."))
}

/// Every field must be on the create screen, and every required one be there.
fn on_screen(state: &State, kind: &IssueType, fields: &Map<String, Value>) -> Result<(), Answer> {
    let mut problems = Problems::default();
    for (name, value) in fields {
        match kind.screen.iter().find(|f| f.id == *name) {
            Some(field) => check::value(state, field, value, &mut problems),
            None => check::off_screen(&mut problems, name),
        }
    }
    for field in kind.screen.iter().filter(|f| f.required && !f.has_default && !fields.contains_key(&f.id)) {
        if field.id == "summary" {
            problems.wrong("summary", "You must specify a summary of the issue.");
        } else {
            problems.refuse(&field.id, format!("{} is required.", field.name));
        }
    }
    problems.settle()
}

/// The fields that have no place of their own in an issue, as reads show them.
pub(super) fn others(screen: &[Field], fields: &Map<String, Value>) -> Map<String, Value> {
    let own = ["summary", "description", "labels", "project", "issuetype", "comment"];
    let given = fields.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    given
        .map(|(name, value)| {
            let shown = screen.iter().find(|f| f.id == *name).and_then(|f| match &f.shape {
                Shape::Select(names) => shown(names, value),
                Shape::Text
                | Shape::Paragraph
                | Shape::Labels
                | Shape::Number
                | Shape::User
                | Shape::Project
                | Shape::IssueType => None,
            });
            (name.clone(), shown.unwrap_or_else(|| value.clone()))
        })
        .collect()
}

fn shown(names: &[String], value: &Value) -> Option<Value> {
    let name = check::choice(names, value)?;
    let index = names.iter().position(|n| n == name)?;
    Some(json!({ "id": (index + 1).to_string(), "name": name, "value": name }))
}

/// `GET issue/{id}`
pub(super) fn get(state: &State, call: &Call, id_or_key: &str) -> Reply {
    let issue = state.visible(call.who, id_or_key).ok_or_else(Answer::no_issue)?;
    if issue.spoilt {
        return Err(Answer::refused(500, "Internal server error"));
    }
    let mut fields = call.query_list("fields");
    if fields.is_empty() {
        fields.push("*all".into());
    }
    let changelog = call.query_list("expand").iter().any(|e| e == "changelog").then_some(100);
    let wanted =
        Wanted { fields, properties: call.query_list("properties"), changelog, english: call.english };
    Ok(Answer::ok(render::issue(state, issue, &wanted)))
}

/// `POST issue/bulkfetch`: what is not there, or not visible, is in neither list.
pub(super) fn bulk_fetch(state: &State, call: &Call) -> Reply {
    let body = call.object()?;
    check::known_keys(body, &["issueIdsOrKeys", "fields", "properties", "fieldsByKeys", "expand"])?;
    let asked = check::strings(body, "issueIdsOrKeys")?.unwrap_or_default();
    if asked.is_empty() || asked.len() > 100 {
        return Err(Answer::wrong("issueIdsOrKeys: must have 1 to 100 entries."));
    }
    let properties = check::strings(body, "properties")?.unwrap_or_default();
    if properties.len() > 5 {
        return Err(Answer::wrong("properties: at most 5 keys."));
    }
    let expand = check::strings(body, "expand")?.unwrap_or_default();
    let fields = check::strings(body, "fields")?.unwrap_or_else(|| vec!["*navigable".into()]);
    let changelog = expand.iter().any(|e| e == "changelog").then_some(40);
    let wanted = Wanted { fields, properties, changelog, english: call.english };
    let mut ids: Vec<u64> = asked.iter().filter_map(|k| state.visible(call.who, k)).map(|i| i.id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.iter().filter_map(|id| state.issues.get(id)).any(|issue| issue.spoilt) {
        return Err(Answer::refused(500, "Internal server error"));
    }
    let found = ids.iter().filter_map(|id| state.issues.get(id));
    let issues: Vec<Value> = found.map(|issue| render::issue(state, issue, &wanted)).collect();
    Ok(Answer::ok(json!({ "issues": issues, "issueErrors": [] })))
}
