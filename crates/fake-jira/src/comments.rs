//! Comments and their properties.

use serde_json::{Value, json};

use super::{
    adf,
    answer::{Answer, HandlerResult},
    call::Call,
    check,
    model::Comment,
    render,
    state::{Issue, State},
};

/// `GET issue/{id}/comment`; includes the properties only with `expand=properties`.
pub(super) fn list(state: &State, call: &Call, id_or_key: &str) -> HandlerResult {
    let issue = state.visible_issue(call.account, id_or_key).ok_or_else(Answer::issue_not_found)?;
    let start = call.number("startAt", 0)?;
    let limit = call.number("maxResults", 50)?.min(100).min(state.page_size);
    let properties = call.query_list("expand").iter().any(|e| e == "properties");
    let newest_first = match call.query("orderBy") {
        None | Some("created" | "+created") => false,
        Some("-created") => true,
        Some(other) => return Err(Answer::invalid(format!("orderBy: {other} is unknown."))),
    };
    let mut all: Vec<&Comment> = issue.comments.iter().collect();
    if newest_first {
        all.reverse();
    }
    let page = all.iter().skip(start).take(limit);
    let comments: Vec<Value> = page.map(|c| render::comment(state, issue, c, properties)).collect();
    let total = issue.comments.len();
    Ok(Answer::ok(json!({ "startAt": start, "maxResults": limit, "total": total, "comments": comments })))
}

/// `POST issue/{id}/comment`
pub(super) fn add(state: &mut State, call: &Call, id_or_key: &str) -> HandlerResult {
    let body = call.object()?;
    check::reject_unknown_keys(body, &["body", "visibility", "properties"])?;
    let issue = state.visible_issue(call.account, id_or_key).ok_or_else(Answer::issue_not_found)?.clone();
    let text = body.get("body").ok_or_else(|| invalid_body("it has no body"))?;
    check_body(state, call, &issue, text)?;
    let properties = check::parse_properties(body.get("properties"))?;
    let comment = put(state, issue.id, call.account.unwrap_or_default(), text.clone(), properties);
    Ok(Answer::created(render::comment(state, &issue, &comment, true)))
}

fn invalid_body(complaint: &str) -> Answer {
    Answer::field_error(400, "comment", "Comment body is not valid!")
        .with_complaint(format!("comment: {complaint}"))
}

/// # Errors
/// If the caller lacks the permission to comment, or the text is invalid.
pub(super) fn check_body(state: &State, call: &Call, issue: &Issue, text: &Value) -> Result<(), Answer> {
    if !state.has_permission(call.account, &issue.project, "ADD_COMMENTS") {
        let message = "You do not have the permission to comment on this issue.";
        return Err(Answer::error(400, message));
    }
    check::check_rich_text(state.flavour, text).map_err(|(_, complaint)| invalid_body(&complaint))?;
    if adf::text(text).trim().is_empty() {
        return Err(invalid_body("it is empty"));
    }
    Ok(())
}

/// Adds a comment to an issue and queues the webhook event.
pub(super) fn put(
    state: &mut State,
    id: u64,
    account: &str,
    body: Value,
    properties: Vec<(String, Value)>,
) -> Comment {
    let now = state.time.now();
    let properties = properties.into_iter().collect();
    let comment = Comment { id: state.new_id(), author: account.to_owned(), body, properties, created: now };
    if let Some(issue) = state.issues.get_mut(&id) {
        issue.comments.push(comment.clone());
        issue.updated = now;
    }
    state.queue_event("comment_created", id, Some(account), None);
    comment
}

/// `GET comment/{id}/properties/{key}`
pub(super) fn get_property(state: &State, call: &Call, id: &str, key: &str) -> HandlerResult {
    let visible = state.issues.values().filter(|i| state.can_see(call.account, i));
    let comment = visible.flat_map(|i| &i.comments).find(|c| c.id.to_string() == id);
    let comment =
        comment.ok_or_else(|| Answer::error(404, format!("Can not find a comment for the id: {id}.")))?;
    let value = comment.properties.get(key);
    let value = value.ok_or_else(|| Answer::error(404, format!("The property {key} does not exist.")))?;
    Ok(Answer::ok(json!({ "key": key, "value": value })))
}
