//! What only Jira Cloud has: REST v3, texts in ADF, bulk reads by id, changelogs in pages.

use serde_json::{Value, json};

use super::{
    adf,
    marks::PROPERTY,
    request::{Operation, Request},
    settings::Kind,
    truncate,
};
use crate::ticket::Doc;

/// The text of an issue or comment, in ADF.
pub(super) fn text(doc: &Doc) -> Value {
    truncate::fit_to_limit(doc, adf::render, |json| json.to_string().encode_utf16().count())
}

/// Reads up to 100 issues by id, not from the search index, which lags.
pub(super) fn read_many(ids: &[&str], fields: &[String]) -> Request {
    Request::post(Operation::LOOK, Kind::Cloud, &["issue", "bulkfetch"]).body(json!({
        "issueIdsOrKeys": ids,
        "fields": fields,
        "properties": [PROPERTY],
        "expand": ["changelog"],
    }))
}

/// Searches by JQL; the answer holds only ids. Cloud has removed `/search`.
pub(super) fn search(jql: &str) -> Request {
    Request::post(Operation::SEARCH, Kind::Cloud, &["search", "jql"])
        .body(json!({"jql": jql, "fields": ["id"], "maxResults": 50}))
}

/// A page of a changelog, the oldest entries first.
pub(super) fn changelog(id: &str, start: usize, most: usize) -> Request {
    Request::get(Operation::CHANGELOG, Kind::Cloud, &["issue", id, "changelog"])
        .query("startAt", start.to_string())
        .query("maxResults", most.to_string())
}
