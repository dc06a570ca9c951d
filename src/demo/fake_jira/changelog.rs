//! Cloud's changelogs: one issue by pages, or many at once. Both the oldest entry first.

use serde_json::{Value, json};

use super::{
    answer::{Answer, Reply},
    call::Call,
    check,
    model::Change,
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

/// `POST changelog/bulkfetch`: its times are numbers, and a page is counted in entries over all issues.
pub(super) fn bulk(state: &mut State, call: &Call) -> Reply {
    let body = call.object()?;
    check::known_keys(body, &["issueIdsOrKeys", "fieldIds", "maxResults", "nextPageToken"])?;
    let asked = check::strings(body, "issueIdsOrKeys")?.unwrap_or_default();
    if asked.is_empty() || asked.len() > 1000 {
        return Err(Answer::wrong("issueIdsOrKeys: must have 1 to 1000 entries."));
    }
    let fields = check::strings(body, "fieldIds")?.unwrap_or_default();
    if fields.len() > 10 {
        return Err(Answer::wrong("fieldIds: at most 10 fields."));
    }
    let most = check::number(body, "maxResults", 1000)?;
    if most == 0 || most > 10_000 {
        return Err(Answer::wrong("maxResults: must be from 1 to 10000."));
    }
    let most = most.min(state.page_size);
    let start = match body.get("nextPageToken").and_then(Value::as_str) {
        None => 0,
        Some(token) => match state.pages.get(token) {
            Some((of, start)) if *of == asked.join(",") => *start,
            _ => return Err(Answer::wrong("The nextPageToken is not valid for these issues.")),
        },
    };
    let mut ids: Vec<u64> = asked.iter().filter_map(|k| state.visible(call.who, k)).map(|i| i.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let entries = entries(state, &ids, &fields);
    let mut logs: Vec<Value> = Vec::new();
    for (id, entry) in entries.iter().skip(start).take(most) {
        let same = logs.last_mut().filter(|log| log["issueId"] == json!(id));
        match same.and_then(|log| log["changeHistories"].as_array_mut()) {
            Some(histories) => histories.push(entry.clone()),
            None => logs.push(json!({ "issueId": id, "changeHistories": [entry] })),
        }
    }
    let mut answer = json!({ "issueChangeLogs": logs });
    if start + most < entries.len() {
        let token = format!("{:032x}", rand::random::<u128>());
        state.pages.insert(token.clone(), (asked.join(","), start + most));
        answer["nextPageToken"] = json!(token);
    }
    Ok(Answer::ok(answer))
}

fn entries(state: &State, ids: &[u64], fields: &[String]) -> Vec<(String, Value)> {
    let wanted = |c: &Change| fields.is_empty() || fields.contains(&c.field);
    let mut entries = Vec::new();
    for issue in ids.iter().filter_map(|id| state.issues.get(id)) {
        for history in &issue.histories {
            if !history.items.iter().any(wanted) {
                continue;
            }
            let mut kept = history.clone();
            kept.items.retain(wanted);
            let mut entry = render::history(state, &kept);
            entry["created"] = json!(history.created);
            entries.push((issue.id.to_string(), entry));
        }
    }
    entries
}
