//! One ticket hurts only itself: what makes a request for many fail, long histories, and an index that is behind.

use std::time::Duration;

use fake_jira::{BOB, Fault, Flavour, MIA, Operation, Times};
use serde_json::{Value, json};

use crate::world::{World, question};

// Not those that count requests.
crate::world::crash::crash_tests!(an_index_that_stands_still);

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Flagger asks at the gate of each of so many canaries.
async fn asks(world: &World, canary: usize) -> (u16, String) {
    let mut question = question("Progressing", "new");
    question["name"] = format!("cart-{canary}").into();
    let answer = world.posts("/gate/confirm-promotion", &question).await;
    (answer.status, answer.body)
}

/// One ticket for each canary, and the first look at each is over.
async fn opened(world: &World, canaries: usize) -> Vec<String> {
    for canary in 0..canaries {
        asks(world, canary).await;
    }
    world.works().await;
    cycle(world).await;
    let mut keys = vec![String::new(); canaries];
    for ticket in world.tickets() {
        let canary = (0..canaries).find(|n| ticket.summary.contains(&format!("cart-{n} "))).unwrap();
        keys[canary] = ticket.key;
    }
    keys
}

/// The next cycle comes. Returns what Jira was asked meanwhile.
async fn cycle(world: &World) -> Vec<Operation> {
    world.jira.clear_requests();
    world.later(20 * SECOND);
    world.works().await;
    world.jira.requests().iter().map(|request| request.operation).collect()
}

fn together(world: &World) -> Operation {
    if world.is_cloud() { Operation::BulkFetch } else { Operation::Search }
}

fn count(requests: &[Operation], operation: Operation) -> usize {
    requests.iter().filter(|it| **it == operation).count()
}

/// Two people write books into the descriptions of two tickets. Everybody's tickets are read all the same, theirs too, and it
/// costs little once it is known which two they are.
#[tokio::test]
async fn long_edits_of_two_tickets() {
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

/// A ticket with so much in its newest entries that it cannot be read with them at all: on Cloud it can without.
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

/// Jira breaks on one ticket, whatever is read with it: the others do not wait for that, and it is tried ever more seldom.
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
        // On Data Center another is read directly, now and then.
        assert!((2..=20).contains(&tries), "{tries}");
        assert_eq!(asks(&world, 2).await.0, 200);
        world.jira.move_issue(&keys[5], "Approved", MIA).unwrap();
        world.jira.spoil_issue(&keys[5], false).unwrap();
        assert_eq!(world.nudges(&keys[5]).await.status, 200);
        world.works().await;
        assert_eq!(asks(&world, 5).await.0, 200, "somebody moved it: then it is read at once");
        world.finish().await;
    }
}

/// Something on the way, or Jira itself, refuses only requests for several tickets: they are read one by one.
#[tokio::test]
async fn requests_for_many_are_refused() {
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

/// While they are, the page says so, since when and why, and so does its JSON.
#[tokio::test]
async fn the_page_tells_that_requests_for_many_are_refused() {
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
        let told = jira().await["one_by_one"].clone();
        assert_eq!(told["since"], "2026-09-21T14:14:00.000Z", "{told}");
        assert!(told["why"].as_str().unwrap().contains("The value is invalid."), "{told}");
        for _ in 0..60 {
            cycle(&world).await;
            asks(&world, 0).await;
        }
        assert_eq!(jira().await["one_by_one"], told, "it began when it began");
        let html = page().await;
        assert!(
            html.contains("Tickets have been read one by one since 2026-09-21T14:14:00Z (20 min)"),
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

/// Four tickets were edited ten thousand times. They cost no more than others, and are decided like others.
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
            continue; // A history of this length comes whole, in an answer that nobody should read.
        }
        world.jira.move_issue(&keys[0], "Approved", MIA).unwrap();
        let requests = cycle(&world).await;
        assert_eq!(asks(&world, 0).await.0, 200);
        assert!(requests.len() <= 2, "{requests:?}");
        // The approval is buried under further edits, many at a time.
        for _ in 0..3 {
            world.jira.rewrite_issue(&keys[0], 350, 10, MIA).unwrap();
            cycle(&world).await;
            let (status, line) = asks(&world, 0).await;
            assert_eq!(status, 200, "{line}");
            let requests = cycle(&world).await;
            assert!(requests.len() <= 2, "it is known by now: {requests:?}");
        }
        // A restart forgets what was read.
        world.restarts().await;
        world.works().await;
        cycle(&world).await;
        assert_eq!(asks(&world, 0).await.0, 200);
        world.jira.move_issue(&keys[0], "Rejected", MIA).unwrap();
        cycle(&world).await;
        assert_eq!(asks(&world, 0).await.0, 403);
        world.finish().await;
    }
}

