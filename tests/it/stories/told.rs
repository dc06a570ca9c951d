//! What a ticket is told when its decision takes effect, or cannot.

use std::time::Duration;

use fake_jira::{BOB, Flavour, MIA};
use serde_json::json;

use crate::world::{World, crash::Plan, question};

// Without the test that counts writes.
crate::world::crash::crash_tests!(
    flagger_is_told_to_go_on,
    flagger_is_told_to_roll_back,
    the_last_checks_that_failed,
    a_role_that_does_not_exist,
    statuses_that_do_not_exist,
    rules_that_changed,
);

const MINUTE: Duration = Duration::from_secs(60);

impl World {
    /// The comments of a ticket that contain these words.
    fn told(&self, key: &str, words: &str) -> Vec<String> {
        let comments = self.jira.issue(key).unwrap().comments;
        let texts = comments.iter().map(|comment| comment.text().replace('\n', " ").replace('\\', ""));
        texts.filter(|said| said.contains(words)).collect()
    }

    /// Asserts that exactly one comment of the ticket contains these words, and returns it.
    fn told_once(&self, key: &str, words: &str) -> String {
        let told = self.told(key, words);
        let [only] = &told[..] else { panic!("{key}, {words}: {told:?}") };
        only.clone()
    }

    async fn runs_for_minutes(&self, minutes: u32) {
        for _ in 0..minutes {
            self.advance(MINUTE);
            self.run_worker().await;
        }
    }

    /// Flagger reports something about `shop/cart` through the event hook.
    async fn flagger_says(&self, phase: &str, words: &str) {
        let mut event = question(phase, "new");
        event["metadata"] = json!({ "eventMessage": words, "eventType": "Warning", "timestamp": "1" });
        assert_eq!(self.posts("/event", &event).await.status, 200);
    }
}

/// One comment for each approval that lets Flagger pass, with who approved and when Flagger was told.
#[tokio::test]
async fn flagger_is_told_to_go_on() {
    for world in World::both("").await {
        let key = world.promotion_waits().await;
        world.decides(&key, "Approved").await;
        assert_eq!(world.told(&key, "was told"), Vec::<String>::new(), "Flagger has not asked yet");
        for _ in 0..3 {
            world.promotion_is_open().await;
            world.run_worker().await;
        }
        let said = world.told_once(&key, "Flagger was told to go on at ");
        assert!(said.ends_with("because Mia Change approved this ticket."), "{said}");
        if Plan::current().is_none() {
            assert!(said.contains(" at 14:13 UTC on 21 September 2026 "), "{said}");
        }

        // Another approval of the same ticket.
        world.decides(&key, "To Do").await;
        world.promotion_is_closed("waiting for a decision").await;
        world.jira.move_issue(&key, "Approved", BOB).unwrap();
        world.advance(MINUTE / 3);
        world.run_worker().await;
        for _ in 0..3 {
            world.promotion_is_open().await;
            world.run_worker().await;
        }
        assert_eq!(world.told(&key, "Flagger was told to go on at ").len(), 2);
        world.told_once(&key, "because Bob");
        world.finish().await;
    }
}

/// The comment is stored with the first answer; the next ones cost no write.
#[tokio::test]
async fn later_answers_cost_no_write() {
    for world in World::both("").await {
        let key = world.promotion_approved().await;
        let turns = world.turns().await;
        for _ in 0..5 {
            world.promotion_is_open().await;
        }
        assert_eq!(world.turns().await, turns);
        world.run_worker().await;
        world.told_once(&key, "Flagger was told to go on at ");
        world.finish().await;
    }
}

