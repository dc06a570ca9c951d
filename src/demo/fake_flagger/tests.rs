use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::State, http::HeaderMap, http::StatusCode, http::Uri};
use serde_json::Value;

use super::*;

/// A call without the parts that differ between runs.
type Said = (String, String, usize, String);

/// The first `attempts` rollouts of a trace.
struct Trace {
    /// Flagger's checks and the pushes, in order.
    progress: Vec<Did>,
    said: Vec<Said>,
    answers: VecDeque<u16>,
}

enum Did {
    Push(String),
    Tick,
}

fn trace(file: &str, attempts: i64) -> Trace {
    let path = format!("{}/fixtures/flagger/traces/{file}", env!("CARGO_MANIFEST_DIR"));
    let mut trace = Trace { progress: Vec::new(), said: Vec::new(), answers: VecDeque::new() };
    let mut roles = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if let Some(path) = line["ask"].as_str().or(line["tell"].as_str()) {
            trace.said.push(said(path, &line["body"], &mut roles));
            trace.answers.extend(line["answer"].as_u64().map(|status| u16::try_from(status).unwrap()));
        }
        match line["do"].as_str() {
            Some("tick") => trace.progress.push(Did::Tick),
            Some("ship") => trace.progress.push(Did::Push(line["revision"].as_str().unwrap().to_owned())),
            Some("end") if line["attempt"].as_i64() == Some(attempts) => break,
            _ => {}
        }
    }
    trace
}

/// The path, the phase, the index of the revision in order of appearance, and the message of an event.
fn said(path: &str, body: &Value, roles: &mut Vec<String>) -> Said {
    let checksum = body["checksum"].as_str().unwrap().to_owned();
    let role = roles.iter().position(|known| *known == checksum).unwrap_or_else(|| {
        roles.push(checksum);
        roles.len() - 1
    });
    let event = &body["metadata"];
    let event = match event["eventMessage"].as_str() {
        Some(message) => format!("{} {message}", event["eventType"].as_str().unwrap()),
        None => String::new(),
    };
    (path.to_owned(), body["phase"].as_str().unwrap().to_owned(), role, event)
}

/// A fake bridge with scripted answers.
struct Script {
    roles: Vec<String>,
    said: Vec<Said>,
    answers: VecDeque<u16>,
    bodies: Vec<String>,
}

async fn answer(
    State(script): State<Arc<Mutex<Script>>>,
    uri: Uri,
    head: HeaderMap,
    body: String,
) -> StatusCode {
    assert_eq!(head["user-agent"], "Go-http-client/1.1");
    assert_eq!(head["content-type"], "application/json");
    let mut script = script.lock().unwrap();
    let mut roles = std::mem::take(&mut script.roles);
    let said = said(uri.path(), &serde_json::from_str(&body).unwrap(), &mut roles);
    script.roles = roles;
    script.said.push(said);
    script.bodies.push(body);
    if uri.path().starts_with("/gate/") {
        StatusCode::from_u16(script.answers.pop_front().unwrap_or(403)).unwrap()
    } else {
        StatusCode::OK
    }
}

async fn bridge(answers: VecDeque<u16>) -> (String, Arc<Mutex<Script>>) {
    let script = Script { roles: Vec::new(), said: Vec::new(), answers, bodies: Vec::new() };
    let script = Arc::new(Mutex::new(script));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(Arc::clone(&script));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, script)
}

/// Plays the rollouts of a trace, and compares the calls. Metadata of the recorded Canary is left out, because Flagger
/// did not add it.
async fn plays(file: &str, attempts: i64) {
    let trace = trace(file, attempts);
    let (url, script) = bridge(trace.answers).await;
    let mut flagger = FakeFlagger::new(&url, "default", "podinfo").unwrap();
    for did in trace.progress {
        match did {
            Did::Push(revision) => flagger.push(&revision),
            Did::Tick => drop(flagger.tick(Millis(1_795_411_221_791)).await),
        }
    }
    let script = script.lock().unwrap();
    for (nth, (ours, theirs)) in script.said.iter().zip(&trace.said).enumerate() {
        assert_eq!(ours, theirs, "call {nth} of {file}");
    }
    assert_eq!(script.said.len(), trace.said.len(), "{file}");
}

#[tokio::test]
async fn approved_rollouts_are_the_recorded_ones() {
    plays("01-canary-all-hooks.jsonl", 4).await;
}

