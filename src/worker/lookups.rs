//! What the worker asks Jira besides tickets: workflows, people, groups and roles. Answers are cached for a while,
//! failures for one round.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::context::Context;
use crate::{
    jira::{self, Field, Group, People, Role, Workflow},
    lock::lock,
    millis::Millis,
    policy::Person,
};

mod names;
mod single_flight;
#[cfg(test)]
mod tests;

use single_flight::SingleFlight;

/// How long a cached workflow is used.
pub(super) const WORKFLOW_TTL: Duration = Duration::from_hours(1);
/// A status that is not in the cached workflow, or has another name there, makes the bridge read the workflow again,
/// but not more often than this. Before it opens a ticket, the bridge uses no older workflow.
pub(super) const WORKFLOW_REFRESH: Duration = Duration::from_secs(60);
/// How long an answer is used that names a person.
pub(super) const PERSON_TTL: Duration = Duration::from_mins(10);
/// How long other answers about people are used: a change of groups or roles must take effect soon.
pub(super) const MEMBERSHIP_TTL: Duration = Duration::from_secs(60);
/// How long the fields of a create screen are used: they only explain a refusal.
const CREATE_FIELDS_TTL: Duration = Duration::from_mins(5);
/// After this many lookups without an answer, a round makes no further ones.
const MAX_UNANSWERED: usize = 3;

/// A project, and one of its issue types or roles.
type InProject = (String, String);

/// Looks up workflows and people, with a cache. Losing the cache is harmless.
pub(super) struct Lookups {
    context: Arc<Context>,
    cached: Mutex<CachedLookups>,
    /// Lookups of the workflows that tickets about to be opened need.
    opening: SingleFlight<InProject>,
    /// Lookups of create screens.
    create_screens: SingleFlight<InProject>,
    /// Lets one lookup of a person for the texts of tickets run at a time.
    naming: tokio::sync::Mutex<()>,
    /// When such a lookup last failed, by the words of the configuration.
    names_failed: Mutex<HashMap<String, Millis>>,
    /// Assignees with whom Jira refused a ticket in a project, and when.
    refused_assignees: Mutex<HashMap<InProject, Millis>>,
    /// The outbox rows of tickets that are opened without their assignee, because Jira did not say what it refused.
    without_assignee: Mutex<HashSet<i64>>,
}

/// Recent answers of Jira.
#[derive(Default)]
struct CachedLookups {
    /// By the id of the issue type.
    workflows: TtlMap<InProject, Workflow>,
    /// The ids of issue types, by the id or name that was looked up.
    issue_types: TtlMap<InProject, String>,
    people: TtlMap<String, People>,
    /// By account id.
    groups: TtlMap<String, Vec<Group>>,
    /// Whether a group with this name exists.
    has_group: TtlMap<String, bool>,
    roles: TtlMap<InProject, Role>,
    /// The accounts of approvers with their types, by id.
    approvers: TtlMap<String, Person>,
    /// The fields of create screens, by the id of the issue type; none if Jira did not show them.
    create_fields: TtlMap<InProject, Option<Arc<[Field]>>>,
}

/// Answers by key, each with the time of its request.
struct TtlMap<K, V>(HashMap<K, (Millis, V)>);

/// The lookups of one round: one that failed is not repeated in it.
pub(super) struct RoundLookups<'a> {
    lookups: &'a Lookups,
    failed: FailedLookups,
}

/// The failed lookups of one round. They would fail for the next ticket, too, and each may take as long as
/// `jira.timeout`.
#[derive(Default)]
struct FailedLookups {
    errors: HashMap<String, jira::Error>,
    /// How many failed because Jira as a whole does not answer.
    unanswered: usize,
}

