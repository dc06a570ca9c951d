//! A bridge and a fake Jira: real HTTP, a database of its own, and a clock that the test moves.
//!
//! The worker runs only when a test calls [`World::run_worker`], so that nothing happens by itself.

pub(crate) mod channel;
pub(crate) mod cluster;
pub(crate) mod crash;
pub(crate) mod database;
mod invariants;
pub(crate) mod log;
pub(crate) mod network;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod yaml;

use std::{
    path::Path,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use fake_jira::{BRIDGE, FakeJira, Flavour, IssueView, MIA, Setup};
use flagger_jira_bridge::{
    clock::Clock,
    config,
    millis::Millis,
    store::{self, LEASE, LeaseOutcome, Store},
    worker::{StepOutcome, Worker},
};
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{
    contract::jira_openapi,
    world::{crash::Plan, database::Database, process::Process},
};

/// The secret that signs the webhook.
pub(crate) const WEBHOOK_SECRET: &str = "a-webhook-secret-of-the-tests";
/// When every test begins: 2026-09-21T14:13:20Z.
const START: Millis = Millis(1_790_000_000_000);
/// Placeholder host names of the listeners, replaced when the process that gets the request is chosen.
const LISTENERS: [&str; 4] = ["gate", "webhook", "admin", "page"];
/// Searches after a crash: together they last longer than Jira's search may lag.
const SEARCHES: u32 = 10;
const SEARCHED_EVERY: Duration = Duration::from_secs(15);

/// One round of reading: tickets named by a webhook; if there are none, late moves of ended tickets; then due tickets.
pub(crate) async fn poll_tickets(worker: &Worker) -> Result<StepOutcome, store::Error> {
    let nudged = worker.read_nudged().await?;
    if nudged != StepOutcome::Idle {
        return Ok(nudged);
    }
    let answered = worker.answer_late_moves().await?;
    if answered == StepOutcome::Idle { worker.poll().await } else { Ok(answered) }
}

/// A database with the bridge's tables but without rows; on SQLite an empty one, in which they are soon made. On
/// PostgreSQL a copy of another takes a fraction of the time, so one is kept while any of its copies is in use.
async fn migrated(directory: &Path) -> Database {
    static TEMPLATE: tokio::sync::Mutex<Weak<Database>> = tokio::sync::Mutex::const_new(Weak::new());
    let mut kept = TEMPLATE.lock().await;
    if let Some(template) = kept.upgrade() {
        drop(kept);
        return template.copy().await;
    }
    let fresh = Database::fresh(directory).await;
    if fresh.url.starts_with("sqlite:") {
        return fresh;
    }
    Store::open(&fresh.url.clone().into()).await.unwrap().close().await;
    let template = Arc::new(fresh);
    *kept = Arc::downgrade(&template);
    drop(kept);
    template.copy().await
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

/// One or several processes of the bridge, their Jira, database and clock.
pub(crate) struct World {
    pub(crate) jira: FakeJira,
    pub(crate) clock: Clock,
    flavour: Flavour,
    http: reqwest::Client,
    /// All processes. The worker of the last one runs; with replicas, the worker of the one that holds the lease.
    processes: Mutex<Vec<Arc<Process>>>,
    /// How often a process was chosen, for round robin.
    chosen: AtomicUsize,
    /// How many searches remain for a ticket that a killed process may have opened.
    searches: AtomicU32,
    /// Flagger's last question, while Flagger may still repeat it.
    asked: Mutex<Option<reqwest::Request>>,
    plan: Option<Arc<Plan>>,
    /// A connection to PostgreSQL for [`World::number`].
    reader: tokio::sync::Mutex<Option<AnyConnection>>,
    pub(crate) settings: String,
    database: Database,
    directory: TempDir,
}

impl World {
    /// A bridge with the defaults.
    pub(crate) async fn start(flavour: Flavour) -> Self {
        Self::start_with(flavour, "").await
    }

    /// The same bridge with Jira Cloud and with Data Center; if the plan names one of them, only with that.
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

    /// A bridge with the defaults, but without a rate limit, and with further settings: lines of TOML, with full keys.
    pub(crate) async fn start_with(flavour: Flavour, settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = migrated(directory.path()).await;
        let world = Self::prepare_on(flavour, settings, directory, database).await;
        world.start_processes().await;
        world
    }

    /// The same, but no process runs yet, and the database is empty.
    pub(crate) async fn prepare(flavour: Flavour, settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::fresh(directory.path()).await;
        Self::prepare_on(flavour, settings, directory, database).await
    }

    async fn prepare_on(flavour: Flavour, settings: &str, directory: TempDir, database: Database) -> Self {
        let clock = Clock::manual(START);
        let setup = Setup::new(flavour, clock.clone());
        let user = match flavour {
            Flavour::Cloud => format!("jira.user = \"{}\"\n", setup.user),
            Flavour::DataCenter => String::new(),
        };
        let token = setup.token.clone();
        let jira = FakeJira::new(setup);
        let url = jira.start().await.unwrap();
        let timeout = if settings.contains("jira.timeout") { "" } else { "jira.timeout = \"2s\"\n" };
        let settings = format!(
            "store.url = \"{}\"\njira.url = \"{url}\"\njira.token = \"{token}\"\n{user}jira.webhook_secret = \"{WEBHOOK_SECRET}\"\n\
             jira.requests_per_second = 100000\njira.burst = 100000\n{timeout}\
             ticket.project = \"OPS\"\n{settings}\n",
            database.url,
        );
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).tls_certs_only([]).build().unwrap();
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
            reader: tokio::sync::Mutex::default(),
            settings,
            database,
            directory,
        }
    }

    /// Starts the processes.
    pub(crate) async fn start_processes(&self) {
        for _ in 0..self.plan.as_ref().map_or(1, |plan| plan.replicas) {
            let process = self.start_process().await;
            self.processes.lock().unwrap().push(process);
        }
        if self.plan.as_ref().is_some_and(|plan| plan.is_cut()) {
            self.take_lease().await;
        }
    }

    /// Starts another process on the same database, again if it is killed while it starts.
    async fn start_process(&self) -> Arc<Process> {
        let path = self.directory.path().join("config.toml");
        std::fs::write(&path, &self.settings).unwrap();
        loop {
            let config = config::load(&path, []).unwrap_or_else(|problems| panic!("{problems}"));
            let kill = CancellationToken::new();
            let dispatch = match &self.plan {
                Some(plan) => plan.step_dispatch(kill.clone()),
                None => tracing::dispatcher::get_default(Clone::clone),
            };
            if let Some(process) = Process::start(config, self.clock.clone(), dispatch, kill).await {
                return Arc::new(process);
            }
        }
    }

    /// Kills the processes as `kill -9` would, one after the other, and starts others on the same database.
    pub(crate) async fn restarts(&self) {
        for at in 0..self.processes().len() {
            self.processes()[at].kill();
            self.restart_killed().await;
        }
    }

    /// The same, with further settings from now on.
    pub(crate) async fn restarts_with(&mut self, settings: &str) {
        self.settings += settings;
        self.restarts().await;
    }

    /// Replaces each killed process by another on the same database, and advances the clock until one has the lease.
    async fn restart_killed(&self) {
        let mut revived = false;
        while let Some(at) = self.processes().iter().position(|process| process.is_killed()) {
            self.processes()[at].kill();
            let process = self.start_process().await;
            self.processes.lock().unwrap()[at] = process;
            revived = true;
        }
        if !revived {
            return;
        }
        if self.plan.as_ref().is_some_and(|plan| plan.is_cut()) && self.searches.load(SeqCst) == 0 {
            self.searches.store(SEARCHES, SeqCst);
        }
        self.take_lease().await;
        self.assert_invariants().await;
    }

    /// Advances the clock until a process leads: on PostgreSQL, only when the previous leader's lease has ended.
    pub(crate) async fn take_lease(&self) {
        loop {
            match self.renew_lease().await {
                Some(true) => return,
                Some(false) => self.advance(LEASE),
                None => return Box::pin(self.restart_killed()).await,
            }
        }
    }

    /// Renews the lease on each process. Whether one of them leads; `None` if one was killed.
    async fn renew_lease(&self) -> Option<bool> {
        let mut leads = false;
        for process in self.workers() {
            let lead = process
                .run_on_worker(async |worker: Arc<Worker>| worker.keep_lease(false).await.unwrap())
                .await?;
            leads |= lead != LeaseOutcome::Standby;
        }
        Some(leads)
    }

    fn processes(&self) -> Vec<Arc<Process>> {
        self.processes.lock().unwrap().clone()
    }

    fn has_replicas(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.replicas > 1)
    }

    /// The processes that may hold the lease, starting with another one each time.
    pub(crate) fn workers(&self) -> Vec<Arc<Process>> {
        let mut workers = self.processes();
        if self.has_replicas() {
            let first = self.next_choice() % workers.len();
            workers.rotate_left(first);
            return workers;
        }
        workers.split_off(workers.len() - 1)
    }

    fn next_choice(&self) -> usize {
        self.chosen.fetch_add(1, SeqCst)
    }

    /// The value of `store.url`.
    pub(crate) fn database_url(&self) -> &str {
        &self.database.url
    }

    fn is_sqlite(&self) -> bool {
        self.database.url.starts_with("sqlite:")
    }

    /// Starts a second process on the same database. From now on its worker runs; the first continues to serve.
    pub(crate) async fn add_process(&self) {
        let second = self.start_process().await;
        self.processes.lock().unwrap().push(second);
        if self.renew_lease().await == Some(false) {
            self.advance(LEASE);
            assert_eq!(self.renew_lease().await, Some(true), "the first process's lease has ended");
        }
    }

    /// Sends a question to the first process.
    pub(crate) async fn asks_first(&self, stage: &str, phase: &str, checksum: &str) -> Answer {
        let path = format!("/gate/{stage}");
        let request = self.gate("POST", &path).header("content-type", "application/json");
        let request = request.body(question(phase, checksum).to_string()).build().unwrap();
        self.tries(&self.processes()[0], &request).await.unwrap()
    }

    /// Changes the database without the bridge.
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

    /// Advances the test's clock; the worker does not run.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Advances the clock of each process's tokio runtime.
    pub(crate) async fn advances_timers(&self, by: Duration) {
        for process in self.processes() {
            let advance = async move |_| {
                tokio::time::pause();
                tokio::time::advance(by).await;
                tokio::time::resume();
            };
            let _ = process.run_on_worker(advance).await;
        }
    }

    /// Advances all clocks: the test's and those of the runtimes.
    pub(crate) async fn advance_all_clocks(&self, by: Duration) {
        self.advance(by);
        self.advances_timers(by).await;
    }

    /// The time since the test began.
    pub(crate) fn age(&self) -> Duration {
        self.clock.now().since(START)
    }

    /// Repeats Flagger's last question at each process, as Flagger does, so that each knows which gate waits.
    async fn repeat_last_question(&self) {
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

    /// Runs the worker until nothing is due. Returns how often it read tickets from Jira.
    pub(crate) async fn run_worker(&self) -> usize {
        let mut looks = 0;
        self.restart_killed().await;
        self.repeat_last_question().await;
        for process in self.workers() {
            // `None` if it was killed, which the loop below notices.
            drop(
                process
                    .run_on_worker(async |worker: Arc<Worker>| {
                        drop(worker.try_new_token().await.unwrap());
                        worker.read_canaries().await.unwrap()
                    })
                    .await,
            );
        }
        for _ in 0..1_000 {
            let mut idle = false;
            for process in self.workers() {
                let did = process.run_on_worker(async |worker: Arc<Worker>| {
                    (worker.work_once().await.unwrap(), poll_tickets(&worker).await.unwrap())
                });
                match did.await {
                    Some((StepOutcome::Idle, StepOutcome::Idle)) => idle = true,
                    Some((StepOutcome::Standby, StepOutcome::Standby)) => {}
                    Some((_, looked)) => {
                        looks += usize::from(matches!(looked, StepOutcome::Read { .. }));
                        idle = false;
                        break;
                    }
                    None => {
                        idle = false;
                        self.restart_killed().await;
                        self.repeat_last_question().await;
                        break;
                    }
                }
            }
            if idle && !self.wait_for_search().await {
                return looks;
            }
        }
        panic!("the worker never became idle");
    }

    /// Advances the clock while it is unknown whether a killed process opened a ticket. False if it is known.
    async fn wait_for_search(&self) -> bool {
        if self.searches.load(SeqCst) == 0 || self.count("outbox WHERE sent_at IS NOT NULL").await == 0 {
            return false;
        }
        self.searches.fetch_sub(1, SeqCst);
        self.advance(SEARCHED_EVERY);
        self.ticks().await;
        true
    }

    /// The worker's tick on each process: it renews leases and writes batches.
    pub(crate) async fn ticks(&self) {
        loop {
            self.restart_killed().await;
            if self.renew_lease().await.is_some() {
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

    /// Opens the ticket of the promotion gate, and returns its key.
    pub(crate) async fn promotion_waits(&self) -> String {
        self.promotes().await;
        self.run_worker().await;
        self.newest()
    }

    /// Opens and approves that ticket, checks that Flagger gets 200, and returns the key.
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

    /// A request to the listener of the page.
    pub(crate) fn page_listener(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.request(LISTENERS[3], method, path)
    }

    /// A request to a listener; the process is chosen when it is sent.
    fn request(&self, listener: &str, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("http://{listener}{path}"))
    }

    /// The address of a listener: gate, webhook, admin, page.
    pub(crate) fn address(&self, listener: usize) -> String {
        self.processes()[0].addresses[listener].clone()
    }

    /// Sends a request, and repeats it if the process was killed before it answered, as Flagger and Jira do.
    pub(crate) async fn sends(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        match request.url().path() {
            "/gate/rollback" | "/rollback/check" => {}
            path if path.starts_with("/gate/") => *self.asked.lock().unwrap() = request.try_clone(),
            "/event" | "/post-rollout" => *self.asked.lock().unwrap() = None,
            _ => {}
        }
        loop {
            self.restart_killed().await;
            if self.has_replicas() {
                // Replicas that did not get the previous question read its result from the store once a second.
                self.ticks().await;
            }
            let processes = self.processes();
            let asked = if self.has_replicas() { self.next_choice() % 2 } else { processes.len() - 1 };
            if let Some(answer) = self.tries(&processes[asked], &request).await {
                self.assert_proven(&request, &answer);
                return answer;
            }
        }
    }

    /// Sends a request to a process. `None` if the process was killed before it answered.
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
            // An answer of a killed process, for instance that a handler panicked, reaches no caller.
            _ if process.is_killed() => None,
            Ok(answer) => Some(answer),
            Err(error) => panic!("{error}"),
        }
    }

    /// `GET /api/gates`.
    pub(crate) async fn gates(&self) -> Value {
        self.sends(self.admin("GET", "/api/gates")).await.json()
    }

    /// The change manager moves a ticket, and the bridge reads that by polling.
    pub(crate) async fn decides(&self, key: &str, status: &str) {
        self.jira.move_issue(key, status, MIA).unwrap();
        self.advance(Duration::from_secs(20));
        self.run_worker().await;
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

    /// The tickets the bridge opened or took, oldest first.
    pub(crate) fn tickets(&self) -> Vec<IssueView> {
        let mut tickets: Vec<IssueView> = self
            .jira
            .issues()
            .into_iter()
            .filter(|issue| issue.labels.iter().any(|it| it == "flagger-gate"))
            .collect();
        tickets.sort_by_key(|issue| issue.id.parse::<u64>().unwrap());
        for ticket in &tickets {
            assert!(
                ticket.creator == BRIDGE || invariants::was_taken(ticket),
                "{} is the bridge's",
                ticket.key
            );
        }
        tickets
    }

    /// The ticket opened last.
    pub(crate) fn newest(&self) -> String {
        self.tickets().last().expect("there is a ticket").key.clone()
    }

    /// The comments of a ticket with these words, on one line each.
    pub(crate) fn comments_with(&self, key: &str, words: &str) -> Vec<String> {
        let comments = self.jira.issue(key).unwrap().comments;
        let texts = comments.iter().map(|comment| comment.text().replace('\n', " ").replace('\\', ""));
        texts.filter(|said| said.contains(words)).collect()
    }

    /// The number of writing transactions so far, read from the table `turn`.
    pub(crate) async fn turns(&self) -> i64 {
        self.number("SELECT seq FROM turn").await
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        self.number(&format!("SELECT COUNT(*) FROM {table}")).await
    }

    /// Reads a number. PostgreSQL starts a process for each connection, so one to it is kept.
    async fn number(&self, sql: &str) -> i64 {
        let query = || sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        let mut kept = self.reader.lock().await;
        if let Some(connection) = kept.as_mut()
            && let Ok(number) = query().fetch_one(connection).await
        {
            return number;
        }
        // There was none, or the server was restarted.
        let mut connection = self.reads().await;
        let number = query().fetch_one(&mut connection).await.unwrap();
        if self.is_sqlite() {
            connection.close().await.unwrap();
        } else {
            *kept = Some(connection);
        }
        number
    }

    /// The path of the bridge's configuration file.
    pub(crate) fn config(&self) -> String {
        self.directory.path().join("config.toml").display().to_string()
    }

    /// The database's content: SQLite's files byte for byte, or PostgreSQL's rows with their position and transaction,
    /// so that a row that was rewritten without a change shows as well.
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
            // The shared memory of a WAL changes when the database is only read.
            .filter(|path| !path.to_string_lossy().ends_with("-shm"))
            .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
            .collect();
        files.sort();
        files
    }

    /// Runs the worker until the outbox is empty: it searches for possible duplicate tickets for a while.
    pub(crate) async fn drain_outbox(&self) {
        for _ in 1..20 {
            if self.count("outbox").await == 0 {
                break;
            }
            self.advance(Duration::from_secs(61));
            self.run_worker().await;
        }
    }

    /// Ends the test: checks that the real Jira would have accepted each request, and that the outbox is empty.
    pub(crate) async fn finish(self) {
        self.run_worker().await;
        // Flagger's reports are batched for a minute.
        self.advance(Duration::from_secs(61));
        self.run_worker().await;
        self.drain_outbox().await;
        assert_eq!(self.jira.complaints(), Vec::<String>::new(), "requests that the real Jira would reject");
        if self.flavour == Flavour::Cloud {
            let violations = jira_openapi::violations(&self.jira.requests());
            assert_eq!(
                violations,
                Vec::<String>::new(),
                "requests that Jira's OpenAPI document does not describe"
            );
        }
        self.ticks().await;
        let metrics = self.sends(self.admin("GET", "/metrics")).await.body;
        for state in ["pending", "parked"] {
            let line = format!("flagger_jira_bridge_outbox_rows{{state=\"{state}\"}} 0\n");
            assert!(metrics.contains(&line), "rows {state} in the outbox:\n{metrics}");
        }
        self.assert_invariants().await;
    }
}

/// The message that Flagger sends about `shop/cart`.
pub(crate) fn question(phase: &str, checksum: &str) -> Value {
    json!({ "name": "cart", "namespace": "shop", "phase": phase, "checksum": checksum })
}
