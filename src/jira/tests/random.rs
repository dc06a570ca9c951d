//! Answers of Jira, changed at random: nothing panics, and nothing opens a gate that the answer does not say.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    gate::{Gate, GateName, Stage, Standing, Ticket, Trust, View, decisive},
    jira::{endings, people, setup, time, wire},
    millis::Millis,
    mutation::{changed, changes, garbled},
    policy::{Author, Fingerprint, Statuses},
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

/// Whether a gate opens by this answer, in all the steps from bytes to verdict.
fn opens(cloud: bool, body: &[u8]) -> bool {
    let kind = if cloud { Kind::Cloud } else { Kind::DataCenter };
    let Ok(mut issue) = serde_json::from_slice::<wire::Issue>(body) else { return false };
    if issue.id != "10042" || issue.check().is_err() {
        return false;
    }
    let Some(trail) = issue.trail(kind).filter(|trail| trail.is_whole) else { return false };
    let Ok(sighting) = issue.sighting(&trail.histories, NOW, kind, wire::Read::Alone) else { return false };
    let Sighting::Issue { status, moves, .. } = &sighting else { return false };
    let author = match decisive(status, moves, &statuses()) {
        Some(entry) if entry.by.id == "mia" && !entry.by.app => Author::Accepted,
        Some(_) | None => Author::NotAccepted { why: "not Mia".into() },
    };
    let name = GateName { stage: Stage::ConfirmPromotion, approver: None };
    let mut gate = Gate::new(GateId("4f1c".into()), name, vec![], NOW);
    gate.statuses = Some(statuses());
    let ticket =
        Ticket { id: "10042".into(), key: "OPS-7".into(), project: "OPS".into(), issue_type: "10004".into() };
    gate.standing = Standing::Watched { ticket, seen: NOW, view: View::Waiting { status: None } };
    let day = Duration::from_secs(86_400);
    let trust = Trust { trust_for: day, valid_for: day, judged_by: Fingerprint(1) };
    let Some(gate) = gate.see(&sighting, &statuses(), &author, NOW, NOW, trust) else { return false };
    gate.verdict(NOW, trust).is_open()
}

/// A text or a number, as text.
fn word(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.is_number().then(|| value.to_string()))
}

/// What an item of a history is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    /// Jira's own status.
    Status,
    /// What is called so, but of another origin, or named in no form of Jira's.
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

