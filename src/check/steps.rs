//! PURE: whether an approval in several steps can be given: the statuses exist, each leads to the next, and there are enough
//! people.

use std::collections::BTreeSet;

use super::{
    finding::Finding,
    project::{TicketProject, targets},
    statuses::unresolved,
};
use crate::{
    jira::is_status,
    policy::{PersonEntry, Route, Status, Statuses, StepProblem},
};

/// Checks the steps of an approval; nothing if it has only one.
pub(super) fn steps(place: &TicketProject, route: &Route) -> Vec<Finding> {
    let (settings, steps) = (&route.ticket, &route.approval.steps);
    let all = &place.workflow.statuses;
    if steps.is_empty() {
        return Vec::new();
    }
    // If these are wrong, their own findings say so.
    let Ok(statuses) = Statuses::resolve(&settings.approved, &settings.rejected, all) else {
        return Vec::new();
    };
    let key = || route.approval_key("steps");
    let statuses = match statuses.with_steps(steps, all) {
        Ok(statuses) => statuses,
        Err(problems) => {
            let words = |problem: &StepProblem| match problem {
                StepProblem::Unresolved(problem) => unresolved(problem, place),
                StepProblem::NotApproved { .. }
                | StepProblem::Decides { .. }
                | StepProblem::Repeated { .. } => problem.to_string(),
            };
            return problems.iter().map(|problem| Finding::fail(key(), words(problem))).collect();
        }
    };
    let named = |id: &String| all.iter().find(|status| status.id == *id);
    let in_order: Vec<&Status> = statuses.steps.iter().filter_map(named).collect();
    let wrong = no_way(place, &in_order).chain(too_few_people(route)).map(|what| Finding::fail(key(), what));
    let mut findings: Vec<Finding> = wrong.chain(own_moves(route, &in_order)).collect();
    if findings.is_empty() {
        let names: Vec<String> =
            in_order.iter().map(|status| format!("{:?} ({})", status.name, status.id)).collect();
        findings.push(Finding::ok(key(), format!("{}, each by another person", names.join(", then "))));
    }
    findings
}

/// A text for each step that no ticket can get to from the one before it, as far as existing tickets show that.
fn no_way<'a>(place: &'a TicketProject, steps: &'a [&Status]) -> impl Iterator<Item = String> + 'a {
    steps.windows(2).filter_map(|pair| {
        let (from, to) = (pair[0], pair[1]);
        let mut samples = place.movable_issues.iter().filter(|(sample, _)| sample.status.id == from.id);
        let leads = |ways: &[crate::jira::AvailableTransition]| ways.iter().any(|way| way.to.id == to.id);
        let (sample, ways) = samples.next()?;
        let is_blocked = !leads(ways) && !samples.any(|(_, ways)| leads(ways));
        is_blocked.then(|| {
            format!(
                "no transition leads from {:?} ({}) to {:?}, which is the next step; have one added: any status in between takes \
                 the earlier steps back",
                from.name, sample.key, to.name
            )
        })
    })
}

/// The text if fewer people may approve than there are steps. Members of groups and roles are not counted.
fn too_few_people(route: &Route) -> Option<String> {
    let mut named = BTreeSet::new();
    for entry in &route.approval.approvers {
        match PersonEntry::read(entry) {
            PersonEntry::Account(account) => named.insert(account.to_lowercase()),
            PersonEntry::Nothing => false,
            PersonEntry::Group(_) | PersonEntry::Role(_) => return None,
        };
    }
    let steps = route.approval.steps.len();
    (!named.is_empty() && named.len() < steps).then(|| {
        format!(
            "{steps} steps need as many people, and {} has {}; add somebody there",
            route.approval_key("approvers"),
            named.len()
        )
    })
}

/// A finding for each step that the bridge would make itself: its own move is no person's.
fn own_moves(route: &Route, steps: &[&Status]) -> Vec<Finding> {
    // The approved status has a finding of its own.
    let early = steps.split_last().map(|(_, early)| early).unwrap_or_default();
    let moved = targets(route).into_iter().filter_map(|(name, target)| {
        let to = &target?.to;
        let step = early.iter().find(|step| is_status(step, to))?;
        let what = format!(
            "{:?} is a step of {}, and a move of the bridge is no person's; put another status there",
            step.name,
            route.approval_key("steps")
        );
        Some(Finding::fail(route.key_of(&format!("transitions.{name}")), what))
    });
    moved.collect()
}
