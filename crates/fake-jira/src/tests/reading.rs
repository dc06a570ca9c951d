//! Credentials, bulk reads, search, changelogs and reads of the configuration on Cloud.

use std::time::Duration;

use serde_json::{Value, json};

use super::Site;
use crate::{Credentials, MIA};

#[tokio::test]
async fn wrong_credentials_run_as_anonymous() {
    let mut site = Site::cloud().await;
    let id = site.create("fjb-1").await;
    let good = site.get("/rest/api/3/myself").await;
    assert_eq!((good.status, good.header("x-aaccountid")), (200, "5b10ac8d82e05b22cc7d4e99"));
    site.jira.set_token("another");
    let read = site.get(&format!("/rest/api/3/issue/{id}")).await;
    assert_eq!((read.status, read.header("x-aaccountid")), (404, ""));
    assert_eq!(read.header("x-seraph-loginreason"), "AUTHENTICATED_FAILED");
    assert_eq!(site.get("/rest/api/3/myself").await.status, 401);
    let found = site.post("/rest/api/3/search/jql", json!({ "jql": "project = OPS" })).await;
    assert_eq!((found.status, &found.body["issues"]), (200, &json!([])));
    let bulk = site.post("/rest/api/3/issue/bulkfetch", json!({ "issueIdsOrKeys": [id] })).await;
    assert_eq!(bulk.body, json!({ "issues": [], "issueErrors": [] }));
    let permissions = site.get("/rest/api/3/mypermissions?projectKey=OPS&permissions=CREATE_ISSUES").await;
    assert_eq!(permissions.body["permissions"]["CREATE_ISSUES"]["havePermission"], false);
    assert_eq!(site.jira.requests().last().unwrap().credentials, Credentials::Wrong);
    assert!(site.jira.requests().iter().all(|r| r.headers.iter().all(|(name, _)| name != "authorization")));
    site.authorization = "Bearer jira-token".into();
    assert_eq!(site.get("/rest/api/3/serverInfo").await.status, 403);
    site.authorization = String::new();
    assert_eq!(site.get("/rest/api/3/serverInfo").await.body["deploymentType"], "Cloud");
}

#[tokio::test]
async fn the_user_is_compared_without_case() {
    let mut site = Site::cloud().await;
    // Bridge@Example.com:jira-token
    site.authorization = "Basic QnJpZGdlQEV4YW1wbGUuY29tOmppcmEtdG9rZW4=".into();
    assert_eq!(site.get("/rest/api/3/myself").await.status, 200);
}

#[tokio::test]
async fn bulk_reads_omit_missing_and_hidden_issues() {
    let site = Site::cloud().await;
    let (one, two) = (site.create("a").await, site.create("b").await);
    site.jira.hide_issue(&two, true).unwrap();
    let body = json!({ "issueIdsOrKeys": ["99999", two, one, "OPS-1"], "fields": ["status"] });
    let got = site.post("/rest/api/3/issue/bulkfetch", body).await;
    let ids: Vec<&Value> = got.body["issues"].as_array().unwrap().iter().map(|i| &i["id"]).collect();
    assert_eq!(ids, [&json!(one)]);
    assert_eq!(got.body["issueErrors"], json!([]));
    let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let got = site.post("/rest/api/3/issue/bulkfetch", json!({ "issueIdsOrKeys": many })).await;
    assert_eq!(got.status, 400);
    assert_eq!(site.jira.complaints().len(), 1);
}

