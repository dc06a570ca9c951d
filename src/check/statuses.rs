//! PURE: whether the approved and rejected statuses exist, and leave a status to wait in.

use std::collections::BTreeSet;

use super::{
    finding::Finding,
    project::{TicketProject, language_hint, targets},
};
use crate::{
    jira::{AvailableTransition, Kind, is_status},
    policy::{Meaning, Route, Status, Statuses, Unresolved},
    suggest::did_you_mean,
};

/// Checks the approved and rejected statuses.
pub(super) fn statuses(place: &TicketProject, route: &Route) -> Vec<Finding> {
    let settings = &route.ticket;
    let key = |which: &str| route.key_of(&format!("statuses.{which}"));
    match Statuses::resolve(&settings.approved, &settings.rejected, &place.workflow.statuses) {
        Err(problems) => {
            let mut findings: Vec<_> = problems
                .iter()
                .map(|(which, problem)| Finding::fail(key(which), unresolved(problem, place)))
                .collect();
            if problems.iter().any(|(_, problem)| is_new(problem, place)) {
                findings.push(Finding::warn(route.key_of("statuses"), how_to_add(place)));
            }
            findings
        }
        Ok(statuses) => {
            let rejected = match statuses.rejected.is_empty() {
                true => "none: a ticket can be approved, but not rejected".to_owned(),
                false => names_of(&statuses.rejected, place),
            };
            let mut findings = vec![
                Finding::ok(key("approved"), names_of(&statuses.approved, place)),
                Finding::ok(key("rejected"), rejected),
            ];
            findings
                .extend(no_waiting_status(place, &statuses).map(|what| Finding::fail(key("approved"), what)));
            findings.extend(
                undecided_categories(place, &statuses).map(|what| Finding::warn(key("approved"), what)),
            );
            findings.extend(
                statuses_after_approval(place, route, &statuses)
                    .map(|what| Finding::warn(key("approved"), what)),
            );
            findings
        }
    }
}

/// Whether the status is neither another issue type's nor misspelled, so that it must be added in Jira.
fn is_new(problem: &Unresolved, place: &TicketProject) -> bool {
    match problem {
        Unresolved::Unknown { name, .. } => {
            let workflow = &place.workflow;
            !workflow.elsewhere.iter().any(|(_, status)| is_status(status, name))
                && did_you_mean(name, workflow.statuses.iter().map(|status| status.name.as_str())).is_empty()
        }
        Unresolved::Ambiguous { .. } | Unresolved::Both { .. } => false,
    }
}

/// The statuses with these ids, by name.
fn names_of(ids: &BTreeSet<String>, place: &TicketProject) -> String {
    let known = place.workflow.statuses.iter().filter(|status| ids.contains(&status.id));
    let mut names: Vec<_> = known.map(|status| format!("{:?} ({})", status.name, status.id)).collect();
    names.dedup();
    names.join(", ")
}

/// The text for a configured status that cannot be resolved.
pub(super) fn unresolved(problem: &Unresolved, place: &TicketProject) -> String {
    let workflow = &place.workflow;
    match problem {
        Unresolved::Unknown { name, available } => {
            let (kind, project) = (&workflow.issue_type_name, &place.project);
            let elsewhere = workflow.elsewhere.iter().find(|(_, status)| is_status(status, name));
            if let Some((other, _)) = elsewhere {
                return format!(
                    "{name:?} is a status of {other}, but not of {kind} in {project}, which has {}; put one of these there, \
                     or {other:?} into ticket.issue_type",
                    available.join(", ")
                );
            }
            let hint = did_you_mean(name, workflow.statuses.iter().map(|status| status.name.as_str()));
            let language = language_hint(place.language.as_deref());
            format!(
                "{kind} in {project} has no status {name:?}; choose from: {}{hint}{language}",
                available.join(", ")
            )
        }
        Unresolved::Both { name } => {
            let id = BTreeSet::from([name.clone()]);
            format!(
                "{} cannot mean both approved and rejected; remove it from one of the two",
                names_of(&id, place)
            )
        }
        Unresolved::Ambiguous { name, ids } => {
            format!("several statuses are called {name:?}; put the id of one there: {}", ids.join(" or "))
        }
    }
}

