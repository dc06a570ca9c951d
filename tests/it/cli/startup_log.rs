//! The log lines of `serve` at the start: the facts that an operator needs, and no secrets.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use fake_jira::Flavour;
use serde_json::Value;

use crate::world::program::{jira_and_config, program};

const TOKEN: &str = "flaggers-own-token-in-the-tests";

/// The log lines up to the one with these words.
fn until(mut serve: Command, words: &str) -> Vec<String> {
    let mut child = serve.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok) {
        lines.push(line);
        if lines.last().unwrap().contains(words) {
            break;
        }
    }
    drop(child.kill());
    drop(child.wait());
    assert!(lines.last().is_some_and(|line| line.contains(words)), "never {words:?}: {lines:#?}");
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_startup_log() {
    let (jira, home, config) = jira_and_config(Flavour::Cloud, "").await;
    let serve = |format: &str| {
        let mut serve = program();
        serve.args(["serve", "--log-format", format, "-c"]).arg(&config).env("BRIDGE__FLAGGER__TOKEN", TOKEN);
        serve
    };
    let lines = until(serve("text"), "ready");
    // This line is logged concurrently, at no fixed position.
    let logged = lines.iter().filter(|line| !line.contains("Jira accepts"));
    let logged: Vec<&str> = logged.map(|line| line.split_once("INFO ").expect("all is well").1).collect();
    let url = &home.1.url;
    let place = match url.strip_prefix("sqlite://") {
        Some(path) => format!("SQLite in {path}"),
        None => format!("PostgreSQL at {}", url.rsplit_once('@').unwrap().1),
    };
    let logged = logged.join("\n").replace(&place, "PLACE").replace(&jira.base_url(), "JIRA");
    let mut shown = String::new();
    for line in logged.replace(env!("CARGO_PKG_VERSION"), "VERSION").lines() {
        let port = line.split_once("127.0.0.1:").map(|(_, rest)| rest.split(' ').next().unwrap().to_owned());
        let words = line.split_once(": ").unwrap().1;
        shown += &port.map_or_else(|| words.to_owned(), |port| words.replace(&format!(":{port}"), ":PORT"));
        shown.push('\n');
    }
    insta::assert_snapshot!(shown, @r"
    flagger-jira-bridge VERSION starts
    store: PLACE; the record is kept for ever
    Jira: JIRA, kind auto, as bridge@example.com; read every 300ms, trusted for 10m, at most 50 requests a second
    webhook: on, because jira.webhook_secret is set
    Flagger: clusters default; tokens: 1
    Kubernetes: not read; a ticket does not say what changes
    tickets: project OPS, issue type Change; approvers: any person who may move the ticket in Jira; routes: 0
    rollouts: end after 168h of silence; at most 12 rollouts of a canary open tickets within an hour; at most 100 tickets are open for a namespace, and 500 in all
    status page: tickets do not link to it, because server.public_url is missing
    listening for gate address=127.0.0.1:PORT tls=false
    listening for webhook address=127.0.0.1:PORT tls=false
    listening for admin address=127.0.0.1:PORT tls=false
    this process now talks to Jira
    ready
    ");

    let json = until(serve("json"), "ready");
    let messages: Vec<String> = json
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line} is no JSON")))
        .map(|event| event["fields"]["message"].as_str().unwrap().to_owned())
        .collect();
    for words in ["store: ", "Jira: ", "webhook: ", "Flagger: ", "listening for gate"] {
        assert_eq!(messages.iter().filter(|it| it.starts_with(words)).count(), 1, "{words}: {messages:#?}");
    }
    let all = [lines, json].concat().join("\n");
    for secret in [TOKEN, "jira-token", "some-webhook-secret"] {
        assert!(!all.contains(secret), "{secret} is in\n{all}");
    }
}

/// The log shows a database's address without user and password.
#[test]
fn a_password_is_not_logged() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.toml");
    let text = "[server]\ngate_listen = \"127.0.0.1:0\"\nwebhook_listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n\
                [store]\nurl = \"postgres://someone:pass%40word@127.0.0.1:1/bridge\"\n\
                [jira]\nurl = \"http://127.0.0.1:1\"\ntoken = \"jira-token\"\n[ticket]\nproject = \"OPS\"\n";
    std::fs::write(&config, text).unwrap();
    let mut serve = program();
    serve.args(["serve", "-c"]).arg(&config);
    let log = until(serve, "stays closed until it can be opened").join("\n");
    assert!(log.contains("store: PostgreSQL at 127.0.0.1:1/bridge; the record is kept for ever\n"), "{log}");
    assert!(!log.contains("pass") && !log.contains("someone"), "{log}");
}

/// A token that must be escaped in a URL, where Flagger's documentation puts it, is reported without being shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_must_be_escaped_in_a_url() {
    const ODD: &str = "0a1b/2c3d#4e5f%6789@";
    let (_jira, _home, config) = jira_and_config(Flavour::Cloud, "").await;
    for (token, is_reported) in [(TOKEN, false), (ODD, true)] {
        let mut serve = program();
        serve.args(["serve", "-c"]).arg(&config).env("BRIDGE__FLAGGER__TOKEN", token);
        let log = until(serve, "ready").join("\n");
        let words = "flagger.token contains characters that are not allowed in a URL (such as / # ? % @)";
        assert_eq!(log.contains(words), is_reported, "{log}");
        assert!(!log.contains(token), "{log}");
    }
}
