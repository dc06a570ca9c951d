//! Things that go wrong around the bridge, and what must not come of them.

use std::time::Duration;

use fake_jira::{Fault, MIA, Operation, Times, Workflow};

use crate::world::{World, question};

// Not those that count how soon a request is made, or choose whom they ask.
crate::world::crash::crash_tests!(
    silence_survives_a_crash,
    an_outage_of_the_bridge_counts_for_nothing,
    a_withdrawal_makes_nobody_more_patient,
    a_status_is_renamed,
    one_issue_is_broken,
    a_dead_issue_is_broken,
    rows_of_a_newer_version,
    a_rollout_that_ends_before_its_ticket_is_opened,
);

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

impl World {
    /// Time passes while the bridge serves and Flagger is silent.
    async fn is_silent_for(&self, silence: Duration) {
        for _ in 0..silence.as_secs() / 5 {
            self.later(Duration::from_secs(5));
            self.ticks().await;
        }
        self.works().await;
    }

    async fn asks_promotion(&self) -> (u16, String) {
        let answer = self.asks("confirm-promotion", "Progressing", "new").await;
        self.works().await;
        (answer.status, answer.body)
    }

    /// A promotion gate that was opened and used. Returns its ticket.
    async fn opened(&self) -> String {
        self.asks_promotion().await;
        let key = self.newest();
        self.decides(&key, "Approved").await;
        assert_eq!(self.asks_promotion().await.0, 200);
        key
    }
}

/// A crash in the first minute does not make the bridge forget since when Flagger is silent.
#[tokio::test]
async fn silence_survives_a_crash() {
    for world in World::both("").await {
        world.opened().await;
        world.restarts().await;
        world.is_silent_for(11 * MINUTE).await;
        assert_eq!(world.asks_promotion().await.0, 403, "the same revision, coming back");
        assert_eq!(world.tickets().len(), 2);
        world.finish().await;
    }
}

/// While nobody served, nobody could hear: that silence is not Flagger's, and no measure of its patience either.
#[tokio::test]
async fn an_outage_of_the_bridge_counts_for_nothing() {
    for world in World::both("").await {
        world.opened().await;
        world.is_silent_for(MINUTE).await;
        world.later(5 * HOUR);
        world.restarts().await;
        world.works().await;
        assert_eq!(world.asks_promotion().await.0, 200, "still the same rollout");
        assert_eq!(world.tickets().len(), 1);
        world.is_silent_for(11 * MINUTE).await;
        assert_eq!(world.asks_promotion().await.0, 403, "silent while the bridge served");

        world.later(5 * HOUR);
        world.restarts().await;
        let key = world.newest();
        world.asks_promotion().await;
        world.decides(&key, "Approved").await;
        assert_eq!(world.asks_promotion().await.0, 200);
        world.is_silent_for(11 * MINUTE).await;
        assert_eq!(world.asks_promotion().await.0, 403, "the outage is no gap between two questions");
        world.finish().await;
    }
}

/// Tickets that Flagger asks about are polled as often as before from the start on, however long nobody served; others
/// are not.
#[tokio::test]
async fn who_waits_is_polled_for_after_a_restart() {
    for world in World::both("").await {
        world.asks_promotion().await;
        for asked in [true, true, false, false] {
            for _ in 0..15 {
                world.is_silent_for(MINUTE).await;
                if asked {
                    world.asks_promotion().await;
                }
            }
            world.is_silent_for(MINUTE).await;
            for outage in [Duration::ZERO, HOUR] {
                world.later(outage);
                world.restarts().await;
                world.works().await;
                let mut looks = 0;
                for _ in 0..3 {
                    world.later(MINUTE / 3);
                    world.ticks().await;
                    looks += world.works().await;
                }
                assert_eq!(looks, if asked { 3 } else { 0 }, "{asked}, away for {outage:?}");
            }
        }
        world.finish().await;
    }
}

