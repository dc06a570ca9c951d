//! The pages on which people view and move issues. They work without JavaScript. A visitor acts as the account that a
//! cookie names, at first as Mia.

use minijinja::{Environment, context, value::Serde};
use serde_json::{Value, json};

use super::{
    accounts::{groups_of, uses_pages},
    answer::Answer,
    call::{Call, decode},
    fake::FakeJira,
    html::html,
    link_types,
    model::{Category, MIA, Person},
    state::{Issue, State},
    time, transitions,
};

const HTML: &str = "text/html;charset=UTF-8";
const TEMPLATE: &str = include_str!("page.html");
const MAX_LISTED: usize = 100;
/// More people are not offered in the header.
const MAX_PEOPLE: usize = 8;
/// Names the account that the visitor acts as. Cookies do not distinguish ports, so its name must be ours alone.
const COOKIE: &str = "simulated-jira-acts-as";
/// Blocks all other origins and all inline scripts.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// Answers a request outside `/rest/`.
pub(super) fn answer(fake: &FakeJira, call: &Call) -> Answer {
    let path: Vec<&str> = call.path.trim_start_matches('/').split('/').collect();
    let mut state = fake.lock();
    let visitor = visitor(&state, call);
    let page = Page { state: &state, visitor: visitor.as_ref() };
    match (call.method.as_str(), path.as_slice()) {
        ("GET", [""]) => page.list(),
        ("GET", ["page.css"]) => Answer::text(200, "text/css;charset=UTF-8", include_str!("page.css")),
        ("GET", ["refresh.js"]) => {
            Answer::text(200, "text/javascript;charset=UTF-8", include_str!("refresh.js"))
        }
        ("GET", ["browse", key]) => {
            match state.find_issue(&decode(key)).and_then(|id| state.issues.get(&id)) {
                Some(issue) => page.ticket(issue),
                None => page.not_found("Ticket not found"),
            }
        }
        ("POST", ["act-as", account, rest @ ..]) => page.act_as(&decode(account), rest),
        ("POST", ["click", key, transition]) => {
            let Some(id) = state.find_issue(&decode(key)) else { return page.not_found("Ticket not found") };
            click(&mut state, id, transition, visitor.as_ref())
        }
        _ => page.not_found("Page not found"),
    }
}

/// The account that the visitor acts as: the one in the cookie, otherwise Mia; `None` if there is no Mia.
fn visitor(state: &State, call: &Call) -> Option<Person> {
    let cookies = call.header("cookie").unwrap_or_default().split(';');
    let chosen = cookies.filter_map(|cookie| cookie.trim().split_once('=')).find(|(name, _)| *name == COOKIE);
    let chosen = chosen.and_then(|(_, account)| state.person(account)).filter(|person| uses_pages(person));
    chosen.or_else(|| state.person(MIA)).cloned()
}

/// Moves an issue and redirects to it.
fn click(state: &mut State, id: u64, transition: &str, visitor: Option<&Person>) -> Answer {
    let Some(issue) = state.issues.get(&id).cloned() else { return Answer::empty(404) };
    let found = transitions::available(state, &issue).into_iter().find(|t| t.id == transition);
    let status = found.and_then(|t| state.workflow_of(&issue).and_then(|w| w.status(&t.to)).cloned());
    if let Some(status) = status {
        let change = state.set_status(id, &status);
        let author = visitor.map_or(MIA, |person| person.account_id.as_str());
        state.record_changes(id, Some(author), change.into_iter().collect());
    }
    see_other(state, &format!("/browse/{}", issue.key))
}

fn see_other(state: &State, path: &str) -> Answer {
    Answer::empty(303).with_header("Location", format!("{}{path}", state.context_path))
}

/// What every page needs.
struct Page<'a> {
    state: &'a State,
    visitor: Option<&'a Person>,
}

impl Page<'_> {
    /// Remembers the account, and leads back to where the visitor was: `browse/KEY`, or else the list.
    fn act_as(&self, account: &str, rest: &[&str]) -> Answer {
        let Some(person) = self.state.person(account).filter(|person| uses_pages(person)) else {
            return self.not_found("Account not found");
        };
        let back = match rest {
            ["browse", key] => {
                let issue = self.state.find_issue(&decode(key)).and_then(|id| self.state.issues.get(&id));
                issue.map_or_else(|| "/".to_owned(), |issue| format!("/browse/{}", issue.key))
            }
            _ => "/".to_owned(),
        };
        let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax", person.account_id);
        see_other(self.state, &back).with_header("Set-Cookie", cookie)
    }

    fn not_found(&self, message: &str) -> Answer {
        self.render(404, context! { missing => message })
    }

    fn list(&self) -> Answer {
        let issues: Vec<Value> =
            self.state.issues.values().rev().take(MAX_LISTED).map(|it| issue_row(self.state, it)).collect();
        let older = self.state.issues.len() - issues.len();
        self.render(200, context! { issues => Serde(&issues), older })
    }

    fn ticket(&self, issue: &Issue) -> Answer {
        self.render(200, context! { issue => Serde(issue_details(self.state, issue)) })
    }

    fn render(&self, status: u16, content: minijinja::Value) -> Answer {
        let mut templates = Environment::new();
        // minijinja escapes values because the name ends in .html.
        let page =
            templates.add_template("page.html", TEMPLATE).and_then(|()| templates.get_template("page.html"));
        let context = context! {
            root => self.state.context_path.clone(),
            you => self.visitor.map_or("Unknown user", |person| person.display.as_str()),
            your_groups => self.visitor.map(|person| groups_of(self.state, person)).unwrap_or_default(),
            others => Serde(self.others()),
            ..content
        };
        match page.and_then(|page| page.render(context)) {
            Ok(page) => Answer::text(status, HTML, page)
                .with_header("Content-Security-Policy", CONTENT_SECURITY_POLICY),
            Err(error) => Answer::text(500, "text/plain;charset=UTF-8", error.to_string()),
        }
    }

    /// Whom the visitor can act as instead.
    fn others(&self) -> Vec<Value> {
        let others = self.state.people.iter().filter(|person| uses_pages(person));
        let others = others.filter(|person| self.visitor.is_none_or(|it| it.account_id != person.account_id));
        others
            .take(MAX_PEOPLE)
            .map(|person| json!({ "id": person.account_id, "name": person.display }))
            .collect()
    }
}

fn display_name(state: &State, account: &str) -> String {
    known_name(state, account).unwrap_or_else(|| "Unknown user".to_owned())
}

fn known_name(state: &State, account: &str) -> Option<String> {
    state.person(account).map(|person| person.display.clone())
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
    let names = |account: &str| known_name(state, account);
    let comments: Vec<Value> = issue
        .comments
        .iter()
        .map(|c| json!({ "author": display_name(state, &c.author), "when": time::format_page(c.created), "body": html(&c.body, &names) }))
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
    details["description"] = json!(html(&issue.description, &names));
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
