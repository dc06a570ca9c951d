//! Randomly changed answers of Jira: nothing panics, and a gate opens only if the answer says so. This file has the
//! issues, and a reference implementation (`witness`) that reads them in another way.

mod answers;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    gate::{
        Gate, GateName, GateState, Hours, OtherAuthors, Stage, TargetProof, Ticket, TicketState, Validity,
        decisive,
    },
    jira::{time, wire},
    millis::Millis,
    mutation::{changed, changes, garbled},
    policy::{ApprovalMode, Author, Fingerprint, Statuses},
};

const NOW: Millis = Millis(1_790_000_000_000);

/// An issue that Mia approved, as either kind of Jira shows it.
fn approved(cloud: bool) -> Value {
    let author = |name: &str| {
        if cloud {
            json!({"accountId": name, "displayName": name, "accountType": "atlassian", "active": true})
        } else {
            json!({"name": name, "key": format!("JIRAUSER{name}"), "displayName": name})
        }
    };
    let item = |from: &str, to: &str| {
        json!({"field": "status", "fieldtype": "jira", "fieldId": "status", "from": from, "fromString": from,
               "to": to, "toString": to})
    };
    let entry = |id: i64, at: &str, by: &str, items: Value| json!({"id": id.to_string(), "author": author(by), "created": at, "items": items});
    let other = json!({"field": "labels", "fieldId": "labels", "from": null, "to": null, "toString": "x"});
    let mut histories = vec![
        entry(101, "2026-09-21T16:00:00.000+0200", "max", json!([item("1", "2")])),
        entry(102, "2026-09-21T16:01:00.000+0200", "max", json!([other, item("2", "10007")])),
        entry(103, "2026-09-21T16:02:00.000+0200", "eve", json!([item("10007", "1")])),
        entry(104, "2026-09-21T16:03:00.000+0200", "mia", json!([item("1", "10007")])),
    ];
    if cloud {
        histories.reverse();
    }
    json!({
        "id": "10042", "key": "OPS-7", "self": "https://x.example/rest/api/2/issue/10042",
        "changelog": {"startAt": 0, "maxResults": 4, "total": 4, "histories": histories},
        "fields": {
            "status": {"id": "10007", "name": "Approved", "statusCategory": {"id": 3, "key": "done"}},
            "project": {"id": "10000", "key": "OPS"},
            "issuetype": {"id": "10004", "name": "Change"},
            "labels": ["flagger-gate", "fjb-4f1c"],
            "creator": author("bridge"),
        },
        "properties": {"flagger-jira-bridge": {"gate": "4f1c"}},
    })
}

fn statuses() -> Statuses {
    Statuses {
        approved: BTreeSet::from(["10007".to_owned()]),
        rejected: BTreeSet::from(["4".to_owned()]),
        workflow: Some(["1", "2", "4", "10007"].map(str::to_owned).into()),
        ..Statuses::default()
    }
}

/// Whether this answer opens a gate, with all steps from bytes to verdict.
fn opens(cloud: bool, body: &[u8]) -> bool {
    let kind = if cloud { Kind::Cloud } else { Kind::DataCenter };
    let Ok(mut issue) = serde_json::from_slice::<wire::Issue>(body) else { return false };
    if issue.id != "10042" || issue.check().is_err() {
        return false;
    }
    let Some(part) = issue.changelog_part(kind).filter(|part| part.is_whole) else { return false };
    let Ok(snapshot) = issue.snapshot(&part.histories, NOW, kind, wire::ReadScope::Alone) else {
        return false;
    };
    let IssueSnapshot::Issue { status, moves, .. } = &snapshot else { return false };
    let author = match decisive(status, moves, &statuses()) {
        Some(entry) if entry.by.id == "mia" && !entry.by.app => Author::Accepted,
        Some(_) | None => Author::NotAccepted { why: "not Mia".into() },
    };
    let name = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
    let mut gate = Gate::new(GateId("4f1c".into()), name, vec![], NOW);
    gate.statuses = Some(statuses());
    let ticket = Ticket {
        id: "10042".into(),
        key: "OPS-7".into(),
        project: "OPS".into(),
        issue_type: "10004".into(),
        taken_at: None,
    };
    gate.state =
        GateState::Watched { ticket, seen: NOW, ticket_state: TicketState::Waiting { status: None } };
    let day = Duration::from_secs(86_400);
    let trust = Validity {
        trust_for: day,
        valid_for: day,
        judged_by: Fingerprint(1),
        reject_after: None,
        target: TargetProof::NotNeeded,
        hours: Hours::Open,
        mode: ApprovalMode::Required,
    };
    let Some(gate) =
        gate.after_snapshot(&snapshot, &statuses(), (&author, &OtherAuthors::default()), NOW, NOW, trust)
    else {
        return false;
    };
    gate.verdict(NOW, trust).is_open()
}

