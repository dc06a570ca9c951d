//! Moves of tickets whose rollout is over: answered once, also where no webhook tells of them.

use std::time::Duration;

use fake_jira::{Fault, MIA, Operation, Times};

use crate::world::{World, question};

crate::world::crash::crash_tests!(a_late_move_without_a_webhook);

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

impl World {
    /// How often a ticket was told that a late move opens nothing.
    fn told_late(&self, key: &str) -> usize {
        let comments = self.jira.issue(key).unwrap().comments;
        let late = "opens nothing any more. The rollout that waits now has";
        let none = "opens nothing any more. No rollout of this canary waits";
        comments
            .iter()
            .map(|comment| comment.text().replace('\n', " "))
            .filter(|said| said.contains(late) || said.contains(none))
            .count()
    }

    /// A ticket whose rollout is over.
    async fn dead(&self, canary: &str) -> String {
        let mut body = question("Progressing", "new");
        body["name"] = canary.into();
        self.posts("/gate/confirm-promotion", &body).await;
        self.works().await;
        let key = self.newest();
        body["phase"] = "Failed".into();
        self.posts("/post-rollout", &body).await;
        self.works().await;
        self.settles().await;
        assert_eq!(self.count("outbox").await, 0);
        key
    }
}

/// Nobody tells the bridge that a dead ticket was moved: it finds out by itself, soon or days later, and says so once.
#[tokio::test]
async fn a_late_move_without_a_webhook() {
    for world in World::both("").await {
        let (soon, later) = (world.dead("soon").await, world.dead("later").await);
        world.later(MINUTE);
        world.jira.move_issue(&soon, "Approved", MIA).unwrap();
        for _ in 0..10 {
            world.later(MINUTE);
            world.works().await;
        }
        assert_eq!((world.told_late(&soon), world.told_late(&later)), (1, 0));
        for _ in 0..3 {
            world.later(DAY);
            world.works().await;
        }
        for status in ["Approved", "Rejected"] {
            world.jira.move_issue(&later, status, MIA).unwrap();
            for _ in 0..4 {
                world.later(60 * MINUTE);
                world.works().await;
            }
        }
        // Where it was killed before it told, it does so after a pause.
        world.later(MINUTE);
        world.works().await;
        assert_eq!((world.told_late(&soon), world.told_late(&later)), (1, 1));
        world.finish().await;
    }
}

/// What is dead is read seldom, and after some days not at all.
#[tokio::test]
async fn dead_tickets_are_read_seldom() {
    for world in World::both("").await {
        for canary in 0..20 {
            world.dead(&format!("cart-{canary}")).await;
        }
        let asked = async |hours: u32| {
            world.jira.clear_requests();
            for _ in 0..hours * 4 {
                world.later(15 * MINUTE);
                world.works().await;
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
        assert_eq!(asked(24).await, 0, "nobody looks any more");
        world.finish().await;
    }
}

/// Ten dead tickets that cannot be read hold up nobody: the next one is answered at once.
#[tokio::test]
async fn unreadable_dead_tickets_hold_up_no_other() {
    for world in World::both("").await {
        let mut dead = Vec::new();
        for canary in 0..12 {
            dead.push(world.dead(&format!("cart-{canary}")).await);
        }
        world.later(MINUTE);
        let broken =
            Fault::Status { code: 500, retry_after: None, body: "{\"errorMessages\":[\"internal\"]}".into() };
        world.jira.fault(Operation::GetIssue, broken, Times::Next(11));
        for key in &dead {
            world.jira.move_issue(key, "Approved", MIA).unwrap();
            world.nudges(key).await;
        }
        world.works().await;
        world.works().await;
        assert_eq!(world.told_late(&dead[11]), 1, "it could be read");
        assert_eq!(dead.iter().filter(|key| world.told_late(key) == 1).count(), 1);
        world.later(MINUTE / 6);
        world.works().await;
        world.works().await;
        assert_eq!(dead.iter().filter(|key| world.told_late(key) == 1).count(), 12);
        world.finish().await;
    }
}
