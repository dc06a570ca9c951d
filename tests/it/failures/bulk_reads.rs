//! A bad ticket affects only itself: tickets that make bulk requests fail, long histories, and a lagging search index.

use std::time::Duration;

use fake_jira::{BOB, Fault, Flavour, MIA, Operation, Times};
use serde_json::{Value, json};

use crate::world::{World, question};

// Without the tests that count requests.
crate::world::crash::crash_tests!(an_index_that_does_not_update);

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Flagger asks at the gate of a canary.
async fn asks(world: &World, canary: usize) -> (u16, String) {
    let mut question = question("Progressing", "new");
    question["name"] = format!("cart-{canary}").into();
    let answer = world.posts("/gate/confirm-promotion", &question).await;
    (answer.status, answer.body)
}

/// Opens one ticket for each canary and reads it once. Returns the keys.
async fn opened(world: &World, canaries: usize) -> Vec<String> {
    for canary in 0..canaries {
        asks(world, canary).await;
    }
    world.run_worker().await;
    cycle(world).await;
    let mut keys = vec![String::new(); canaries];
    for ticket in world.tickets() {
        let canary =
            (0..canaries).find(|n| ticket.labels.contains(&format!("flagger-canary-cart-{n}"))).unwrap();
        keys[canary] = ticket.key;
    }
    keys
}

/// Runs the next poll cycle. Returns the requests to Jira.
async fn cycle(world: &World) -> Vec<Operation> {
    // Comments that are due.
    world.run_worker().await;
    world.jira.clear_requests();
    world.advance(20 * SECOND);
    world.run_worker().await;
    world.jira.requests().iter().map(|request| request.operation).collect()
}

fn together(world: &World) -> Operation {
    if world.is_cloud() { Operation::BulkFetch } else { Operation::Search }
}

fn count(requests: &[Operation], operation: Operation) -> usize {
    requests.iter().filter(|it| **it == operation).count()
}

/// Two users write very long descriptions into two tickets. All tickets are still read, also those two, and it costs
/// few requests once the bridge knows which two they are.
#[tokio::test]
async fn very_long_entries_of_two_tickets() {
    for world in World::both("jira.timeout = \"30s\"").await {
        let keys = opened(&world, 12).await;
        for key in &keys[3..5] {
            world.jira.rewrite_issue(key, 40, 32_000, MIA).unwrap();
        }
        for key in &keys[..5] {
            world.jira.move_issue(key, "Approved", MIA).unwrap();
        }
        let requests = cycle(&world).await;
        assert!(requests.len() <= 24, "{requests:?}");
        for canary in 0..12 {
            let (status, line) = asks(&world, canary).await;
            assert_eq!(status, if canary < 5 { 200 } else { 403 }, "{line}");
        }
        let requests = cycle(&world).await;
        assert!(requests.len() <= 4, "{requests:?}");
        world.finish().await;
    }
}

/// A ticket's newest changelog entries are so long that it cannot be read with them: on Cloud the bridge reads it
/// without.
#[tokio::test]
async fn a_ticket_that_is_too_long_alone() {
    let world = World::start_with(fake_jira::Flavour::Cloud, "jira.timeout = \"30s\"").await;
    let keys = opened(&world, 2).await;
    world.jira.rewrite_issue(&keys[0], 100, 32_000, MIA).unwrap();
    world.jira.move_issue(&keys[0], "Approved", MIA).unwrap();
    world.jira.rewrite_issue(&keys[0], 30, 32_000, MIA).unwrap();
    cycle(&world).await;
    assert_eq!(asks(&world, 0).await.0, 200);
    assert_eq!(asks(&world, 1).await.0, 403);
    world.jira.move_issue(&keys[0], "To Do", MIA).unwrap();
    cycle(&world).await;
    assert_eq!(asks(&world, 0).await.0, 403);
    world.finish().await;
}

