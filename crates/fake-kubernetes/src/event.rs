//! Events: created by a `POST`, and counted up by a merge patch.

use serde_json::{Value, json};

use super::{
    answer::{Answer, HandlerResult},
    call::Call,
    event_check,
    field_errors::FieldErrors,
    kind::Kind,
    merge::merge,
    state::State,
    store::Key,
};

/// `POST` of a new Event.
pub(super) fn create(state: &mut State, call: &Call, namespace: &str) -> HandlerResult {
    let mut event = call.body("application/json")?.clone();
    check_kind(&event)?;
    event_check::decode(&event)?;
    merge(&mut event, &json!({ "metadata": {} }));
    match event["metadata"]["namespace"].as_str() {
        None | Some("") => event["metadata"]["namespace"] = namespace.into(),
        Some(given) if given == namespace => {}
        Some(_) => {
            return Err(Answer::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
    }
    let name = name(state, &event)?;
    event["metadata"]["name"] = name.as_str().into();
    event_check::check_new(&event, &name, namespace)?;
    let key = Key::new(Kind::Event, namespace, &name);
    if state.store.get(&key).is_some() {
        return Err(Answer::already_exists(Kind::Event, &name));
    }
    // Only the server sets them.
    event["metadata"]["uid"] = Value::Null;
    let stored = state.store.put(&key, event);
    Ok(Answer::new(201, Value::clone(&stored)))
}

/// `PATCH` of an Event that exists.
pub(super) fn patch(state: &mut State, call: &Call, namespace: &str, name: &str) -> HandlerResult {
    let patch = call.body("application/merge-patch+json")?;
    let key = Key::new(Kind::Event, namespace, name);
    let old = state.store.get(&key).cloned().ok_or_else(|| Answer::not_found(Kind::Event, name))?;
    let mut event = Value::clone(&old);
    merge(&mut event, patch);
    check_kind(&event)?;
    event_check::decode(&event)?;
    if ["name", "namespace", "uid"].iter().any(|field| event["metadata"][field] != old["metadata"][field]) {
        return Err(Answer::bad_request("the name of the object does not match the name on the URL"));
    }
    event_check::check_update(&event, &old, name)?;
    let stored = state.store.put(&key, event);
    Ok(Answer::new(200, Value::clone(&stored)))
}

fn check_kind(event: &Value) -> Result<(), Answer> {
    if event["kind"] == Kind::Event.name() && event["apiVersion"] == Kind::Event.api_version() {
        return Ok(());
    }
    Err(Answer::bad_request(format!(
        "the API version in the data ({} {}) does not match the expected API version (events.k8s.io/v1 Event)",
        event["apiVersion"], event["kind"]
    )))
}

/// The name that is given, or a new one that begins as `generateName` says.
fn name(state: &mut State, event: &Value) -> Result<String, Answer> {
    let text = |field: &str| event["metadata"][field].as_str().unwrap_or_default();
    match (text("name"), text("generateName")) {
        ("", "") => {
            let mut errors = FieldErrors::default();
            errors.required("metadata.name", "name or generateName is required");
            errors.into_result("", "Event", "").map(|()| String::new())
        }
        ("", prefix) => Ok(format!("{prefix}{:05}", state.store.new_id())),
        (name, _) => Ok(name.to_owned()),
    }
}
