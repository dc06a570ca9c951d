//! Refused calls are visible: logged once, then counted, with the caller and what to change; on the page, in the API
//! and as a metric.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use fake_jira::{Flavour, signature};
use serde_json::{Value, json};

use crate::world::{WEBHOOK_SECRET, World, log::Log, program::until, question};

const TOKEN: &str = "token-that-flagger-has-to-bring";
const PROMOTION: &str = "/gate/confirm-promotion";

impl World {
    async fn refused_calls(&self) -> Vec<Value> {
        self.sends(self.admin("GET", "/api/refused")).await.json().as_array().unwrap().clone()
    }

    /// The refused calls with these words in their reason.
    async fn refused_for(&self, words: &str) -> Vec<Value> {
        let mut rows = self.refused_calls().await;
        rows.retain(|row| row["reason"].as_str().unwrap().contains(words));
        rows
    }

    async fn counted(&self, listener: &str, reason: &str) -> u64 {
        let text = self.sends(self.admin("GET", "/metrics")).await.body;
        let series = format!(
            "flagger_jira_bridge_calls_refused_total{{listener=\"{listener}\",reason=\"{reason}\"}} "
        );
        text.lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse().unwrap()
    }

    /// Waits until the count is reached: a broken connection is counted when it is closed, after its answer.
    async fn counts(&self, listener: &str, reason: &str, expected: u64) {
        let what = format!("{listener} {reason} is {expected}");
        until(&what, async || {
            let counted = self.counted(listener, reason).await;
            assert!(counted <= expected, "{what}, but {counted}");
            counted == expected
        })
        .await;
    }
}

/// The warnings about refused calls.
fn warnings(log: &Log) -> Vec<String> {
    let text = log.text();
    let lines = text.lines().filter(|line| line.contains("WARN") && line.contains("refused a call"));
    lines.map(str::to_owned).collect()
}

/// The hooks name a cluster that the bridge does not know, as in Flagger's documentation: without a warning the end of
/// the rollout would be lost unnoticed.
#[tokio::test]
async fn an_unknown_cluster() {
    for settings in ["", &format!("flagger.token = \"{TOKEN}\"\n")] {
        let (log, _guard) = Log::start();
        for world in World::both(settings).await {
            let before = warnings(&log).len();
            let mut hook = question("Succeeded", "new");
            hook["metadata"] = json!({ "cluster": "flagger-test", "token": TOKEN });
            for _ in 0..20 {
                for (path, status) in [("/event", 200), ("/post-rollout", 200), (PROMOTION, 403)] {
                    let answer = world.posts(path, &hook).await;
                    assert_eq!(answer.status, status, "{}", answer.body);
                    assert!(
                        answer.body.contains("cluster \"flagger-test\" is not one of"),
                        "{}",
                        answer.body
                    );
                }
            }
            let warned = warnings(&log).split_off(before);
            assert_eq!(warned.len(), 1, "one caller, one reason: {warned:#?}");
            for words in ["127.0.0.1", "shop/cart", "flagger-test", "flagger.cluster"] {
                assert!(warned[0].contains(words), "{words}: {}", warned[0]);
            }
            let rows = world.refused_for("flagger-test").await;
            assert_eq!(rows.len(), 3, "{rows:#?}");
            for row in &rows {
                assert_eq!(
                    (&row["count"], &row["canary"], &row["kind"]),
                    (&json!(20), &json!("shop/cart"), &json!("cluster"))
                );
                assert_eq!((&row["source"], &row["listener"]), (&json!("127.0.0.1"), &json!("gate")));
                assert!(
                    row["hint"].as_str().unwrap().contains("put \"flagger-test\" into flagger.cluster"),
                    "{row}"
                );
                assert_eq!(row["first"], row["last"]);
            }
            assert_eq!(world.counted("gate", "cluster").await, 60);
            let page = world.sends(world.admin("GET", "/")).await.body;
            for words in ["Refused hooks", "flagger-test", "shop&#x2f;cart", "into flagger.cluster"] {
                assert!(page.contains(words), "{words}: {page}");
            }
            assert!(
                !page.contains(TOKEN) && !log.text().contains(TOKEN) && !format!("{rows:?}").contains(TOKEN)
            );
            world.run_worker().await;
            assert_eq!(world.tickets().len(), 0);
            world.finish().await;
        }
    }
}