#[tokio::test]
async fn search_supports_the_queries_of_the_bridge() {
    let site = Site::cloud().await;
    let (one, two) = (site.create("fjb-1").await, site.create("fjb-2").await);
    let search = async |jql: &str| {
        let got = site.post("/rest/api/3/search/jql", json!({ "jql": jql })).await;
        let ids =
            |list: &Vec<Value>| list.iter().map(|i| i["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        (got.status, got.body["issues"].as_array().map(ids).unwrap_or_default())
    };
    assert_eq!(search("project = OPS AND labels = \"fjb-1\"").await, (200, vec![one.clone()]));
    assert_eq!(search("labels in (\"fjb-2\", 'none') order by created desc").await, (200, vec![two.clone()]));
    assert_eq!(search(&format!("id in ({one}, 99999) ORDER BY id")).await, (200, vec![one.clone()]));
    assert_eq!(search("key in (OPS-1,OPS-2)").await, (200, vec![one.clone(), two.clone()]));
    assert_eq!(search("issue in (OPS-2) and labels = flagger-gate").await, (200, vec![two.clone()]));
    assert_eq!(search("project = OPS and labels != fjb-1").await, (200, vec![two]));
    for bad in
        ["", "order by key", "labels = \"a", "labels ~ a", "a = b", "labels = x OR id = 1", "labels = a b"]
    {
        assert_eq!(search(bad).await.0, 400, "{bad}");
    }
    assert_eq!(site.jira.complaints().len(), 7);
    assert_eq!(search("project = NOPE").await.0, 400);
    assert_eq!(site.jira.complaints().len(), 7, "an unknown project is not a mistake of the caller");
}

#[tokio::test]
async fn search_is_paged_and_has_no_total() {
    let site = Site::cloud().await;
    for label in ["a", "b", "c"] {
        site.create(label).await;
    }
    site.jira.set_page_size(2);
    let first =
        site.post("/rest/api/3/search/jql", json!({ "jql": "project = OPS", "fields": ["labels"] })).await;
    assert_eq!((first.body["issues"].as_array().unwrap().len(), &first.body["isLast"]), (2, &json!(false)));
    assert_eq!(first.body.get("total"), None);
    let token = first.body["nextPageToken"].clone();
    let next =
        site.post("/rest/api/3/search/jql", json!({ "jql": "project = OPS", "nextPageToken": token })).await;
    assert_eq!(next.body, json!({ "issues": [{ "id": "10044" }], "isLast": true }));
    let other = json!({ "jql": "project = PAY", "nextPageToken": token });
    assert_eq!(site.post("/rest/api/3/search/jql", other).await.status, 400);
    let got =
        site.get("/rest/api/3/search/jql?jql=labels%20%3D%20%22b%22&fields=labels,status&maxResults=1").await;
    assert_eq!(got.body["issues"][0]["fields"]["labels"], json!(["flagger-gate", "b"]));
}

#[tokio::test]
async fn search_lags_but_reads_do_not() {
    let site = Site::cloud().await;
    site.jira.set_index_lag(Duration::from_secs(60));
    let id = site.create("fjb-1").await;
    let query = json!({ "jql": "labels = fjb-1" });
    let found = async || {
        site.post("/rest/api/3/search/jql", query.clone()).await.body["issues"].as_array().unwrap().len()
    };
    assert_eq!(found().await, 0);
    assert_eq!(site.get(&format!("/rest/api/3/issue/{id}")).await.status, 200);
    let bulk = site.post("/rest/api/3/issue/bulkfetch", json!({ "issueIdsOrKeys": [id] })).await;
    assert_eq!(bulk.body["issues"].as_array().unwrap().len(), 1);
    let known = json!({ "jql": "labels = fjb-1", "reconcileIssues": [10042] });
    assert_eq!(site.post("/rest/api/3/search/jql", known).await.body["issues"].as_array().unwrap().len(), 1);
    site.advance(Duration::from_secs(60));
    assert_eq!(found().await, 1);
}

#[tokio::test]
async fn each_changelog_has_its_order() {
    let site = Site::cloud().await;
    let id = site.create("fjb-1").await;
    for (status, account) in [("Approved", "mia"), ("Rejected", "bob"), ("To Do", "")] {
        site.advance(Duration::from_secs(1));
        site.jira.move_issue(&id, status, account).unwrap();
    }
    let to = |list: &Value| -> Vec<String> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|e| e["items"][0]["toString"].as_str().unwrap().to_owned())
            .collect()
    };
    let page = site.get(&format!("/rest/api/3/issue/{id}/changelog?maxResults=2")).await.body;
    assert_eq!(to(&page["values"]), ["Approved", "Rejected"]);
    assert_eq!((&page["isLast"], &page["total"]), (&json!(false), &json!(3)));
    let first = &page["values"][0];
    assert_eq!(
        (&first["author"]["accountId"], &first["items"][0]["fieldId"]),
        (&json!(MIA), &json!("status"))
    );
    assert_eq!((&first["items"][0]["from"], &first["items"][0]["to"]), (&json!("10001"), &json!("10007")));
    let whole = site.get(&format!("/rest/api/3/issue/{id}?expand=changelog&fields=status")).await.body;
    assert_eq!(to(&whole["changelog"]["histories"]), ["To Do", "Rejected", "Approved"]);
    assert_eq!(whole["changelog"]["histories"][0].get("author"), None, "Jira does not know the author");
    let body = json!({ "issueIdsOrKeys": [id], "expand": ["changelog"], "fields": ["status"] });
    let bulk = site.post("/rest/api/3/issue/bulkfetch", body).await.body;
    assert_eq!(to(&bulk["issues"][0]["changelog"]["histories"]), ["To Do", "Rejected", "Approved"]);
}

