//! Replicas whose clocks do not agree: that can be seen in the database, and is told in one line.

use std::{
    io::{self, Write},
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use flagger_jira_bridge::store::Lead;
use tracing::{Dispatch, instrument::WithSubscriber as _};

use super::{MINUTE, Replica, Two};

/// What a process logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn dispatch(&self) -> Dispatch {
        let log = self.clone();
        Dispatch::new(tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish())
    }

    /// The lines that were logged about clocks since the last time.
    fn of_clocks(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        text.lines().filter(|line| line.contains("clock")).map(str::to_owned).collect()
    }
}

/// As long as there is more than one, every subscriber is asked what it wants to hear.
static ANOTHER: LazyLock<[Dispatch; 2]> = LazyLock::new(|| [(); 2].map(|()| Log::default().dispatch()));

async fn keeps(replica: &Replica, log: &Log) -> Lead {
    LazyLock::force(&ANOTHER);
    replica.keeps().with_subscriber(log.dispatch()).await
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
        assert_eq!(keeps(&two.first, &log).await, Lead::Follows);
        assert_eq!(turns().await, before, "whoever follows need not write to see that");
        assert_eq!(log.of_clocks(), Vec::<String>::new(), "{ahead} ms may be the way between two machines");
    }
    for _ in 0..2 {
        renewed(25_000).await;
        for _ in 0..3 {
            assert_eq!(keeps(&two.first, &log).await, Lead::Follows);
        }
        let [line] = log.of_clocks().try_into().unwrap();
        assert!(line.contains("WARN") && line.contains("25 s") && line.contains("NTP"), "{line}");
        renewed(0).await;
        assert_eq!(keeps(&two.first, &log).await, Lead::Follows);
    }
    // Now it works itself.
    two.clock.advance(MINUTE);
    assert_eq!(keeps(&two.first, &log).await, Lead::TookOver);
    assert_eq!(log.of_clocks(), Vec::<String>::new());
}

/// Something was heard in the future, by a replica whose clock is ahead: whoever works sees it, too.
#[tokio::test]
async fn a_message_from_the_future() {
    let (two, log) = (Two::start("").await, Log::default());
    two.second.asks("cart", "new").await;
    two.clock.advance(MINUTE);
    assert_eq!(keeps(&two.second, &log).await, Lead::Again);
    assert_eq!(log.of_clocks(), Vec::<String>::new());
    two.sql(&format!("UPDATE heard SET at = {}", two.clock.now().0 + 100_000)).await;
    two.clock.advance(MINUTE);
    for _ in 0..3 {
        let _ = keeps(&two.second, &log).await;
    }
    let [line] = log.of_clocks().try_into().unwrap();
    assert!(line.contains("WARN") && line.contains("40 s") && line.contains("NTP"), "{line}");
    two.clock.advance(Duration::from_secs(39));
    let _ = keeps(&two.second, &log).await;
    assert_eq!(log.of_clocks(), Vec::<String>::new());
}