/// Hooks with small mistakes: each answer says what to write instead, with the usual status.
#[tokio::test]
async fn hooks_that_are_nearly_right() {
    let (log, _guard) = Log::start();
    for world in World::both("flagger.namespaces = [\"shop\"]\n").await {
        let json = "application/json";
        let cart = question("Progressing", "new").to_string();
        let elsewhere = cart.replace("shop", "kube-system");
        let large = format!("{}{}", cart, " ".repeat(64 * 1024));
        let cases: [(&str, &str, &str, &str, u16, &str, &str); 14] = [
            (
                "POST",
                "/gate/confirm-promotion?gate=QA%20Team",
                json,
                &cart,
                400,
                "query",
                "write ?gate=qa-team",
            ),
            (
                "POST",
                "/gate/confirm-rollout?Gate=security",
                json,
                &cart,
                400,
                "query",
                "write ?gate= into the hook's url",
            ),
            (
                "POST",
                "/gate/confirm-promotion/",
                json,
                &cart,
                404,
                "path",
                "write /gate/confirm-promotion into",
            ),
            ("POST", "/events", json, &cart, 404, "path", "write /event into"),
            (
                "POST",
                "/gate/confirm-promotoin",
                json,
                &cart,
                404,
                "path",
                "write /gate/confirm-promotion into",
            ),
            ("POST", "/pre-rollout", json, &cart, 404, "path", "the bridge has no such hook"),
            ("POST", "/wp-login.php", json, &cart, 404, "path", "docs/flagger.md"),
            ("POST", PROMOTION, "text/plain", &cart, 415, "content_type", "application/json"),
            ("POST", PROMOTION, json, &elsewhere, 403, "namespace", "flagger.namespaces"),
            ("POST", "/event", json, &elsewhere, 200, "namespace", "flagger.namespaces"),
            ("GET", PROMOTION, json, "", 405, "method", "POST"),
            ("POST", PROMOTION, json, "{\"name\":", 400, "body", "JSON"),
            ("POST", "/event", json, &large, 413, "too_large", "less metadata"),
            ("POST", "/gate/open", json, &cart, 403, "by_hand", "no hook or script"),
        ];
        for (method, path, kind, body, status, reason, hint) in cases {
            let before = world.counted("gate", reason).await;
            let request = world.gate(method, path).header("content-type", kind).body(body.to_owned());
            let answer = world.sends(request).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.body);
            assert_eq!(answer.body.lines().count(), 1, "{}", answer.body);
            assert_eq!(world.counted("gate", reason).await, before + 1, "{path}");
            let path = path.split('?').next().unwrap();
            let rows = world.refused_calls().await;
            let row = rows.iter().find(|row| row["path"] == path && row["kind"] == reason);
            let row = row.unwrap_or_else(|| panic!("{path}, {reason}: {rows:#?}"));
            assert!(row["hint"].as_str().unwrap().contains(hint), "{row}");
            if status != 405 && status != 413 && reason != "body" {
                let namespace = if body == elsewhere { "kube-system" } else { "shop" };
                assert_eq!(row["canary"], format!("{namespace}/cart"), "{row}");
            }
        }
        let answer = world.posts("/gate/confirm-promotoin", &question("Progressing", "new")).await;
        let words =
            "there is nothing at \"/gate/confirm-promotoin\"; did you mean /gate/confirm-promotion?\n";
        assert_eq!(answer.body, words);
        world.finish().await;
    }
    assert_eq!(
        warnings(&log).len(),
        2 * 13,
        "the namespace is logged once for both paths: {:#?}",
        warnings(&log)
    );
}