/// Jira fails on every request that includes one ticket: the others are not delayed, and that ticket is retried ever
/// less often.
#[tokio::test]
async fn a_ticket_that_jira_breaks_on() {
    for world in World::both("").await {
        let keys = opened(&world, 8).await;
        world.jira.spoil_issue(&keys[5], true).unwrap();
        world.jira.move_issue(&keys[2], "Approved", MIA).unwrap();
        cycle(&world).await;
        assert_eq!(asks(&world, 2).await.0, 200);
        let mut tries = 0;
        for _ in 0..30 {
            for canary in 0..8 {
                asks(&world, canary).await;
            }
            let requests = cycle(&world).await;
            assert_eq!(count(&requests, together(&world)), 1, "{requests:?}");
            tries += count(&requests, Operation::GetIssue);
        }
        // On Data Center the bridge sometimes reads another ticket directly.
        assert!((2..=20).contains(&tries), "{tries}");
        assert_eq!(asks(&world, 2).await.0, 200);
        world.jira.move_issue(&keys[5], "Approved", MIA).unwrap();
        world.jira.spoil_issue(&keys[5], false).unwrap();
        assert_eq!(world.nudges(&keys[5]).await.status, 200);
        world.run_worker().await;
        assert_eq!(asks(&world, 5).await.0, 200, "a user moved it: it is read at once");
        world.finish().await;
    }
}

/// A proxy or Jira itself refuses only requests for several tickets: the bridge reads them one by one.
#[tokio::test]
async fn bulk_requests_are_refused() {
    let refusals = [
        (403, "<html>blocked</html>"),
        (405, "{\"message\":\"not here\"}"),
        (400, "{\"errorMessages\":[\"The value is invalid.\"],\"errors\":{}}"),
        (500, "{\"errorMessages\":[\"oops\"],\"errors\":{}}"),
    ];
    for (code, body) in refusals {
        for world in World::both("").await {
            let keys = opened(&world, 25).await;
            let fault = Fault::Status { code, retry_after: None, body: body.into() };
            world.jira.fault(together(&world), fault, Times::Always);
            for key in &keys {
                world.jira.move_issue(key, "Approved", MIA).unwrap();
            }
            cycle(&world).await;
            for canary in 0..25 {
                let (status, line) = asks(&world, canary).await;
                assert_eq!(status, 200, "{code}: {line}");
            }
            let requests = cycle(&world).await;
            assert!(count(&requests, together(&world)) <= 2, "{code}: {requests:?}");
            world.jira.clear_faults();
            for _ in 0..60 {
                cycle(&world).await;
                asks(&world, 0).await;
            }
            let requests = cycle(&world).await;
            assert!(count(&requests, Operation::GetIssue) <= 1, "{code}: {requests:?}");
            world.finish().await;
        }
    }
}

/// Meanwhile the page and its JSON say since when and why.
#[tokio::test]
async fn the_page_shows_that_bulk_requests_are_refused() {
    for world in World::both("").await {
        let jira = async || world.sends(world.admin("GET", "/api/jira")).await.json();
        let page = async || world.sends(world.admin("GET", "/")).await.body;
        opened(&world, 25).await;
        assert_eq!(jira().await["one_by_one"], Value::Null);
        assert!(!page().await.contains("one by one"));
        let body = r#"{"errorMessages":["The value is invalid."],"errors":{}}"#.to_owned();
        let fault = Fault::Status { code: 400, retry_after: None, body };
        world.jira.fault(together(&world), fault, Times::Always);
        cycle(&world).await;
        let shown = jira().await["one_by_one"].clone();
        assert_eq!(shown["since"], "2026-09-21T14:14:00.000Z", "{shown}");
        assert!(shown["why"].as_str().unwrap().contains("The value is invalid."), "{shown}");
        for _ in 0..60 {
            cycle(&world).await;
            asks(&world, 0).await;
        }
        assert_eq!(jira().await["one_by_one"], shown, "the start time stays the same");
        let html = page().await;
        assert!(
            html.contains("Tickets have been read one by one since 2026-09-21 14:14:00 UTC (20 min ago)"),
            "{html}"
        );
        assert!(html.contains("The value is invalid."), "{html}");
        world.jira.clear_faults();
        for _ in 0..60 {
            cycle(&world).await;
            asks(&world, 0).await;
        }
        assert_eq!(jira().await["one_by_one"], Value::Null);
        assert!(!page().await.contains("one by one"));
        world.finish().await;
    }
}

