//! Whether the create screen has all fields that the bridge sets, and requires no others.

use super::{finding::Finding, project::TicketProject};
use crate::{
    jira::{Field, Kind},
    policy::Route,
    suggest::did_you_mean,
};

/// Fields that the bridge or Jira fills in: they need no configuration.
const FILLED_IN: [&str; 6] = ["project", "issuetype", "summary", "description", "labels", "reporter"];
/// Those of them that the bridge fills in: they cannot be in `ticket.fields`.
const FILLED_IN_BY_BRIDGE: [&str; 5] = ["project", "issuetype", "summary", "description", "labels"];

pub(super) fn screen(place: &TicketProject, route: &Route) -> Vec<Finding> {
    let Some(fields) = &place.fields else { return vec![] };
    let at = format!("the create screen of {} in {}", place.workflow.issue_type_name, place.project);
    let mut findings = missing_bridge_fields(fields, route, &at);
    findings.extend(unset_required_fields(fields, route, &at, place.kind));
    findings.extend(fields_not_on_screen(fields, route, &at));
    findings.extend(wrong_values(fields, route, place.kind));
    findings.extend(assignee_not_on_screen(fields, route, &at));
    if findings.is_empty() {
        let what = format!("{at} has all that is configured, and requires nothing else");
        findings.push(Finding::ok(route.key_of("fields"), what));
    }
    findings
}

fn has(fields: &[Field], id: &str) -> bool {
    fields.iter().any(|field| field.id == id)
}

/// A finding for each missing field that the bridge cannot do without.
fn missing_bridge_fields(fields: &[Field], route: &Route, at: &str) -> Vec<Finding> {
    let needs = [
        ("summary", "tickets cannot be named"),
        ("description", "tickets cannot say what they are about"),
        ("labels", "the bridge cannot mark its tickets and would not find them again"),
    ];
    let missing = needs.into_iter().filter(|(id, _)| !has(fields, id));
    missing
        .map(|(id, so)| {
            let what = format!("{at} has no field {id:?}, so {so}; have Jira's administrator add it");
            Finding::fail(route.key_of(id), what)
        })
        .collect()
}

/// A finding for each field that Jira requires and the configuration does not set.
fn unset_required_fields(fields: &[Field], route: &Route, at: &str, kind: Kind) -> Vec<Finding> {
    let demanded = fields.iter().filter(|field| {
        field.required
            && !field.has_default
            && !FILLED_IN.contains(&field.id.as_str())
            && !route.ticket.fields.contains_key(&field.id)
            && (field.id != "assignee" || route.ticket.assignee.is_none())
    });
    demanded
        .map(|field| {
            let value = field.example(kind);
            let what = format!("{at} requires {:?}; put {value} there", field.name);
            Finding::fail(route.key_of(&format!("fields.{}", field.id)), what)
        })
        .collect()
}

/// A finding if there is an assignee and no field for it: the bridge opens tickets without it then.
fn assignee_not_on_screen(fields: &[Field], route: &Route, at: &str) -> Option<Finding> {
    let is_missing = route.ticket.assignee.is_some() && !has(fields, "assignee");
    is_missing.then(|| {
        let what = format!("{at} has no field \"assignee\", so tickets are opened without one; have it added there, or remove this");
        Finding::warn(route.key_of("assignee"), what)
    })
}

/// A finding for each configured field that is not on the screen.
fn fields_not_on_screen(fields: &[Field], route: &Route, at: &str) -> Vec<Finding> {
    let unknown = route.ticket.fields.keys().filter(|id| !has(fields, id));
    let free: Vec<&Field> =
        fields.iter().filter(|field| !FILLED_IN_BY_BRIDGE.contains(&field.id.as_str())).collect();
    unknown
        .map(|id| {
            let named = free.iter().find(|field| field.name.to_lowercase() == id.to_lowercase());
            let hint = match named {
                Some(field) => format!("; {:?} is called {:?} there, put that", field.name, field.id),
                None => did_you_mean(id, free.iter().map(|field| field.id.as_str())),
            };
            let what = format!(
                "is not on {at}, and Jira would refuse the ticket; have it added there, or remove it{hint}"
            );
            Finding::fail(route.key_of(&format!("fields.{id}")), what)
        })
        .collect()
}

/// A finding for each configured value that Jira would refuse.
fn wrong_values(fields: &[Field], route: &Route, kind: Kind) -> Vec<Finding> {
    let wrong = |(id, value): (&String, &minijinja::Value)| {
        let field = fields.iter().find(|field| field.id == *id)?;
        let problem = field.problem(&serde_json::to_value(value).ok()?, kind)?;
        Some(Finding::fail(route.key_of(&format!("fields.{id}")), problem))
    };
    route.ticket.fields.iter().filter_map(wrong).collect()
}
