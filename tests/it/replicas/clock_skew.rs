//! Replicas with different clocks: the difference shows in the database, and is logged once.

use std::time::Duration;

use flagger_jira_bridge::store::LeaseOutcome;
use tracing::{Level, instrument::WithSubscriber as _};

use super::{MINUTE, Replica, Two};
use crate::world::log::Log;

/// The lines about clocks that were logged since the last call.
fn clock_lines(log: &Log) -> Vec<String> {
    log.take().lines().filter(|line| line.contains("clock")).map(str::to_owned).collect()
}

async fn renew_lease(replica: &Replica, log: &Log) -> LeaseOutcome {
    replica.renew_lease().with_subscriber(log.dispatch(Level::INFO)).await
}

/// The lease ends too far in the future: the leader's clock is ahead. That is logged once, and again if it recurs after
/// it was corrected.
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
        assert_eq!(renew_lease(&two.first, &log).await, LeaseOutcome::Standby);
        assert_eq!(turns().await, before, "a standby detects that without a write");
        assert_eq!(clock_lines(&log), Vec::<String>::new(), "{ahead} ms may be network latency");
    }
    for _ in 0..2 {
        renewed(25_000).await;
        for _ in 0..3 {
            assert_eq!(renew_lease(&two.first, &log).await, LeaseOutcome::Standby);
        }
        let [line] = clock_lines(&log).try_into().unwrap();
        assert!(line.contains("WARN") && line.contains("25 s") && line.contains("NTP"), "{line}");
        renewed(0).await;
        assert_eq!(renew_lease(&two.first, &log).await, LeaseOutcome::Standby);
    }
    // Now the first replica leads.
    two.clock.advance(MINUTE);
    assert_eq!(renew_lease(&two.first, &log).await, LeaseOutcome::TookOver);
    assert_eq!(clock_lines(&log), Vec::<String>::new());
}

/// A replica whose clock is ahead stored a message with a future time: the leader detects that, too.
#[tokio::test]
async fn a_message_from_the_future() {
    let (two, log) = (Two::start("").await, Log::default());
    two.second.asks("cart", "new").await;
    two.clock.advance(MINUTE);
    assert_eq!(renew_lease(&two.second, &log).await, LeaseOutcome::Regained);
    assert_eq!(clock_lines(&log), Vec::<String>::new());
    two.sql(&format!("UPDATE heard SET at = {}", two.clock.now().0 + 100_000)).await;
    two.clock.advance(MINUTE);
    for _ in 0..3 {
        let _ = renew_lease(&two.second, &log).await;
    }
    let [line] = clock_lines(&log).try_into().unwrap();
    assert!(line.contains("WARN") && line.contains("40 s") && line.contains("NTP"), "{line}");
    two.clock.advance(Duration::from_secs(39));
    let _ = renew_lease(&two.second, &log).await;
    assert_eq!(clock_lines(&log), Vec::<String>::new());
}
