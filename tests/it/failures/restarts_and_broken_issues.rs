//! Crashes, outages of the bridge, broken issues and rows: they must not open gates, lose commands or block other
//! tickets.

use std::time::Duration;

use fake_jira::{Fault, MIA, Operation, Times, Workflow};

use crate::world::{World, question};

// Without the tests that measure when a request is sent, or choose the process they ask.
crate::world::crash::crash_tests!(
    silence_survives_a_crash,
    an_outage_of_the_bridge_is_no_silence,
    a_withdrawal_does_not_extend_the_allowed_silence,
    a_status_is_renamed,
    one_issue_is_broken,
    an_ended_issue_is_broken,
    rows_of_a_newer_version,
    a_rollout_that_ends_before_its_ticket_is_opened,
);

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

impl World {
    /// Advances the clock while the bridge serves and Flagger sends nothing.
    async fn is_silent_for(&self, silence: Duration) {
        for _ in 0..silence.as_secs() / 5 {
            self.advance(Duration::from_secs(5));
            self.ticks().await;
        }
        self.run_worker().await;
    }

    async fn asks_promotion(&self) -> (u16, String) {
        let answer = self.asks("confirm-promotion", "Progressing", "new").await;
        self.run_worker().await;
        (answer.status, answer.body)
    }

    /// Opens a promotion gate, approves it and uses the approval. Returns its ticket's key.
    async fn opened(&self) -> String {
        self.asks_promotion().await;
        let key = self.newest();
        self.decides(&key, "Approved").await;
        assert_eq!(self.asks_promotion().await.0, 200);
        key
    }
}

/// After a crash in the first minute the bridge still knows since when Flagger is silent.
#[tokio::test]
async fn silence_survives_a_crash() {
    for world in World::both("").await {
        world.opened().await;
        world.restarts().await;
        world.is_silent_for(11 * MINUTE).await;
        assert_eq!(world.asks_promotion().await.0, 403, "the same revision comes back");
        assert_eq!(world.tickets().len(), 2);
        world.finish().await;
    }
}

/// While the bridge was down it could not receive questions: that time is neither silence of Flagger nor its interval.
#[tokio::test]
async fn an_outage_of_the_bridge_is_no_silence() {
    for world in World::both("").await {
        world.opened().await;
        world.is_silent_for(MINUTE).await;
        world.advance(5 * HOUR);
        world.restarts().await;
        world.run_worker().await;
        assert_eq!(world.asks_promotion().await.0, 200, "still the same rollout");
        assert_eq!(world.tickets().len(), 1);
        world.is_silent_for(11 * MINUTE).await;
        assert_eq!(world.asks_promotion().await.0, 403, "silent while the bridge served");

        world.advance(5 * HOUR);
        world.restarts().await;
        let key = world.newest();
        world.asks_promotion().await;
        world.decides(&key, "Approved").await;
        assert_eq!(world.asks_promotion().await.0, 200);
        world.is_silent_for(11 * MINUTE).await;
        assert_eq!(world.asks_promotion().await.0, 403, "the outage is no interval between two questions");
        world.finish().await;
    }
}

/// After an outage of any length, tickets that Flagger asks about are polled as often as before; others are not.
#[tokio::test]
async fn waiting_tickets_are_polled_after_a_restart() {
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
                world.advance(outage);
                world.restarts().await;
                world.run_worker().await;
                let mut looks = 0;
                for _ in 0..3 {
                    world.advance(MINUTE / 3);
                    world.ticks().await;
                    looks += world.run_worker().await;
                }
                assert_eq!(looks, if asked { 3 } else { 0 }, "{asked}, away for {outage:?}");
            }
        }
        world.finish().await;
    }
}

/// Polling a waiting ticket writes nothing; the confirmation of an approval is stored occasionally, because it is
/// trusted for at most `jira.trust_for`.
#[tokio::test]
async fn a_poll_without_changes() {
    for world in World::both("").await {
        world.asks_promotion().await;
        let key = world.newest();
        let polls = async || {
            world.asks_promotion().await;
            let before = world.turns().await;
            for _ in 0..12 {
                world.advance(MINUTE / 3);
                // On Data Center a waiting ticket is occasionally read from the issue itself as well.
                let looks = world.run_worker().await;
                assert!(looks == 1 || (looks == 2 && !world.is_cloud()), "{looks} looks");
            }
            world.turns().await - before
        };
        world.advance(MINUTE / 3);
        world.run_worker().await;
        assert_eq!(polls().await, 0);
        world.decides(&key, "Approved").await;
        // Every 100 s, a sixth of trust_for. On Data Center the index renews nothing; the issue is read every 300 s.
        assert_eq!(polls().await, if world.is_cloud() { 2 } else { 0 });
        world.decides(&key, "Rejected").await;
        assert_eq!(polls().await, 0);
        world.finish().await;
    }
}

