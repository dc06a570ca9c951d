//! Links between issues.

use serde_json::{Value, json};

use super::{
    answer::{Answer, Reply},
    call::Call,
    check,
    model::{Change, Link},
    render,
    state::{Issue, State},
};

/// Name, inward and outward words of every link type.
const TYPES: &[(&str, &str, &str, &str)] = &[
    ("10000", "Blocks", "is blocked by", "blocks"),
    ("10001", "Cloners", "is cloned by", "clones"),
    ("10002", "Duplicate", "is duplicated by", "duplicates"),
    ("10003", "Relates", "relates to", "relates to"),
];

type LinkType = (String, String, &'static str, &'static str);

/// The types that this Jira has: "Relates" may be renamed, or deleted.
fn all(state: &State) -> Vec<LinkType> {
    let called = |name: &str| match (name, &state.relates) {
        ("Relates", called) => called.clone(),
        (name, _) => Some(name.to_owned()),
    };
    TYPES
        .iter()
        .filter_map(|(id, name, inward, outward)| Some(((*id).to_owned(), called(name)?, *inward, *outward)))
        .collect()
}

fn link_type(state: &State, (id, name, inward, outward): &LinkType) -> Value {
    let at = format!("{}/issueLinkType/{id}", render::api(state));
    json!({ "id": id, "name": name, "inward": inward, "outward": outward, "self": at })
}

/// What a link of this type says, read from the issue on its inward side or from the other.
pub(super) fn words(name: &str, from_inward: bool) -> &'static str {
    let found = TYPES.iter().find(|kind| kind.1 == name);
    found.map_or("relates to", |kind| if from_inward { kind.3 } else { kind.2 })
}

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

/// The field `issuelinks`.
pub(super) fn of_issue(state: &State, issue: &Issue, english: bool) -> Value {
    let own = issue.id.to_string();
    let mut shown = Vec::new();
    for (index, link) in state.links.iter().enumerate() {
        let (side, other) = if link.inward == own {
            ("outwardIssue", &link.outward)
        } else if link.outward == own {
            ("inwardIssue", &link.inward)
        } else {
            continue;
        };
        let Some(other) = state.find(other).and_then(|id| state.issues.get(&id)) else { continue };
        let status = state.status_of(other).map_or(Value::Null, |s| render::status(state, s, english));
        let types = all(state);
        let kind = types.iter().find(|t| t.1 == link.kind).map_or(Value::Null, |t| link_type(state, t));
        shown.push(json!({
            "id": (10_000 + index).to_string(), "type": kind,
            side: { "id": other.id.to_string(), "key": other.key,
                    "fields": { "summary": other.summary, "status": status } },
        }));
    }
    Value::Array(shown)
}
