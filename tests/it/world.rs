//! A bridge between a fake Jira and whoever asks: real HTTP, a database of its own, and a clock that the test moves.
//!
//! The worker's steps are taken by [`World::works`], so that nothing happens that the test did not ask for.

pub(crate) mod crash;
pub(crate) mod database;
mod invariants;
pub(crate) mod log;
pub(crate) mod network;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod yaml;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use fake_jira::{BRIDGE, FakeJira, Flavour, IssueView, MIA, Setup};
use flagger_jira_bridge::{
    clock::Clock,
    config,
    millis::Millis,
    store::{self, LEASE, Lead},
    worker::{CycleOutcome, Worker},
};
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{
    contract::jira_openapi,
    world::{crash::Plan, database::Database, process::Process},
};

/// What the webhook is signed with.
pub(crate) const WEBHOOK_SECRET: &str = "a-webhook-secret-of-the-tests";
/// When every test begins: 2026-09-21T14:13:20Z.
const START: Millis = Millis(1_790_000_000_000);
/// What stands for a listener until it is known which process is asked.
const LISTENERS: [&str; 3] = ["gate", "webhook", "admin"];
/// For longer than Jira's search may lag, and as often as the bridge searches.
const SEARCHES: u32 = 10;
const SEARCHED_EVERY: Duration = Duration::from_secs(15);

/// Looks at the tickets that were moved; if there are none, answers the dead, and looks at those whose turn it is.
pub(crate) async fn looked(worker: &Worker) -> Result<CycleOutcome, store::Error> {
    let nudged = worker.read_nudged().await?;
    if nudged != CycleOutcome::Idle {
        return Ok(nudged);
    }
    let answered = worker.answer_late_moves().await?;
    if answered == CycleOutcome::Idle { worker.poll().await } else { Ok(answered) }
}

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

/// A bridge, its Jira, and the time.
pub(crate) struct World {
    pub(crate) jira: FakeJira,
    pub(crate) clock: Clock,
    flavour: Flavour,
    http: reqwest::Client,
    /// Those that serve. The last one works; where the plan is to have replicas, whoever has the lease.
    processes: Mutex<Vec<Arc<Process>>>,
    /// How often one of them was chosen.
    chosen: AtomicUsize,
    /// How often it is still looked for a ticket that a killed process may have opened.
    searches: AtomicU32,
    /// What Flagger asked last, as long as it may still wait for an answer that is open.
    asked: Mutex<Option<reqwest::Request>>,
    plan: Option<Arc<Plan>>,
    pub(crate) settings: String,
    database: Database,
    directory: TempDir,
}

impl World {
    /// A bridge with the defaults.
    pub(crate) async fn start(flavour: Flavour) -> Self {
        Self::start_with(flavour, "").await
    }

    /// The same bridge before a Jira Cloud and before a Data Center; where the plan says which, before that.
    pub(crate) async fn both(settings: &str) -> Vec<Self> {
        let planned = Plan::current().map(|plan| plan.flavour);
        let mut both = Vec::new();
        for flavour in [Flavour::Cloud, Flavour::DataCenter] {
            if planned.is_none_or(|planned| planned == flavour) {
                both.push(Self::start_with(flavour, settings).await);
            }
        }
        both
    }

    /// A bridge with the defaults, except that Jira may be asked as often as the test likes, and with further settings:
    /// lines of TOML, with full keys.
    pub(crate) async fn start_with(flavour: Flavour, settings: &str) -> Self {
        let world = Self::prepare(flavour, settings).await;
        world.begins().await;
        world
    }

    /// The same, but nobody serves yet, and the database is empty.
    pub(crate) async fn prepare(flavour: Flavour, settings: &str) -> Self {
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
        let timeout = if settings.contains("jira.timeout") { "" } else { "jira.timeout = \"2s\"\n" };
        let settings = format!(
            "store.url = \"{}\"\njira.url = \"{url}\"\njira.token = \"{token}\"\n{user}jira.webhook_secret = \"{WEBHOOK_SECRET}\"\n\
             jira.requests_per_second = 100000\njira.burst = 100000\n{timeout}\
             ticket.project = \"OPS\"\n{settings}\n",
            database.url,
        );
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        let plan = Plan::current();
        Self {
            jira,
            clock,
            flavour,
            http,
            processes: Mutex::default(),
            chosen: AtomicUsize::new(0),
            searches: AtomicU32::new(0),
            asked: Mutex::default(),
            plan,
            settings,
            database,
            directory,
        }
    }