/// A text or a number, as text.
fn word(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.is_number().then(|| value.to_string()))
}

/// What a changelog item changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    /// Jira's own status.
    Status,
    /// Named like the status, but of another origin, or in a form that Jira does not use.
    Perhaps,
    Other,
}

fn about(cloud: bool, item: &Value) -> About {
    let text = |key: &str| match &item[key] {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.trim().to_lowercase()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let (name, id, origin) = (text("field"), text("fieldId"), text("fieldtype"));
    let called = id.clone().filter(|id| !id.is_empty()).or_else(|| name.clone());
    if called.as_deref() != Some("status") {
        return About::Other;
    }
    match (name, id, origin) {
        (Some(_), Some(id), Some(origin)) if origin == "custom" && id != "status" => About::Other,
        (Some(_), Some(id), Some(origin))
            if origin == "jira" || (origin.is_empty() && cloud && !id.is_empty()) =>
        {
            About::Status
        }
        _ => About::Perhaps,
    }
}

/// The reference: reads the same from the JSON alone, and returns what is wrong with the approval, if anything.
fn witness(cloud: bool, body: &[u8]) -> Result<(), String> {
    let issue: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let is = |path: &str, wanted: &str| {
        let found = issue.pointer(path).and_then(word);
        // serde reads a list in place of an object by the order of the fields.
        let list = path.rsplit_once('/').and_then(|(above, _)| issue.pointer(above)?.as_array());
        let listed = list.is_some_and(|list| list.iter().any(|one| word(one).as_deref() == Some(wanted)));
        if listed || found.as_deref() == Some(wanted) { Ok(()) } else { Err(format!("{path} is {found:?}")) }
    };
    is("/id", "10042")?;
    is("/fields/status/id", "10007")?;
    is("/fields/project/key", "OPS")?;
    is("/fields/issuetype/id", "10004")?;
    if issue["fields"]["labels"].as_array().is_some_and(|labels| labels.contains(&json!("flagger-ended"))) {
        return Err("its rollout has ended".into());
    }
    if !issue["fields"]["labels"].is_array() || !issue["properties"].is_object() {
        return Err("labels or properties are missing".into());
    }
    let entries = issue["changelog"].get("histories").or_else(|| issue["changelog"].get("values"));
    let entries = entries.and_then(Value::as_array).ok_or("no entries")?;
    let total = issue["changelog"]["total"].as_u64();
    if total.map_or(entries.len() >= 40, |total| total > entries.len() as u64) {
        return Err("cut off".into());
    }
    let (mut moves, mut odd) = (vec![], vec![]);
    for entry in entries {
        for item in entry["items"].as_array().into_iter().flatten() {
            let about = about(cloud, item);
            if about == About::Other {
                continue;
            }
            let at = entry["created"]
                .as_i64()
                .or_else(|| time::parse_jira(entry["created"].as_str()?).map(|at| at.0));
            let (from, to) = (word(&item["from"]), word(&item["to"]));
            let id = word(&entry["id"]).map(|id| id.parse::<u64>().unwrap_or(u64::MAX));
            let (Some(at), Some(from), Some(to), Some(id), About::Status) = (at, from, to, id, about) else {
                odd.push((at.unwrap_or(i64::MAX), id.unwrap_or(u64::MAX)));
                continue;
            };
            let author = &entry["author"];
            let by = author["accountId"].as_str().or(author["name"].as_str()).unwrap_or_default();
            let app = author["accountType"] == "app";
            moves.push(((at, id), from, to, by.to_owned(), app));
        }
    }
    // Ordered by time and by id; if only one of the two orders links the moves, it alone counts.
    moves.sort_by_key(|entry| entry.0);
    let by_time = (linked(&moves), approval(&moves));
    moves.sort_by_key(|entry| (entry.0.1, entry.0.0));
    let by_id = (linked(&moves), approval(&moves));
    let (at, id) = match (by_time, by_id) {
        ((true, only), (false, _)) | ((false, _), (true, only)) => only,
        ((_, one), (_, other)) => one.and(other),
    }?;
    // A later entry that cannot be read may have voided the approval.
    match odd.iter().find(|odd| odd.0 > at && odd.1 > id) {
        Some(odd) => Err(format!("an unreadable entry: {odd:?}")),
        None => Ok(()),
    }
}

/// A move: time and id, from, to, author, and whether the author is an app.
type Moved = ((i64, u64), String, String, String, bool);

fn linked(moves: &[Moved]) -> bool {
    (1..moves.len()).all(|at| moves[at].1 == moves[at - 1].2)
}

/// The approval that is in force at the end, if Mia gave it.
fn approval(moves: &[Moved]) -> Result<(i64, u64), String> {
    for (when, from, to, by, app) in moves.iter().rev() {
        match (from.as_str(), to.as_str(), by.as_str(), *app) {
            (_, "10007", ..) if from == "10007" => {}
            (_, "10007", "mia", false) => return Ok(*when),
            (_, "10007", ..) => return Err(format!("approved by {by:?}")),
            _ => return Err(format!("moved to {to}")),
        }
    }
    Err("never moved".into())
}

#[test]
fn the_unchanged_answers_open_a_gate() {
    for cloud in [true, false] {
        assert!(opens(cloud, approved(cloud).to_string().as_bytes()));
        assert_eq!(witness(cloud, approved(cloud).to_string().as_bytes()), Ok(()));
        let mut other = approved(cloud);
        other["changelog"]["histories"].as_array_mut().unwrap().remove(if cloud { 0 } else { 3 });
        other["changelog"]["total"] = json!(3);
        assert!(!opens(cloud, other.to_string().as_bytes()));
        assert!(witness(cloud, other.to_string().as_bytes()).is_err());
    }
}

/// A changelog entry: its minute, 0 if it has two moves, from, to, and author.
type Entry = (i64, u8, usize, usize, usize);

/// An issue with this changelog and this current status.
fn moved(entries: &[Entry], at: usize) -> Value {
    let ids = ["1", "10007", "4"];
    let people = ["mia", "max", ""];
    let item = |from: usize, to: usize| json!({"field": "status", "fieldId": "status", "fieldtype": "jira", "from": ids[from], "to": ids[to]});
    let entry = |(number, (minute, same, from, to, by)): (usize, &Entry)| {
        let author = if people[*by].is_empty() {
            Value::Null
        } else {
            json!({"accountId": people[*by], "accountType": "atlassian"})
        };
        let items =
            if *same == 0 { json!([item(*from, *to), item(*to, at)]) } else { json!([item(*from, *to)]) };
        json!({"id": number + 1, "created": NOW.0 - 600_000 + minute * 60_000, "author": author, "items": items})
    };
    let histories: Vec<Value> = entries.iter().enumerate().map(entry).collect();
    let mut issue = approved(true);
    issue["changelog"] = json!({"histories": histories});
    issue["fields"]["status"]["id"] = ids[at].into();
    issue
}

/// Proves that the random histories below can open a gate.
#[test]
fn a_generated_history_opens_a_gate() {
    let approved: [Entry; 2] = [(0, 1, 0, 2, 1), (1, 1, 2, 1, 0)];
    for (entries, opening) in [(&approved[..], true), (&approved[1..], true), (&approved[..1], false)] {
        let body = moved(entries, 1).to_string();
        assert_eq!(opens(true, body.as_bytes()), opening, "{body}");
        assert_eq!(witness(true, body.as_bytes()).is_ok(), opening, "{body}");
    }
}

fn one_line(text: &str) {
    assert!(!text.chars().any(char::is_control) && text.chars().count() < 2_000, "{text:?}");
}

proptest! {
    #[test]
    fn an_issue_opens_nothing_that_it_does_not_say(
        cloud: bool, change in changes(0..7), bytes in prop_oneof![4 => Just(vec![]), 1 => changes(1..4)],
    ) {
        let body = garbled(&changed(approved(cloud), &change).to_string(), &bytes);
        if opens(cloud, &body) {
            // Parts that the bridge does not read may hold invalid UTF-8.
            let body = String::from_utf8_lossy(&body);
            prop_assert_eq!(witness(cloud, body.as_bytes()), Ok(()), "{}", body);
        }
    }

    /// Changelogs with any moves, in any order, also several at the same time.
    #[test]
    fn a_history_opens_nothing_that_it_does_not_say(
        entries in proptest::collection::vec((0..6_i64, 0..4_u8, 0..3_usize, 0..3_usize, 0..3_usize), 0..7),
        at in 0..3_usize,
    ) {
        let body = moved(&entries, at).to_string();
        if opens(true, body.as_bytes()) {
            prop_assert_eq!(witness(true, body.as_bytes()), Ok(()), "{}", body);
        }
    }

    #[test]
    fn bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..120)) {
        prop_assert!(!opens(true, &body));
        if let Some(wire::Complaint { words, .. }) = wire::complaint(&body) {
            one_line(&words);
        }
    }
}
