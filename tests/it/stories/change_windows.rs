//! Windows and freezes: an approval opens its gate only when the company allows changes.

use std::{fs, time::Duration};

use fake_jira::MIA;
use flagger_jira_bridge::millis::Millis;
use serde_json::Value;

use crate::world::{World, crash::Plan};

crate::world::crash::crash_tests!(
    an_approval_waits_for_its_window,
    a_freeze_that_begins_between_approval_and_use,
    a_freeze_that_begins_after_the_use,
    a_freeze_beats_a_window,
    a_rejection_counts_in_a_freeze,
    an_approval_expires_in_a_freeze,
    a_ticket_that_plans_its_time,
);

const MINUTE: Duration = Duration::from_secs(60);
/// 2026-09-21T00:00:00Z, the Monday on which every test begins, at 14:13 UTC.
const MONDAY: Millis = Millis(1_789_948_800_000);

/// In Berlin it is 16:13 when a test begins.
const EVENING: &str = r#"windows = [{ match = { namespace = "shop" }, open = ["Mon-Thu 18:00-20:00"], time_zone = "Europe/Berlin" }]"#;
/// From 14:40 to 17:30 UTC.
const FROZEN: &str = r#"freezes = [{ match = { namespace = "shop" }, from = "2026-09-21T16:40:00+02:00", until = "2026-09-21T19:30:00+02:00", reason = "Inventory" }]"#;

impl World {
    /// Advances the clock to a time of that Monday, in UTC, and has the ticket read.
    async fn is_at(&self, hour: u32, minute: u32) {
        let wanted = MONDAY + MINUTE * (hour * 60 + minute);
        let now = self.clock.now();
        assert!(now <= wanted, "it is later than {hour}:{minute} UTC already");
        self.advance(wanted.since(now));
        self.run_worker().await;
    }

    /// The only gate, as the API shows it.
    async fn only_gate(&self) -> Value {
        let gates = self.gates().await;
        let [gate] = &gates.as_array().unwrap()[..] else { panic!("{gates}") };
        gate.clone()
    }

    /// How many rows of the audit record have this kind.
    async fn recorded(&self, kind: &str) -> i64 {
        self.count(&format!("audit WHERE kind = '{kind}'")).await
    }
}

#[tokio::test]
async fn an_approval_waits_for_its_window() {
    for world in World::both(EVENING).await {
        let key = world.promotion_waits().await;
        world
            .promotion_is_closed(
                "waiting for a decision; also outside of its window; opens Mon-Thu 18:00-20:00 Europe/Berlin, next today at 18:00",
            )
            .await;
        let ticket =
            fake_jira::text(&world.jira.issue(&key).unwrap().description).replace(['\\', '*', '{', '}'], "");
        let line = "When Flagger can go on: only Mon-Thu 18:00-20:00 Europe/Berlin. An approval given at another time waits until \
                    then, and may expire meanwhile. What Flagger has been told to do before goes on. At first, it is closed: \
                    outside of its window; opens Mon-Thu 18:00-20:00 Europe/Berlin, next on Mon 2026-09-21 at 18:00.";
        assert!(ticket.contains(line), "{ticket}");

        world.decides(&key, "Approved").await;
        world.promotion_is_closed("frozen: approved by Mia").await;
        world
            .promotion_is_closed(
                "but outside of its window; opens Mon-Thu 18:00-20:00 Europe/Berlin, next today at 18:00",
            )
            .await;
        world.run_worker().await;
        let gate = world.only_gate().await;
        assert_eq!(gate["state"], "frozen", "{gate}");
        assert_eq!(gate["opens_at"], "2026-09-21T16:00:00.000Z", "{gate}");
        let told = "This approval does not let Flagger go on yet: outside of its window; opens Mon-Thu 18:00-20:00 Europe/Berlin, \
                    next on Mon 2026-09-21 at 18:00.";
        assert_eq!(world.comments_with(&key, told).len(), 1);

        world.is_at(15, 59).await;
        world.promotion_is_closed("frozen: ").await;
        world.is_at(16, 0).await;
        world.promotion_is_open().await;
        assert_eq!(world.only_gate().await["opens_at"], Value::Null);

        // Flagger asks again when the window is over.
        for minute in (5..=115).step_by(5) {
            world.is_at(16, minute).await;
            world.promotion_is_open().await;
        }
        world.is_at(18, 0).await;
        world.promotion_is_closed("next tomorrow at 18:00; what Flagger was told to do before goes on").await;
        world.run_worker().await;
        assert_eq!(
            world.comments_with(&key, "This approval does not let Flagger go on at the moment: ").len(),
            1
        );
        assert_eq!(world.comments_with(&key, "Flagger was told to go on at ").len(), 1);
        let recorded = (
            world.recorded("frozen").await,
            world.recorded("passed").await,
            world.recorded("verdict_changed").await,
        );
        assert_eq!(recorded, (2, 1, 1));
        world.finish().await;
    }
}