/// The same read from the JSON alone, by other means. What is wrong with the approval, if something is.
fn witness(cloud: bool, body: &[u8]) -> Result<(), String> {
    let issue: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let is = |path: &str, wanted: &str| {
        let found = issue.pointer(path).and_then(word);
        // A list in place of an object is read by the order of its keys.
        let list = path.rsplit_once('/').and_then(|(above, _)| issue.pointer(above)?.as_array());
        let listed = list.is_some_and(|list| list.iter().any(|one| word(one).as_deref() == Some(wanted)));
        if listed || found.as_deref() == Some(wanted) { Ok(()) } else { Err(format!("{path} is {found:?}")) }
    };
    is("/id", "10042")?;
    is("/fields/status/id", "10007")?;
    is("/fields/project/key", "OPS")?;
    is("/fields/issuetype/id", "10004")?;
    if issue["fields"]["labels"].as_array().is_some_and(|labels| labels.contains(&json!("flagger-ended"))) {
        return Err("its rollout is over".into());
    }
    if !issue["fields"]["labels"].is_array() || !issue["properties"].is_object() {
        return Err("not all of it".into());
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
            let at =
                entry["created"].as_i64().or_else(|| time::jira(entry["created"].as_str()?).map(|at| at.0));
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
    // By time and by id; where one of the two lets moves follow each other, it alone counts.
    moves.sort_by_key(|entry| entry.0);
    let by_time = (linked(&moves), approval(&moves));
    moves.sort_by_key(|entry| (entry.0.1, entry.0.0));
    let by_id = (linked(&moves), approval(&moves));
    let (at, id) = match (by_time, by_id) {
        ((true, told), (false, _)) | ((false, _), (true, told)) => told,
        ((_, one), (_, other)) => one.and(other),
    }?;
    // What cannot be read may have undone it, if it came later.
    match odd.iter().find(|odd| odd.0 > at && odd.1 > id) {
        Some(odd) => Err(format!("half an entry: {odd:?}")),
        None => Ok(()),
    }
}

/// A move: when and which, from where, to where, by whom, and whether that is an app.
type Moved = ((i64, u64), String, String, String, bool);

fn linked(moves: &[Moved]) -> bool {
    (1..moves.len()).all(|at| moves[at].1 == moves[at - 1].2)
}

/// Whether Mia gave the approval that stands at the end.
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
fn the_answers_that_are_changed_here_open_a_gate() {
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

/// An entry of a history: in which minute it was made, whether one of two moves, from where, to where, and by whom.
type Entry = (i64, u8, usize, usize, usize);

/// The issue with this history, where it stands by now.
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

/// Whether it does is no accident: such a history opens a gate.
#[test]
fn a_history_that_is_made_up_here_opens_a_gate() {
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

fn status() -> Value {
    json!({"id": "3", "name": "Approved", "untranslatedName": "Approved", "statusCategory": {"id": 3}})
}

/// How many lists there are. One in place of an object is read by the order of its keys, which no witness here does.
fn lists(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(lists).sum::<usize>(),
        Value::Object(fields) => fields.values().map(lists).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// All that is read of Jira beside issues, each from a right answer that was changed.
fn others(which: usize, change: &[crate::mutation::Change]) {
    let cloud = json!({"accountId": "5b1", "displayName": "Mia", "emailAddress": "mia@x.example"});
    let server = json!({"name": "mia@x.example", "key": "JIRAUSER1", "displayName": "Mia"});
    match which {
        0 => {
            let types = json!([{"id": "10004", "name": "Change", "statuses": [status(), {"id": "4", "name": "Rejected"}]},
                               {"id": "1", "name": "Bug", "statuses": []}]);
            let Ok(types) = serde_json::from_value(changed(types, change)) else { return };
            match setup::pick(types, "OPS", "Change") {
                Ok(found) => {
                    assert!(
                        found.issue_type_id == "Change" || found.issue_type_name.to_lowercase() == "change"
                    );
                    let known = |id: &String| found.statuses.iter().any(|status| status.id == *id);
                    match Statuses::resolve(&["Approved".into()], &["Rejected".into()], &found.statuses) {
                        Ok(read) => {
                            assert!(
                                read.approved.iter().all(known) && read.approved.is_disjoint(&read.rejected)
                            );
                        }
                        Err(problems) => problems.iter().for_each(|(_, what)| one_line(&what.to_string())),
                    }
                }
                Err(error) => one_line(&error.to_string()),
            }
        }
        1 => {
            let found = json!({"transitions": [
                {"id": "31", "name": "Go", "to": status(), "isAvailable": true,
                 "fields": {"resolution": {"required": true, "hasDefaultValue": false, "name": "Resolution"}}},
                {"id": 41, "name": "Go", "to": {"id": "4", "name": "Rejected"}},
            ]});
            let found = changed(found, change);
            let Ok(read) = serde_json::from_value::<wire::Transitions>(found.clone()) else { return };
            if lists(&found) != 1 {
                return;
            }
            let configured = json!({"resolution": {"name": "Done"}, "priority": {"name": "High"}});
            let configured = configured.as_object().unwrap();
            if let endings::Choice::Go { id, fields, .. } =
                endings::choose(read.transitions.unwrap_or_default(), "approved", configured)
            {
                let leads_there = |it: &&Value| {
                    word(&it["id"]) == Some(id.clone())
                        && it["isAvailable"] != false
                        && (it["to"]["name"].as_str().is_some_and(|name| name.to_lowercase() == "approved")
                            || word(&it["to"]["id"]).as_deref() == Some("approved"))
                };
                assert!(
                    found["transitions"].as_array().unwrap().iter().any(|it| leads_there(&it)),
                    "{found}"
                );
                assert!(fields.iter().all(|(name, value)| configured.get(name) == Some(value)));
            }
        }
        2 => {
            let found = json!([cloud, server, {"accountId": "5b2", "displayName": "mia@x.example"}]);
            let found = changed(found, change);
            let Ok(hits) = serde_json::from_value(found.clone()) else { return };
            if lists(&found) != 1 {
                return;
            }
            for account in people::called(hits, "mia@x.example").named {
                let names = |it: &&Value| {
                    let id = it["accountId"].as_str().or(it["name"].as_str());
                    id == Some(&account.id)
                        && (account.id == "mia@x.example" || it["emailAddress"] == "mia@x.example")
                };
                assert!(found.as_array().unwrap().iter().any(|it| names(&it)), "{found}: {account:?}");
            }
        }
        3 => {
            let actors = json!({"actors": [
                {"type": "atlassian-user-role-actor", "displayName": "Mia", "actorUser": cloud},
                {"type": "atlassian-group-role-actor", "name": "cab", "actorGroup": {"name": "cab", "groupId": "g1"}},
                {"type": "atlassian-user-role-actor", "name": "fred"},
            ]});
            let actors = changed(actors, change);
            let text = actors.to_string();
            let Ok(read) = serde_json::from_value::<people::Actors>(actors) else { return };
            let role = people::role(read.actors.unwrap_or_default());
            assert!(role.people.iter().all(|id| text.contains(&json!(id).to_string())), "{role:?}");
        }
        4 => {
            let fields = json!({"total": 1, "maxResults": 50, "fields": [
                {"fieldId": "priority", "key": "priority", "name": "Priority", "required": true, "hasDefaultValue": false}]});
            let Ok(read) = serde_json::from_value::<wire::CreateFields>(changed(fields, change)) else {
                return;
            };
            for meta in read.all() {
                meta.field(None).iter().for_each(|field| one_line(&field.name));
            }
        }
        5 => {
            let comments = json!({"total": 1, "comments": [{"id": "5", "author": cloud,
                "properties": [{"key": "flagger-jira-bridge", "value": {"tag": "ended"}}]}]});
            let comments = changed(comments, change);
            let text = comments.to_string();
            let Ok(read) = serde_json::from_value::<wire::Comments>(comments) else { return };
            for property in read.comments.into_iter().flatten().flat_map(|it| it.properties).flatten() {
                assert!(!wire::says(&property.value, "tag", "ended") || text.contains("ended"));
            }
        }
        6 => {
            let errors = json!({"errorMessages": ["No\nway"], "errors": {"priority": "not on the screen"}, "status": 400,
                "message": "x"});
            if let Some((words, _)) = wire::complaint(changed(errors, change).to_string().as_bytes()) {
                one_line(&words);
                assert!(words.chars().count() <= 300);
            }
        }
        7 => {
            let issues =
                changed(json!({"issues": [approved(true)], "isLast": true, "issueErrors": []}), change);
            let Ok(read) = serde_json::from_value::<wire::Issues>(issues) else { return };
            for issue in read.issues.into_iter().flatten() {
                if opens(true, issue.to_string().as_bytes()) {
                    assert_eq!(witness(true, issue.to_string().as_bytes()), Ok(()), "{issue}");
                }
            }
        }
        8 => {
            let told = json!({"permissions": {"CREATE_ISSUES": {"id": "11", "havePermission": true}}});
            let told = changed(told, change);
            let Ok(read) = serde_json::from_value::<wire::Permissions>(told.clone()) else { return };
            if lists(&told) != 0 {
                return;
            }
            for (name, permission) in read.permissions.unwrap_or_default() {
                let told = &told["permissions"][name];
                assert_eq!(permission.have_permission, told["havePermission"] == true, "{told}");
            }
        }
        _ => {
            let info = json!({"deploymentType": "Cloud", "version": "1001", "serverTitle": "x", "baseUrl": "https://x"});
            let _ = serde_json::from_value::<wire::ServerInfo>(changed(info, change));
            let created = changed(json!({"id": "10042", "key": "OPS-7", "self": "https://x"}), change);
            let _ = serde_json::from_value::<wire::Created>(created);
            let groups = json!({"groups": {"size": 1, "items": [{"name": "cab", "groupId": "g1"}]}});
            let _ = serde_json::from_value::<people::Member>(changed(groups, change));
            let picked = json!({"total": 1, "groups": [{"name": "cab", "groupId": "g1"}]});
            let _ = serde_json::from_value::<people::Picked>(changed(picked, change));
        }
    }
}

proptest! {
    #[test]
    fn an_issue_opens_nothing_that_it_does_not_say(
        cloud: bool, change in changes(0..7), bytes in prop_oneof![4 => Just(vec![]), 1 => changes(1..4)],
    ) {
        let body = garbled(&changed(approved(cloud), &change).to_string(), &bytes);
        if opens(cloud, &body) {
            // In what nobody reads there may be broken text.
            let body = String::from_utf8_lossy(&body);
            prop_assert_eq!(witness(cloud, body.as_bytes()), Ok(()), "{}", body);
        }
    }

    /// Changelogs of any moves, in any order, of several moves at a time.
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
    fn other_answers_are_read_or_refused(which in 0..10_usize, change in changes(0..5)) {
        others(which, &change);
    }

    #[test]
    fn bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..120)) {
        prop_assert!(!opens(true, &body));
        if let Some((words, _)) = wire::complaint(&body) {
            one_line(&words);
        }
    }
}
