//! The cost of unauthenticated callers: hundreds of connections of each kind to the real program, its memory, and
//! whether Flagger still gets answers.
//!
//! ```sh
//! cargo build --release && cargo run --release --example strangers
//! cargo run --release --example strangers -- --connections 1000 --program target/release/flagger-jira-bridge
//! ```
//!
//! The exit code is 1 if Flagger or a probe gets no answer, or if the program needs more than 128 MiB. Linux only.

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::Parser;
use tokio::time::Instant;

/// How much memory the program may use, in MiB.
const MAX_MIB: u64 = 128;
const TOKEN: &str = "what-flagger-brings-0123456789";
/// The timeout of one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the callers go on.
const RUN_FOR: Duration = Duration::from_secs(4);

/// Measures the cost of unauthenticated callers
#[derive(Debug, Parser)]
struct Options {
    /// How many connections of each kind
    #[arg(long, default_value_t = 600)]
    connections: usize,
    /// The program to measure
    #[arg(long, default_value = "target/release/flagger-jira-bridge")]
    program: PathBuf,
}

/// What a caller sends: `lead`, then `filling` bytes.
struct Kind {
    name: &'static str,
    /// Which listener: 0 is Flagger's, 1 is Jira's.
    listener: usize,
    lead: String,
    filling: usize,
}

fn kinds() -> Vec<Kind> {
    let signature = "0".repeat(64);
    let webhook = "POST /jira/webhook HTTP/1.1\r\nHost: x\r\n";
    let gate = "POST /gate/check HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let kind = |name, listener, lead: String, filling| Kind { name, listener, lead, filling };
    vec![
        kind(
            "1 MiB bodies, invented signature",
            1,
            format!("{webhook}X-Hub-Signature: sha256={signature}\r\nContent-Length: 1048576\r\n\r\n"),
            1_048_575,
        ),
        kind("64 KiB bodies, no token", 0, format!("{gate}Content-Length: 65536\r\n\r\n"), 65_535),
        kind("heads of 390 KB, webhook", 1, format!("{webhook}X-Much: "), 390_000),
        kind("heads of 390 KB, gate", 0, format!("{gate}X-Much: "), 390_000),
        kind("slow, webhook", 1, webhook.to_owned(), 0),
        kind("slow, gate", 0, format!("{gate}Content-Length: 100\r\n\r\n{{"), 0),
    ]
}

/// The program. Killed when dropped.
struct Bridge {
    child: Child,
    /// The listeners for Flagger, for Jira and for people.
    listeners: Vec<SocketAddr>,
    _home: tempfile::TempDir,
}