/// Flagger with a wrong token, or none: the log line names the canary and the caller's address.
#[tokio::test]
async fn a_wrong_token() {
    let (log, _guard) = Log::start();
    for world in World::both(&format!("flagger.token = \"{TOKEN}\"\n")).await {
        let before = warnings(&log).len();
        let mut inside = question("Progressing", "new");
        inside["metadata"] = json!({ "token": "not-the-token" });
        for _ in 0..5 {
            let request = || world.gate("POST", PROMOTION).header("content-type", "application/json");
            let body = question("Progressing", "new").to_string();
            let basic = request().basic_auth("any", Some("not-the-token")).body(body.clone());
            assert_eq!(world.sends(basic).await.status, 401);
            assert_eq!(world.posts(PROMOTION, &inside).await.status, 401);
            assert_eq!(world.sends(request().body(body)).await.status, 401);
        }
        let warned = warnings(&log).split_off(before);
        assert_eq!(warned.len(), 2, "a wrong token and none: {warned:#?}");
        for line in &warned {
            assert!(
                line.contains("shop/cart")
                    && line.contains("127.0.0.1")
                    && line.contains("http://any:TOKEN@host")
            );
        }
        let counts: Vec<_> = world.refused_calls().await.iter().map(|row| row["count"].clone()).collect();
        assert!(counts.contains(&json!(10)) && counts.contains(&json!(5)), "{counts:?}");
        assert!(!log.text().contains("not-the-token"));
        world.finish().await;
    }
}

/// Refused webhooks of Jira.
#[tokio::test]
async fn webhooks() {
    let (log, _guard) = Log::start();
    for world in World::both("").await {
        let large = "x".repeat(1024 * 1024 + 1);
        let sign = |body: &str| signature(WEBHOOK_SECRET, body.as_bytes());
        let post = || world.webhook("POST", "/jira/webhook");
        for (request, status, reason) in [
            (post().body("{}"), 401, "token"),
            (post().header("X-Hub-Signature", signature("another", b"{}")).body("{}"), 401, "token"),
            (post().header("X-Hub-Signature", sign(&large)).body(large.clone()), 413, "too_large"),
            (post().header("X-Hub-Signature", sign("{")).body("{"), 400, "body"),
            (world.webhook("POST", "/jira/webhook/").body("{}"), 404, "path"),
            (world.webhook("GET", "/jira/webhook"), 405, "method"),
        ] {
            let before = world.counted("webhook", reason).await;
            assert_eq!(world.sends(request).await.status, status);
            assert_eq!(world.counted("webhook", reason).await, before + 1, "{reason}");
        }
        let rows = world.refused_calls().await;
        assert_eq!(rows.len(), 6, "{rows:#?}");
        assert!(rows.iter().all(|row| row["listener"] == "webhook" && row["hint"] != ""));
        world.finish().await;
    }
    assert_eq!(warnings(&log).len(), 12, "{:#?}", warnings(&log));
    assert!(!log.text().contains(WEBHOOK_SECRET));
}

