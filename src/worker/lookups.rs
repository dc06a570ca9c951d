//! What the worker asks Jira beside its tickets: workflows, people, groups and roles. What was said is believed for a while;
//! that it could not be said, for one round.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{context::Context, lock::lock};
use crate::{
    jira::{self, Group, People, Role, Workflow},
    millis::Millis,
};

mod single_flight;

use single_flight::SingleFlight;

/// How long what Jira said of a workflow is believed.
pub(super) const WORKFLOW: Duration = Duration::from_hours(1);
/// A status that is not in the workflow as known, or is called otherwise, makes it be read again, but not more often than this;
/// and before a ticket is opened it is believed for no longer.
pub(super) const WORKFLOW_AGAIN: Duration = Duration::from_secs(60);
/// For how long it is believed whom words name, once they name a person.
pub(super) const NAMED: Duration = Duration::from_mins(10);
/// For how long all else about people is believed: who was made a member, or is one no more, counts soon.
pub(super) const MEMBER: Duration = Duration::from_secs(60);
/// After so many look-ups without an answer nothing more is looked up in a round.
const MOST_SILENT: usize = 3;

/// A project, and one of its issue types or roles.
type InProject = (String, String);

/// The room of look-ups. All that it knows may be lost.
pub(super) struct Lookups {
    context: Arc<Context>,
    cached: Mutex<CachedLookups>,
    /// Workflows, which all tickets that are to be opened in a project need.
    opening: SingleFlight<InProject>,
}

/// What Jira said lately.
#[derive(Default)]
struct CachedLookups {
    /// By the id of the issue type.
    workflows: TtlMap<InProject, Workflow>,
    /// The ids of issue types by what they were asked for by: an id or a name.
    issue_types: TtlMap<InProject, String>,
    people: TtlMap<String, People>,
    /// By the id of the account.
    groups: TtlMap<String, Vec<Group>>,
    /// Whether there is a group of this name.
    has_group: TtlMap<String, bool>,
    roles: TtlMap<InProject, Role>,
}

/// Answers by what was asked, each with when it was asked.
struct TtlMap<K, V>(HashMap<K, (Millis, V)>);

/// The look-ups of one round: what failed once is not asked again in it.
pub(super) struct RoundLookups<'a> {
    lookups: &'a Lookups,
    failed: FailedLookups,
}

/// The look-ups of one round that failed. They would for the next ticket too, and may take as long as `jira.timeout` each time.
#[derive(Default)]
struct FailedLookups {
    errors: HashMap<String, jira::Error>,
    /// How many of them say that Jira does not answer at all.
    silent: usize,
}

impl Lookups {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, cached: Mutex::default(), opening: SingleFlight::default() }
    }

    /// The look-ups of a round that begins.
    pub(super) fn round(&self) -> RoundLookups<'_> {
        RoundLookups { lookups: self, failed: FailedLookups::default() }
    }

    /// The workflow of an issue type in a project, if Jira said so within `believed`, as which type is meant.
    pub(super) fn known_workflow(
        &self,
        project: &str,
        issue_type: &str,
        believed: Duration,
    ) -> Option<Workflow> {
        let (now, known) = (self.context.clock.now(), lock(&self.cached));
        let id = known.issue_types.get(&in_project(project, issue_type), |_| believed, now)?;
        known.workflows.get(&in_project(project, &id), |_| believed, now)
    }

    /// The same, as Jira says now if it did not within `believed`.
    pub(super) async fn workflow(
        &self,
        project: &str,
        issue_type: &str,
        believed: Duration,
    ) -> Result<Workflow, jira::Error> {
        let now = self.context.clock.now();
        if let Some(workflow) = self.known_workflow(project, issue_type, believed) {
            return Ok(workflow);
        }
        let workflow = self.context.jira.workflow(project, issue_type).await?;
        let (mut known, id) = (lock(&self.cached), &workflow.issue_type_id);
        // How long each is believed depends on what it is needed for. An id is always its own.
        for asked in [issue_type, id] {
            known.issue_types.keep(in_project(project, asked), id, |_| Duration::MAX, now);
        }
        known.workflows.keep(in_project(project, id), &workflow, |_| Duration::MAX, now);
        Ok(workflow)
    }

    /// The same for a ticket that is to be opened. All that are to be opened at the same time ask once, also in vain.
    pub(super) async fn workflow_to_open(
        &self,
        project: &str,
        issue_type: &str,
    ) -> Result<Workflow, jira::Error> {
        let asking = self.workflow(project, issue_type, WORKFLOW_AGAIN);
        self.opening.join(in_project(project, issue_type), asking).await
    }
}

