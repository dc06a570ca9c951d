//! What Jira does not do for good is parked, and told where people look.

use std::time::Duration;

use flagger_jira_bridge::demo::fake_jira::{Fault, Operation, Times};

use crate::{words::Log, world::World};

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