/// Four tickets were edited ten thousand times. They cost no more requests than others, and decisions on them count.
#[tokio::test]
async fn long_histories() {
    for world in World::both("jira.timeout = \"30s\"").await {
        let keys = opened(&world, 6).await;
        for key in &keys[..4] {
            world.jira.rewrite_issue(key, 9_900, 10, MIA).unwrap();
        }
        world.jira.move_issue(&keys[5], "Approved", MIA).unwrap();
        let requests = cycle(&world).await;
        assert_eq!(asks(&world, 5).await.0, 200);
        assert!(requests.len() <= 16, "{requests:?}");
        if !world.is_cloud() {
            continue; // Data Center returns a history of this length in full, in an answer that is too large to read.
        }
        world.jira.move_issue(&keys[0], "Approved", MIA).unwrap();
        let requests = cycle(&world).await;
        assert_eq!(asks(&world, 0).await.0, 200);
        assert!(requests.len() <= 2, "{requests:?}");
        // Many further edits follow the approval.
        for _ in 0..3 {
            world.jira.rewrite_issue(&keys[0], 350, 10, MIA).unwrap();
            cycle(&world).await;
            let (status, line) = asks(&world, 0).await;
            assert_eq!(status, 200, "{line}");
            let requests = cycle(&world).await;
            assert!(requests.len() <= 2, "the history is cached: {requests:?}");
        }
        // A restart empties the cache.
        world.restarts().await;
        world.run_worker().await;
        cycle(&world).await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.jira.move_issue(&keys[0], "Rejected", MIA).unwrap();
        cycle(&world).await;
        assert_eq!(asks(&world, 0).await.0, 403);
        world.finish().await;
    }
}

/// An entry that voids an approval does so, too, if only the newest part of the history is read: in the same entry,
/// after it, or in an entry of nearly the same moment just before that part. Earlier entries do not matter.
#[tokio::test]
async fn entries_that_void_an_approval_in_a_long_history() {
    let relocated = || vec![json!({"field": "Workflow", "fieldtype": "jira", "from": "1", "to": "2"})];
    let unreadable = || vec![json!({"field": "status", "fieldtype": "jira", "from": null, "to": null})];
    for world in World::both("jira.timeout = \"30s\"").await {
        let keys = opened(&world, 5).await;
        for key in &keys {
            world.jira.rewrite_issue(key, 500, 10, MIA).unwrap();
        }
        world.jira.add_raw_history(&keys[0], relocated(), MIA).unwrap();
        world.advance(MINUTE);
        world.jira.add_raw_history(&keys[3], relocated(), MIA).unwrap();
        // Two entries of one action.
        world.advance(SECOND * 2);
        for key in &keys {
            world.jira.move_issue(key, "Approved", MIA).unwrap();
        }
        // Cloud returns the newest forty entries with an issue.
        world.jira.rewrite_issue(&keys[3], 39, 10, MIA).unwrap();
        world.advance(SECOND);
        world.jira.add_raw_history(&keys[1], relocated(), BOB).unwrap();
        world.jira.add_raw_history(&keys[2], unreadable(), BOB).unwrap();
        for key in &keys[..3] {
            world.jira.rewrite_issue(key, 120, 10, MIA).unwrap();
        }
        for _ in 0..5 {
            cycle(&world).await;
            for (canary, opens) in [true, false, false, false, true].into_iter().enumerate() {
                let (status, line) = asks(&world, canary).await;
                assert!(status == 403 || opens, "{canary}: {line}");
            }
        }
        assert_eq!((asks(&world, 0).await.0, asks(&world, 4).await.0), (200, 200));
        for canary in [1, 3] {
            let (_, line) = asks(&world, canary).await;
            assert!(line.contains("moved between projects, issue types or workflows"), "{canary}: {line}");
        }
        // Further edits follow, while the earlier part is cached.
        for key in &keys {
            world.jira.rewrite_issue(key, 60, 10, MIA).unwrap();
        }
        world.jira.add_raw_history(&keys[4], relocated(), BOB).unwrap();
        for _ in 0..3 {
            cycle(&world).await;
        }
        assert_eq!(asks(&world, 0).await.0, 200);
        for canary in 1..5 {
            let (status, line) = asks(&world, canary).await;
            assert_eq!(status, 403, "{canary}: {line}");
        }
        world.finish().await;
    }
}

