//! Cloud's changelog of an issue, by pages, the oldest entry first.

use serde_json::{Value, json};

use super::{
    answer::{Answer, Reply},
    call::Call,
    render,
    state::State,
};

/// `GET issue/{id}/changelog`
pub(super) fn page(state: &State, call: &Call, id_or_key: &str) -> Reply {
    let issue = state.visible(call.who, id_or_key).ok_or_else(Answer::no_issue)?;
    let start = call.number("startAt", 0)?;
    let most = call.number("maxResults", 100)?.min(100).min(state.page_size);
    let values: Vec<Value> =
        issue.histories.iter().skip(start).take(most).map(|h| render::history(state, h)).collect();
    let at = format!("{}/issue/{}/changelog?maxResults={most}", render::api(state), issue.id);
    let next = start + values.len();
    let total = issue.histories.len();
    let mut answer = json!({
        "self": format!("{at}&startAt={start}"), "startAt": start, "maxResults": most, "total": total,
        "isLast": next >= total, "values": values,
    });
    if next < total {
        answer["nextPage"] = json!(format!("{at}&startAt={next}"));
    }
    Ok(Answer::ok(answer))
}
