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
