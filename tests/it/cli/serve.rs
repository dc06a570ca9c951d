//! The program's output, its exit codes, and the state that it keeps when it is killed.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use fake_jira::{Fault, Flavour, MIA, Operation, Times};
use serde_json::Value;

use crate::world::program::{Serving, jira_and_config, program, run};

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

/// One run reports every wrong key, and shows no secret.
#[test]
fn all_mistakes_of_a_configuration_are_reported() {
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

/// A complete rollout with the real program: ask, approve, open; after a kill and a restart its answers are the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_started_again() {
    for flavour in [Flavour::Cloud, Flavour::DataCenter] {
        let (jira, home, config) = jira_and_config(flavour, "").await;
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
        // Until it is stored and judged, the answer is closed and names the approval, too.
        let before = serving.asks_until("confirm-promotion", "Progressing", "new", "open: ").await;
        assert_eq!(before.0, 200);
        assert!(before.1.contains("approved by Mia"), "{}", before.1);

        let gates = program().args(["gates", "--json", "--admin", &serving.addresses[2]]).output().unwrap();
        assert!(gates.status.success());
        let gates: Value = serde_json::from_slice(&gates.stdout).unwrap();
        assert_eq!(gates[0]["ticket"]["key"], ticket.key);
        assert_eq!(gates[0]["state"], "approved");

        serving.signal("-KILL");
        serving = Serving::start(&config);
        assert_eq!(serving.asks("confirm-promotion", "Progressing", "new").await, before);
        jira.move_issue(&ticket.key, "Rejected", MIA).unwrap();
        // The webhook goes to the old address, so polling finds the move.
        serving.asks_until("confirm-promotion", "Progressing", "new", "rejected by Mia").await;
        assert_eq!(serving.asks("rollback", "Progressing", "new").await.0, 200);

        let log = serving.ends();
        assert!(log.contains("stopped"), "{log}");
        for file in std::fs::read_dir(home.0.path()).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(["bridge.db", "config.toml"].contains(&name.as_str()), "{name} is left over");
        }
        assert!(!log.contains("already exists"), "a notice of the database is not logged:\n{log}");
        for secret in ["jira-token", "some-webhook-secret"] {
            assert!(!log.contains(secret), "{log}");
        }
        assert_eq!(jira.issues().len(), 1, "no second ticket");
        assert_eq!(jira.complaints(), Vec::<String>::new());
    }
}

/// Jira asks to wait for ten minutes: the bridge still stops within its grace period.
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
    serving.logs("stopping; finishing");
    serving.logs("stopped");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

/// A database that cannot be opened is logged with the cause, and `check` reports the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_be_opened_is_reported() {
    let (_jira, directory, config) = jira_and_config(Flavour::Cloud, "").await;
    let file = directory.0.path().join("nonexist/bridge.db");
    let words = format!("store.url: cannot open {}: its directory does not exist", file.display());
    let url = format!("sqlite://{}", file.display());
    let mut serve = program();
    serve.args(["serve", "-c"]).arg(&config).env("BRIDGE__STORE__URL", &url);
    let mut child = serve.stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let logged = log.lines().map_while(Result::ok).find(|line| line.contains("store.url"));
    drop(child.kill());
    drop(child.wait());
    assert!(logged.as_ref().is_some_and(|line| line.contains(&words)), "{logged:?}");
    let check = program().args(["check", "-c"]).arg(&config).env("BRIDGE__STORE__URL", &url).output();
    let out = String::from_utf8(check.unwrap().stdout).unwrap();
    let line = out.lines().find(|line| line.contains("store.url")).unwrap();
    assert!(line.starts_with("FAIL  store.url ") && line.contains("its directory does not exist"), "{out}");
    assert!(!file.parent().unwrap().exists());
}

/// The bridge starts without Jira, and recovers when Jira is reachable.
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
