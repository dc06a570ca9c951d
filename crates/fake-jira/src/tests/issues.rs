//! Creating, editing, moving, commenting and linking.

use serde_json::{Value, json};

use super::{Site, doc, fields};
use crate::{BRIDGE, Category, Field, MIA, Shape, Status, Transition, Workflow};

#[tokio::test]
async fn a_created_issue_has_everything_that_was_sent() {
    let site = Site::cloud().await;
    let mut fields = fields("fjb-1");
    fields["description"] = doc("Waiting for approval.");
    let body = json!({ "fields": fields, "properties": [{ "key": "gate", "value": { "id": "1" } }] });
    let got = site.post("/rest/api/3/issue", body).await;
    assert_eq!((got.status, &got.body["id"], &got.body["key"]), (201, &json!("10042"), &json!("OPS-1")));
    let issue = site.jira.issue("OPS-1").unwrap();
    assert_eq!(issue.labels, ["flagger-gate", "fjb-1"]);
    assert_eq!(issue.properties["gate"], json!({ "id": "1" }));
    assert_eq!(super::super::text(&issue.description), "Waiting for approval.");
    assert_eq!((issue.status.as_str(), issue.creator.as_str()), ("To Do", BRIDGE));
    let read = site.get("/rest/api/3/issue/ops-1?fields=status,project,updated&properties=gate").await;
    assert_eq!(read.body["fields"]["status"]["id"], "10001");
    assert_eq!(read.body["fields"]["status"]["statusCategory"]["id"], 2);
    assert_eq!(read.body["fields"]["updated"], "2026-09-21T16:13:20.000+0200");
    assert_eq!(read.body["fields"].get("summary"), None);
    assert_eq!(read.body["properties"]["gate"]["id"], "1");
    assert_eq!(site.jira.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn invalid_fields_are_rejected_and_recorded_as_complaints() {
    let site = Site::cloud().await;
    let long = "x".repeat(256);
    let cases: Vec<(&str, Value)> = vec![
        ("summary", json!({ "summary": "two\nlines" })),
        ("summary", json!({ "summary": long })),
        ("summary", json!({ "summary": null })),
        ("labels", json!({ "labels": ["two words"] })),
        ("labels", json!({ "labels": [long] })),
        ("description", json!({ "description": "plain words" })),
        ("description", json!({ "description": { "type": "doc", "version": 2, "content": [] } })),
        ("description", json!({ "description": doc("") })),
        ("description", json!({ "description": doc(&"x".repeat(32_768)) })),
    ];
    let mut complaints = 0;
    for (field, change) in cases {
        let mut fields = fields("fjb-1");
        for (name, value) in change.as_object().unwrap() {
            fields[name] = value.clone();
        }
        let got = site.post("/rest/api/3/issue", json!({ "fields": fields })).await;
        assert_eq!(got.status, 400, "{field}: {}", got.text);
        assert!(got.body["errors"][field].is_string(), "{}", got.text);
        complaints += 1;
        assert_eq!(site.jira.complaints().len(), complaints, "{:?}", site.jira.complaints());
    }
    let got = site.post("/rest/api/3/issue", json!({ "fields": fields("x"), "notify": true })).await;
    assert_eq!((got.status, got.body["errors"]["notify"].is_string()), (400, true));
    assert!(site.jira.issues().is_empty());
}

#[tokio::test]
async fn only_fields_of_the_create_screen_are_accepted() {
    let site = Site::cloud().await;
    let mut with_priority = fields("x");
    with_priority["priority"] = json!({ "name": "High" });
    let got = site.post("/rest/api/3/issue", json!({ "fields": with_priority })).await;
    let message = "Field 'priority' cannot be set. It is not on the appropriate screen, or unknown.";
    assert_eq!((got.status, &got.body["errors"]["priority"]), (400, &json!(message)));
    let names = vec!["Low".to_owned(), "High".to_owned()];
    site.jira.add_create_field(
        "OPS",
        "Change",
        Field::required("priority", "Priority", Shape::Select(names)),
    );
    let got = site.post("/rest/api/3/issue", json!({ "fields": fields("x") })).await;
    assert_eq!(got.body["errors"]["priority"], "Priority is required.");
    let mut by_value = with_priority.clone();
    by_value["priority"] = json!({ "value": "High" });
    let got = site.post("/rest/api/3/issue", json!({ "fields": by_value })).await;
    assert_eq!(got.body["errors"]["priority"], "Specify the Priority (id or name) in the string format");
    assert_eq!(site.post("/rest/api/3/issue", json!({ "fields": with_priority })).await.status, 201);
    assert_eq!(site.jira.issue("OPS-1").unwrap().fields["priority"]["id"], "2");
    let meta = site.get("/rest/api/3/issue/createmeta/OPS/issuetypes/10004").await;
    let priority =
        meta.body["fields"].as_array().unwrap().iter().find(|f| f["fieldId"] == "priority").unwrap();
    assert_eq!((&priority["required"], &priority["hasDefaultValue"]), (&json!(true), &json!(false)));
    assert_eq!(priority["schema"], json!({ "type": "priority", "system": "priority" }));
    assert_eq!(priority["allowedValues"][1], json!({ "id": "2", "name": "High" }));
    let mut wrong = fields("x");
    wrong["issuetype"] = json!({ "id": "1" });
    let got = site.post("/rest/api/3/issue", json!({ "fields": wrong })).await;
    assert_eq!(got.body["errors"]["issuetype"], "The issue type selected is invalid.");
    wrong["project"] = json!({ "key": "NOPE" });
    let got = site.post("/rest/api/3/issue", json!({ "fields": wrong })).await;
    assert_eq!(got.body["errors"]["project"], "valid project is required");
    assert_eq!(
        site.jira.complaints(),
        Vec::<String>::new(),
        "these are errors of the configuration, not mistakes of the caller"
    );
}

/// In a create and on the screen of a transition.
#[tokio::test]
async fn values_of_another_shape_and_unknown_options_are_refused() {
    let names = || vec!["Low".to_owned(), "High".to_owned()];
    let fields_of_screen = [
        ("priority", Shape::Select(names())),
        ("components", Shape::MultiSelect(names())),
        ("fixVersions", Shape::MultiSelect(names())),
        ("assignee", Shape::User),
        ("customfield_1", Shape::Select(names())),
        ("customfield_2", Shape::MultiSelect(names())),
        ("customfield_3", Shape::Users),
        ("customfield_4", Shape::Text),
        ("customfield_5", Shape::Number),
    ];
    let person = json!({ "accountId": MIA });
    let table = [
        ("priority", json!({ "name": "High" }), true),
        ("priority", json!({ "id": "2" }), true),
        ("priority", json!("High"), false),
        ("priority", json!({ "name": "Urgent" }), false),
        ("priority", json!({ "value": "High" }), false),
        ("components", json!([{ "name": "Low" }, { "name": "High" }]), true),
        ("components", json!("High"), false),
        ("components", json!({ "name": "High" }), false),
        ("components", json!(["High"]), false),
        ("components", json!([{ "name": "Web" }]), false),
        ("fixVersions", json!([{ "name": "High" }]), true),
        ("fixVersions", json!([{ "value": "High" }]), false),
        ("assignee", person.clone(), true),
        ("assignee", json!(MIA), false),
        ("assignee", json!({ "name": "mia" }), false),
        ("assignee", json!({ "accountId": "nobody" }), false),
        ("customfield_1", json!({ "value": "High" }), true),
        ("customfield_1", json!({ "name": "High" }), false),
        ("customfield_1", json!("High"), false),
        ("customfield_1", json!({ "value": "Urgent" }), false),
        ("customfield_1", json!([{ "value": "High" }]), false),
        ("customfield_2", json!([{ "value": "High" }]), true),
        ("customfield_2", json!({ "value": "High" }), false),
        ("customfield_3", json!([person]), true),
        ("customfield_3", json!([MIA]), false),
        ("customfield_4", json!("text"), true),
        ("customfield_4", json!({ "value": "text" }), false),
        ("customfield_4", json!(3), false),
        ("customfield_5", json!(3), true),
        ("customfield_5", json!("3"), false),
    ];
    let site = Site::cloud().await;
    for (id, shape) in fields_of_screen {
        site.jira.add_create_field("OPS", "Change", Field::optional(id, "Field", shape));
    }
    for (id, value, fits) in table {
        let mut fields = fields("x");
        fields[id] = value.clone();
        let got = site.post("/rest/api/3/issue", json!({ "fields": fields })).await;
        assert_eq!(got.status, if fits { 201 } else { 400 }, "{id} {value}: {}", got.text);
        assert_eq!(got.body["errors"][id].is_string(), !fits, "{id} {value}: {}", got.text);
    }
    assert_eq!(site.jira.complaints(), Vec::<String>::new(), "these are mistakes of the configuration");
}

#[tokio::test]
async fn editing_labels_adds_a_changelog_entry_only_for_a_change() {
    let site = Site::cloud().await;
    let id = site.create("fjb-1").await;
    let path = format!("/rest/api/3/issue/{id}");
    let body = json!({ "update": { "labels": [{ "add": "flagger-ended" }, { "remove": "fjb-1" }] } });
    assert_eq!(site.put(&path, body.clone()).await.status, 204);
    assert_eq!(site.put(&path, body).await.status, 204);
    let issue = site.jira.issue(&id).unwrap();
    assert_eq!(issue.labels, ["flagger-gate", "flagger-ended"]);
    assert_eq!(issue.changelog.len(), 1);
    let both = json!({ "fields": { "labels": [] }, "update": { "labels": [{ "add": "a" }] } });
    assert_eq!(site.put(&path, both).await.status, 400);
    assert_eq!(site.put(&format!("{path}?notifyUsers=false"), json!({ "fields": {} })).await.status, 403);
}

#[tokio::test]
async fn an_available_transition_is_done_by_its_id() {
    let site = Site::cloud().await;
    let id = site.create("fjb-1").await;
    let path = format!("/rest/api/3/issue/{id}/transitions");
    let list = site.get(&path).await;
    let offered = list.body["transitions"].as_array().unwrap().clone();
    assert_eq!(offered.len(), 5, "all except the one to the current status");
    let approve = offered.iter().find(|t| t["to"]["id"] == "10007").unwrap();
    assert_eq!((&approve["id"], &approve["name"]), (&json!("31"), &json!("Approve")));
    assert_eq!(site.post(&path, json!({ "transition": { "id": "31" } })).await.status, 204);
    let again = site.post(&path, json!({ "transition": { "id": "31" } })).await;
    assert_eq!(again.status, 400);
    assert_eq!(again.body["errorMessages"][0], "Transition id '31' is not valid for this issue.");
    site.jira.revoke("OPS", &["TRANSITION_ISSUES"]);
    let list = site.get(&path).await;
    assert_eq!((list.status, &list.body["transitions"]), (200, &json!([])));
}

#[tokio::test]
async fn a_transition_requires_the_fields_of_its_screen() {
    let site = Site::cloud().await;
    let resolution = Field::required("resolution", "Resolution", Shape::Select(vec!["Done".into()]));
    let done = Transition { fields: vec![resolution], ..Transition::global("51", "Finish", "3") };
    site.jira.set_workflow(
        "OPS",
        "Change",
        Workflow {
            statuses: vec![
                Status::new("1", "Open", Category::New),
                Status::new("3", "Shipped", Category::Done),
            ],
            transitions: vec![done],
        },
    );
    let id = site.create("fjb-1").await;
    let path = format!("/rest/api/3/issue/{id}/transitions");
    let list = site.get(&format!("{path}?expand=transitions.fields")).await;
    assert_eq!(list.body["transitions"][0]["fields"]["resolution"]["required"], true);
    let bare = json!({ "transition": { "id": "51" } });
    assert_eq!(site.post(&path, bare).await.body["errors"]["resolution"], "Resolution is required.");
    let full = json!({ "transition": { "id": "51" }, "fields": { "resolution": { "name": "Done" } } });
    assert_eq!(site.post(&path, full).await.status, 204);
    let issue = site.jira.issue(&id).unwrap();
    assert_eq!((issue.status.as_str(), issue.changelog[0].items.len()), ("Shipped", 2));
}

#[tokio::test]
async fn comments_have_properties() {
    let site = Site::cloud().await;
    let id = site.create("fjb-1").await;
    let path = format!("/rest/api/3/issue/{id}/comment");
    let body = json!({ "body": doc("It succeeded."), "properties": [{ "key": "tag", "value": "end" }] });
    let made = site.post(&path, body).await;
    assert_eq!(made.status, 201);
    assert_eq!(site.get(&path).await.body["comments"][0].get("properties"), None);
    let shown = site.get(&format!("{path}?expand=properties")).await;
    assert_eq!(shown.body["comments"][0]["properties"], json!([{ "key": "tag", "value": "end" }]));
    let comment = made.body["id"].as_str().unwrap();
    let property = site.get(&format!("/rest/api/3/comment/{comment}/properties/tag")).await;
    assert_eq!(property.body, json!({ "key": "tag", "value": "end" }));
    assert_eq!(site.jira.issue(&id).unwrap().comments[0].text(), "It succeeded.");
    assert_eq!(site.post(&path, json!({ "body": "words" })).await.status, 400);
    assert_eq!(site.jira.complaints().len(), 1);
}

#[tokio::test]
async fn a_link_is_created_once() {
    let site = Site::cloud().await;
    let (one, two) = (site.create("a").await, site.create("b").await);
    let body =
        json!({ "type": { "name": "Relates" }, "inwardIssue": { "id": one }, "outwardIssue": { "id": two } });
    for _ in 0..2 {
        assert_eq!(site.post("/rest/api/3/issueLink", body.clone()).await.status, 201);
    }
    assert_eq!(site.jira.issue(&one).unwrap().links.len(), 1);
}

#[tokio::test]
async fn people_clone_move_and_delete() {
    let site = Site::cloud().await;
    let id = site.create("fjb-1").await;
    let clone = site.jira.clone_issue(&id, "bob").unwrap();
    let clone = site.jira.issue(&clone).unwrap();
    assert_eq!(clone.labels, ["flagger-gate", "fjb-1"]);
    assert!(clone.properties.is_empty() && clone.creator != BRIDGE);
    let key = site.jira.move_to_project(&id, "PAY", "mia").unwrap();
    let read = site.get("/rest/api/3/issue/OPS-1").await;
    assert_eq!((&read.body["key"], &read.body["id"]), (&json!(key), &json!(id)), "the old key finds it");
    let items = &site.jira.issue(&id).unwrap().changelog[0].items;
    assert!(items.iter().any(|c| c.field == "Key") && items.iter().any(|c| c.field == "project"));
    site.jira.change_type(&id, "Task", MIA).unwrap();
    assert_eq!(site.jira.issue(&id).unwrap().issue_type, "Task");
    site.jira.delete_issue(&id, MIA).unwrap();
    assert_eq!(site.get(&format!("/rest/api/3/issue/{id}")).await.status, 404);
    assert!(site.jira.move_issue(&id, "Approved", MIA).is_err());
}