/// What undoes an approval does so in a history of which only the newest part is read, too: with the approval, after it, or in
/// an entry of nearly the same moment that is just not in that part. What came before it does not matter.
#[tokio::test]
async fn what_undoes_an_approval_in_a_long_history() {
    let relocated = || vec![json!({"field": "Workflow", "fieldtype": "jira", "from": "1", "to": "2"})];
    let unreadable = || vec![json!({"field": "status", "fieldtype": "jira", "from": null, "to": null})];
    for world in World::both("jira.timeout = \"30s\"").await {
        let keys = opened(&world, 5).await;
        for key in &keys {
            world.jira.rewrite_issue(key, 500, 10, MIA).unwrap();
        }
        world.jira.add_raw_history(&keys[0], relocated(), MIA).unwrap();
        world.later(MINUTE);
        world.jira.add_raw_history(&keys[3], relocated(), MIA).unwrap();
        // Not in one entry, and yet one deed.
        world.later(SECOND * 2);
        for key in &keys {
            world.jira.move_issue(key, "Approved", MIA).unwrap();
        }
        // The newest part in an issue of Cloud has forty entries.
        world.jira.rewrite_issue(&keys[3], 39, 10, MIA).unwrap();
        world.later(SECOND);
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
        // Further edits bury it, while it is known what came before.
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

/// Cloud gives at most forty entries with an issue. That it calls them all does not make them so: what undoes an approval may be
/// among the others, or the approval itself.
#[tokio::test]
async fn forty_entries_that_are_called_all() {
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
    world.later(SECOND);
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

/// Where Jira does not say how long a history is, or says what cannot be, what was once read of it costs nothing again, as long as
/// an answer goes on where that ends. What undoes an approval is seen all the same.
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
        // The first waits where somebody put it.
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
        // Each answer goes on where what is known ends: at its newest entry, or anywhere in it.
        for more in [0, 0, 20, 20, 39, 0] {
            edits(more);
            let requests = cycle(&world).await;
            assert_eq!(requests.len(), 1, "{more}: {requests:?}");
            assert_eq!([asks(&world, 0).await.0, asks(&world, 1).await.0], [403, 200]);
        }
        // Between this and what is known are entries that no answer has.
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

/// The index of a Data Center stands still. What is nudged is read from the issue itself, and no later search undoes that.
#[tokio::test]
async fn an_index_that_stands_still() {
    for world in World::both("").await {
        let keys = opened(&world, 3).await;
        world.jira.freeze_index(true);
        let decides = async |status: &str, opens: bool| {
            world.jira.move_issue(&keys[0], status, MIA).unwrap();
            assert_eq!(world.nudges(&keys[0]).await.status, 200);
            world.works().await;
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
        assert_eq!(status, 403, "what only the index says is asked of the issue: {line}");
        world.finish().await;
    }
}

/// A process that began a moment ago does not know yet which kind of Jira this is. What it is nudged about is read from the issue
/// itself all the same.
#[tokio::test]
async fn a_nudge_just_after_a_start() {
    for world in World::both("").await {
        let keys = opened(&world, 1).await;
        world.jira.freeze_index(true);
        world.restarts().await;
        world.jira.move_issue(&keys[0], "Approved", MIA).unwrap();
        assert_eq!(world.nudges(&keys[0]).await.status, 200);
        world.works().await;
        let (status, line) = asks(&world, 0).await;
        assert_eq!(status, 200, "{line}");
        world.finish().await;
    }
}

/// No webhook tells of it, and the index stands still: what waits is read from the issue itself, once in a while.
#[tokio::test]
async fn what_waits_is_read_directly_once_in_a_while() {
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
        world.later(MINUTE);
        world.finish().await;
    }
}
