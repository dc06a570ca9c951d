//! What the statuses of a ticket mean, by the workflow that Jira has for it.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use super::{InVain, Worker};
use crate::{
    gate::{Move, Status, Ticket},
    jira::{self, Workflow},
    millis::Millis,
    policy::{Route, Statuses},
};

/// How long what Jira said of a workflow is believed.
pub(super) const WORKFLOW: Duration = Duration::from_secs(3600);
/// A status that is not in the workflow as known, or is called otherwise, makes it be read again, but not more often than this;
/// and before a ticket is opened it is believed for no longer.
pub(super) const WORKFLOW_AGAIN: Duration = Duration::from_secs(60);

/// Why the statuses of a ticket cannot be told.
pub(super) enum Unclear {
    /// Jira did not say.
    Jira(jira::Error),
    /// The configuration does not fit the workflow.
    Config {
        /// The problems, by key.
        why: String,
        /// The ids of the workflow's statuses.
        workflow: BTreeSet<String>,
    },
}

impl Worker {
    /// The workflow of an issue type in a project, as Jira said lately.
    pub(super) async fn workflow(
        &self,
        project: &str,
        issue_type: &str,
        believed: Duration,
    ) -> Result<Workflow, jira::Error> {
        let now = self.clock.now();
        if let Some(workflow) = self.memory().workflows.get(project, issue_type, believed, now) {
            return Ok(workflow);
        }
        let workflow = self.jira.workflow(project, issue_type).await?;
        self.memory().workflows.keep(project, issue_type, &workflow, now);
        Ok(workflow)
    }

    /// What the statuses of a ticket mean. `seen` is the status it was seen in.
    ///
    /// `moved` is the move that decided, if that is known, and how long ago it was made. What Jira said of the workflow before that
    /// does not tell whether the move was a transition of it.
    pub(super) async fn statuses(
        &self,
        route: &Route,
        ticket: &Ticket,
        seen: &Status,
        moved: Option<(&Move, Duration)>,
        in_vain: &InVain,
    ) -> Result<Statuses, Unclear> {
        let (project, issue_type) = (ticket.project.as_str(), ticket.issue_type.as_str());
        let read = async |believed| {
            // Whoever could not be told just now keeps nobody from what is known.
            let known = self.memory().workflows.get(project, issue_type, believed, self.clock.now());
            if let Some(known) = known {
                return Ok(known);
            }
            let what = format!("workflow {issue_type} {project}");
            in_vain.look_up(what, self.workflow(project, issue_type, believed)).await.map_err(Unclear::Jira)
        };
        let since = moved.map_or(WORKFLOW, |(_, ago)| WORKFLOW.min(ago));
        let mut workflow = read(since).await?;
        let has = |id: &str| workflow.statuses.iter().any(|status| status.id == id);
        if !workflow.statuses.contains(seen) || moved.is_some_and(|(entry, _)| !has(&entry.from)) {
            workflow = read(WORKFLOW_AGAIN).await?;
        }
        resolve(route, &workflow).map_err(|why| {
            let workflow = workflow.statuses.into_iter().map(|status| status.id).collect();
            Unclear::Config { why, workflow }
        })
    }
}

impl Worker {
    /// The statuses that bear the names of a route in the workflow of a ticket's home as it was read last, if it was. The route may
    /// lead elsewhere by now.
    pub(super) fn known_statuses(&self, route: &Route, ticket: &Ticket) -> Option<Statuses> {
        let (project, issue_type) = (&ticket.project, &ticket.issue_type);
        let workflow = self.memory().workflows.get(project, issue_type, Duration::MAX, self.clock.now())?;
        resolve(route, &workflow).ok()
    }
}

/// A project and one of its issue types.
type Place = (String, String);

/// What Jira said of workflows, and when it was asked.
#[derive(Default)]
pub(super) struct Workflows {
    /// By the id of the issue type.
    known: HashMap<Place, (Millis, Workflow)>,
    /// The ids of issue types by what they were asked for by: an id or a name.
    ids: HashMap<Place, (Millis, String)>,
}

impl Workflows {
    /// A workflow that is believed for so long, as is which type is meant.
    fn get(&self, project: &str, issue_type: &str, believed: Duration, now: Millis) -> Option<Workflow> {
        let is_believed = |at: Millis| now.apart(at) < believed;
        let (at, id) = self.ids.get(&(project.to_owned(), issue_type.to_owned()))?;
        let (read, workflow) = self.known.get(&(project.to_owned(), id.clone()))?;
        (is_believed(*at) && is_believed(*read)).then(|| workflow.clone())
    }

    fn keep(&mut self, project: &str, issue_type: &str, workflow: &Workflow, now: Millis) {
        let id = &workflow.issue_type_id;
        // An id is always its own.
        for asked in [issue_type, id] {
            self.ids.insert((project.to_owned(), asked.to_owned()), (now, id.clone()));
        }
        self.known.insert((project.to_owned(), id.clone()), (now, workflow.clone()));
    }
}

/// The statuses of a route in a workflow.
pub(super) fn resolve(route: &Route, workflow: &Workflow) -> Result<Statuses, String> {
    let settings = &route.ticket;
    Statuses::resolve(&settings.approved, &settings.rejected, &workflow.statuses).map_err(|problems| {
        let problems = problems
            .iter()
            .map(|(key, problem)| format!("{}: {problem}", route.key_of(&format!("statuses.{key}"))));
        problems.collect::<Vec<_>>().join("; ")
    })
}
