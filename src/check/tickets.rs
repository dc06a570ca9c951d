//! Whether tickets can be opened, decided and moved as configured, for the base settings and each route.

use std::collections::BTreeSet;

use super::{
    connection::Connected,
    discovery::ticket_projects,
    existing::existing,
    finding::Finding,
    limits::limits,
    planned::planned,
    project::TicketProject,
    screen::screen,
    service_desk::{request_types, service_desks},
    statuses::statuses,
    steps::steps,
    transitions::transitions,
};
use crate::{
    jira::{Error, Kind, MAX_PER_REQUEST, Sample},
    policy::{Policy, Route},
};

/// Checks each project, issue type and setting once, at the first route that has it.
pub(super) async fn tickets(connected: &Connected, policy: &Policy) -> Vec<Finding> {
    let (places, mut findings) = ticket_projects(connected, policy).await;
    findings.extend(readability(connected, &places).await);
    findings.extend(service_desks(&connected.jira, policy, &places).await);
    findings.extend(request_types(&connected.jira, policy, &places).await);
    let mut checked = BTreeSet::new();
    for route in policy.all() {
        let Some(place) = places.iter().find(|place| place.is_for(route)) else { continue };
        let settings = &route.ticket;
        for (topic, about) in [
            (screen as fn(&TicketProject, &Route) -> Vec<Finding>, format!("{:?}", settings.fields.keys())),
            (statuses, format!("{:?} {:?}", settings.approved, settings.rejected)),
            (transitions, format!("{:?}", settings.transitions)),
            (planned, format!("{:?}", route.approval.planned)),
            (limits, format!("{:?} {:?} {:?}", route.approval.limits, settings.assignee, route.fingerprint)),
            (steps, format!("{:?} {:?} {:?}", route.fingerprint, route.approval.steps, settings.transitions)),
            (existing, format!("{:?} {:?}", settings.use_metadata, settings.transitions.opened)),
        ] {
            if checked.insert((&place.project, &place.issue_type, about)) {
                findings.extend(topic(place, route));
            }
        }
    }
    findings
}

/// Whether tickets can be read with the same requests that `serve` sends.
async fn readability(connected: &Connected, places: &[TicketProject]) -> Option<Finding> {
    let samples: Vec<&Sample> = places.iter().flat_map(|place| &place.existing_issues).collect();
    let ids: Vec<&str> = samples.iter().map(|sample| sample.id.as_str()).take(MAX_PER_REQUEST).collect();
    let how = match connected.kind {
        Kind::Cloud => "POST /rest/api/3/issue/bulkfetch and GET /rest/api/3/issue/…/changelog",
        Kind::DataCenter => "POST /rest/api/2/search",
    };
    match connected.jira.try_reads(&ids).await {
        // Jira answers other requests, so only these requests fail.
        Err(error @ (Error::Refused { .. } | Error::Broken { .. } | Error::Unreadable { .. })) => {
            let what = format!(
                "tickets cannot be read as serve reads them, a hundred at a time: {error}; have the proxy or firewall between \
                 the bridge and Jira let {how} pass"
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