/// The rejected ticket says when Flagger was told, and each ticket of the rollout says why it was rolled back.
#[tokio::test]
async fn flagger_is_told_to_roll_back() {
    for world in World::both("").await {
        world.asks("confirm-traffic-increase", "Progressing", "new").await;
        world.run_worker().await;
        let traffic = world.newest();
        world.decides(&traffic, "Approved").await;
        assert_eq!(world.asks("confirm-traffic-increase", "Progressing", "new").await.status, 200);
        let promotion = world.promotion_waits().await;
        world.decides(&promotion, "Rejected").await;
        for _ in 0..2 {
            assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
            world.run_worker().await;
        }
        let said = world.told_once(&promotion, "Flagger was told to roll back at ");
        assert!(said.ends_with("because Mia Change rejected this ticket."), "{said}");
        world.flagger_says("Failed", "Canary failed! Scaling down cart.shop").await;
        world.reports("/post-rollout", "Failed", "new").await;
        world.run_worker().await;
        for key in [&traffic, &promotion] {
            let said = world.told_once(key, "no longer controls anything");
            assert!(said.starts_with("Flagger was told to roll back at "), "{said}");
            let why = format!(
                "because Mia Change rejected {promotion}, the ticket for the promotion. The rollout failed"
            );
            assert!(said.contains(&why), "{said}");
        }
        world.finish().await;
    }
}

/// A ticket names the approvals of its rollout that let Flagger pass, and no other.
#[tokio::test]
async fn earlier_approvals_are_those_that_were_used() {
    for world in World::both("").await {
        for is_used in [false, true] {
            world.asks("confirm-traffic-increase", "Progressing", "new").await;
            world.run_worker().await;
            let traffic = world.newest();
            world.decides(&traffic, "Approved").await;
            if is_used {
                assert_eq!(world.asks("confirm-traffic-increase", "Progressing", "new").await.status, 200);
            }
            let promotion = world.promotion_waits().await;
            let text = fake_jira::text(&world.jira.issue(&promotion).unwrap().description);
            assert_eq!(text.contains("Earlier approval of the traffic increase"), is_used, "{text}");
            world.reports("/post-rollout", "Failed", "new").await;
            world.run_worker().await;
        }
        world.finish().await;
    }
}

