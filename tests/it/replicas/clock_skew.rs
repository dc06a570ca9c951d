//! Replicas whose clocks do not agree: that can be seen in the database, and is told in one line.

use std::time::Duration;

use flagger_jira_bridge::store::Lead;
use tracing::{Level, instrument::WithSubscriber as _};

use super::{MINUTE, Replica, Two};
use crate::world::log::Log;

/// The lines that were logged about clocks since the last time.
fn of_clocks(log: &Log) -> Vec<String> {
    log.take().lines().filter(|line| line.contains("clock")).map(str::to_owned).collect()
}

async fn keeps(replica: &Replica, log: &Log) -> Lead {
    replica.keeps().with_subscriber(log.dispatch(Level::INFO)).await
}

/// The lease ends later than a lease lasts: the clock of whoever took it is ahead. That is said once, and once more if it
/// comes back after it was mended.
#[tokio::test]
async fn a_lease_from_the_future() {
    let (two, log) = (Two::start("").await, Log::default());
    let now = two.clock.now().0;
    let renewed = async |ahead: i64| {
        two.sql(&format!("UPDATE lease SET until = {}, renewed_at = {}", now + ahead + 10_000, now + ahead))
            .await;
    };
    let turns = async || two.number("SELECT seq FROM turn").await;
    for ahead in [0, 500, 2_000] {
        renewed(ahead).await;
        let before = turns().await;
        assert_eq!(keeps(&two.first, &log).await, Lead::Standby);
        assert_eq!(turns().await, before, "whoever follows need not write to see that");
        assert_eq!(of_clocks(&log), Vec::<String>::new(), "{ahead} ms may be the way between two machines");
    }
    for _ in 0..2 {
        renewed(25_000).await;
        for _ in 0..3 {
            assert_eq!(keeps(&two.first, &log).await, Lead::Standby);
        }
        let [line] = of_clocks(&log).try_into().unwrap();
        assert!(line.contains("WARN") && line.contains("25 s") && line.contains("NTP"), "{line}");
        renewed(0).await;
        assert_eq!(keeps(&two.first, &log).await, Lead::Standby);
    }
    // Now it works itself.
    two.clock.advance(MINUTE);
    assert_eq!(keeps(&two.first, &log).await, Lead::TookOver);
    assert_eq!(of_clocks(&log), Vec::<String>::new());
}

/// Something was heard in the future, by a replica whose clock is ahead: whoever works sees it, too.
#[tokio::test]
async fn a_message_from_the_future() {
    let (two, log) = (Two::start("").await, Log::default());
    two.second.asks("cart", "new").await;
    two.clock.advance(MINUTE);
    assert_eq!(keeps(&two.second, &log).await, Lead::Again);
    assert_eq!(of_clocks(&log), Vec::<String>::new());
    two.sql(&format!("UPDATE heard SET at = {}", two.clock.now().0 + 100_000)).await;
    two.clock.advance(MINUTE);
    for _ in 0..3 {
        let _ = keeps(&two.second, &log).await;
    }
    let [line] = of_clocks(&log).try_into().unwrap();
    assert!(line.contains("WARN") && line.contains("40 s") && line.contains("NTP"), "{line}");
    two.clock.advance(Duration::from_secs(39));
    let _ = keeps(&two.second, &log).await;
    assert_eq!(of_clocks(&log), Vec::<String>::new());
}
