//! The main job: Flagger asks, Jira decides, Flagger goes on.

use std::time::Duration;

use fake_jira::{Fault, Flavour, MIA, Operation, Times};

use crate::world::{World, question};

// Without the tests that count requests or measure how soon one is sent.
crate::world::crash::crash_tests!(
    one_question_one_ticket,
    approved_withdrawn_rejected,
    a_rejected_ticket_moved_back_waits_again,
    one_approval_opens_one_gate_of_one_rollout,
    a_restart_forgets_nothing_and_opens_nothing_twice,
    jira_is_away,
    a_lost_answer_makes_no_second_ticket,
    a_ticket_without_an_approved_status_is_not_opened,
    the_load_testers_path,
    an_answer_as_an_object,
);

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn one_question_one_ticket() {
    for world in World::both("").await {
        let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (403, "closed: no ticket yet; the bridge is opening it\n")
        );
        world.run_worker().await;
        let key = world.newest();
        for _ in 0..5 {
            world.advance(MINUTE);
            let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
            let url = format!("{}/browse/{key}", world.jira.base_url());
            assert_eq!(answer.status, 403);
            assert_eq!(answer.body, format!("closed: {key} (To Do), {url}, waiting for a decision\n"));
            world.run_worker().await;
        }
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;
    }
}

#[tokio::test]
async fn approved_withdrawn_rejected() {
    for world in World::both("").await {
        world.asks("confirm-promotion", "Progressing", "new1").await;
        world.run_worker().await;
        let key = world.newest();
        world.decides(&key, "Approved").await;
        let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.contains(&key) && answer.body.contains("approved by Mia"), "{}", answer.body);
        assert_eq!(world.asks("rollback", "Progressing", "new1").await.status, 403);

        world.decides(&key, "In Review").await;
        let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("In Review"), "{}", answer.body);

        world.decides(&key, "Rejected").await;
        let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("rejected by Mia"), "{}", answer.body);
        let answer = world.asks("rollback", "WaitingPromotion", "new1").await;
        assert_eq!(answer.status, 200);
        assert!(answer.body.starts_with("roll back: "), "{}", answer.body);
        assert_eq!(world.posts("/rollback/check", &question("WaitingPromotion", "new1")).await.status, 200);
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;
    }
}

#[tokio::test]
async fn a_rejected_ticket_moved_back_waits_again() {
    for world in World::both("").await {
        world.asks("confirm-promotion", "Progressing", "new1").await;
        world.run_worker().await;
        let key = world.newest();
        world.decides(&key, "Rejected").await;
        assert_eq!(world.asks("rollback", "Progressing", "new1").await.status, 200);
        world.decides(&key, "To Do").await;
        assert_eq!(world.asks("rollback", "Progressing", "new1").await.status, 403);
        world.decides(&key, "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 200);
        world.finish().await;
    }
}

/// An approval opens one gate of one rollout: not the next stage, not another gate of the stage, not another canary,
/// not the next revision, not the same revision again.
#[tokio::test]
async fn one_approval_opens_one_gate_of_one_rollout() {
    for world in World::both("").await {
        world.asks("confirm-rollout", "Initialized", "old").await;
        world.run_worker().await;
        let key = world.newest();
        world.decides(&key, "Approved").await;
        assert_eq!(world.asks("confirm-rollout", "Waiting", "old").await.status, 200);

        let promotion = world.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!(promotion.status, 403, "another stage");
        let rollout = world.posts("/gate/confirm-rollout?gate=qa", &question("Waiting", "old")).await;
        assert_eq!(rollout.status, 403, "another gate of the stage");
        let mut other = question("Waiting", "old");
        other["name"] = "till".into();
        assert_eq!(world.posts("/gate/confirm-rollout", &other).await.status, 403, "another canary");
        other["name"] = "cart".into();
        other["namespace"] = "other".into();
        assert_eq!(world.posts("/gate/confirm-rollout", &other).await.status, 403, "another namespace");

        world.run_worker().await;
        world.reports("/post-rollout", "Succeeded", "new").await;
        assert_eq!(world.asks("confirm-rollout", "Succeeded", "new").await.status, 403, "the next revision");
        world.reports("/post-rollout", "Failed", "new").await;
        assert_eq!(world.asks("confirm-rollout", "Failed", "old").await.status, 403, "the same again");
        world.finish().await;
    }
}

#[tokio::test]
async fn a_restart_forgets_nothing_and_opens_nothing_twice() {
    for world in World::both("").await {
        world.asks("confirm-rollout", "Initialized", "old").await;
        // The ticket is not opened yet; the stored command survives.
        world.restarts().await;
        assert_eq!(world.tickets().len(), 0);
        world.run_worker().await;
        let key = world.newest();
        world.restarts().await;
        world.decides(&key, "Approved").await;
        let before = world.asks("confirm-rollout", "Waiting", "old").await;
        assert_eq!(before.status, 200);
        world.restarts().await;
        let after = world.asks("confirm-rollout", "Waiting", "old").await;
        assert_eq!((after.status, after.body), (200, before.body));
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        let promotion = world.newest();
        world.decides(&promotion, "Rejected").await;
        world.restarts().await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 2);
        world.finish().await;
    }
}