/// Polling a ticket that waits writes nothing; that an approval still stands is stored now and then, for it is not believed
/// for longer than `jira.trust_for`.
#[tokio::test]
async fn a_poll_that_shows_nothing_new() {
    for world in World::both("").await {
        world.asks_promotion().await;
        let key = world.newest();
        let polls = async || {
            world.asks_promotion().await;
            let before = world.turns().await;
            for _ in 0..12 {
                world.later(MINUTE / 3);
                // On Data Center a ticket that waits is read from the issue itself, too, once in a while.
                let looks = world.works().await;
                assert!(looks == 1 || (looks == 2 && !world.is_cloud()), "{looks} looks");
            }
            world.turns().await - before
        };
        world.later(MINUTE / 3);
        world.works().await;
        assert_eq!(polls().await, 0);
        world.decides(&key, "Approved").await;
        // Every 100 s, a sixth of trust_for. On a Data Center an index renews nothing; the issue is asked every 300 s.
        assert_eq!(polls().await, if world.is_cloud() { 2 } else { 0 });
        world.decides(&key, "Rejected").await;
        assert_eq!(polls().await, 0);
        world.finish().await;
    }
}

/// A gate that was opened, closed by a withdrawal, and approved again long after everything went silent.
#[tokio::test]
async fn a_withdrawal_makes_nobody_more_patient() {
    for world in World::both("").await {
        let key = world.opened().await;
        world.decides(&key, "To Do").await;
        assert_eq!(world.asks_promotion().await.0, 403);
        world.is_silent_for(20 * MINUTE).await;
        world.decides(&key, "Approved").await;
        assert_eq!(world.asks_promotion().await.0, 403, "too late to be the same rollout");
        world.finish().await;
    }
}

/// An administrator renames a status: those tickets cannot be understood, but they are not read without end, and the
/// gates of other routes go on.
#[tokio::test]
async fn a_status_is_renamed() {
    let settings = "[[routes]]\nmatch = { canary = \"till\" }\nticket = { project = \"PAY\" }\n";
    for world in World::both(settings).await {
        world.opened().await;
        let mut till = question("Progressing", "new");
        till["name"] = "till".into();
        world.posts("/gate/confirm-promotion", &till).await;
        world.works().await;
        let key = world.newest();
        let mut workflow = Workflow::change();
        for status in &mut workflow.statuses {
            status.name = status.name.replace("Approved", "Authorised");
        }
        world.jira.set_workflow("OPS", "Change", workflow);
        world.later(2 * HOUR);
        world.jira.clear_requests();
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.works().await;
        let asked = world.jira.requests().len();
        // One that was killed asks Jira once more who it is, and what its statuses are.
        assert!(asked < 18, "{asked} requests at one instant");
        assert_eq!(world.posts("/gate/confirm-promotion", &till).await.status, 200);
        assert_eq!(world.asks_promotion().await.0, 403, "it cannot be proven any more");
    }
}

/// An issue that Jira cannot show must not hide the others.
#[tokio::test]
async fn one_issue_is_broken() {
    for world in World::both("").await {
        world.asks_promotion().await;
        let broken = world.newest();
        let mut other = question("Progressing", "new");
        other["name"] = "till".into();
        world.posts("/gate/confirm-promotion", &other).await;
        world.works().await;
        let healthy = world.newest();
        world.jira.spoil_issue(&broken, true).unwrap();
        world.decides(&healthy, "Approved").await;
        assert_eq!(world.posts("/gate/confirm-promotion", &other).await.status, 200);
        world.jira.spoil_issue(&broken, false).unwrap();
        world.finish().await;
    }
}

/// A dead ticket that cannot be read keeps no live one waiting.
#[tokio::test]
async fn a_dead_issue_is_broken() {
    for world in World::both("").await {
        world.asks_promotion().await;
        let dead = world.newest();
        world.asks("confirm-promotion", "Progressing", "newer").await;
        world.works().await;
        let live = world.newest();
        world.later(MINUTE);
        world.jira.move_issue(&dead, "Approved", MIA).unwrap();
        world.jira.move_issue(&live, "Approved", MIA).unwrap();
        world.jira.spoil_issue(&dead, true).unwrap();
        world.nudges(&dead).await;
        world.nudges(&live).await;
        world.works().await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "newer").await.status, 200);
        world.jira.spoil_issue(&dead, false).unwrap();
        world.finish().await;
    }
}

