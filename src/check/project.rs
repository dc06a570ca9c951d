//! PURE: one project and issue type, as Jira reports them, and where the bridge moves its tickets.

use crate::{
    jira::{AvailableTransition, Field, Kind, Sample, Workflow},
    policy::{Route, Target},
};

/// One project and issue type, as Jira reports them.
pub(super) struct TicketProject {
    /// The project's key.
    pub(super) project: String,
    /// The issue type, as the configuration names it.
    pub(super) issue_type: String,
    /// The kind of Jira.
    pub(super) kind: Kind,
    /// Whether the project is team-managed.
    pub(super) team_managed: bool,
    /// The language of the bridge's account, if it is not English.
    pub(super) language: Option<String>,
    /// The statuses of its issues.
    pub(super) workflow: Workflow,
    /// The fields of its create screen; `None` if they could not be read.
    pub(super) fields: Option<Vec<Field>>,
    /// Existing issues.
    pub(super) existing_issues: Vec<Sample>,
    /// Those of them that can be moved, with their available transitions.
    pub(super) movable_issues: Vec<(Sample, Vec<AvailableTransition>)>,
}

impl TicketProject {
    pub(super) fn is_for(&self, route: &Route) -> bool {
        self.project == route.ticket.project && self.issue_type == route.ticket.issue_type
    }
}

/// A hint for accounts with another language than English, in which the bridge looks for names.
pub(super) fn language_hint(language: Option<&str>) -> String {
    language.map_or(String::new(), |language| {
        format!(
            "; the account's language is {language}, names are looked for in English, and ids always work"
        )
    })
}

/// Where the bridge is to move tickets of a route, and when.
pub(super) fn targets(route: &Route) -> [(&'static str, Option<&Target>); 6] {
    let to = &route.ticket.transitions;
    [
        ("opened", to.opened.as_ref()),
        ("succeeded", to.succeeded.as_ref()),
        ("failed", to.failed.as_ref()),
        ("superseded", to.superseded.as_ref()),
        ("abandoned", to.abandoned.as_ref()),
        ("bypassed", to.bypassed.as_ref()),
    ]
}
