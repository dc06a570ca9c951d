//! A bridge between a fake Jira and whoever asks: real HTTP, a database of its own, and a clock that the test moves.
//!
//! The worker's steps are taken by [`World::works`], so that nothing happens that the test did not ask for.

use std::{sync::Arc, time::Duration};

use flagger_jira_bridge::{
    clock::Clock,
    config,
    demo::fake_jira::{BRIDGE, FakeJira, Flavour, IssueView, MIA, Setup},
    millis::Millis,
    serve::{Bridge, Listeners},
    store::{LEASE, Lead},
    worker::{Outcome, Worker},
};
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{database::Database, openapi};

/// What the webhook is signed with.
pub(crate) const WEBHOOK_SECRET: &str = "a-webhook-secret-of-the-tests";
/// When every test begins: 2026-09-21T14:13:20Z.
const START: Millis = Millis(1_790_000_000_000);

/// An answer to an HTTP request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The bridge as one process runs it.
struct Process {
    worker: Worker,
    addresses: [String; 3],
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
    _bridge: Arc<Bridge>,
}

/// A bridge, its Jira, and the time.
pub(crate) struct World {
    pub(crate) jira: FakeJira,
    pub(crate) clock: Clock,
    flavour: Flavour,
    http: reqwest::Client,
    directory: TempDir,
    database: Database,
    settings: String,
    process: Process,
    /// A process that ran before this one, and still does.
    first: Option<Process>,
}

impl World {
    /// A bridge with the defaults.
    pub(crate) async fn start(flavour: Flavour) -> Self {
        Self::start_with(flavour, "").await
    }

    /// The same bridge before a Jira Cloud and before a Data Center.
    pub(crate) async fn both(settings: &str) -> [Self; 2] {
        [
            Self::start_with(Flavour::Cloud, settings).await,
            Self::start_with(Flavour::DataCenter, settings).await,
        ]
    }

    /// A bridge with the defaults, except that Jira may be asked as often as the test likes, and with further settings:
    /// lines of TOML, with full keys.
    pub(crate) async fn start_with(flavour: Flavour, settings: &str) -> Self {
        let clock = Clock::manual(START);
        let setup = Setup::new(flavour, clock.clone());
        let user = match flavour {
            Flavour::Cloud => format!("jira.user = \"{}\"\n", setup.user),
            Flavour::DataCenter => String::new(),
        };
        let token = setup.token.clone();
        let jira = FakeJira::new(setup);
        let url = jira.start().await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let database = Database::fresh(directory.path()).await;
        let settings = format!(
            "store.url = \"{}\"\njira.url = \"{url}\"\njira.token = \"{token}\"\n{user}jira.webhook_secret = \"{WEBHOOK_SECRET}\"\n\
             jira.requests_per_second = 100000\njira.burst = 100000\njira.timeout = \"2s\"\n\
             ticket.project = \"OPS\"\n{settings}\n",
            database.url,
        );
        let process = Process::start(&directory, &settings, &clock).await;
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { jira, clock, flavour, http, directory, database, settings, process, first: None }
    }

    /// Stops the process as `kill -9` would, and starts another on the same database.
    pub(crate) async fn restarts(&mut self) {
        self.process.stop.cancel();
        while self.process.tasks.join_next().await.is_some() {}
        self.process = Process::start(&self.directory, &self.settings, &self.clock).await;
        self.takes_over().await;
    }

    /// The process that was started last begins to work. On SQLite it does so at once; on PostgreSQL, where another
    /// could still be at work, when the lease of the one before has ended.
    async fn takes_over(&self) {
        if self.is_sqlite() {
            return;
        }
        let lead = self.process.worker.keep(false).await.unwrap();
        if lead == Lead::Follows {
            self.later(LEASE);
            assert_eq!(self.process.worker.keep(false).await.unwrap(), Lead::TookOver);
        }
    }

    fn is_sqlite(&self) -> bool {
        self.database.url.starts_with("sqlite:")
    }

    /// A second process starts on the same database, and works from now on; the first goes on serving.
    pub(crate) async fn is_joined(&mut self) {
        let second = Process::start(&self.directory, &self.settings, &self.clock).await;
        self.first = Some(std::mem::replace(&mut self.process, second));
        self.takes_over().await;
    }

