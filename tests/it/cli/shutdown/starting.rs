//! Starting while Jira is down.

use fake_jira::{Fault, Flavour, MIA, Operation, Times};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::world::program::{Serving, jira_and_config, program};

/// How Jira is down.
#[derive(Clone, Copy, Debug)]
enum Away {
    Refuses,
    Hangs,
    Unavailable,
}

/// The bridge starts without Jira: it listens, is ready, answers every question and says why. It recovers when Jira is
/// reachable.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_without_jira() {
    for away in [Away::Refuses, Away::Hangs, Away::Unavailable] {
        let (jira, _home, config) = jira_and_config(Flavour::Cloud, "").await;
        // The socket keeps the port, without listening yet.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let mut listener = None;
        let why = match away {
            Away::Refuses => "cannot reach Jira",
            Away::Hangs => "no answer from Jira",
            Away::Unavailable => "503",
        };
        let mut socket = Some(socket);
        match away {
            Away::Refuses => {}
            // The system accepts the bridge's connection.
            Away::Hangs => listener = socket.take().map(|socket| socket.listen(1_024).unwrap()),
            Away::Unavailable => {
                jira.start_on(socket.take().unwrap().listen(1_024).unwrap()).unwrap();
                let fault = Fault::Status { code: 503, retry_after: None, body: "<html>".into() };
                jira.fault(Operation::Any, fault, Times::Always);
            }
        }
        let mut program = program();
        program.env("BRIDGE__JIRA__URL", &url).env("BRIDGE__JIRA__TIMEOUT", "500ms");
        let mut serving = Serving::start_as(program, &config);
        serving.has_logged(why);
        let (status, line) =
            serving.asks_until("confirm-promotion", "Progressing", "new", "could not be opened").await;
        assert_eq!((status, line.contains(why)), (403, true), "{away:?}: {line}");
        assert_eq!(serving.asks("rollback", "Progressing", "new").await.0, 403);
        for listener in [0, 2] {
            let [ready, alive] =
                [serving.gets(listener, "/readyz").await, serving.gets(listener, "/healthz").await];
            assert_eq!((ready.0, alive.0), (200, 200), "{away:?}");
        }
        let gates: Value = serde_json::from_str(&serving.gets(2, "/api/gates").await.1).unwrap();
        assert_eq!((&gates[0]["state"], &gates[0]["ticket"]), (&json!("stuck"), &Value::Null), "{away:?}");
        assert_eq!(jira.issues().len(), 0);

        match away {
            Away::Refuses => drop(jira.start_on(socket.take().unwrap().listen(1_024).unwrap()).unwrap()),
            Away::Hangs => drop(jira.start_on(listener.take().unwrap()).unwrap()),
            Away::Unavailable => jira.clear_faults(),
        }
        serving.asks_until("confirm-promotion", "Progressing", "new", "waiting for a decision").await;
        let [ticket] = jira.issues().try_into().unwrap();
        jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
        let (status, _) = serving.asks_until("confirm-promotion", "Progressing", "new", "open: ").await;
        assert_eq!((status, jira.issues().len()), (200, 1), "{away:?}");
        assert_eq!(jira.complaints(), Vec::<String>::new());
    }
}

/// A recently confirmed approval holds across a restart while Jira is down; a new gate waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_holds_over_a_restart_without_jira() {
    let (jira, _home, config) = jira_and_config(Flavour::DataCenter, "").await;
    let mut serving = Serving::start(&config);
    serving.asks_until("confirm-promotion", "Progressing", "new", "waiting for a decision").await;
    jira.move_issue(&jira.issues()[0].key, "Approved", MIA).unwrap();
    let before = serving.asks_until("confirm-promotion", "Progressing", "new", "open: ").await;
    serving.begins_to_stop("-TERM").await;
    assert_eq!(serving.exit_code(), Some(0));

    jira.fault(Operation::Any, Fault::Dropped, Times::Always);
    let mut serving = Serving::start(&config);
    serving.has_logged("no answer from Jira");
    assert_eq!(serving.asks("confirm-promotion", "Progressing", "new").await, before);
    let (status, _) =
        serving.asks_until("confirm-traffic-increase", "Progressing", "new", "could not be opened").await;
    assert_eq!(status, 403);
    jira.clear_faults();
    serving.asks_until("confirm-traffic-increase", "Progressing", "new", "waiting for a decision").await;
    assert_eq!(serving.asks("confirm-promotion", "Progressing", "new").await, before);
    assert_eq!(jira.issues().len(), 2);
}
