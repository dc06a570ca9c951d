//! Stopping and starting: running commands are finished, accepted requests are answered and stored, also while Jira or
//! the database is down.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream as Caller,
    process::Command,
};

use fake_jira::{FakeJira, Flavour, Operation, signature};
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use self::relay::Relay;
use crate::world::{
    program::{Home, PATIENCE, Serving, jira_and_config, program, until},
    question,
};

mod relay;
mod starting;

/// The number of requests of this kind to Jira.
fn asked(jira: &FakeJira, operation: Operation) -> usize {
    jira.requests().iter().filter(|request| request.operation == operation).count()
}

/// The number of searches for a ticket that may have been opened.
fn searches(jira: &FakeJira) -> usize {
    let requests = jira.requests();
    let searches = requests.iter().filter(|request| request.operation == Operation::Search);
    searches.filter(|request| format!("{:?}{:?}", request.query, request.body).contains("fjb-")).count()
}

/// The number of rows in a table.
async fn count(home: &Home, table: &str) -> i64 {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(&home.1.url).await.unwrap();
    let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    let rows = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows
}

fn about(canary: &str) -> Value {
    let mut body = question("Progressing", "new");
    body["name"] = canary.into();
    body
}

impl Serving {
    /// The address of a listener, without the scheme.
    fn at(&self, listener: usize) -> &str {
        self.addresses[listener].strip_prefix("http://").unwrap()
    }

    /// Sends the signal, and waits until all listeners are closed.
    async fn begins_to_stop(&mut self, signal: &str) {
        self.signal(signal);
        self.logs("stopping; finishing the requests in progress");
        for listener in 0..3 {
            until("it stops listening", async || TcpStream::connect(self.at(listener)).await.is_err()).await;
        }
    }

    /// Waits until the program has ended.
    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Sends the head of a request, and waits until the bridge asks for its body: then the request is in progress.
    fn begins_request(&self, listener: usize, path: &str, headers: &str, body: &str) -> Caller {
        let mut caller = Caller::connect(self.at(listener)).unwrap();
        caller.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}Expect: 100-continue\r\n\r\n",
            body.len()
        );
        caller.write_all(head.as_bytes()).unwrap();
        let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        let mut said = vec![0; go_on.len()];
        caller.read_exact(&mut said).unwrap();
        assert_eq!(String::from_utf8(said).unwrap(), go_on);
        caller
    }

    /// Sends SIGSTOP, and waits until the process is stopped.
    async fn suspends(&self) {
        self.signal("-STOP");
        let stat = format!("/proc/{}/stat", self.child.id());
        until("it is suspended", async || std::fs::read_to_string(&stat).unwrap().contains(") T ")).await;
    }
}

/// The complete answer, until the bridge closes the connection.
fn answer(mut caller: Caller) -> String {
    let mut answer = String::new();
    caller.read_to_string(&mut answer).unwrap();
    answer
}

/// A ticket is being opened when the bridge gets the stop signal: it waits for the answer and stores it, and after the
/// next start there is nothing to search for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_that_is_being_opened() {
    for (flavour, signal) in [(Flavour::Cloud, "-TERM"), (Flavour::DataCenter, "-INT")] {
        let (jira, home, config) = jira_and_config(flavour, "").await;
        let relay = Relay::before(&jira).await;
        let mut serving = Serving::start_as(relay.program(), &config);
        relay.holds(Some("/issue"));
        assert_eq!(serving.asks("confirm-promotion", "Progressing", "new").await.0, 403);
        until("Jira opens it", async || asked(&jira, Operation::CreateIssue) == 1).await;
        assert_eq!(count(&home, "ticket").await, 0, "the answer is held back");
        serving.begins_to_stop(signal).await;
        assert_eq!(serving.child.try_wait().unwrap(), None);
        relay.holds(None);
        serving.logs("stopped");
        assert_eq!(serving.exit_code(), Some(0));
        assert_eq!(
            (count(&home, "ticket").await, count(&home, "outbox").await),
            (1, 0),
            "the answer is stored"
        );

        let serving = Serving::start_as(relay.program(), &config);
        let (_, line) = serving.asks("confirm-promotion", "Progressing", "new").await;
        assert!(line.contains(&jira.issues()[0].key), "{line}");
        assert_eq!((asked(&jira, Operation::CreateIssue), searches(&jira)), (1, 0));
        assert_eq!(jira.issues().len(), 1);
        assert_eq!(jira.complaints(), Vec::<String>::new());
    }
}

