//! Whether tickets can be opened, decided and moved as configured: the base settings and each route.

use std::collections::BTreeSet;

use super::{Finding, did_you_mean, screen::screen};
use crate::{
    jira::{Error, Field, Jira, NEEDED, Permissions, Thing, Workflow},
    policy::{self, Policy, Route, Statuses, Target, Unresolved},
};

/// One project and issue type, as Jira has it.
pub(super) struct Place {
    /// The project's key.
    pub(super) project: String,
    /// As the configuration has it.
    issue_type: String,
    /// The statuses of its issues.
    pub(super) workflow: Workflow,
    /// The fields of its create screen; none if they could not be had.
    pub(super) fields: Option<Vec<Field>>,
}

/// Each project, issue type and setting is looked at once, at the first route that has it.
pub(super) async fn tickets(jira: &Jira, policy: &Policy) -> Vec<Finding> {
    let (places, mut findings) = places(jira, policy).await;
    let mut told = BTreeSet::new();
    for route in routes(policy) {
        let Some(place) = places.iter().find(|place| place.is_of(route)) else { continue };
        let settings = &route.ticket;
        for (topic, about) in [
            (screen as fn(&Place, &Route) -> Vec<Finding>, format!("{:?}", settings.fields.keys())),
            (statuses, format!("{:?} {:?}", settings.approved, settings.rejected)),
            (transitions, format!("{:?}", settings.transitions)),
        ] {
            if told.insert((&place.project, &place.issue_type, about)) {
                findings.extend(topic(place, route));
            }
        }
    }
    findings
}

impl Place {
    fn is_of(&self, route: &Route) -> bool {
        self.project == route.ticket.project && self.issue_type == route.ticket.issue_type
    }
}

/// The places of all routes, as far as they are there.
async fn places(jira: &Jira, policy: &Policy) -> (Vec<Place>, Vec<Finding>) {
    let (mut places, mut findings) = (vec![], vec![]);
    let (mut tried, mut allowed) = (BTreeSet::new(), BTreeSet::new());
    for route in routes(policy) {
        let (project, issue_type) = (&route.ticket.project, &route.ticket.issue_type);
        if !tried.insert((project, issue_type)) {
            continue;
        }
        let found = jira.workflow(project, issue_type).await;
        let project_is_there = match &found {
            Err(error) => matches!(error, Error::NotFound { thing: Thing::IssueType, .. }),
            Ok(_) => true,
        };
        if project_is_there && allowed.insert(project) {
            findings.extend(permissions(jira, policy, route).await);
        }
        match found {
            Err(error) => findings.extend(not_found(&error, route)),
            Ok(workflow) => {
                findings.push(Finding::ok(
                    route.key_of("issue_type"),
                    format!("{:?} ({}) in {project}", workflow.issue_type_name, workflow.issue_type_id),
                ));
                let (fields, problem) = fields(jira, route, &workflow).await;
                findings.extend(problem);
                let (project, issue_type) = (project.clone(), issue_type.clone());
                places.push(Place { project, issue_type, workflow, fields });
            }
        }
    }
    (places, findings)
}

fn routes(policy: &Policy) -> impl Iterator<Item = &Route> {
    std::iter::once(&policy.base).chain(policy.routes.iter().map(|(_, route)| route))
}

/// Why there is no workflow, and what could not be looked at therefore.
fn not_found(error: &Error, route: &Route) -> [Finding; 2] {
    let (key, hint, left_out) = if let Error::NotFound { thing: Thing::IssueType, candidates, .. } = error {
        (
            "issue_type",
            did_you_mean(&route.ticket.issue_type, candidates.iter().map(String::as_str)),
            "fields, statuses and transitions were not checked: there has to be an issue type first",
        )
    } else {
        (
            "project",
            String::new(),
            "issue type, permissions, fields, statuses and transitions were not checked: Jira has to show the project \
             first",
        )
    };
    let section = if route.key == "ticket" { "ticket".to_owned() } else { format!("{}.ticket", route.key) };
    [Finding::fail(route.key_of(key), format!("{error}{hint}")), Finding::warn(section, left_out)]
}

/// What the bridge may do in the project of a route.
async fn permissions(jira: &Jira, policy: &Policy, route: &Route) -> Vec<Finding> {
    let (project, key) = (&route.ticket.project, route.key_of("project"));
    match jira.permissions(project).await {
        Err(error) => vec![Finding::fail(key, format!("cannot see the account's permissions: {error}"))],
        Ok(told) => {
            let moves = routes(policy).any(|route| {
                &route.ticket.project == project && targets(route).iter().any(|(_, to)| to.is_some())
            });
            missing(&told, project, moves, &key)
        }
    }
}

