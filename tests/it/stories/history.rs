//! The page shows what happened last, what failed and when it is tried again, and the API when Flagger last asked.

use std::time::Duration;

use fake_jira::{Fault, Flavour, Operation, Times};
use serde_json::json;

use crate::world::{World, question};

/// The rows of a table of the page, each cell on a line of its own.
async fn table(world: &World, id: &str) -> String {
    let page = world.sends(world.admin("GET", "/")).await.body;
    let Some(table) = page.split(&format!("id=\"{id}\"")).nth(1) else { return String::new() };
    let rows = table.split("<tbody role=\"rowgroup\">").nth(1).unwrap().split("</tbody>").next().unwrap();
    let mut text = String::new();
    for row in rows.split("</tr>").filter(|row| row.contains("<td")) {
        let cells = row.split(" data-is=\"").skip(1).map(|cell| {
            let (name, content) = cell.split_once("\">").unwrap();
            let mut inside = false;
            let plain: String = content
                .replace("<br>", " · ")
                .chars()
                .filter(|c| {
                    inside = *c == '<' || inside && *c != '>';
                    !inside && *c != '>'
                })
                .collect();
            format!("{name}: {}", plain.replace("&#x2f;", "/").trim())
        });
        text += &cells.collect::<Vec<_>>().join("\n");
        text += "\n\n";
    }
    text
}

async fn asks(world: &World, stage: &str, label: &str) -> u16 {
    let mut body = question("Progressing", "5594979469");
    body["metadata"] = json!({ "revision": label });
    world.posts(&format!("/gate/{stage}"), &body).await.status
}

/// An approval, a rejection and the end of the rollout stay on the page, with the version.
#[tokio::test]
async fn what_happened_last_is_on_the_page() {
    let world = World::start(Flavour::Cloud).await;
    asks(&world, "confirm-traffic-increase", "2.15.0").await;
    world.run_worker().await;
    world.decides(&world.newest(), "Approved").await;
    assert_eq!(asks(&world, "confirm-traffic-increase", "2.15.0").await, 200);
    asks(&world, "confirm-promotion", "2.15.0").await;
    world.run_worker().await;
    world.decides(&world.newest(), "Rejected").await;
    assert_eq!(asks(&world, "confirm-promotion", "2.15.0").await, 403);
    assert_eq!(asks(&world, "rollback", "2.15.0").await, 200);
    world.reports("/post-rollout", "Failed", "5594979469").await;
    world.run_worker().await;
    insta::assert_snapshot!(table(&world, "history-table").await, @r"
    When: 0 s ago · 2026-09-21 14:14:00 UTC
    Canary: default/shop/cart
    Version: 2.15.0
    What happened: rollout failed
    Ticket: OPS-1 approved · OPS-2 rejected
    By: –

    When: 0 s ago · 2026-09-21 14:14:00 UTC
    Canary: default/shop/cart
    Version: 2.15.0
    What happened: rolled back · confirm-promotion
    Ticket: OPS-2
    By: Mia Change

    When: 0 s ago · 2026-09-21 14:14:00 UTC
    Canary: default/shop/cart
    Version: 2.15.0
    What happened: rejected · confirm-promotion
    Ticket: OPS-2
    By: Mia Change

    When: 20 s ago · 2026-09-21 14:13:40 UTC
    Canary: default/shop/cart
    Version: 2.15.0
    What happened: opened · confirm-traffic-increase
    Ticket: OPS-1
    By: Mia Change
    ");
    world.finish().await;
}

/// Views of the page without a change in between read nothing but the number of the last change.
#[tokio::test]
async fn the_page_costs_no_search() {
    let world = World::start(Flavour::Cloud).await;
    asks(&world, "confirm-promotion", "v2").await;
    world.run_worker().await;
    world.decides(&world.newest(), "Approved").await;
    assert_eq!(asks(&world, "confirm-promotion", "v2").await, 200);
    let before = table(&world, "history-table").await;
    assert!(before.contains("opened"), "{before}");
    world.sql("ALTER TABLE audit RENAME TO away").await;
    assert_eq!(table(&world, "history-table").await, before, "the record is not read again");
    world.sql("ALTER TABLE away RENAME TO audit").await;
    world.reports("/post-rollout", "Succeeded", "5594979469").await;
    assert!(table(&world, "history-table").await.contains("rollout succeeded"), "a change shows at once");
    world.finish().await;
}

/// The first failure is on the page: what failed, why, when it was last tried, and when it is tried again.
#[tokio::test]
async fn a_first_failure_is_on_the_page() {
    let world = World::start(Flavour::Cloud).await;
    let body = "<html>Bad gateway</html>".into();
    let fault = Fault::Status { code: 502, retry_after: None, body };
    world.jira.fault(Operation::Any, fault, Times::Always);
    asks(&world, "confirm-promotion", "v2").await;
    world.run_worker().await;
    let jira = world.sends(world.admin("GET", "/api/jira")).await.json();
    assert!(jira["trouble"] == true && jira["tried_at"].is_string(), "{jira}");
    let words = jira["words"].as_str().unwrap();
    assert!(words.starts_with("no request has worked since 2026-09-21T14:13:20Z (0 s ago): "), "{words}");
    let page = world.sends(world.admin("GET", "/")).await.body;
    for words in [
        "<div class=\"trouble\"><dt>Jira</dt>",
        "no request has worked since 2026-09-21 14:13:20 UTC (0 s ago)",
        "<a href=\"#failed\">1 command failed</a> and will be tried again",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let failed = table(&world, "failed-table").await;
    for words in ["To do: open the ticket · retried", "Last tried: 0 s ago", "Next try: in ", "502"] {
        assert!(failed.contains(words), "{words}: {failed}");
    }
    world.jira.clear_faults();
    for _ in 0..5 {
        world.advance(Duration::from_secs(60));
        world.run_worker().await;
    }
    let jira = world.sends(world.admin("GET", "/api/jira")).await.json();
    assert!(jira["trouble"] == false && jira["tried_at"].is_null(), "{jira}");
    assert_eq!(table(&world, "failed-table").await, "");
    world.finish().await;
}

/// "Last asked" moves with each question, and a gate at which nobody asks any more is marked.
#[tokio::test]
async fn the_page_shows_when_flagger_last_asked() {
    let world = World::start(Flavour::Cloud).await;
    asks(&world, "confirm-promotion", "v2").await;
    world.run_worker().await;
    world.advance(Duration::from_secs(300));
    asks(&world, "confirm-promotion", "v2").await;
    world.advance(Duration::from_secs(60));
    let gate = &world.gates().await[0];
    assert_eq!(gate["asked_at"], "2026-09-21T14:13:20.000Z");
    assert_eq!(gate["last_asked_at"], "2026-09-21T14:18:20.000Z");
    let shown = table(&world, "gates-table").await;
    assert!(shown.contains("First asked: 6 min ago · 2026-09-21 14:13:20 UTC"), "{shown}");
    assert!(shown.contains("Last asked: 1 min ago · 2026-09-21 14:18:20 UTC\n"), "{shown}");
    world.advance(Duration::from_secs(900));
    world.run_worker().await;
    let shown = table(&world, "gates-table").await;
    assert!(
        shown.contains("Last asked: 16 min ago · 2026-09-21 14:18:20 UTC · Flagger no longer asks"),
        "{shown}"
    );
}
