//! Faults, protocol checks and the `Date` header.

use std::time::Duration;

use serde_json::json;

use super::{Site, fields};
use crate::{BRIDGE, Fault, Operation, Times};

#[tokio::test]
async fn faults_decide_whether_a_request_is_processed() {
    let site = Site::cloud().await;
    let body = json!({ "fields": fields("fjb-1") });
    for (fault, issues) in [(Fault::LostAnswer, 1), (Fault::Dropped, 1), (Fault::Cut, 2)] {
        site.jira.fault(Operation::CreateIssue, fault.clone(), Times::Once);
        let lost = site.send(site.request("POST", "/rest/api/3/issue").json(&body)).await;
        assert!(lost.is_err(), "{fault:?}: {lost:?}");
        assert_eq!(site.jira.issues().len(), issues, "{fault:?}");
    }
    let statuses: Vec<Option<u16>> = site.jira.requests().iter().map(|r| r.status).collect();
    assert_eq!(statuses, [None, None, Some(201)]);
    site.jira.fault(Operation::CreateIssue, Fault::ActedBut(504), Times::Once);
    assert_eq!(site.post("/rest/api/3/issue", body).await.status, 504);
    assert_eq!(site.jira.issues().len(), 3);
}

#[tokio::test]
async fn faults_happen_as_often_as_planned() {
    let site = Site::cloud().await;
    let retry_after = Some("7".to_owned());
    site.jira.fault(Operation::Myself, Fault::TooMany { retry_after }, Times::Next(2));
    let down = Fault::Status { code: 503, retry_after: None, body: "down".into() };
    site.jira.fault(Operation::Any, down, Times::Always);
    let first = site.get("/rest/api/3/myself").await;
    assert_eq!((first.status, first.header("retry-after")), (429, "7"));
    assert_eq!(site.get("/rest/api/3/serverInfo").await.status, 503);
    assert_eq!(site.get("/rest/api/3/myself").await.status, 429);
    assert_eq!(site.get("/rest/api/3/myself").await.status, 503);
    site.jira.clear_faults();
    assert_eq!(site.get("/rest/api/3/myself").await.status, 200);
    assert_eq!(site.jira.requests().len(), 5);
}

#[tokio::test]
async fn faults_replace_the_answer() {
    let site = Site::cloud().await;
    let id = site.create("fjb-1").await;
    let path = format!("/rest/api/3/issue/{id}");
    let next = async |fault: Fault| {
        site.jira.fault(Operation::GetIssue, fault, Times::Once);
        site.get(&path).await
    };
    let got = next(Fault::Anonymous).await;
    assert_eq!((got.status, got.header("x-seraph-loginreason")), (404, "AUTHENTICATED_FAILED"));
    let got = next(Fault::Html).await;
    assert_eq!((got.status, got.text.starts_with("<!doctype html>")), (200, true));
    assert_eq!(next(Fault::Captcha).await.header("x-seraph-loginreason"), "AUTHENTICATION_DENIED");
    assert_eq!(next(Fault::Unauthorized).await.status, 401);
    let got = next(Fault::Empty).await;
    assert_eq!((got.status, got.text.as_str()), (200, ""));
    assert_eq!(next(Fault::WrongJson).await.body.get("id"), None);
    assert_eq!(next(Fault::BrokenJson).await.body, json!(null));
    assert_eq!(next(Fault::Redirect).await.status, 302);
    assert_eq!(next(Fault::Slow(Duration::from_millis(1))).await.status, 200);
}

#[tokio::test]
async fn invalid_requests_are_rejected() {
    let site = Site::cloud().await;
    let body = json!({ "fields": fields("x") });
    let browser =
        site.request("POST", "/rest/api/3/issue").header("User-Agent", "Mozilla/5.0 (X11)").json(&body);
    let got = site.send(browser).await.unwrap();
    assert_eq!((got.status, got.text.as_str()), (403, "XSRF check failed"));
    let plain = site.request("POST", "/rest/api/3/issue").body(body.to_string());
    assert_eq!(site.send(plain).await.unwrap().status, 415);
    let broken =
        site.request("POST", "/rest/api/3/issue").header("Content-Type", "application/json").body("{");
    assert_eq!(site.send(broken).await.unwrap().status, 400);
    let got = site.get("/rest/api/3/nothing").await;
    assert_eq!((got.status, got.header("content-type")), (404, "application/problem+json;charset=UTF-8"));
    assert_eq!(site.get("/rest/api/3/mypermissions").await.status, 400);
    assert_eq!(site.jira.complaints().len(), 5, "{:?}", site.jira.complaints());
    assert!(site.jira.issues().is_empty());
}

#[tokio::test]
async fn the_date_header_comes_from_the_clock() {
    let site = Site::cloud().await;
    assert_eq!(site.get("/rest/api/3/serverInfo").await.header("date"), "Mon, 21 Sep 2026 14:13:20 GMT");
    site.jira.set_date_skew(-60_000);
    assert_eq!(site.get("/rest/api/3/serverInfo").await.header("date"), "Mon, 21 Sep 2026 14:12:20 GMT");
}

#[tokio::test]
async fn answers_can_be_deep_huge_and_slow() {
    let site = Site::cloud().await;
    let id = site.create("fjb-1").await;
    let path = format!("/rest/api/3/issue/{id}");
    site.jira.fault(Operation::GetIssue, Fault::DeepJson, Times::Once);
    let got = site.get(&path).await;
    assert_eq!((got.status, got.header("x-aaccountid")), (200, BRIDGE));
    assert!(got.text.len() > 800_000, "{}", got.text.len());
    site.jira.fault(Operation::Any, Fault::Xsrf, Times::Next(2));
    let refused = site.post("/rest/api/3/issue", json!({ "fields": fields("fjb-2") })).await;
    assert_eq!((refused.status, refused.text.as_str()), (403, "XSRF check failed"));
    assert_eq!(site.get(&path).await.status, 200, "GET has no XSRF check");
    assert_eq!(site.jira.complaints(), Vec::<String>::new(), "a fault is not a mistake of the caller");

    for fault in [Fault::Flood, Fault::Trickle] {
        site.jira.fault(Operation::GetIssue, fault, Times::Once);
        let mut response = site.send_unread(site.request("GET", &path)).await.unwrap();
        assert_eq!(response.status(), 200);
        let first = response.chunk().await.unwrap().unwrap();
        assert!(first.iter().all(|byte| b" [".contains(byte)), "{first:?}");
    }
    // The flood stops when the caller disconnects; buffered bytes count too.
    assert!((1..64 << 20).contains(&site.jira.flooded()), "{}", site.jira.flooded());
}