/// A move opens the gate after one read of Jira if the webhook reports it, otherwise after `poll_every` and one read.
#[tokio::test]
async fn a_decision_is_read_by_webhook_and_by_polling() {
    for world in World::both("").await {
        for (stage, by_webhook) in [("confirm-traffic-increase", true), ("confirm-promotion", false)] {
            world.asks(stage, "Progressing", "new").await;
            world.run_worker().await;
            world.asks(stage, "Progressing", "new").await;
            let key = world.newest();
            world.advance(MINUTE / 60);
            world.jira.move_issue(&key, "Approved", MIA).unwrap();
            world.jira.clear_requests();
            if by_webhook {
                assert_eq!(world.nudges(&key).await.status, 200);
            } else {
                world.run_worker().await;
                assert_eq!(world.jira.requests().len(), 0, "the next poll is not due yet");
                world.advance(MINUTE / 3);
            }
            world.run_worker().await;
            // On Data Center a change found by the search is read from the issue itself. One more request reads the
            // current workflow, to check that the move was a transition.
            let requests = if by_webhook || world.is_cloud() { 2 } else { 3 };
            assert_eq!(world.jira.requests().len(), requests, "{:?}", world.jira.requests());
            assert_eq!(world.asks(stage, "Progressing", "new").await.status, 200, "{stage}");
        }
        world.finish().await;
    }
}

/// Jira is away: the last proven answer holds for `trust_for`, and not longer.
#[tokio::test]
async fn jira_is_away() {
    for world in World::both("").await {
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        world.jira.move_issue(&world.newest(), "Approved", MIA).unwrap();
        world.advance(MINUTE / 3);
        let looked = world.clock.now();
        world.run_worker().await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
        world.jira.fault(Operation::Any, Fault::Dropped, Times::Always);
        for minute in 1..=10 {
            world.advance(MINUTE);
            world.run_worker().await;
            let answer = world.asks("confirm-promotion", "Progressing", "new").await;
            // A process that waited for a killed process's lease reaches the tenth minute too late.
            if world.clock.now().since(looked) <= 10 * MINUTE {
                assert_eq!(answer.status, 200, "minute {minute}: {}", answer.body);
            }
        }
        world.advance(MINUTE);
        world.run_worker().await;
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("approved, but Jira last confirmed that at"), "{}", answer.body);
        world.jira.clear_faults();
        world.advance(MINUTE);
        world.run_worker().await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
        world.finish().await;
    }
}

