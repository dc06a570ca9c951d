//! What the bridge may do in a project.

use super::{finding::Finding, project::targets};
use crate::{
    jira::{Jira, NEEDED, Permissions, ProjectInfo},
    policy::{Policy, Route},
};

/// What the bridge may do in the project of a route.
pub(super) async fn permissions(
    jira: &Jira,
    policy: &Policy,
    route: &Route,
    about: Option<ProjectInfo>,
) -> Vec<Finding> {
    let (project, key) = (&route.ticket.project, route.key_of("project"));
    if about.is_some_and(|about| about.archived) {
        let what = format!(
            "{project} is archived, so nothing can be opened in it; put another project there, or restore it"
        );
        return vec![Finding::fail(key, what)];
    }
    match jira.permissions(project).await {
        Err(error) => {
            let what = || format!("cannot see the account's permissions: {error}");
            vec![Finding::failed(key, &error, what)]
        }
        Ok(granted) => {
            let moves = policy.all().any(|route| {
                &route.ticket.project == project && targets(route).iter().any(|(_, to)| to.is_some())
            });
            let how = if about.is_some_and(|about| about.team_managed) {
                "give it a role that has it, in the project's settings under Access"
            } else {
                "have it granted to the account, in the project's settings under Permissions"
            };
            missing(&granted, project, moves, &key, how)
        }
    }
}

/// The name of a permission in Jira's user interface.
fn display_name(name: &str) -> &str {
    match name {
        "BROWSE_PROJECTS" => "Browse Projects",
        "CREATE_ISSUES" => "Create Issues",
        "EDIT_ISSUES" => "Edit Issues",
        "ADD_COMMENTS" => "Add Comments",
        "TRANSITION_ISSUES" => "Transition Issues",
        "LINK_ISSUES" => "Link Issues",
        other => other,
    }
}

/// A finding for each permission that is missing; `moves` if the bridge is to move tickets.
fn missing(granted: &Permissions, project: &str, moves: bool, key: &str, how: &str) -> Vec<Finding> {
    let finding = |name: &str| {
        let is = display_name(name);
        match granted.get(name) {
            Some(true) => None,
            None => Some(Finding::warn(
                key,
                format!("Jira does not say whether the account has the permission {is:?} in {project}"),
            )),
            Some(false) if name == "TRANSITION_ISSUES" && !moves => Some(Finding::warn(
                key,
                format!(
                    "the account lacks the permission {is:?} in {project}; it needs it only once ticket.transitions are set"
                ),
            )),
            Some(false) => Some(Finding::fail(
                key,
                format!("the account lacks the permission {is:?} in {project}; {how}"),
            )),
        }
    };
    let findings: Vec<_> = NEEDED.iter().filter_map(|name| finding(name)).collect();
    if findings.is_empty() {
        let what = format!("{project} exists, and the account has every permission it needs there");
        return vec![Finding::ok(key, what)];
    }
    findings
}
