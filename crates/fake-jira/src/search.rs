//! Search. Cloud pages with tokens, Data Center with offsets. The index of both can lag behind the issues.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, HandlerResult},
    call::Call,
    check, jql,
    model::Flavour,
    render::{self, ReadOptions},
    state::{Issue, State},
    time::since,
};

/// `GET` and `POST search/jql` on Cloud, `GET` and `POST search` on Data Center.
pub(super) fn search(state: &mut State, call: &Call) -> HandlerResult {
    let body = if call.method == "GET" { from_query(state.flavour, call)? } else { call.object()?.clone() };
    match state.flavour {
        Flavour::Cloud => cloud(state, call, &body),
        Flavour::DataCenter => data_center(state, call, &body),
    }
}

/// Converts the query parameters to the body of the same search.
fn from_query(flavour: Flavour, call: &Call) -> Result<Map<String, Value>, Answer> {
    let mut body = Map::new();
    for (name, value) in &call.query {
        let value = match (name.as_str(), flavour) {
            ("fields" | "properties", _) | ("expand", Flavour::DataCenter) => json!(call.query_list(name)),
            ("startAt" | "maxResults", _) => json!(call.number(name, 0)?),
            ("reconcileIssues", _) => {
                json!(call.query_list(name).iter().filter_map(|v| v.parse::<u64>().ok()).collect::<Vec<_>>())
            }
            ("validateQuery" | "fieldsByKeys" | "failFast", _) => json!(value == "true"),
            _ => json!(value),
        };
        body.insert(name.clone(), value);
    }
    body.remove("failFast");
    Ok(body)
}

/// The ids of the indexed issues that match the query, in order.
fn find_ids(state: &State, call: &Call, query: &jql::Query, reconciled: &[u64]) -> Vec<u64> {
    let now = state.time.now();
    let mut ids: Vec<u64> = search_index(state)
        .values()
        .filter(|i| since(now, i.created) >= state.index_lag || reconciled.contains(&i.id))
        .filter(|i| state.can_see(call.account, i) && query.matches(state, i))
        .map(|i| i.id)
        .collect();
    if query.descending {
        ids.reverse();
    }
    ids
}

/// The issues in the search index.
fn search_index(state: &State) -> &BTreeMap<u64, Issue> {
    state.frozen_index.as_ref().unwrap_or(&state.issues)
}

fn optional_string<'a>(body: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, Answer> {
    match body.get(key).filter(|v| !v.is_null()) {
        None => Ok(None),
        Some(value) => {
            value.as_str().map(Some).ok_or_else(|| Answer::invalid(format!("{key}: must be a string.")))
        }
    }
}

fn cloud(state: &mut State, call: &Call, body: &Map<String, Value>) -> HandlerResult {
    let known = [
        "jql",
        "nextPageToken",
        "maxResults",
        "fields",
        "expand",
        "properties",
        "fieldsByKeys",
        "reconcileIssues",
    ];
    check::reject_unknown_keys(body, &known)?;
    let jql = optional_string(body, "jql")?.unwrap_or_default();
    let query = jql::parse(jql).map_err(Answer::invalid)?;
    if call.account.is_some() {
        query
            .check_values(state, call.account, jql::rejects_unknown_issues(Flavour::Cloud, true))
            .map_err(|message| Answer::error(400, message))?;
    }
    let reconciled = reconciled(body)?;
    let fields = check::strings(body, "fields")?.unwrap_or_else(|| vec!["id".into()]);
    let properties = check::strings(body, "properties")?.unwrap_or_default();
    if properties.len() > 5 {
        return Err(Answer::invalid("properties: at most 5 keys."));
    }
    let start = match optional_string(body, "nextPageToken")? {
        None => 0,
        Some(token) => match state.page_tokens.get(token) {
            Some((token_jql, start)) if token_jql == jql => *start,
            _ => return Err(Answer::invalid("The nextPageToken is not valid for this query.")),
        },
    };
    let changelog = optional_string(body, "expand")?
        .is_some_and(|e| e.split(',').any(|e| e.trim() == "changelog"))
        .then_some(40);
    let only_id = fields == ["id"];
    let limit =
        check::number(body, "maxResults", 50)?.min(if only_id { 5000 } else { 100 }).min(state.page_size);
    let found = find_ids(state, call, &query, &reconciled);
    let options = ReadOptions { fields, properties, changelog, english: call.english };
    let page = found.iter().skip(start).take(limit.max(1)).filter_map(|id| state.issues.get(id));
    let issues: Vec<Value> = page
        .map(|i| if only_id { json!({ "id": i.id.to_string() }) } else { render::issue(state, i, &options) })
        .collect();
    let next = start + issues.len();
    let mut answer = json!({ "issues": issues, "isLast": next >= found.len() });
    if next < found.len() {
        let token = format!("{:032x}", rand::random::<u128>());
        state.page_tokens.insert(token.clone(), (jql.to_owned(), next));
        answer["nextPageToken"] = json!(token);
    }
    Ok(Answer::ok(answer))
}

/// `reconcileIssues`: at most 50 ids of issues that the search includes regardless of the index lag.
fn reconciled(body: &Map<String, Value>) -> Result<Vec<u64>, Answer> {
    let Some(given) = body.get("reconcileIssues") else { return Ok(Vec::new()) };
    let invalid = || Answer::invalid("reconcileIssues: must be an array of at most 50 numbers.");
    let list = given.as_array().filter(|l| l.len() <= 50).ok_or_else(invalid)?;
    list.iter().map(|v| v.as_u64().ok_or_else(invalid)).collect()
}

fn data_center(state: &State, call: &Call, body: &Map<String, Value>) -> HandlerResult {
    check::reject_unknown_keys(body, &["jql", "startAt", "maxResults", "fields", "expand", "validateQuery"])?;
    let query = jql::parse(optional_string(body, "jql")?.unwrap_or_default()).map_err(Answer::invalid)?;
    let validate = match body.get("validateQuery") {
        None => true,
        Some(value) => value.as_bool().ok_or_else(|| Answer::invalid("validateQuery: must be a boolean."))?,
    };
    let expand = check::strings(body, "expand")?.unwrap_or_default();
    let fields = check::strings(body, "fields")?.unwrap_or_else(|| vec!["*navigable".into()]);
    let mut warnings = Vec::new();
    if call.account.is_some()
        && let Err(message) =
            query.check_values(state, call.account, jql::rejects_unknown_issues(Flavour::DataCenter, true))
    {
        if validate {
            return Err(Answer::error(400, message));
        }
        warnings.push(message);
    }
    let start = check::number(body, "startAt", 0)?;
    let limit = check::number(body, "maxResults", 50)?.min(1000).min(state.page_size);
    let changelog = expand.iter().any(|e| e == "changelog").then_some(usize::MAX);
    let options = ReadOptions { fields, properties: Vec::new(), changelog, english: call.english };
    let found = find_ids(state, call, &query, &[]);
    let page: Vec<&Issue> =
        found.iter().skip(start).take(limit).filter_map(|id| search_index(state).get(id)).collect();
    if page.iter().any(|issue| issue.broken) {
        return Err(Answer::error(500, "Internal server error"));
    }
    let issues: Vec<Value> = page.into_iter().map(|i| render::issue(state, i, &options)).collect();
    let mut answer = json!({ "startAt": start, "maxResults": limit, "total": found.len(), "issues": issues });
    if !warnings.is_empty() {
        answer["warningMessages"] = json!(warnings);
    }
    Ok(Answer::ok(answer))
}
