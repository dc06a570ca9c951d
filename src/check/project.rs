//! PURE: one project and issue type, as Jira has it, and where the bridge moves its tickets.

use crate::{
    jira::{AvailableTransition, Field, Kind, Sample, Workflow},
    policy::{Route, Target},
};

/// One project and issue type, as Jira has it.
pub(super) struct TicketProject {
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
    pub(super) samples: Vec<(Sample, Vec<AvailableTransition>)>,
}

impl TicketProject {
    pub(super) fn is_of(&self, route: &Route) -> bool {
        self.project == route.ticket.project && self.issue_type == route.ticket.issue_type
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
