//! How Data Center differs from Cloud.

use serde_json::json;

use super::{START, Site, fields};
use crate::{FakeJira, Flavour, Setup, TimeSource};

#[tokio::test]
async fn only_the_valid_token_is_accepted() {
    let mut site = Site::data_center().await;
    let me = site.get("/rest/api/2/myself").await;
    assert_eq!(
        (me.status, me.header("x-ausername"), &me.body["name"]),
        (200, "flagger-bridge", &json!("flagger-bridge"))
    );
    site.authorization = "Bearer wrong".into();
    let got = site.get("/rest/api/2/myself").await;
    assert_eq!((got.status, got.header("x-ausername")), (401, "anonymous"));
    // flagger-bridge:jira-token
    site.authorization = "Basic ZmxhZ2dlci1icmlkZ2U6amlyYS10b2tlbg==".into();
    assert_eq!(site.get("/rest/api/2/myself").await.status, 403, "Basic authentication is disabled");
    site.authorization = String::new();
    assert_eq!(site.get("/rest/api/2/mypermissions").await.status, 401);
}

#[tokio::test]
async fn basic_authentication_can_be_enabled() {
    let mut site = Site::data_center().await;
    let setup = Setup {
        password: Some("secret".into()),
        ..Setup::new(Flavour::DataCenter, TimeSource::new(|| START))
    };
    site.jira = FakeJira::new(setup);
    site.base = site.jira.start().await.unwrap();
    // flagger-bridge:secret
    site.authorization = "Basic ZmxhZ2dlci1icmlkZ2U6c2VjcmV0".into();
    assert_eq!(site.get("/rest/api/2/myself").await.status, 200);
    // flagger-bridge:jira-token
    site.authorization = "Basic ZmxhZ2dlci1icmlkZ2U6amlyYS10b2tlbg==".into();
    assert_eq!(site.get("/rest/api/2/myself").await.status, 401, "a token is not valid as a password");
}

#[tokio::test]
async fn text_is_wiki_markup() {
    let site = Site::data_center().await;
    let mut fields = fields("fjb-1");
    fields["description"] = json!("*Waiting* for approval.");
    assert_eq!(site.post("/rest/api/2/issue", json!({ "fields": fields })).await.status, 201);
    assert_eq!(site.jira.issue("OPS-1").unwrap().description, "*Waiting* for approval.");
    fields["description"] = super::doc("ADF");
    let got = site.post("/rest/api/2/issue", json!({ "fields": fields })).await;
    assert_eq!((got.status, site.jira.complaints().len()), (400, 1));
    let edit = json!({ "fields": { "priority": { "name": "High" } } });
    assert_eq!(
        site.put("/rest/api/2/issue/OPS-1", edit).await.status,
        400,
        "an edit must use fields of the screen"
    );
}

#[tokio::test]
async fn an_unknown_issue_fails_a_validated_search() {
    let site = Site::data_center().await;
    let id = site.create("fjb-1").await;
    let jql = format!("id in ({id}, 99999)");
    let got = site.post("/rest/api/2/search", json!({ "jql": jql })).await;
    assert_eq!(got.status, 400);
    assert_eq!(got.body["errorMessages"][0], "A value with ID '99999' does not exist for the field 'id'.");
    let body = json!({ "jql": jql, "validateQuery": false, "fields": ["status"], "expand": ["changelog"] });
    site.jira.move_issue(&id, "Approved", "mia").unwrap();
    site.jira.move_issue(&id, "Rejected", "bob").unwrap();
    let got = site.post("/rest/api/2/search", body).await;
    assert_eq!((got.status, &got.body["total"], &got.body["issues"][0]["id"]), (200, &json!(1), &json!(id)));
    let histories = &got.body["issues"][0]["changelog"]["histories"];
    assert_eq!(histories[0]["items"][0]["toString"], "Approved", "oldest first");
    assert_eq!(histories[0]["items"][0].get("fieldId"), None);
    assert_eq!(histories[0]["author"]["name"], "mia");
    assert_eq!(
        site.post("/rest/api/2/search", json!({ "jql": jql, "expand": "changelog" })).await.status,
        400
    );
    assert_eq!(site.post("/rest/api/2/search/jql", json!({ "jql": jql })).await.status, 404);
    assert_eq!(site.jira.complaints().len(), 1 + 1, "{:?}", site.jira.complaints());
}

#[tokio::test]
async fn a_wrong_transition_id_is_an_internal_error() {
    let site = Site::data_center().await;
    let id = site.create("fjb-1").await;
    let path = format!("/rest/api/2/issue/{id}/transitions");
    assert_eq!(site.post(&path, json!({ "transition": { "id": "999" } })).await.status, 500);
    assert_eq!(site.post(&path, json!({ "transition": { "id": "31" } })).await.status, 204);
    assert_eq!(site.post(&path, json!({ "transition": { "id": "31" } })).await.status, 400);
    let meta = site.get("/rest/api/2/issue/createmeta/OPS/issuetypes").await;
    assert_eq!(meta.body["values"][0]["name"], "Change");
    assert_eq!(site.get("/rest/api/2/user/search?username=mi").await.body[0]["name"], "mia");
}

#[tokio::test]
async fn it_serves_under_a_context_path() {
    let mut site = Site::data_center().await;
    let setup =
        Setup { context: "/jira".into(), ..Setup::new(Flavour::DataCenter, TimeSource::new(|| START)) };
    site.jira = FakeJira::new(setup);
    site.base = site.jira.start().await.unwrap();
    assert!(site.base.ends_with("/jira"));
    assert_eq!(site.get("/rest/api/2/serverInfo").await.body["baseUrl"], json!(site.base));
    assert_eq!(site.jira.requests()[0].path, "/rest/api/2/serverInfo");
    site.base = site.base.trim_end_matches("/jira").to_owned();
    assert_eq!(site.get("/rest/api/2/serverInfo").await.status, 404);
}
