//! Transitions of issues.

use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, FieldErrors, HandlerResult},
    call::Call,
    check, comments, edit,
    model::{Flavour, Transition},
    render,
    state::{Issue, State},
};

/// The transitions that lead from the issue's current status.
pub(super) fn available(state: &State, issue: &Issue) -> Vec<Transition> {
    let Some(workflow) = state.workflow_of(issue) else { return Vec::new() };
    let is_available = |t: &&Transition| {
        if t.from.is_empty() { t.to != issue.status } else { t.from.contains(&issue.status) }
    };
    workflow.transitions.iter().filter(is_available).cloned().collect()
}

/// `GET issue/{id}/transitions`: an empty list, not an error, without the permission.
pub(super) fn list(state: &State, call: &Call, id_or_key: &str) -> HandlerResult {
    let issue = state.visible_issue(call.account, id_or_key).ok_or_else(Answer::issue_not_found)?;
    if !state.has_permission(call.account, &issue.project, "TRANSITION_ISSUES") {
        return Ok(Answer::ok(json!({ "expand": "transitions", "transitions": [] })));
    }
    let id = call.query("transitionId");
    let with_fields = call.query_list("expand").iter().any(|e| e == "transitions.fields");
    let workflow = state.workflow_of(issue);
    let transitions: Vec<Value> = available(state, issue)
        .iter()
        .filter(|t| id.is_none_or(|w| w == t.id))
        .map(|t| {
            let to = workflow.and_then(|w| w.status(&t.to));
            let mut value = json!({
                "id": t.id, "name": t.name,
                "to": to.map_or(Value::Null, |s| render::status(state, s, call.english)),
                "hasScreen": !t.fields.is_empty(), "isGlobal": t.from.is_empty(), "isInitial": false,
                "isAvailable": true, "isConditional": false, "isLooped": false,
            });
            if with_fields {
                let fields = t.fields.iter().map(|f| (f.id.clone(), super::meta::field(f)));
                value["fields"] = Value::Object(fields.collect());
            }
            value
        })
        .collect();
    Ok(Answer::ok(json!({ "expand": "transitions", "transitions": transitions })))
}

/// `POST issue/{id}/transitions`
pub(super) fn perform(state: &mut State, call: &Call, id_or_key: &str) -> HandlerResult {
    let body = call.object()?;
    check::reject_unknown_keys(body, &["transition", "fields", "update", "properties", "historyMetadata"])?;
    let issue = state.visible_issue(call.account, id_or_key).ok_or_else(Answer::issue_not_found)?.clone();
    let id = body.get("transition").and_then(|t| t.get("id")).and_then(Value::as_str);
    let id = id.ok_or_else(|| Answer::invalid("Missing 'transition' identifier"))?;
    let transition = find_available(state, call, &issue, id)?;
    let fields = body.get("fields").and_then(Value::as_object).cloned().unwrap_or_default();
    check_screen(state, &transition, &fields)?;
    let comment = comment_body(state, call, &issue, body.get("update"))?;
    let status = state.workflow_of(&issue).and_then(|w| w.status(&transition.to)).cloned();
    let status = status.ok_or_else(|| Answer::error(400, "The workflow has no such status."))?;
    let mut changes = edit::change_fields(state, issue.id, &transition.fields, &fields);
    changes.extend(state.set_status(issue.id, &status));
    state.record_changes(issue.id, call.account, changes);
    if let Some(body) = comment {
        comments::put(state, issue.id, call.account.unwrap_or_default(), body, Vec::new());
    }
    Ok(Answer::empty(204))
}

fn find_available(state: &State, call: &Call, issue: &Issue, id: &str) -> Result<Transition, Answer> {
    let invalid = format!("Transition id '{id}' is not valid for this issue.");
    if !state.has_permission(call.account, &issue.project, "TRANSITION_ISSUES") {
        return Err(Answer::error(400, invalid));
    }
    let known = state.workflow_of(issue).is_some_and(|w| w.transitions.iter().any(|t| t.id == id));
    if !known && state.flavour == Flavour::DataCenter {
        return Err(Answer::error(500, "Internal server error"));
    }
    available(state, issue).into_iter().find(|t| t.id == id).ok_or_else(|| Answer::error(400, invalid))
}

fn check_screen(state: &State, transition: &Transition, fields: &Map<String, Value>) -> Result<(), Answer> {
    let mut errors = FieldErrors::default();
    for (name, value) in fields {
        match transition.fields.iter().find(|f| f.id == *name) {
            Some(field) => check::check_value(state, field, value, &mut errors),
            None => check::reject_off_screen(&mut errors, name),
        }
    }
    for field in
        transition.fields.iter().filter(|f| f.required && !f.has_default && !fields.contains_key(&f.id))
    {
        errors.reject(&field.id, format!("{} is required.", field.name));
    }
    errors.into_result()
}

/// The comment of `"update": {"comment": [{"add": {"body": …}}]}`.
fn comment_body(
    state: &State,
    call: &Call,
    issue: &Issue,
    update: Option<&Value>,
) -> Result<Option<Value>, Answer> {
    let Some(update) = update.and_then(Value::as_object).filter(|u| !u.is_empty()) else { return Ok(None) };
    if let Some(other) = update.keys().find(|k| *k != "comment") {
        return Err(Answer::invalid(format!("update.{other}: not served by this Jira.")));
    }
    let body =
        update.get("comment").and_then(|c| c.get(0)).and_then(|c| c.get("add")).and_then(|a| a.get("body"));
    let body = body.ok_or_else(|| Answer::invalid("update.comment: must add a body."))?;
    comments::check_body(state, call, issue, body)?;
    Ok(Some(body.clone()))
}