/// Nobody rejected it: the comment quotes what Flagger reported last about failures.
#[tokio::test]
async fn the_last_checks_that_failed() {
    for world in World::both("").await {
        let key = world.promotion_waits().await;
        for words in [
            "Starting canary analysis for cart.shop",
            "Halt cart.shop advancement success rate 80.00% < 99%",
            "Halt cart.shop advancement success rate 81.00% < 99%",
            "Halt cart.shop advancement waiting for promotion approval confirm-promotion",
            "Halt cart.shop advancement success rate 82.00% < 99%",
            "Rolling back cart.shop failed checks threshold reached 3",
        ] {
            world.flagger_says("Progressing", words).await;
        }
        world.flagger_says("Failed", "Canary failed! Scaling down cart.shop").await;
        world.run_worker().await;
        let said = world.told_once(&key, "no longer controls anything");
        for words in ["The rollout failed: ", "81.00%", "82.00%", "failed checks threshold reached 3"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        for words in ["80.00%", "waiting for promotion approval", "Starting", "rejected"] {
            assert!(!said.contains(words), "{words}: {said}");
        }
        world.finish().await;
    }
}

/// A listed role does not exist: after two minutes a comment says so, once, and after that who it is up to. When the role
/// exists, the approval counts by itself.
#[tokio::test]
async fn a_role_that_does_not_exist() {
    for world in World::both("approval.approvers = [\"role:Board\"]").await {
        let key = world.promotion_waits().await;
        world.decides(&key, "Approved").await;
        world.promotion_is_closed("it is not known yet whether that counts").await;
        assert_eq!(
            world.told(&key, "cannot tell at the moment"),
            Vec::<String>::new(),
            "it may be over soon"
        );
        for _ in 0..10 {
            world.runs_for_minutes(1).await;
            world.promotion_is_closed("it is not known yet whether that counts").await;
        }
        let said = world.told_once(&key, "cannot tell at the moment");
        assert!(said.contains("Tell the team that runs the bridge"), "{said}");
        assert!(!said.contains("Board") && !said.contains("approval."), "not for every reader: {said}");
        world.jira.add_to_role("OPS", "Board", &[MIA], &[]);
        world.runs_for_minutes(2).await;
        world.promotion_is_open().await;
        world.run_worker().await;
        world.told_once(&key, "Flagger was told to go on at ");
        world.told_once(&key, "cannot tell at the moment");
        world.finish().await;
    }
}

/// The configuration names a status that the workflow does not have: only a ticket that may be decided is told.
#[tokio::test]
async fn statuses_that_do_not_exist() {
    for mut world in World::both("").await {
        let key = world.promotion_waits().await;
        world.restarts_with("ticket.statuses.approved = [\"Approved\", \"Nowhere\"]\n").await;
        for _ in 0..4 {
            world.runs_for_minutes(1).await;
            world.promotion_is_closed("waiting for a decision").await;
        }
        assert_eq!(world.told(&key, "cannot tell at the moment"), Vec::<String>::new(), "nobody decided");
        world.jira.move_issue(&key, "Approved", MIA).unwrap();
        for _ in 0..6 {
            world.runs_for_minutes(1).await;
            world.promotes().await;
        }
        let said = world.told_once(&key, "cannot tell at the moment");
        assert!(!said.contains("Nowhere") && !said.contains("ticket."), "not for every reader: {said}");
        world.settings = world.settings.replace(", \"Nowhere\"", "");
        world.restarts().await;
        world.runs_for_minutes(1).await;
        world.promotion_is_open().await;
        world.finish().await;
    }
}

/// The bridge is restarted with other rules than the ticket shows: one comment says which count now.
#[tokio::test]
async fn rules_that_changed() {
    for mut world in World::both("").await {
        let key = world.promotion_waits().await;
        world.restarts().await;
        world.runs_for_minutes(1).await;
        assert_eq!(world.told(&key, "The rules"), Vec::<String>::new());

        let settings = world.settings.clone();
        let board = format!(
            "approval.approvers = [\"{MIA}\", \"mia\"]\napproval.deny = [\"{BOB}\", \"bob\"]\napproval.valid_for = \"2h\"\n"
        );
        world.restarts_with(&board).await;
        world.promotes().await;
        for _ in 0..3 {
            world.runs_for_minutes(1).await;
            world.promotes().await;
        }
        let said = world.told_once(&key, "The rules for this ticket changed");
        for words in
            ["Who may approve:", "Mia Change", "Who may not approve:", "Bob Builder", "within 2 hours"]
        {
            assert!(said.contains(words), "{words}: {said}");
        }
        world.restarts().await;
        world.runs_for_minutes(1).await;
        world.told_once(&key, "The rules for this ticket changed");

        // Only the time is another one: what was decided is not judged again.
        world.settings = board_for(&settings, &board, "3h");
        world.restarts().await;
        world.runs_for_minutes(1).await;
        world.told_once(&key, "within 3 hours");
        world.settings = board_for(&settings, &board, "2h");
        world.restarts().await;
        world.runs_for_minutes(1).await;
        assert_eq!(world.told(&key, "The rules for this ticket changed").len(), 3);

        // The next ticket shows the rules of today.
        world.reports("/post-rollout", "Failed", "new").await;
        let key = world.promotion_waits().await;
        world.runs_for_minutes(1).await;
        assert_eq!(world.told(&key, "The rules"), Vec::<String>::new());
        world.finish().await;
    }
}

/// Replicas with different settings take turns: after five comments the ticket is told no more of it, and nothing is written.
#[tokio::test]
async fn rules_that_change_again_and_again() {
    let mut world = World::start(Flavour::Cloud).await;
    let key = world.promotion_waits().await;
    let settings = world.settings.clone();
    for turn in 0..8 {
        world.settings = format!("{settings}\napproval.valid_for = \"{}h\"\n", 2 + turn % 2);
        world.restarts().await;
        world.runs_for_minutes(1).await;
    }
    assert_eq!(world.told(&key, "The rules for this ticket changed").len(), 5);
    let turns = world.turns().await;
    world.runs_for_minutes(1).await;
    assert_eq!(world.turns().await, turns);
    world.finish().await;
}

fn board_for(settings: &str, board: &str, valid_for: &str) -> String {
    format!("{settings}{}", board.replace("2h", valid_for))
}