impl Lookups {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            cached: Mutex::default(),
            opening: SingleFlight::default(),
            create_screens: SingleFlight::default(),
            naming: tokio::sync::Mutex::default(),
            names_failed: Mutex::default(),
            refused_assignees: Mutex::default(),
            without_assignee: Mutex::default(),
        }
    }

    /// The lookups of a new round.
    pub(super) fn round(&self) -> RoundLookups<'_> {
        RoundLookups { lookups: self, failed: FailedLookups::default() }
    }

    /// The cached answer to whom these words name.
    fn known_people(&self, words: &str) -> Option<People> {
        lock(&self.cached).people.get(&words.to_lowercase(), people_max_age, self.context.clock.now())
    }

    /// The cached workflow of an issue type in a project, if it is younger than `max_age`.
    pub(super) fn known_workflow(
        &self,
        project: &str,
        issue_type: &str,
        max_age: Duration,
    ) -> Option<Workflow> {
        let (now, known) = (self.context.clock.now(), lock(&self.cached));
        let id = known.issue_types.get(&in_project(project, issue_type), |_| max_age, now)?;
        known.workflows.get(&in_project(project, &id), |_| max_age, now)
    }

    /// The same, or else Jira's answer to a new request.
    pub(super) async fn workflow(
        &self,
        project: &str,
        issue_type: &str,
        max_age: Duration,
    ) -> Result<Workflow, jira::Error> {
        let now = self.context.clock.now();
        if let Some(workflow) = self.known_workflow(project, issue_type, max_age) {
            return Ok(workflow);
        }
        let workflow = self.context.jira.workflow(project, issue_type).await?;
        let (mut known, id) = (lock(&self.cached), &workflow.issue_type_id);
        // Cached without a limit: each caller says how old an answer it accepts. An id also names itself.
        for asked in [issue_type, id] {
            known.issue_types.keep(in_project(project, asked), id, |_| Duration::MAX, now);
        }
        known.workflows.keep(in_project(project, id), &workflow, |_| Duration::MAX, now);
        Ok(workflow)
    }

    /// The same for a ticket that is about to be opened. Tickets that are opened at the same time share one request,
    /// even if it fails.
    pub(super) async fn workflow_to_open(
        &self,
        project: &str,
        issue_type: &str,
    ) -> Result<Workflow, jira::Error> {
        let asking = self.workflow(project, issue_type, WORKFLOW_REFRESH);
        self.opening.join(in_project(project, issue_type), asking).await
    }

    /// The fields of the create screen of an issue type, given by id, if Jira shows them. Refused tickets share one request.
    pub(super) async fn create_fields(&self, project: &str, issue_type: &str) -> Option<Arc<[Field]>> {
        let key = in_project(project, issue_type);
        let asking = async {
            let now = self.context.clock.now();
            let known = lock(&self.cached).create_fields.get(&key, |_| CREATE_FIELDS_TTL, now);
            if let Some(known) = known {
                return Ok(known);
            }
            let found = match self.context.jira.create_fields(project, issue_type).await {
                Ok(fields) => Some(Arc::from(fields)),
                Err(error) if error.is_refusal() => None,
                // Jira does not say whether it would show them, so this is not kept.
                Err(error) => return Err(error),
            };
            lock(&self.cached).create_fields.keep(key.clone(), &found, |_| CREATE_FIELDS_TTL, now);
            Ok(found)
        };
        self.create_screens.join(key.clone(), asking).await.ok().flatten()
    }
}

