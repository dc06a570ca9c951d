//! The program itself: what it prints, how it ends, and what it remembers when it is killed.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

use fake_jira::{FakeJira, Fault, Flavour, MIA, Operation, Setup, Times};
use flagger_jira_bridge::clock::Clock;
use serde_json::Value;
use tempfile::TempDir;

use crate::world::{database::Database, question};

/// Long enough for a slow machine; nothing waits for it when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until it is so.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let began = tokio::time::Instant::now();
    while !so().await {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        tokio::task::yield_now().await;
    }
}

pub(crate) fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_flagger-jira-bridge"));
    for (name, _) in std::env::vars() {
        if name.starts_with("BRIDGE_") || name == "RUST_LOG" || name.to_uppercase().ends_with("_PROXY") {
            program.env_remove(name);
        }
    }
    program
}

pub(crate) fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = program().args(arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A running bridge. Killed when dropped.
pub(crate) struct Serving {
    pub(crate) child: Child,
    lines: mpsc::Receiver<String>,
    pub(crate) addresses: [String; 3],
    seen: Vec<String>,
}

impl Serving {
    pub(crate) fn start(config: &Path) -> Self {
        Self::start_as(program(), config)
    }

    /// Starts the program through this command.
    pub(crate) fn start_as(program: Command, config: &Path) -> Self {
        let mut serving = Self::listens_as(program, config);
        serving.logs(": ready");
        serving
    }

    /// The same, but its store need not be open.
    pub(crate) fn listens_as(program: Command, config: &Path) -> Self {
        let mut serving = Self::spawn(program, config);
        for listener in 0..3 {
            let line = serving.logs("listening for");
            let address = line.split_once("address=").unwrap().1.split(' ').next().unwrap();
            serving.addresses[listener] = format!("http://{address}");
        }
        serving
    }

    /// The same, with nothing waited for.
    pub(crate) fn spawn(mut program: Command, config: &Path) -> Self {
        let mut child = program.args(["serve", "-c"]).arg(config).stderr(Stdio::piped()).spawn().unwrap();
        let (send, lines) = mpsc::channel();
        let log = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines, addresses: Default::default(), seen: Vec::new() }
    }

    /// Waits for a line of the log.
    pub(crate) fn logs(&mut self, words: &str) -> String {
        let began = tokio::time::Instant::now();
        loop {
            // There may be no end of other lines.
            let left = (PATIENCE * 2).saturating_sub(began.elapsed()).min(PATIENCE);
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| {
                panic!("the log never said {words:?}, but:\n{}", self.seen.join("\n"));
            });
            self.seen.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
    }

    /// A line of the log, whether it was there before or comes yet.
    pub(crate) fn has_logged(&mut self, words: &str) -> String {
        let seen = self.seen.iter().find(|line| line.contains(words)).cloned();
        seen.unwrap_or_else(|| self.logs(words))
    }

    #[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
    pub(crate) async fn asks(&self, stage: &str, phase: &str, checksum: &str) -> (u16, String) {
        let request = reqwest::Client::new().post(format!("{}/gate/{stage}", self.addresses[0]));
        let request =
            request.header("content-type", "application/json").body(question(phase, checksum).to_string());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Posts to a listener as Flagger does, and returns the status.
    #[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
    pub(crate) async fn posts(&self, listener: usize, path: &str, body: &Value) -> u16 {
        let request = reqwest::Client::new().post(format!("{}{path}", self.addresses[listener]));
        let request = request.header("content-type", "application/json").body(body.to_string());
        request.send().await.unwrap().status().as_u16()
    }

    /// Gets a page of a listener.
    #[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
    pub(crate) async fn gets(&self, listener: usize, path: &str) -> (u16, String) {
        let response =
            reqwest::Client::new().get(format!("{}{path}", self.addresses[listener])).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Asks until the answer says so, as Flagger does.
    pub(crate) async fn asks_until(
        &self,
        stage: &str,
        phase: &str,
        checksum: &str,
        words: &str,
    ) -> (u16, String) {
        let started = tokio::time::Instant::now();
        loop {
            let (status, line) = self.asks(stage, phase, checksum).await;
            if line.contains(words) {
                return (status, line);
            }
            assert!(started.elapsed() < PATIENCE, "still {line}");
            tokio::task::yield_now().await;
        }
    }

    /// Stops it, and returns all that it logged.
    pub(crate) fn ends(mut self) -> String {
        self.signal("-TERM");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push(line);
        }
        self.seen.join("\n")
    }

    pub(crate) fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where a bridge is at home: its file and its database. Both are gone when this is.
pub(crate) type Home = (TempDir, Database);

pub(crate) async fn jira_and_config(flavour: Flavour, server: &str) -> (FakeJira, Home, std::path::PathBuf) {
    let setup = Setup::new(flavour, Clock::System);
    let user = if flavour == Flavour::Cloud { format!("user = \"{}\"\n", setup.user) } else { String::new() };
    let token = setup.token.clone();
    let jira = FakeJira::new(setup);
    let url = jira.start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let database = Database::fresh(directory.path()).await;
    let config = directory.path().join("config.toml");
    let text = format!(
        "[server]\n{server}gate_listen = \"127.0.0.1:0\"\nwebhook_listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n\
         [store]\nurl = \"{}\"\n\
         [jira]\nurl = \"{url}\"\n{user}token = \"{token}\"\nwebhook_secret = \"some-webhook-secret\"\n\
         poll_every = \"300ms\"\nrequests_per_second = 50\n\
         [ticket]\nproject = \"OPS\"\n",
        database.url,
    );
    std::fs::write(&config, text).unwrap();
    (jira, (directory, database), config)
}

#[test]
fn help_and_version() {
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    for command in ["serve", "check", "demo", "gates", "audit"] {
        assert!(out.contains(command), "{out}");
    }
    let (code, out, _) = run(&["--version"]);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), concat!("flagger-jira-bridge ", env!("CARGO_PKG_VERSION"), "\n"))
    );
    assert_eq!(run(&["frobnicate"]).0, Some(2));
}