/// Where to click in Jira to add a status. Jira renamed some menus, so the text gives both names.
fn how_to_add(place: &TicketProject) -> String {
    let (project, kind) = (&place.project, &place.workflow.issue_type_name);
    match (place.kind, place.team_managed) {
        (Kind::Cloud, true) => format!(
            "to add one, as an administrator of {project}: Project settings (or Space settings) > Issue types (or Work \
             types) > {kind} > Edit workflow > Status, with a transition from any status to it > Update workflow"
        ),
        (Kind::Cloud, false) => format!(
            "to add one, as an administrator of Jira: {project} > Project settings (or Space settings) > Workflows > the \
             workflow of {kind} > Edit > Add status, with a transition to it > Update workflow (or Publish)"
        ),
        (Kind::DataCenter, _) => format!(
            "to add one, as an administrator of Jira: {project} > Project settings > Workflows > the workflow of {kind} > \
             Edit > Add status, with a transition to it > Publish"
        ),
    }
}

/// The text if no status is left to wait in.
fn no_waiting_status(place: &TicketProject, statuses: &Statuses) -> Option<String> {
    let waits = |status: &Status| statuses.meaning(&status.id) == Meaning::Waiting;
    (!place.workflow.statuses.iter().any(waits)).then(|| {
        format!(
            "every status of {} is approved or rejected, so no ticket could wait for a decision; remove one",
            place.workflow.issue_type_name
        )
    })
}

/// The text if an approved status is in the category "To Do": new tickets begin in such a status, and boards show its
/// tickets among those that nobody has begun.
fn undecided_categories(place: &TicketProject, statuses: &Statuses) -> Option<String> {
    let workflow = &place.workflow;
    let is_new = |id: &&String| workflow.categories.get(*id).is_some_and(|category| category == "new");
    let new: BTreeSet<String> = statuses.approved.iter().filter(is_new).cloned().collect();
    (!new.is_empty()).then(|| {
        let (names, verb) = (names_of(&new, place), if new.len() == 1 { "is" } else { "are" });
        format!(
            "{names} {verb} in the category To Do, so a ticket there looks undecided, and if new tickets begin there, none of \
             them can be approved; put the status there into which an approver moves a ticket"
        )
    })
}

/// The text if tickets are moved on after the approval, into statuses that close the gate again.
fn statuses_after_approval(place: &TicketProject, route: &Route, statuses: &Statuses) -> Option<String> {
    let workflow = &place.workflow;
    let category = |status: &Status| workflow.categories.get(&status.id).map(String::as_str);
    let approved = workflow.statuses.iter().find(|status| {
        statuses.meaning(&status.id) == Meaning::Approved
            && category(status).is_some_and(|category| category != "done" && category != "new")
    })?;
    let ways: Vec<&AvailableTransition> = place
        .movable_issues
        .iter()
        .filter(|(sample, _)| sample.status.id == approved.id)
        .flat_map(|(_, ways)| ways)
        .collect();
    let leads = |status: &Status| ways.is_empty() || ways.iter().any(|way| way.to.id == status.id);
    let ours = targets(route);
    let moved = |status: &Status| ours.iter().any(|(_, to)| to.is_some_and(|it| is_status(status, &it.to)));
    let after = workflow.statuses.iter().filter(|status| {
        statuses.meaning(&status.id) == Meaning::Waiting
            && category(status) != Some("new")
            && leads(status)
            && !moved(status)
    });
    let mut names: Vec<String> = after.map(|status| format!("{:?}", status.name)).collect();
    names.dedup();
    (!names.is_empty()).then(|| {
        format!(
            "{:?} is not where this workflow ends, and a ticket that is moved on closes its gate: of {}, put those here too \
             that come after the approval",
            approved.name,
            names.join(", ")
        )
    })
}
