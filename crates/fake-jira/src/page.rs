//! The pages on which a change manager views and moves issues. They work without JavaScript.

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
const MAX_LISTED: usize = 100;
/// Blocks all other origins and all inline scripts.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
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
            match state.find_issue(&decode(key)).and_then(|id| state.issues.get(&id)) {
                Some(issue) => page(&state, 200, context! { issue => Serde(issue_details(&state, issue)) }),
                None => not_found(&state, "Ticket not found"),
            }
        }
        ("POST", ["click", key, transition]) => click(&fake, &decode(key), transition),
        _ => not_found(&fake.lock(), "Page not found"),
    }
}

/// Moves an issue as mia and redirects to it.
fn click(fake: &FakeJira, key: &str, transition: &str) -> Answer {
    let mut state = fake.lock();
    let Some(issue) = state.find_issue(key).and_then(|id| state.issues.get(&id)).cloned() else {
        return not_found(&state, "Ticket not found");
    };
    let found = transitions::available(&state, &issue).into_iter().find(|t| t.id == transition);
    let status = found.and_then(|t| state.workflow_of(&issue).and_then(|w| w.status(&t.to)).cloned());
    if let Some(status) = status {
        let change = state.set_status(issue.id, &status);
        state.record_changes(issue.id, Some(MIA), change.into_iter().collect());
    }
    let to = format!("{}/browse/{}", state.context_path, issue.key);
    Answer::empty(303).with_header("Location", to)
}

fn not_found(state: &State, message: &str) -> Answer {
    page(state, 404, context! { missing => message })
}

fn list(state: &State) -> Answer {
    let issues: Vec<Value> =
        state.issues.values().rev().take(MAX_LISTED).map(|it| issue_row(state, it)).collect();
    let older = state.issues.len() - issues.len();
    page(state, 200, context! { issues => Serde(&issues), older })
}

fn page(state: &State, status: u16, content: minijinja::Value) -> Answer {
    let mut templates = Environment::new();
    // minijinja escapes values because the name ends in .html.
    let page =
        templates.add_template("page.html", TEMPLATE).and_then(|()| templates.get_template("page.html"));
    let context = context! { root => state.context_path.clone(), you => display_name(state, MIA), ..content };
    match page.and_then(|page| page.render(context)) {
        Ok(page) => {
            Answer::text(status, HTML, page).with_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        }
        Err(error) => Answer::text(500, "text/plain;charset=UTF-8", error.to_string()),
    }
}

fn display_name(state: &State, account: &str) -> String {
    state.person(account).map_or_else(|| "Unknown user".to_owned(), |person| person.display.clone())
}

/// An issue in the list of issues.
fn issue_row(state: &State, issue: &Issue) -> Value {
    let to = |id: &str| state.workflow_of(issue).and_then(|w| w.status(id)).map(|s| s.name.clone());
    let buttons: Vec<Value> = transitions::available(state, issue)
        .iter()
        .map(|t| json!({ "id": t.id, "name": t.name, "to": to(&t.to) }))
        .collect();
    json!({
        "key": issue.key, "summary": issue.summary, "color": color(state, issue),
        "status": state.status_of(issue).map_or("", |s| s.name.as_str()),
        "kind": state.issue_type(&issue.project, &issue.type_id).map_or("", |t| t.name.as_str()),
        "created": time::format_page(issue.created), "buttons": buttons,
    })
}

/// An issue with everything that its page shows.
fn issue_details(state: &State, issue: &Issue) -> Value {
    let comments: Vec<Value> = issue
        .comments
        .iter()
        .map(|c| json!({ "author": display_name(state, &c.author), "when": time::format_page(c.created), "body": html(&c.body) }))
        .collect();
    let mut history = Vec::new();
    for entry in issue.histories.iter().rev() {
        for item in &entry.items {
            history.push(json!({
                "author": entry.author.as_deref().map_or_else(|| "Unknown user".to_owned(), |account| display_name(state, account)),
                "when": time::format_page(entry.created), "field": item.field,
                "from": item.from_string, "to": item.to_string,
            }));
        }
    }
    let mut details = issue_row(state, issue);
    details["labels"] = json!(issue.labels);
    details["creator"] = json!(display_name(state, &issue.creator));
    details["project"] =
        json!(state.project(&issue.project).map(|project| format!("{} ({})", project.name, project.key)));
    details["updated"] = json!(time::format_page(issue.updated));
    details["description"] = json!(html(&issue.description));
    details["comments"] = Value::Array(comments);
    details["history"] = Value::Array(history);
    details["links"] = Value::Array(linked_issues(state, issue));
    details
}

/// The links of an issue.
fn linked_issues(state: &State, issue: &Issue) -> Vec<Value> {
    let id = issue.id.to_string();
    let mut linked = Vec::new();
    for link in &state.links {
        let (description, other) = if link.inward == id {
            (link_types::description(&link.kind, true), &link.outward)
        } else if link.outward == id {
            (link_types::description(&link.kind, false), &link.inward)
        } else {
            continue;
        };
        let Some(other) = state.find_issue(other).and_then(|id| state.issues.get(&id)) else { continue };
        linked.push(json!({
            "description": description, "name": format!("{} {}", other.key, other.summary),
            "href": format!("{}/browse/{}", state.context_path, other.key),
            "status": state.status_of(other).map(|s| s.name.clone()), "color": color(state, other),
        }));
    }
    linked
}

/// The CSS class for the colour of the issue's status.
fn color(state: &State, issue: &Issue) -> &'static str {
    match state.status_of(issue).map(|status| status.category) {
        None | Some(Category::New) => "new",
        Some(Category::Indeterminate) => "busy",
        Some(Category::Done) => "done",
    }
}
