//! Two replicas on one database: writes are serialised, one replica leads, and each soon reads the other's changes.
//!
//! Only PostgreSQL supports replicas. On SQLite a process that starts takes the lease at once, because the previous
//! holder has ended; but a process that is stopping or suspended may still exist, and tests of that case run on both.
//! Tests of two replicas that run for long check [`has_replicas`].

mod clock_skew;
mod processes;
mod retries;
mod stalled_worker;

use std::{sync::Arc, time::Duration};

use fake_jira::{FakeJira, Flavour, MIA, Setup};
use flagger_jira_bridge::{
    clock::Clock,
    config,
    millis::Millis,
    serve::{Bridge, Listeners},
    store::{LEASE, LeaseOutcome},
    worker::{StepOutcome, Worker},
};
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::world::{
    WEBHOOK_SECRET,
    database::Database,
    network::{Way, proxied},
    poll_tickets,
    program::{PATIENCE, plain_client},
    question,
};

const MINUTE: Duration = Duration::from_secs(60);

/// Whether the tests' database supports replicas.
fn has_replicas() -> bool {
    std::env::var("TEST_DATABASE_URL").is_ok_and(|url| !url.is_empty())
}

/// A process whose worker runs only when the test calls it.
struct Replica {
    worker: Arc<Worker>,
    addresses: [String; 3],
    stop: CancellationToken,
    _tasks: JoinSet<anyhow::Result<()>>,
    _bridge: Arc<Bridge>,
}

/// Two replicas and their Jira. The second leads.
struct Two {
    jira: FakeJira,
    clock: Clock,
    first: Replica,
    second: Replica,
    database: Database,
    directory: TempDir,
}

impl Replica {
    async fn start(config: &std::path::Path, clock: &Clock) -> Self {
        let config = config::load(config, []).unwrap_or_else(|problems| panic!("{problems}"));
        let bridge = Arc::new(Bridge::new(config, clock.clone()).unwrap());
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listeners =
            Listeners { gate: bind().await, webhook: bind().await, admin: bind().await, page: None };
        let addresses = [&listeners.gate, &listeners.webhook, &listeners.admin]
            .map(|listener| format!("http://{}", listener.local_addr().unwrap()));
        bridge.listen(listeners, &stop, &mut tasks).unwrap();
        let worker = Arc::new(bridge.open(&stop).await.unwrap().unwrap());
        Self { worker, addresses, stop, _tasks: tasks, _bridge: bridge }
    }

    async fn posts(&self, path: &str, body: &Value) -> (u16, String) {
        post(&format!("{}{path}", self.addresses[0]), body).await.unwrap()
    }

    async fn asks(&self, canary: &str, checksum: &str) -> (u16, String) {
        self.posts("/gate/confirm-promotion", &about(canary, "Progressing", checksum)).await
    }

    async fn gates(&self) -> Value {
        gates(&self.addresses[2]).await
    }

    /// The status page's text about Jira.
    #[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
    async fn jira_status(&self) -> String {
        let response = plain_client().get(format!("{}/", self.addresses[2])).send().await.unwrap();
        let page = response.text().await.unwrap();
        let (_, said) = page.split_once("<dt>Jira</dt><dd>").unwrap();
        said.split_once("</dd>").unwrap().0.replace("<strong>Trouble:</strong> ", "")
    }

    /// Runs the worker until nothing is due, if this replica leads.
    async fn run_worker(&self) {
        for _ in 0..100 {
            let did = self.worker.work_once().await.unwrap();
            let looked = poll_tickets(&self.worker).await.unwrap();
            if matches!(
                (did, looked),
                (StepOutcome::Idle | StepOutcome::Standby, StepOutcome::Idle | StepOutcome::Standby)
            ) {
                return;
            }
        }
        panic!("the worker never became idle");
    }