impl RoundLookups<'_> {
    /// As [`Lookups::workflow`].
    pub(super) async fn workflow(
        &mut self,
        project: &str,
        issue_type: &str,
        max_age: Duration,
    ) -> Result<Workflow, jira::Error> {
        let lookups = self.lookups;
        // A cached answer counts, even if a new request failed in this round.
        if let Some(known) = lookups.known_workflow(project, issue_type, max_age) {
            return Ok(known);
        }
        let what = format!("workflow {issue_type} {project}");
        self.failed.ask_unless_failed(what, lookups.workflow(project, issue_type, max_age)).await
    }

    /// The people whom these words name.
    pub(super) async fn people(&mut self, words: &str) -> Result<People, jira::Error> {
        let (key, asking) = (words.to_lowercase(), self.lookups.context.jira.people(words));
        self.ask(|known| &mut known.people, format!("people {key}"), key, people_max_age, asking).await
    }

    /// This approver with the type of the account.
    pub(super) async fn approver(&mut self, person: &Person) -> Result<Person, jira::Error> {
        let (key, asking) = (person.id.clone(), self.lookups.context.jira.approver(person));
        self.ask(|known| &mut known.approvers, format!("approver {key}"), key, |_| PERSON_TTL, asking).await
    }

    /// The groups of this person.
    pub(super) async fn groups(&mut self, person_id: &str) -> Result<Vec<Group>, jira::Error> {
        let (key, asking) = (person_id.to_owned(), self.lookups.context.jira.groups(person_id));
        self.ask(|known| &mut known.groups, format!("groups {key}"), key, |_| MEMBERSHIP_TTL, asking).await
    }

    /// Whether a group with this name exists.
    pub(super) async fn has_group(&mut self, name: &str) -> Result<bool, jira::Error> {
        let (key, asking) = (name.to_lowercase(), self.lookups.context.jira.has_group(name));
        self.ask(|known| &mut known.has_group, format!("group {key}"), key, |_| MEMBERSHIP_TTL, asking).await
    }

    /// The holders of this role in the project.
    pub(super) async fn role(&mut self, project: &str, name: &str) -> Result<Role, jira::Error> {
        let (key, asking) =
            (in_project(project, &name.to_lowercase()), self.lookups.context.jira.role(project, name));
        let what = format!("role {} {project}", key.1);
        self.ask(|known| &mut known.roles, what, key, |_| MEMBERSHIP_TTL, asking).await
    }

    /// The cached answer, or else Jira's, unless this lookup failed in the round.
    async fn ask<K: Eq + Hash, V: Clone>(
        &mut self,
        cache: impl Fn(&mut CachedLookups) -> &mut TtlMap<K, V>,
        what: String,
        key: K,
        max_age: impl Fn(&V) -> Duration,
        asking: impl Future<Output = Result<V, jira::Error>>,
    ) -> Result<V, jira::Error> {
        let now = self.lookups.context.clock.now();
        let known = cache(&mut lock(&self.lookups.cached)).get(&key, &max_age, now);
        if let Some(known) = known {
            return Ok(known);
        }
        let found = self.failed.ask_unless_failed(what, asking).await?;
        cache(&mut lock(&self.lookups.cached)).keep(key, &found, max_age, now);
        Ok(found)
    }
}

impl<K, V> Default for TtlMap<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash, V: Clone> TtlMap<K, V> {
    /// The cached answer, if it is young enough.
    fn get(&self, key: &K, max_age: impl Fn(&V) -> Duration, now: Millis) -> Option<V> {
        let (asked, value) = self.0.get(key)?;
        (now.abs_diff(*asked) < max_age(value)).then(|| value.clone())
    }

    /// Caches an answer, and drops those that are too old.
    fn keep(&mut self, key: K, value: &V, max_age: impl Fn(&V) -> Duration, asked: Millis) {
        self.0.retain(|_, (at, value)| asked.abs_diff(*at) < max_age(value));
        self.0.insert(key, (asked, value.clone()));
    }
}

impl FailedLookups {
    /// Asks, unless this lookup failed in the round, or too many got no answer.
    async fn ask_unless_failed<T>(
        &mut self,
        what: String,
        asking: impl Future<Output = Result<T, jira::Error>>,
    ) -> Result<T, jira::Error> {
        if let Some(error) = self.error(&what) {
            return Err(error.clone());
        }
        let found = asking.await;
        if let Err(error) = &found {
            self.unanswered += usize::from(!error.is_about_object());
            self.errors.insert(what, error.clone());
        }
        found
    }

    fn error(&self, what: &str) -> Option<&jira::Error> {
        let any = || self.errors.values().find(|error| !error.is_about_object());
        self.errors.get(what).or_else(|| any().filter(|_| self.unanswered >= MAX_UNANSWERED))
    }
}

/// How long an answer about people is used.
fn people_max_age(people: &People) -> Duration {
    if people.named.is_empty() { MEMBERSHIP_TTL } else { PERSON_TTL }
}

fn in_project(project: &str, name: &str) -> InProject {
    (project.to_owned(), name.to_owned())
}