    /// The processes start.
    pub(crate) async fn begins(&self) {
        for _ in 0..self.plan.as_ref().map_or(1, |plan| plan.replicas) {
            let process = self.starts().await;
            self.processes.lock().unwrap().push(process);
        }
        if self.plan.as_ref().is_some_and(|plan| plan.is_cut()) {
            self.takes_over().await;
        }
    }

    /// Another process on the same database. One that is killed while it starts is started again.
    async fn starts(&self) -> Arc<Process> {
        let path = self.directory.path().join("config.toml");
        std::fs::write(&path, &self.settings).unwrap();
        loop {
            let config = config::load(&path, []).unwrap_or_else(|problems| panic!("{problems}"));
            let dead = CancellationToken::new();
            let dispatch = match &self.plan {
                Some(plan) => plan.watches(dead.clone()),
                None => tracing::dispatcher::get_default(Clone::clone),
            };
            if let Some(process) = Process::start(config, self.clock.clone(), dispatch, dead).await {
                return Arc::new(process);
            }
        }
    }

    /// Stops the processes as `kill -9` would, one after the other, and starts others on the same database.
    pub(crate) async fn restarts(&self) {
        for at in 0..self.processes().len() {
            self.processes()[at].kill();
            self.revives().await;
        }
    }

    /// The same, with further settings from now on.
    pub(crate) async fn restarts_with(&mut self, settings: &str) {
        self.settings += settings;
        self.restarts().await;
    }

    /// Where a process was killed, another is started on the same database. Time runs on until somebody works.
    async fn revives(&self) {
        let mut revived = false;
        while let Some(at) = self.processes().iter().position(|process| process.is_dead()) {
            self.processes()[at].kill();
            let process = self.starts().await;
            self.processes.lock().unwrap()[at] = process;
            revived = true;
        }
        if !revived {
            return;
        }
        if self.plan.as_ref().is_some_and(|plan| plan.is_cut()) && self.searches.load(SeqCst) == 0 {
            self.searches.store(SEARCHES, SeqCst);
        }
        self.takes_over().await;
        self.holds_what_it_promises().await;
    }

    /// Somebody begins to work: on PostgreSQL, where another could still be at work, when the lease of the one before
    /// has ended.
    pub(crate) async fn takes_over(&self) {
        loop {
            match self.keeps().await {
                Some(true) => return,
                Some(false) => self.later(LEASE),
                None => return Box::pin(self.revives()).await,
            }
        }
    }

    /// The tick of every process that works or could. Whether one of them works; none if one was killed.
    async fn keeps(&self) -> Option<bool> {
        let mut leads = false;
        for process in self.workers() {
            let lead =
                process.does(async |worker: Arc<Worker>| worker.keep_lease(false).await.unwrap()).await?;
            leads |= lead != Lead::Standby;
        }
        Some(leads)
    }

    fn processes(&self) -> Vec<Arc<Process>> {
        self.processes.lock().unwrap().clone()
    }