/// A caller with many made-up paths: log and memory stay small, and other refused calls stay visible.
#[tokio::test]
async fn a_flood_of_made_up_paths() {
    let (log, _guard) = Log::start();
    let world = World::start(Flavour::Cloud).await;
    let mut hook = question("Succeeded", "new");
    hook["metadata"] = json!({ "cluster": "flagger-test" });
    world.posts("/event", &hook).await;
    for number in 0..400 {
        let path = format!("/made-up-{number}/{}", "x".repeat(500));
        assert_eq!(world.sends(world.gate("GET", &path)).await.status, 404);
    }
    world.posts("/event", &hook).await;
    let rows = world.refused_calls().await;
    assert!(rows.len() <= 101, "{}", rows.len());
    let counted: u64 = rows.iter().map(|row| row["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, 402, "all are counted");
    assert!(rows.iter().all(|row| row["path"].as_str().unwrap().chars().count() <= 100));
    let hooks = world.refused_for("flagger-test").await;
    assert_eq!(hooks[0]["count"], 2);
    assert!(warnings(&log).len() <= 31, "{}", warnings(&log).len());
    assert_eq!(log.text().matches("more callers are refused than the log lists").count(), 1);
    world.finish().await;
}

/// A request head of more than 16 KiB is refused, and so are bytes that are not HTTP.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_are_too_large_and_bytes_that_are_not_http() {
    let world = World::start(Flavour::Cloud).await;
    let says = async |listener: usize, words: Vec<u8>| {
        let address = world.address(listener);
        let said = tokio::task::spawn_blocking(move || {
            let mut io = TcpStream::connect(address).unwrap();
            io.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            // The bridge may answer before all bytes are sent.
            let _ = io.write_all(&words);
            let mut answer = Vec::new();
            let _ = io.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        });
        said.await.unwrap()
    };
    let head = |size: usize| {
        let head = "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Much: ";
        format!("{head}{}\r\n\r\n", "y".repeat(size - head.len() - 4)).into_bytes()
    };
    for (listener, name) in [(0, "gate"), (1, "webhook")] {
        assert!(says(listener, head(15 * 1024)).await.starts_with("HTTP/1.1 200 "), "{name}");
        for size in [17 * 1024, 390 * 1024] {
            let answer = says(listener, head(size)).await;
            assert!(answer.starts_with("HTTP/1.1 431 "), "{name}, {size}: {answer:?}");
        }
        world.counts(name, "too_large", 2).await;
        assert!(
            says(listener, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n".to_vec())
                .await
                .starts_with("HTTP/1.1 400 ")
        );
        world.counts(name, "protocol", 1).await;
        // Go's client sends this for a hook with a space in its URL.
        let spaced =
            b"POST /gate/confirm-promotion?gate=QA Team HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
        assert!(says(listener, spaced.to_vec()).await.starts_with("HTTP/1.1 400 "));
        world.counts(name, "protocol", 2).await;
    }
    let rows = world.refused_for("the first line of the request cannot be read").await;
    assert_eq!(rows.len(), 2, "{rows:#?}");
    for row in &rows {
        let words = "the first line of the request cannot be read (is there a space in the hook's URL?)";
        assert_eq!(
            (&row["reason"], &row["hint"]),
            (&json!(words), &json!("write ?gate=qa-team into the hook's URL"))
        );
    }
    assert_eq!(world.refused_for("does not speak HTTP").await.len(), 2);
    let row = &world.refused_for("longer than 16 KiB").await[0];
    assert_eq!((&row["path"], &row["source"]), (&json!(""), &json!("127.0.0.1")));
    world.finish().await;
}

/// Thousands of slow callers without a token take no connection from Flagger or a probe.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_unauthenticated_callers_are_closed() {
    let world = World::start_with(Flavour::Cloud, &format!("flagger.token = \"{TOKEN}\"\n")).await;
    let address = world.address(0);
    let slow = tokio::task::spawn_blocking(move || {
        let says = b"POST /gate/check HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
        let mut held = Vec::new();
        for _ in 0..1_500 {
            // Some do not fit into the system's accept queue.
            let address = address.parse().unwrap();
            let Ok(mut io) = TcpStream::connect_timeout(&address, Duration::from_secs(5)) else { break };
            let _ = io.write_all(says);
            held.push(io);
        }
        held
    });
    let held = slow.await.unwrap();
    assert!(held.len() > 1_024, "{}", held.len());
    for _ in 0..20 {
        let request = world.gate("POST", PROMOTION).header("content-type", "application/json");
        let request = request.basic_auth("any", Some(TOKEN)).body(question("Progressing", "new").to_string());
        assert_eq!(world.sends(request).await.status, 403);
        assert_eq!(world.sends(world.gate("GET", "/healthz")).await.status, 200);
        assert_eq!(world.sends(world.admin("GET", "/healthz")).await.status, 200);
    }
    assert!(world.counted("gate", "crowded").await > 0, "slow connections were closed");
    drop(held);
    world.run_worker().await;
    assert_eq!(world.tickets().len(), 1);
    world.finish().await;
}

/// Many large bodies with an invalid signature at once: Jira's own webhook is still accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_unauthenticated_bodies_are_closed() {
    let world = World::start(Flavour::Cloud).await;
    let address = world.address(1);
    let large = tokio::task::spawn_blocking(move || {
        let head = format!(
            "POST /jira/webhook HTTP/1.1\r\nHost: x\r\nX-Hub-Signature: sha256={}\r\nContent-Length: {}\r\n\r\n",
            "0".repeat(64),
            1024 * 1024
        );
        let body = vec![b'x'; 1024 * 1024 - 1];
        let mut held = Vec::new();
        for _ in 0..40 {
            let mut io = TcpStream::connect(&address).unwrap();
            io.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
            io.write_all(head.as_bytes()).unwrap();
            // All but the last byte. The bridge may refuse the request while it is being sent.
            let _ = io.write_all(&body);
            held.push(io);
        }
        held
    });
    let held = large.await.unwrap();
    for _ in 0..10 {
        let body = json!({ "issue": { "id": "10000" }, "more": "y".repeat(100 * 1024) }).to_string();
        let request = world
            .webhook("POST", "/jira/webhook")
            .header("X-Hub-Signature", signature(WEBHOOK_SECRET, body.as_bytes()));
        assert_eq!(world.sends(request.body(body)).await.status, 200);
    }
    assert!(world.counted("webhook", "crowded").await >= 30, "the oldest were closed");
    drop(held);
    world.finish().await;
}

