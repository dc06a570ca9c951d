//! A command that Jira refuses permanently is parked, and shown on the page, in the log and in the metrics.

use std::time::Duration;

use fake_jira::{Fault, MIA, Operation, Times};

use crate::world::{World, log::Log};

const HOUR: Duration = Duration::from_secs(3600);

fn refuses(code: u16, words: &str) -> Fault {
    Fault::Status { code, retry_after: None, body: format!("{{\"errorMessages\":[\"{words}\"]}}") }
}

/// One warning for a command and its reason, with what is needed to fix it; not one each hour.
#[tokio::test]
async fn one_warning_for_each_reason() {
    let (log, _guard) = Log::start();
    let warnings = || -> Vec<String> {
        let text = log.text();
        let parked = text
            .lines()
            .filter(|line| line.contains("WARN") && line.contains("this is refused; fix the cause"));
        parked.map(str::to_owned).collect()
    };
    for world in World::both("").await {
        let before = warnings().len();
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        let key = world.newest();
        world.jira.fault(Operation::EditIssue, refuses(400, "Field 'labels' cannot be set."), Times::Always);
        world.reports("/post-rollout", "Failed", "new").await;
        for _ in 0..3 {
            world.run_worker().await;
            world.advance(HOUR);
            world.ticks().await;
        }
        let warned = warnings().split_off(before);
        assert_eq!(warned.len(), 1, "{warned:#?}");
        let parts = [
            "default/shop/cart",
            "confirm-promotion",
            key.as_str(),
            "Field 'labels' cannot be set.",
            "label the ticket",
        ];
        assert!(parts.iter().all(|part| warned[0].contains(part)), "{warned:#?}");

        world.jira.clear_faults();
        world.jira.fault(
            Operation::EditIssue,
            refuses(400, "The workflow does not allow edits."),
            Times::Always,
        );
        world.run_worker().await;
        let warned = warnings().split_off(before);
        assert_eq!(warned.len(), 2, "another reason: {warned:#?}");
        world.jira.clear_faults();
        world.advance(HOUR);
        world.ticks().await;
        world.run_worker().await;
        world.finish().await;
    }
}

const MINUTE: Duration = Duration::from_secs(60);

impl World {
    /// Opens the ticket of a gate. Returns its key.
    async fn waiting_ticket(&self, checksum: &str) -> String {
        self.asks("confirm-promotion", "Progressing", checksum).await;
        self.run_worker().await;
        self.newest()
    }

    fn says(&self, key: &str, words: &str) -> usize {
        let comments = self.jira.issue(key).unwrap().comments;
        comments.iter().filter(|comment| comment.text().replace('\n', " ").contains(words)).count()
    }
}

/// Jira answers 404 to a command although the ticket exists: the command is parked, and performed once Jira works
/// again.
#[tokio::test]
async fn a_404_that_is_not_about_the_ticket() {
    for operation in [Operation::AddComment, Operation::EditIssue] {
        for world in World::both("").await {
            let key = world.waiting_ticket("new").await;
            world.jira.fault(operation, refuses(404, "Not found."), Times::Always);
            world.reports("/post-rollout", "Failed", "new").await;
            world.run_worker().await;
            assert_eq!(world.count("outbox WHERE parked_at IS NOT NULL").await, 1, "{operation:?}");
            let page = world.sends(world.admin("GET", "/")).await.body;
            assert!(page.contains("Not found."), "{page}");
            world.jira.clear_faults();
            world.advance(HOUR);
            world.ticks().await;
            world.run_worker().await;
            assert_eq!(world.says(&key, "no longer controls anything"), 1);
            assert!(world.jira.issue(&key).unwrap().labels.contains(&"flagger-ended".to_owned()));
            world.finish().await;
        }
    }
}

/// Jira hides a ticket from the bridge's account for some minutes: the comment is written when it is visible again.
#[tokio::test]
async fn a_ticket_is_hidden_for_a_while() {
    for world in World::both("").await {
        let key = world.waiting_ticket("new").await;
        world.jira.hide_issue(&key, true).unwrap();
        world.reports("/post-rollout", "Failed", "new").await;
        for _ in 0..5 {
            world.run_worker().await;
            world.advance(MINUTE);
        }
        world.jira.hide_issue(&key, false).unwrap();
        for _ in 0..6 {
            world.run_worker().await;
            world.advance(MINUTE);
        }
        assert_eq!(world.says(&key, "no longer controls anything"), 1);
        assert!(world.jira.issue(&key).unwrap().labels.contains(&"flagger-ended".to_owned()));
        world.finish().await;
    }
}

/// The ticket was deleted: once that is proven, its commands are dropped.
#[tokio::test]
async fn commands_of_a_deleted_ticket_are_dropped() {
    for world in World::both("").await {
        let key = world.waiting_ticket("new").await;
        world.jira.delete_issue(&key, MIA).unwrap();
        world.reports("/post-rollout", "Failed", "new").await;
        world.run_worker().await;
        assert!(world.count("outbox").await > 0, "one 404 proves nothing");
        for _ in 0..30 {
            world.advance(MINUTE);
            world.run_worker().await;
        }
        assert_eq!(world.count("outbox").await, 0);
        world.finish().await;
    }
}

/// The bridge finds a link type with another name in Jira; without any link type, a comment names the successor.
#[tokio::test]
async fn link_types_with_other_names() {
    for world in World::both("").await {
        world.jira.set_relates(Some("Bezug"));
        let (old, new) = (world.waiting_ticket("v2").await, world.waiting_ticket("v3").await);
        world.run_worker().await;
        let links = world.jira.issue(&old).unwrap().links;
        assert!(
            links.len() == 1 && format!("{links:?}").contains(&world.jira.issue(&new).unwrap().id),
            "{links:?}"
        );

        world.jira.set_relates(None);
        let newer = world.waiting_ticket("v4").await;
        world.run_worker().await;
        let said = format!(
            "{newer} took the place of this ticket. The bridge could not link the two: Jira has no link type \"Relates\"; it has: Blocks"
        );
        assert_eq!(world.says(&new, &said), 1);

        world.jira.set_linking(false);
        let newest = world.waiting_ticket("v5").await;
        world.run_worker().await;
        let said = format!(
            "{newest} took the place of this ticket. The bridge could not link the two: links between issues are turned off"
        );
        assert_eq!(world.says(&newer, &said), 1);
        assert_eq!(world.count("outbox").await, 0);
        world.finish().await;
    }
}

/// The bridge may not create links: the command is parked and shown until it may.
#[tokio::test]
async fn a_link_that_is_not_allowed() {
    for world in World::both("").await {
        let old = world.waiting_ticket("v2").await;
        world.jira.revoke("OPS", &["LINK_ISSUES"]);
        world.waiting_ticket("v3").await;
        world.run_worker().await;
        assert_eq!(world.count("outbox WHERE parked_at IS NOT NULL").await, 1);
        world.jira.revoke("OPS", &[]);
        world.advance(HOUR);
        world.ticks().await;
        world.run_worker().await;
        assert_eq!(world.jira.issue(&old).unwrap().links.len(), 1);
        world.finish().await;
    }
}