/// The same with the comment about a rollout's end; later commands are left for the next start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_that_is_being_written() {
    for (flavour, signal) in [(Flavour::Cloud, "-INT"), (Flavour::DataCenter, "-TERM")] {
        let (jira, home, config) = jira_and_config(flavour, "").await;
        let relay = Relay::before(&jira).await;
        let mut serving = Serving::start_as(relay.program(), &config);
        serving.asks_until("confirm-promotion", "Progressing", "new", "waiting for a decision").await;
        relay.holds(Some("/comment"));
        assert_eq!(serving.posts(0, "/post-rollout", &question("Failed", "new")).await, 200);
        until("Jira writes it", async || asked(&jira, Operation::AddComment) == 1).await;
        serving.begins_to_stop(signal).await;
        let left = count(&home, "outbox").await;
        relay.holds(None);
        serving.logs("stopped");
        assert_eq!(serving.exit_code(), Some(0));
        assert_eq!(count(&home, "outbox").await, left - 1, "it is done, and no other command was started");
        assert_eq!(count(&home, "ticket WHERE ended_at IS NOT NULL").await, 1);

        let _serving = Serving::start_as(relay.program(), &config);
        until("all is done", async || count(&home, "outbox").await == 0).await;
        let [ticket] = jira.issues().try_into().unwrap();
        assert_eq!((ticket.comments.len(), asked(&jira, Operation::AddComment)), (1, 1));
        assert!(ticket.labels.contains(&"flagger-ended".to_owned()), "{:?}", ticket.labels);
        assert_eq!(jira.complaints(), Vec::<String>::new());
    }
}

/// Jira opens the ticket and does not answer within the grace period: the bridge stops waiting, the row says that the
/// ticket may exist, and after the next start the bridge searches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jira_hangs_for_longer_than_the_grace() {
    for flavour in [Flavour::Cloud, Flavour::DataCenter] {
        let (jira, home, config) = jira_and_config(flavour, "shutdown_grace = \"200ms\"\n").await;
        let relay = Relay::before(&jira).await;
        let mut program = relay.program();
        program.env("BRIDGE__JIRA__TIMEOUT", "1h");
        let mut serving = Serving::start_as(program, &config);
        relay.holds(Some("/issue"));
        serving.asks("confirm-promotion", "Progressing", "new").await;
        until("Jira opens it", async || asked(&jira, Operation::CreateIssue) == 1).await;
        serving.signal("-TERM");
        serving.logs("a request to Jira was cut off; it resumes at the next start");
        serving.logs("stopped");
        assert_eq!(serving.exit_code(), Some(0));
        assert_eq!(count(&home, "outbox WHERE kind = 'open' AND sent_at IS NOT NULL").await, 1);
        assert_eq!(count(&home, "lease WHERE until = 0").await, 1, "the lease is released");

        relay.holds(None);
        let serving = Serving::start_as(relay.program(), &config);
        serving.asks_until("confirm-promotion", "Progressing", "new", "waiting for a decision").await;
        assert_eq!(asked(&jira, Operation::CreateIssue), 1);
        assert!(searches(&jira) > 0);
        assert_eq!(jira.issues().len(), 1);
        assert_eq!(jira.complaints(), Vec::<String>::new());
    }
}

