use axum::{body::Body, http::Method};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    http::{app::answer, shared::not_open_yet},
    mutation::{changed, changes, garbled},
};

const SECRET: &str = "It's a Secret to Everybody";
/// Of `Hello World!`, which is not JSON.
const SIGNATURE: &str = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9";

fn secret() -> Secret {
    Secret::value(SECRET).unwrap()
}

async fn post(secret: Option<Secret>, header: &str, value: &str, body: impl Into<Body>) -> (u16, String) {
    let request = Request::post(PATH).header(header, value).body(body.into()).unwrap();
    let (status, _, words) = answer(webhook_router(not_open_yet(), secret), request).await;
    assert!(words.ends_with('\n') && words.trim_end().lines().count() == 1, "{words:?}");
    assert!(!words.contains(SECRET));
    (status, words)
}

async fn with_token(body: impl Into<Body>) -> (u16, String) {
    post(Some(secret()), "authorization", &format!("Bearer {SECRET}"), body).await
}

#[tokio::test]
async fn a_caller_with_the_secret_is_accepted() {
    let signed = post(Some(secret()), "x-hub-signature", SIGNATURE, "Hello World!").await;
    assert_eq!(signed, (400, "the body is not JSON\n".into()));
    assert_eq!(with_token("Hello World!").await.0, 400);
    assert_eq!(with_token("{}").await, (200, "ignored\n".into()));
}

#[tokio::test]
async fn a_caller_without_the_secret_is_rejected() {
    let sha1 = "sha1=a4771c39fbe90f317c7824e83ddef3caae9cb3d9";
    for (header, value) in [
        ("x-hub-signature", "sha256="),
        ("x-hub-signature", sha1),
        ("x-hub-signature", ""),
        ("authorization", "Bearer wrong"),
        ("authorization", "Basic !"),
        ("authorization", "Bearer "),
        ("x-else", "else"),
    ] {
        assert_eq!(post(Some(secret()), header, value, "{}").await.0, 401, "{header}: {value}");
    }
    assert_eq!(post(Some(secret()), "x-hub-signature", SIGNATURE, "Hello World?").await.0, 401);
    let both = Request::post(PATH)
        .header("authorization", format!("Bearer {SECRET}"))
        .header("x-hub-signature", "sha256=00")
        .body(Body::from("{}"))
        .unwrap();
    assert_eq!(answer(webhook_router(not_open_yet(), Some(secret())), both).await.0, 401);
}

/// The file changes while the bridge serves: both secrets during a rotation, then one.
#[tokio::test]
async fn a_secret_is_rotated_in_its_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut changes = 0;
    let mut write = |text: &str| {
        changes += 1;
        std::fs::write(file.path(), text).unwrap();
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(changes);
        std::fs::File::options().write(true).open(file.path()).unwrap().set_modified(time).unwrap();
    };
    write("old\n");
    let secret = Secret::file(file.path()).unwrap();
    let statuses = async || {
        let mut statuses = Vec::new();
        for word in ["old", "new", ""] {
            let signature = fake_jira::signature(word, b"{}");
            statuses.push(post(Some(secret.clone()), "x-hub-signature", &signature, "{}").await.0);
            let token = format!("Bearer {word}");
            statuses.push(post(Some(secret.clone()), "authorization", &token, "{}").await.0);
        }
        statuses
    };
    assert_eq!(statuses().await, [200, 200, 401, 401, 401, 401]);
    write("new\n\nold\n");
    assert_eq!(statuses().await, [200, 200, 200, 200, 401, 401]);
    write("new\n");
    assert_eq!(statuses().await, [401, 401, 200, 200, 401, 401]);
    write(" \n");
    assert_eq!(statuses().await, [401, 401, 200, 200, 401, 401], "an empty file keeps the old secret");
    assert!(Secret::file(file.path()).is_err(), "and is rejected at the start");
    write("old");
    assert_eq!(statuses().await, [200, 200, 401, 401, 401, 401]);
}

#[tokio::test]
async fn without_a_secret_it_is_off() {
    let (status, words) = post(None, "authorization", "Bearer ", "{}").await;
    assert_eq!((status, words.as_str()), (401, "the webhook is off: jira.webhook_secret is not set\n"));
}

