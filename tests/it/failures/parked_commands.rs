//! What Jira does not do for good is parked, and told where people look.

use std::time::Duration;

use fake_jira::{Fault, MIA, Operation, Times};

use crate::world::{World, log::Log};

const HOUR: Duration = Duration::from_secs(3600);

fn refuses(code: u16, words: &str) -> Fault {
    Fault::Status { code, retry_after: None, body: format!("{{\"errorMessages\":[\"{words}\"]}}") }
}

/// One warning for a command and its reason, with all that one needs to mend it; not one each hour.
#[tokio::test]
async fn one_warning_for_each_reason() {
    let (log, _guard) = Log::start();
    let warnings = || -> Vec<String> {
        let text = log.text();
        let parked =
            text.lines().filter(|line| line.contains("WARN") && line.contains("mend what is in the way"));
        parked.map(str::to_owned).collect()
    };
    for world in World::both("").await {
        let before = warnings().len();
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.works().await;
        let key = world.newest();
        world.jira.fault(Operation::EditIssue, refuses(400, "Field 'labels' cannot be set."), Times::Always);
        world.reports("/post-rollout", "Failed", "new").await;
        for _ in 0..3 {
            world.works().await;
            world.later(HOUR);
            world.ticks().await;
        }
        let told = warnings().split_off(before);
        assert_eq!(told.len(), 1, "{told:#?}");
        let parts = [
            "default/shop/cart",
            "confirm-promotion",
            key.as_str(),
            "Field 'labels' cannot be set.",
            "label the ticket",
        ];
        assert!(parts.iter().all(|part| told[0].contains(part)), "{told:#?}");

        world.jira.clear_faults();
        world.jira.fault(
            Operation::EditIssue,
            refuses(400, "The workflow does not allow edits."),
            Times::Always,
        );
        world.works().await;
        let told = warnings().split_off(before);
        assert_eq!(told.len(), 2, "another reason: {told:#?}");
        world.jira.clear_faults();
        world.later(HOUR);
        world.ticks().await;
        world.works().await;
        world.finish().await;
    }
}

const MINUTE: Duration = Duration::from_secs(60);

impl World {
    /// The ticket of a gate that waits.
    async fn waiting(&self, checksum: &str) -> String {
        self.asks("confirm-promotion", "Progressing", checksum).await;
        self.works().await;
        self.newest()
    }

    fn says(&self, key: &str, words: &str) -> usize {
        let comments = self.jira.issue(key).unwrap().comments;
        comments.iter().filter(|comment| comment.text().replace('\n', " ").contains(words)).count()
    }
}

/// The ticket is there, and Jira answers 404 all the same: what it was to be told is parked, and told once that is mended.
#[tokio::test]
async fn a_404_that_is_not_about_the_ticket() {
    for operation in [Operation::AddComment, Operation::EditIssue] {
        for world in World::both("").await {
            let key = world.waiting("new").await;
            world.jira.fault(operation, refuses(404, "Not found."), Times::Always);
            world.reports("/post-rollout", "Failed", "new").await;
            world.works().await;
            assert_eq!(world.count("outbox WHERE parked_at IS NOT NULL").await, 1, "{operation:?}");
            let page = world.sends(world.admin("GET", "/")).await.body;
            assert!(page.contains("Not found."), "{page}");
            world.jira.clear_faults();
            world.later(HOUR);
            world.ticks().await;
            world.works().await;
            assert_eq!(world.says(&key, "opens nothing any more"), 1);
            assert!(world.jira.issue(&key).unwrap().labels.contains(&"flagger-ended".to_owned()));
            world.finish().await;
        }
    }
}

/// The account loses sight of a ticket for some minutes: it is told when it is seen again.
#[tokio::test]
async fn out_of_sight_for_a_while() {
    for world in World::both("").await {
        let key = world.waiting("new").await;
        world.jira.hide_issue(&key, true).unwrap();
        world.reports("/post-rollout", "Failed", "new").await;
        for _ in 0..5 {
            world.works().await;
            world.later(MINUTE);
        }
        world.jira.hide_issue(&key, false).unwrap();
        for _ in 0..6 {
            world.works().await;
            world.later(MINUTE);
        }
        assert_eq!(world.says(&key, "opens nothing any more"), 1);
        assert!(world.jira.issue(&key).unwrap().labels.contains(&"flagger-ended".to_owned()));
        world.finish().await;
    }
}

/// The ticket was deleted: once that is proven nobody is told any more, and nothing is left over.
#[tokio::test]
async fn a_deleted_ticket_is_told_nothing() {
    for world in World::both("").await {
        let key = world.waiting("new").await;
        world.jira.delete_issue(&key, MIA).unwrap();
        world.reports("/post-rollout", "Failed", "new").await;
        world.works().await;
        assert!(world.count("outbox").await > 0, "one 404 proves nothing");
        for _ in 0..30 {
            world.later(MINUTE);
            world.works().await;
        }
        assert_eq!(world.count("outbox").await, 0);
        world.finish().await;
    }
}

/// Links that Jira calls otherwise are made; where it has none, the ticket says which one took its place.
#[tokio::test]
async fn links_as_jira_has_them() {
    for world in World::both("").await {
        world.jira.set_relates(Some("Bezug"));
        let (old, new) = (world.waiting("v2").await, world.waiting("v3").await);
        world.works().await;
        let links = world.jira.issue(&old).unwrap().links;
        assert!(
            links.len() == 1 && format!("{links:?}").contains(&world.jira.issue(&new).unwrap().id),
            "{links:?}"
        );

        world.jira.set_relates(None);
        let newer = world.waiting("v4").await;
        world.works().await;
        let said =
            format!("is {newer}. The bridge could not link the two: Jira has no link type \"Relates\"");
        assert_eq!(world.says(&new, &said), 1);

        world.jira.set_linking(false);
        let newest = world.waiting("v5").await;
        world.works().await;
        let said =
            format!("is {newest}. The bridge could not link the two: links between issues are turned off");
        assert_eq!(world.says(&newer, &said), 1);
        assert_eq!(world.count("outbox").await, 0);
        world.finish().await;
    }
}

/// Not allowed to link: parked, where people see it, until it is.
#[tokio::test]
async fn a_link_that_is_not_allowed() {
    for world in World::both("").await {
        let old = world.waiting("v2").await;
        world.jira.revoke("OPS", &["LINK_ISSUES"]);
        world.waiting("v3").await;
        world.works().await;
        assert_eq!(world.count("outbox WHERE parked_at IS NOT NULL").await, 1);
        world.jira.revoke("OPS", &[]);
        world.later(HOUR);
        world.ticks().await;
        world.works().await;
        assert_eq!(world.jira.issue(&old).unwrap().links.len(), 1);
        world.finish().await;
    }
}