/// Cloud returns at most forty entries with an issue. Even if it claims that these are all, an older entry may be the
/// approval or void it.
#[tokio::test]
async fn forty_entries_that_claim_to_be_all() {
    let world = World::start_with(Flavour::Cloud, "").await;
    let keys = opened(&world, 2).await;
    let relocated = vec![json!({"field": "Workflow", "fieldtype": "jira", "from": "1", "to": "2"})];
    world.jira.tamper_with_issues(Some(|issue| {
        let entries = issue["changelog"]["histories"].as_array().map(Vec::len);
        if let Some(entries) = entries {
            issue["changelog"]["total"] = json!(entries);
        }
    }));
    world.jira.add_raw_history(&keys[0], relocated, MIA).unwrap();
    world.advance(SECOND);
    for key in &keys {
        world.jira.move_issue(key, "Approved", MIA).unwrap();
    }
    world.jira.rewrite_issue(&keys[0], 39, 10, MIA).unwrap();
    world.jira.rewrite_issue(&keys[1], 60, 10, MIA).unwrap();
    for _ in 0..3 {
        cycle(&world).await;
    }
    let (status, line) = asks(&world, 0).await;
    assert_eq!(status, 403, "{line}");
    assert!(line.contains("moved between projects, issue types or workflows"), "{line}");
    let (status, line) = asks(&world, 1).await;
    assert_eq!(status, 200, "{line}");
    world.jira.tamper_with_issues(None);
    world.finish().await;
}