#[tokio::test]
async fn a_bulk_read_has_at_most_forty_changelog_entries() {
    let site = Site::cloud().await;
    let id = site.create("fjb-1").await;
    for n in 0..50 {
        site.jira.move_issue(&id, if n % 2 == 0 { "Approved" } else { "To Do" }, "mia").unwrap();
    }
    let body = json!({ "issueIdsOrKeys": [id], "expand": ["changelog"] });
    let bulk = site.post("/rest/api/3/issue/bulkfetch", body).await.body;
    assert_eq!(bulk["issues"][0]["changelog"]["histories"].as_array().unwrap().len(), 40);
    assert_eq!(bulk["issues"][0]["changelog"]["total"], 50);
}

#[tokio::test]
async fn names_follow_the_language_of_the_account() {
    let site = Site::cloud().await;
    site.jira.set_translated(true);
    let name = |body: &Value| body[0]["statuses"][2]["name"].as_str().unwrap().to_owned();
    let path = "/rest/api/3/project/OPS/statuses";
    assert_eq!(name(&site.get(path).await.body), "Genehmigt");
    let plain = site.request("GET", path).header("Accept-Language", "en");
    assert_eq!(name(&site.send(plain).await.unwrap().body), "Genehmigt", "the header alone is ignored");
    let forced =
        site.request("GET", path).header("Accept-Language", "en").header("X-Force-Accept-Language", "true");
    assert_eq!(name(&site.send(forced).await.unwrap().body), "Approved");
    assert_eq!(site.get("/rest/api/3/project/ops/statuses").await.status, 404, "the key's case matters");
}

#[tokio::test]
async fn users_groups_and_roles_can_be_read() {
    let site = Site::cloud().await;
    site.jira.add_group("cab", &["mia", "bob"]);
    site.jira.add_to_role("OPS", "Approvers", &["mia"], &["cab"]);
    let found = site.get("/rest/api/3/user/search?query=mia@example.com").await.body;
    assert_eq!((found.as_array().unwrap().len(), &found[0]["accountId"]), (1, &json!(MIA)));
    assert_eq!(found[0].get("emailAddress"), None);
    assert_eq!(site.get("/rest/api/3/user/search?username=mia").await.status, 400);
    let members = site.get("/rest/api/3/group/member?groupname=cab").await.body;
    assert_eq!((&members["total"], &members["values"][0]["accountId"]), (&json!(2), &json!(MIA)));
    assert_eq!(site.get("/rest/api/3/group/member?groupname=none").await.status, 404);
    let roles = site.get("/rest/api/3/project/OPS/role").await.body;
    let id = roles["Approvers"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let role = site.get(&format!("/rest/api/3/project/OPS/role/{id}")).await.body;
    assert_eq!(role["actors"][0]["actorUser"]["accountId"], MIA);
    assert_eq!(role["actors"][1]["actorGroup"]["name"], "cab");
}