impl Drop for Bridge {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Bridge {
    fn start(options: &Options) -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let config = home.path().join("config.toml");
        let database = home.path().join("bridge.db");
        std::fs::write(
            &config,
            format!(
                "server = {{ gate_listen = \"127.0.0.1:0\", webhook_listen = \"127.0.0.1:0\", admin_listen = \"127.0.0.1:0\" }}\n\
                 store.url = \"sqlite://{}\"\nflagger.token = \"{TOKEN}\"\njira.url = \"http://127.0.0.1:1\"\n\
                 jira.token = \"jira-token-0123456789\"\njira.webhook_secret = \"webhook-secret-0123456789\"\n\
                 ticket.project = \"OPS\"\n",
                database.display()
            ),
        )?;
        let mut child = Command::new(&options.program)
            .args(["serve", "--log-format", "text", "-c"])
            .arg(&config)
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}; build it first", options.program.display()))?;
        let log = child.stderr.take().context("the program has no log")?;
        let mut lines = BufReader::new(log).lines();
        let mut listeners = Vec::new();
        for line in lines.by_ref() {
            let line = line?;
            if let Some((_, rest)) = line.split_once("address=") {
                listeners.push(rest.split(' ').next().unwrap_or(rest).parse()?);
            }
            if line.ends_with("ready") {
                break;
            }
        }
        // The log must be drained, or the program would block.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, listeners, _home: home })
    }

    /// A line of `/proc/…/status`, in MiB.
    fn memory(&self, what: &str) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix(what)).context("there is no such line")?;
        let kib: u64 = line.trim_matches([':', '\t', ' ']).trim_end_matches(" kB").trim().parse()?;
        Ok(kib / 1024)
    }

    /// Sends a request. Returns the status of the answer, and how long it took.
    fn ask(&self, listener: usize, request: &str) -> anyhow::Result<(u16, Duration)> {
        let began = Instant::now();
        let mut io = TcpStream::connect_timeout(&self.listeners[listener], ANSWER_TIMEOUT)?;
        io.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        io.write_all(request.as_bytes())?;
        let mut answer = String::new();
        io.read_to_string(&mut answer)?;
        let status = answer.get(9..12).context("the answer is not HTTP")?.parse()?;
        Ok((status, began.elapsed()))
    }

    /// Sends Flagger's question and the probes while the callers go on. Returns how long the slowest answer took.
    fn slowest_answer(&self, callers: &mut Vec<Caller>) -> anyhow::Result<Duration> {
        let body = r#"{"name":"cart","namespace":"shop","phase":"Progressing","checksum":"1"}"#;
        let question = format!(
            "POST /gate/confirm-promotion HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {TOKEN}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let probe = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
        let (began, mut slowest) = (Instant::now(), Duration::ZERO);
        while began.elapsed() < RUN_FOR {
            callers.retain_mut(Caller::send_more);
            for (listener, request, expected) in
                [(0, question.as_str(), 403), (0, probe, 200), (1, probe, 200), (2, probe, 200)]
            {
                let (status, took) = self.ask(listener, request)?;
                if status != expected {
                    bail!("{status} rather than {expected}");
                }
                slowest = slowest.max(took);
            }
        }
        Ok(slowest)
    }
}

/// A caller's connection.
struct Caller {
    io: TcpStream,
    left: Vec<u8>,
    sent: usize,
}

impl Caller {
    fn connect(at: SocketAddr, kind: &Kind) -> anyhow::Result<Self> {
        let io = TcpStream::connect_timeout(&at, ANSWER_TIMEOUT)?;
        io.set_nonblocking(true)?;
        let mut left = kind.lead.clone().into_bytes();
        left.resize(left.len() + kind.filling, b'x');
        Ok(Self { io, left, sent: 0 })
    }

    /// Sends as much as the program accepts. Returns false if the connection is closed.
    fn send_more(&mut self) -> bool {
        while self.sent < self.left.len() {
            match self.io.write(&self.left[self.sent..]) {
                Ok(0) => return false,
                Ok(sent) => self.sent += sent,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }
}

#[expect(clippy::print_stdout, reason = "it prints a table")]
fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut too_much = false;
    println!(
        "{:<34} {:>9} {:>12} {:>14} {:>14}",
        "callers", "at a time", "slowest", "peak", "a second after"
    );
    let kinds = kinds();
    let all = kinds.iter().map(std::slice::from_ref).chain([kinds.as_slice()]);
    for some in all {
        let bridge = Bridge::start(&options)?;
        let mut callers = Vec::new();
        for kind in some {
            for _ in 0..options.connections {
                callers.push(Caller::connect(bridge.listeners[kind.listener], kind)?);
            }
        }
        let many = callers.len();
        let slowest = bridge.slowest_answer(&mut callers)?;
        drop(callers);
        std::thread::sleep(Duration::from_secs(1));
        let (peak, after) = (bridge.memory("VmHWM")?, bridge.memory("VmRSS")?);
        let name = if let [kind] = some { kind.name } else { "all of these together" };
        println!("{name:<34} {many:>9} {:>9} ms {peak:>10} MiB {after:>10} MiB", slowest.as_millis());
        too_much |= peak > MAX_MIB;
    }
    if too_much {
        bail!("that is more than {MAX_MIB} MiB");
    }
    Ok(())
}
