//! Links between issues.

use serde_json::{Value, json};

use super::{
    answer::{Answer, Reply},
    call::Call,
    check,
    link_types::all,
    model::{Change, Link},
    render::link_type,
    state::State,
};

/// `GET issueLinkType`: a 404 where linking is turned off.
pub(super) fn types(state: &State) -> Reply {
    if !state.linking {
        return Err(off());
    }
    let types: Vec<Value> = all(state).iter().map(|it| link_type(state, it)).collect();
    Ok(Answer::ok(json!({ "issueLinkTypes": types })))
}

fn off() -> Answer {
    Answer::refused(404, "Issue linking is currently disabled.")
}

/// `POST issueLink`: the same link twice is one link. What may not be seen is a 404 here.
pub(super) fn link(state: &mut State, call: &Call) -> Reply {
    let body = call.object()?;
    check::known_keys(body, &["type", "inwardIssue", "outwardIssue", "comment"])?;
    let side = |name: &str| {
        let given = body.get(name).and_then(Value::as_object);
        let given = given.ok_or_else(|| Answer::wrong(format!("{name}: is required.")))?;
        check::known_keys(given, &["id", "key"])?;
        let named = given.get("id").or_else(|| given.get("key")).and_then(Value::as_str);
        named.ok_or_else(|| Answer::wrong(format!("{name}: an id or a key is required.")))
    };
    let (inward, outward) = (side("inwardIssue")?, side("outwardIssue")?);
    let kind = body.get("type").and_then(|t| t.get("name").or_else(|| t.get("id"))).and_then(Value::as_str);
    let kind = kind.ok_or_else(|| Answer::wrong("type: a name or an id is required."))?;
    if !state.linking {
        return Err(off());
    }
    let found = all(state).into_iter().find(|t| t.1 == kind || t.0 == kind);
    let kind =
        found.ok_or_else(|| Answer::refused(404, format!("No issue link type with name '{kind}' found.")))?;
    let mut ids = Vec::new();
    for named in [inward, outward] {
        let issue = state.visible(call.who, named).ok_or_else(Answer::no_issue)?;
        if !state.may(call.who, &issue.project, "LINK_ISSUES") {
            return Err(Answer::refused(404, "No Link Issue Permission for issue."));
        }
        ids.push((issue.id, issue.key.clone()));
    }
    if let [(inward, inward_key), (outward, outward_key)] = ids.as_slice() {
        let new = Link { kind: kind.1.clone(), inward: inward.to_string(), outward: outward.to_string() };
        if !state.links.contains(&new) {
            state.links.push(new);
            state.record(*inward, call.who, vec![change(kind.3, outward_key)]);
            state.record(*outward, call.who, vec![change(kind.2, inward_key)]);
        }
    }
    Ok(Answer::empty(201))
}

fn change(words: &str, other: &str) -> Change {
    let to_string = Some(format!("This issue {words} {other}"));
    Change { field: "Link".into(), to: Some(other.to_owned()), to_string, ..Change::default() }
}
