//! Objects and watches recorded from a real API server and a real Flagger.

use std::{collections::BTreeMap, fs};

use super::*;

fn fixture(name: &str) -> String {
    fs::read_to_string(format!("fixtures/kubernetes/{name}")).unwrap()
}

fn stored(name: &str) -> Value {
    serde_json::from_str(&fixture(&format!("{name}-as-stored.json"))).unwrap()
}

/// What a recording shows after each of its lines: the time, the phase, and the change.
fn watched(name: &str) -> Vec<(f64, String, Change)> {
    let (mut objects, mut seen) = (BTreeMap::new(), Vec::new());
    for line in fixture(&format!("{name}.jsonl")).lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let object = &event["object"];
        let key = format!("{} {}", object["kind"], object["metadata"]["name"]).replace('"', "");
        objects.insert(key, object.clone());
        let (Some(canary), Some(target)) = (objects.get("Canary podinfo"), objects.get("Deployment podinfo"))
        else {
            continue;
        };
        let phase = canary["status"]["phase"].as_str().unwrap_or_default().to_owned();
        let change = change_of(canary, target, objects.get("Deployment podinfo-primary"));
        seen.push((event["t"].as_f64().unwrap(), phase, change));
    }
    seen
}

/// Each line of a recording: time, phase, the beginnings of both digests, and the summary.
fn course(name: &str) -> String {
    let lines = watched(name).into_iter().map(|(at, phase, change)| {
        let short = |digest: &Digest| digest.as_str()[..6].to_owned();
        let running = change.running.as_ref().map_or_else(|| "none".to_owned(), short);
        format!("{at:5} {phase:16} {:6} {running:6} {}", short(&change.digest), change.summary())
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_promoted_target_is_what_runs() {
    let [canary, target, primary] = ["canary", "deployment", "primary"].map(stored);
    let change = change_of(&canary, &target, Some(&primary));
    assert_eq!(change.running.as_ref(), Some(&change.digest));
    assert!(change.is_empty());
    insta::assert_snapshot!(text(&change), @r"
    Deployment podinfo: no change
    | podinfod | ghcr.io/stefanprodan/podinfo:6.6.0 | ghcr.io/stefanprodan/podinfo:6.6.0 |
    app: podinfo
    Canary: traffic in steps of 10 % up to 50 %, every 11 minutes; rolled back after 5 failed checks; metric request-success-rate.
    Pushed by: kubectl-rollout at 2026-11-29T17:28:55Z
    ");
}

#[test]
fn each_push_has_its_digest() {
    insta::assert_snapshot!(course("pushed-after-the-approval"), @r"
     2.15                  a39e7e none   podinfod 6.4.0 (new)
     2.32 Initializing     a39e7e none   podinfod 6.4.0 (new)
     3.36 Initializing     a39e7e a39e7e no change
     4.35 Initializing     a39e7e a39e7e no change
     4.39 Initialized      a39e7e a39e7e no change
     5.63 Initialized      788e29 a39e7e podinfod 6.4.0 → 6.5.0
     6.35 Waiting          788e29 a39e7e podinfod 6.4.0 → 6.5.0
    10.33 Waiting          6c6fb2 a39e7e podinfod 6.4.0 → 6.6.0
    11.36 Waiting          6c6fb2 a39e7e podinfod 6.4.0 → 6.6.0
    11.38 Progressing      6c6fb2 a39e7e podinfod 6.4.0 → 6.6.0
    ");
    insta::assert_snapshot!(course("failed-then-pushed-while-waiting"), @r"
     2.08                  a39e7e none   podinfod 6.4.0 (new)
     2.26 Initializing     a39e7e none   podinfod 6.4.0 (new)
     3.31 Initializing     a39e7e a39e7e no change
     4.31 Initializing     a39e7e a39e7e no change
     4.38 Initialized      a39e7e a39e7e no change
     5.59 Initialized      9e0a1d a39e7e podinfod 6.4.0 → 1
     6.31 Waiting          9e0a1d a39e7e podinfod 6.4.0 → 1
     9.32 Waiting          9e0a1d a39e7e podinfod 6.4.0 → 1
     9.34 Progressing      9e0a1d a39e7e podinfod 6.4.0 → 1
    13.33 Progressing      9e0a1d a39e7e podinfod 6.4.0 → 1
    13.35 Failed           9e0a1d a39e7e podinfod 6.4.0 → 1
    16.18 Failed           ecdf33 a39e7e podinfod 6.4.0 → 2
    17.31 Failed           ecdf33 a39e7e podinfod 6.4.0 → 2
    17.35 Waiting          ecdf33 a39e7e podinfod 6.4.0 → 2
    18.43 Waiting          fd606e a39e7e podinfod 6.4.0 → 3
    22.32 Waiting          fd606e a39e7e podinfod 6.4.0 → 3
    22.34 Progressing      fd606e a39e7e podinfod 6.4.0 → 3
    35.32 WaitingPromotion fd606e a39e7e podinfod 6.4.0 → 3
    37.33 WaitingPromotion fd606e fd606e no change
    37.34 Promoting        fd606e fd606e no change
    39.29 Finalising       fd606e fd606e no change
    40.29 Finalising       fd606e fd606e no change
     40.3 Succeeded        fd606e fd606e no change
    ");
}

/// Scaling by Flagger is no change: as soon as there is a primary, only a push makes a difference.
#[test]
fn flagger_itself_changes_nothing() {
    for name in ["pushed-after-the-approval", "failed-then-pushed-while-waiting"] {
        for (at, _, change) in watched(name) {
            assert_eq!(change.differences, [], "{name} at {at}");
            let is_same = change.running.as_ref() == Some(&change.digest);
            assert_eq!(is_same, change.is_empty(), "{name} at {at}");
        }
    }
}

/// The same template in another namespace has the same digest.
#[test]
fn namespaces_do_not_matter() {
    let first = |name: &str| watched(name).remove(0).2.digest;
    assert_eq!(first("pushed-after-the-approval"), first("failed-then-pushed-while-waiting"));
}