/// A second signal ends the bridge at once, with a log line and exit code 1. Nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once() {
    for (first, second) in [("-TERM", "-TERM"), ("-INT", "-TERM"), ("-TERM", "-INT")] {
        let (jira, home, config) = jira_and_config(Flavour::Cloud, "shutdown_grace = \"1h\"\n").await;
        let relay = Relay::before(&jira).await;
        let mut program = relay.program();
        program.env("BRIDGE__JIRA__TIMEOUT", "1h");
        let mut serving = Serving::start_as(program, &config);
        relay.holds(Some("/issue"));
        serving.asks("confirm-promotion", "Progressing", "new").await;
        until("Jira opens it", async || asked(&jira, Operation::CreateIssue) == 1).await;
        serving.begins_to_stop(first).await;
        serving.signal(second);
        serving.logs("second stop signal; exiting at once");
        assert_eq!(serving.exit_code(), Some(1));
        assert_eq!(count(&home, "outbox WHERE sent_at IS NOT NULL").await, 1);

        relay.holds(None);
        let serving = Serving::start_as(relay.program(), &config);
        serving.asks_until("confirm-promotion", "Progressing", "new", "waiting for a decision").await;
        assert_eq!((asked(&jira, Operation::CreateIssue), jira.issues().len()), (1, 1));
    }
}

/// A question, a report and a webhook that are half read at the stop signal are answered, and those answered 200 are
/// stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_progress_are_answered_and_stored() {
    let (jira, home, config) = jira_and_config(Flavour::Cloud, "").await;
    let mut serving = Serving::start(&config);
    serving.asks_until("confirm-promotion", "Progressing", "new", "waiting for a decision").await;
    let [ticket] = jira.issues().try_into().unwrap();

    let asks = about("till").to_string();
    let mut news = question("Progressing", "new");
    news["metadata"] = json!({ "eventMessage": "Advance cart.shop canary weight 20" });
    let news = news.to_string();
    let moved = json!({ "webhookEvent": "jira:issue_updated", "issue": { "id": ticket.id } }).to_string();
    let signed = format!("X-Hub-Signature: {}\r\n", signature("some-webhook-secret", moved.as_bytes()));
    let mut in_hand = vec![
        (serving.begins_request(0, "/gate/confirm-promotion", "", &asks), asks, "403"),
        (serving.begins_request(0, "/event", "", &news), news, "200"),
        (serving.begins_request(1, "/jira/webhook", &signed, &moved), moved, "200"),
    ];
    serving.begins_to_stop("-TERM").await;
    for (caller, body, expected) in &mut in_hand {
        caller.write_all(body.as_bytes()).unwrap();
        let mut status = [0; "HTTP/1.1 200".len()];
        caller.read_exact(&mut status).unwrap();
        assert_eq!(String::from_utf8_lossy(&status), format!("HTTP/1.1 {expected}"));
    }
    drop(in_hand);
    serving.logs("stopped");
    assert_eq!(serving.exit_code(), Some(0));
    assert_eq!(count(&home, "outbox WHERE kind = 'progress'").await, 1, "the report");
    assert_eq!(count(&home, "outbox WHERE kind = 'open'").await, 1, "the question");
    assert_eq!(count(&home, "nudge").await, 1, "the webhook");

    let _serving = Serving::start(&config);
    until("till gets its ticket", async || jira.issues().len() == 2).await;
    until("the ticket is read", async || count(&home, "nudge").await == 0).await;
    assert_eq!(jira.complaints(), Vec::<String>::new());
}

