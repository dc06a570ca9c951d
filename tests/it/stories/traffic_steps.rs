//! Each step of traffic has a ticket of its own.

use std::collections::BTreeSet;

use fake_jira::{BOB, Flavour, MIA};

use crate::world::{Answer, World, cluster::Cluster};

crate::world::crash::crash_tests!(no_ticket_opens_two_steps);

const STEP: &str = "ticket.traffic = \"step\"";

impl World {
    async fn asks_for_traffic(&self) -> Answer {
        self.asks("confirm-traffic-increase", "Progressing", "new").await
    }

    /// Flagger is kept waiting, and the bridge opens a ticket; returns its key.
    async fn step_waits(&self) -> String {
        let answer = self.asks_for_traffic().await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        self.run_worker().await;
        self.newest()
    }

    async fn step_is_open(&self) {
        let answer = self.asks_for_traffic().await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// What `/api/gates` shows of the gate of this ticket.
    async fn gate_of(&self, key: &str) -> serde_json::Value {
        let gates = self.gates().await;
        let gate = gates.as_array().unwrap().iter().find(|gate| gate["ticket"]["key"] == key);
        gate.unwrap_or_else(|| panic!("{key}: {gates}")).clone()
    }
}

/// Where the bridge reads the Canary, tickets say how much traffic a step gives.
#[tokio::test]
async fn a_ticket_says_how_much_traffic_its_step_gives() {
    let cluster = Cluster::start().await;
    cluster.is_at("Progressing", 40, 0);
    for world in World::both(&format!("{}\n{STEP}", cluster.settings("show"))).await {
        cluster.is_at("Progressing", 40, 0);
        let first = world.step_waits().await;
        let ticket = world.jira.issue(&first).unwrap();
        assert!(ticket.summary.starts_with("Send 50 % of the traffic to cart"), "{}", ticket.summary);
        let text = fake_jira::text(&ticket.description);
        assert!(
            text.contains("gets 50 % of the traffic within about") && text.contains("It has 40 % now."),
            "{text}"
        );
        assert!(text.contains("This approves this step of traffic only."), "{text}");
        let gate = world.gate_of(&first).await;
        assert_eq!((&gate["step"], &gate["allowed_weight"]), (&1.into(), &50.into()), "{gate}");
        assert_eq!(world.step_waits().await, first, "asked again about the same step");
        world.decides(&first, "Approved").await;
        world.step_is_open().await;

        // Flagger has taken it. It asks once more at the last weight, and the approval does not open that.
        cluster.is_at("Progressing", 50, 0);
        let second = world.step_waits().await;
        assert_ne!(first, second);
        let text = fake_jira::text(&world.jira.issue(&second).unwrap().description);
        assert!(
            text.contains("Flagger goes on to the promotion") && text.contains("no step is left"),
            "{text}"
        );
        assert_eq!(world.gate_of(&first).await["state"], "passed");
        let page = world.sends(world.admin("GET", "/")).await.body;
        assert!(page.contains("step 1: up to 50 %") && page.contains("step 2</span>"), "{page}");

        // No means no, also at a step that was taken.
        world.decides(&first, "Rejected").await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
        world.finish().await;
    }
}

/// If the Canary cannot be read, no ticket is opened for a step that nobody knows.
#[tokio::test]
async fn an_unreadable_step_waits() {
    let cluster = Cluster::start().await;
    cluster.is_at("Progressing", 10, 0);
    let world = World::start_with(Flavour::Cloud, &format!("{}\n{STEP}", cluster.settings("show"))).await;
    let mut gone = crate::world::question("Progressing", "new");
    gone["name"] = "nowhere".into();
    let answer = world.posts("/gate/confirm-traffic-increase", &gone).await;
    let words = "closed: stuck: no ticket is opened: it is not known which step of traffic this is";
    assert!(answer.status == 403 && answer.body.starts_with(words), "{answer:?}");
    world.run_worker().await;
    assert!(world.tickets().is_empty());
    world.finish().await;
}

/// Without a cluster to read, tickets show what Flagger reports, and each approval is good for one answer.
#[tokio::test]
async fn each_reported_step_has_its_ticket() {
    for world in World::both(STEP).await {
        let first = world.step_waits().await;
        assert!(world.jira.issue(&first).unwrap().summary.starts_with("Send traffic (step 1) to cart"));
        world.decides(&first, "Approved").await;
        world.step_is_open().await;
        let mut event = crate::world::question("Progressing", "new");
        event["metadata"] = serde_json::json!({
            "eventMessage": "Advance cart.shop canary weight 10", "eventType": "Normal", "timestamp": "1795411223300",
        });
        assert_eq!(world.posts("/event", &event).await.status, 200);
        let second = world.step_waits().await;
        assert_ne!(first, second);
        let text = fake_jira::text(&world.jira.issue(&second).unwrap().description);
        assert!(text.contains("It has 10 % now. The bridge does not know how large the step is."), "{text}");
        world.decides(&second, "Approved").await;
        world.step_is_open().await;
        world.finish().await;
    }
}

/// Whenever the bridge is killed, and whatever answer is lost, each step needs a ticket of its own.
#[tokio::test]
async fn no_ticket_opens_two_steps() {
    for world in World::both(STEP).await {
        let mut opened = BTreeSet::new();
        while opened.len() < 3 {
            let answer = world.asks_for_traffic().await;
            if answer.status == 200 {
                let key = answer.body.split(' ').nth(1).unwrap().to_owned();
                assert!(opened.insert(key), "{}: {opened:?}", answer.body);
                continue;
            }
            world.run_worker().await;
            world.decides(&world.newest(), "Approved").await;
        }
        world.finish().await;
    }
}

/// The time that a ticket plans, or a label that lifts a freeze, opens its own step, and that once.
#[tokio::test]
async fn what_a_ticket_says_of_its_hours_opens_one_step() {
    let planned =
        "approval.planned = { start = \"customfield_10301\", end = \"customfield_10302\" }".to_owned();
    let freeze = format!(
        "approval.approvers = [\"{MIA}\", \"mia\"]\nfreezes = [{{ match = {{}}, from = \"2026-09-01T00:00:00Z\", until = \
         \"2026-10-01T00:00:00Z\", except = {{ labels = [\"emergency\"] }} }}]"
    );
    for (settings, rows) in [(planned, 0), (freeze, 2)] {
        for world in World::both(&format!("{STEP}\n{settings}")).await {
            for step in 1..=2 {
                let key = world.step_waits().await;
                world.decides(&key, "Approved").await;
                for (field, value) in [
                    ("customfield_10301", "2026-09-21T14:00:00.000+0000"),
                    ("customfield_10302", "2026-09-22T14:00:00.000+0000"),
                ] {
                    world.jira.set_time(&key, field, Some(value), MIA).unwrap();
                }
                world.jira.set_labels(&key, &["emergency"], MIA).unwrap();
                world.advance(std::time::Duration::from_secs(20));
                world.run_worker().await;
                world.step_is_open().await;
                assert_eq!(world.count("audit WHERE kind = 'passed'").await, step);
                assert_eq!(world.count("audit WHERE kind = 'frozen'").await, 0);
            }
            assert_eq!(world.count("audit WHERE kind = 'excepted'").await, rows);
            // The next step needs a ticket of its own.
            let third = world.step_waits().await;
            assert_eq!(world.tickets().len(), 3, "{third}");
            world.finish().await;
        }
    }
}

/// Where nobody is asked, a rejection still stops the steps after it, until it is taken back.
#[tokio::test]
async fn a_rejection_stops_the_steps_after_it() {
    for world in World::both(&format!("{STEP}\napproval.mode = \"record\"")).await {
        world.step_is_open().await;
        world.run_worker().await;
        world.step_is_open().await;
        world.run_worker().await;
        let (first, second) = (world.tickets()[0].key.clone(), world.newest());
        assert_ne!(first, second);
        for key in [&second, &first] {
            world.jira.move_issue(key, "Rejected", BOB).unwrap();
            world.advance(std::time::Duration::from_secs(20));
            world.run_worker().await;
            let closed = world.asks_for_traffic().await;
            assert!(closed.status == 403 && closed.body.contains("rejected by Bob Builder"), "{closed:?}");
            world.decides(key, "To Do").await;
            world.step_is_open().await;
            world.run_worker().await;
        }
        world.finish().await;
    }
}