/// A finding for each permission that is missing; `moves` if the bridge is to move tickets.
fn missing(told: &Permissions, project: &str, moves: bool, key: &str) -> Vec<Finding> {
    let finding = |name: &str| match told.get(name) {
        Some(true) => None,
        None => Some(Finding::warn(
            key,
            format!("Jira does not tell whether the account has the permission {name} in {project}"),
        )),
        Some(false) if name == "TRANSITION_ISSUES" && !moves => Some(Finding::warn(
            key,
            format!(
                "the account lacks the permission {name} in {project}; it needs it only once ticket.transitions are set"
            ),
        )),
        Some(false) => Some(Finding::fail(
            key,
            format!(
                "the account lacks the permission {name} in {project}; have Jira's administrator grant it, or name another \
                 project"
            ),
        )),
    };
    let findings: Vec<_> = NEEDED.iter().filter_map(|name| finding(name)).collect();
    if findings.is_empty() {
        let what = format!("{project} is there, and the account has every permission it needs in it");
        return vec![Finding::ok(key, what)];
    }
    findings
}

/// The create screen, or why it could not be had.
async fn fields(jira: &Jira, route: &Route, workflow: &Workflow) -> (Option<Vec<Field>>, Option<Finding>) {
    let key = route.key_of("fields");
    match jira.create_fields(&route.ticket.project, &workflow.issue_type_id).await {
        Ok(fields) if fields.is_empty() => {
            let what =
                "were not checked: Jira shows the create screen only to accounts that may create issues";
            (None, Some(Finding::warn(key, what)))
        }
        Ok(fields) => (Some(fields), None),
        Err(error) => (None, Some(Finding::fail(key, format!("cannot see the create screen: {error}")))),
    }
}

/// The statuses that decide.
fn statuses(place: &Place, route: &Route) -> Vec<Finding> {
    let settings = &route.ticket;
    let key = |which: &str| route.key_of(&format!("statuses.{which}"));
    match Statuses::resolve(&settings.approved, &settings.rejected, &place.workflow.statuses) {
        Err(problems) => problems
            .iter()
            .map(|(which, problem)| Finding::fail(key(which), unresolved(problem, place)))
            .collect(),
        Ok(statuses) => {
            let rejected = match statuses.rejected.is_empty() {
                true => "none: a ticket can be approved, but not rejected".to_owned(),
                false => named(&statuses.rejected, place),
            };
            vec![
                Finding::ok(key("approved"), named(&statuses.approved, place)),
                Finding::ok(key("rejected"), rejected),
            ]
        }
    }
}

/// The statuses with these ids, by name.
fn named(ids: &BTreeSet<String>, place: &Place) -> String {
    let known = place.workflow.statuses.iter().filter(|status| ids.contains(&status.id));
    let mut names: Vec<_> = known.map(|status| format!("{:?} ({})", status.name, status.id)).collect();
    names.dedup();
    names.join(", ")
}

fn unresolved(problem: &Unresolved, place: &Place) -> String {
    let hint = match problem {
        Unresolved::Unknown { name, .. } => {
            did_you_mean(name, place.workflow.statuses.iter().map(|status| status.name.as_str()))
        }
        Unresolved::Ambiguous { .. } | Unresolved::Both { .. } => String::new(),
    };
    format!("{problem}{hint}")
}

/// Where the bridge moves tickets.
fn transitions(place: &Place, route: &Route) -> Vec<Finding> {
    let configured = targets(route).into_iter().filter_map(|(name, target)| Some((name, target?)));
    configured
        .map(|(name, Target { to, .. })| {
            let key = route.key_of(&format!("transitions.{name}"));
            match policy::resolve(to, &place.workflow.statuses) {
                Ok(_) => Finding::ok(
                    key,
                    format!("{to:?} exists; whether a ticket can get there shows only on a ticket"),
                ),
                Err(problem) => Finding::fail(key, unresolved(&problem, place)),
            }
        })
        .collect()
}

fn targets(route: &Route) -> [(&'static str, Option<&Target>); 6] {
    let to = &route.ticket.transitions;
    [
        ("opened", to.opened.as_ref()),
        ("succeeded", to.succeeded.as_ref()),
        ("failed", to.failed.as_ref()),
        ("superseded", to.superseded.as_ref()),
        ("abandoned", to.abandoned.as_ref()),
        ("bypassed", to.bypassed.as_ref()),
    ]
}