/// Connections in the system's accept queue are answered although the stop signal comes before the bridge accepts them:
/// the process is suspended while they connect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_in_the_accept_queue_are_answered() {
    let (jira, home, config) = jira_and_config(Flavour::Cloud, "").await;
    let mut serving = Serving::start(&config);
    serving.asks_until("confirm-promotion", "Progressing", "new", "waiting for a decision").await;
    // Not the canary of the repeated questions: one that is answered after the report would open another ticket.
    let mut ended = about("till");
    assert_eq!(serving.posts(0, "/gate/confirm-promotion", &ended).await, 403);
    until("till has its ticket", async || jira.issues().len() == 2).await;
    until("it is stored", async || count(&home, "outbox").await == 0).await;
    ended["phase"] = "Succeeded".into();
    serving.suspends().await;
    let post = |path: &str, body: &Value| {
        let body = body.to_string();
        let mut caller = Caller::connect(serving.at(0)).unwrap();
        caller.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        caller.write_all(format!("{head}{body}").as_bytes()).unwrap();
        caller
    };
    let canaries: Vec<String> = (0..12).map(|number| format!("cart-{number}")).collect();
    let asking: Vec<Caller> =
        canaries.iter().map(|canary| post("/gate/confirm-promotion", &about(canary))).collect();
    // So many that they are not accepted in one batch: the stop comes in between.
    let again: Vec<Caller> =
        (0..90).map(|_| post("/gate/confirm-promotion", &question("Progressing", "new"))).collect();
    let reporting = post("/post-rollout", &ended);
    serving.signal("-TERM");
    serving.signal("-CONT");
    for caller in asking {
        let answer = answer(caller);
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && answer.contains("the ticket is being opened"),
            "{answer}"
        );
    }
    for caller in again {
        let answer = answer(caller);
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    let answer = answer(reporting);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    serving.logs("stopped");
    assert_eq!(serving.exit_code(), Some(0));
    assert_eq!(count(&home, "audit WHERE kind = 'bypassed'").await, 1, "the report is stored");
    assert_eq!(count(&home, "canary").await, 14, "and so are the questions");

    let _serving = Serving::start(&config);
    until("each has its ticket", async || jira.issues().len() == 14).await;
    until("all is done", async || count(&home, "outbox").await == 0).await;
    assert_eq!(jira.issues().len(), 14);
    assert_eq!(jira.complaints(), Vec::<String>::new());
}

/// The bridge stops although the database is unreachable, or accepts connections and never answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stops_while_the_database_is_away() {
    for signal in ["-TERM", "-INT"] {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        for (server, hangs) in [(closed.local_addr().unwrap(), false), (silent.local_addr().unwrap(), true)] {
            let (_jira, _home, config) = jira_and_config(Flavour::Cloud, "").await;
            let mut program = program();
            program.env("BRIDGE__STORE__URL", format!("postgres://bridge@{server}/gates"));
            let mut serving = Serving::listens_as(program, &config);
            if hangs {
                drop(silent.accept().await.unwrap());
                let _knocks = silent.accept().await.unwrap();
                serving.begins_to_stop(signal).await;
            } else {
                serving.logs("every gate stays closed until it can be opened");
                let (status, line) = serving.asks("confirm-promotion", "Progressing", "new").await;
                assert_eq!((status, line.contains("the store is not open yet")), (403, true), "{line}");
                serving.begins_to_stop(signal).await;
            }
            serving.logs("stopped");
            assert_eq!(serving.exit_code(), Some(0));
        }
    }
}

/// A stop signal while the bridge still reads its configuration: it does not start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_signal_during_the_start() {
    for signal in ["-TERM", "-INT"] {
        let (jira, home, config) = jira_and_config(Flavour::Cloud, "").await;
        let pipe = home.0.path().join("pipe.toml");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut serving = Serving::spawn(program(), &pipe);
        // Opening the pipe waits for the reader.
        let mut write = std::fs::OpenOptions::new().write(true).open(&pipe).unwrap();
        serving.signal(signal);
        serving.logs("stopping; finishing");
        write.write_all(&std::fs::read(&config).unwrap()).unwrap();
        drop(write);
        serving.logs("stopped");
        assert_eq!(serving.exit_code(), Some(0));
        if home.1.url.starts_with("sqlite:") {
            assert!(!home.0.path().join("bridge.db").exists(), "the store was not opened");
        }
        assert!(jira.requests().is_empty());
    }
}

/// Without requests or commands in progress, the bridge stops at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_bridge_does_not_wait_for_the_grace() {
    let (_jira, home, config) = jira_and_config(Flavour::Cloud, "shutdown_grace = \"1h\"\n").await;
    let mut serving = Serving::start(&config);
    // A caller that connects and sends nothing, as browsers do.
    let _silent = Caller::connect(serving.at(2)).unwrap();
    serving.begins_to_stop("-INT").await;
    serving.logs("stopped");
    assert_eq!(serving.exit_code(), Some(0));
    assert_eq!(count(&home, "lease WHERE until = 0").await, 1);
}