/// Every wrong key is named in one run, and no secret is shown.
#[test]
fn a_bad_config_is_told_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    let text = "[server]\ngate_listen = \"nowhere\"\nshutdown_grace = \"20\"\n[jira]\nulr = \"https://x\"\n\
                token = \"super-secret-token\"\ntoken_file = \"/nowhere\"\nburst = 0\n[ticket]\nsummary = \"{{ cannary }}\"\n\
                [ticket.statuses]\napproved = []\n[[routes]]\nmatch = { stage = \"confirm-everything\" }\n";
    std::fs::write(&path, text).unwrap();
    for command in ["serve", "check"] {
        let (code, out, errors) = run(&[command, "-c", path.to_str().unwrap()]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{command}: {errors}");
        for key in [
            "server.gate_listen",
            "server.shutdown_grace",
            "jira.ulr",
            "jira.url",
            "jira.token",
            "jira.burst",
            "ticket.summary",
            "ticket.project",
            "ticket.statuses.approved",
            "routes[0].match.stage",
        ] {
            assert!(errors.contains(key), "{key} is not named in:\n{errors}");
        }
        assert!(!errors.contains("super-secret"), "{errors}");
    }
    let (code, _, errors) = run(&["serve", "-c", directory.path().join("missing.toml").to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("missing.toml"), "{errors}");
}

#[test]
fn gates_of_a_bridge_that_does_not_run() {
    let (code, out, errors) = run(&["gates", "--admin", "http://127.0.0.1:1"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(errors.lines().count(), 1, "{errors}");
    let (code, _, errors) = run(&["gates", "--admin", "127.0.0.1:9090"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("put http:// in front"), "{errors}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_port_ends_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (_jira, _home, config) = jira_and_config(Flavour::Cloud, "").await;
    let busy = taken.local_addr().unwrap().to_string();
    let output = program()
        .args(["serve", "-c"])
        .arg(&config)
        .env("BRIDGE__SERVER__GATE_LISTEN", &busy)
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("server.gate_listen") && errors.contains(&busy), "{errors}");
}

/// The whole job with the real program: ask, approve, open; killed and started again it says the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_started_again() {
    for flavour in [Flavour::Cloud, Flavour::DataCenter] {
        let (jira, _home, config) = jira_and_config(flavour, "").await;
        let mut serving = Serving::start(&config);
        serving.has_logged("Jira accepts the bridge as \"Flagger Bridge\"");
        let webhook = format!("{}/jira/webhook", serving.addresses[1]);
        jira.webhook(&webhook, Some("some-webhook-secret"), None);

        assert_eq!(serving.asks("confirm-promotion", "Progressing", "new").await.0, 403);
        let (status, _) =
            serving.asks_until("confirm-promotion", "Progressing", "new", "waiting for a decision").await;
        assert_eq!(status, 403);
        let [ticket] = jira.issues().try_into().unwrap();
        jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
        let before = serving.asks_until("confirm-promotion", "Progressing", "new", "approved by Mia").await;
        assert_eq!(before.0, 200);

        let gates = program().args(["gates", "--json", "--admin", &serving.addresses[2]]).output().unwrap();
        assert!(gates.status.success());
        let gates: Value = serde_json::from_slice(&gates.stdout).unwrap();
        assert_eq!(gates[0]["ticket"]["key"], ticket.key);
        assert_eq!(gates[0]["state"], "approved");

        serving.signal("-KILL");
        serving = Serving::start(&config);
        assert_eq!(serving.asks("confirm-promotion", "Progressing", "new").await, before);
        jira.move_issue(&ticket.key, "Rejected", MIA).unwrap();
        // The webhook leads to the old address: polling finds it.
        serving.asks_until("confirm-promotion", "Progressing", "new", "rejected by Mia").await;
        assert_eq!(serving.asks("rollback", "Progressing", "new").await.0, 200);

        let log = serving.ends();
        assert!(log.contains("stopped"), "{log}");
        assert!(!log.contains("already exists"), "what the database remarks is no news:\n{log}");
        for secret in ["jira-token", "some-webhook-secret"] {
            assert!(!log.contains(secret), "{log}");
        }
        assert_eq!(jira.issues().len(), 1, "no second ticket");
        assert_eq!(jira.complaints(), Vec::<String>::new());
    }
}

/// Jira asks to wait for ten minutes: that does not keep the bridge from stopping within its grace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stops_while_jira_asks_to_wait() {
    let (jira, _home, config) = jira_and_config(Flavour::Cloud, "shutdown_grace = \"1s\"\n").await;
    let fault = Fault::TooMany { retry_after: Some("600".into()) };
    let mut serving = Serving::start(&config);
    serving.has_logged("Jira accepts the bridge");
    jira.fault(Operation::Any, fault, Times::Always);
    serving.asks_until("confirm-promotion", "Progressing", "new", "asks to wait").await;
    serving.asks("confirm-traffic-increase", "Progressing", "newer").await;
    serving.signal("-TERM");
    serving.logs("told to stop");
    serving.logs("stopped");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

/// A database that cannot be opened is named with the cause, and `check` says the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_be_opened_is_told() {
    let (_jira, directory, config) = jira_and_config(Flavour::Cloud, "").await;
    let file = directory.0.path().join("nonexist/bridge.db");
    let words = format!("store.url: cannot open {}: its directory does not exist", file.display());
    let url = format!("sqlite://{}", file.display());
    let mut serve = program();
    serve.args(["serve", "-c"]).arg(&config).env("BRIDGE__STORE__URL", &url);
    let mut child = serve.stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let told = log.lines().map_while(Result::ok).find(|line| line.contains("store.url"));
    drop(child.kill());
    drop(child.wait());
    assert!(told.as_ref().is_some_and(|line| line.contains(&words)), "{told:?}");
    let check = program().args(["check", "-c"]).arg(&config).env("BRIDGE__STORE__URL", &url).output();
    let out = String::from_utf8(check.unwrap().stdout).unwrap();
    let line = out.lines().find(|line| line.contains("store.url")).unwrap();
    assert!(line.starts_with("FAIL  store.url ") && line.contains("its directory does not exist"), "{out}");
    assert!(!file.parent().unwrap().exists());
}

/// Without Jira it starts all the same, and goes on by itself once Jira is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_without_jira() {
    let (jira, _home, config) = jira_and_config(Flavour::Cloud, "").await;
    jira.fault(Operation::Any, Fault::Dropped, Times::Always);
    let mut serving = Serving::start(&config);
    serving.has_logged("no answer from Jira");
    let (status, line) =
        serving.asks_until("confirm-promotion", "Progressing", "new", "could not be opened").await;
    assert_eq!(status, 403, "{line}");
    jira.clear_faults();
    serving.asks_until("confirm-promotion", "Progressing", "new", "waiting for a decision").await;
    assert_eq!(jira.issues().len(), 1);
}
