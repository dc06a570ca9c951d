//! Whether the approvals of Jira Service Management can decide, where `approval.source` asks for that.

use std::collections::BTreeSet;

use super::{finding::Finding, project::TicketProject};
use crate::{
    jira::Jira,
    policy::{ApprovalSource, Policy},
};

/// A finding for each project whose approvals decide.
pub(super) async fn service_desks(jira: &Jira, policy: &Policy, places: &[TicketProject]) -> Vec<Finding> {
    let (mut checked, mut findings) = (BTreeSet::new(), vec![]);
    for route in policy.all().filter(|route| route.approval.source == ApprovalSource::Jsm) {
        let (project, key) = (&route.ticket.project, route.approval_key("source"));
        let Some(place) = places.iter().find(|place| place.is_for(route)) else { continue };
        if !checked.insert(project) {
            continue;
        }
        findings.push(match jira.service_desk(project).await {
            Err(error) => {
                let what = || format!("the service desks cannot be read, so no approval could be: {error}");
                Finding::failed(&key, &error, what)
            }
            Ok(None) => Finding::fail(
                &key,
                format!(
                    "{project} is no project of Jira Service Management, or the account is no agent in it, so its approvals cannot be \
                     read; make the account an agent, or put \"status\" there"
                ),
            ),
            Ok(Some(_)) => readable(jira, place, &key).await,
        });
    }
    findings
}

/// A finding for each request type with which tickets are opened.
pub(super) async fn request_types(jira: &Jira, policy: &Policy, places: &[TicketProject]) -> Vec<Finding> {
    let (mut checked, mut findings) = (BTreeSet::new(), vec![]);
    for route in policy.all() {
        let Some(id) = &route.ticket.request_type else { continue };
        let Some(place) = places.iter().find(|place| place.is_for(route)) else { continue };
        if checked.insert((&route.ticket.project, &route.ticket.issue_type, id)) {
            findings.push(request_type(jira, place, id, &route.key_of("request_type")).await);
            if route.ticket.assignee.is_some() {
                let what = "does nothing, because a request is opened without an assignee; set it by an automation rule in Jira";
                findings.push(Finding::warn(route.key_of("assignee"), what));
            }
        }
    }
    findings
}

async fn request_type(jira: &Jira, place: &TicketProject, id: &str, key: &str) -> Finding {
    let (project, workflow) = (&place.project, &place.workflow);
    let desk = match jira.service_desk(project).await {
        Err(error) => {
            return Finding::failed(key, &error, || format!("the service desks cannot be read: {error}"));
        }
        Ok(None) => {
            let what = format!(
                "{project} is no project of Jira Service Management, or the account is no agent in it, so no request can be opened"
            );
            return Finding::fail(key, what);
        }
        Ok(Some(desk)) => desk,
    };
    match jira.request_type(&desk, id).await {
        Err(error) => Finding::failed(key, &error, || format!("request type {id} cannot be read: {error}")),
        Ok(None) => Finding::fail(
            key,
            format!(
                "{project} has no request type with the number {id}; take it from the address of its form in the portal"
            ),
        ),
        Ok(Some((name, issue_type))) if issue_type != workflow.issue_type_id => Finding::fail(
            key,
            format!(
                "request type {name:?} opens tickets of another issue type than {}, so no gate could open; correct ticket.issue_type or \
                 the request type",
                workflow.issue_type_name
            ),
        ),
        Ok(Some((name, _))) => {
            Finding::ok(key, format!("tickets are opened in {project} as requests {name:?}"))
        }
    }
}

/// Whether the approvals of an existing issue can be read.
async fn readable(jira: &Jira, place: &TicketProject, key: &str) -> Finding {
    let project = &place.project;
    let Some(sample) = place.existing_issues.first() else {
        let what = format!(
            "{project} is a service desk; whether its approvals can be read was not checked, because it has no {} yet",
            place.workflow.issue_type_name
        );
        return Finding::warn(key, what);
    };
    match jira.approvals(&sample.id).await {
        Ok(_) => Finding::ok(
            key,
            format!("{project} is a service desk, and the approvals of {} can be read", sample.key),
        ),
        Err(error) => {
            let what = || {
                format!(
                    "{project} is a service desk, but the approvals of {} cannot be read: {error}; make the account an agent of it",
                    sample.key
                )
            };
            Finding::failed(key, &error, what)
        }
    }
}