#[tokio::test]
async fn a_ticket_that_cannot_be_stored_is_asked_for_again() {
    let answer = with_token(r#"{"issue":{"id":"10042"}}"#).await;
    assert_eq!(answer, (503, "not stored: the store is not open yet\n".into()));
}

#[tokio::test]
async fn a_body_may_have_a_megabyte() {
    let body = |size: usize| format!("\"{}\"", "x".repeat(size - 2));
    assert_eq!(with_token(body(1024 * 1024)).await.0, 200);
    assert_eq!(with_token(body(1024 * 1024 + 1)).await, (413, "the body is too large\n".into()));
}

#[tokio::test]
async fn there_is_nothing_else_here() {
    for (method, path, expected) in [
        (Method::GET, PATH, 405),
        (Method::PUT, PATH, 405),
        (Method::POST, "/jira/webhook/", 404),
        (Method::POST, "/gate/confirm-rollout", 404),
        (Method::GET, "/metrics", 404),
        (Method::GET, "/readyz", 404),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let (status, headers, _) = answer(webhook_router(not_open_yet(), Some(secret())), request).await;
        assert_eq!(status, expected, "{path}");
        assert_eq!(
            headers.get("allow").map(|allow| allow.to_str().unwrap()),
            (status == 405).then_some("POST")
        );
    }
}

#[tokio::test]
async fn load_balancers_get_an_empty_answer() {
    for (method, path, expected) in [
        (Method::GET, "/", 200),
        (Method::HEAD, "/", 200),
        (Method::GET, "/healthz", 200),
        (Method::HEAD, "/healthz", 200),
        (Method::POST, "/", 405),
        (Method::POST, "/healthz", 405),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let (status, _, words) = answer(webhook_router(not_open_yet(), None), request).await;
        assert_eq!((status, words.is_empty()), (expected, expected == 200), "{path}");
    }
}

#[test]
fn the_issue_is_found_in_every_format() {
    let found = |body: &str| ticket(body.as_bytes());
    for body in [
        r#"{"timestamp":1,"webhookEvent":"jira:issue_updated","issue":{"id":"10042","key":"REL-7"},"id":5}"#,
        r#"{"issue":{"id":10042}}"#,
        r#"{"id":10042,"key":"REL-7","changelog":{"histories":null}}"#,
        r#"{"id":"10042"}"#,
        r#"{"issueId":"10042","issueKey":"REL-7","id":"7"}"#,
    ] {
        assert_eq!(found(body), Ok(Some("10042".into())), "{body}");
    }
    for body in [
        "{}",
        "[]",
        "null",
        "7",
        r#"{"issue":null}"#,
        r#"{"issue":"10042"}"#,
        r#"{"issue":{"id":null}}"#,
        r#"{"issue":{"id":""}}"#,
        r#"{"issue":{"id":"REL-7"}}"#,
        r#"{"issue":{"id":-7}}"#,
        r#"{"issue":{"id":7.5}}"#,
        r#"{"issue":{"id":"12345678901234567890"}}"#,
        r#"{"issue":{"id":"1 OR 1=1"}}"#,
    ] {
        assert_eq!(found(body), Ok(None), "{body}");
    }
    assert_eq!(found(""), Err(NotJson));
    assert_eq!(found(&"[".repeat(100_000)), Err(NotJson));
}

proptest! {
    /// A webhook is accepted only if the caller signed these bytes with the secret, or sent the secret, whatever
    /// the headers and the body hold.
    #[test]
    fn only_a_caller_with_the_secret_is_accepted(
        bytes in changes(0..4), secrets in proptest::collection::vec("[a-z]{1,3}", 1..3), key in "[a-z]{0,3}",
        dress in 0..12_u8, token in prop_oneof!["[a-z]{0,4}", "\\PC{0,8}"], signs: bool, sends: bool,
    ) {
        let body = garbled(r#"{"issue":{"id":"10042"}}"#, &bytes);
        let signature = fake_jira::signature(&key, &body);
        let digits = signature.strip_prefix("sha256=").unwrap();
        let (signature, dressed) = match dress {
            0 => (format!("sha1={digits}"), false),
            1 => (digits.to_owned(), false),
            2 => (format!("SHA256={digits}"), false),
            3 => (format!("sha256= {digits}"), false),
            4 => (format!("sha256={}", &digits[..63]), false),
            5 => (format!("sha256={digits}0"), false),
            6 => (format!("sha256={}", digits.to_uppercase()), true),
            7 => (format!("sha256={}", "0".repeat(64)), false),
            8 => (format!("{signature}, {signature}"), false),
            _ => (signature.clone(), true),
        };
        let file = secrets.join("\n");
        let valid: Vec<_> = file.lines().map(|line| secrecy::SecretString::from(line.to_owned())).collect();
        let mut headers = HeaderMap::new();
        if signs {
            headers.insert("x-hub-signature", signature.parse().unwrap());
        }
        if sends && let Ok(value) = format!("Bearer {token}").parse() {
            headers.insert("authorization", value);
        }
        let accepted = match authenticate(&headers, valid) {
            Ok(DeliveryProof::Token) => true,
            Ok(DeliveryProof::Signature { signature, secrets }) => is_signed(&body, &signature, &secrets),
            Err(_) => false,
        };
        let knows = |word: &str| secrets.iter().any(|secret| secret == word);
        let expected = if signs { dressed && knows(&key) } else { sends && knows(token.trim()) };
        prop_assert_eq!(accepted, expected);
    }

    /// A nudge holds only a number, and the body contains it.
    #[test]
    fn an_issue_is_a_number_that_is_there(
        change in changes(0..5), bytes in prop_oneof![3 => Just(vec![]), 1 => changes(1..5)], automation: bool,
    ) {
        let sent = if automation {
            json!({"issueId": 10042, "issueKey": "OPS-7", "statusId": "3"})
        } else {
            json!({"timestamp": 1, "webhookEvent": "jira:issue_updated", "issue": {"id": "10042", "key": "OPS-7",
                   "fields": {"status": {"id": "3"}}}, "changelog": {"id": "1", "items": []}})
        };
        let body = garbled(&changed(sent, &change).to_string(), &bytes);
        match ticket(&body) {
            Ok(Some(id)) => {
                prop_assert!(id.bytes().all(|byte| byte.is_ascii_digit()) && id.len() <= 19);
                prop_assert!(String::from_utf8_lossy(&body).contains(&id));
            }
            Ok(None) => prop_assert!(serde_json::from_slice::<Value>(&body).is_ok()),
            Err(NotJson) => prop_assert!(serde_json::from_slice::<Value>(&body).is_err()),
        }
    }
}