impl RoundLookups<'_> {
    /// As [`Lookups::workflow`].
    pub(super) async fn workflow(
        &mut self,
        project: &str,
        issue_type: &str,
        believed: Duration,
    ) -> Result<Workflow, jira::Error> {
        let lookups = self.lookups;
        // What is known holds, also if it could not be asked anew just now.
        if let Some(known) = lookups.known_workflow(project, issue_type, believed) {
            return Ok(known);
        }
        let what = format!("workflow {issue_type} {project}");
        self.failed.or(what, lookups.workflow(project, issue_type, believed)).await
    }

    /// Whom these words name.
    pub(super) async fn people(&mut self, words: &str) -> Result<People, jira::Error> {
        let (key, asking) = (words.to_lowercase(), self.lookups.context.jira.people(words));
        let believed = |people: &People| if people.named.is_empty() { MEMBER } else { NAMED };
        self.ask(|known| &mut known.people, format!("people {key}"), key, believed, asking).await
    }

    /// The groups that the person is in.
    pub(super) async fn groups(&mut self, person_id: &str) -> Result<Vec<Group>, jira::Error> {
        let (key, asking) = (person_id.to_owned(), self.lookups.context.jira.groups(person_id));
        self.ask(|known| &mut known.groups, format!("groups {key}"), key, |_| MEMBER, asking).await
    }

    /// Whether there is a group of this name.
    pub(super) async fn has_group(&mut self, name: &str) -> Result<bool, jira::Error> {
        let (key, asking) = (name.to_lowercase(), self.lookups.context.jira.has_group(name));
        self.ask(|known| &mut known.has_group, format!("group {key}"), key, |_| MEMBER, asking).await
    }

    /// Who has this role in the project.
    pub(super) async fn role(&mut self, project: &str, name: &str) -> Result<Role, jira::Error> {
        let (key, asking) =
            (in_project(project, &name.to_lowercase()), self.lookups.context.jira.role(project, name));
        let what = format!("role {} {project}", key.1);
        self.ask(|known| &mut known.roles, what, key, |_| MEMBER, asking).await
    }

    /// What is known; or what Jira says, unless it did not in this round.
    async fn ask<K: Eq + Hash, V: Clone>(
        &mut self,
        cache: impl Fn(&mut CachedLookups) -> &mut TtlMap<K, V>,
        what: String,
        key: K,
        believed: impl Fn(&V) -> Duration,
        asking: impl Future<Output = Result<V, jira::Error>>,
    ) -> Result<V, jira::Error> {
        let now = self.lookups.context.clock.now();
        let known = cache(&mut lock(&self.lookups.cached)).get(&key, &believed, now);
        if let Some(known) = known {
            return Ok(known);
        }
        let found = self.failed.or(what, asking).await?;
        cache(&mut lock(&self.lookups.cached)).keep(key, &found, believed, now);
        Ok(found)
    }
}

impl<K, V> Default for TtlMap<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash, V: Clone> TtlMap<K, V> {
    /// What was said, if that is still believed.
    fn get(&self, key: &K, believed: impl Fn(&V) -> Duration, now: Millis) -> Option<V> {
        let (asked, value) = self.0.get(key)?;
        (now.apart(*asked) < believed(value)).then(|| value.clone())
    }

    /// Keeps what was said, and forgets what is not believed any more.
    fn keep(&mut self, key: K, value: &V, believed: impl Fn(&V) -> Duration, asked: Millis) {
        self.0.retain(|_, (at, value)| asked.apart(*at) < believed(value));
        self.0.insert(key, (asked, value.clone()));
    }
}

impl FailedLookups {
    /// Asks, unless that was asked in vain in this round.
    async fn or<T>(
        &mut self,
        what: String,
        asking: impl Future<Output = Result<T, jira::Error>>,
    ) -> Result<T, jira::Error> {
        if let Some(error) = self.error(&what) {
            return Err(error.clone());
        }
        let found = asking.await;
        if let Err(error) = &found {
            self.silent += usize::from(!error.is_about_object());
            self.errors.insert(what, error.clone());
        }
        found
    }

    fn error(&self, what: &str) -> Option<&jira::Error> {
        let any = || self.errors.values().find(|error| !error.is_about_object());
        self.errors.get(what).or_else(|| any().filter(|_| self.silent >= MOST_SILENT))
    }
}

fn in_project(project: &str, name: &str) -> InProject {
    (project.to_owned(), name.to_owned())
}
