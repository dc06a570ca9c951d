//! PURE: whether the statuses that decide are there, and whether tickets get where the bridge is to move them.

use std::collections::BTreeSet;

use super::{
    Finding, did_you_mean,
    tickets::{Place, in_english},
};
use crate::{
    jira::{Kind, Way, is_status},
    policy::{self, Meaning, Route, Status, Statuses, Target, Unresolved},
};

/// The statuses that decide.
pub(super) fn statuses(place: &Place, route: &Route) -> Vec<Finding> {
    let settings = &route.ticket;
    let key = |which: &str| route.key_of(&format!("statuses.{which}"));
    match Statuses::resolve(&settings.approved, &settings.rejected, &place.workflow.statuses) {
        Err(problems) => {
            let mut findings: Vec<_> = problems
                .iter()
                .map(|(which, problem)| Finding::fail(key(which), unresolved(problem, place)))
                .collect();
            if problems.iter().any(|(_, problem)| is_new(problem, place)) {
                findings.push(Finding::warn(route.key_of("statuses"), how_to_add(place)));
            }
            findings
        }
        Ok(statuses) => {
            let rejected = match statuses.rejected.is_empty() {
                true => "none: a ticket can be approved, but not rejected".to_owned(),
                false => named(&statuses.rejected, place),
            };
            let mut findings = vec![
                Finding::ok(key("approved"), named(&statuses.approved, place)),
                Finding::ok(key("rejected"), rejected),
            ];
            findings.extend(decided(place, &statuses).map(|what| Finding::fail(key("approved"), what)));
            findings.extend(follow(place, route, &statuses).map(|what| Finding::warn(key("approved"), what)));
            findings
        }
    }
}

/// Whether the status is neither another type's nor only misspelled, so that somebody has to add it.
fn is_new(problem: &Unresolved, place: &Place) -> bool {
    match problem {
        Unresolved::Unknown { name, .. } => {
            let workflow = &place.workflow;
            !workflow.elsewhere.iter().any(|(_, status)| is_status(status, name))
                && did_you_mean(name, workflow.statuses.iter().map(|status| status.name.as_str())).is_empty()
        }
        Unresolved::Ambiguous { .. } | Unresolved::Both { .. } => false,
    }
}

/// The statuses with these ids, by name.
fn named(ids: &BTreeSet<String>, place: &Place) -> String {
    let known = place.workflow.statuses.iter().filter(|status| ids.contains(&status.id));
    let mut names: Vec<_> = known.map(|status| format!("{:?} ({})", status.name, status.id)).collect();
    names.dedup();
    names.join(", ")
}

fn unresolved(problem: &Unresolved, place: &Place) -> String {
    let workflow = &place.workflow;
    match problem {
        Unresolved::Unknown { name, there_is } => {
            let (kind, project) = (&workflow.issue_type_name, &place.project);
            let elsewhere = workflow.elsewhere.iter().find(|(_, status)| is_status(status, name));
            if let Some((other, _)) = elsewhere {
                return format!(
                    "{name:?} is a status of {other}, but not of {kind} in {project}, which has {}; put one of these there, \
                     or {other:?} into ticket.issue_type",
                    there_is.join(", ")
                );
            }
            let hint = did_you_mean(name, workflow.statuses.iter().map(|status| status.name.as_str()));
            let language = in_english(place.language.as_deref());
            format!(
                "{kind} in {project} has no status {name:?}; there is: {}{hint}{language}",
                there_is.join(", ")
            )
        }
        Unresolved::Both { name } => {
            let id = BTreeSet::from([name.clone()]);
            format!(
                "{} cannot mean both approved and rejected; take it out of one of the two",
                named(&id, place)
            )
        }
        Unresolved::Ambiguous { name, ids } => {
            format!("several statuses are called {name:?}; put the id of one there: {}", ids.join(" or "))
        }
    }
}

/// What to click to have one more status. Menus are renamed now and then, so both names are given where there are two.
fn how_to_add(place: &Place) -> String {
    let (project, kind) = (&place.project, &place.workflow.issue_type_name);
    match (place.kind, place.team_managed) {
        (Kind::Cloud, true) => format!(
            "to add one, as an administrator of {project}: Project settings (or Space settings) > Issue types (or Work \
             types) > {kind} > Edit workflow > Status, with a transition from any status to it > Update workflow"
        ),
        (Kind::Cloud, false) => format!(
            "to add one, as an administrator of Jira: {project} > Project settings (or Space settings) > Workflows > the \
             workflow of {kind} > Edit > Add status, with a transition to it > Update workflow (or Publish)"
        ),
        (Kind::DataCenter, _) => format!(
            "to add one, as an administrator of Jira: {project} > Project settings > Workflows > the workflow of {kind} > \
             Edit > Add status, with a transition to it > Publish"
        ),
    }
}

/// That no status is left to wait in.
fn decided(place: &Place, statuses: &Statuses) -> Option<String> {
    let waits = |status: &Status| statuses.meaning(&status.id) == Meaning::Waiting;
    (!place.workflow.statuses.iter().any(waits)).then(|| {
        format!(
            "every status of {} is approved or rejected, so no ticket could wait for a decision; take one out",
            place.workflow.issue_type_name
        )
    })
}

