//! Each event changes exactly the metrics that count it, by the right amount.

use std::{collections::BTreeMap, time::Duration};

use fake_jira::{Fault, Flavour, Operation, Times};
use flagger_jira_bridge::metrics::status_class;
use serde_json::json;

use crate::world::{World, question};

const PREFIX: &str = "flagger_jira_bridge_";
const TOKEN: &str = "what-flagger-brings-along";

/// The series with their values.
type Shown = BTreeMap<String, f64>;

/// The previous values of `/metrics`.
struct Counting<'a> {
    world: &'a World,
    last: Shown,
}

impl<'a> Counting<'a> {
    async fn begin(world: &'a World) -> Self {
        let mut counting = Self { world, last: Shown::new() };
        counting.last = counting.shown().await;
        counting
    }

    /// All series except buckets, which follow from the others, and the real durations of requests.
    async fn shown(&self) -> Shown {
        self.world.ticks().await;
        let text = self.world.sends(self.world.admin("GET", "/metrics")).await.body;
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket{"));
        // The process is that of the tests.
        let lines = lines.filter(|line| !line.starts_with("process_"));
        let series = lines.map(|line| line.strip_prefix(PREFIX).unwrap().rsplit_once(' ').unwrap());
        let series = series.filter(|(name, _)| !name.starts_with("jira_request_seconds_sum"));
        series.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
    }

    /// The series that changed since the last call, with the differences.
    async fn moved(&mut self) -> String {
        let now = self.shown().await;
        let by = |(name, value): (&String, &f64)| {
            let by = value - self.last.get(name).copied().unwrap_or(0.0);
            // A pause starts a moment after the answer that asks for it.
            let by = (by * 100.0).round() / 100.0;
            (by != 0.0).then(|| format!("{name} {by:+}"))
        };
        let moved: Vec<String> = now.iter().filter_map(by).collect();
        assert!(self.last.keys().all(|name| now.contains_key(name)), "a series has disappeared");
        self.last = now;
        moved.join("\n")
    }

    /// Checks that the counted requests are those that Jira received.
    fn counts_every_request(&self) {
        let mut had: BTreeMap<&str, f64> = BTreeMap::new();
        let requests = self.world.jira.requests();
        for request in &requests {
            *had.entry(status_class(request.status)).or_default() += 1.0;
        }
        let mut counted: BTreeMap<&str, f64> = BTreeMap::new();
        for (name, value) in &self.last {
            if let Some(labels) = name.strip_prefix("jira_request_seconds_count") {
                let status = labels.split("status=\"").nth(1).unwrap().split('"').next().unwrap();
                *counted.entry(status).or_default() += value;
            }
        }
        assert_eq!(counted, had);
    }
}

/// Asks with the token, which the world's own methods do not send.
async fn asks(world: &World, path: &str, phase: &str, checksum: &str) -> u16 {
    let body = question(phase, checksum).to_string();
    let request = world.gate("POST", path).header("content-type", "application/json").bearer_auth(TOKEN);
    world.sends(request.body(body)).await.status
}

async fn sends(world: &World, token: &str, body: &str) -> u16 {
    let request = world.gate("POST", "/event").header("content-type", "application/json").bearer_auth(token);
    world.sends(request.body(body.to_owned())).await.status
}

async fn world() -> World {
    World::start_with(
        Flavour::Cloud,
        &format!(
            "flagger.token = \"{TOKEN}\"\nflagger.namespaces = [\"shop\"]\n\
             limits.tickets_per_canary_per_hour = 3"
        ),
    )
    .await
}

#[tokio::test]
async fn a_rollout_from_the_question_to_its_end() {
    let world = world().await;
    let mut counting = Counting::begin(&world).await;
    let new = &counting.last;
    assert_eq!(new.iter().find(|(name, _)| name.starts_with("build_info{version=")).unwrap().1, &1.0);
    assert_eq!(new.values().sum::<f64>(), 1.0, "everything else begins at zero: {new:?}");

    assert_eq!(asks(&world, "/gate/confirm-promotion", "Progressing", "new1").await, 403);
    world.advance(Duration::from_secs(7));
    insta::assert_snapshot!(counting.moved().await, @r#"
    gate_verdicts_total{stage="confirm-promotion",verdict="closed"} +1
    gates{state="opening"} +1
    outbox_oldest_seconds +7
    outbox_rows{state="pending"} +1
    webhooks_total{source="flagger",outcome="accepted"} +1
    "#);
    world.run_worker().await;
    insta::assert_snapshot!(counting.moved().await, @r#"
    gates{state="opening"} -1
    gates{state="waiting"} +1
    jira_request_seconds_count{operation="create",status="2xx"} +1
    jira_request_seconds_count{operation="look",status="2xx"} +1
    jira_request_seconds_count{operation="myself",status="2xx"} +1
    jira_request_seconds_count{operation="server_info",status="2xx"} +1
    jira_request_seconds_count{operation="statuses",status="2xx"} +1
    oldest_waiting_seconds +7
    outbox_oldest_seconds -7
    outbox_rows{state="pending"} -1
    poll_last_success_timestamp_seconds +1790000007
    "#);
    let key = world.newest();
    assert_eq!(world.nudges(&key).await.status, 200);
    insta::assert_snapshot!(counting.moved().await, @r#"webhooks_total{source="jira",outcome="accepted"} +1"#);
    world.decides(&key, "Approved").await;
    insta::assert_snapshot!(counting.moved().await, @r#"
    decision_seconds_count{decision="approved"} +1
    decision_seconds_sum{decision="approved"} +7
    gates{state="approved"} +1
    gates{state="waiting"} -1
    jira_request_seconds_count{operation="look",status="2xx"} +1
    jira_request_seconds_count{operation="statuses",status="2xx"} +1
    oldest_waiting_seconds -7
    poll_last_success_timestamp_seconds +20
    "#);
    world.advance(Duration::from_secs(40));
    for _ in 0..2 {
        assert_eq!(asks(&world, "/gate/confirm-promotion", "Progressing", "new1").await, 200);
    }
    insta::assert_snapshot!(counting.moved().await, @r#"
    approval_to_open_seconds_count +1
    approval_to_open_seconds_sum +60
    gate_verdicts_total{stage="confirm-promotion",verdict="open"} +2
    outbox_rows{state="pending"} +1
    webhooks_total{source="flagger",outcome="accepted"} +2
    "#);
    assert_eq!(asks(&world, "/gate/rollback", "Progressing", "new1").await, 403);
    insta::assert_snapshot!(counting.moved().await, @r#"
    gate_verdicts_total{stage="rollback",verdict="closed"} +1
    webhooks_total{source="flagger",outcome="accepted"} +1
    "#);
    assert_eq!(asks(&world, "/post-rollout", "Succeeded", "new1").await, 200);
    insta::assert_snapshot!(counting.moved().await, @r#"
    gates{state="approved"} -1
    outbox_rows{state="pending"} +2
    rollouts_ended_total{how="succeeded"} +1
    webhooks_total{source="flagger",outcome="accepted"} +1
    "#);
    world.run_worker().await;
    counting.moved().await;
    counting.counts_every_request();
    world.finish().await;
}

/// The gate that waits longest; and how long each decision took, once, however often it is read or taken back.
#[tokio::test]
async fn how_long_people_take() {
    let world = World::start(Flavour::Cloud).await;
    let mut counting = Counting::begin(&world).await;
    let key = world.promotion_waits().await;
    world.advance(Duration::from_secs(3_600));
    counting.moved().await;
    assert_eq!(counting.last["oldest_waiting_seconds"], 3_600.0);
    world.decides(&key, "Rejected").await;
    for _ in 0..2 {
        world.restarts().await;
        world.advance(Duration::from_secs(60));
        world.run_worker().await;
    }
    world.promotes().await;
    counting = Counting::begin(&world).await;
    world.decides(&key, "Approved").await;
    let moved = counting.moved().await;
    let change = |name: &str| -> f64 {
        let line =
            moved.lines().find_map(|line| line.strip_prefix(&format!("{name}{{decision=\"approved\"}} ")));
        line.unwrap_or_else(|| panic!("no {name}: {moved}")).parse().unwrap()
    };
    assert_eq!(change("decision_seconds_count"), 1.0, "{moved}");
    // How long a restart takes depends on the database.
    assert!((3_700.0..3_800.0).contains(&change("decision_seconds_sum")), "{moved}");
    assert!(!moved.contains("decision=\"rejected\""), "{moved}");
    assert_eq!(counting.last["oldest_waiting_seconds"], 0.0);
    world.finish().await;
}

/// The usual metrics of a process, where its system has them.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn the_process() {
    let world = World::start(Flavour::Cloud).await;
    let text = world.sends(world.admin("GET", "/metrics")).await.body;
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name}: {text}")).parse().unwrap()
    };
    assert!((0.0..1e6).contains(&value("process_cpu_seconds_total")));
    assert!((1e6..1e12).contains(&value("process_resident_memory_bytes")));
    assert!((1.0..1e6).contains(&value("process_open_fds")));
    assert!(value("process_max_fds") >= value("process_open_fds"));
    assert!((1.7e9..1e10).contains(&value("process_start_time_seconds")));
    assert_eq!(text.matches("# EOF").count(), 1);
    world.finish().await;
}

#[tokio::test]
async fn refused_callers() {
    let world = world().await;
    let mut counting = Counting::begin(&world).await;
    assert_eq!(sends(&world, "wrong", &question("Failed", "x").to_string()).await, 401);
    assert_eq!(sends(&world, TOKEN, "{").await, 400);
    let other = json!({ "name": "cart", "namespace": "other", "phase": "Failed", "checksum": "x" });
    assert_eq!(sends(&world, TOKEN, &other.to_string()).await, 200);
    insta::assert_snapshot!(counting.moved().await, @r#"
    calls_refused_total{listener="gate",reason="body"} +1
    calls_refused_total{listener="gate",reason="namespace"} +1
    calls_refused_total{listener="gate",reason="token"} +1
    webhooks_total{source="flagger",outcome="ignored"} +1
    webhooks_total{source="flagger",outcome="invalid"} +1
    webhooks_total{source="flagger",outcome="refused"} +1
    "#);
    let webhook = async |secret: &str, body: &str| {
        let signature = fake_jira::signature(secret, body.as_bytes());
        let request = world.webhook("POST", "/jira/webhook").header("X-Hub-Signature", signature);
        world.sends(request.body(body.to_owned())).await.status
    };
    assert_eq!(webhook("wrong", "{}").await, 401);
    assert_eq!(webhook(crate::world::WEBHOOK_SECRET, "{").await, 400);
    assert_eq!(
        webhook(crate::world::WEBHOOK_SECRET, "{\"issue\":{\"id\":\"77\",\"key\":\"X-1\"}}").await,
        200
    );
    insta::assert_snapshot!(counting.moved().await, @r#"
    calls_refused_total{listener="webhook",reason="body"} +1
    calls_refused_total{listener="webhook",reason="token"} +1
    webhooks_total{source="jira",outcome="ignored"} +1
    webhooks_total{source="jira",outcome="invalid"} +1
    webhooks_total{source="jira",outcome="refused"} +1
    "#);
    world.finish().await;
}

/// A new revision each time; the fourth ticket within an hour exceeds the limit.
#[tokio::test]
async fn a_limit_that_is_hit() {
    let world = world().await;
    let mut counting = Counting::begin(&world).await;
    for checksum in ["new1", "new2", "new3"] {
        asks(&world, "/gate/confirm-promotion", "Progressing", checksum).await;
        world.run_worker().await;
    }
    counting.moved().await;
    assert_eq!(asks(&world, "/gate/confirm-promotion", "Progressing", "new4").await, 403);
    insta::assert_snapshot!(counting.moved().await, @r#"
    gate_verdicts_total{stage="confirm-promotion",verdict="closed"} +1
    gates{state="stuck"} +1
    gates{state="waiting"} -1
    outbox_rows{state="pending"} +2
    rollouts_ended_total{how="superseded"} +1
    tickets_refused_total{reason="tickets_per_canary_per_hour"} +1
    webhooks_total{source="flagger",outcome="accepted"} +1
    "#);
    world.finish().await;
}

#[tokio::test]
async fn jira_that_asks_to_wait_and_refuses() {
    let world = world().await;
    let mut counting = Counting::begin(&world).await;
    asks(&world, "/gate/confirm-promotion", "Progressing", "new1").await;
    world.run_worker().await;
    counting.moved().await;
    let wait = Fault::TooMany { retry_after: Some("30".into()) };
    world.jira.fault(Operation::BulkFetch, wait, Times::Once);
    world.advance(Duration::from_secs(20));
    world.run_worker().await;
    insta::assert_snapshot!(counting.moved().await, @r#"
    jira_request_seconds_count{operation="look",status="429"} +1
    jira_throttled_seconds_total +30
    oldest_waiting_seconds +20
    "#);
    world.advances_timers(Duration::from_secs(30)).await;
    world.advance(Duration::from_secs(30));
    world.run_worker().await;
    counting.moved().await;
    counting.counts_every_request();

    // A command that Jira refuses permanently is parked.
    let refusal =
        Fault::Status { code: 400, retry_after: None, body: "{\"errorMessages\":[\"Closed\"]}".into() };
    world.jira.fault(Operation::CreateIssue, refusal, Times::Always);
    assert_eq!(asks(&world, "/gate/confirm-promotion", "Progressing", "new2").await, 403);
    world.run_worker().await;
    insta::assert_snapshot!(counting.moved().await, @r#"
    gate_verdicts_total{stage="confirm-promotion",verdict="closed"} +1
    gates{state="stuck"} +1
    gates{state="waiting"} -1
    jira_request_seconds_count{operation="comment",status="2xx"} +1
    jira_request_seconds_count{operation="comments",status="2xx"} +1
    jira_request_seconds_count{operation="create",status="4xx"} +1
    jira_request_seconds_count{operation="issue",status="2xx"} +2
    jira_request_seconds_count{operation="label",status="2xx"} +1
    oldest_waiting_seconds -50
    outbox_rows{state="parked"} +1
    rollouts_ended_total{how="superseded"} +1
    webhooks_total{source="flagger",outcome="accepted"} +1
    "#);
    counting.counts_every_request();
    world.jira.clear_faults();
    world.advance(Duration::from_secs(3_600));
    world.ticks().await;
    world.finish().await;
}

#[tokio::test]
async fn a_database_that_cannot_be_written() {
    let world = world().await;
    let mut counting = Counting::begin(&world).await;
    asks(&world, "/gate/confirm-promotion", "Progressing", "new1").await;
    world.run_worker().await;
    counting.moved().await;
    world.sql("ALTER TABLE outbox RENAME TO elsewhere").await;
    assert_eq!(asks(&world, "/post-rollout", "Failed", "new1").await, 503);
    assert_eq!(asks(&world, "/gate/confirm-promotion", "Progressing", "new2").await, 403);
    world.sql("ALTER TABLE elsewhere RENAME TO outbox").await;
    insta::assert_snapshot!(counting.moved().await, @r#"
    gate_verdicts_total{stage="confirm-promotion",verdict="closed"} +1
    webhooks_total{source="flagger",outcome="accepted"} +1
    webhooks_total{source="flagger",outcome="failed"} +1
    "#);
    assert_eq!(asks(&world, "/post-rollout", "Failed", "new1").await, 200);
    world.finish().await;
}
