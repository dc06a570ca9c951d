//! The output of `gates`: on terminals of different widths and in a pipe, with and without colour, once and with
//! `--watch`.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    os::fd::OwnedFd,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
};

use axum::{Router, routing::get};
use rustix::{
    pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::world::program::PATIENCE;

/// A fake bridge: the answer of its admin listener, and the number of requests.
struct Bridge {
    address: String,
    says: Arc<Mutex<String>>,
    asked: tokio::sync::watch::Sender<u64>,
    serving: JoinHandle<()>,
}

impl Bridge {
    async fn start(says: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let says = Arc::new(Mutex::new(says.to_string()));
        let asked = tokio::sync::watch::channel(0).0;
        let serving = serve(listener, Arc::clone(&says), asked.clone());
        Self { address, says, asked, serving }
    }

    fn says(&self, gates: &Value) {
        *self.says.lock().unwrap() = gates.to_string();
    }

    /// Waits until it received this many more requests.
    async fn is_asked(&self, more: u64) {
        let mut asked = self.asked.subscribe();
        let until = *asked.borrow() + more;
        asked.wait_for(|asked| *asked >= until).await.unwrap();
    }

    async fn is_gone(&mut self) {
        self.serving.abort();
        assert!((&mut self.serving).await.unwrap_err().is_cancelled());
    }

    async fn is_back(&mut self) {
        let listener = TcpListener::bind(&self.address).await.unwrap();
        self.serving = serve(listener, Arc::clone(&self.says), self.asked.clone());
    }

    /// The program with only these environment variables.
    fn gates(&self, options: &[&str], environment: &[(&str, &str)]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_flagger-jira-bridge"));
        program
            .env_clear()
            .env("BRIDGE_ADMIN", format!("http://{}", self.address))
            .arg("gates")
            .args(options);
        program.envs(environment.iter().copied());
        program
    }
}

fn serve(
    listener: TcpListener,
    says: Arc<Mutex<String>>,
    asked: tokio::sync::watch::Sender<u64>,
) -> JoinHandle<()> {
    let answer = move || {
        asked.send_modify(|asked| *asked += 1);
        let text = says.lock().unwrap().clone();
        async move { text }
    };
    tokio::spawn(async move {
        axum::serve(listener, Router::new().route("/api/gates", get(answer))).await.unwrap()
    })
}

fn gate(canary: &str, state: &str, reason: &str) -> Value {
    json!({
        "cluster": "default", "namespace": "shop", "canary": canary, "stage": "confirm-promotion", "gate": null,
        "state": state, "reason": reason, "asked_at": "2026-01-01T00:00:00Z",
        "ticket": { "key": "OPS-12", "url": "https://jira.example.com/browse/OPS-12", "status": "To Do" },
        "rollout": { "began_at": "2026-01-01T00:00:00Z", "base": null, "revision": "5f", "label": "2.15.0", "course": "running" },
    })
}

/// A pseudo-terminal, and what was written to it.
struct Terminal {
    master: File,
    seen: String,
}

impl Terminal {
    fn new(columns: u16, rows: u16) -> (Self, OwnedFd) {
        // Programs started by other tests must not inherit it.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let other = ioctl_tiocgptpeer(&master, flags).unwrap();
        (Self { master: master.into(), seen: String::new() }, other)
    }

    /// Reads until these words appear, or until the writing side is closed.
    fn reads(&mut self, words: &str) -> bool {
        let mut bytes = [0; 4096];
        while words.is_empty() || !self.seen.contains(words) {
            match self.master.read(&mut bytes) {
                Ok(read) if read > 0 => self.seen += &String::from_utf8_lossy(&bytes[..read]),
                // A closed writing side is an error on Linux.
                _ => return false,
            }
        }
        true
    }
}

/// The program's output on a terminal.
fn on_terminal(columns: u16, mut program: Command) -> String {
    let (mut terminal, other) = Terminal::new(columns, 24);
    let mut child = program.stdout(Stdio::from(other)).spawn().unwrap();
    // `Command` keeps the terminal open.
    drop(program);
    terminal.reads("");
    assert!(child.wait().unwrap().success());
    terminal.seen.replace("\r\n", "\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_gets_colours_and_addresses() {
    let evil = "rejected by Mia\u{1b}[2J\u{9b}1A, \u{202e}who wants a smaller change first";
    let bridge = Bridge::start(&json!([gate("web", "rejected", evil)])).await;
    let xterm = ("TERM", "xterm-256color");
    let plain = on_terminal(80, bridge.gates(&[], &[xterm, ("NO_COLOR", "1")]));
    assert!(!plain.contains(|c: char| c.is_control() && c != '\n'), "{plain:?}");
    let ago = plain.lines().nth(1).unwrap().rsplit("  ").next().unwrap().to_owned();
    insta::assert_snapshot!(plain.replace(&ago, "AGO"), @r"
    STATE     STAGE              CANARY            TICKET  ASKED
    rejected  confirm-promotion  default/shop/web  OPS-12  AGO
      version 2.15.0
      https://jira.example.com/browse/OPS-12
      rejected by Mia [2J 1A, who wants a smaller change first
    ");
    let coloured = on_terminal(80, bridge.gates(&[], &[xterm]));
    assert!(coloured.contains("\u{1b}[31mrejected\u{1b}[0m"), "{coloured:?}");
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    let linked = on_terminal(80, bridge.gates(&[], &[xterm, ("TERM_PROGRAM", "vscode")]));
    assert!(linked.contains("\u{1b}]8;;https://jira.example.com/browse/OPS-12\u{1b}\\OPS-12"), "{linked:?}");
    for (columns, shown) in [(30, "\n  default/shop/web\n"), (500, "REASON\n")] {
        let other = on_terminal(columns, bridge.gates(&[], &[xterm, ("NO_COLOR", "1")]));
        assert!(
            other.contains(shown) && other.contains("\n  https://jira.example.com/browse/OPS-12\n"),
            "{other}"
        );
    }

    let piped = |environment: &[(&str, &str)], options: &[&str]| {
        let output = bridge.gates(options, environment).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let lines = piped(&[xterm], &[]);
    assert!(!lines.contains('\u{1b}'), "{lines:?}");
    assert!(
        lines.ends_with(
            "who wants a smaller change first\n  version 2.15.0\n  https://jira.example.com/browse/OPS-12\n"
        ),
        "{lines:?}"
    );
    assert!(piped(&[xterm, ("CLICOLOR_FORCE", "1")], &[]).contains("\u{1b}[31mrejected\u{1b}[0m"));
    for json in
        [piped(&[("CLICOLOR_FORCE", "1")], &["--json"]), on_terminal(40, bridge.gates(&["--json"], &[xterm]))]
    {
        assert!(!json.contains(|c: char| c.is_control() && c != '\n'), "{json:?}");
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value, json!([gate("web", "rejected", evil)]));
    }
}

/// Without `--admin` it asks at `server.admin_listen` of the configuration that is given or found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_says_where_the_bridge_is() {
    let bridge = Bridge::start(&json!([])).await;
    let port = bridge.address.rsplit(':').next().unwrap().to_owned();
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    // Nothing else has to be right: the bridge may run elsewhere, with its secrets.
    write(
        "every.toml",
        &format!("[server]\nadmin_listen = \"0.0.0.0:{port}\"\n[jira]\ntoken_file = \"none\"\n"),
    );
    write("closed.toml", "server.admin_listen = \"127.0.0.1:1\"");
    write("wrong.toml", "server.admin_listen = \"here\"");
    let gates = |options: &[&str], environment: &[(&str, &str)]| {
        let mut program = bridge.gates(options, &[]);
        program.env_remove("BRIDGE_ADMIN").envs(environment.iter().copied()).current_dir(home.path());
        let output = program.output().unwrap();
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        (output.status.code().unwrap(), text)
    };
    let answered = (0, "No gate is waiting.\n".to_owned());
    assert_eq!(gates(&["-c", "every.toml"], &[]), answered);
    let admin = format!("http://127.0.0.1:{port}");
    assert_eq!(gates(&["-c", "closed.toml", "--admin", &admin], &[]), answered);
    assert_eq!(gates(&["-c", "closed.toml"], &[("BRIDGE_ADMIN", &admin)]), answered);
    assert_eq!(gates(&["-c", "closed.toml"], &[("BRIDGE__SERVER__ADMIN_LISTEN", &bridge.address)]), answered);
    let at_1 = "flagger-jira-bridge: cannot reach the bridge at http://127.0.0.1:1. If its server.admin_listen differs, pass \
                --admin http://HOST:PORT or set BRIDGE_ADMIN.\n";
    assert_eq!(gates(&["-c", "closed.toml"], &[]), (1, at_1.to_owned()));
    for (unusable, words) in
        [("wrong.toml", "server.admin_listen: \"here\" is not"), ("none.toml", "none.toml: cannot read")]
    {
        let (code, said) = gates(&["-c", unusable], &[]);
        assert!(code == 2 && said.contains(words), "{code} {said}");
    }
    std::fs::rename(home.path().join("every.toml"), home.path().join("config.toml")).unwrap();
    assert_eq!(gates(&[], &[]), answered);
}

/// A program that is killed when the test ends, unless it has ended.
struct Running {
    id: String,
    ended: Option<oneshot::Receiver<std::io::Result<ExitStatus>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended.is_some() {
            drop(Command::new("kill").args(["-KILL", &self.id]).status());
        }
    }
}

impl Running {
    fn start(mut child: Child) -> Self {
        let (id, (send, ended)) = (child.id().to_string(), oneshot::channel());
        std::thread::spawn(move || send.send(child.wait()));
        Self { id, ended: Some(ended) }
    }

    async fn is_interrupted(&mut self) {
        assert!(Command::new("kill").args(["-INT", &self.id]).status().unwrap().success());
        self.ends_well().await;
    }

    async fn ends_well(&mut self) {
        let ended = self.ended.as_mut().expect("called once");
        let status = tokio::time::timeout(PATIENCE, ended).await.expect("the program ends").unwrap().unwrap();
        self.ended = None;
        assert_eq!(status.code(), Some(0));
    }
}

/// The next lines up to an empty one, which is left out.
fn block(lines: &mpsc::Receiver<String>) -> Vec<String> {
    let next = || lines.recv_timeout(PATIENCE).expect("a line comes");
    std::iter::repeat_with(next).take_while(|line| !line.is_empty()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_gets_only_changes() {
    let (one, two) = (json!([gate("web", "waiting", "first")]), json!([gate("web", "approved", "second")]));
    let mut bridge = Bridge::start(&one).await;
    let mut child = bridge.gates(&["--watch", "1"], &[]).stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let mut child = Running::start(child);
    let (send, lines) = mpsc::channel();
    // Reads until the receiver is dropped, and then closes the pipe.
    let reading = std::thread::spawn(move || {
        out.lines().map_while(Result::ok).try_for_each(|line| send.send(line)).is_err()
    });
    let first = block(&lines);
    assert!(first.len() == 5 && first[0].ends_with('Z') && first[1].starts_with("STATE"), "{first:?}");
    assert!(first[2].ends_with("  first"), "{first:?}");
    bridge.is_asked(2).await;
    bridge.says(&two);
    let second = block(&lines);
    assert!(
        second[2].starts_with("approved ") && second[2].ends_with("  second"),
        "only what changed: {second:?}"
    );
    bridge.is_gone().await;
    let away = lines.recv_timeout(PATIENCE).unwrap();
    assert!(away.starts_with("cannot reach the bridge at http://127.0.0.1:"), "{away:?}");
    assert!(away.ends_with("; asked again every 1 s)"), "{away:?}");
    bridge.is_back().await;
    assert_eq!(block(&lines)[1..], second[1..]);
    // The program ends when the pipe is closed, even if it has nothing to write.
    drop(lines);
    bridge.says(&one);
    assert!(reading.join().unwrap());
    child.ends_well().await;

    let mut other = Running::start(bridge.gates(&["--watch"], &[]).stdout(Stdio::null()).spawn().unwrap());
    bridge.is_asked(1).await;
    other.is_interrupted().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_is_redrawn() {
    let bridge = Bridge::start(&json!([gate("web", "waiting", "first")])).await;
    let (mut terminal, other) = Terminal::new(100, 24);
    let program = &mut bridge.gates(&["--watch", "1"], &[("TERM", "xterm-256color")]);
    let mut child = Running::start(program.stdout(Stdio::from(other)).spawn().unwrap());
    assert!(terminal.reads("first"));
    assert!(terminal.seen.starts_with("\u{1b}[2J\u{1b}[H"), "{:?}", terminal.seen);
    assert!(terminal.seen.contains("every 1 s; Ctrl-C ends it"), "{:?}", terminal.seen);
    bridge.says(&json!([]));
    assert!(terminal.reads("No gate is waiting."));
    assert_eq!(terminal.seen.matches("\u{1b}[2J").count(), 1, "it does not flicker: {:?}", terminal.seen);
    child.is_interrupted().await;
}
