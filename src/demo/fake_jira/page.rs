//! The page on which a change manager sees the issues and clicks, without JavaScript.

use jiff::Timestamp;
use minijinja::{Environment, context, value::Serde};
use serde_json::{Value, json};

use super::{
    FakeJira,
    answer::Answer,
    call::{Call, decode},
    html::html,
    model::{Category, MIA},
    state::{Issue, State},
    transitions,
};
use crate::millis::Millis;

const HTML: &str = "text/html;charset=UTF-8";
const TEMPLATE: &str = include_str!("page.html");

/// Answers a request outside `/rest/`.
pub(super) fn answer(fake: FakeJira, call: &Call) -> Answer {
    let path: Vec<&str> = call.path.trim_start_matches('/').split('/').collect();
    match (call.method.as_str(), path.as_slice()) {
        ("GET", [""]) => {
            let state = fake.lock();
            show(&state, &state.issues.values().rev().collect::<Vec<_>>(), false)
        }
        ("GET", ["browse", key]) => {
            let state = fake.lock();
            match state.find(&decode(key)).and_then(|id| state.issues.get(&id)) {
                Some(issue) => show(&state, &[issue], true),
                None => {
                    Answer::text(404, HTML, "<!doctype html><title>Jira</title><p>There is no such issue.")
                }
            }
        }
        ("POST", ["click", key, transition]) => click(&fake, &decode(key), transition),
        _ => Answer::text(404, HTML, "<!doctype html><title>Jira</title><p>There is no such page."),
    }
}

/// Moves an issue as mia, and shows it where it was clicked.
fn click(fake: &FakeJira, key: &str, transition: &str) -> Answer {
    let mut state = fake.lock();
    let Some(issue) = state.find(key).and_then(|id| state.issues.get(&id)).cloned() else {
        return Answer::text(404, HTML, "<!doctype html><title>Jira</title><p>There is no such issue.");
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

fn show(state: &State, issues: &[&Issue], single: bool) -> Answer {
    let mut templates = Environment::new();
    // The name ends in .html, so that everything put in is escaped.
    let page =
        templates.add_template("page.html", TEMPLATE).and_then(|()| templates.get_template("page.html"));
    let issues: Vec<Value> = issues.iter().map(|i| issue(state, i)).collect();
    let page = page
        .and_then(|p| p.render(context! { issues => Serde(&issues), single, root => state.context.clone() }));
    match page {
        Ok(page) => Answer::text(200, HTML, page),
        Err(error) => Answer::text(500, "text/plain;charset=UTF-8", error.to_string()),
    }
}

fn issue(state: &State, issue: &Issue) -> Value {
    let name = |who: &str| state.person(who).map_or_else(|| "Somebody".to_owned(), |p| p.display.clone());
    let status = state.status_of(issue);
    let color = match status.map(|s| s.category) {
        None | Some(Category::New) => "new",
        Some(Category::Indeterminate) => "busy",
        Some(Category::Done) => "done",
    };
    let buttons: Vec<Value> =
        transitions::available(state, issue).iter().map(|t| json!({ "id": t.id, "name": t.name })).collect();
    let comments: Vec<Value> = issue
        .comments
        .iter()
        .map(|c| json!({ "who": name(&c.author), "when": shown(c.created), "body": html(&c.body) }))
        .collect();
    let mut history = Vec::new();
    for entry in issue.histories.iter().rev() {
        for item in &entry.items {
            history.push(json!({
                "who": entry.author.as_deref().map_or_else(|| "Somebody".to_owned(), name),
                "when": shown(entry.created), "field": item.field,
                "from": item.from_string, "to": item.to_string,
            }));
        }
    }
    json!({
        "key": issue.key, "summary": issue.summary, "labels": issue.labels, "color": color,
        "status": status.map_or("", |s| s.name.as_str()),
        "kind": state.issue_type(&issue.project, &issue.kind).map_or("", |t| t.name.as_str()),
        "creator": name(&issue.creator), "created": shown(issue.created),
        "description": html(&issue.description),
        "buttons": buttons, "comments": comments, "history": history,
    })
}

/// As the bridge's own page and answers tell times: in UTC.
fn shown(at: Millis) -> String {
    let at = Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