/// A conflict is not tried again without end.
#[tokio::test]
async fn a_conflict_that_stays() {
    for world in World::both("").await {
        let body = "{\"errorMessages\":[\"conflict\"]}".into();
        let fault = Fault::Status { code: 409, retry_after: None, body };
        world.jira.fault(Operation::CreateIssue, fault, Times::Always);
        let mut tries = Vec::new();
        world.asks("confirm-promotion", "Progressing", "new").await;
        for second in 0..60 {
            world.jira.clear_requests();
            world.works().await;
            let creates =
                world.jira.requests().iter().filter(|it| it.operation == Operation::CreateIssue).count();
            tries.extend((0..creates).map(|_| second));
            world.later(MINUTE / 60);
        }
        // Each wait is twice the one before, spread by up to a fifth; of the first ones full seconds may be as many.
        assert!((5..=6).contains(&tries.len()), "{tries:?}");
        assert!(tries.windows(3).all(|three| three[2] - three[1] >= three[1] - three[0]), "{tries:?}");
        world.jira.clear_faults();
        world.later(2 * MINUTE);
        world.works().await;
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;
    }
}

/// What a newer version stored is not understood: it closes its own gate, or waits; nothing else stands still.
#[tokio::test]
async fn rows_of_a_newer_version() {
    for world in World::both("").await {
        world.opened().await;
        let mut other = question("Progressing", "new");
        other["name"] = "till".into();
        world.posts("/gate/confirm-promotion", &other).await;
        world.sql("UPDATE outbox SET command = '{\"sing\":{}}'").await;
        other["name"] = "shelf".into();
        world.posts("/gate/confirm-promotion", &other).await;
        world.works().await;
        assert_eq!(world.tickets().len(), 2, "the command after it was performed");

        world.sql("UPDATE turn SET seq = seq + 1").await;
        world.sql("UPDATE canary SET format = 99, seq = (SELECT seq FROM turn) WHERE id LIKE '%/cart'").await;
        world.ticks().await;
        let (status, line) = world.asks_promotion().await;
        assert_eq!(status, 403);
        assert!(line.contains("it is in format 99"), "{line}");
        world.decides(&world.newest(), "Approved").await;
        assert_eq!(world.posts("/gate/confirm-promotion", &other).await.status, 200, "another canary");
        world.restarts().await;
        assert_eq!(world.asks_promotion().await.0, 403);
        assert_eq!(world.posts("/gate/confirm-promotion", &other).await.status, 200);
    }
}

/// A question that another process stored: its ticket is opened, although this process has not followed yet.
#[tokio::test]
async fn a_command_that_memory_does_not_know_yet() {
    for world in World::both("").await {
        world.is_joined().await;
        world.asks_first("confirm-promotion", "Progressing", "new").await;
        world.works().await;
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;
    }
}

/// The rollout ended while the request to open its ticket waited: nobody needs the ticket any more.
#[tokio::test]
async fn a_rollout_that_ends_before_its_ticket_is_opened() {
    for world in World::both("").await {
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.reports("/post-rollout", "Failed", "new").await;
        world.works().await;
        assert_eq!(world.tickets().len(), 0);
        // Where the request was sent already, the ticket is found, and told.
        world.jira.fault(Operation::CreateIssue, Fault::LostAnswer, Times::Once);
        world.asks("confirm-promotion", "Progressing", "newer").await;
        world.works().await;
        world.reports("/post-rollout", "Failed", "newer").await;
        for _ in 0..12 {
            world.later(MINUTE / 4);
            world.works().await;
        }
        let [ticket] = world.tickets().try_into().unwrap();
        assert!(ticket.comments[0].text().contains("failed"), "{:?}", ticket.comments);
        world.finish().await;
    }
}
