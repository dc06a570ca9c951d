//! An approval in several steps, each by another person.

use std::time::Duration;

use fake_jira::{BOB, MIA};
use serde_json::{Value, json};

use crate::world::{Answer, World, program::run};

// Without the test that counts the entries of a long history.
crate::world::crash::crash_tests!(
    two_people_approve,
    one_person_is_not_enough,
    a_step_that_was_skipped,
    a_step_that_is_taken_back,
    who_asked_for_the_change_makes_no_step,
    a_step_of_an_unknown_person,
    a_ticket_that_is_relocated_between_the_steps,
);

const STEPS: &str = "approval.steps = [\"In Review\", \"Approved\"]\n";
const MINUTE: Duration = Duration::from_secs(60);

impl World {
    /// This person moves the ticket, and the bridge reads that.
    async fn moves(&self, key: &str, status: &str, who: &str) -> Answer {
        self.jira.move_issue(key, status, who).unwrap();
        self.advance(MINUTE);
        self.run_worker().await;
        self.promotes().await
    }

    fn said_once(&self, key: &str, words: &str) -> String {
        let said = self.comments_with(key, words);
        assert_eq!(said.len(), 1, "{words}: {said:?}");
        said[0].clone()
    }
}

fn is_closed(answer: &Answer, why: &str) {
    assert!(answer.status == 403 && answer.body.contains(why), "{why}: {} {}", answer.status, answer.body);
}