    fn has_replicas(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.replicas > 1)
    }

    /// Who may work, beginning with another one each time.
    pub(crate) fn workers(&self) -> Vec<Arc<Process>> {
        let mut workers = self.processes();
        if self.has_replicas() {
            let tx = self.begin_write() % workers.len();
            workers.rotate_left(tx);
            return workers;
        }
        workers.split_off(workers.len() - 1)
    }

    fn begin_write(&self) -> usize {
        self.chosen.fetch_add(1, SeqCst)
    }

    /// What `store.url` is.
    pub(crate) fn database_url(&self) -> &str {
        &self.database.url
    }

    fn is_sqlite(&self) -> bool {
        self.database.url.starts_with("sqlite:")
    }

    /// A second process starts on the same database, and works from now on; the first goes on serving.
    pub(crate) async fn is_joined(&self) {
        let second = self.starts().await;
        self.processes.lock().unwrap().push(second);
        if self.keeps().await == Some(false) {
            self.later(LEASE);
            assert_eq!(self.keeps().await, Some(true), "the lease of the first is over");
        }
    }

    /// A question to the process that ran first.
    pub(crate) async fn asks_first(&self, stage: &str, phase: &str, checksum: &str) -> Answer {
        let path = format!("/gate/{stage}");
        let request = self.gate("POST", &path).header("content-type", "application/json");
        let request = request.body(question(phase, checksum).to_string()).build().unwrap();
        self.tries(&self.processes()[0], &request).await.unwrap()
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

    /// What the bridge waits for on its runtime's own clock comes as much sooner.
    pub(crate) async fn advances_timers(&self, by: Duration) {
        for process in self.processes() {
            let advance = async move |_| {
                tokio::time::pause();
                tokio::time::advance(by).await;
                tokio::time::resume();
            };
            let _ = process.does(advance).await;
        }
    }

    /// Time passes on all clocks: what waits by the runtime's own comes sooner, too.
    pub(crate) async fn passes(&self, by: Duration) {
        self.later(by);
        self.advances_timers(by).await;
    }

    /// How long the world has been going.
    pub(crate) fn age(&self) -> Duration {
        self.clock.now().since(START)
    }

    /// Flagger asks every few seconds, and so everybody who could work gets to know at which gate.
    async fn is_asked_on(&self) {
        if !self.has_replicas() && self.searches.load(SeqCst) == 0 {
            return;
        }
        self.ticks().await;
        let asked = self.asked.lock().unwrap().as_ref().and_then(reqwest::Request::try_clone);
        if let Some(request) = asked {
            for process in self.processes() {
                self.tries(&process, &request).await;
            }
        }
    }

    /// The worker does all that is due. Returns how often it asked Jira for tickets' states.
    pub(crate) async fn works(&self) -> usize {
        let mut looks = 0;
        self.revives().await;
        self.is_asked_on().await;
        for _ in 0..1_000 {
            let mut idle = false;
            for process in self.workers() {
                let did = process.does(async |worker: Arc<Worker>| {
                    (worker.work_once().await.unwrap(), looked(&worker).await.unwrap())
                });
                match did.await {
                    Some((CycleOutcome::Idle, CycleOutcome::Idle)) => idle = true,
                    Some((CycleOutcome::Standby, CycleOutcome::Standby)) => {}
                    Some((_, looked)) => {
                        looks += usize::from(matches!(looked, CycleOutcome::Read { .. }));
                        idle = false;
                        break;
                    }
                    None => {
                        idle = false;
                        self.revives().await;
                        self.is_asked_on().await;
                        break;
                    }
                }
            }
            if idle && !self.searches_on().await {
                return looks;
            }
        }
        panic!("the worker finds no end");
    }

    /// Time runs on while nobody can know whether a process that was killed had opened a ticket. False if that is known.
    async fn searches_on(&self) -> bool {
        if self.searches.load(SeqCst) == 0 || self.count("outbox WHERE sent_at IS NOT NULL").await == 0 {
            return false;
        }
        self.searches.fetch_sub(1, SeqCst);
        self.later(SEARCHED_EVERY);
        self.ticks().await;
        true
    }

    /// The worker's tick: leases, batches, silence.
    pub(crate) async fn ticks(&self) {
        loop {
            self.revives().await;
            if self.keeps().await.is_some() {
                return;
            }
        }
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

    /// A question before the promotion of `shop/cart`, while its new revision runs.
    pub(crate) async fn promotes(&self) -> Answer {
        self.asks("confirm-promotion", "Progressing", "new").await
    }

    /// Its gate waits. Returns the key of its ticket.
    pub(crate) async fn promotion_waits(&self) -> String {
        self.promotes().await;
        self.works().await;
        self.newest()
    }

    /// It is approved, and Flagger was told so. Returns the key of its ticket.
    pub(crate) async fn promotion_approved(&self) -> String {
        let key = self.promotion_waits().await;
        self.decides(&key, "Approved").await;
        self.promotion_is_open().await;
        key
    }

    pub(crate) async fn promotion_is_open(&self) {
        let Answer { status, body } = self.promotes().await;
        assert_eq!(status, 200, "{body}");
    }

    pub(crate) async fn promotion_is_closed(&self, why: &str) {
        let Answer { status, body } = self.promotes().await;
        assert!(status == 403 && body.contains(why), "{why}: {status} {body}");
    }

    /// A report about `shop/cart`.
    pub(crate) async fn reports(&self, path: &str, phase: &str, checksum: &str) -> Answer {
        self.posts(path, &question(phase, checksum)).await
    }

    /// A request to the gate listener.
    pub(crate) fn gate(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.request(LISTENERS[0], method, path)
    }

    /// A request to the webhook listener.
    pub(crate) fn webhook(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.request(LISTENERS[1], method, path)
    }

    /// A request to the admin listener.
    pub(crate) fn admin(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.request(LISTENERS[2], method, path)
    }

    /// Which process gets it turns out when it is sent.
    fn request(&self, listener: &str, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("http://{listener}{path}"))
    }

    /// The address of a listener: gate, webhook, admin.
    pub(crate) fn address(&self, listener: usize) -> String {
        self.processes()[0].addresses[listener].clone()
    }

    /// Sends a request, and again where the process was killed before it answered: so do Flagger and Jira.
    pub(crate) async fn sends(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        match request.url().path() {
            "/gate/rollback" | "/rollback/check" => {}
            path if path.starts_with("/gate/") => *self.asked.lock().unwrap() = request.try_clone(),
            "/event" | "/post-rollout" => *self.asked.lock().unwrap() = None,
            _ => {}
        }
        loop {
            self.revives().await;
            if self.has_replicas() {
                // Those that were not asked before follow once a second.
                self.ticks().await;
            }
            let processes = self.processes();
            let asked = if self.has_replicas() { self.begin_write() % 2 } else { processes.len() - 1 };
            if let Some(answer) = self.tries(&processes[asked], &request).await {
                self.is_proven(&request, &answer);
                return answer;
            }
        }
    }

    /// Sends a request to a process. None if that was killed before it answered.
    #[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
    async fn tries(&self, process: &Process, request: &reqwest::Request) -> Option<Answer> {
        let mut request = request.try_clone().unwrap();
        let listener = LISTENERS.iter().position(|name| request.url().host_str() == Some(name)).unwrap();
        let (host, port) = process.addresses[listener].split_once(':').unwrap();
        request.url_mut().set_host(Some(host)).unwrap();
        request.url_mut().set_port(port.parse().ok()).unwrap();
        let answer = async {
            let response = reqwest::RequestBuilder::from_parts(self.http.clone(), request).send().await?;
            Ok::<_, reqwest::Error>(Answer {
                status: response.status().as_u16(),
                body: response.text().await?,
            })
        };
        match answer.await {
            // What a dead process still says, such as that it panicked, nobody hears.
            _ if process.is_dead() => None,
            Ok(answer) => Some(answer),
            Err(error) => panic!("{error}"),
        }
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
        let signature = fake_jira::signature(WEBHOOK_SECRET, body.as_bytes());
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

    /// What is to be done later is done: a ticket that may be there twice is looked for a while.
    pub(crate) async fn settles(&self) {
        for _ in 1..20 {
            if self.count("outbox").await == 0 {
                break;
            }
            self.later(Duration::from_secs(61));
            self.works().await;
        }
    }

    /// Ends the test: Jira had nothing to complain about, and nothing is left over.
    pub(crate) async fn finish(self) {
        self.works().await;
        // What Flagger reported is gathered for a minute.
        self.later(Duration::from_secs(61));
        self.works().await;
        self.settles().await;
        assert_eq!(self.jira.complaints(), Vec::<String>::new(), "what Jira would not have taken");
        if self.flavour == Flavour::Cloud {
            let violations = jira_openapi::violations(&self.jira.requests());
            assert_eq!(violations, Vec::<String>::new(), "what Jira's description does not know");
        }
        self.ticks().await;
        let metrics = self.sends(self.admin("GET", "/metrics")).await.body;
        for state in ["pending", "parked"] {
            let line = format!("flagger_jira_bridge_outbox_rows{{state=\"{state}\"}} 0\n");
            assert!(metrics.contains(&line), "rows {state} in the outbox:\n{metrics}");
        }
        self.holds_what_it_promises().await;
    }
}

/// What Flagger sends about `shop/cart`.
pub(crate) fn question(phase: &str, checksum: &str) -> Value {
    json!({ "name": "cart", "namespace": "shop", "phase": phase, "checksum": checksum })
}
