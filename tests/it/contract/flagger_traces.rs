//! Replays recorded traces over HTTP: the messages of a real Flagger, and the correct answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
    time::Duration,
};

use fake_jira::{Flavour, IssueView, MIA};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::world::World;

/// The result of a trace.
struct Replayed {
    questions: usize,
    reports: usize,
    gates: usize,
    tickets: usize,
    wrong: Vec<String>,
}

async fn replay(path: &Path, flavour: Flavour) -> Replayed {
    // One trace opens 13 tickets within an hour.
    let world = World::start_with(flavour, "limits.tickets_per_canary_per_hour = 100").await;
    let mut replayed = Replayed { questions: 0, reports: 0, gates: 0, tickets: 0, wrong: Vec::new() };
    // The key of the only allowed ticket, by attempt, stage and gate.
    let mut tickets: BTreeMap<(u64, String, Option<String>), String> = BTreeMap::new();
    let mut opened: BTreeSet<(u64, String, Option<String>)> = BTreeSet::new();
    // How each attempt ended, according to its messages.
    let mut reported: BTreeMap<u64, &str> = BTreeMap::new();
    let mut last_attempt = 0;
    // The last attempt and checksum, without questions at confirm-rollout.
    let mut running = (0, Value::Null);
    for (number, line) in fs::read_to_string(path).unwrap().lines().enumerate() {
        let line: Value = serde_json::from_str(line).unwrap();
        let at = Duration::from_secs_f64(line["t"].as_f64().unwrap());
        // The worker also polls between questions.
        while world.age() + Duration::from_secs(60) < at {
            world.advance(Duration::from_secs(60));
            world.run_worker().await;
        }
        world.advance(at.saturating_sub(world.age()));
        world.run_worker().await;
        let attempt = line["attempt"].as_u64().unwrap_or_default();
        last_attempt = last_attempt.max(attempt);
        if let Some(path) = line["ask"].as_str() {
            replayed.questions += 1;
            let checksum = &line["body"]["checksum"];
            if !path.starts_with("/gate/confirm-rollout") {
                running = (attempt, checksum.clone());
            } else if line["body"]["phase"] == "Succeeded" && running.1 == *checksum {
                // Its success was not reported, but follows from this question.
                reported.entry(running.0).or_insert("succeeded");
            }
            let before = world.tickets().len();
            let answer = world.posts(path, &line["body"]).await;
            if u64::from(answer.status) != line["answer"].as_u64().unwrap() {
                replayed.wrong.push(format!("line {number}: {} {}: {line}", answer.status, answer.body));
            }
            world.run_worker().await;
            let new = world.tickets().len() - before;
            let Some(stage) = path.strip_prefix("/gate/").filter(|stage| *stage != "rollback") else {
                assert_eq!(new, 0, "a rollback question opens no ticket");
                continue;
            };
            let (stage, gate) = match stage.split_once("?gate=") {
                Some((stage, gate)) => (stage, Some(gate.to_owned())),
                None => (stage, None),
            };
            let gate = (attempt, stage.to_owned(), gate);
            let expected = usize::from(!tickets.contains_key(&gate));
            if new != expected {
                replayed.wrong.push(format!("line {number}: {new} new tickets, not {expected}: {line}"));
            }
            if answer.status == 200 {
                opened.insert(gate.clone());
            }
            if new > 0 {
                tickets.insert(gate, world.newest());
            }
        } else if let Some(path) = line["tell"].as_str() {
            if path.starts_with("/event") || path == "/post-rollout" {
                replayed.reports += 1;
                assert_eq!(world.posts(path, &line["body"]).await.status, 200);
                if let (1.., Some(how)) = (attempt, outcome(path, &line["body"])) {
                    reported.insert(attempt, how);
                }
            }
        } else if line["do"] == "decide" {
            let stage = line["stage"].as_str().unwrap().to_owned();
            let gate = (attempt, stage, line["gate"].as_str().map(str::to_owned));
            let status = match line["status"].as_str().unwrap() {
                "Waiting" => "In Review",
                status => status,
            };
            world.jira.move_issue(&tickets[&gate], status, MIA).unwrap();
        }
    }
    // Progress is batched for a minute.
    world.advance(Duration::from_secs(61));
    world.run_worker().await;
    for ((attempt, stage, gate), key) in &tickets {
        let endings = endings(&world.jira.issue(key).unwrap());
        let gate = (*attempt, stage.clone(), gate.clone());
        let expected = match reported.get(attempt) {
            Some(&"succeeded") if !opened.contains(&gate) => vec!["WITHOUT this approval"],
            Some(how) => vec![*how],
            None if endings.is_empty() && *attempt == last_attempt => vec![],
            None => vec!["superseded"],
        };
        if endings != expected {
            replayed.wrong.push(format!(
                "attempt {attempt} {stage}: {key}: the comments say {endings:?}, not {expected:?}"
            ));
        }
    }
    replayed.gates = tickets.len();
    replayed.tickets = world.tickets().len();
    world.finish().await;
    replayed
}

/// The end of the rollout, if this report contains it.
fn outcome(path: &str, body: &Value) -> Option<&'static str> {
    let said =
        |words: &str| body["metadata"]["eventMessage"].as_str().is_some_and(|it| it.starts_with(words));
    match body["phase"].as_str()? {
        "Succeeded" if path == "/post-rollout" || said("Promotion completed!") => Some("succeeded"),
        "Failed" if path == "/post-rollout" || said("Canary failed!") => Some("failed"),
        _ => None,
    }
}

/// The endings that the ticket's comments name.
fn endings(ticket: &IssueView) -> Vec<&'static str> {
    let comments: Vec<String> =
        ticket.comments.iter().map(|comment| comment.text().replace('\n', " ")).collect();
    let ends = comments.iter().filter(|said| said.contains("This ticket no longer controls anything"));
    let words = ["WITHOUT this approval", "succeeded", "failed", "superseded", "abandoned"];
    ends.filter_map(|said| words.into_iter().find(|word| said.contains(word))).collect()
}

/// The number of traces that are replayed concurrently.
const SIDE_BY_SIDE: usize = 8;

async fn replay_all(flavour: Flavour) {
    let mut paths: Vec<_> =
        fs::read_dir("fixtures/flagger/traces").unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 43, "only {} traces", paths.len());
    let mut wrong = Vec::new();
    let mut table = String::new();
    // Concurrently, because most of the time is spent waiting for the disk; limited because PostgreSQL limits
    // connections.
    let turns = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    let replays: Vec<_> = paths
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let turns = Arc::clone(&turns);
            let replayed = tokio::spawn(async move {
                let _turn = turns.acquire().await.unwrap();
                replay(&path, flavour).await
            });
            (name, replayed)
        })
        .collect();
    for (name, replayed) in replays {
        let Replayed { questions, reports, gates, tickets, wrong: here } = replayed.await.unwrap();
        table += &format!("{name:<52} {questions:>5} {reports:>5} {gates:>4} {tickets:>4}\n");
        wrong.extend(here.into_iter().map(|line| format!("{name}: {line}")));
        if gates != tickets {
            wrong.push(format!("{name}: {tickets} tickets for {gates} gates"));
        }
    }
    println!("{flavour:?}: trace, questions, reports, gates, tickets\n{table}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_traces_get_their_answers_with_jira_cloud() {
    replay_all(Flavour::Cloud).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_traces_get_their_answers_with_jira_data_center() {
    replay_all(Flavour::DataCenter).await;
}
