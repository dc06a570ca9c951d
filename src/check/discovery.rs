//! Reads the project and issue type of each route from Jira.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    connection::Connected,
    finding::Finding,
    permissions::permissions,
    project::{TicketProject, language_hint},
};
use crate::{
    gate::IssueSnapshot,
    jira::{AvailableTransition, Error, Field, Jira, Lookup, Sample, Workflow},
    policy::{Policy, Route},
    suggest::did_you_mean,
};

/// At most this many existing tickets are read for each project and issue type.
const MAX_SAMPLES: usize = 6;

/// The project and issue type of each route, if Jira shows them.
pub(super) async fn ticket_projects(
    connected: &Connected,
    policy: &Policy,
) -> (Vec<TicketProject>, Vec<Finding>) {
    let (jira, kind) = (&connected.jira, connected.kind);
    let (mut places, mut findings) = (vec![], vec![]);
    let (mut tried, mut projects) = (BTreeSet::new(), BTreeMap::new());
    let language = jira.locale().await.ok().flatten().filter(|locale| !locale.starts_with("en"));
    for route in policy.all() {
        let (project, issue_type) = (&route.ticket.project, &route.ticket.issue_type);
        if !tried.insert((project, issue_type)) {
            continue;
        }
        let found = jira.workflow(project, issue_type).await;
        let project_is_there = match &found {
            Err(error) => matches!(error, Error::NotFound { lookup: Lookup::IssueType, .. }),
            Ok(_) => true,
        };
        if project_is_there && !projects.contains_key(project) {
            let about = jira.project_info(project).await.ok();
            findings.extend(permissions(jira, policy, route, about).await);
            projects.insert(project, about);
        }
        match found {
            Err(error) => findings.extend(not_found(jira, &error, route, language.as_deref()).await),
            Ok(workflow) => {
                let (fields, problems) = creation(jira, route, &workflow).await;
                findings.extend(problems);
                let (seen, samples, problems) = samples(jira, route, &workflow).await;
                findings.extend(problems);
                let team_managed = projects.get(project).copied().flatten().is_some_and(|it| it.team_managed);
                let (project, issue_type, language) = (project.clone(), issue_type.clone(), language.clone());
                places.push(TicketProject {
                    project,
                    issue_type,
                    kind,
                    team_managed,
                    language,
                    workflow,
                    fields,
                    existing_issues: seen,
                    movable_issues: samples,
                });
            }
        }
    }
    (places, findings)
}

/// Why the workflow cannot be read, and which checks are skipped because of that.
async fn not_found(jira: &Jira, error: &Error, route: &Route, language: Option<&str>) -> [Finding; 2] {
    let section = if route.key == "ticket" { "ticket".to_owned() } else { format!("{}.ticket", route.key) };
    let (project, issue_type) = (&route.ticket.project, &route.ticket.issue_type);
    let (found, skipped) = match error.not_found() {
        Some((Lookup::IssueType, candidates)) => {
            let names = candidates.iter().map(|it| it.name.as_str());
            let (hint, language) = (did_you_mean(issue_type, names), language_hint(language));
            (
                Finding::fail(route.key_of("issue_type"), format!("{error}{hint}{language}")),
                "fields, statuses and transitions were not checked: there has to be an issue type first",
            )
        }
        Some((Lookup::Project | Lookup::Role, _)) => {
            let keys = jira.projects(project).await.unwrap_or_default();
            let hint = did_you_mean(project, keys.iter().map(String::as_str));
            let what = format!(
                "Jira shows no project {project:?} to this account; put the key of a project there, as Jira spells it, or \
                 grant the account \"Browse Projects\"{hint}"
            );
            (
                Finding::fail(route.key_of("project"), what),
                "issue type, permissions, fields, statuses and transitions were not checked: Jira has to show the \
                 project first",
            )
        }
        None => (
            Finding::failed(route.key_of("project"), error, || error.to_string()),
            "issue type, permissions, fields, statuses and transitions were not checked: Jira has to answer first",
        ),
    };
    [found, Finding::warn(section, skipped)]
}

