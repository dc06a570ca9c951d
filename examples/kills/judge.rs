//! What must be true of the tickets at the end.

use std::collections::{BTreeMap, BTreeSet};

use fake_jira::{BRIDGE, Comment, IssueView};

use crate::{
    story::{Attempt, Ended, Gate, PersonMove, Story},
    tally::Part,
    world::World,
};

/// Each comment about the end of a rollout contains one of these words.
const WORDS: [&str; 5] = ["succeeded", "failed", "superseded", "abandoned", "WITHOUT this approval"];
/// The property that a comment of the bridge carries.
const PROPERTY: &str = "flagger-jira-bridge";

/// Judges what can be judged while the stories are running.
pub(crate) fn judge_so_far(world: &World) -> BTreeMap<String, IssueView> {
    for complaint in world.jira.complaints() {
        world.violation(&format!("Jira complains: {complaint}"));
    }
    let tickets: BTreeMap<String, IssueView> = world
        .jira
        .issues()
        .into_iter()
        .filter(|issue| issue.labels.iter().any(|label| label == "flagger-gate"))
        .map(|issue| (issue.key.clone(), issue))
        .collect();
    judge_one_per_gate(world, &tickets);
    for ticket in tickets.values() {
        judge_duplicates(world, ticket);
    }
    tickets
}

/// Judges all tickets at the end.
pub(crate) fn judge(world: &World, stories: &[Story]) {
    let tickets = judge_so_far(world);
    for story in stories {
        // A story that gave up has reported a violation.
        if story.attempts.last().is_some_and(|attempt| matches!(attempt.ended, Ended::Reported { .. })) {
            judge_end(world, story, &tickets);
        }
    }
}

/// Each gate, by its label, has one ticket. The search lags less than `index_lag`, so there must be no duplicates.
fn judge_one_per_gate(world: &World, tickets: &BTreeMap<String, IssueView>) {
    let mut gates: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for ticket in tickets.values() {
        let ids: Vec<&str> = ticket.labels.iter().filter_map(|label| label.strip_prefix("fjb-")).collect();
        let [id] = ids.as_slice() else {
            world.violation(&format!("{} has the labels of {} gates", ticket.key, ids.len()));
            continue;
        };
        if ticket.creator != BRIDGE {
            world.violation(&format!("{} is not the bridge's", ticket.key));
        }
        gates.entry(id).or_default().push(&ticket.key);
    }
    for (id, keys) in gates.iter().filter(|(_, keys)| keys.len() > 1) {
        world.violation(&format!("gate {id} has the tickets {}", keys.join(", ")));
    }
}

fn judge_duplicates(world: &World, ticket: &IssueView) {
    let tags: Vec<String> = ticket.comments.iter().filter_map(tag).collect();
    let moves = ticket
        .changelog
        .iter()
        .filter(|entry| entry.author.as_deref() == Some(BRIDGE))
        .filter(|entry| entry.items.iter().any(|item| item.field == "status"))
        .map(|_| "moved by the bridge".to_owned());
    let links = ticket.links.iter().map(|link| format!("{} {} {}", link.kind, link.inward, link.outward));
    let labels = ticket.labels.iter().cloned();
    for things in [tags, moves.collect(), links.collect(), labels.collect()] {
        let mut seen = BTreeSet::new();
        for thing in &things {
            if !seen.insert(thing) {
                world.violation(&format!("{} has twice: {thing}; {}", ticket.key, moves_of(ticket)));
            }
        }
    }
    let untagged = ticket.comments.iter().filter(|it| it.author == BRIDGE && tag(it).is_none()).count();
    if untagged > 0 {
        world
            .violation(&format!("{} has {untagged} comments of the bridge without its property", ticket.key));
    }
}

/// Every move of a ticket, for the text of a violation.
fn moves_of(ticket: &IssueView) -> String {
    let moves = ticket.changelog.iter().flat_map(|entry| {
        let who = if entry.author.as_deref() == Some(BRIDGE) { "bridge" } else { "person" };
        let moves = entry.items.iter().filter(|item| item.field == "status");
        moves.map(move |item| {
            let to = item.to_string.as_deref().unwrap_or_default();
            format!("{to} by the {who} at {}", entry.created)
        })
    });
    moves.collect::<Vec<_>>().join(", ")
}

