//! The webhooks that Jira sends when an issue changes.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use serde_json::Value;
use tokio::sync::Notify;

use super::Site;
use crate::{BOB, signature};

#[test]
fn the_signature_matches_the_published_test_vector() {
    assert_eq!(
        signature("It's a Secret to Everybody", b"Hello World!"),
        "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
    );
}

type Requests = Arc<(Mutex<Vec<(HeaderMap, Bytes)>>, Notify)>;

/// Starts a webhook receiver. It answers 503 to the first request.
async fn receiver() -> (String, Requests) {
    let requests = Requests::default();
    let handler = async |State(requests): State<Requests>, headers: HeaderMap, body: Bytes| {
        let mut list = requests.0.lock().unwrap();
        list.push((headers, body));
        requests.1.notify_one();
        axum::http::StatusCode::from_u16(if list.len() == 1 { 503 } else { 200 }).unwrap()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = Router::new().route("/hook", post(handler)).with_state(requests.clone());
    tokio::spawn(async { axum::serve(listener, router).await });
    (url, requests)
}

async fn wait_for(requests: &Requests, count: usize) -> Vec<(HeaderMap, Bytes)> {
    loop {
        let list = requests.0.lock().unwrap().clone();
        if list.len() >= count {
            return list;
        }
        requests.1.notified().await;
    }
}

#[tokio::test]
async fn every_change_is_sent_and_signed() {
    let site = Site::cloud().await;
    let id = site.create("fjb-1").await;
    let (url, requests) = receiver().await;
    site.jira.webhook(&url, Some("webhook-secret"), Some("bearer-secret"));
    site.jira.move_issue(&id, "Approved", "bob").unwrap();
    let (headers, body) = wait_for(&requests, 1).await.remove(0);
    assert_eq!(headers["x-hub-signature"], signature("webhook-secret", &body));
    assert_eq!(headers["authorization"], "Bearer bearer-secret");
    assert_eq!(headers["user-agent"], "Atlassian Webhook HTTP Client");
    let payload: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(payload["webhookEvent"], "jira:issue_updated");
    assert_eq!(payload["user"]["accountId"], BOB);
    assert_eq!(payload["issue"]["id"], id.as_str());
    assert_eq!(payload["issue"]["fields"]["status"]["id"], "10007");
    assert_eq!(payload["changelog"]["items"][0]["to"], "10007");
    while site.jira.deliveries().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(site.jira.deliveries()[0].status, Some(503));
    assert_eq!(site.jira.redeliver(), 1);
    let (again, same) = wait_for(&requests, 2).await.remove(1);
    assert_eq!(again["x-atlassian-webhook-identifier"], headers["x-atlassian-webhook-identifier"]);
    assert_eq!((&again["x-atlassian-webhook-retry"], same), (&"1".parse().unwrap(), body));
    site.jira.delete_issue(&id, "mia").unwrap();
    let payload: Value = serde_json::from_slice(&wait_for(&requests, 3).await[2].1).unwrap();
    assert_eq!(
        (&payload["webhookEvent"], &payload["issue"]["id"]),
        (&"jira:issue_deleted".into(), &id.into())
    );
}
