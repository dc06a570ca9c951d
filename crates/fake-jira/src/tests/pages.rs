//! The pages, as a browser requests them.

use serde_json::json;

use super::{Site, fields};
use crate::{AUTOMATION, BOB, BRIDGE, MIA};

#[tokio::test]
async fn the_page_shows_issues_and_moves_them() {
    let site = Site::cloud().await;
    let mut fields = fields("fjb-1");
    fields["summary"] = json!("<script>alert(1)</script>");
    site.post("/rest/api/3/issue", json!({ "fields": fields })).await;
    site.jira.comment("OPS-1", "a <b>bold</b> claim", "bob").unwrap();
    site.jira.clear_requests();
    let list = site.get("/").await;
    assert_eq!(list.status, 200);
    assert!(!list.text.contains("<script>") && list.text.contains("&lt;script&gt;"));
    assert!(!list.text.contains("<b>bold") && list.text.contains("http-equiv=\"refresh\""));
    assert!(list.text.contains("action=\"/click/OPS-1/31\""), "{}", list.text);
    let clicked = site.send(site.request("POST", "/click/OPS-1/31")).await.unwrap();
    assert_eq!((clicked.status, clicked.header("location")), (303, "/browse/OPS-1"));
    let issue = site.jira.issue("OPS-1").unwrap();
    assert_eq!((issue.status.as_str(), issue.changelog[0].author.as_deref()), ("Approved", Some(MIA)));
    let page = site.get("/browse/OPS-1").await;
    assert!(page.header("content-security-policy").starts_with("default-src 'none';"));
    for text in [
        "simulated Jira",
        "You are <strong>Mia Change",
        "Operations (OPS)",
        "changed status",
        "To Do → Approved",
    ] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
    assert_eq!(site.get("/browse/OPS-9").await.status, 404);
    assert!(site.jira.requests().is_empty(), "requests to the pages are not recorded");
}

/// A visitor of the pages can act as each person, also in the browser's next requests.
#[tokio::test]
async fn a_visitor_chooses_who_clicks() {
    let site = Site::cloud().await;
    site.create("fjb-1").await;
    let page = site.get("/browse/OPS-1").await.text;
    let switch = format!("/act-as/{BOB}/browse/OPS-1");
    assert!(page.contains("You are <strong>Mia Change</strong> (jira-users)"), "{page}");
    assert!(
        page.contains(&format!("action=\"{switch}\"")) && page.contains(">Act as Bob Builder<"),
        "{page}"
    );
    assert!(
        !page.contains("Act as Mia") && !page.contains("Act as Flagger") && !page.contains("Act as Auto")
    );
    let switched = site.send(site.request("POST", &switch)).await.unwrap();
    assert_eq!((switched.status, switched.header("location")), (303, "/browse/OPS-1"));
    let cookie = switched.header("set-cookie").split(';').next().unwrap().to_owned();
    let as_bob = |method: &str, path: &str| site.request(method, path).header("cookie", &cookie);
    let page = site.send(as_bob("GET", "/browse/OPS-1")).await.unwrap().text;
    assert!(
        page.contains("You are <strong>Bob Builder</strong>") && page.contains("Act as Mia Change"),
        "{page}"
    );
    site.send(as_bob("POST", "/click/OPS-1/41")).await.unwrap();
    let issue = site.jira.issue("OPS-1").unwrap();
    assert_eq!((issue.status.as_str(), issue.changelog[0].author.as_deref()), ("Rejected", Some(BOB)));
    // From the list back to the list; and nobody acts as an app or as the bridge.
    let listed = site.send(site.request("POST", &format!("/act-as/{BOB}"))).await.unwrap();
    assert_eq!(listed.header("location"), "/");
    for account in [AUTOMATION, BRIDGE, "nobody"] {
        let refused = site.send(site.request("POST", &format!("/act-as/{account}"))).await.unwrap();
        assert_eq!(refused.status, 404, "{account}");
        let forged = site.request("GET", "/").header("cookie", format!("simulated-jira-acts-as={account}"));
        assert!(site.send(forged).await.unwrap().text.contains("You are <strong>Mia Change"), "{account}");
    }
}
