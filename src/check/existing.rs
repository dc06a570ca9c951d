//! PURE: what `ticket.use` does.

use super::{finding::Finding, project::TicketProject};
use crate::policy::Route;

/// Which tickets the gates of this route take. What a key names is known only when a question sends it.
pub(super) fn existing(place: &TicketProject, route: &Route) -> Vec<Finding> {
    let Some(name) = &route.ticket.use_metadata else { return vec![] };
    let (project, kind, key) = (&place.project, &place.workflow.issue_type_name, route.key_of("use"));
    let mut findings = vec![Finding::ok(
        &key,
        format!(
            "the ticket that a hook names in metadata.{name} is used, if it is of type {kind} in {project}; without it a new one"
        ),
    )];
    if route.ticket.transitions.opened.is_some() {
        let what = format!(
            "{} moves new tickets only; a ticket that a hook names stays where it is, so its approval has to begin there",
            route.key_of("transitions.opened")
        );
        findings.push(Finding::warn(key, what));
    }
    findings
}