/// The statuses into which a ticket is moved on once it is approved, which closes its gate again.
fn follow(place: &Place, route: &Route, statuses: &Statuses) -> Option<String> {
    let workflow = &place.workflow;
    let category = |status: &Status| workflow.categories.get(&status.id).map(String::as_str);
    let approved = workflow.statuses.iter().find(|status| {
        statuses.meaning(&status.id) == Meaning::Approved
            && category(status).is_some_and(|category| category != "done")
    })?;
    let ways: Vec<&Way> = place
        .samples
        .iter()
        .filter(|(sample, _)| sample.status.id == approved.id)
        .flat_map(|(_, ways)| ways)
        .collect();
    let leads = |status: &Status| ways.is_empty() || ways.iter().any(|way| way.to.id == status.id);
    let ours = targets(route);
    let moved = |status: &Status| ours.iter().any(|(_, to)| to.is_some_and(|it| is_status(status, &it.to)));
    let after = workflow.statuses.iter().filter(|status| {
        statuses.meaning(&status.id) == Meaning::Waiting
            && category(status) != Some("new")
            && leads(status)
            && !moved(status)
    });
    let mut names: Vec<String> = after.map(|status| format!("{:?}", status.name)).collect();
    names.dedup();
    (!names.is_empty()).then(|| {
        format!(
            "{:?} is not where this workflow ends, and a ticket that is moved on closes its gate: of {}, put those here too \
             that come after the approval",
            approved.name,
            names.join(", ")
        )
    })
}

/// Where the bridge moves tickets.
pub(super) fn transitions(place: &Place, route: &Route) -> Vec<Finding> {
    let settings = &route.ticket;
    let statuses = Statuses::resolve(&settings.approved, &settings.rejected, &place.workflow.statuses)
        .unwrap_or_default();
    let configured = targets(route).into_iter().filter_map(|(name, target)| Some((name, target?)));
    configured
        .map(|(name, target)| {
            let key = route.key_of(&format!("transitions.{name}"));
            match policy::resolve(&target.to, &place.workflow.statuses) {
                Ok(id) => reached(place, &statuses, (name, target), &id, key),
                Err(problem) => Finding::fail(key, unresolved(&problem, place)),
            }
        })
        .collect()
}

/// Whether tickets get there, as far as tickets that are there show it.
fn reached(
    place: &Place,
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
    // A ticket that is finished already, undecided, is where none begins.
    let finished = |status: &str| {
        statuses.meaning(status) == Meaning::Waiting
            && place.workflow.categories.get(status).is_some_and(|category| category == "done")
    };
    let seen = place.samples.iter().filter(|(sample, _)| {
        let status = &sample.status.id;
        status != id && begins(statuses.meaning(status)) && !finished(status)
    });
    let (mut from, mut blocked) = (vec![], vec![]);
    for (sample, ways) in seen {
        let at = format!("{:?} ({})", sample.status.name, sample.key);
        match way(ways, id, target) {
            None => from.push(at),
            Some(why) => blocked.push((at, why)),
        }
    }
    match (from.as_slice(), blocked.as_slice()) {
        ([], []) => {
            Finding::ok(key, format!("{to:?} exists; whether a ticket can get there shows only on a ticket"))
        }
        (_, []) => Finding::ok(key, format!("{to:?} can be reached from {}", from.join(", "))),
        ([], [(at, why), ..]) => Finding::fail(key, format!("{to:?} cannot be reached from {at}: {why}")),
        (_, [(at, why), ..]) => Finding::warn(
            key,
            format!("{to:?} can be reached from {}, but not from {at}: {why}", from.join(", ")),
        ),
    }
}

/// Why no way leads there, or none that asks for nothing that is not configured.
fn way(ways: &[Way], id: &str, target: &Target) -> Option<String> {
    let there: Vec<&Way> = ways.iter().filter(|way| way.to.id == id).collect();
    if there.is_empty() {
        let mut reachable: Vec<String> = ways.iter().map(|way| format!("{:?}", way.to.name)).collect();
        reachable.sort();
        reachable.dedup();
        return Some(format!(
            "from there lead ways to {}; put one of these there, or have a transition added",
            reachable.join(", ")
        ));
    }
    let missing = |way: &&Way| -> Vec<String> {
        let needed = way
            .fields
            .iter()
            .filter(|field| field.required && !field.has_default && !target.fields.contains_key(&field.id));
        needed.map(|field| field.id.clone()).collect()
    };
    let missing = there.iter().map(missing).min_by_key(Vec::len).filter(|missing| !missing.is_empty())?;
    let fields: Vec<String> = missing.iter().map(|id| format!("{id} = …")).collect();
    Some(format!(
        "the way asks for {}; put {{ to = {:?}, fields = {{ {} }} }} there",
        missing.join(", "),
        target.to,
        fields.join(", ")
    ))
}

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::jira::{Sample, Workflow};

    fn status(id: &str, name: &str) -> Status {
        Status { id: id.into(), name: name.into() }
    }

    /// What is said of `opened = "In Review"` where tickets stand in these statuses and can go nowhere but to `Open`.
    fn opened(stand: &[(&str, &str)]) -> String {
        let sample = |(id, name): &(&str, &str)| {
            let sample = Sample { id: (*id).into(), key: format!("OPS-{id}"), status: status(id, name) };
            (sample, vec![Way { to: status("1", "Open"), fields: vec![] }])
        };
        let place = Place {
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
            seen: vec![],
            samples: stand.iter().map(sample).collect(),
        };
        let statuses = Statuses {
            approved: BTreeSet::from(["3".into()]),
            rejected: BTreeSet::new(),
            ..Statuses::default()
        };
        let target = Target { to: "In Review".into(), fields: BTreeMap::new() };
        format!("{:?}", reached(&place, &statuses, ("opened", &target), "2", "opened".into()))
    }

    /// Cancelled is neither approved nor rejected, and yet no new ticket is there.
    #[test]
    fn a_finished_ticket_is_where_none_begins() {
        let only_finished = opened(&[("9", "Cancelled")]);
        assert!(only_finished.contains("shows only on a ticket"), "{only_finished}");
        let both = opened(&[("9", "Cancelled"), ("1", "Open")]);
        assert!(both.contains("cannot be reached from") && both.contains("OPS-1"), "{both}");
    }
}
