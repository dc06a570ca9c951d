//! `demo` as a newcomer uses it; and `demo --jira-only` in one terminal, with `check` and `serve` and the configuration
//! that it prints in another.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use serde_json::Value;

use crate::world::program::{PATIENCE, Serving, plain_client, program};

/// A running demo. Killed when dropped.
pub(crate) struct Demo {
    child: Child,
    /// Its output up to the end of the instructions.
    said: String,
    lines: mpsc::Receiver<String>,
    /// The browser's cookie.
    cookie: String,
}

impl Demo {
    /// Starts `demo` with these options. Its instructions end with these words.
    fn start(options: &[&str], instructions_end: &str) -> Self {
        let mut child = program().arg("demo").args(options).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let mut demo = Self { child, said: String::new(), lines, cookie: String::new() };
        while !demo.said.contains(instructions_end) {
            let line = demo.says("");
            demo.said += &format!("{line}\n");
        }
        demo
    }

    pub(crate) fn interactive() -> Self {
        Self::start(&[], "demo --auto")
    }

    fn jira_only(kind: &str, port: &str) -> Self {
        Self::start(&["--jira-only", "--kind", kind, "--port", port], "* first.")
    }

    /// Waits for a line with these words.
    pub(crate) fn says(&mut self, words: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line =
                line.unwrap_or_else(|_| panic!("the output never contained {words:?}, but:\n{}", self.said));
            if line.contains(words) {
                return line;
            }
        }
    }

    fn config(&self) -> &str {
        let (from, to) = (self.said.find("[server]").unwrap(), self.said.find("\n2. ").unwrap());
        &self.said[from..to]
    }

    pub(crate) fn url(&self) -> &str {
        let rest = self.said.split_once("click in   ").unwrap().1;
        rest.lines().next().unwrap()
    }

    /// Clicks a button on the ticket's page, as a browser does.
    #[expect(clippy::disallowed_methods, reason = "a person does this, not the bridge")]
    async fn clicks(&mut self, key: &str, button: &str) {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let page = client.get(format!("{}/browse/{key}", self.url())).header("cookie", &self.cookie);
        let page = page.send().await.unwrap().text().await.unwrap();
        let before = &page[..page.find(&format!(">{button}<")).unwrap()];
        let action = before.rsplit_once("action=\"").unwrap().1.split('"').next().unwrap();
        let click = client.post(format!("{}{action}", self.url())).header("cookie", &self.cookie);
        let clicked = click.send().await.unwrap();
        assert_eq!(clicked.status(), 303);
        assert_eq!(clicked.headers()["location"], format!("/browse/{key}"));
        if let Some(cookie) = clicked.headers().get("set-cookie") {
            self.cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        }
    }

    /// The id under which the bridge stores the ticket.
    #[expect(clippy::disallowed_methods, reason = "this is not the bridge's client")]
    async fn id_of(&self, key: &str) -> Value {
        let config: toml::Table = self.config().parse().unwrap();
        let (jira, client) = (&config["jira"], reqwest::Client::new());
        let token = jira["token"].as_str().unwrap();
        let request = match jira.get("user") {
            Some(user) => client
                .get(format!("{}/rest/api/3/issue/{key}", self.url()))
                .basic_auth(user.as_str().unwrap(), Some(token)),
            None => client.get(format!("{}/rest/api/2/issue/{key}", self.url())).bearer_auth(token),
        };
        let issue: Value = request.send().await.unwrap().json().await.unwrap();
        issue["id"].clone()
    }

    /// Ctrl-C. Returns the last line.
    fn stops(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.lines.iter().last().unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The program with the settings that let tests run concurrently. The webhook goes to another port, so polling finds
/// moves.
fn program_for_test(home: &Path) -> Command {
    let mut program = program();
    program.current_dir(home).env("BRIDGE__JIRA__POLL_EVERY", "200ms");
    for listener in ["GATE", "WEBHOOK", "ADMIN"] {
        program.env(format!("BRIDGE__SERVER__{listener}_LISTEN"), "127.0.0.1:0");
    }
    program
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_gate_opens_without_a_real_jira() {
    for kind in ["cloud", "data-center"] {
        let mut jira = Demo::jira_only(kind, "0");
        let (config, home) = (jira.config().to_owned(), tempfile::tempdir().unwrap());
        let file = home.path().join("config.toml");
        std::fs::write(&file, &config).unwrap();
        assert_eq!(config.contains("user = "), kind == "cloud", "{config}");

        let check = program_for_test(home.path()).args(["check", "-c", "config.toml"]).output().unwrap();
        let report = String::from_utf8(check.stdout).unwrap();
        assert_eq!((check.status.code(), report.contains("FAIL")), (Some(0), false), "{report}");

        // The time after which a deleted ticket may be replaced.
        let mut serve = program_for_test(home.path());
        serve.env("BRIDGE__JIRA__TRUST_FOR", "3s");
        let serving = Serving::start_as(serve, &file);
        let ask =
            async |words: &str| serving.asks_until("confirm-promotion", "Progressing", "new", words).await;
        let (status, line) = ask("waiting for a decision").await;
        assert!(status == 403 && line.contains("/browse/OPS-1,"), "{line}");
        assert!(line.contains(jira.url()), "{line}");
        jira.says("opens OPS-1");
        jira.clicks("OPS-1", "Approve").await;
        jira.says("Mia Change moves OPS-1 from To Do to Approved");
        assert_eq!(ask("open: ").await.0, 200);

        // A new Jira at the same address does not have that ticket, and the configuration is still valid.
        let before = jira.id_of("OPS-1").await;
        assert!(before.is_string());
        let port = jira.url().rsplit_once(':').unwrap().1.to_owned();
        assert_eq!(
            jira.stops(),
            format!(
                "This Jira has ended, and its tickets are gone. You can reuse config.toml: delete rehearsal-{kind}.db* \
                 before the next run."
            )
        );
        let mut jira = Demo::jira_only(kind, &port);
        assert_eq!(jira.config(), config);
        let (status, _) = ask("waiting for a decision").await;
        assert_eq!(status, 403, "an approval of a deleted ticket opens nothing");
        jira.says("opens OPS-1");
        assert_ne!(jira.id_of("OPS-1").await, before, "the new Jira uses new ids");
        jira.clicks("OPS-1", "Approve").await;
        assert_eq!(ask("open: ").await.0, 200);
    }
}

/// A newcomer follows the instructions, and ends the demo.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_approved_by_somebody_who_may() {
    let mut demo = Demo::interactive();
    assert!(demo.said.contains("2.14.0, by Bob Builder"), "{}", demo.said);
    let opened = demo.says("the bridge opens OPS-1");
    assert!(opened.ends_with(&format!("  {}/browse/OPS-1", demo.url())), "{opened}");
    demo.clicks("OPS-1", "Act as Bob Builder").await;
    demo.clicks("OPS-1", "Approve").await;
    demo.says("Bob Builder moves OPS-1 from To Do to Approved");
    demo.says("the bridge comments on OPS-1");
    demo.clicks("OPS-1", "Act as Mia Change").await;
    demo.clicks("OPS-1", "Reopen").await;
    demo.clicks("OPS-1", "Approve").await;
    demo.says("Mia Change moves OPS-1 from To Do to Approved");
    demo.says("Flagger asks confirm-promotion for shop/checkout 2.14.0 → 200 ");
    demo.says("shop/checkout 2.14.0 is the primary now");
    let ended = "The demo has ended. Its tickets, its database and its settings were temporary and are gone.";
    assert_eq!(demo.stops(), ended);
}

/// The ticket says what changes, and what the team says about it. Rejected, it rolls the version back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a person does this, not the bridge")]
async fn a_version_is_rejected() {
    let mut demo = Demo::interactive();
    demo.says("the bridge opens OPS-1");
    let page = plain_client().get(format!("{}/browse/OPS-1", demo.url())).send().await.unwrap();
    let page = page.text().await.unwrap();
    for words in [
        "registry.example.com/shop/checkout:2.13.0",
        "registry.example.com/shop/checkout:2.14.0",
        "bob@example.com",
        "https://git.example.com/shop/checkout/pulls/207",
        "https://grafana.example.com/d/checkout?var-version=2.14.0",
        "change-managers",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    demo.clicks("OPS-1", "Reject").await;
    demo.says("shop/checkout 2.14.0 is rolled back");
    demo.says("The next version follows in 15 s");
}

#[test]
fn a_port_in_use_is_reported() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (options, what) in [(vec!["--jira-only"], "Jira"), (vec![], "Jira"), (vec!["--auto"], "Jira")] {
        let output =
            program().arg("demo").args(&options).args(["--port", &port.to_string()]).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{options:?} {errors}");
        let expected = format!("cannot listen on 127.0.0.1:{port} for {what}; take another --port: ");
        assert!(errors.contains(&expected), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
    // Another process may have the port before it; then that is reported.
    let before = (port - 1).to_string();
    let output = program().args(["demo", "--port", &before]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{errors}");
    assert!(errors.contains("for the status page; take another") || errors.contains("for Jira;"), "{errors}");
    let output = program().args(["demo", "--port", "65535"]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("--port must leave room for three ports after it"), "{errors}");
}

/// With `--port` every address is known beforehand: Jira, and after it the status page, and where Flagger asks.
#[test]
fn the_port_is_used() {
    let row = (0..100).find_map(|_| {
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = held.local_addr().unwrap().port();
        let after: Option<Vec<_>> = (1..4)
            .map(|nth| std::net::TcpListener::bind(("127.0.0.1", port.checked_add(nth)?)).ok())
            .collect();
        after.map(|_| port)
    });
    let port = row.expect("four free ports in a row");
    let demo = Demo::start(&["--port", &port.to_string()], "demo --auto");
    for nth in 0..3 {
        assert!(demo.said.contains(&format!("http://127.0.0.1:{}\n", port + nth)), "{}", demo.said);
    }
}