fn is_open(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// The steps in `/api/gates`, without times.
fn steps(gates: &Value) -> String {
    let step = |step: &Value| format!("{}: {}", step["status"].as_str().unwrap(), step["by"]);
    let steps = gates[0]["steps"].as_array().unwrap().iter().map(step).collect::<Vec<_>>().join(", ");
    format!("{steps}; next: {}", gates[0]["next_step"])
}

#[tokio::test]
async fn two_people_approve() {
    for world in World::both(STEPS).await {
        let key = world.promotion_waits().await;
        world.run_worker().await;
        is_closed(&world.promotes().await, "waiting for a decision; next is step 1 of 2: \"In Review\"");
        assert_eq!(steps(&world.gates().await), "In Review: null, Approved: null; next: \"In Review\"");
        let ticket = fake_jira::text(&world.jira.issue(&key).unwrap().description);
        let line = "an approval takes 2 steps, each by another person who may approve: move this ticket to In Review, then to \
                    Approved.";
        assert!(ticket.contains(line), "{ticket}");

        let answer = world.moves(&key, "In Review", MIA).await;
        is_closed(&answer, "waiting for a decision; \"In Review\" by Mia Change at ");
        is_closed(&answer, "; next is step 2 of 2: \"Approved\", by another person");
        assert_eq!(
            steps(&world.gates().await),
            "In Review: \"Mia Change\", Approved: null; next: \"Approved\""
        );
        let said = world.said_once(&key, "Step 1 of 2 is done");
        assert_eq!(
            said,
            "Step 1 of 2 is done: Mia Change moved this ticket to In Review. Next, another person who may approve must move it \
             to Approved."
        );

        let answer = world.moves(&key, "Approved", BOB).await;
        is_open(&answer);
        assert!(answer.body.contains(", after \"In Review\" by Mia Change at "), "{}", answer.body);
        assert!(steps(&world.gates().await).ends_with("next: null"));
        world.run_worker().await;
        world.said_once(&key, "Flagger was told to go on");

        // The record has both, with the entries that prove them.
        let (code, out, errors) = run(&["audit", "-c", &world.config()]);
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{out}");
        let rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let passed = &rows.iter().find(|row| row["kind"] == "passed").unwrap()["detail"];
        let (last, first) = (&passed["decision"], &passed["decision"]["steps"][0]);
        assert_eq!(
            (&first["by"]["name"], &first["status"]["name"]),
            (&json!("Mia Change"), &json!("In Review"))
        );
        assert_eq!(last["status"]["name"], "Approved");
        assert!(
            first["changelog_id"].is_string() && first["changelog_id"] != last["changelog_id"],
            "{passed}"
        );
        assert_eq!(passed["policy"]["steps"], json!(["In Review", "Approved"]));
        world.finish().await;
    }
}

#[tokio::test]
async fn one_person_is_not_enough() {
    for world in World::both(STEPS).await {
        let key = world.promotion_waits().await;
        world.moves(&key, "In Review", MIA).await;
        let answer = world.moves(&key, "Approved", MIA).await;
        is_closed(
            &answer,
            "which does not count: step 2 of 2 (\"Approved\") does not count: Mia Change made an earlier step, and each step \
             needs another person",
        );
        assert_eq!(world.gates().await[0]["state"], "not_allowed");
        world.run_worker().await;
        let said = world.said_once(&key, "This approval does not count");
        assert!(
            said.ends_with(
                "To approve it, move this ticket to a status that is none of the steps, and from there to In Review, then to \
                 Approved, each time by another person who may approve."
            ),
            "{said}"
        );
        // Somebody else does it.
        world.moves(&key, "In Review", MIA).await;
        is_open(&world.moves(&key, "Approved", BOB).await);
        world.finish().await;
    }
}

#[tokio::test]
async fn a_step_that_was_skipped() {
    for world in World::both(STEPS).await {
        let key = world.promotion_waits().await;
        let answer = world.moves(&key, "Approved", BOB).await;
        is_closed(
            &answer,
            "step 1 of 2 (\"In Review\") is missing; the ticket must be moved to \"In Review\" and \"Approved\", in this order, \
             each time by another person",
        );
        assert_eq!(world.gates().await[0]["state"], "not_allowed");
        is_closed(&world.moves(&key, "In Review", MIA).await, "next is step 2 of 2");
        is_open(&world.moves(&key, "Approved", BOB).await);
        world.finish().await;
    }
}

#[tokio::test]
async fn a_step_that_is_taken_back() {
    for world in World::both(STEPS).await {
        let key = world.promotion_waits().await;
        world.moves(&key, "In Review", MIA).await;
        is_open(&world.moves(&key, "Approved", BOB).await);
        // Back to the first step: it stays Mia's.
        let answer = world.moves(&key, "In Review", BOB).await;
        is_closed(&answer, "\"In Review\" by Mia Change at ");
        is_closed(&world.moves(&key, "Approved", MIA).await, "Mia Change made an earlier step");
        world.moves(&key, "In Review", BOB).await;
        is_open(&world.moves(&key, "Approved", BOB).await);
        // Back to another status: all over again.
        is_closed(&world.moves(&key, "To Do", MIA).await, "next is step 1 of 2");
        is_closed(&world.moves(&key, "Approved", BOB).await, "is missing");
        // Rejected, and approved after all.
        is_closed(&world.moves(&key, "Rejected", MIA).await, "rejected by Mia Change");
        is_closed(&world.moves(&key, "Approved", BOB).await, "is missing");
        world.moves(&key, "To Do", MIA).await;
        world.moves(&key, "In Review", BOB).await;
        is_open(&world.moves(&key, "Approved", MIA).await);
        world.finish().await;
    }
}

#[tokio::test]
async fn who_asked_for_the_change_makes_no_step() {
    for world in World::both(&format!("{STEPS}approval.deny = [\"group:requesters\"]\n")).await {
        world.jira.add_group("requesters", &[MIA]);
        let key = world.promotion_waits().await;
        let answer = world.moves(&key, "In Review", MIA).await;
        is_closed(&answer, "; step 1 of 2, \"In Review\" by Mia Change at ");
        is_closed(&answer, ", does not count: Mia Change may not approve this rollout: ");
        let said = world.said_once(&key, "Step 1 of 2 does not count");
        assert!(
            said.contains(
                "Mia Change moved this ticket to In Review, but Mia Change may not approve this rollout:"
            ),
            "{said}"
        );
        is_closed(&world.moves(&key, "Approved", BOB).await, "step 1 of 2 (\"In Review\") does not count");
        world.finish().await;
    }
}

/// It is not known whether Mia is an approver, until Jira says so.
#[tokio::test]
async fn a_step_of_an_unknown_person() {
    for world in
        World::both(&format!("{STEPS}approval.approvers = [\"{BOB}\", \"bob\", \"role:Board\"]\n")).await
    {
        let key = world.promotion_waits().await;
        let answer = world.moves(&key, "In Review", MIA).await;
        is_closed(
            &answer,
            "; it is not known yet whether step 1 of 2 counts, \"In Review\" by Mia Change at ",
        );
        let answer = world.moves(&key, "Approved", BOB).await;
        is_closed(&answer, "stuck: approved by Bob");
        is_closed(
            &answer,
            "step 1 of 2 (\"In Review\"): the bridge cannot tell whether Mia Change is an approver",
        );
        world.jira.add_to_role("OPS", "Board", &[MIA], &[]);
        world.advance(MINUTE);
        world.run_worker().await;
        is_open(&world.promotes().await);
        world.finish().await;
    }
}

#[tokio::test]
async fn a_ticket_that_is_relocated_between_the_steps() {
    for world in World::both(STEPS).await {
        let key = world.promotion_waits().await;
        world.moves(&key, "In Review", MIA).await;
        let there = world.jira.move_to_project(&key, "PAY", MIA).unwrap();
        world.advance(MINUTE);
        let back = world.jira.move_to_project(&there, "OPS", MIA).unwrap();
        world.advance(MINUTE);
        let answer = world.moves(&back, "Approved", BOB).await;
        is_closed(
            &answer,
            "step 1 of 2 (\"In Review\") does not count: the ticket was moved between projects, issue types or workflows with it \
             or since",
        );
        world.moves(&back, "To Do", MIA).await;
        world.moves(&back, "In Review", MIA).await;
        is_open(&world.moves(&back, "Approved", BOB).await);
        world.finish().await;
    }
}

/// Cloud's answers hold a part of the history: the bridge reads on until it knows where the steps begin.
#[tokio::test]
async fn steps_far_apart_in_a_long_history() {
    for world in World::both(STEPS).await {
        let key = world.promotion_waits().await;
        world.moves(&key, "In Review", MIA).await;
        for nth in 0..150 {
            world.jira.edit_labels(&key, &[&format!("label-{nth}")], &[], BOB).unwrap();
        }
        is_open(&world.moves(&key, "Approved", BOB).await);
        // The same where the bridge knows nothing of the ticket's history.
        world.restarts().await;
        is_closed(&world.moves(&key, "In Review", BOB).await, "\"In Review\" by Mia Change at ");
        for nth in 150..300 {
            world.jira.edit_labels(&key, &[&format!("label-{nth}")], &[], BOB).unwrap();
        }
        is_open(&world.moves(&key, "Approved", BOB).await);
        world.finish().await;
    }
}

/// The key is set while a ticket waits, and taken back by a route.
#[tokio::test]
async fn settings_that_are_changed() {
    for mut world in World::both("").await {
        let key = world.promotion_waits().await;
        is_open(&world.moves(&key, "Approved", BOB).await);
        world.restarts_with(STEPS).await;
        world.advance(MINUTE);
        world.run_worker().await;
        is_closed(&world.promotes().await, "step 1 of 2 (\"In Review\") is missing");
        let said = world.said_once(&key, "The rules for this ticket changed").replace("{*}", "");
        assert!(said.contains("Steps: an approval takes 2 steps, each by another person who may approve: move this ticket to In Review, then to Approved."), "{said}");
        world.moves(&key, "In Review", MIA).await;
        is_open(&world.moves(&key, "Approved", BOB).await);
        world.moves(&key, "To Do", MIA).await;
        // A route that needs one step.
        let one = "routes = [{ match = {}, approval = { steps = [\"Approved\"] } }]\n";
        world.restarts_with(one).await;
        is_open(&world.moves(&key, "Approved", MIA).await);
        world.finish().await;
    }
}