/// Jira created the ticket and its answer was lost: the bridge finds the ticket and does not open it twice.
#[tokio::test]
async fn a_lost_answer_makes_no_second_ticket() {
    for world in World::both("").await {
        world.jira.set_index_lag(MINUTE);
        world.jira.fault(Operation::CreateIssue, Fault::LostAnswer, Times::Once);
        world.asks("confirm-promotion", "Progressing", "new").await;
        for _ in 0..20 {
            world.run_worker().await;
            world.advance(MINUTE / 4);
            world.asks("confirm-promotion", "Progressing", "new").await;
        }
        assert_eq!(world.tickets().len(), 1);
        world.decides(&world.newest(), "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
        world.finish().await;
    }
}

/// The request never reached Jira: when the search lag has passed, the bridge sends it again.
#[tokio::test]
async fn a_request_that_never_arrived_is_sent_again() {
    for world in World::both("").await {
        world.jira.fault(Operation::CreateIssue, Fault::Dropped, Times::Once);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        world.advance(MINUTE);
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 0, "the search may still lag");
        for _ in 0..10 {
            world.advance(MINUTE / 4);
            world.run_worker().await;
        }
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;
    }
}

/// A configured status does not exist: no ticket, and a reason that names the key and the existing statuses.
#[tokio::test]
async fn a_ticket_without_an_approved_status_is_not_opened() {
    for world in World::both("ticket.statuses.approved = [\"Aproved\"]").await {
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!(answer.status, 403);
        assert!(
            answer.body.contains(
                "ticket.statuses.approved: no status \"Aproved\" in this workflow, which has \"To Do\""
            ),
            "{}",
            answer.body
        );
        assert_eq!(world.gates().await[0]["state"], "stuck");
        assert_eq!(world.tickets().len(), 0);
    }
}

/// The load tester's path: only the phase says which stage Flagger asks about.
#[tokio::test]
async fn the_load_testers_path() {
    for world in World::both("").await {
        world.asks("check", "Initialized", "old").await;
        world.run_worker().await;
        assert_eq!(world.gates().await[0]["stage"], "confirm-rollout");
        world.decides(&world.newest(), "Approved").await;
        assert_eq!(world.asks("check", "Waiting", "old").await.status, 200);
        assert_eq!(world.asks("check", "Progressing", "new").await.status, 403);
        world.run_worker().await;
        assert_eq!(world.gates().await[1]["stage"], "gate");
        world.decides(&world.newest(), "Approved").await;
        assert_eq!(world.asks("check", "Progressing", "new").await.status, 200);
        for path in
            ["/gate/open", "/gate/close", "/gate/approve", "/gate/halt", "/rollback/open", "/rollback/close"]
        {
            let answer = world.posts(path, &question("Waiting", "old")).await;
            assert_eq!(answer.status, 403, "{path}");
            assert!(answer.body.contains("Jira"), "{}", answer.body);
        }
        world.finish().await;
    }
}

/// An answer as JSON: the object of the API, and `open`.
#[tokio::test]
async fn an_answer_as_an_object() {
    for world in World::both("").await {
        let ask = || {
            let request = world.gate("POST", "/gate/confirm-promotion?gate=qa");
            let request =
                request.header("content-type", "application/json").header("accept", "application/json");
            world.sends(request.body(question("Progressing", "new").to_string()))
        };
        assert_eq!(ask().await.json()["state"], "opening");
        world.run_worker().await;
        let answer = ask().await.json();
        let mut expected = world.gates().await[0].clone();
        expected["open"] = false.into();
        assert_eq!(answer, expected);
        assert_eq!(answer["gate"], "qa");
        assert_eq!(answer["ticket"]["key"], world.newest());
        world.finish().await;
    }
}

/// Tickets that were opened at different times are read together: one request per hundred tickets.
#[tokio::test]
async fn tickets_of_different_ages_are_read_in_one_request() {
    let world = World::start(Flavour::Cloud).await;
    for gate in ["confirm-promotion", "confirm-promotion?gate=qa", "confirm-promotion?gate=dba"] {
        world.asks(gate, "Progressing", "new").await;
        world.run_worker().await;
        world.advance(Duration::from_secs(7));
    }
    let mut looks = 0;
    for _ in 0..100 {
        world.advance(Duration::from_secs(1));
        looks += world.run_worker().await;
    }
    assert_eq!(looks, 5, "five cycles of 20 s");
    world.finish().await;
}