/// If Jira does not return a history's length, or an impossible one, the part read once is not read again as long as an
/// answer continues it. Entries that void an approval are still found.
#[tokio::test]
async fn a_long_history_of_unknown_length_is_read_once() {
    let relocated = || vec![json!({"field": "Workflow", "fieldtype": "jira", "from": "1", "to": "2"})];
    let ways: [fn(&mut Value); 2] = [
        |issue| {
            if let Some(changelog) = issue["changelog"].as_object_mut() {
                changelog.remove("total");
            }
        },
        |issue| {
            if let Some(entries) = issue["changelog"]["histories"].as_array().map(Vec::len) {
                issue["changelog"]["total"] = json!(entries);
            }
        },
    ];
    for way in ways {
        let world = World::start_with(Flavour::Cloud, "").await;
        let keys = opened(&world, 3).await;
        world.jira.tamper_with_issues(Some(way));
        // A user moved the first ticket to In Review.
        for (key, status) in keys.iter().zip(["In Review", "Approved", "Approved"]) {
            world.jira.move_issue(key, status, MIA).unwrap();
        }
        cycle(&world).await;
        let edits = |edits: usize| {
            keys.iter().for_each(|key| world.jira.rewrite_issue(key, edits, 10, MIA).unwrap());
        };
        edits(60);
        let requests = cycle(&world).await;
        assert!(requests.len() <= 7, "{requests:?}");
        // Each answer continues the cached part: at its newest entry, or overlapping it.
        for more in [0, 0, 20, 20, 39, 0] {
            edits(more);
            let requests = cycle(&world).await;
            assert_eq!(requests.len(), 1, "{more}: {requests:?}");
            assert_eq!([asks(&world, 0).await.0, asks(&world, 1).await.0], [403, 200]);
        }
        // Between this answer and the cached part are entries that no answer contains.
        edits(40);
        let requests = cycle(&world).await;
        assert!((3..=7).contains(&requests.len()), "{requests:?}");
        world.jira.add_raw_history(&keys[2], relocated(), BOB).unwrap();
        edits(39);
        cycle(&world).await;
        for (canary, expected) in [403, 200, 403].into_iter().enumerate() {
            let (status, line) = asks(&world, canary).await;
            assert_eq!(status, expected, "{canary}: {line}");
        }
        world.jira.add_raw_history(&keys[1], relocated(), BOB).unwrap();
        edits(50);
        cycle(&world).await;
        for canary in 0..3 {
            let (status, line) = asks(&world, canary).await;
            assert_eq!(status, 403, "{canary}: {line}");
        }
        let requests = cycle(&world).await;
        assert_eq!(requests.len(), 1, "{requests:?}");
        world.jira.tamper_with_issues(None);
        world.finish().await;
    }
}

/// The search index of a Data Center stands still. A nudged ticket is read from the issue itself, and no later search
/// undoes that.
#[tokio::test]
async fn an_index_that_does_not_update() {
    for world in World::both("").await {
        let keys = opened(&world, 3).await;
        world.jira.freeze_index(true);
        let decides = async |status: &str, opens: bool| {
            world.jira.move_issue(&keys[0], status, MIA).unwrap();
            assert_eq!(world.nudges(&keys[0]).await.status, 200);
            world.run_worker().await;
            for _ in 0..3 {
                let (status, line) = asks(&world, 0).await;
                assert_eq!(status, if opens { 200 } else { 403 }, "{line}");
                cycle(&world).await;
            }
        };
        decides("Approved", true).await;
        decides("To Do", false).await;
        world.jira.freeze_index(false);
        world.jira.move_issue(&keys[0], "Approved", MIA).unwrap();
        world.jira.freeze_index(true);
        decides("To Do", false).await;
        world.restarts().await;
        cycle(&world).await;
        let (status, line) = asks(&world, 0).await;
        assert_eq!(status, 403, "a change that only the index shows is read from the issue: {line}");
        world.finish().await;
    }
}

/// A process that was just started does not know the kind of Jira yet. It still reads a nudged ticket from the issue
/// itself.
#[tokio::test]
async fn a_nudge_just_after_a_start() {
    for world in World::both("").await {
        let keys = opened(&world, 1).await;
        world.jira.freeze_index(true);
        world.restarts().await;
        world.jira.move_issue(&keys[0], "Approved", MIA).unwrap();
        assert_eq!(world.nudges(&keys[0]).await.status, 200);
        world.run_worker().await;
        let (status, line) = asks(&world, 0).await;
        assert_eq!(status, 200, "{line}");
        world.finish().await;
    }
}

/// Without a webhook, and with an index that stands still, a waiting ticket is occasionally read from the issue itself.
#[tokio::test]
async fn waiting_tickets_are_occasionally_read_directly() {
    for world in World::both("").await {
        let keys = opened(&world, 3).await;
        world.jira.freeze_index(true);
        world.jira.move_issue(&keys[1], "Approved", MIA).unwrap();
        let mut opened = false;
        for _ in 0..30 {
            for canary in 0..3 {
                opened |= asks(&world, canary).await.0 == 200;
            }
            cycle(&world).await;
        }
        assert!(opened);
        world.advance(MINUTE);
        world.finish().await;
    }
}
