//! Comments and their properties.

use serde_json::{Value, json};

use super::{
    adf,
    answer::{Answer, Reply},
    call::Call,
    check,
    model::Comment,
    render,
    state::{Issue, State},
};

/// `GET issue/{id}/comment`; the properties are there with `expand=properties` only.
pub(super) fn list(state: &State, call: &Call, id_or_key: &str) -> Reply {
    let issue = state.visible(call.who, id_or_key).ok_or_else(Answer::no_issue)?;
    let start = call.number("startAt", 0)?;
    let most = call.number("maxResults", 50)?.min(100).min(state.page_size);
    let properties = call.query_list("expand").iter().any(|e| e == "properties");
    let newest_first = match call.query("orderBy") {
        None | Some("created" | "+created") => false,
        Some("-created") => true,
        Some(other) => return Err(Answer::wrong(format!("orderBy: {other} is unknown."))),
    };
    let mut all: Vec<&Comment> = issue.comments.iter().collect();
    if newest_first {
        all.reverse();
    }
    let page = all.iter().skip(start).take(most);
    let shown: Vec<Value> = page.map(|c| render::comment(state, issue, c, properties)).collect();
    let total = issue.comments.len();
    Ok(Answer::ok(json!({ "startAt": start, "maxResults": most, "total": total, "comments": shown })))
}

/// `POST issue/{id}/comment`
pub(super) fn add(state: &mut State, call: &Call, id_or_key: &str) -> Reply {
    let body = call.object()?;
    check::known_keys(body, &["body", "visibility", "properties"])?;
    let issue = state.visible(call.who, id_or_key).ok_or_else(Answer::no_issue)?.clone();
    let text = body.get("body").ok_or_else(|| no_body("no body"))?;
    check_body(state, call, &issue, text)?;
    let properties = check::properties(body.get("properties"))?;
    let comment = put(state, issue.id, call.who.unwrap_or_default(), text.clone(), properties);
    Ok(Answer::created(render::comment(state, &issue, &comment, true)))
}

fn no_body(why: &str) -> Answer {
    Answer::field(400, "comment", "Comment body is not valid!").blame(format!("comment: {why}"))
}

/// # Errors
/// If the caller may not comment here, or Jira does not take the text.
pub(super) fn check_body(state: &State, call: &Call, issue: &Issue, text: &Value) -> Result<(), Answer> {
    if !state.may(call.who, &issue.project, "ADD_COMMENTS") {
        let said = "You do not have the permission to comment on this issue.";
        return Err(Answer::refused(400, said));
    }
    check::rich_text(state.flavour, text).map_err(|(_, why)| no_body(&why))?;
    if adf::text(text).trim().is_empty() {
        return Err(no_body("it is empty"));
    }
    Ok(())
}

/// Puts a comment on an issue and tells the webhooks.
pub(super) fn put(
    state: &mut State,
    id: u64,
    who: &str,
    body: Value,
    properties: Vec<(String, Value)>,
) -> Comment {
    let now = state.time.now();
    let properties = properties.into_iter().collect();
    let comment = Comment { id: state.id(), author: who.to_owned(), body, properties, created: now };
    if let Some(issue) = state.issues.get_mut(&id) {
        issue.comments.push(comment.clone());
        issue.updated = now;
    }
    state.announce("comment_created", id, Some(who), None);
    comment
}

/// `GET comment/{id}/properties/{key}`
pub(super) fn get_property(state: &State, call: &Call, id: &str, key: &str) -> Reply {
    let visible = state.issues.values().filter(|i| state.sees(call.who, i));
    let comment = visible.flat_map(|i| &i.comments).find(|c| c.id.to_string() == id);
    let comment =
        comment.ok_or_else(|| Answer::refused(404, format!("Can not find a comment for the id: {id}.")))?;
    let value = comment.properties.get(key);
    let value = value.ok_or_else(|| Answer::refused(404, format!("The property {key} does not exist.")))?;
    Ok(Answer::ok(json!({ "key": key, "value": value })))
}
