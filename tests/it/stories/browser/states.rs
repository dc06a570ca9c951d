//! The status page while the bridge, its database or Jira is not available.

use std::{path::Path, time::Duration};

use fake_jira::{Fault, Flavour, Operation, Times};
use flagger_jira_bridge::{
    clock::Clock,
    config,
    serve::{Bridge, Listeners},
};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    driver::{Browser, Scripts},
    page_checks::{can_be_read, fits, is_in_order},
};
use crate::world::{World, cluster::Cluster};

/// Checks that the page must pass in every state.
async fn is_sound(browser: &Browser, name: &str) {
    browser.saves_screenshot(name).await;
    can_be_read(browser).await;
    fits(browser).await;
    is_in_order(browser).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

/// A bridge that serves the status page at this address, without a worker.
async fn serves(
    config: &Path,
    admin: &str,
) -> (Bridge, String, CancellationToken, JoinSet<anyhow::Result<()>>) {
    let config = config::load(config, []).unwrap_or_else(|problems| panic!("{problems}"));
    let bridge = Bridge::new(config, Clock::System).unwrap();
    let bind = async |address: &str| TcpListener::bind(address).await.unwrap();
    let listeners = Listeners {
        gate: bind("127.0.0.1:0").await,
        webhook: bind("127.0.0.1:0").await,
        admin: bind(admin).await,
        page: None,
    };
    let address = listeners.admin.local_addr().unwrap().to_string();
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    bridge.listen(listeners, &stop, &mut tasks).unwrap();
    (bridge, address, stop, tasks)
}

/// The database opens late, and no gate waits; then the bridge is down for a while. The page recovers by itself.
#[tokio::test]
#[ignore = "run by .ci/browser"]
async fn the_bridge_starts_stops_and_restarts() {
    let home = tempfile::tempdir().unwrap();
    let late = home.path().join("late");
    let path = home.path().join("config.toml");
    let settings = format!(
        "store.url = \"sqlite://{}\"\njira.url = \"http://127.0.0.1:9\"\njira.token = \"t\"\nticket.project = \"OPS\"\n",
        late.join("bridge.db").display()
    );
    std::fs::write(&path, settings).unwrap();
    let (bridge, address, stop, mut tasks) = serves(&path, "127.0.0.1:0").await;
    let browser = Browser::start(Scripts::Run).await;
    browser.goes(&format!("http://{address}/")).await;
    assert!(browser.reads("#gates").await.contains("The database is not open yet"));
    is_sound(&browser, "not-open").await;

    std::fs::create_dir(&late).unwrap();
    assert!(bridge.open(&stop).await.unwrap().is_some());
    browser.waits_for("#gates", "Nothing waits.").await;
    assert!(browser.reads(".facts").await.contains("0 of at most 500 tickets open"));
    is_sound(&browser, "empty").await;

    stop.cancel();
    while tasks.join_next().await.is_some() {}
    drop(bridge);
    browser.waits_for("#away", "The bridge does not answer").await;
    assert!(browser.reads("#gates").await.contains("Nothing waits."), "the old content stays");
    browser.saves_screenshot("away").await;
    can_be_read(&browser).await;

    let (_bridge, _, _stop, _tasks) = serves(&path, &address).await;
    browser.waits_for("#gates", "The database is not open yet").await;
    assert_eq!(browser.reads("#away").await, "");
}

#[tokio::test]
#[ignore = "run by .ci/browser"]
async fn the_database_is_away() {
    let world = World::start(Flavour::Cloud).await;
    let key = world.opens("confirm-promotion", "cart", "v2").await;
    world.sql("ALTER TABLE outbox RENAME TO away").await;
    let browser = Browser::start(Scripts::Run).await;
    browser.goes(&world.page()).await;
    let facts = browser.reads(".facts .trouble").await;
    assert!(facts.starts_with("Database\nTrouble: ") && facts.contains("cannot be shown"), "{facts}");
    assert!(browser.reads("#gates tbody").await.contains(&key), "the gates are shown from memory");
    is_sound(&browser, "database-away").await;
    world.sql("ALTER TABLE away RENAME TO outbox").await;
    browser.waits("it is over", async || browser.count(".trouble").await == 0).await;
}

#[tokio::test]
#[ignore = "run by .ci/browser"]
async fn jira_is_away() {
    let world = World::start(Flavour::Cloud).await;
    world.opens("confirm-promotion", "cart", "v2").await;
    let body = "<html>Bad gateway</html>".into();
    let fault = Fault::Status { code: 502, retry_after: None, body };
    world.jira.fault(Operation::Any, fault, Times::Always);
    world.polls().await;
    world.advance(Duration::from_secs(150));
    world.run_worker().await;
    let browser = Browser::start(Scripts::Run).await;
    browser.goes(&world.page()).await;
    let facts = browser.reads(".facts .trouble").await;
    assert!(
        facts.starts_with("Jira\nTrouble: no ticket can be read since")
            && facts.contains("502")
            && facts.contains("Last tried 2026-09-21 ")
            && facts.contains(", next try 2026-09-21 "),
        "{facts}"
    );
    assert!(browser.reads("#gates tbody").await.contains("Jira has not confirmed that since"));
    is_sound(&browser, "jira-away").await;
    world.jira.clear_faults();
    world.advance(Duration::from_secs(300));
    world.run_worker().await;
    browser.waits("it is over", async || browser.count(".trouble").await == 0).await;
}

#[tokio::test]
#[ignore = "run by .ci/browser"]
async fn a_row_cannot_be_read() {
    let world = World::start(Flavour::Cloud).await;
    world.opens("confirm-promotion", "cart", "v2").await;
    world.sql("UPDATE turn SET seq = seq + 1").await;
    world.sql("UPDATE canary SET state = 'Dear reader', seq = (SELECT seq FROM turn)").await;
    world.ticks().await;
    let browser = Browser::start(Scripts::Run).await;
    browser.goes(&world.page()).await;
    let row = browser.reads("#gates tbody tr").await;
    for words in ["stuck", "shop/cart", "cannot be read", "until its row is repaired or deleted", "not known"]
    {
        assert!(row.contains(words), "{words}: {row}");
    }
    is_sound(&browser, "unreadable").await;
}

#[tokio::test]
#[ignore = "run by .ci/browser"]
async fn something_is_parked() {
    let world = World::start(Flavour::Cloud).await;
    let key = world.opens("confirm-promotion", "cart", "v2").await;
    let body = "{\"errorMessages\":[\"You do not have the permission to comment on this issue.\"]}".into();
    world.jira.fault(
        Operation::AddComment,
        Fault::Status { code: 400, retry_after: None, body },
        Times::Always,
    );
    world.reports("/post-rollout", "Failed", "5594979469").await;
    world.run_worker().await;
    let browser = Browser::start(Scripts::Run).await;
    browser.goes(&world.page()).await;
    assert!(browser.reads(".facts .trouble").await.contains("1 command was refused; fix the cause"));
    browser.clicks(".facts .trouble a").await;
    assert!(browser.url().await.ends_with("#failed"));
    let parked = browser.reads("#failed-table tbody").await;
    for words in ["comment how the rollout ended", "default/shop/cart", &key, "permission to comment"] {
        assert!(parked.contains(words), "{words}: {parked}");
    }
    is_sound(&browser, "parked").await;
    browser.sized(390, 1200).await;
    is_sound(&browser, "parked-narrow").await;
}

#[tokio::test]
#[ignore = "run by .ci/browser"]
async fn a_canary_asks_nobody() {
    let cluster = Cluster::start().await;
    cluster.is_at("Progressing", 50, 0);
    let name = format!("a-{}-name", "very-long".repeat(20));
    cluster.has_canary("shop", &name, &json!({}));
    let world = World::start_with(Flavour::Cloud, &cluster.settings("show")).await;
    world.opens("confirm-promotion", "cart", "v2").await;
    let browser = Browser::start(Scripts::Run).await;
    browser.goes(&world.page()).await;
    assert!(browser.reads("#gates tbody tr").await.contains("traffic to the new version: 50 %"));
    browser.clicks(".facts a[href='#unguarded']").await;
    assert!(browser.url().await.ends_with("#unguarded"));
    let unguarded = browser.reads("#unguarded-table tbody").await;
    assert!(unguarded.contains(&name) && unguarded.contains("no hook calls this bridge"), "{unguarded}");
    is_sound(&browser, "unguarded").await;
    browser.sized(390, 1200).await;
    is_sound(&browser, "unguarded-narrow").await;
}