    /// A question to the process that ran first.
    pub(crate) async fn asks_first(&self, stage: &str, phase: &str, checksum: &str) -> Answer {
        let address = &self.first.as_ref().unwrap().addresses[0];
        let request =
            self.http.post(format!("{address}/gate/{stage}")).header("content-type", "application/json");
        self.sends(request.body(question(phase, checksum).to_string())).await
    }

    /// Changes the database behind the bridge's back.
    pub(crate) async fn sql(&self, sql: &str) {
        let mut connection = AnyConnection::connect(&self.database.url).await.unwrap();
        sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn reads(&self) -> AnyConnection {
        let mode = if self.is_sqlite() { "?mode=ro" } else { "" };
        AnyConnection::connect(&format!("{}{mode}", self.database.url)).await.unwrap()
    }

    /// Whether its Jira is Cloud.
    pub(crate) fn is_cloud(&self) -> bool {
        self.flavour == Flavour::Cloud
    }

    /// Time passes; nobody works meanwhile.
    pub(crate) fn later(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// How long the world has been going.
    pub(crate) fn age(&self) -> Duration {
        self.clock.now().since(START)
    }

    /// The worker does all that is due. Returns how often it asked Jira for tickets' states.
    pub(crate) async fn works(&self) -> usize {
        let mut looks = 0;
        for _ in 0..1_000 {
            let did = self.process.worker.work_once().await.unwrap();
            let looked = self.process.worker.look_once().await.unwrap();
            looks += usize::from(matches!(looked, Outcome::Looked { .. }));
            if (did, looked) == (Outcome::Idle, Outcome::Idle) {
                return looks;
            }
        }
        panic!("the worker finds no end");
    }

    /// The worker's tick: leases, batches, silence.
    pub(crate) async fn ticks(&self) {
        self.process.worker.keep(false).await.unwrap();
    }

    /// Posts to the gate listener as Flagger does.
    pub(crate) async fn posts(&self, path: &str, body: &Value) -> Answer {
        self.sends(self.gate("POST", path).header("content-type", "application/json").body(body.to_string()))
            .await
    }

    /// A question about `shop/cart` at a stage.
    pub(crate) async fn asks(&self, stage: &str, phase: &str, checksum: &str) -> Answer {
        self.posts(&format!("/gate/{stage}"), &question(phase, checksum)).await
    }

    /// A report about `shop/cart`.
    pub(crate) async fn reports(&self, path: &str, phase: &str, checksum: &str) -> Answer {
        self.posts(path, &question(phase, checksum)).await
    }

    /// A request to the gate listener.
    pub(crate) fn gate(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.request(0, method, path)
    }

    /// A request to the webhook listener.
    pub(crate) fn webhook(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.request(1, method, path)
    }

    /// A request to the admin listener.
    pub(crate) fn admin(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.request(2, method, path)
    }

    fn request(&self, listener: usize, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.process.addresses[listener]))
    }

    /// The address of a listener: gate, webhook, admin.
    pub(crate) fn address(&self, listener: usize) -> String {
        self.process.addresses[listener].trim_start_matches("http://").to_owned()
    }

    #[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
    pub(crate) async fn sends(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        Answer { status: response.status().as_u16(), body: response.text().await.unwrap() }
    }

    /// `GET /api/gates`.
    pub(crate) async fn gates(&self) -> Value {
        self.sends(self.admin("GET", "/api/gates")).await.json()
    }

    /// The change manager moves a ticket, and the bridge gets to know of it by polling.
    pub(crate) async fn decides(&self, key: &str, status: &str) {
        self.jira.move_issue(key, status, MIA).unwrap();
        self.later(Duration::from_secs(20));
        self.works().await;
    }

    /// Jira's webhook for an issue, signed.
    pub(crate) async fn nudges(&self, key: &str) -> Answer {
        let issue = self.jira.issue(key).unwrap();
        let body = json!({ "webhookEvent": "jira:issue_updated", "issue": { "id": issue.id, "key": key } })
            .to_string();
        let signature = flagger_jira_bridge::demo::fake_jira::signature(WEBHOOK_SECRET, body.as_bytes());
        self.sends(self.webhook("POST", "/jira/webhook").header("X-Hub-Signature", signature).body(body))
            .await
    }

