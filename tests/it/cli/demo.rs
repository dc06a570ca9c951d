//! Trying the bridge without a real Jira: `demo --jira-only` in one terminal, `check` and `serve` with the
//! configuration that it prints in another.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use serde_json::Value;

use crate::world::program::{PATIENCE, Serving, program};

/// The demo's Jira. Killed when dropped.
struct DemoJira {
    child: Child,
    /// Its output up to the instructions.
    said: String,
    lines: mpsc::Receiver<String>,
}

impl DemoJira {
    fn start(kind: &str, port: &str) -> Self {
        let mut jira = program();
        jira.args(["demo", "--jira-only", "--kind", kind, "--port", port]).stdout(Stdio::piped());
        let mut child = jira.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let mut jira = Self { child, said: String::new(), lines };
        while !jira.said.contains("which serve makes") {
            let line = jira.says("");
            jira.said += &format!("{line}\n");
        }
        jira
    }

    /// Waits for a line with these words.
    fn says(&mut self, words: &str) -> String {
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
        let (from, to) = (self.said.find("[server]").unwrap(), self.said.find("\nand then").unwrap());
        &self.said[from..to]
    }

    fn url(&self) -> &str {
        let rest = self.said.split_once("click in   ").unwrap().1;
        rest.lines().next().unwrap()
    }

    /// Clicks a button on the ticket's page.
    #[expect(clippy::disallowed_methods, reason = "a person does this, not the bridge")]
    async fn clicks(&self, key: &str, button: &str) {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let page = client.get(format!("{}/browse/{key}", self.url())).send().await.unwrap();
        let page = page.text().await.unwrap();
        let before = &page[..page.find(&format!(">{button}<")).unwrap()];
        let action = before.rsplit_once("action=\"").unwrap().1.split('"').next().unwrap();
        let clicked = client.post(format!("{}{action}", self.url())).send().await.unwrap();
        assert_eq!(clicked.status(), 303);
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

    fn stops(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for DemoJira {
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
        let mut jira = DemoJira::start(kind, "0");
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
        jira.says("Mia moves OPS-1 from To Do to Approved");
        assert_eq!(ask("open: ").await.0, 200);

        // A new Jira at the same address does not have that ticket, and the configuration is still valid.
        let before = jira.id_of("OPS-1").await;
        assert!(before.is_string());
        let port = jira.url().rsplit_once(':').unwrap().1.to_owned();
        jira.stops();
        let mut jira = DemoJira::start(kind, &port);
        assert_eq!(jira.config(), config);
        let (status, _) = ask("waiting for a decision").await;
        assert_eq!(status, 403, "an approval of a deleted ticket opens nothing");
        jira.says("opens OPS-1");
        assert_ne!(jira.id_of("OPS-1").await, before, "the new Jira uses new ids");
        jira.clicks("OPS-1", "Approve").await;
        assert_eq!(ask("open: ").await.0, 200);
    }
}

#[test]
fn a_port_in_use_is_reported() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = program().args(["demo", "--jira-only", "--port", &port]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains(&format!("cannot listen on 127.0.0.1:{port}; take another --port")), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}