#[tokio::test]
async fn a_freeze_that_begins_between_approval_and_use() {
    for world in World::both(FROZEN).await {
        let key = world.promotion_waits().await;
        world.promotion_is_closed("waiting for a decision\n").await;
        world.decides(&key, "Approved").await;
        world.is_at(14, 40).await;
        let opens = "but in the freeze \"Inventory\"; opens today at 19:30 +02:00";
        world.promotion_is_closed(opens).await;
        world.is_at(17, 29).await;
        world.promotion_is_closed(opens).await;
        world.is_at(17, 30).await;
        world.promotion_is_open().await;
        assert_eq!(world.comments_with(&key, "in the freeze \"Inventory\"").len(), 1);
        world.finish().await;
    }
}

/// What Flagger was told before goes on: the rollout ends as any other.
#[tokio::test]
async fn a_freeze_that_begins_after_the_use() {
    for world in World::both(FROZEN).await {
        let key = world.promotion_approved().await;
        world.is_at(14, 35).await;
        world.promotion_is_open().await;
        world.is_at(14, 40).await;
        world.promotion_is_closed("what Flagger was told to do before goes on").await;
        world.reports("/post-rollout", "Succeeded", "new").await;
        world.drain_outbox().await;
        assert_eq!(world.comments_with(&key, "WITHOUT").len(), 0);
        assert_eq!(world.comments_with(&key, "succeeded").len(), 1);
        world.finish().await;
    }
}

#[tokio::test]
async fn a_freeze_beats_a_window() {
    for world in World::both(&format!("{EVENING}\n{FROZEN}")).await {
        let key = world.promotion_waits().await;
        world.decides(&key, "Approved").await;
        world
            .promotion_is_closed(
                "outside of its window; opens Mon-Thu 18:00-20:00 Europe/Berlin, next today at 19:30",
            )
            .await;
        world.is_at(16, 30).await;
        world
            .promotion_is_closed(
                "in the freeze \"Inventory\"; opens Mon-Thu 18:00-20:00 Europe/Berlin, next today at 19:30",
            )
            .await;
        world.is_at(17, 30).await;
        world.promotion_is_open().await;
        world.finish().await;
    }
}

#[tokio::test]
async fn a_rejection_counts_in_a_freeze() {
    for world in World::both(FROZEN).await {
        let key = world.promotion_waits().await;
        world.is_at(14, 50).await;
        world.promotion_is_closed("waiting for a decision; also in the freeze \"Inventory\"; opens ").await;
        world.decides(&key, "Rejected").await;
        world.promotion_is_closed("rejected by Mia").await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
        world.finish().await;
    }
}

#[tokio::test]
async fn an_approval_expires_in_a_freeze() {
    for world in World::both(&format!("approval.valid_for = \"2h\"\n{FROZEN}")).await {
        let key = world.promotion_waits().await;
        world.decides(&key, "Approved").await;
        world.is_at(15, 0).await;
        world.promotion_is_closed("frozen: ").await;
        world.is_at(17, 29).await;
        world.promotion_is_closed("expired: ").await;
        world.is_at(17, 35).await;
        world.promotion_is_closed("expired: ").await;
        world.decides(&key, "To Do").await;
        world.decides(&key, "Approved").await;
        world.promotion_is_open().await;
        world.finish().await;
    }
}