    /// The tickets the bridge opened, oldest first.
    pub(crate) fn tickets(&self) -> Vec<IssueView> {
        let mut tickets: Vec<IssueView> = self
            .jira
            .issues()
            .into_iter()
            .filter(|issue| issue.labels.iter().any(|it| it == "flagger-gate"))
            .collect();
        tickets.sort_by_key(|issue| issue.id.parse::<u64>().unwrap());
        for ticket in &tickets {
            assert_eq!(ticket.creator, BRIDGE, "{} is the bridge's", ticket.key);
        }
        tickets
    }

    /// The ticket opened last.
    pub(crate) fn newest(&self) -> String {
        self.tickets().last().expect("there is a ticket").key.clone()
    }

    /// How many writing transactions the store has seen: its newest turn, as anybody can read it there.
    pub(crate) async fn turns(&self) -> i64 {
        let mut connection = self.reads().await;
        let turns = sqlx::query_scalar("SELECT seq FROM turn").fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        turns
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        let mut connection = self.reads().await;
        let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        let rows = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows
    }

    /// The file the bridge was configured with.
    pub(crate) fn config(&self) -> String {
        self.directory.path().join("config.toml").display().to_string()
    }

    /// All that the database holds: the files of SQLite, byte for byte, or the tables of PostgreSQL, row by row, each
    /// with where it is and the transaction that wrote it, so that a row which was written again as it was shows too.
    pub(crate) async fn contents(&self) -> Vec<(String, Vec<u8>)> {
        if self.is_sqlite() { self.files() } else { self.tables().await }
    }

    async fn tables(&self) -> Vec<(String, Vec<u8>)> {
        let mut connection = self.reads().await;
        let names = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename";
        let names: Vec<String> = sqlx::query_scalar(names).fetch_all(&mut connection).await.unwrap();
        assert!(names.iter().any(|name| name == "canary"), "{names:?}");
        let mut tables = Vec::new();
        for name in names {
            let rows = format!(
                "SELECT ctid::text || ' ' || xmin::text || ' ' || r::text FROM {name} r ORDER BY ctid"
            );
            let rows: Vec<String> =
                sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(&mut connection).await.unwrap();
            tables.push((name, rows.join("\n").into_bytes()));
        }
        connection.close().await.unwrap();
        tables
    }

    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            // The shared memory beside a WAL is only about who reads.
            .filter(|path| !path.to_string_lossy().ends_with("-shm"))
            .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
            .collect();
        files.sort();
        files
    }

    /// Ends the test: Jira had nothing to complain about, and nothing is left over.
    pub(crate) async fn finish(self) {
        self.works().await;
        // What Flagger reported is gathered for a minute.
        self.later(Duration::from_secs(61));
        self.works().await;
        assert_eq!(self.jira.complaints(), Vec::<String>::new(), "what Jira would not have taken");
        if self.flavour == Flavour::Cloud {
            let violations = openapi::violations(&self.jira.requests());
            assert_eq!(violations, Vec::<String>::new(), "what Jira's description does not know");
        }
        self.ticks().await;
        let metrics = self.sends(self.admin("GET", "/metrics")).await.body;
        for state in ["pending", "parked"] {
            let line = format!("flagger_jira_bridge_outbox_rows{{state=\"{state}\"}} 0\n");
            assert!(metrics.contains(&line), "rows {state} in the outbox:\n{metrics}");
        }
        self.process.stop.cancel();
    }
}

impl Process {
    async fn start(directory: &TempDir, settings: &str, clock: &Clock) -> Self {
        let path = directory.path().join("config.toml");
        std::fs::write(&path, settings).unwrap();
        let config = config::load(&path, []).unwrap_or_else(|problems| panic!("{problems}"));
        let bridge = Arc::new(Bridge::new(config, clock.clone()).unwrap());
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listeners = Listeners { gate: bind().await, webhook: bind().await, admin: bind().await };
        let addresses = [&listeners.gate, &listeners.webhook, &listeners.admin]
            .map(|listener| format!("http://{}", listener.local_addr().unwrap()));
        bridge.listen(listeners, &stop, &mut tasks).unwrap();
        let worker = bridge.open(&stop).await.unwrap().unwrap();
        Self { worker, addresses, stop, tasks, _bridge: bridge }
    }
}

/// What Flagger sends about `shop/cart`.
pub(crate) fn question(phase: &str, checksum: &str) -> Value {
    json!({ "name": "cart", "namespace": "shop", "phase": phase, "checksum": checksum })
}
