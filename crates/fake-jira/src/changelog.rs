//! Cloud's paged changelog of an issue, oldest entry first.

use serde_json::{Value, json};

use super::{
    answer::{Answer, HandlerResult},
    call::Call,
    render,
    state::State,
};

/// `GET issue/{id}/changelog`
pub(super) fn page(state: &State, call: &Call, id_or_key: &str) -> HandlerResult {
    let issue = state.visible_issue(call.account, id_or_key).ok_or_else(Answer::issue_not_found)?;
    let start = call.number("startAt", 0)?;
    let limit = call.number("maxResults", 100)?.min(100).min(state.page_size);
    let values: Vec<Value> =
        issue.histories.iter().skip(start).take(limit).map(|h| render::history(state, h)).collect();
    let url = format!("{}/issue/{}/changelog?maxResults={limit}", render::api_url(state), issue.id);
    let next = start + values.len();
    let total = issue.histories.len();
    let mut answer = json!({
        "self": format!("{url}&startAt={start}"), "startAt": start, "maxResults": limit, "total": total,
        "isLast": next >= total, "values": values,
    });
    if next < total {
        answer["nextPage"] = json!(format!("{url}&startAt={next}"));
    }
    Ok(Answer::ok(answer))
}
