//! Whether tickets can be opened, decided and moved as configured: the base settings and each route.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Finding,
    connection::Connected,
    did_you_mean,
    screen::screen,
    workflow::{statuses, targets, transitions},
};
use crate::{
    gate::Sighting,
    jira::{About, Error, Field, Jira, Kind, NEEDED, Permissions, Sample, Thing, Way, Workflow},
    policy::{Policy, Route},
};

/// So many tickets are read at once.
const A_REQUEST: usize = 100;
/// Of so many tickets it is asked where they can be moved.
const MOST_SAMPLES: usize = 6;

/// One project and issue type, as Jira has it.
pub(super) struct Place {
    /// The project's key.
    pub(super) project: String,
    /// As the configuration has it.
    pub(super) issue_type: String,
    /// Which kind of Jira it is in.
    pub(super) kind: Kind,
    /// Whether its team looks after it by itself.
    pub(super) team_managed: bool,
    /// The language of our account, where it is not English.
    pub(super) language: Option<String>,
    /// The statuses of its issues.
    pub(super) workflow: Workflow,
    /// The fields of its create screen; none if they could not be had.
    pub(super) fields: Option<Vec<Field>>,
    /// Issues that are there already.
    pub(super) seen: Vec<Sample>,
    /// Those of them that can go somewhere, with the ways they can go.
    pub(super) samples: Vec<(Sample, Vec<Way>)>,
}

/// Each project, issue type and setting is looked at once, at the first route that has it.
pub(super) async fn tickets(connected: &Connected, policy: &Policy) -> Vec<Finding> {
    let (places, mut findings) = places(connected, policy).await;
    findings.extend(reads(connected, &places).await);
    let mut told = BTreeSet::new();
    for route in policy.all() {
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

/// Whether tickets can be read in the very ways in which `serve` reads them.
async fn reads(connected: &Connected, places: &[Place]) -> Option<Finding> {
    let samples: Vec<&Sample> = places.iter().flat_map(|place| &place.seen).collect();
    let ids: Vec<&str> = samples.iter().map(|sample| sample.id.as_str()).take(A_REQUEST).collect();
    let how = match connected.kind {
        Kind::Cloud => "POST /rest/api/3/issue/bulkfetch and GET /rest/api/3/issue/…/changelog",
        Kind::DataCenter => "POST /rest/api/2/search",
    };
    match connected.jira.try_reads(&ids).await {
        // Other requests are answered, so this is about these alone.
        Err(error @ (Error::Refused { .. } | Error::Broken { .. } | Error::Unreadable { .. })) => {
            let what = format!(
                "tickets cannot be read as serve reads them, a hundred at a time: {error}; have what is between the bridge \
                 and Jira let {how} pass"
            );
            Some(Finding::fail("jira.url", what))
        }
        Err(error) => Some(Finding::failed("jira.url", &error, || error.to_string())),
        Ok(shown) => {
            let missing = samples
                .iter()
                .find(|sample| ids.contains(&sample.id.as_str()) && !shown.contains(&sample.id))?;
            let what = format!(
                "{} can be read by itself, but is missing where tickets are read a hundred at a time ({how}); an approval of \
                 such a ticket is seen late",
                missing.key
            );
            Some(Finding::warn("jira.url", what))
        }
    }
}

impl Place {
    fn is_of(&self, route: &Route) -> bool {
        self.project == route.ticket.project && self.issue_type == route.ticket.issue_type
    }
}

/// The places of all routes, as far as they are there.
async fn places(connected: &Connected, policy: &Policy) -> (Vec<Place>, Vec<Finding>) {
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
            Err(error) => matches!(error, Error::NotFound { thing: Thing::IssueType, .. }),
            Ok(_) => true,
        };
        if project_is_there && !projects.contains_key(project) {
            let about = jira.about(project).await.ok();
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
                places.push(Place {
                    project,
                    issue_type,
                    kind,
                    team_managed,
                    language,
                    workflow,
                    fields,
                    seen,
                    samples,
                });
            }
        }
    }
    (places, findings)
}

