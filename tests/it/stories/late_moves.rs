//! Moves of tickets after their rollout has ended: answered once, also without a webhook.

use std::time::Duration;

use fake_jira::{Fault, MIA, Operation, Times};

use crate::world::{World, question};

crate::world::crash::crash_tests!(a_late_move_without_a_webhook);

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

impl World {
    /// The number of comments that say that a late move opens nothing.
    fn late_comments(&self, key: &str) -> usize {
        let comments = self.jira.issue(key).unwrap().comments;
        let late = "no longer controls anything. The rollout that is waiting now has";
        let none = "no longer controls anything. No rollout of this canary is waiting";
        comments
            .iter()
            .map(|comment| comment.text().replace('\n', " "))
            .filter(|said| said.contains(late) || said.contains(none))
            .count()
    }

    /// Opens the ticket of a canary and ends its rollout. Returns its key.
    async fn ended_ticket(&self, canary: &str) -> String {
        let mut body = question("Progressing", "new");
        body["name"] = canary.into();
        self.posts("/gate/confirm-promotion", &body).await;
        self.run_worker().await;
        let key = self.newest();
        body["phase"] = "Failed".into();
        self.posts("/post-rollout", &body).await;
        self.run_worker().await;
        self.drain_outbox().await;
        assert_eq!(self.count("outbox").await, 0);
        key
    }
}

/// No webhook reports that an ended ticket was moved: the bridge finds it by polling, soon or days later, and comments
/// once.
#[tokio::test]
async fn a_late_move_without_a_webhook() {
    for world in World::both("").await {
        let (soon, later) = (world.ended_ticket("soon").await, world.ended_ticket("later").await);
        world.advance(MINUTE);
        world.jira.move_issue(&soon, "Approved", MIA).unwrap();
        for _ in 0..10 {
            world.advance(MINUTE);
            world.run_worker().await;
        }
        assert_eq!((world.late_comments(&soon), world.late_comments(&later)), (1, 0));
        for _ in 0..3 {
            world.advance(DAY);
            world.run_worker().await;
        }
        for status in ["Approved", "Rejected"] {
            world.jira.move_issue(&later, status, MIA).unwrap();
            for _ in 0..4 {
                world.advance(60 * MINUTE);
                world.run_worker().await;
            }
        }
        // If the process was killed before it wrote the comment, another one does so after a pause.
        world.advance(MINUTE);
        world.run_worker().await;
        assert_eq!((world.late_comments(&soon), world.late_comments(&later)), (1, 1));
        world.finish().await;
    }
}

/// Ended tickets are read rarely, and after some days not at all.
#[tokio::test]
async fn ended_tickets_are_read_rarely() {
    for world in World::both("").await {
        for canary in 0..20 {
            world.ended_ticket(&format!("cart-{canary}")).await;
        }
        let asked = async |hours: u32| {
            world.jira.clear_requests();
            for _ in 0..hours * 4 {
                world.advance(15 * MINUTE);
                world.run_worker().await;
            }
            world.jira.requests().len()
        };
        let (first, third) = (asked(24).await, {
            asked(48).await;
            asked(24).await
        });
        assert!(first > third && third > 0, "{first} and {third} requests a day");
        assert!(first <= 24 * 4 * 2, "{first}");
        asked(24 * 4).await;
        assert_eq!(asked(24).await, 0, "ended tickets are not read any more");
        world.finish().await;
    }
}

/// Ten ended tickets that cannot be read do not delay others: the next one is answered at once.
#[tokio::test]
async fn unreadable_ended_tickets_delay_no_other() {
    for world in World::both("").await {
        let mut ended = Vec::new();
        for canary in 0..12 {
            ended.push(world.ended_ticket(&format!("cart-{canary}")).await);
        }
        world.advance(MINUTE);
        let broken =
            Fault::Status { code: 500, retry_after: None, body: "{\"errorMessages\":[\"internal\"]}".into() };
        world.jira.fault(Operation::GetIssue, broken, Times::Next(11));
        for key in &ended {
            world.jira.move_issue(key, "Approved", MIA).unwrap();
            world.nudges(key).await;
        }
        world.run_worker().await;
        world.run_worker().await;
        assert_eq!(world.late_comments(&ended[11]), 1, "it could be read");
        assert_eq!(ended.iter().filter(|key| world.late_comments(key) == 1).count(), 1);
        world.advance(MINUTE / 6);
        world.run_worker().await;
        world.run_worker().await;
        assert_eq!(ended.iter().filter(|key| world.late_comments(key) == 1).count(), 12);
        world.finish().await;
    }
}