    async fn renew_lease(&self) -> LeaseOutcome {
        self.worker.keep_lease(false).await.unwrap()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Two {
    async fn start(settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::fresh(directory.path()).await;
        let url = database.url.clone();
        Self::start_on(directory, database, &url, settings).await
    }

    /// The same, with a proxy before the database.
    async fn start_behind_a_proxy() -> (Self, watch::Sender<Way>) {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::fresh(directory.path()).await;
        let (url, way) = proxied(&database.url).await;
        (Self::start_on(directory, database, &url, "").await, way)
    }

    async fn start_on(directory: TempDir, database: Database, store: &str, settings: &str) -> Self {
        let clock = Clock::manual(Millis(1_790_000_000_000));
        let setup = Setup::new(Flavour::DataCenter, clock.clone());
        let token = setup.token.clone();
        let jira = FakeJira::new(setup);
        let url = jira.start().await.unwrap();
        let config = directory.path().join("config.toml");
        let text = format!(
            "store.url = \"{store}\"\njira.url = \"{url}\"\njira.token = \"{token}\"\njira.webhook_secret = \"{WEBHOOK_SECRET}\"\n\
             jira.requests_per_second = 100000\njira.burst = 100000\njira.timeout = \"10s\"\nticket.project = \"OPS\"\n{settings}\n"
        );
        std::fs::write(&config, text).unwrap();
        let first = Replica::start(&config, &clock).await;
        let second = Replica::start(&config, &clock).await;
        let two = Self { jira, clock, first, second, database, directory };
        if two.second.renew_lease().await == LeaseOutcome::Standby {
            assert!(has_replicas(), "on SQLite a process that starts leads at once");
            two.clock.advance(LEASE);
            assert_eq!(two.second.renew_lease().await, LeaseOutcome::TookOver);
        }
        assert_eq!(two.first.renew_lease().await, LeaseOutcome::Standby, "one leads");
        two
    }

    /// Replaces the first replica by one with further settings.
    async fn replace_first(&mut self, settings: &str) {
        let old = std::fs::read_to_string(self.directory.path().join("config.toml")).unwrap();
        let config = self.directory.path().join("new.toml");
        std::fs::write(&config, old + settings).unwrap();
        self.first = Replica::start(&config, &self.clock).await;
    }

    /// Changes the database without the replicas.
    async fn sql(&self, sql: &str) {
        let mut connection = AnyConnection::connect(&self.database.url).await.unwrap();
        sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn number(&self, sql: &str) -> i64 {
        let mut connection = AnyConnection::connect(&self.database.url).await.unwrap();
        let sql = AssertSqlSafe(sql.to_owned());
        let number = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        number
    }
}

/// Flagger's message about the canary with this name.
fn about(canary: &str, phase: &str, checksum: &str) -> Value {
    let mut question = question(phase, checksum);
    question["name"] = canary.into();
    question
}

#[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
async fn post(url: &str, body: &Value) -> Result<(u16, String), reqwest::Error> {
    let request = plain_client().post(url).header("content-type", "application/json");
    let response = request.body(body.to_string()).send().await?;
    Ok((response.status().as_u16(), response.text().await?))
}

#[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
async fn gates(admin: &str) -> Value {
    let response = plain_client().get(format!("{admin}/api/gates")).send().await.unwrap();
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

/// Hundreds of questions, reports and webhooks to both at once, about the same canaries, while both try to lead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_are_asked_at_once() {
    const CANARIES: usize = 30;
    let two = Two::start("").await;
    let mut asking = JoinSet::new();
    for (caller, addresses) in
        [&two.first, &two.second].map(|it| it.addresses[0].clone()).iter().cycle().take(16).enumerate()
    {
        let address = addresses.clone();
        asking.spawn(async move {
            for number in 0..CANARIES / 2 {
                let canary = format!("canary-{}", (number + caller / 8 * (CANARIES / 2)) % CANARIES);
                let path = if caller % 8 < 6 { "gate/confirm-promotion" } else { "event" };
                let (status, words) = loop {
                    let body = about(&canary, "Progressing", "new");
                    let answer = post(&format!("{address}/{path}"), &body).await.unwrap();
                    // A question that could not be stored in time is repeated, as Flagger does.
                    if !answer.1.contains("the database") {
                        break answer;
                    }
                };
                assert!(matches!(status, 200 | 403), "{status} {words}");
            }
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    let (canaries, turns) = (
        two.number("SELECT COUNT(*) FROM canary").await,
        two.number("SELECT COUNT(DISTINCT seq) FROM canary").await,
    );
    assert_eq!((canaries, turns), (30, 30), "each was stored in its own transaction");
    assert_eq!(two.number("SELECT COUNT(*) FROM outbox").await, 30, "one command for each");

    let (a, b) = (Arc::clone(&two.first.worker), Arc::clone(&two.second.worker));
    for worker in [&a, &b, &b] {
        let _ = worker.keep_lease(false).await.unwrap();
    }
    tokio::join!(two.first.run_worker(), two.second.run_worker());
    assert_eq!(two.jira.issues().len(), CANARIES, "one ticket for each gate");
    for ticket in two.jira.issues() {
        two.jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
    }
    two.clock.advance(MINUTE);
    two.second.run_worker().await;
    for number in 0..CANARIES {
        let canary = format!("canary-{number}");
        for replica in [&two.first, &two.second] {
            let (status, words) = replica.asks(&canary, "new").await;
            assert_eq!(status, 200, "{words}");
        }
    }
    assert_eq!(two.first.gates().await.as_array().unwrap().len(), CANARIES);
    two.second.run_worker().await;
    for ticket in two.jira.issues() {
        assert_eq!(ticket.comments.len(), 1, "both replicas answered, and one comment says so");
    }
    assert_eq!(two.jira.issues().len(), CANARIES);
    assert_eq!(two.jira.complaints(), Vec::<String>::new());
    assert_eq!(two.number("SELECT COUNT(*) FROM outbox").await, 0);
    assert_eq!(
        two.number("SELECT newest FROM audit_chain").await,
        two.number("SELECT COUNT(*) FROM audit").await,
        "a record without gaps"
    );
}

/// The limit of open tickets holds for all replicas together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_have_one_budget() {
    let two = Two::start("limits.open_tickets = 5").await;
    let mut asking = JoinSet::new();
    for number in 0..40 {
        let address = [&two.first, &two.second][number % 2].addresses[0].clone();
        let body = about(&format!("canary-{number}"), "Progressing", "new");
        asking.spawn(async move { post(&format!("{address}/gate/confirm-promotion"), &body).await.unwrap() });
    }
    let mut refused = 0;
    while let Some(answered) = asking.join_next().await {
        let (status, words) = answered.unwrap();
        assert_eq!(status, 403);
        refused += usize::from(words.contains("limits.open_tickets"));
    }
    two.second.run_worker().await;
    assert_eq!((two.jira.issues().len(), refused), (5, 35));
}

/// A question to one replica is known to the other at its next message, also within a second.
#[tokio::test]
async fn a_report_that_goes_to_the_other_replica() {
    let two = Two::start("").await;
    two.first.asks("cart", "new").await;
    two.second.run_worker().await;
    assert_eq!(two.jira.issues().len(), 1);
    two.second.posts("/gate/confirm-promotion", &about("till", "Progressing", "new")).await;
    let (status, _) = two.first.posts("/post-rollout", &about("till", "Failed", "new")).await;
    assert_eq!(status, 200);
    two.second.run_worker().await;
    assert_eq!(two.jira.issues().len(), 1, "the rollout of till has ended");
}

/// A webhook for a ticket that the other replica has just opened.
#[tokio::test]
async fn a_webhook_that_goes_to_the_other_replica() {
    let two = Two::start("").await;
    let (status, _) = two.second.asks("cart", "new").await;
    assert_eq!(status, 403);
    two.second.run_worker().await;
    let [ticket] = two.jira.issues().try_into().unwrap();
    two.jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
    two.jira.webhook(&format!("{}/jira/webhook", two.first.addresses[1]), Some(WEBHOOK_SECRET), None);
    two.jira.move_issue(&ticket.key, "In Review", MIA).unwrap();
    let began = Instant::now();
    while two.number("SELECT COUNT(*) FROM nudge").await == 0 {
        assert!(began.elapsed() < PATIENCE, "{:?}", two.jira.deliveries());
        tokio::task::yield_now().await;
    }
    two.jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
    two.clock.advance(Duration::from_secs(2));
    two.second.run_worker().await;
    assert_eq!(two.second.asks("cart", "new").await.0, 200);
}

/// A change of a verdict is recorded once, even if both replicas are asked at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_change_is_recorded_once() {
    let two = Two::start("").await;
    two.first.asks("cart", "new").await;
    two.second.run_worker().await;
    let [ticket] = two.jira.issues().try_into().unwrap();
    let moves = [("Approved", 200), ("To Do", 403), ("Approved", 200), ("Rejected", 403)];
    for (nth, (status, expected)) in moves.into_iter().enumerate() {
        two.jira.move_issue(&ticket.key, status, MIA).unwrap();
        two.clock.advance(MINUTE);
        two.second.run_worker().await;
        let mut asking = JoinSet::new();
        for number in nth..nth + 6 {
            let address = [&two.first, &two.second][number % 2].addresses[0].clone();
            let body = about("cart", "Progressing", "new");
            asking.spawn(
                async move { post(&format!("{address}/gate/confirm-promotion"), &body).await.unwrap() },
            );
        }
        while let Some(answered) = asking.join_next().await {
            let (said, words) = answered.unwrap();
            assert_eq!(said, expected, "{words}");
        }
        for replica in [&two.first, &two.second] {
            assert_eq!(replica.asks("cart", "new").await.0, expected);
        }
        let turned = two.number("SELECT COUNT(*) FROM audit WHERE kind = 'verdict_changed'").await;
        assert_eq!(turned, i64::try_from(nth).unwrap(), "{status}");
    }
    assert_eq!(two.number("SELECT COUNT(*) FROM audit WHERE kind = 'passed'").await, 1);
}

/// Only the leader sends requests to Jira. The other's page says so, and when the leader last renewed its lease.
#[tokio::test]
async fn only_the_leader_talks_to_jira() {
    let two = Two::start("").await;
    two.first.asks("cart", "new").await;
    two.second.run_worker().await;
    assert_eq!(two.second.jira_status().await, "last answered 0 s ago");
    two.clock.advance(Duration::from_secs(3));
    assert_eq!(two.first.renew_lease().await, LeaseOutcome::Standby);
    let other = "another replica talks to Jira; it last renewed its lease 3 s ago";
    assert_eq!(two.first.jira_status().await, other);
    two.clock.advance(MINUTE);
    let gone = "the replica that talked to Jira last renewed its lease 1 min ago; another takes over as soon as the database lets it";
    assert_eq!(two.first.jira_status().await, gone);
    assert_eq!(two.first.renew_lease().await, LeaseOutcome::TookOver);
    assert!(!two.first.jira_status().await.contains("replica"));
    assert_eq!(two.second.renew_lease().await, LeaseOutcome::Standby);
    assert_eq!(
        two.second.jira_status().await,
        "another replica talks to Jira; it last renewed its lease 0 s ago"
    );
}

/// A replica that was suspended does not answer from its outdated memory.
#[tokio::test]
async fn a_replica_that_was_suspended() {
    let two = Two::start("").await;
    two.first.asks("cart", "new").await;
    two.second.run_worker().await;
    let [ticket] = two.jira.issues().try_into().unwrap();
    two.jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
    two.clock.advance(MINUTE);
    two.second.run_worker().await;
    assert_eq!(two.first.asks("cart", "new").await.0, 200);
    two.jira.move_issue(&ticket.key, "Rejected", MIA).unwrap();
    two.clock.advance(MINUTE);
    two.second.run_worker().await;
    let (status, words) = two.first.asks("cart", "new").await;
    assert_eq!(status, 403, "{words}");
    assert!(words.contains("rejected by Mia"), "{words}");
}

/// A question that cannot be stored in time is answered 403 before Flagger's timeout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_database() {
    let two = Two::start("").await;
    let mut connection = AnyConnection::connect(&two.database.url).await.unwrap();
    let mut holding = connection.begin().await.unwrap();
    sqlx::query("UPDATE turn SET seq = seq + 1").execute(&mut *holding).await.unwrap();
    let began = Instant::now();
    let mut asking = JoinSet::new();
    for number in 0..24 {
        let address = [&two.first, &two.second][number % 2].addresses[0].clone();
        let body = about(&format!("canary-{number}"), "Progressing", "new");
        asking.spawn(async move { post(&format!("{address}/gate/confirm-promotion"), &body).await.unwrap() });
    }
    while let Some(answered) = asking.join_next().await {
        let (status, words) = answered.unwrap();
        assert_eq!(status, 403);
        assert!(words.contains("the database"), "{words}");
    }
    println!("24 questions were answered closed within {:?}", began.elapsed());
    holding.rollback().await.unwrap();
    let (_, words) = two.first.asks("canary-1", "new").await;
    assert_eq!(words, "closed: opening: the ticket is being opened\n");
}

/// Questions to either replica count for the same intervals: a pause that ended at one is no longer interval for the
/// other.
#[tokio::test]
async fn intervals_are_measured_over_both_replicas() {
    let two = Two::start("").await;
    two.first.asks("cart", "new").await;
    two.second.asks("cart", "new").await;
    two.second.run_worker().await;
    for _ in 0..60 {
        two.clock.advance(MINUTE);
        two.second.asks("cart", "new").await;
        for replica in [&two.second, &two.first] {
            let _ = replica.renew_lease().await;
        }
    }
    let [ticket] = two.jira.issues().try_into().unwrap();
    two.jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
    two.clock.advance(MINUTE);
    two.second.run_worker().await;
    assert_eq!(two.first.asks("cart", "new").await.0, 200);
    for _ in 0..60 {
        two.clock.advance(MINUTE);
        for replica in [&two.second, &two.first] {
            let _ = replica.renew_lease().await;
        }
    }
    assert_eq!(two.first.asks("cart", "new").await.0, 403, "the same revision comes back an hour later");
}

/// PostgreSQL is unreachable for a minute: every question is answered 403, no report is accepted, and no replica leads;
/// afterwards both recover.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minute_without_postgresql() {
    if !has_replicas() {
        return;
    }
    let (two, way) = Two::start_behind_a_proxy().await;
    two.first.asks("cart", "new").await;
    two.second.run_worker().await;
    let [ticket] = two.jira.issues().try_into().unwrap();
    two.jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
    two.clock.advance(MINUTE);
    two.second.run_worker().await;
    for replica in [&two.first, &two.second] {
        assert_eq!(replica.asks("cart", "new").await.0, 200);
    }
    way.send_replace(Way::Cut);
    for _ in 0..3 {
        two.clock.advance(MINUTE / 3);
        for replica in [&two.first, &two.second] {
            for canary in ["cart", "till"] {
                let (status, words) = replica.asks(canary, "new").await;
                assert_eq!((status, words.contains("the database")), (403, true), "{words}");
            }
            let report = about("cart", "Failed", "new");
            assert_eq!(replica.posts("/post-rollout", &report).await.0, 503);
            assert!(replica.worker.keep_lease(false).await.is_err());
            let looked = poll_tickets(&replica.worker).await;
            assert!(matches!(looked, Ok(StepOutcome::Standby) | Err(_)), "{looked:?}");
        }
    }
    way.send_replace(Way::Open);
    let leads = [two.first.renew_lease().await, two.second.renew_lease().await];
    assert_eq!(leads.iter().filter(|lead| **lead != LeaseOutcome::Standby).count(), 1, "{leads:?}");
    for replica in [&two.first, &two.second] {
        let (status, words) = replica.asks("cart", "new").await;
        assert_eq!(status, 200, "{words}");
        assert_eq!(replica.asks("till", "new").await.0, 403);
    }
    tokio::join!(two.first.run_worker(), two.second.run_worker());
    assert_eq!(two.jira.issues().len(), 2);
    assert_eq!(two.number("SELECT COUNT(*) FROM audit WHERE kind = 'rollout_ended'").await, 0);
    assert_eq!(two.jira.complaints(), Vec::<String>::new());
}
