//! A fake Jira, the real program, and any number of gates.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use fake_jira::{FakeJira, Flavour, Setup};
use flagger_jira_bridge::clock::Clock;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::{
    Options,
    client::{Questions, RunResult, ask, now},
    database::Database,
};

const FLAGGER_TOKEN: &str = "a-token-that-only-flagger-knows";
const WEBHOOK_SECRET: &str = "a-secret-that-only-jira-knows";
/// The program that cargo built for this benchmark.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_flagger-jira-bridge");

/// The rate limit of requests to Jira.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Budget {
    /// The default.
    Usual,
    /// No limit, to open thousands of tickets quickly.
    None,
}

/// The measured bridge with its Jira and database.
pub(crate) struct World {
    pub(crate) jira: FakeJira,
    pub(crate) bridge: Bridge,
    program: PathBuf,
    database: Database,
    home: TempDir,
    /// How many first questions were answered per second.
    pub(crate) first_rate: f64,
    jira_url: String,
    user: String,
    token: String,
    /// Further settings, in TOML.
    further: String,
}

/// The running program. Killed when dropped.
pub(crate) struct Bridge {
    child: Child,
    pub(crate) gate: SocketAddr,
    pub(crate) webhook: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl World {
    /// Starts a world with this many gates, each of its own canary and with a ticket that waits for a decision.
    pub(crate) async fn with_gates(options: &Options, program: &Path, gates: usize) -> anyhow::Result<Self> {
        let mut world = Self::empty(options, program, String::new()).await?;
        world.first_rate = world.open(0, gates).await?.per_second();
        Ok(world)
    }

    /// Starts a world without gates, with these further settings.
    pub(crate) async fn empty(options: &Options, program: &Path, further: String) -> anyhow::Result<Self> {
        let home = tempfile::tempdir_in(
            std::env::var_os("LOAD_DIR").map_or_else(std::env::temp_dir, PathBuf::from),
        )?;
        let setup = Setup::new(Flavour::Cloud, Clock::System);
        let (user, token) = (setup.user.clone(), setup.token.clone());
        let database = Database::on(options.postgres.as_deref(), home.path()).await?;
        let jira = FakeJira::new(setup);
        let jira_url = jira.start().await?;
        fs::write(
            home.path().join("bridge.toml"),
            settings(&database.url, &jira_url, &user, &token, Budget::None) + &further,
        )?;
        let program = program.to_owned();
        let bridge = Bridge::start(&program, home.path())?;
        let world =
            Self { jira, bridge, program, database, home, first_rate: 0.0, jira_url, user, token, further };
        world.ready().await?;
        Ok(world)
    }

    /// Asks at these gates for the first time, and waits until all their tickets have been opened.
    pub(crate) async fn open(&self, from: usize, to: usize) -> anyhow::Result<RunResult> {
        let questions = self.questions(from, to);
        let asking = tokio::task::spawn_blocking(move || questions.ask_each_once(16));
        let asked = asking.await??;
        loop {
            // The recorded requests are not used, and would fill the memory.
            self.jira.clear_requests();
            if self.metric("gates{state=\"waiting\"}")? >= to as f64 {
                self.jira.clear_requests();
                return Ok(asked);
            }
            // Reading the metric costs more with more gates.
            sleep(Duration::from_millis(200 + to as u64 / 20)).await;
        }
    }

    /// The questions of these canaries.
    pub(crate) fn questions(&self, from: usize, to: usize) -> Questions {
        let texts = (from..to).map(question).collect();
        Questions { address: self.bridge.gate, texts: Arc::new(texts), expects: "HTTP/1.1 403 " }
    }

    /// Waits until the bridge is ready. Returns how long that took.
    pub(crate) async fn ready(&self) -> anyhow::Result<Duration> {
        let (begin, mut answer) = (now(), Vec::new());
        loop {
            let asked = ask(self.bridge.gate, b"GET /readyz HTTP/1.1\r\nHost: bridge\r\n\r\n", &mut answer);
            if asked.is_ok() && answer.starts_with(b"HTTP/1.1 200") {
                return Ok(now() - begin);
            }
            ensure!(now() - begin < Duration::from_secs(60), "the bridge does not become ready");
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Kills the program with SIGKILL and starts it again on the same database. Returns how long it took to become
    /// ready.
    pub(crate) async fn restart(&mut self, budget: Budget) -> anyhow::Result<Duration> {
        self.bridge.kill();
        let text = settings(&self.database.url, &self.jira_url, &self.user, &self.token, budget);
        fs::write(self.home.path().join("bridge.toml"), text + &self.further)?;
        let begin = now();
        self.bridge = Bridge::start(&self.program, self.home.path())?;
        self.ready().await?;
        Ok(now() - begin)
    }

    /// Makes Jira send webhooks from now on.
    pub(crate) fn with_webhook(&self) {
        self.jira.webhook(
            &format!("http://{}/jira/webhook", self.bridge.webhook),
            Some(WEBHOOK_SECRET),
            None,
        );
    }

    /// The body of the admin listener's answer.
    pub(crate) fn admin(&self, path: &str) -> anyhow::Result<String> {
        let mut answer = Vec::new();
        ask(
            self.bridge.admin,
            format!("GET {path} HTTP/1.1\r\nHost: bridge\r\n\r\n").as_bytes(),
            &mut answer,
        )?;
        let text = String::from_utf8(answer)?;
        let (head, body) = text.split_once("\r\n\r\n").context("no answer")?;
        ensure!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        Ok(body.to_owned())
    }

    /// A metric of the bridge, by its name without the prefix.
    pub(crate) fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = self.admin("/metrics")?;
        let line =
            text.lines().find_map(|line| line.strip_prefix("flagger_jira_bridge_")?.strip_prefix(name));
        Ok(line.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0))
    }
}

impl Bridge {
    fn start(program: &Path, home: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BRIDGE_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        let config = home.join("bridge.toml");
        let mut child =
            command.args(["serve", "-c"]).arg(config).stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("the bridge has no log")?).lines();
        let mut log = File::options().create(true).append(true).open(home.join("log"))?;
        let mut addresses = Vec::new();
        while addresses.len() < 3 {
            let Some(line) = lines.next().transpose()? else { bail!("the bridge exited at its start") };
            if let Some(rest) = line.split_once("address=").filter(|_| line.contains("listening for")) {
                addresses.push(rest.1.split(' ').next().unwrap_or_default().parse()?);
            }
            writeln!(log, "{line}")?;
        }
        // The rest of the log must be read, too, or the bridge would block.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                drop(writeln!(log, "{line}"));
            }
        });
        let [gate, webhook, admin] = addresses[..] else { bail!("the bridge does not listen") };
        Ok(Self { child, gate, webhook, admin })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Namespace and name of a canary. Its ticket is found by its summary, which contains the name.
