//! PURE: whether tickets can reach the statuses into which the bridge moves them.

use super::{
    finding::Finding,
    project::{TicketProject, targets},
    statuses::unresolved,
};
use crate::{
    jira::{AvailableTransition, Field, Kind},
    policy::{self, Meaning, Route, Statuses, Target},
};

/// Checks each configured transition.
pub(super) fn transitions(place: &TicketProject, route: &Route) -> Vec<Finding> {
    let settings = &route.ticket;
    let statuses = Statuses::resolve(&settings.approved, &settings.rejected, &place.workflow.statuses)
        .unwrap_or_default();
    let configured = targets(route).into_iter().filter_map(|(name, target)| Some((name, target?)));
    configured
        .map(|(name, target)| {
            let key = route.key_of(&format!("transitions.{name}"));
            match policy::resolve(&target.to, &place.workflow.statuses) {
                Ok(id) => reachability(place, &statuses, (name, target), &id, key),
                Err(problem) => Finding::fail(key, unresolved(&problem, place)),
            }
        })
        .collect()
}

/// Whether tickets can reach the status, as far as existing tickets show it.
fn reachability(
    place: &TicketProject,
    statuses: &Statuses,
    (name, target): (&str, &Target),
    id: &str,
    key: String,
) -> Finding {
    let to = &target.to;
    if statuses.meaning(id) == Meaning::Approved {
        let what = format!(
            "{to:?} is an approved status: the bridge approves nothing, and people would take the ticket for approved; put \
             another status there"
        );
        return Finding::fail(key, what);
    }
    let begins = |meaning: Meaning| match name {
        "opened" | "bypassed" => meaning == Meaning::Waiting,
        "succeeded" => meaning == Meaning::Approved,
        _ => meaning != Meaning::Rejected,
    };
    // No ticket starts in a finished status that is neither approved nor rejected.
    let finished = |status: &str| {
        statuses.meaning(status) == Meaning::Waiting
            && place.workflow.categories.get(status).is_some_and(|category| category == "done")
    };
    let seen = place.movable_issues.iter().filter(|(sample, _)| {
        let status = &sample.status.id;
        status != id && begins(statuses.meaning(status)) && !finished(status)
    });
    let (mut from, mut blocked) = (vec![], vec![]);
    for (sample, ways) in seen {
        let at = format!("{:?} ({})", sample.status.name, sample.key);
        match why_blocked(ways, id, target, place.kind) {
            None => from.push(at),
            Some(why) => blocked.push((at, why)),
        }
    }
    match (from.as_slice(), blocked.as_slice()) {
        ([], []) => {
            Finding::ok(key, format!("{to:?} exists; no existing ticket shows whether it can be reached"))
        }
        (_, []) => Finding::ok(key, format!("{to:?} can be reached from {}", from.join(", "))),
        ([], [(at, why), ..]) => Finding::fail(key, format!("{to:?} cannot be reached from {at}: {why}")),
        (_, [(at, why), ..]) => Finding::warn(
            key,
            format!("{to:?} can be reached from {}, but not from {at}: {why}", from.join(", ")),
        ),
    }
}

/// Why no transition can be used: none leads to the status, or each requires a field that is not configured, or does not
/// take a value that is.
fn why_blocked(ways: &[AvailableTransition], id: &str, target: &Target, kind: Kind) -> Option<String> {
    let there: Vec<&AvailableTransition> = ways.iter().filter(|way| way.to.id == id).collect();
    if there.is_empty() {
        let mut reachable: Vec<String> = ways.iter().map(|way| format!("{:?}", way.to.name)).collect();
        reachable.sort();
        reachable.dedup();
        return Some(format!(
            "its transitions lead to {}; put one of these there, or have a transition added",
            reachable.join(", ")
        ));
    }
    let unset = |way: &&AvailableTransition| -> Vec<Field> {
        let needed = way
            .fields
            .iter()
            .filter(|field| field.required && !field.has_default && !target.fields.contains_key(&field.id));
        needed.cloned().collect()
    };
    let unset = there.iter().map(unset).min_by_key(Vec::len)?;
    if unset.is_empty() {
        return there.iter().map(|way| wrong_value(way, target, kind)).reduce(|one, other| one.and(other))?;
    }
    let names: Vec<&str> = unset.iter().map(|field| field.id.as_str()).collect();
    let fields: Vec<String> =
        unset.iter().map(|field| format!("{} = {}", field.id, field.example(kind))).collect();
    Some(format!(
        "the transition asks for {}; put {{ to = {:?}, fields = {{ {} }} }} there",
        names.join(", "),
        target.to,
        fields.join(", ")
    ))
}

/// What is wrong with the first configured value that a transition's screen does not take.
fn wrong_value(way: &AvailableTransition, target: &Target, kind: Kind) -> Option<String> {
    way.fields.iter().find_map(|field| {
        let value = serde_json::to_value(target.fields.get(&field.id)?).ok()?;
        field.problem(&value, kind).map(|what| format!("fields.{}: {what}", field.id))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::{
        jira::{Sample, Workflow},
        policy::Status,
    };

    fn status(id: &str, name: &str) -> Status {
        Status { id: id.into(), name: name.into() }
    }

    /// The finding for `opened = "In Review"` if tickets are in these statuses and can be moved only to `Open`.
    fn opened(statuses_of_tickets: &[(&str, &str)]) -> String {
        let sample = |(id, name): &(&str, &str)| {
            let sample = Sample { id: (*id).into(), key: format!("OPS-{id}"), status: status(id, name) };
            (sample, vec![AvailableTransition { to: status("1", "Open"), fields: vec![] }])
        };
        let place = TicketProject {
            project: "OPS".into(),
            issue_type: "Task".into(),
            kind: Kind::Cloud,
            team_managed: false,
            language: None,
            workflow: Workflow {
                issue_type_id: "10".into(),
                issue_type_name: "Task".into(),
                statuses: vec![],
                categories: [("1", "new"), ("9", "done")].map(|(id, it)| (id.into(), it.into())).into(),
                subtask: false,
                other_types: vec![],
                elsewhere: vec![],
            },
            fields: None,
            existing_issues: vec![],
            movable_issues: statuses_of_tickets.iter().map(sample).collect(),
        };
        let statuses = Statuses {
            approved: BTreeSet::from(["3".into()]),
            rejected: BTreeSet::new(),
            ..Statuses::default()
        };
        let target = Target { to: "In Review".into(), fields: BTreeMap::new() };
        format!("{:?}", reachability(&place, &statuses, ("opened", &target), "2", "opened".into()))
    }

    /// Cancelled is neither approved nor rejected, but no ticket starts there.
    #[test]
    fn no_ticket_starts_in_a_finished_status() {
        let only_finished = opened(&[("9", "Cancelled")]);
        assert!(only_finished.contains("no existing ticket shows"), "{only_finished}");
        let both = opened(&[("9", "Cancelled"), ("1", "Open")]);
        assert!(both.contains("cannot be reached from") && both.contains("OPS-1"), "{both}");
    }
}
