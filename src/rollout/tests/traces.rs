//! Recorded messages of Flagger, with the expected answers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;

/// Replays a recorded trace, and returns a line for each mismatch.
fn replay(path: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut world = World::new();
    let mut wrong = Vec::new();
    let mut tickets: BTreeMap<(u64, Stage, Option<String>), GateId> = BTreeMap::new();
    // How each attempt ended, by Flagger's own messages.
    let mut reported: BTreeMap<u64, End> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line: Value = serde_json::from_str(line).unwrap();
        let at = Millis((line["t"].as_f64().unwrap() * 1000.0) as i64);
        while world.now < at {
            world.now = at.min(world.now + Duration::from_secs(60));
            world.polls();
        }
        let body = &line["body"];
        let message = message(
            Phase::named(body["phase"].as_str().unwrap_or_default()),
            body["checksum"].as_str().unwrap_or_default(),
        );
        let attempt = line["attempt"].as_u64().unwrap_or_default();
        if let Some(path) = line["ask"].as_str() {
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            let stage_word = path.trim_start_matches("/gate/");
            let open = if stage_word == "rollback" {
                world.rolls_back(&message)
            } else {
                let approver = query.strip_prefix("gate=").map(str::to_owned);
                let name = GateName { stage: stage(stage_word), approver: approver.clone(), step: None };
                let (open, gate) = world.asks(&name, &message);
                if let Some(gate) = gate {
                    let first =
                        tickets.entry((attempt, name.stage, approver)).or_insert(gate.clone()).clone();
                    if first != gate {
                        wrong.push(format!("{number}: a second ticket for attempt {attempt}"));
                    }
                }
                open
            };
            if u64::from(open) * 200 + u64::from(!open) * 403 != line["answer"].as_u64().unwrap() {
                wrong.push(format!("{number}: answered {open}: {line}; {:?}", world.canary.rollout));
            }
        } else if let Some(path) = line["tell"].as_str() {
            let path = path.split('?').next().unwrap();
            let report = match path {
                "/event" => Report::Event,
                "/post-rollout" => Report::PostRollout,
                _ => continue,
            };
            world.reports(report, &message);
            match (message.phase, attempt) {
                (Phase::Succeeded, 1..) if path == "/post-rollout" || said(body, "Promotion completed!") => {
                    reported.insert(attempt, End::Succeeded);
                }
                (Phase::Failed, 1..) if path == "/post-rollout" || said(body, "Canary failed!") => {
                    reported.insert(attempt, End::Failed);
                }
                _ => {}
            }
        } else if line["do"] == "decide" {
            let gate = line["gate"].as_str().map(str::to_owned);
            let key = (attempt, stage(line["stage"].as_str().unwrap()), gate);
            match tickets.get(&key).cloned() {
                Some(gate) => world.decides(&gate, line["status"].as_str().unwrap()),
                None => wrong.push(format!("{number}: nothing to decide about: {line}")),
            }
        }
    }
    let mut distinct: Vec<_> = tickets.values().collect();
    distinct.sort();
    distinct.dedup();
    if distinct.len() != tickets.len() {
        wrong.push(format!("{} tickets for {} gates", distinct.len(), tickets.len()));
    }
    for ((attempt, stage, _), gate) in &tickets {
        let endings: Vec<End> = world
            .ended
            .iter()
            .filter(|(_, gates)| gates.iter().any(|ended| ended.id == *gate))
            .map(|(how, _)| *how)
            .collect();
        let lives = world.canary.gate_by_id(gate).is_some();
        let right = match reported.get(attempt) {
            Some(how) => endings == [*how],
            // Its end was not reported; the next question may show a success.
            None => {
                let unreported = [End::Superseded, End::Recreated, End::Succeeded];
                unreported.iter().any(|end| endings == [*end]) || (endings.is_empty() && lives)
            }
        };
        if !right {
            wrong.push(format!(
                "attempt {attempt} {stage}: ended {endings:?}, lives {lives}, reported {:?}",
                reported.get(attempt)
            ));
        }
    }
    wrong
}

fn said(body: &Value, words: &str) -> bool {
    body["metadata"]["eventMessage"].as_str().is_some_and(|message| message.starts_with(words))
}

#[test]
fn recorded_traces_are_answered_as_recorded() {
    let mut wrong = Vec::new();
    let mut replayed = 0;
    for entry in std::fs::read_dir("fixtures/flagger/traces").unwrap() {
        let path = entry.unwrap().path();
        replayed += 1;
        wrong.extend(replay(&path).into_iter().map(|line| format!("{}: {line}", path.display())));
    }
    assert!(replayed >= 43, "only {replayed} traces");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
