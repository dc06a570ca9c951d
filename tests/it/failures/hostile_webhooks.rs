//! Attacks on Jira's webhook: forged, replayed, reordered, truncated and malformed deliveries open nothing and cost
//! little, and a genuine one after them opens the gate at once.

use std::{sync::Arc, time::Duration};

use fake_jira::{Flavour, MIA, signature};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::{WEBHOOK_SECRET, World};

/// The number of deliveries, and the seconds of the test's clock over which they are spread.
const DELIVERIES: usize = 10_000;
const SECONDS: usize = 10;
/// The number of concurrent deliveries.
const AT_ONCE: usize = 64;
/// The size limit of a body.
const LIMIT: usize = 1024 * 1024;

/// The bytes of a delivery and the expected status; `None` if the sender closes the connection first.
struct Delivery {
    bytes: Vec<u8>,
    status: Option<u16>,
}

/// The bytes of a request; `length` replaces the true Content-Length.
fn request(headers: &[(&str, &str)], body: &[u8], length: Option<usize>) -> Vec<u8> {
    let length = length.unwrap_or(body.len());
    let mut head = format!("POST /jira/webhook HTTP/1.1\r\nHost: bridge\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// The body that Jira would send for an approved issue.
fn claim(issue: &str, updated: usize) -> String {
    json!({
        "timestamp": 1_790_000_000_000_u64 + updated as u64, "webhookEvent": "jira:issue_updated",
        "issue_event_type_name": "issue_generic", "user": { "accountId": MIA },
        "issue": { "id": issue, "key": "OPS-1", "fields": { "status": { "id": "10007", "name": "Approved" } } },
        "changelog": { "id": "1", "items": [{ "field": "status", "from": "1", "to": "10007", "toString": "Approved" }] },
    })
    .to_string()
}

/// The nth delivery, about one of the bridge's issues or a foreign one.
fn delivery(nth: usize, ours: &[String], other: &str) -> Delivery {
    const HUB: &str = "X-Hub-Signature";
    let issue = ours[nth % ours.len()].as_str();
    // Older and newer deliveries are mixed.
    let body = claim(issue, nth * 7_919 % 10_007);
    let signed = |body: &str| signature(WEBHOOK_SECRET, body.as_bytes());
    let right = signed(&body);
    let digits = right.strip_prefix("sha256=").unwrap();
    let another = signature("another", body.as_bytes());
    let with = |headers: &[(&str, &str)], status| Delivery {
        bytes: request(headers, body.as_bytes(), None),
        status: Some(status),
    };
    let honest = |body: &str, status| Delivery {
        bytes: request(&[(HUB, &signed(body))], body.as_bytes(), None),
        status: Some(status),
    };
    let kinds = 40;
    match nth / ours.len() % kinds {
        0 => with(&[], 401),
        1 => with(&[(HUB, &another)], 401),
        2 => with(&[(HUB, &signed("{}"))], 401),
        3 => with(&[(HUB, &format!("sha1={}", &digits[..40]))], 401),
        4 => with(&[(HUB, digits)], 401),
        5 => with(&[(HUB, &format!("SHA256={digits}"))], 401),
        6 => with(&[(HUB, &format!("sha256= {digits}"))], 401),
        7 => with(&[(HUB, &format!("sha512={digits}"))], 401),
        8 => with(&[(HUB, &right[..40])], 401),
        9 => with(&[(HUB, &format!("{right}00"))], 401),
        10 => with(&[(HUB, &format!("{another}, {right}"))], 401),
        11 => with(&[(HUB, &another), (HUB, &right)], 401),
        12 => with(&[("X-Hub-Signature-256", &right)], 401),
        13 => with(&[("X-Signature", &right)], 401),
        14 => with(&[("Authorization", &right)], 401),
        15 => with(&[("Authorization", "Bearer nope")], 401),
        16 => with(&[("Authorization", &format!("Bearer {WEBHOOK_SECRET}x"))], 401),
        17 => with(&[("Authorization", &format!("Bearer {WEBHOOK_SECRET}")), (HUB, &another)], 401),
        18 => with(&[("Authorization", &format!("Digest {WEBHOOK_SECRET}"))], 401),
        19 => with(&[(HUB, &signature("", body.as_bytes()))], 401),
        // Upper-case hexadecimal digits are valid, too.
        20 => with(&[(HUB, &format!("sha256={}", digits.to_uppercase()))], 200),
        21 => with(&[(HUB, &right), ("Content-Type", "text/html")], 200),
        22 => with(&[("Authorization", &format!("Bearer {WEBHOOK_SECRET}"))], 200),
        // Another body with this body's signature.
        23 => Delivery {
            bytes: request(&[(HUB, &right)], claim(issue, nth + 1).as_bytes(), None),
            status: Some(401),
        },
        24 => Delivery {
            bytes: request(&[(HUB, &right)], format!("{body}\n").as_bytes(), None),
            status: Some(401),
        },
        // Truncated: less than Content-Length. Some are signed over the part that is sent.
        25 => Delivery {
            bytes: request(&[(HUB, &right)], &body.as_bytes()[..100], Some(body.len())),
            status: None,
        },
        26 => {
            let cut = signed(&body[..100]);
            Delivery {
                bytes: request(&[(HUB, &cut)], &body.as_bytes()[..100], Some(body.len())),
                status: None,
            }
        }
        // Truncated, with a matching Content-Length.
        27 => Delivery { bytes: request(&[(HUB, &right)], &body.as_bytes()[..100], None), status: Some(401) },
        28 => honest(&body[..100], 400),
        29 => honest("", 400),
        30 => {
            let zipped = [&[0x1f, 0x8b, 8, 0][..], body.as_bytes()].concat();
            let by = signature(WEBHOOK_SECRET, &zipped);
            let headers = [(HUB, by.as_str()), ("Content-Encoding", "gzip")];
            Delivery { bytes: request(&headers, &zipped, None), status: Some(400) }
        }
        31 => honest(&format!("{{\"issue\":{}", "[".repeat(10_000)), 400),
        32 => honest(&format!("{{\"issue\":{{\"id\":\"{}\"}}}}", "9".repeat(1_000)), 200),
        33 => honest(&json!({ "issue": { "id": other } }).to_string(), 200),
        34 => honest(&json!({ "issueId": 987_654_321 }).to_string(), 200),
        35 => honest("{\"issue\":{\"id\":\"1 OR 1=1\"}}", 200),
        36 => honest(&format!("{{\"issue\":{{\"id\":\"{other}\"}},\"issue\":{{\"id\":{issue}}}}}"), 200),
        37 => honest(
            &json!({ "id": issue.parse::<u64>().unwrap(), "changelog": { "histories": null } }).to_string(),
            200,
        ),
        // The same bytes each time.
        _ => honest(&claim(issue, 1), 200),
    }
}

/// Sends a delivery and checks the status.
async fn send(address: &str, delivery: Delivery, about: &str) {
    let mut connection = TcpStream::connect(address).await.unwrap();
    // The bridge may refuse it before it is sent completely.
    let _ = connection.write_all(&delivery.bytes).await;
    if delivery.status.is_none() {
        let _ = connection.shutdown().await;
    }
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
    match delivery.status {
        Some(expected) => assert_eq!(status, Some(expected), "{about}: {answer}"),
        None => assert!(status.is_none_or(|status| status == 400), "{about}: {answer}"),
    }
    assert!(!answer.contains(WEBHOOK_SECRET), "{about}");
}

/// The number of requests that read tickets from Jira.
fn ticket_reads(world: &World) -> usize {
    world.jira.requests().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_deliveries_open_nothing_and_a_genuine_one_opens_at_once() {
    let world = World::start(Flavour::Cloud).await;
    for gate in ["confirm-promotion", "confirm-promotion?gate=qa"] {
        world.asks(gate, "Progressing", "new").await;
    }
    world.run_worker().await;
    let ours: Vec<String> = world.tickets().into_iter().map(|issue| issue.id).collect();
    let [promotion, _] = world.tickets().try_into().unwrap();
    let elsewhere = world.jira.clone_issue(&promotion.key, MIA).unwrap();
    let other = world.jira.issue(&elsewhere).unwrap().id;
    assert_eq!(ours.len(), 2);

    let (address, turns) = (Arc::new(world.address(1)), world.turns().await);
    for second in 0..SECONDS {
        world.jira.clear_requests();
        let batch: Vec<usize> = (0..DELIVERIES).filter(|nth| nth % SECONDS == second).collect();
        for some in batch.chunks(AT_ONCE) {
            let sending = some.iter().map(|nth| {
                // Every second contains every kind.
                let (kind, address) = (nth / SECONDS, Arc::clone(&address));
                let delivery = delivery(kind, &ours, &other);
                tokio::spawn(async move { send(&address, delivery, &format!("delivery {kind}")).await })
            });
            for sent in sending.collect::<Vec<_>>() {
                sent.await.unwrap();
            }
            world.run_worker().await;
        }
        assert!(
            ticket_reads(&world) <= 1,
            "both tickets are read together, once a second: {:?}",
            world.jira.requests()
        );
        for gate in ["confirm-promotion", "confirm-promotion?gate=qa"] {
            assert_eq!(world.asks(gate, "Progressing", "new").await.status, 403, "{gate}");
        }
        world.advance(Duration::from_secs(1));
    }
    // Each second stores a nudge per ticket, and the reading.
    let turns = world.turns().await - turns;
    assert!(turns <= 4 * i64::try_from(SECONDS).unwrap() + 4, "{turns} writes");

    // The last nudges are read when their second is over; then nothing is left to do.
    world.run_worker().await;
    world.advance(Duration::from_secs(1));
    world.run_worker().await;
    world.jira.clear_requests();
    world.jira.move_issue(&promotion.key, "Approved", MIA).unwrap();
    assert_eq!(world.run_worker().await, 0);
    assert_eq!(world.nudges(&promotion.key).await.status, 200);
    assert_eq!(world.run_worker().await, 1);
    // One request for the ticket, one for its workflow.
    assert_eq!(ticket_reads(&world), 2);
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
    assert_eq!(world.asks("confirm-promotion?gate=qa", "Progressing", "new").await.status, 403);
    world.finish().await;
}

/// The limit is exact, whether or not the body is signed.
#[tokio::test]
async fn a_body_has_at_most_a_megabyte() {
    let world = World::start(Flavour::Cloud).await;
    for (more, status) in [(-1, 200), (0, 200), (1, 413)] {
        let body = format!("{{\"x\":\"{}\"}}", "y".repeat(LIMIT.checked_add_signed(more).unwrap() - 8));
        for (by, status) in [(WEBHOOK_SECRET, status), ("another", if status == 413 { 413 } else { 401 })] {
            let signature = signature(by, body.as_bytes());
            let bytes = request(&[("X-Hub-Signature", &signature)], body.as_bytes(), None);
            send(&world.address(1), Delivery { bytes, status: Some(status) }, &format!("{more} by {by}"))
                .await;
        }
    }
    assert_eq!(world.run_worker().await, 0);
    world.finish().await;
}

/// A nudge that arrives while its ticket is being read, or just after, is not deleted together with the previous one.
#[tokio::test]
async fn the_second_of_two_close_nudges_counts() {
    for world in World::both("").await {
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        let key = world.newest();
        assert_eq!(world.nudges(&key).await.status, 200);
        assert_eq!(world.run_worker().await, 1);
        world.advance(Duration::from_millis(300));
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        assert_eq!(world.nudges(&key).await.status, 200);
        assert_eq!(world.run_worker().await, 0);
        world.advance(Duration::from_millis(700));
        assert_eq!(world.run_worker().await, 1);
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
        world.finish().await;
    }
}

/// More approvals at once than fit into one request: the next request reads the rest, at once.
#[tokio::test]
async fn a_burst_of_approvals_is_read_a_hundred_per_request() {
    let limits = "limits.tickets_per_canary_per_hour = 200\nlimits.open_tickets_per_namespace = 200";
    let world = World::start_with(Flavour::Cloud, limits).await;
    let gates: Vec<String> = (0..130).map(|nth| format!("confirm-promotion?gate=team-{nth}")).collect();
    for gate in &gates {
        world.asks(gate, "Progressing", "new").await;
    }
    world.run_worker().await;
    for ticket in world.tickets() {
        world.jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
        assert_eq!(world.nudges(&ticket.key).await.status, 200);
    }
    assert_eq!(world.run_worker().await, 2);
    for gate in &gates {
        assert_eq!(world.asks(gate, "Progressing", "new").await.status, 200, "{gate}");
    }
    world.finish().await;
}

/// Many ended tickets are moved at once: each gets a comment.
#[tokio::test]
async fn every_moved_ended_ticket_is_answered() {
    let world = World::start_with(Flavour::Cloud, "limits.tickets_per_canary_per_hour = 100").await;
    for revision in 0..26 {
        world.asks("confirm-promotion", "Progressing", &format!("r{revision}")).await;
        world.run_worker().await;
    }
    let mut ended = world.tickets();
    let live = ended.pop().unwrap();
    world.advance(Duration::from_secs(60));
    for ticket in &ended {
        world.jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
        assert_eq!(world.nudges(&ticket.key).await.status, 200);
    }
    world.run_worker().await;
    for ticket in &ended {
        let comments = world.jira.issue(&ticket.key).unwrap().comments;
        let late = comments.iter().filter(|comment| format!("{comment:?}").contains(&live.key)).count();
        assert_eq!(late, 1, "{}: {comments:?}", ticket.key);
    }
    world.finish().await;
}