pub(crate) fn canary(number: usize) -> (String, String) {
    (format!("team-{}", number % 97), format!("app-{number}"))
}

/// A question as Flagger sends it.
pub(crate) fn question(number: usize) -> Vec<u8> {
    let (namespace, name) = canary(number);
    let body = format!(
        "{{\"name\":\"{name}\",\"namespace\":\"{namespace}\",\"phase\":\"Progressing\",\"checksum\":\"{}\",\"metadata\":{{\"revision\":\"6.5.0\",\"team\":\"shop\"}}}}",
        5_000_000_000_u64 + number as u64
    );
    format!(
        "POST /gate/confirm-promotion HTTP/1.1\r\nHost: bridge.flagger\r\nUser-Agent: Go-http-client/1.1\r\n\
         Content-Length: {}\r\nAuthorization: Bearer {FLAGGER_TOKEN}\r\nContent-Type: application/json\r\n\
         Accept-Encoding: gzip\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn settings(database: &str, jira: &str, user: &str, token: &str, budget: Budget) -> String {
    let budget = match budget {
        Budget::Usual => "",
        Budget::None => "requests_per_second = 100000\nburst = 100000",
    };
    format!(
        r#"
[server]
gate_listen = "127.0.0.1:0"
webhook_listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"

[store]
url = "{database}"

[flagger]
token = "{FLAGGER_TOKEN}"

[jira]
url = "{jira}"
user = "{user}"
token = "{token}"
webhook_secret = "{WEBHOOK_SECRET}"
{budget}

[limits]
open_tickets = 1000000
open_tickets_per_namespace = 1000000

[ticket]
project = "OPS"
"#
    )
}
