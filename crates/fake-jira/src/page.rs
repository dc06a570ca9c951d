//! The pages on which a change manager sees the issues and clicks. They work without JavaScript.

use minijinja::{Environment, context, value::Serde};
use serde_json::{Value, json};

use super::{
    answer::Answer,
    call::{Call, decode},
    fake::FakeJira,
    html::html,
    link_types,
    model::{Category, MIA},
    state::{Issue, State},
    time, transitions,
};

const HTML: &str = "text/html;charset=UTF-8";
const TEMPLATE: &str = include_str!("page.html");
/// So many issues are listed.
const MOST: usize = 100;
/// Nothing comes from elsewhere, and nothing in a ticket is ever run.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// Answers a request outside `/rest/`.
pub(super) fn answer(fake: FakeJira, call: &Call) -> Answer {
    let path: Vec<&str> = call.path.trim_start_matches('/').split('/').collect();
    match (call.method.as_str(), path.as_slice()) {
        ("GET", [""]) => list(&fake.lock()),
        ("GET", ["page.css"]) => Answer::text(200, "text/css;charset=UTF-8", include_str!("page.css")),
        ("GET", ["refresh.js"]) => {
            Answer::text(200, "text/javascript;charset=UTF-8", include_str!("refresh.js"))
        }
        ("GET", ["browse", key]) => {
            let state = fake.lock();
            match state.find(&decode(key)).and_then(|id| state.issues.get(&id)) {
                Some(issue) => page(&state, 200, context! { issue => Serde(whole(&state, issue)) }),
                None => missing(&state, "There is no such ticket"),
            }
        }
        ("POST", ["click", key, transition]) => click(&fake, &decode(key), transition),
        _ => missing(&fake.lock(), "There is no such page"),
    }
}

/// Moves an issue as mia, and shows it.
fn click(fake: &FakeJira, key: &str, transition: &str) -> Answer {
    let mut state = fake.lock();
    let Some(issue) = state.find(key).and_then(|id| state.issues.get(&id)).cloned() else {
        return missing(&state, "There is no such ticket");
    };
    let found = transitions::available(&state, &issue).into_iter().find(|t| t.id == transition);
    let status = found.and_then(|t| state.workflow_of(&issue).and_then(|w| w.status(&t.to)).cloned());
    if let Some(status) = status {
        let change = state.move_to(issue.id, &status);
        state.record(issue.id, Some(MIA), change.into_iter().collect());
    }
    let to = format!("{}/browse/{}", state.context, issue.key);
    Answer::empty(303).with("Location", to)
}

fn missing(state: &State, words: &str) -> Answer {
    page(state, 404, context! { missing => words })
}

fn list(state: &State) -> Answer {
    let issues: Vec<Value> = state.issues.values().rev().take(MOST).map(|it| brief(state, it)).collect();
    let older = state.issues.len() - issues.len();
    page(state, 200, context! { issues => Serde(&issues), older })
}

fn page(state: &State, status: u16, shown: minijinja::Value) -> Answer {
    let mut templates = Environment::new();
    // The name ends in .html, so that everything put in is escaped.
    let page =
        templates.add_template("page.html", TEMPLATE).and_then(|()| templates.get_template("page.html"));
    let around = context! { root => state.context.clone(), you => name(state, MIA), ..shown };
    match page.and_then(|page| page.render(around)) {
        Ok(page) => Answer::text(status, HTML, page).with("Content-Security-Policy", POLICY),
        Err(error) => Answer::text(500, "text/plain;charset=UTF-8", error.to_string()),
    }
}

fn name(state: &State, who: &str) -> String {
    state.person(who).map_or_else(|| "Somebody".to_owned(), |person| person.display.clone())
}

/// An issue in the list.
fn brief(state: &State, issue: &Issue) -> Value {
    let to = |id: &str| state.workflow_of(issue).and_then(|w| w.status(id)).map(|s| s.name.clone());
    let buttons: Vec<Value> = transitions::available(state, issue)
        .iter()
        .map(|t| json!({ "id": t.id, "name": t.name, "to": to(&t.to) }))
        .collect();
    json!({
        "key": issue.key, "summary": issue.summary, "color": color(state, issue),
        "status": state.status_of(issue).map_or("", |s| s.name.as_str()),
        "kind": state.issue_type(&issue.project, &issue.kind).map_or("", |t| t.name.as_str()),
        "created": time::page(issue.created), "buttons": buttons,
    })
}

/// An issue with all there is to it.
fn whole(state: &State, issue: &Issue) -> Value {
    let comments: Vec<Value> = issue
        .comments
        .iter()
        .map(|c| json!({ "who": name(state, &c.author), "when": time::page(c.created), "body": html(&c.body) }))
        .collect();
    let mut history = Vec::new();
    for entry in issue.histories.iter().rev() {
        for item in &entry.items {
            history.push(json!({
                "who": entry.author.as_deref().map_or_else(|| "Somebody".to_owned(), |who| name(state, who)),
                "when": time::page(entry.created), "field": item.field,
                "from": item.from_string, "to": item.to_string,
            }));
        }
    }
    let mut whole = brief(state, issue);
    whole["labels"] = json!(issue.labels);
    whole["creator"] = json!(name(state, &issue.creator));
    whole["project"] =
        json!(state.project(&issue.project).map(|project| format!("{} ({})", project.name, project.key)));
    whole["updated"] = json!(time::page(issue.updated));
    whole["description"] = json!(html(&issue.description));
    whole["comments"] = Value::Array(comments);
    whole["history"] = Value::Array(history);
    whole["links"] = Value::Array(linked(state, issue));
    whole
}

/// What an issue is linked to.
fn linked(state: &State, issue: &Issue) -> Vec<Value> {
    let own = issue.id.to_string();
    let mut linked = Vec::new();
    for link in &state.links {
        let (words, other) = if link.inward == own {
            (link_types::words(&link.kind, true), &link.outward)
        } else if link.outward == own {
            (link_types::words(&link.kind, false), &link.inward)
        } else {
            continue;
        };
        let Some(other) = state.find(other).and_then(|id| state.issues.get(&id)) else { continue };
        linked.push(json!({
            "words": words, "name": format!("{} {}", other.key, other.summary),
            "href": format!("{}/browse/{}", state.context, other.key),
            "status": state.status_of(other).map(|s| s.name.clone()), "color": color(state, other),
        }));
    }
    linked
}

/// The class of a status's colour.
fn color(state: &State, issue: &Issue) -> &'static str {
    match state.status_of(issue).map(|status| status.category) {
        None | Some(Category::New) => "new",
        Some(Category::Indeterminate) => "busy",
        Some(Category::Done) => "done",
    }
}