fn tag(comment: &Comment) -> Option<String> {
    let property = comment.properties.get(PROPERTY)?;
    property.get("tag")?.as_str().map(str::to_owned)
}

fn judge_end(world: &World, story: &Story, tickets: &BTreeMap<String, IssueView>) {
    let mut stages: BTreeMap<&str, usize> = BTreeMap::new();
    let of_canary = format!(" of shop/{} on default", story.canary);
    for ticket in tickets.values() {
        let Some(stage) = ticket.summary.strip_prefix("Approve ").and_then(|it| it.strip_suffix(&of_canary))
        else {
            continue;
        };
        *stages.entry(stage).or_default() += 1;
        let said: Vec<String> = ticket
            .comments
            .iter()
            .filter(|comment| tag(comment).as_deref() == Some("ended"))
            .map(Comment::text)
            .collect();
        let words: Vec<&str> =
            WORDS.into_iter().filter(|word| said.iter().any(|said| said.contains(word))).collect();
        let ([_], [word]) = (said.as_slice(), words.as_slice()) else {
            story.violation(&format!("{} has {} comments about its end: {said:?}", ticket.key, said.len()));
            continue;
        };
        if !ticket.labels.iter().any(|label| label == "flagger-ended") {
            story.violation(&format!("{} does not have the label flagger-ended", ticket.key));
        }
        if let Some((number, gate)) = find(story, stage, &ticket.key) {
            world.run.tally.count(Part::Tickets, format!("end: {word}"));
            judge_gate(story, number, gate, ticket, word);
        } else {
            // Its rollout ended before any answer named it.
            world.run.tally.count(Part::Tickets, format!("end: {word}; no answer named it"));
        }
    }
    for (stage, number) in stages {
        if number > story.attempts.len() {
            let rollouts = story.attempts.len();
            story.violation(&format!("{number} tickets of {stage} for {rollouts} rollouts"));
        }
    }
}

fn find<'a>(story: &'a Story, stage: &str, key: &str) -> Option<(usize, &'a Gate)> {
    let gates = story.attempts.iter().map(|attempt| attempt.gates.get(stage)).enumerate();
    gates.filter_map(|(number, gate)| Some((number, gate?))).find(|(_, gate)| gate.key == key)
}

fn judge_gate(story: &Story, number: usize, gate: &Gate, ticket: &IssueView, word: &str) {
    let allowed = endings(&story.attempts, number);
    if !allowed.contains(&word) {
        let (key, ended) = (&ticket.key, story.attempts[number].ended);
        story.violation(&format!("{key} has the end {word}, not {allowed:?}; its rollout: {ended:?}"));
    }
    let expected = match gate.last_move {
        PersonMove::Rejected(_) => "Rejected",
        PersonMove::Nothing | PersonMove::Approved(_) | PersonMove::Withdrawn { .. }
            if word == "succeeded" =>
        {
            "Done"
        }
        PersonMove::Nothing | PersonMove::Approved(_) | PersonMove::Withdrawn { .. } => "Cancelled",
    };
    if !gate.moved_late && ticket.status != expected {
        story.violation(&format!("{} is in {}, not in {expected} ({word})", ticket.key, ticket.status));
    }
}

/// The ends that the tickets of an attempt may have. A report without an answer may or may not have been stored; if it
/// was not, the rollout ends when the next one begins.
fn endings(attempts: &[Attempt], number: usize) -> Vec<&'static str> {
    let Some(attempt) = attempts.get(number) else { return Vec::new() };
    match attempt.ended {
        Ended::Reported { word, stored: true } => vec![word],
        Ended::Reported { word, stored: false } => vec![word, "superseded"],
        // To the bridge, this attempt and the next may be one rollout.
        Ended::Restarted if attempt.may_live_on() => {
            [vec!["superseded"], endings(attempts, number + 1)].concat()
        }
        Ended::Restarted => vec!["superseded"],
        Ended::Not => Vec::new(),
    }
}