/// What cannot be read may be a freeze.
#[tokio::test]
async fn a_calendar_that_cannot_be_read() {
    for world in World::both("").await {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("freezes.ics");
        let mut world = world;
        world
            .restarts_with(&format!(
                "freezes = [{{ match = {{ stage = \"confirm-promotion\" }}, calendar_file = \"{}\" }}]\n",
                file.display()
            ))
            .await;
        let key = world.promotion_waits().await;
        world.decides(&key, "Approved").await;
        let unknown =
            "it is not known whether a freeze holds, because freezes[0].calendar_file cannot be used: ";
        world.promotion_is_closed(unknown).await;
        world
            .promotion_is_closed(
                "No such file or directory (os error 2); opens once the calendar can be read",
            )
            .await;
        let metrics = world.sends(world.admin("GET", "/metrics")).await.body;
        assert!(metrics.contains("flagger_jira_bridge_calendars_unusable 1\n"), "{metrics}");
        // Another stage is not concerned.
        world.asks("confirm-traffic-increase", "Progressing", "new").await;
        world.run_worker().await;
        let other = world.newest();
        world.decides(&other, "Approved").await;
        assert_eq!(world.asks("confirm-traffic-increase", "Progressing", "new").await.status, 200);

        let calendar = |event: &str| {
            format!(
                "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Stocktaking\r\n{event}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
            )
        };
        fs::write(
            &file,
            calendar("DTSTART;TZID=Europe/Berlin:20260914T160000\r\nDURATION:PT1H\r\nRRULE:FREQ=WEEKLY"),
        )
        .unwrap();
        world.promotion_is_closed("but in the freeze \"Stocktaking\"; opens today at 15:00 UTC").await;
        fs::write(&file, calendar("DTSTART:20260920T160000Z\r\nDURATION:PT1H")).unwrap();
        world.promotion_is_open().await;
        fs::write(&file, calendar("DTSTART:20260920T160000Z\r\nRRULE:FREQ=SOMETIMES")).unwrap();
        world.promotion_is_closed(unknown).await;
        world.promotion_is_closed("Stocktaking: it has no end: neither DTEND nor DURATION").await;
        fs::remove_file(&file).unwrap();
        world.promotion_is_closed(unknown).await;
        fs::write(&file, "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n").unwrap();
        world.promotion_is_open().await;
        if Plan::current().is_none() {
            assert_eq!(
                world
                    .comments_with(&key, "This approval does not let Flagger go on yet: it is not known ")
                    .len(),
                1
            );
        }
        world.finish().await;
    }
}

#[tokio::test]
async fn a_ticket_that_plans_its_time() {
    let settings = "approval.planned = { start = \"customfield_10301\", end = \"customfield_10302\" }\nrollout.idle_after = \"3h\"";
    for world in World::both(settings).await {
        let key = world.promotion_waits().await;
        let unknown = "it is not known when this ticket plans its change: ";
        world
            .promotion_is_closed(&format!(
                "waiting for a decision; also {unknown}the ticket has no value in customfield_10301"
            ))
            .await;
        let ticket =
            fake_jira::text(&world.jira.issue(&key).unwrap().description).replace(['\\', '*', '{', '}'], "");
        let line =
            "only between the times in the fields customfield_10301 and customfield_10302 of this ticket";
        assert!(ticket.contains(line), "{ticket}");
        world.decides(&key, "Approved").await;
        world
            .promotion_is_closed(&format!(
                "but {unknown}the ticket has no value in customfield_10301; opens once its fields say that"
            ))
            .await;

        let plans = async |field: &str, value: Option<&str>| {
            world.jira.set_time(&key, field, value, MIA).unwrap();
            world.advance(MINUTE / 3);
            world.run_worker().await;
        };
        plans("customfield_10301", Some("2026-09-21T17:30:00.000+0200")).await;
        world.promotion_is_closed("the ticket has no value in customfield_10302").await;
        plans("customfield_10302", Some("2026-09-21T15:00:00.000+0000")).await;
        world.promotion_is_closed("customfield_10302 is not later than customfield_10301").await;
        plans("customfield_10302", Some("2026-09-21T17:00:00.000+0000")).await;
        world
            .promotion_is_closed(
                "but the time that this ticket plans has not come; opens today at 17:30 +02:00",
            )
            .await;
        assert_eq!(world.only_gate().await["opens_at"], "2026-09-21T15:30:00.000Z");
        world.is_at(15, 29).await;
        world.promotion_is_closed("frozen: ").await;
        world.is_at(15, 30).await;
        world.promotion_is_open().await;
        world.is_at(16, 59).await;
        world.promotion_is_open().await;
        world.is_at(17, 0).await;
        world
            .promotion_is_closed(
                "but the time that this ticket plans is over; opens once it plans a later time",
            )
            .await;
        plans("customfield_10302", None).await;
        world.promotion_is_closed(unknown).await;
        plans("customfield_10302", Some("2026-09-22T00:00:00.000+0200")).await;
        world.promotion_is_open().await;
        world.finish().await;
    }
}
