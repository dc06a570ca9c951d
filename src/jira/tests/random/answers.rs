//! All other answers of Jira, each a randomly changed valid answer.

use super::*;
use crate::{
    jira::{marks, people, setup, updates},
    mutation::Change,
};

const ALL: [fn(&[Change]); 10] = [
    types,
    transitions,
    people_called,
    actors,
    create_fields,
    comments,
    complaints,
    issues,
    permissions,
    the_rest,
];

proptest! {
    #[test]
    fn other_answers_are_read_or_refused(which in 0..ALL.len(), change in changes(0..5)) {
        ALL[which](&change);
    }
}

fn status() -> Value {
    json!({"id": "3", "name": "Approved", "untranslatedName": "Approved", "statusCategory": {"id": 3}})
}

/// How many lists there are. serde reads a list in place of an object by the order of the fields; `witness` does not.
fn lists(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(lists).sum::<usize>(),
        Value::Object(fields) => fields.values().map(lists).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn cloud() -> Value {
    json!({"accountId": "5b1", "displayName": "Mia", "emailAddress": "mia@x.example"})
}

fn types(change: &[Change]) {
    let types = json!([{"id": "10004", "name": "Change", "statuses": [status(), {"id": "4", "name": "Rejected"}]},
                       {"id": "1", "name": "Bug", "statuses": []}]);
    let Ok(types) = serde_json::from_value(changed(types, change)) else { return };
    match setup::pick_issue_type(types, "OPS", "Change") {
        Ok(found) => {
            assert!(found.issue_type_id == "Change" || found.issue_type_name.to_lowercase() == "change");
            let known = |id: &String| found.statuses.iter().any(|status| status.id == *id);
            match Statuses::resolve(&["Approved".into()], &["Rejected".into()], &found.statuses) {
                Ok(read) => {
                    assert!(read.approved.iter().all(known) && read.approved.is_disjoint(&read.rejected));
                }
                Err(problems) => problems.iter().for_each(|(_, what)| one_line(&what.to_string())),
            }
        }
        Err(error) => one_line(&error.to_string()),
    }
}

fn transitions(change: &[Change]) {
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
    if let updates::TransitionChoice::Go { id, fields, .. } =
        updates::choose(read.transitions.unwrap_or_default(), "approved", configured)
    {
        let leads_there = |it: &&Value| {
            word(&it["id"]) == Some(id.clone())
                && it["isAvailable"] != false
                && (it["to"]["name"].as_str().is_some_and(|name| name.to_lowercase() == "approved")
                    || word(&it["to"]["id"]).as_deref() == Some("approved"))
        };
        assert!(found["transitions"].as_array().unwrap().iter().any(|it| leads_there(&it)), "{found}");
        assert!(fields.iter().all(|(name, value)| configured.get(name) == Some(value)));
    }
}

fn people_called(change: &[Change]) {
    let server = json!({"name": "mia@x.example", "key": "JIRAUSER1", "displayName": "Mia"});
    let found = json!([cloud(), server, {"accountId": "5b2", "displayName": "mia@x.example"}]);
    let found = changed(found, change);
    let Ok(hits) = serde_json::from_value(found.clone()) else { return };
    if lists(&found) != 1 {
        return;
    }
    for account in people::match_people(hits, "mia@x.example").named {
        let names = |it: &&Value| {
            let id = it["accountId"].as_str().or(it["name"].as_str());
            id == Some(&account.id)
                && (account.id == "mia@x.example" || it["emailAddress"] == "mia@x.example")
        };
        assert!(found.as_array().unwrap().iter().any(|it| names(&it)), "{found}: {account:?}");
    }
}

fn actors(change: &[Change]) {
    let actors = json!({"actors": [
        {"type": "atlassian-user-role-actor", "displayName": "Mia", "actorUser": cloud()},
        {"type": "atlassian-group-role-actor", "name": "cab", "actorGroup": {"name": "cab", "groupId": "g1"}},
        {"type": "atlassian-user-role-actor", "name": "fred"},
    ]});
    let actors = changed(actors, change);
    let text = actors.to_string();
    let Ok(read) = serde_json::from_value::<wire::Actors>(actors) else { return };
    let role = people::role(read.actors.unwrap_or_default());
    assert!(role.people.iter().all(|id| text.contains(&json!(id).to_string())), "{role:?}");
}

fn create_fields(change: &[Change]) {
    let fields = json!({"total": 1, "maxResults": 50, "fields": [
        {"fieldId": "priority", "key": "priority", "name": "Priority", "required": true, "hasDefaultValue": false}]});
    let Ok(read) = serde_json::from_value::<wire::CreateFields>(changed(fields, change)) else {
        return;
    };
    for meta in read.all() {
        meta.field(None).iter().for_each(|field| one_line(&field.name));
    }
}

fn comments(change: &[Change]) {
    let comments = json!({"total": 1, "comments": [{"id": "5", "author": cloud(),
        "properties": [{"key": "flagger-jira-bridge", "value": {"tag": "ended"}}]}]});
    let comments = changed(comments, change);
    let text = comments.to_string();
    let Ok(read) = serde_json::from_value::<wire::Comments>(comments) else { return };
    for property in read.comments.into_iter().flatten().flat_map(|it| it.properties).flatten() {
        assert!(!marks::has_mark(&property.value, "tag", "ended") || text.contains("ended"));
    }
}

fn complaints(change: &[Change]) {
    let errors = json!({"errorMessages": ["No\nway"], "errors": {"priority": "not on the screen"}, "status": 400,
        "message": "x"});
    if let Some(wire::Complaint { words, .. }) =
        wire::complaint(changed(errors, change).to_string().as_bytes())
    {
        one_line(&words);
        assert!(words.chars().count() <= 300);
    }
}

fn issues(change: &[Change]) {
    let issues = changed(json!({"issues": [approved(true)], "isLast": true, "issueErrors": []}), change);
    let Ok(read) = serde_json::from_value::<wire::Issues>(issues) else { return };
    for issue in read.issues.into_iter().flatten() {
        if opens(true, issue.to_string().as_bytes()) {
            assert_eq!(witness(true, issue.to_string().as_bytes()), Ok(()), "{issue}");
        }
    }
}

fn permissions(change: &[Change]) {
    let answer = json!({"permissions": {"CREATE_ISSUES": {"id": "11", "havePermission": true}}});
    let answer = changed(answer, change);
    let Ok(read) = serde_json::from_value::<wire::Permissions>(answer.clone()) else { return };
    if lists(&answer) != 0 {
        return;
    }
    for (name, permission) in read.permissions.unwrap_or_default() {
        let answer = &answer["permissions"][name];
        assert_eq!(permission.have_permission, answer["havePermission"] == true, "{answer}");
    }
}

fn the_rest(change: &[Change]) {
    let info =
        json!({"deploymentType": "Cloud", "version": "1001", "serverTitle": "x", "baseUrl": "https://x"});
    let _ = serde_json::from_value::<wire::ServerInfo>(changed(info, change));
    let created = changed(json!({"id": "10042", "key": "OPS-7", "self": "https://x"}), change);
    let _ = serde_json::from_value::<wire::Created>(created);
    let groups = json!({"groups": {"size": 1, "items": [{"name": "cab", "groupId": "g1"}]}});
    let _ = serde_json::from_value::<wire::Member>(changed(groups, change));
    let picked = json!({"total": 1, "groups": [{"name": "cab", "groupId": "g1"}]});
    let _ = serde_json::from_value::<wire::GroupPickerAnswer>(changed(picked, change));
}