/// Whether tickets of the type can be created, and the create screen if it can be read.
async fn creation(jira: &Jira, route: &Route, workflow: &Workflow) -> (Option<Vec<Field>>, Vec<Finding>) {
    let (project, key) = (&route.ticket.project, route.key_of("issue_type"));
    let (id, name) = (&workflow.issue_type_id, &workflow.issue_type_name);
    if workflow.subtask {
        let what = format!(
            "{name:?} is a type of sub-tasks, which need a parent; put another type there: {}",
            workflow.other_types.join(", ")
        );
        return (None, vec![Finding::fail(key, what)]);
    }
    let types = jira.creatable_issue_types(project).await;
    if let Ok(types) = &types
        && !types.is_empty()
        && !types.iter().any(|(theirs, _)| theirs == id)
    {
        let there_is: Vec<&str> = types.iter().map(|(_, name)| name.as_str()).collect();
        let what = format!(
            "no {name:?} can be created in {project}, though there are some; have it added to the issue types of the \
             project, or put another one there: {}",
            there_is.join(", ")
        );
        return (None, vec![Finding::fail(key, what)]);
    }
    let mut findings = vec![Finding::ok(key, format!("{name:?} ({id}) in {project}"))];
    let (fields, problem) = fields(jira, route, workflow).await;
    findings.extend(problem);
    (fields, findings)
}

/// The create screen, or why it cannot be read.
async fn fields(jira: &Jira, route: &Route, workflow: &Workflow) -> (Option<Vec<Field>>, Option<Finding>) {
    let key = route.key_of("fields");
    match jira.create_fields(&route.ticket.project, &workflow.issue_type_id).await {
        Ok(fields) if fields.is_empty() => {
            let what =
                "were not checked: Jira shows the create screen only to accounts that may create issues";
            (None, Some(Finding::warn(key, what)))
        }
        Ok(fields) => (Some(fields), None),
        Err(error) => {
            let what = || format!("cannot see the create screen: {error}");
            (None, Some(Finding::failed(key, &error, what)))
        }
    }
}

/// Existing issues, those of them that can be moved, and a finding for each failed read. Without existing issues, fewer
/// things can be checked.
async fn samples(
    jira: &Jira,
    route: &Route,
    workflow: &Workflow,
) -> (Vec<Sample>, Vec<(Sample, Vec<AvailableTransition>)>, Vec<Finding>) {
    let mut found = match jira.samples(&route.ticket.project, &workflow.issue_type_id).await {
        Ok(found) => found,
        Err(error) => {
            let what =
                || format!("tickets cannot be searched for, as serve does after an answer was lost: {error}");
            return (vec![], vec![], vec![Finding::failed(route.key_of("project"), &error, what)]);
        }
    };
    found.truncate(MAX_SAMPLES);
    let (mut seen, mut missing, mut problems) = (vec![], vec![], vec![]);
    for sample in found {
        match jira.read_whole(&sample.id).await {
            Ok(IssueSnapshot::Issue { .. }) => seen.push(sample),
            Ok(IssueSnapshot::Missing { .. }) => missing.push(sample),
            Err(error) => {
                let what = || {
                    format!(
                        "the history of {} cannot be read, and nothing else proves an approval: {error}",
                        sample.key
                    )
                };
                problems.push(Finding::failed(route.key_of("project"), &error, what));
                break;
            }
        }
    }
    problems.extend(hidden(route, &missing, seen.is_empty()));
    let mut samples = vec![];
    for sample in &seen {
        match jira.available_transitions(&sample.id).await {
            Ok(ways) if ways.is_empty() => {}
            Ok(ways) => samples.push((sample.clone(), ways)),
            Err(error) => {
                let what = || format!("the transitions of {} cannot be read: {error}", sample.key);
                problems.push(Finding::failed(route.key_of("transitions"), &error, what));
                break;
            }
        }
    }
    (seen, samples, problems)
}

/// A finding for issues that the search shows, but that cannot be read themselves.
fn hidden(route: &Route, missing: &[Sample], all: bool) -> Option<Finding> {
    let keys: Vec<&str> = missing.iter().map(|sample| sample.key.as_str()).collect();
    let first = keys.first()?;
    let what = format!(
        "the search shows {}, but Jira says that {first} does not exist: the index is outdated, or the account \
         may not see it; no decision on such a ticket can be read, so have the account see every issue of the project (issue \
         security included), or the index rebuilt",
        keys.join(", ")
    );
    let key = route.key_of("project");
    Some(if all { Finding::fail(key, what) } else { Finding::warn(key, what) })
}
