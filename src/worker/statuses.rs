//! What the statuses of a ticket mean, according to its workflow in Jira.

use std::{collections::BTreeSet, time::Duration};

use super::lookups::{Lookups, RoundLookups, WORKFLOW_REFRESH, WORKFLOW_TTL};
use crate::{
    gate::{Move, Ticket},
    jira::{self, Workflow},
    policy::{Route, Status, Statuses},
};

/// Why the meaning of a ticket's statuses is unknown.
pub(super) enum UnclearStatuses {
    /// The request to Jira failed.
    Jira(jira::Error),
    /// The configuration does not fit the workflow.
    Config {
        /// The problems, by key.
        why: String,
        /// The ids of the workflow's statuses.
        workflow: BTreeSet<String>,
    },
}

impl From<jira::Error> for UnclearStatuses {
    fn from(error: jira::Error) -> Self {
        Self::Jira(error)
    }
}

/// What the statuses of a ticket mean. `seen` is the ticket's status in the reading.
///
/// `moved` is the deciding move, if known, and how long ago it was made. A workflow that was read before the move
/// does not prove that the move is one of its transitions.
pub(super) async fn of(
    lookups: &mut RoundLookups<'_>,
    route: &Route,
    ticket: &Ticket,
    seen: &Status,
    moved: Option<(&Move, Duration)>,
) -> Result<Statuses, UnclearStatuses> {
    let (project, issue_type) = (ticket.project.as_str(), ticket.issue_type.as_str());
    let max_age = moved.map_or(WORKFLOW_TTL, |(_, ago)| WORKFLOW_TTL.min(ago));
    let mut workflow = lookups.workflow(project, issue_type, max_age).await?;
    let has = |id: &str| workflow.statuses.iter().any(|status| status.id == id);
    if !workflow.statuses.contains(seen) || moved.is_some_and(|(entry, _)| !has(&entry.from)) {
        workflow = lookups.workflow(project, issue_type, WORKFLOW_REFRESH).await?;
    }
    resolve(route, &workflow).map_err(|why| {
        let workflow = workflow.statuses.into_iter().map(|status| status.id).collect();
        UnclearStatuses::Config { why, workflow }
    })
}

/// The statuses that have the route's names in the cached workflow of the ticket's own project and issue type,
/// however old. The route may name another project now.
pub(super) fn known_statuses(lookups: &Lookups, route: &Route, ticket: &Ticket) -> Option<Statuses> {
    let workflow = lookups.known_workflow(&ticket.project, &ticket.issue_type, Duration::MAX)?;
    resolve(route, &workflow).ok()
}

/// The statuses of a route in a workflow.
pub(super) fn resolve(route: &Route, workflow: &Workflow) -> Result<Statuses, String> {
    let settings = &route.ticket;
    let statuses = Statuses::resolve(&settings.approved, &settings.rejected, &workflow.statuses);
    let statuses = statuses.map_err(|problems| {
        let problems = problems
            .iter()
            .map(|(key, problem)| format!("{}: {problem}", route.key_of(&format!("statuses.{key}"))));
        problems.collect::<Vec<_>>().join("; ")
    })?;
    statuses.with_steps(&route.approval.steps, &workflow.statuses).map_err(|problems| {
        let problems = problems.iter().map(|problem| format!("{}: {problem}", route.approval_key("steps")));
        problems.collect::<Vec<_>>().join("; ")
    })
}