/// A gate was opened, closed by a withdrawal, and approved again long after Flagger's last question.
#[tokio::test]
async fn a_withdrawal_does_not_extend_the_allowed_silence() {
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

/// An administrator renames a status: the affected tickets cannot be interpreted, but they are not read endlessly, and
/// gates of other routes are not affected.
#[tokio::test]
async fn a_status_is_renamed() {
    let settings = "[[routes]]\nmatch = { canary = \"till\" }\nticket = { project = \"PAY\" }\n";
    for world in World::both(settings).await {
        world.opened().await;
        let mut till = question("Progressing", "new");
        till["name"] = "till".into();
        world.posts("/gate/confirm-promotion", &till).await;
        world.run_worker().await;
        let key = world.newest();
        let mut workflow = Workflow::change();
        for status in &mut workflow.statuses {
            status.name = status.name.replace("Approved", "Authorised");
        }
        world.jira.set_workflow("OPS", "Change", workflow);
        world.advance(2 * HOUR);
        world.jira.clear_requests();
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        world.run_worker().await;
        let asked = world.jira.requests().len();
        // A restarted process requests its account and the statuses once more.
        assert!(asked < 18, "{asked} requests at one instant");
        assert_eq!(world.posts("/gate/confirm-promotion", &till).await.status, 200);
        assert_eq!(world.asks_promotion().await.0, 403, "it cannot be proven any more");
    }
}

/// An issue that Jira cannot show does not hide the others.
#[tokio::test]
async fn one_issue_is_broken() {
    for world in World::both("").await {
        world.asks_promotion().await;
        let broken = world.newest();
        let mut other = question("Progressing", "new");
        other["name"] = "till".into();
        world.posts("/gate/confirm-promotion", &other).await;
        world.run_worker().await;
        let healthy = world.newest();
        world.jira.spoil_issue(&broken, true).unwrap();
        world.decides(&healthy, "Approved").await;
        assert_eq!(world.posts("/gate/confirm-promotion", &other).await.status, 200);
        world.jira.spoil_issue(&broken, false).unwrap();
        world.finish().await;
    }
}

/// An ended ticket that cannot be read does not delay a current one.
#[tokio::test]
async fn an_ended_issue_is_broken() {
    for world in World::both("").await {
        world.asks_promotion().await;
        let ended = world.newest();
        world.asks("confirm-promotion", "Progressing", "newer").await;
        world.run_worker().await;
        let live = world.newest();
        world.advance(MINUTE);
        world.jira.move_issue(&ended, "Approved", MIA).unwrap();
        world.jira.move_issue(&live, "Approved", MIA).unwrap();
        world.jira.spoil_issue(&ended, true).unwrap();
        world.nudges(&ended).await;
        world.nudges(&live).await;
        world.run_worker().await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "newer").await.status, 200);
        world.jira.spoil_issue(&ended, false).unwrap();
        world.finish().await;
    }
}

/// A conflict is retried ever less often.
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
            world.run_worker().await;
            let creates =
                world.jira.requests().iter().filter(|it| it.operation == Operation::CreateIssue).count();
            tries.extend((0..creates).map(|_| second));
            world.advance(MINUTE / 60);
        }
        // Each delay is twice the previous one, plus up to a fifth; in full seconds the first ones may be equal.
        assert!((5..=6).contains(&tries.len()), "{tries:?}");
        assert!(tries.windows(3).all(|three| three[2] - three[1] >= three[1] - three[0]), "{tries:?}");
        world.jira.clear_faults();
        world.advance(2 * MINUTE);
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;
    }
}

/// Rows that a newer version stored cannot be read: they close their own gate, or wait; nothing else is affected.
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
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 2, "the next command was performed");

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

/// Another process stored a question: its ticket is opened, although this process has not caught up yet.
#[tokio::test]
async fn a_command_stored_by_another_process() {
    for world in World::both("").await {
        world.add_process().await;
        world.asks_first("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;
    }
}

/// The rollout ended before the request to open its ticket was sent: the ticket is not needed any more.
#[tokio::test]
async fn a_rollout_that_ends_before_its_ticket_is_opened() {
    for world in World::both("").await {
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.reports("/post-rollout", "Failed", "new").await;
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 0);
        // If the request was sent already, the bridge finds the ticket and comments on it.
        world.jira.fault(Operation::CreateIssue, Fault::LostAnswer, Times::Once);
        world.asks("confirm-promotion", "Progressing", "newer").await;
        world.run_worker().await;
        world.reports("/post-rollout", "Failed", "newer").await;
        for _ in 0..12 {
            world.advance(MINUTE / 4);
            world.run_worker().await;
        }
        let [ticket] = world.tickets().try_into().unwrap();
        assert!(ticket.comments[0].text().contains("failed"), "{:?}", ticket.comments);
        world.finish().await;
    }
}
