//! What to change in `[ticket.fields]` if Jira refuses to create a ticket. Jira's own words do not always help: Cloud answers
//! to `priority = "High"` that it wants a string.

use serde_json::Value;

use super::result::Failure;
use crate::{
    jira::{self, Draft, Field, Jira, Kind},
    policy::Route,
    worker::lookups::Lookups,
};

/// The failure for an error of a create. If Jira refused a configured value, the text begins with what to put there. That
/// takes the fields of the create screen.
pub(super) async fn explain(
    lookups: &Lookups,
    jira: &Jira,
    route: &Route,
    draft: &Draft,
    error: jira::Error,
) -> Failure {
    if error.refused_fields().is_none() || draft.fields.is_empty() {
        return error.into();
    }
    let Ok(kind) = jira.kind().await else { return error.into() };
    let Some(fields) = lookups.create_fields(&draft.project, &draft.issue_type).await else {
        return error.into();
    };
    let problems = problems(&fields, route, draft, kind);
    match problems.is_empty() {
        true => error.into(),
        false => Failure::Stuck(format!("{}; {error}", problems.join("; "))),
    }
}

/// What is wrong with each value that Jira does not take: as it is configured or, if only that is wrong, as its templates
/// come out.
fn problems(fields: &[Field], route: &Route, draft: &Draft, kind: Kind) -> Vec<String> {
    let wrong = |(id, rendered): (&String, &Value)| {
        let field = fields.iter().find(|field| field.id == *id)?;
        let configured = serde_json::to_value(route.ticket.fields.get(id)?).ok()?;
        let problem = field.problem(&configured, kind).or_else(|| field.problem(rendered, kind))?;
        Some(format!("{}: {problem}", route.key_of(&format!("fields.{id}"))))
    };
    draft.fields.iter().filter_map(wrong).collect()
}
