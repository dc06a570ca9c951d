//! Labels and priorities that lift a freeze or a window, if somebody sets them who may approve.

use std::time::Duration;

use fake_jira::{BOB, MIA};

use crate::world::World;

crate::world::crash::crash_tests!(a_label_lifts_a_freeze, a_priority_opens_a_window);

const MINUTE: Duration = Duration::from_secs(60);

fn settings(except: &str) -> String {
    format!(
        "approval.approvers = [\"{MIA}\", \"mia\"]\nrollout.idle_after = \"3h\"\nfreezes = [{{ match = {{}}, except = {{ {except} }}, \
         from = \"2026-09-01T00:00:00Z\", until = \"2026-10-01T00:00:00Z\", reason = \"Inventory\" }}]"
    )
}

impl World {
    /// Somebody sets the labels of the ticket, and the bridge reads that.
    async fn labels(&self, key: &str, labels: &[&str], who: &str) {
        self.jira.set_labels(key, labels, who).unwrap();
        self.advance(MINUTE);
        self.run_worker().await;
    }

    async fn excepted(&self) -> i64 {
        self.count("audit WHERE kind = 'excepted'").await
    }
}

/// Only somebody who may approve lifts a freeze, and only while the ticket has the label.
#[tokio::test]
async fn a_label_lifts_a_freeze() {
    for world in World::both(&settings("labels = [\"emergency\"]")).await {
        let key = world.promotion_waits().await;
        let text = format!("{:?}", world.jira.issue(&key).unwrap().description).replace('\\', "");
        let line = "If somebody who may approve gives this ticket the label \"emergency\", Flagger can go on earlier.";
        assert!(text.contains(line), "{text}");
        world.decides(&key, "Approved").await;
        let or = "next on Thu 2026-10-01 at 00:00 UTC, or once somebody who may approve gives the ticket the label \"emergency\"";
        world.promotion_is_closed(&or["next ".len()..]).await;
        world.labels(&key, &["Emergency", "emergency-2"], MIA).await;
        world.promotion_is_closed("frozen: ").await;
        world.labels(&key, &["emergency"], BOB).await;
        world
            .promotion_is_closed(
                "; the label \"emergency\" does not count, because Bob Builder set it, and Bob Builder",
            )
            .await;
        world.labels(&key, &[], BOB).await;
        assert_eq!(world.excepted().await, 0);
        world.labels(&key, &["other", "emergency"], MIA).await;
        let open = world.promotes().await;
        let why = "; open although in the freeze \"Inventory\", because Mia Change set the label \"emergency\" at 2026-";
        assert!(open.status == 200 && open.body.contains(why), "{open:?}");
        world.run_worker().await;
        assert_eq!(world.excepted().await, 1);
        let told = "Flagger was told to go on although it is in the freeze \"Inventory\", because Mia Change gave this ticket the label \
                    \"emergency\".";
        assert_eq!(world.comments_with(&key, told).len(), 1);
        // Others may change other labels.
        world.labels(&key, &["emergency", "seen-by-bob"], BOB).await;
        world.promotion_is_open().await;
        // Whoever set it last is who counts.
        world.labels(&key, &[], MIA).await;
        world.promotion_is_closed("frozen: ").await;
        world.labels(&key, &["emergency"], BOB).await;
        world.promotion_is_closed("does not count").await;
        world.labels(&key, &[], BOB).await;
        world.labels(&key, &["emergency"], MIA).await;
        world.promotion_is_open().await;
        assert_eq!(world.excepted().await, 2);
        world.finish().await;
    }
}

/// It replaces no approval, whichever comes first.
#[tokio::test]
async fn an_emergency_is_no_approval() {
    for world in World::both(&settings("labels = [\"emergency\"]")).await {
        let key = world.promotion_waits().await;
        world.labels(&key, &["emergency"], MIA).await;
        world.promotion_is_closed("waiting for a decision").await;
        world.jira.move_issue(&key, "Approved", BOB).unwrap();
        world.advance(MINUTE);
        world.run_worker().await;
        world.promotion_is_closed("not allowed: ").await;
        world.decides(&key, "To Do").await;
        world.decides(&key, "Approved").await;
        world.promotion_is_open().await;
        world.finish().await;
    }
}

