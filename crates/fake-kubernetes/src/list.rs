//! Lists, in pages.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    answer::{Answer, HandlerResult},
    call::Call,
    kind::Kind,
    state::{Page, State},
};

/// The message of an unknown `continue`; see `k8s.io/apiserver/pkg/storage/etcd3`.
const PAGE_EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You can \
    start a new list without the continue parameter.";

/// `GET` of a collection. All pages show the objects as they were at the first.
pub(super) fn list(state: &mut State, call: &Call, kind: Kind, namespace: Option<&str>) -> HandlerResult {
    refuse_selectors(call)?;
    let limit =
        call.number("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    let Page { version, mut rest } = match call.query("continue") {
        "" => Page { version: state.store.version(), rest: state.store.list(kind, namespace) },
        token => state.pages.get(token).cloned().ok_or_else(|| Answer::expired(PAGE_EXPIRED))?,
    };
    let items =
        rest.drain(..limit.unwrap_or(rest.len()).min(rest.len())).map(|object| item(kind, &object)).collect();
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    if !rest.is_empty() {
        let token = format!("page-{}", state.store.new_id());
        metadata["continue"] = token.as_str().into();
        metadata["remainingItemCount"] = rest.len().into();
        state.pages.insert(token, Page { version, rest });
    }
    Ok(Answer::new(200, object(kind, metadata, items)))
}

fn object(kind: Kind, metadata: Value, items: Vec<Value>) -> Value {
    json!({
        "kind": format!("{}List", kind.name()), "apiVersion": kind.api_version(),
        "metadata": metadata, "items": items,
    })
}

/// Items of the built-in kinds do not repeat their kind and version.
fn item(kind: Kind, object: &Arc<Value>) -> Value {
    let mut item = Value::clone(object);
    if let Some(fields) = item.as_object_mut().filter(|_| !kind.is_custom()) {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    item
}

/// # Errors
/// Nobody asks this server for a part of the objects, so it cannot select them.
pub(super) fn refuse_selectors(call: &Call) -> Result<(), Answer> {
    match ["labelSelector", "fieldSelector"].into_iter().find(|name| !call.query(name).is_empty()) {
        Some(name) => Err(Answer::bad_request(format!("{name} is not served here"))),
        None => Ok(()),
    }
}