/// Why there is no workflow, and what could not be looked at therefore.
async fn not_found(jira: &Jira, error: &Error, route: &Route, language: Option<&str>) -> [Finding; 2] {
    let section = if route.key == "ticket" { "ticket".to_owned() } else { format!("{}.ticket", route.key) };
    let (project, issue_type) = (&route.ticket.project, &route.ticket.issue_type);
    let (found, left_out) = match error {
        Error::NotFound { thing: Thing::IssueType, candidates, .. } => {
            let names = candidates.iter().map(|it| it.name.as_str());
            let (hint, language) = (did_you_mean(issue_type, names), in_english(language));
            (
                Finding::fail(route.key_of("issue_type"), format!("{error}{hint}{language}")),
                "fields, statuses and transitions were not checked: there has to be an issue type first",
            )
        }
        Error::NotFound { .. } => {
            let keys = jira.projects(project).await.unwrap_or_default();
            let hint = did_you_mean(project, keys.iter().map(String::as_str));
            let what = format!(
                "Jira shows no project {project:?} to this account; put the key of a project there, as Jira spells it, or \
                 have the account granted \"Browse Projects\"{hint}"
            );
            (
                Finding::fail(route.key_of("project"), what),
                "issue type, permissions, fields, statuses and transitions were not checked: Jira has to show the \
                 project first",
            )
        }
        Error::Token
        | Error::NotSent { .. }
        | Error::NoAnswer { .. }
        | Error::Broken { .. }
        | Error::Throttled { .. }
        | Error::Unauthorized { .. }
        | Error::Refused { .. }
        | Error::Redirected { .. }
        | Error::Unreadable { .. }
        | Error::Beside { .. } => (
            Finding::failed(route.key_of("project"), error, || error.to_string()),
            "issue type, permissions, fields, statuses and transitions were not checked: Jira has to answer first",
        ),
    };
    [found, Finding::warn(section, left_out)]
}

/// What the bridge may do in the project of a route.
async fn permissions(jira: &Jira, policy: &Policy, route: &Route, about: Option<About>) -> Vec<Finding> {
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
        Ok(told) => {
            let moves = policy.all().any(|route| {
                &route.ticket.project == project && targets(route).iter().any(|(_, to)| to.is_some())
            });
            let how = if about.is_some_and(|about| about.team_managed) {
                "give it a role that has it, in the project's settings under Access"
            } else {
                "have it granted to the account, in the project's settings under Permissions"
            };
            missing(&told, project, moves, &key, how)
        }
    }
}

/// What people call a permission.
fn called(name: &str) -> &str {
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
fn missing(told: &Permissions, project: &str, moves: bool, key: &str, how: &str) -> Vec<Finding> {
    let finding = |name: &str| {
        let is = called(name);
        match told.get(name) {
            Some(true) => None,
            None => Some(Finding::warn(
                key,
                format!("Jira does not tell whether the account has the permission {is:?} in {project}"),
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
        let what = format!("{project} is there, and the account has every permission it needs in it");
        return vec![Finding::ok(key, what)];
    }
    findings
}

/// Whether tickets of the type can be created, and the create screen if it could be had.
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
    let types = jira.creatable(project).await;
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
        Err(error) => {
            let what = || format!("cannot see the create screen: {error}");
            (None, Some(Finding::failed(key, &error, what)))
        }
    }
}

/// Where the account's language is another than that in which names are looked for.
pub(super) fn in_english(language: Option<&str>) -> String {
    language.map_or(String::new(), |language| {
        format!(
            "; the account's language is {language}, names are looked for in English, and ids always work"
        )
    })
}

/// Issues that are there already, those of them that can be moved, and what cannot be read of them. That there is none
/// leaves only things unsaid.
async fn samples(
    jira: &Jira,
    route: &Route,
    workflow: &Workflow,
) -> (Vec<Sample>, Vec<(Sample, Vec<Way>)>, Vec<Finding>) {
    let mut found = match jira.samples(&route.ticket.project, &workflow.issue_type_id).await {
        Ok(found) => found,
        Err(error) => {
            let what =
                || format!("tickets cannot be searched for, as serve does after an answer was lost: {error}");
            return (vec![], vec![], vec![Finding::failed(route.key_of("project"), &error, what)]);
        }
    };
    found.truncate(MOST_SAMPLES);
    let (mut seen, mut missing, mut problems) = (vec![], vec![], vec![]);
    for sample in found {
        match jira.look_closely(&sample.id).await {
            Ok(Sighting::Issue { .. }) => seen.push(sample),
            Ok(Sighting::Missing { .. }) => missing.push(sample),
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
        match jira.ways(&sample.id).await {
            Ok(ways) if ways.is_empty() => {}
            Ok(ways) => samples.push((sample.clone(), ways)),
            Err(error) => {
                let what = || format!("it cannot be read where {} can be moved: {error}", sample.key);
                problems.push(Finding::failed(route.key_of("transitions"), &error, what));
                break;
            }
        }
    }
    (seen, samples, problems)
}

/// What the search shows, and the issue itself does not.
fn hidden(route: &Route, missing: &[Sample], all: bool) -> Option<Finding> {
    let keys: Vec<&str> = missing.iter().map(|sample| sample.key.as_str()).collect();
    let first = keys.first()?;
    let what = format!(
        "the search shows {}, and asked for {first} itself Jira says that it is not there: its index is old, or the account \
         may not see it; no decision on such a ticket can be read, so have the account see every issue of the project (issue \
         security included), or the index rebuilt",
        keys.join(", ")
    );
    let key = route.key_of("project");
    Some(if all { Finding::fail(key, what) } else { Finding::warn(key, what) })
}