/// What a ticket has had from its creation was set by nobody who may approve.
#[tokio::test]
async fn a_label_from_the_creation_lifts_nothing() {
    let settings = format!("{}\nticket.labels = [\"emergency\"]", settings("labels = [\"emergency\"]"));
    for world in World::both(&settings).await {
        let key = world.promotion_waits().await;
        world.decides(&key, "Approved").await;
        let why = "the label \"emergency\" does not count, because the ticket's history does not show who set it since it was opened";
        world.promotion_is_closed(why).await;
        world.finish().await;
    }
}

/// A priority does the same, and a window is lifted as a freeze is.
#[tokio::test]
async fn a_priority_opens_a_window() {
    let settings = format!(
        "approval.approvers = [\"{MIA}\", \"mia\"]\nrollout.idle_after = \"3h\"\nwindows = [{{ match = {{}}, open = [\"Sun \
         01:00-02:00\"], time_zone = \"UTC\", except = {{ labels = [\"night\"], priorities = [\"highest\"] }} }}]"
    );
    for world in World::both(&settings).await {
        let key = world.promotion_waits().await;
        world.decides(&key, "Approved").await;
        let or = "gives the ticket the label \"night\" or the priority \"highest\"";
        world.promotion_is_closed(or).await;
        world.jira.set_priority(&key, "Highest", BOB).unwrap();
        world.advance(MINUTE);
        world.run_worker().await;
        world
            .promotion_is_closed("the priority \"Highest\" does not count, because Bob Builder set it")
            .await;
        world.jira.set_priority(&key, "Low", BOB).unwrap();
        world.advance(MINUTE);
        world.jira.set_priority(&key, "Highest", MIA).unwrap();
        world.advance(MINUTE);
        world.run_worker().await;
        let open = world.promotes().await;
        let why = "open although outside of its window, because Mia Change set the priority \"Highest\" at";
        assert!(open.status == 200 && open.body.contains(why), "{open:?}");
        world.finish().await;
    }
}

/// The settings change while it is open: whoever may not approve any more lifts nothing any more.
#[tokio::test]
async fn somebody_who_may_not_approve_any_more() {
    for mut world in World::both(&settings("labels = [\"emergency\"]")).await {
        let key = world.promotion_waits().await;
        world.labels(&key, &["emergency"], BOB).await;
        world.decides(&key, "Approved").await;
        world.promotion_is_closed("does not count").await;
        let before = world.settings.clone();
        let both =
            before.replace("approval.approvers = [", &format!("approval.approvers = [\"{BOB}\", \"bob\", "));
        world.settings = both;
        world.restarts().await;
        world.advance(MINUTE);
        world.run_worker().await;
        world.promotion_is_open().await;
        world.settings = before;
        world.restarts().await;
        world.promotion_is_closed("judged by other settings").await;
        world.advance(MINUTE);
        world.run_worker().await;
        world.promotion_is_closed("does not count, because Bob Builder set it").await;
        world.finish().await;
    }
}

/// The label is taken off while it cannot be judged whether the approval counts: it lifts nothing any more, at once.
#[tokio::test]
async fn a_label_that_is_taken_off_while_nobody_can_be_judged() {
    let settings = settings("labels = [\"emergency\"]").replace("\"mia\"]", "\"mia\", \"group:cab\"]");
    for world in World::both(&settings).await {
        world.jira.add_group("cab", &[BOB]);
        let key = world.promotion_waits().await;
        world.labels(&key, &["emergency"], MIA).await;
        world.jira.move_issue(&key, "Approved", BOB).unwrap();
        world.advance(MINUTE);
        world.run_worker().await;
        world.promotion_is_open().await;
        let away = fake_jira::Fault::Status { code: 503, retry_after: None, body: String::new() };
        for operation in [fake_jira::Operation::GroupMembers, fake_jira::Operation::UserGroups] {
            world.jira.fault(operation, away.clone(), fake_jira::Times::Always);
        }
        world.advance(MINUTE * 6);
        world.jira.set_labels(&key, &[], MIA).unwrap();
        world.advance(MINUTE);
        world.run_worker().await;
        world.promotion_is_closed("closed: ").await;
        world.finish().await;
    }
}
