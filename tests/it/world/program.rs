//! The program as a real process: tests start it, send it requests and signals, and read its log.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

use fake_jira::{FakeJira, Flavour, Setup};
use flagger_jira_bridge::clock::Clock;
use serde_json::Value;
use tempfile::TempDir;

use super::{database::Database, question};

/// A timeout that is long enough for a slow machine; a passing test never waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = tokio::time::Instant::now();
    while !condition().await {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        tokio::task::yield_now().await;
    }
}

/// The program, or the one that TEST_PROGRAM names, without the environment variables that configure it.
pub(crate) fn program() -> Command {
    let ours = env!("CARGO_BIN_EXE_flagger-jira-bridge");
    let mut program = Command::new(std::env::var_os("TEST_PROGRAM").unwrap_or_else(|| ours.into()));
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

/// A client for plain HTTP: it need not read the certificate authorities of the system.
pub(crate) fn plain_client() -> reqwest::Client {
    reqwest::Client::builder().tls_certs_only([]).build().unwrap()
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
        serving.logs(" ready");
        serving
    }

    /// The same, but waits only for its listeners, not for its store.
    pub(crate) fn listens_as(program: Command, config: &Path) -> Self {
        let mut serving = Self::spawn(program, config);
        for listener in 0..3 {
            let line = serving.logs("listening for");
            let address = line.split_once("address=").unwrap().1.split(' ').next().unwrap();
            serving.addresses[listener] = format!("http://{address}");
        }
        serving
    }

    /// The same, but waits for nothing.
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
            // Other lines may come without end.
            let left = (PATIENCE * 2).saturating_sub(began.elapsed()).min(PATIENCE);
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| {
                panic!("the log never contained {words:?}, but:\n{}", self.seen.join("\n"));
            });
            self.seen.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
    }

    /// A line of the log, from the past or the future.
    pub(crate) fn has_logged(&mut self, words: &str) -> String {
        let seen = self.seen.iter().find(|line| line.contains(words)).cloned();
        seen.unwrap_or_else(|| self.logs(words))
    }

    /// The log so far.
    pub(crate) fn log(&mut self) -> String {
        self.seen.extend(self.lines.try_iter());
        self.seen.join("\n")
    }

    #[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
    pub(crate) async fn asks(&self, stage: &str, phase: &str, checksum: &str) -> (u16, String) {
        let request = plain_client().post(format!("{}/gate/{stage}", self.addresses[0]));
        let request =
            request.header("content-type", "application/json").body(question(phase, checksum).to_string());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Posts to a listener as Flagger does, and returns the status.
    #[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
    pub(crate) async fn posts(&self, listener: usize, path: &str, body: &Value) -> u16 {
        let request = plain_client().post(format!("{}{path}", self.addresses[listener]));
        let request = request.header("content-type", "application/json").body(body.to_string());
        request.send().await.unwrap().status().as_u16()
    }

    /// Gets a page of a listener.
    #[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
    pub(crate) async fn gets(&self, listener: usize, path: &str) -> (u16, String) {
        let response =
            plain_client().get(format!("{}{path}", self.addresses[listener])).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Asks until the answer contains these words, as Flagger does.
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

    /// Stops it, and returns its log.
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

/// A bridge's configuration directory and database. Both are deleted when this is dropped.
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

/// `store.url` in a configuration file.
pub(crate) fn store_url(config: &str) -> String {
    let text = std::fs::read_to_string(config).unwrap();
    let config: toml::Table = text.parse().unwrap();
    config["store"]["url"].as_str().unwrap().to_owned()
}