#[tokio::test]
async fn a_rejected_promotion_is_the_recorded_one() {
    plays("05a-rejected-at-promotion.jsonl", 2).await;
}

#[tokio::test]
async fn a_rejected_increase_is_the_recorded_one() {
    plays("06-rejected-while-progressing.jsonl", 2).await;
}

#[tokio::test]
async fn the_body_is_flaggers_to_the_letter() {
    let (url, script) = bridge(VecDeque::new()).await;
    let mut flagger = FakeFlagger::new(&url, "shop", "podinfo").unwrap();
    for _ in 0..2 {
        let _ = flagger.tick(Millis(7)).await;
    }
    flagger.push("v2");
    assert_eq!(flagger.revision(), "v2");
    let tick = flagger.tick(Millis(7)).await;
    assert_eq!((tick.phase, tick.weight, tick.calls.len()), (Phase::Waiting, 0, 2));
    assert_eq!(tick.calls[0].question(), Some("confirm-rollout"));
    let script = script.lock().unwrap();
    let v1 = Revision::checksum(Some(&Revision::new("v1")));
    assert_eq!(
        script.bodies[4..],
        [
            format!(r#"{{"name":"podinfo","namespace":"shop","phase":"Initialized","checksum":"{v1}"}}"#),
            format!(
                r#"{{"name":"podinfo","namespace":"shop","phase":"Initialized","checksum":"{v1}","metadata":{{"eventMessage":"Halt podinfo.shop advancement waiting for approval confirm-rollout","eventType":"Warning","timestamp":"7"}}}}"#
            ),
        ]
    );
}

#[tokio::test]
async fn a_newer_revision_restarts_without_a_question() {
    let open = VecDeque::from([200, 403, 200, 403, 200, 403, 200, 403, 200, 403]);
    let (url, _) = bridge(open).await;
    let mut flagger = FakeFlagger::new(&url, "shop", "podinfo").unwrap();
    for _ in 0..2 {
        let _ = flagger.tick(Millis(7)).await;
    }
    flagger.push("v2");
    let mut weights = Vec::new();
    while flagger.phase() != Phase::WaitingPromotion {
        weights.push(flagger.tick(Millis(7)).await.weight);
    }
    assert_eq!(weights, [0, 20, 40, 60, 60]);
    flagger.push("v3");
    assert_eq!(flagger.revision(), "v2", "Flagger has not looked yet");
    let tick = flagger.tick(Millis(7)).await;
    let [restart] = tick.calls.as_slice() else { panic!("{tick:?}") };
    assert_eq!((restart.path.as_str(), restart.phase), ("/event", Phase::WaitingPromotion));
    assert_eq!((tick.phase, tick.weight, flagger.revision()), (Phase::Progressing, 0, "v3"));
    let next = flagger.tick(Millis(7)).await;
    assert_ne!(next.calls[0].checksum, restart.checksum);
}

/// Confirm hooks send the metadata that the Canary has, and no other hook does. A stage without a hook is passed
/// without a question.
#[tokio::test]
async fn the_hooks_are_those_of_the_canary() {
    let (url, script) = bridge(VecDeque::new()).await;
    let mut flagger = FakeFlagger::new(&url, "shop", "podinfo").unwrap();
    flagger.keep_only(CONFIRM_PROMOTION);
    for _ in 0..2 {
        let _ = flagger.tick(Millis(7)).await;
    }
    flagger.push("v2");
    flagger.set_metadata([("revision".to_owned(), "2.0".to_owned())].into());
    while flagger.phase() != Phase::WaitingPromotion {
        let _ = flagger.tick(Millis(7)).await;
    }
    let script = script.lock().unwrap();
    let questions: Vec<&str> =
        script.said.iter().filter(|said| said.0.starts_with("/gate/")).map(|said| said.0.as_str()).collect();
    let [many @ .., last] = questions.as_slice() else { panic!("no questions") };
    assert!(*last == "/gate/confirm-promotion" && many.iter().all(|path| *path == "/gate/rollback"));
    let with_metadata = script.bodies.iter().filter(|body| body.contains(r#""metadata":{"revision":"2.0"}"#));
    assert_eq!(with_metadata.count(), 1, "{:?}", script.bodies);
}

#[test]
fn only_three_answers_are_open() {
    let open = |status| Answered::Response { status, line: String::new() }.is_open();
    assert_eq!((200..600).filter(|status| open(*status)).collect::<Vec<_>>(), [200, 201, 202]);
    assert!(!Answered::NoResponse { why: "cut".into() }.is_open());
}