/// TLS: a caller that does not trust the certificate, one without TLS, and one with a broken handshake.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "these are no requests to Jira")]
async fn handshakes_that_fail() {
    let (log, _guard) = Log::start();
    let file = |name: &str| format!("{}/fixtures/tls/old.{name}.pem", env!("CARGO_MANIFEST_DIR"));
    let settings =
        format!("server.tls = {{ cert_file = {:?}, key_file = {:?} }}\n", file("crt"), file("key"));
    let world = World::start_with(Flavour::Cloud, &settings).await;
    let address = world.address(0);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.post(format!("https://{address}{PROMOTION}")).send().await.unwrap_err();
    client.post(format!("http://{address}{PROMOTION}")).send().await.unwrap();
    let garbled = tokio::task::spawn_blocking(move || {
        let mut io = TcpStream::connect(address).unwrap();
        io.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        io.write_all(&[22, 3, 1, 0, 5, 1, 0, 0, 1, 0]).unwrap();
        let _ = io.read_to_end(&mut Vec::new());
    });
    garbled.await.unwrap();
    for (words, kind, hint) in [
        ("UnknownCA", "handshake", "SSL_CERT_FILE"),
        ("speaks HTTP without TLS", "protocol", "write https:// instead of http://"),
        ("corrupt message", "handshake", "see what calls this port"),
    ] {
        // The connection may be recorded a moment after it is closed.
        let mut rows = Vec::new();
        let is_shown = async || {
            rows = world.refused_for(words).await;
            !rows.is_empty()
        };
        until(words, is_shown).await;
        let row = &rows[0];
        assert_eq!(
            (&row["kind"], &row["source"], &row["path"]),
            (&json!(kind), &json!("127.0.0.1"), &json!("")),
            "{words}"
        );
        assert!(row["hint"].as_str().unwrap().contains(hint), "{row}");
    }
    assert_eq!(warnings(&log).len(), 3, "{:#?}", warnings(&log));
    world.finish().await;
}
