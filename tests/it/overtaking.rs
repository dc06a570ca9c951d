//! Two looks at a time: whoever just decided does not wait for a round of other tickets.

use std::{pin::pin, sync::Arc, time::Duration};

use flagger_jira_bridge::{
    demo::fake_jira::{Fault, MIA, Operation, Times},
    worker::{Outcome, Worker},
};

use crate::world::World;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Jira reads a ticket for a round and is slow to answer. Meanwhile somebody decides, and the webhook says so: that
/// counts at once, and what the round then shows is older.
#[tokio::test]
async fn a_decision_overtakes_a_slow_round() {
    for (before, decides, opens) in [("To Do", "Approved", true), ("Approved", "To Do", false)] {
        for world in World::both("jira.timeout = \"60s\"").await {
            let asks = async || {
                let answer = world.asks("confirm-promotion", "Progressing", "new").await;
                (answer.status == 200, answer.body)
            };
            asks().await;
            world.works().await;
            let key = world.newest();
            world.later(MINUTE);
            asks().await;
            if before == "Approved" {
                // The round will be the first to see that.
                world.jira.move_issue(&key, before, MIA).unwrap();
            }
            let reads = if world.is_cloud() { Operation::BulkFetch } else { Operation::Search };
            world.jira.fault(reads, Fault::Slow(HOUR), Times::Once);
            world.jira.clear_requests();
            let [process] = world.workers().try_into().ok().unwrap();
            let mut round = pin!(process.does(async |worker: Arc<Worker>| worker.poll().await.unwrap()));
            let asked = async {
                while !world.jira.requests().iter().any(|request| request.operation == reads) {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                seen = &mut round => panic!("Jira has answered the round: {seen:?}"),
                () = asked => {}
            }
            world.jira.move_issue(&key, decides, MIA).unwrap();
            let overtakes = async {
                assert_eq!(world.nudges(&key).await.status, 200);
                process.does(async |worker: Arc<Worker>| worker.follow_nudges().await.unwrap()).await
            };
            let nudged = tokio::select! {
                seen = &mut round => panic!("Jira has answered the round: {seen:?}"),
                nudged = overtakes => nudged.unwrap(),
            };
            assert_eq!(nudged, Outcome::Looked { tickets: 1, changed: usize::from(opens) });
            let (open, words) = asks().await;
            assert_eq!(open, opens, "{words}");

            tokio::time::pause();
            tokio::time::advance(HOUR).await;
            tokio::time::resume();
            assert_eq!(round.await.unwrap(), Outcome::Looked { tickets: 1, changed: 0 });
            let (open, words) = asks().await;
            assert_eq!(open, opens, "what the round saw is not so any more: {words}");
            world.finish().await;
        }
    }
}
