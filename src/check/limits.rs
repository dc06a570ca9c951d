//! PURE: whether reminders reach anybody, and whether a ticket that nobody decides in time can be rejected.

use super::{finding::Finding, project::TicketProject};
use crate::policy::{Meaning, PersonEntry, Route, Statuses};

/// Checks the time limits of a decision; nothing if there are none.
pub(super) fn limits(place: &TicketProject, route: &Route) -> Vec<Finding> {
    let limits = &route.approval.limits;
    let mut findings = Vec::new();
    if !limits.remind_after.is_empty() && !reaches_people(route) {
        let what = format!(
            "a reminder mentions nobody: {} is not set, and {} names no account; set one of them",
            route.key_of("assignee"),
            route.approval_key("approvers")
        );
        findings.push(Finding::warn(route.approval_key("remind_after"), what));
    }
    if limits.reject_after().is_some() {
        let why = unrejectable(place, route);
        findings.extend(why.map(|what| Finding::warn(route.approval_key("on_timeout"), what)));
    }
    findings
}

fn reaches_people(route: &Route) -> bool {
    let is_account = |entry: &String| matches!(PersonEntry::read(entry), PersonEntry::Account(_));
    route.ticket.assignee.is_some() || route.approval.approvers.iter().any(is_account)
}

/// The text if a ticket that waits cannot be moved to a rejected status, as far as existing tickets show it.
fn unrejectable(place: &TicketProject, route: &Route) -> Option<String> {
    let settings = &route.ticket;
    if settings.rejected.is_empty() {
        return Some(format!(
            "a gate that nobody decides in time is rejected, but its ticket stays where it is, because {} is empty",
            route.key_of("statuses.rejected")
        ));
    }
    // If these are wrong, their own findings say so.
    let all = &place.workflow.statuses;
    let statuses = Statuses::resolve(&settings.approved, &settings.rejected, all).ok()?;
    let waiting =
        place.movable_issues.iter().filter(|(it, _)| statuses.meaning(&it.status.id) == Meaning::Waiting);
    let mut stuck = None;
    for (sample, ways) in waiting {
        if ways.iter().any(|way| statuses.rejected.contains(&way.to.id)) {
            return None;
        }
        stuck.get_or_insert(sample);
    }
    stuck.map(|sample| {
        format!(
            "a gate that nobody decides in time is rejected, but its ticket stays where it is: no transition leads from {:?} ({}) to a \
             status of {}; have one added",
            sample.status.name,
            sample.key,
            route.key_of("statuses.rejected")
        )
    })
}
