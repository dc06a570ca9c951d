//! Whether the fields of `approval.planned` hold dates with times.

use super::{finding::Finding, project::TicketProject};
use crate::{
    jira::Shape,
    policy::{PlannedFields, Route},
    suggest::did_you_mean,
};

/// A finding for each of the two fields, as far as the create screen shows them. They may be filled in later.
pub(super) fn planned(place: &TicketProject, route: &Route) -> Vec<Finding> {
    let (Some(PlannedFields { start, end }), Some(fields)) = (&route.approval.planned, &place.fields) else {
        return vec![];
    };
    let judged = [("start", start), ("end", end)].map(|(name, id)| {
        let key = route.approval_key(&format!("planned.{name}"));
        match fields.iter().find(|field| field.id == *id) {
            Some(field) if field.shape == Shape::DateTime => {
                Finding::ok(key, format!("{:?} ({id}) holds a date and a time", field.name))
            }
            Some(field) => {
                let what = format!(
                    "{:?} ({id}) holds no date with a time, so no gate of this route would ever open; put a field of that \
                     kind there",
                    field.name
                );
                Finding::fail(key, what)
            }
            None => {
                let named = fields.iter().find(|field| field.name.to_lowercase() == id.to_lowercase());
                let hint = match named {
                    Some(field) => format!("; {:?} is called {:?} there, put that", field.name, field.id),
                    None => {
                        let times = fields.iter().filter(|field| field.shape == Shape::DateTime);
                        did_you_mean(id, times.map(|field| field.id.as_str()))
                    }
                };
                let what = format!(
                    "{id} is not on the create screen of {} in {}, so it cannot be checked; if tickets never get a value there, \
                     no gate of this route opens{hint}",
                    place.workflow.issue_type_name, place.project
                );
                Finding::warn(key, what)
            }
        }
    });
    judged.into()
}
