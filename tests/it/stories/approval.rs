//! The main job: Flagger asks, Jira decides, Flagger goes on.

use std::time::Duration;

use fake_jira::{Fault, Flavour, MIA, Operation, Times};

use crate::world::{World, question};

// Not those that count requests, or how soon one is made.
crate::world::crash::crash_tests!(
    one_question_one_ticket,
    approved_withdrawn_rejected,
    a_rejected_ticket_moved_back_waits_again,
    one_approval_opens_one_gate_of_one_rollout,
    a_restart_forgets_nothing_and_opens_nothing_twice,
    jira_is_away,
    a_lost_answer_makes_no_second_ticket,
    a_ticket_that_nobody_could_approve_is_not_opened,
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
            (403, "closed: opening: the ticket is being opened\n")
        );
        world.works().await;
        let key = world.newest();
        for _ in 0..5 {
            world.later(MINUTE);
            let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
            let url = format!("{}/browse/{key}", world.jira.base_url());
            assert_eq!(answer.status, 403);
            assert_eq!(answer.body, format!("closed: {key} (To Do), {url}, waiting for a decision\n"));
            world.works().await;
        }
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;
    }
}

#[tokio::test]
async fn approved_withdrawn_rejected() {
    for world in World::both("").await {
        world.asks("confirm-promotion", "Progressing", "new1").await;
        world.works().await;
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
        world.works().await;
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
        world.works().await;
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

        world.works().await;
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
        // Not even opened yet: the command survives.
        world.restarts().await;
        assert_eq!(world.tickets().len(), 0);
        world.works().await;
        let key = world.newest();
        world.restarts().await;
        world.decides(&key, "Approved").await;
        let before = world.asks("confirm-rollout", "Waiting", "old").await;
        assert_eq!(before.status, 200);
        world.restarts().await;
        let after = world.asks("confirm-rollout", "Waiting", "old").await;
        assert_eq!((after.status, after.body), (200, before.body));
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.works().await;
        let promotion = world.newest();
        world.decides(&promotion, "Rejected").await;
        world.restarts().await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
        world.works().await;
        assert_eq!(world.tickets().len(), 2);
        world.finish().await;
    }
}

/// A move opens the gate within one read of Jira when the webhook tells of it, and within `poll_every` and one read
/// when nothing does.
#[tokio::test]
async fn two_ways_to_hear_of_a_decision() {
    for world in World::both("").await {
        for (stage, by_webhook) in [("confirm-traffic-increase", true), ("confirm-promotion", false)] {
            world.asks(stage, "Progressing", "new").await;
            world.works().await;
            world.asks(stage, "Progressing", "new").await;
            let key = world.newest();
            world.later(MINUTE / 60);
            world.jira.move_issue(&key, "Approved", MIA).unwrap();
            world.jira.clear_requests();
            if by_webhook {
                assert_eq!(world.nudges(&key).await.status, 200);
            } else {
                world.works().await;
                assert_eq!(world.jira.requests().len(), 0, "it is not time to look yet");
                world.later(MINUTE / 3);
            }
            world.works().await;
            // What the search index of a Data Center says first is asked of the issue itself. And that the move was a transition is
            // told by the workflow as it is since.
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
        world.works().await;
        world.jira.move_issue(&world.newest(), "Approved", MIA).unwrap();
        world.later(MINUTE / 3);
        let looked = world.clock.now();
        world.works().await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
        world.jira.fault(Operation::Any, Fault::Dropped, Times::Always);
        for minute in 1..=10 {
            world.later(MINUTE);
            world.works().await;
            let answer = world.asks("confirm-promotion", "Progressing", "new").await;
            // One that waited for the lease of a process that was killed comes to the tenth minute too late.
            if world.clock.now().since(looked) <= 10 * MINUTE {
                assert_eq!(answer.status, 200, "minute {minute}: {}", answer.body);
            }
        }
        world.later(MINUTE);
        world.works().await;
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("approved, but Jira last confirmed that at"), "{}", answer.body);
        world.jira.clear_faults();
        world.later(MINUTE);
        world.works().await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
        world.finish().await;
    }
}

/// Jira did what it was asked and its answer was lost: the ticket is found again, not opened twice.
#[tokio::test]
async fn a_lost_answer_makes_no_second_ticket() {
    for world in World::both("").await {
        world.jira.set_index_lag(MINUTE);
        world.jira.fault(Operation::CreateIssue, Fault::LostAnswer, Times::Once);
        world.asks("confirm-promotion", "Progressing", "new").await;
        for _ in 0..20 {
            world.works().await;
            world.later(MINUTE / 4);
            world.asks("confirm-promotion", "Progressing", "new").await;
        }
        assert_eq!(world.tickets().len(), 1);
        world.decides(&world.newest(), "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
        world.finish().await;
    }
}

/// Jira did nothing and said nothing: once the search has had its time, the ticket is opened after all.
#[tokio::test]
async fn a_request_that_never_arrived_is_sent_again() {
    for world in World::both("").await {
        world.jira.fault(Operation::CreateIssue, Fault::Dropped, Times::Once);
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.works().await;
        world.later(MINUTE);
        world.works().await;
        assert_eq!(world.tickets().len(), 0, "the search may still lag");
        for _ in 0..10 {
            world.later(MINUTE / 4);
            world.works().await;
        }
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;
    }
}

/// A status of the configuration that does not exist: no ticket, and a reason that names the key and what there is.
#[tokio::test]
async fn a_ticket_that_nobody_could_approve_is_not_opened() {
    for world in World::both("ticket.statuses.approved = [\"Aproved\"]").await {
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.works().await;
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

/// The load tester's path: what it is about shows only in the phase.
#[tokio::test]
async fn the_load_testers_path() {
    for world in World::both("").await {
        world.asks("check", "Initialized", "old").await;
        world.works().await;
        assert_eq!(world.gates().await[0]["stage"], "confirm-rollout");
        world.decides(&world.newest(), "Approved").await;
        assert_eq!(world.asks("check", "Waiting", "old").await.status, 200);
        assert_eq!(world.asks("check", "Progressing", "new").await.status, 403);
        world.works().await;
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

/// A question, as JSON: the same object as in the API, and whether it is open.
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
        world.works().await;
        let answer = ask().await.json();
        let mut expected = world.gates().await[0].clone();
        expected["open"] = false.into();
        assert_eq!(answer, expected);
        assert_eq!(answer["gate"], "qa");
        assert_eq!(answer["ticket"]["key"], world.newest());
        world.finish().await;
    }
}

/// Tickets that were opened at different times are read together: a cycle costs a request for a hundred of them.
#[tokio::test]
async fn a_cycle_is_one_request_however_the_tickets_came() {
    let world = World::start(Flavour::Cloud).await;
    for gate in ["confirm-promotion", "confirm-promotion?gate=qa", "confirm-promotion?gate=dba"] {
        world.asks(gate, "Progressing", "new").await;
        world.works().await;
        world.later(Duration::from_secs(7));
    }
    let mut looks = 0;
    for _ in 0..100 {
        world.later(Duration::from_secs(1));
        looks += world.works().await;
    }
    assert_eq!(looks, 5, "five cycles of 20 s");
    world.finish().await;
}
