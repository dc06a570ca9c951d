//! Bad input gets the stated code and one clear line, opens no ticket, and changes nothing.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use fake_jira::{Flavour, signature};
use serde_json::json;

use crate::world::{Answer, WEBHOOK_SECRET, World, question};

const TOKEN: &str = "the-token-flagger-brings";

/// Checks the status and that the answer is one line. Returns the line.
fn refused(answer: &Answer, status: u16, about: &str) -> String {
    assert_eq!(answer.status, status, "{about}: {}", answer.body);
    let line = answer.body.strip_suffix('\n').unwrap_or(&answer.body);
    assert!(!line.is_empty() && !line.contains('\n'), "{about}: not one line: {line:?}");
    assert!(!line.contains(TOKEN) && !line.contains(WEBHOOK_SECRET), "{about}: {line}");
    line.to_owned()
}

/// Checks that no canary is stored, and no request was sent to Jira.
async fn assert_untouched(world: &World) {
    world.run_worker().await;
    assert_eq!(world.gates().await, json!([]));
    assert_eq!(world.jira.requests().len(), 0);
    // The only write is the worker's lease.
    assert_eq!(world.turns().await, 1, "the store");
}

#[tokio::test]
async fn bad_questions() {
    let world = World::start_with(Flavour::Cloud, "flagger.namespaces = [\"shop\"]").await;
    let good = question("Waiting", "abc");
    let with = |key: &str, value: serde_json::Value| {
        let mut body = good.clone();
        body[key] = value;
        body.to_string()
    };
    let deep = format!(
        "{{\"name\":\"cart\",\"namespace\":\"shop\",\"x\":{}{}}}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let large = with("metadata", json!({ "x": "y".repeat(64 * 1024) }));
    let json = "application/json";
    let cases: Vec<(&str, &str, &str, &str, String, u16)> = vec![
        ("malformed", "POST", "/gate/confirm-rollout", json, "{\"name\":".into(), 400),
        ("empty", "POST", "/gate/confirm-rollout", json, String::new(), 400),
        ("an array", "POST", "/gate/confirm-rollout", json, "[]".into(), 400),
        ("deep", "POST", "/gate/confirm-rollout", json, deep, 400),
        ("no name", "POST", "/gate/confirm-rollout", json, "{\"namespace\":\"shop\"}".into(), 400),
        ("upper case", "POST", "/gate/confirm-rollout", json, with("name", json!("Cart")), 400),
        ("JQL", "POST", "/gate/confirm-rollout", json, with("name", json!("x\" OR project = PAY")), 400),
        ("path", "POST", "/gate/confirm-rollout", json, with("name", json!("../cart")), 400),
        ("NUL", "POST", "/gate/confirm-rollout", json, with("name", json!("ca\0rt")), 400),
        ("long name", "POST", "/gate/confirm-rollout", json, with("name", json!("a".repeat(254))), 400),
        ("namespace", "POST", "/gate/confirm-rollout", json, with("namespace", json!("shop.x")), 400),
        ("checksum", "POST", "/gate/confirm-rollout", json, with("checksum", json!("a b")), 400),
        ("metadata", "POST", "/gate/confirm-rollout", json, with("metadata", json!({ "a": [1] })), 400),
        ("gate name", "POST", "/gate/confirm-rollout?gate=Q%20A", json, good.to_string(), 400),
        ("two gates", "POST", "/gate/confirm-rollout?gate=a&gate=b", json, good.to_string(), 400),
        ("cluster", "POST", "/gate/confirm-rollout?cluster=other", json, good.to_string(), 403),
        ("another namespace", "POST", "/gate/confirm-rollout", json, with("namespace", json!("pay")), 403),
        ("type", "POST", "/gate/confirm-rollout", "text/plain", good.to_string(), 415),
        ("large", "POST", "/gate/confirm-rollout", json, large, 413),
        ("stage", "POST", "/gate/confirm-nothing", json, good.to_string(), 404),
        ("root", "POST", "/", json, good.to_string(), 404),
        ("webhook on the gate port", "POST", "/jira/webhook", json, good.to_string(), 404),
        ("admin on the gate port", "GET", "/api/gates", json, String::new(), 404),
        ("metrics on the gate port", "GET", "/metrics", json, String::new(), 404),
        ("method", "GET", "/gate/confirm-rollout", json, String::new(), 405),
        ("method", "DELETE", "/event", json, String::new(), 405),
    ];
    for (about, method, path, kind, body, status) in cases {
        let answer = world.sends(world.gate(method, path).header("content-type", kind).body(body)).await;
        refused(&answer, status, about);
    }
    let answer = world.sends(world.gate("POST", "/gate/confirm-rollout").body(good.to_string())).await;
    refused(&answer, 415, "no content type");
    for path in ["/event", "/post-rollout"] {
        let mut elsewhere = good.clone();
        elsewhere["namespace"] = "pay".into();
        assert_eq!(
            world.posts(path, &elsewhere).await.status,
            200,
            "a report about another cluster is dropped"
        );
        let answer = world.sends(world.gate("POST", path).header("content-type", json).body("{")).await;
        refused(&answer, 400, path);
    }
    // The paths that load balancers probe reveal nothing.
    for path in ["/", "/healthz"] {
        let answer = world.sends(world.webhook("GET", path)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{path}");
    }
    assert_untouched(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn the_ports_are_kept_apart() {
    let world = World::start(Flavour::Cloud).await;
    for (method, path, status) in [
        ("POST", "/gate/confirm-rollout", 404),
        ("POST", "/event", 404),
        ("POST", "/", 405),
        ("GET", "/readyz", 404),
        ("GET", "/metrics", 404),
        ("GET", "/api/gates", 404),
        ("GET", "/jira/webhook", 405),
    ] {
        let answer = world
            .sends(world.webhook(method, path).header("content-type", "application/json").body("{}"))
            .await;
        refused(&answer, status, path);
    }
    for (method, path, status) in
        [("POST", "/gate/confirm-rollout", 404), ("POST", "/jira/webhook", 404), ("POST", "/", 405)]
    {
        let answer = world
            .sends(world.admin(method, path).header("content-type", "application/json").body("{}"))
            .await;
        refused(&answer, status, path);
    }
    for (status, answer) in [
        (200, world.sends(world.gate("GET", "/healthz")).await),
        (200, world.sends(world.gate("GET", "/readyz")).await),
        (200, world.sends(world.admin("GET", "/healthz")).await),
        (200, world.sends(world.admin("GET", "/readyz")).await),
        (200, world.sends(world.admin("GET", "/")).await),
        (200, world.sends(world.admin("GET", "/metrics")).await),
    ] {
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    assert_untouched(&world).await;
    world.finish().await;
}

/// The three ways to send a token, and invalid ones.
#[tokio::test]
async fn tokens() {
    let world = World::start_with(Flavour::Cloud, &format!("flagger.token = \"{TOKEN}\"")).await;
    let post = || world.gate("POST", "/gate/confirm-rollout").header("content-type", "application/json");
    let body = question("Waiting", "abc");
    let with_token = |token: &str| {
        let mut body = body.clone();
        body["metadata"] = json!({ "token": token });
        body.to_string()
    };
    let wrong = [
        ("none", post().body(body.to_string())),
        ("wrong Basic", post().basic_auth("any", Some("nope")).body(body.to_string())),
        ("the token as user", post().basic_auth(TOKEN, Some("")).body(body.to_string())),
        ("wrong Bearer", post().bearer_auth("nope").body(body.to_string())),
        ("a longer one", post().bearer_auth(format!("{TOKEN}x")).body(body.to_string())),
        ("wrong in the metadata", post().body(with_token("nope"))),
        ("empty in the metadata", post().body(with_token(""))),
        ("a wrong header beside the right metadata", post().bearer_auth("nope").body(with_token(TOKEN))),
        ("no header and malformed", post().body("{")),
    ];
    for (about, request) in wrong {
        refused(&world.sends(request).await, 401, about);
    }
    let event =
        world.gate("POST", "/event").header("content-type", "application/json").body(body.to_string());
    refused(&world.sends(event).await, 401, "an event");
    assert_untouched(&world).await;

    let right = [
        post().basic_auth("any", Some(TOKEN)).body(body.to_string()),
        post().bearer_auth(TOKEN).body(body.to_string()),
        post().body(with_token(TOKEN)),
    ];
    for request in right {
        assert_eq!(world.sends(request).await.status, 403);
    }
    world.run_worker().await;
    let [ticket] = world.tickets().try_into().unwrap();
    assert!(!format!("{ticket:?}").contains(TOKEN), "the token reaches no ticket");
    let gates = world.gates().await.to_string();
    assert!(!gates.contains(TOKEN));
    world.finish().await;
}

/// The bridge never trusts a webhook's content, and does not even parse an unauthenticated one.
#[tokio::test]
async fn webhooks() {
    let world = World::start(Flavour::Cloud).await;
    world.asks("confirm-promotion", "Progressing", "new").await;
    world.run_worker().await;
    let issue = world.tickets().remove(0);
    world.jira.clear_requests();
    let body = json!({
        "webhookEvent": "jira:issue_updated",
        "issue": { "id": issue.id, "key": issue.key, "fields": { "status": { "id": "10007", "name": "Approved" } } },
    })
    .to_string();
    let post = || world.webhook("POST", "/jira/webhook").body(body.clone());
    let sha1 = "sha1=da39a3ee5e6b4b0d3255bfef95601890afd80709";
    let signed = |body: &str| signature(WEBHOOK_SECRET, body.as_bytes());
    let unproven = [
        ("unsigned", post()),
        (
            "signed with another secret",
            post().header("X-Hub-Signature", signature("another", body.as_bytes())),
        ),
        ("signed with nothing", post().header("X-Hub-Signature", signature("", body.as_bytes()))),
        ("signed for another body", post().header("X-Hub-Signature", signed("{}"))),
        ("sha1", post().header("X-Hub-Signature", sha1)),
        ("half a signature", post().header("X-Hub-Signature", &signed(&body)[..40])),
        ("a wrong Bearer", post().bearer_auth("nope")),
    ];
    for (about, request) in unproven {
        refused(&world.sends(request).await, 401, about);
    }
    let large = "x".repeat(1024 * 1024 + 1);
    let too_large =
        world.webhook("POST", "/jira/webhook").header("X-Hub-Signature", signed(&large)).body(large);
    refused(&world.sends(too_large).await, 413, "over 1 MiB");
    let malformed = world.webhook("POST", "/jira/webhook").header("X-Hub-Signature", signed("{")).body("{");
    refused(&world.sends(malformed).await, 400, "malformed");
    let unknown = "{\"issue\":{\"id\":\"999\"}}";
    let unknown =
        world.webhook("POST", "/jira/webhook").header("X-Hub-Signature", signed(unknown)).body(unknown);
    assert_eq!(world.sends(unknown).await.status, 200, "a foreign issue");
    world.run_worker().await;
    assert_eq!(world.jira.requests().len(), 0, "these webhooks cause no request to Jira");

    // Authenticated, but its content is false: the bridge reads the ticket, and the gate stays closed.
    for request in [post().header("X-Hub-Signature", signed(&body)), post().bearer_auth(WEBHOOK_SECRET)] {
        assert_eq!(world.sends(request).await.status, 200);
    }
    world.run_worker().await;
    assert_eq!(world.jira.requests().len(), 1, "two nudges cause one read");
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
    world.finish().await;
}

/// 200 connections that never finish their request neither stop the next question nor stay for long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_connections() {
    let world = World::start(Flavour::Cloud).await;
    let mut open: Vec<TcpStream> = (0..200)
        .map(|number| {
            let mut connection = TcpStream::connect(world.address(0)).unwrap();
            // Some send nothing, some start a request, some never send the announced body.
            let said: &[u8] = match number % 3 {
                0 => b"",
                1 => b"POST /gate/confirm-rollout HTTP/1.1\r\nHost: x\r\n",
                _ => b"POST /gate/confirm-rollout HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
            };
            connection.write_all(said).unwrap();
            connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            connection
        })
        .collect();
    assert_eq!(world.asks("confirm-rollout", "Waiting", "abc").await.status, 403);
    let gone = tokio::task::spawn_blocking(move || {
        // Reading ends when the bridge closes the connection; otherwise it fails after 20 s.
        open.iter_mut().all(|connection| connection.read_to_end(&mut Vec::new()).is_ok())
    });
    assert!(gone.await.unwrap(), "the bridge closes every one of them within 20 s");
    world.run_worker().await;
    world.finish().await;
}

/// A repeated question is answered from memory: no transaction writes, and no byte of the database changes.
#[tokio::test]
async fn a_repeated_question_writes_nothing() {
    for world in World::both("").await {
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.asks("rollback", "WaitingPromotion", "new").await;
        let (turns, files) = (world.turns().await, world.contents().await);
        for _ in 0..50 {
            world.asks("confirm-promotion", "Progressing", "new").await;
            world.asks("rollback", "WaitingPromotion", "new").await;
            world.reports("/event", "WaitingPromotion", "new").await;
        }
        assert_eq!((world.turns().await, world.contents().await), (turns, files), "while it waits");
        world.decides(&world.newest(), "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
        let (turns, files) = (world.turns().await, world.contents().await);
        for _ in 0..50 {
            assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
        }
        assert_eq!((world.turns().await, world.contents().await), (turns, files), "once it is open");
        world.finish().await;
    }
}
