//! Links between issues.

use serde_json::{Value, json};

use super::{
    answer::{Answer, HandlerResult},
    call::Call,
    check,
    link_types::all_types,
    model::{Change, Link},
    render::link_type,
    state::State,
};

/// `GET issueLinkType`: 404 if issue linking is disabled.
pub(super) fn types(state: &State) -> HandlerResult {
    if !state.linking_enabled {
        return Err(linking_disabled());
    }
    let types: Vec<Value> = all_types(state).iter().map(|it| link_type(state, it)).collect();
    Ok(Answer::ok(json!({ "issueLinkTypes": types })))
}

fn linking_disabled() -> Answer {
    Answer::error(404, "Issue linking is currently disabled.")
}

/// `POST issueLink`: creating an existing link again does nothing. Issues that the caller cannot see or link are a 404.
pub(super) fn link(state: &mut State, call: &Call) -> HandlerResult {
    let body = call.object()?;
    check::reject_unknown_keys(body, &["type", "inwardIssue", "outwardIssue", "comment"])?;
    let side = |name: &str| {
        let given = body.get(name).and_then(Value::as_object);
        let given = given.ok_or_else(|| Answer::invalid(format!("{name}: is required.")))?;
        check::reject_unknown_keys(given, &["id", "key"])?;
        let id_or_key = given.get("id").or_else(|| given.get("key")).and_then(Value::as_str);
        id_or_key.ok_or_else(|| Answer::invalid(format!("{name}: an id or a key is required.")))
    };
    let (inward, outward) = (side("inwardIssue")?, side("outwardIssue")?);
    let kind = body.get("type").and_then(|t| t.get("name").or_else(|| t.get("id"))).and_then(Value::as_str);
    let kind = kind.ok_or_else(|| Answer::invalid("type: a name or an id is required."))?;
    if !state.linking_enabled {
        return Err(linking_disabled());
    }
    let found = all_types(state).into_iter().find(|t| t.name == kind || t.id == kind);
    let kind =
        found.ok_or_else(|| Answer::error(404, format!("No issue link type with name '{kind}' found.")))?;
    let mut ids = Vec::new();
    for id_or_key in [inward, outward] {
        let issue = state.visible_issue(call.account, id_or_key).ok_or_else(Answer::issue_not_found)?;
        if !state.has_permission(call.account, &issue.project, "LINK_ISSUES") {
            return Err(Answer::error(404, "No Link Issue Permission for issue."));
        }
        ids.push((issue.id, issue.key.clone()));
    }
    if let [(inward, inward_key), (outward, outward_key)] = ids.as_slice() {
        let new = Link { kind: kind.name.clone(), inward: inward.to_string(), outward: outward.to_string() };
        if !state.links.contains(&new) {
            state.links.push(new);
            state.record_changes(*inward, call.account, vec![link_change(kind.outward, outward_key)]);
            state.record_changes(*outward, call.account, vec![link_change(kind.inward, inward_key)]);
        }
    }
    Ok(Answer::empty(201))
}

fn link_change(description: &str, other: &str) -> Change {
    let to_string = Some(format!("This issue {description} {other}"));
    Change { field: "Link".into(), to: Some(other.to_owned()), to_string, ..Change::default() }
}
