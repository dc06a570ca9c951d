//! What only Jira Data Center has: REST v2, texts in wiki markup, one search for everything.

use serde_json::{Value, json};

use super::{
    request::{MAX_PER_REQUEST, Operation, Request},
    settings::Kind,
    truncate, wiki,
};
use crate::ticket::Doc;

/// The text of an issue or comment, in wiki markup.
pub(super) fn text(doc: &Doc) -> Value {
    Value::String(truncate::fit_to_limit(doc, wiki::render, |text| text.encode_utf16().count()))
}

/// Reads up to 100 issues by id. Without `validateQuery: false` one deleted issue fails the whole search.
pub(super) fn read_many(ids: &[&str], fields: &[String]) -> Request {
    Request::post(Operation::LOOK, Kind::DataCenter, &["search"]).body(json!({
        "jql": format!("id in ({})", ids.join(",")),
        "startAt": 0,
        "maxResults": MAX_PER_REQUEST,
        "fields": fields,
        "expand": ["changelog"],
        "validateQuery": false,
    }))
}

/// Searches by JQL; of each issue the answer holds only the id, the key and the creator.
pub(super) fn search(jql: &str) -> Request {
    Request::post(Operation::SEARCH, Kind::DataCenter, &["search"]).body(json!({
        "jql": jql,
        "startAt": 0,
        "maxResults": 50,
        "fields": ["creator"],
        "validateQuery": false,
    }))
}
