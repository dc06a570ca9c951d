//! Gates that ask nobody: a ticket, a record, and a 200 at once.

use std::time::Duration;

use fake_jira::{BOB, Fault, Flavour, MIA, Operation, Times};

use crate::world::{World, log::Log, question};

crate::world::crash::crash_tests!(a_recorded_rollout, a_rejection_stops_it, a_freeze_holds_it);

const RECORD: &str = "approval.mode = \"record\"";
const MINUTE: Duration = Duration::from_secs(60);

impl World {
    /// The rows of the record of this kind.
    async fn rows(&self, kind: &str) -> i64 {
        self.count(&format!("audit WHERE kind = '{kind}'")).await
    }
}

/// Start and promotion of a rollout that nobody is asked about.
#[tokio::test]
async fn a_recorded_rollout() {
    for world in World::both(RECORD).await {
        // Before there is a ticket.
        let start = world.asks("confirm-rollout", "Waiting", "old").await;
        let words = "open: nobody is asked: this gate needs no approval, because approval.mode is \"record\"";
        assert!(start.status == 200 && start.body.starts_with(words), "{start:?}");
        world.run_worker().await;
        let ticket = world.newest();
        world.promotion_is_open().await;
        world.run_worker().await;
        let promotion = world.newest();
        assert_ne!(ticket, promotion);
        let answer = world.promotes().await;
        assert!(answer.body.contains(&promotion) && answer.body.contains("nobody is asked"), "{answer:?}");
        for ticket in world.tickets() {
            assert!(ticket.labels.contains(&"flagger-recorded".to_owned()), "{:?}", ticket.labels);
            let text = format!("{:?}", ticket.description);
            assert!(text.contains("asks nobody") && !text.contains("Who may approve"), "{text}");
        }
        // Somebody approves it all the same: nothing changes, and nothing says that it was approved.
        world.decides(&promotion, "Approved").await;
        let gates = world.gates().await;
        let shown = gates.as_array().unwrap().iter().find(|gate| gate["ticket"]["key"] == promotion).unwrap();
        assert_eq!((&shown["state"], &shown["mode"]), (&"recorded".into(), &"record".into()), "{shown}");
        let page = world.sends(world.admin("GET", "/")).await.body;
        assert!(
            page.contains("recorded, not asked") && page.contains("<strong>Nobody is asked</strong>"),
            "{page}"
        );

        assert_eq!(world.reports("/post-rollout", "Succeeded", "new").await.status, 200);
        world.run_worker().await;
        assert_eq!((world.rows("recorded").await, world.rows("passed").await), (2, 0));
        assert_eq!(world.rows("bypassed").await, 0);
        for ticket in world.tickets() {
            let said = format!("{:?}", ticket.comments);
            assert!(said.contains("succeeded") && said.contains("Nobody was asked here"), "{said}");
            assert!(!said.contains("approved"), "{said}");
        }
        world.finish().await;
    }
}

/// No means no: a rejection closes the gate, rolls back, and is taken back like any other.
#[tokio::test]
async fn a_rejection_stops_it() {
    for world in World::both(&format!("{RECORD}\napproval.approvers = [\"{MIA}\", \"mia\"]")).await {
        world.promotion_is_open().await;
        world.run_worker().await;
        let key = world.newest();
        world.jira.move_issue(&key, "Rejected", BOB).unwrap();
        world.nudges(&key).await;
        world.run_worker().await;
        world.promotion_is_closed("rejected by").await;
        let back = world.asks("rollback", "Progressing", "new").await;
        assert_eq!(back.status, 403, "Bob may not approve: {}", back.body);
        world.decides(&key, "To Do").await;
        world.promotion_is_open().await;
        world.decides(&key, "Rejected").await;
        world.promotion_is_closed("rejected by").await;
        assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
        world.finish().await;
    }
}

/// A limit and a database that cannot be written keep it closed.
#[tokio::test]
async fn without_a_record_it_is_closed() {
    for flavour in [Flavour::Cloud, Flavour::DataCenter] {
        let world =
            World::start_with(flavour, &format!("{RECORD}\nlimits.open_tickets_per_namespace = 1")).await;
        world.sql("ALTER TABLE turn RENAME TO elsewhere").await;
        let closed = world.promotes().await;
        assert!(closed.status == 403 && closed.body.starts_with("closed: stuck:"), "{closed:?}");
        world.sql("ALTER TABLE elsewhere RENAME TO turn").await;

        world.promotion_is_open().await;
        world.run_worker().await;
        let mut other = question("Progressing", "new");
        other["name"] = "web".into();
        let limited = world.posts("/gate/confirm-promotion", &other).await;
        assert_eq!(limited.status, 403, "{limited:?}");
        assert!(limited.body.contains("open_tickets_per_namespace"), "{limited:?}");
        world.finish().await;
    }
}

/// A ticket that was opened to be approved says that it is not needed any more, and that it is needed again.
#[tokio::test]
async fn the_mode_changes_while_it_waits() {
    let mut world = World::start(Flavour::Cloud).await;
    let before = world.settings.clone();
    let key = world.promotion_waits().await;
    world.restarts_with(&format!("{RECORD}\n")).await;
    world.promotion_is_open().await;
    world.advance(MINUTE * 4);
    world.run_worker().await;
    let said = |world: &World| format!("{:?}", world.jira.issue(&key).unwrap().comments);
    assert!(said(&world).contains("this ticket asks nobody"), "{}", said(&world));
    world.settings = before;
    world.restarts().await;
    world.promotion_is_closed("waiting for a decision").await;
    world.decides(&key, "Approved").await;
    world.promotion_is_open().await;
    assert_eq!((world.rows("recorded").await, world.rows("passed").await), (1, 1));
    world.finish().await;
}

/// Answers at gates that ask nobody are counted apart, and the record names nobody.
#[tokio::test]
async fn it_is_counted_and_recorded_apart() {
    let (log, _guard) = Log::start();
    let settings = "[[routes]]\nmatch = { namespace = \"shop\" }\napproval = { mode = \"record\" }";
    let world = World::start_with(Flavour::Cloud, settings).await;
    world.promotion_is_open().await;
    world.run_worker().await;
    world.decides(&world.newest(), "Approved").await;
    let metrics = world.sends(world.admin("GET", "/metrics")).await.body;
    for line in [
        "flagger_jira_bridge_gate_verdicts_total{stage=\"confirm-promotion\",verdict=\"recorded\"} 1\n",
        "flagger_jira_bridge_gate_verdicts_total{stage=\"confirm-promotion\",verdict=\"open\"} 0\n",
        "flagger_jira_bridge_gates{state=\"recorded\"} 1\n",
        "flagger_jira_bridge_approval_to_open_seconds_count 0\n",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(
        !metrics.contains("flagger_jira_bridge_decision_seconds_count{decision=\"approved\"} 1"),
        "{metrics}"
    );
    assert!(log.text().contains("because approval.mode is record: nobody is asked"), "{}", log.text());
    let nobody = "audit WHERE kind = 'recorded' AND detail LIKE '%\"mode\":\"record\"%' AND detail LIKE \
                  '%\"route\":\"routes[0]\"%' AND detail NOT LIKE '%\"decision\"%'";
    assert_eq!(world.count(nobody).await, 1);
    world.finish().await;
}

/// A freeze holds it as it holds every other gate, and nobody is asked afterwards.
#[tokio::test]
async fn a_freeze_holds_it() {
    let freeze = format!(
        "{RECORD}\nfreezes = [{{ match = {{ namespace = \"shop\" }}, until = \"2026-09-21T15:00:00Z\", \
         from = \"2026-09-01T00:00:00Z\", reason = \"Inventory\" }}]"
    );
    for world in World::both(&freeze).await {
        world.promotion_is_closed("frozen: this gate needs no approval, but in the freeze").await;
        world.run_worker().await;
        let key = world.newest();
        world.decides(&key, "Approved").await;
        world.promotion_is_closed("frozen: this gate needs no approval, but in the freeze").await;
        let gates = world.gates().await;
        let shown = (&gates[0]["state"], &gates[0]["mode"], &gates[0]["opens_at"]);
        assert_eq!(
            shown,
            (&"frozen".into(), &"record".into(), &"2026-09-21T15:00:00.000Z".into()),
            "{gates}"
        );
        assert_eq!((world.rows("recorded").await, world.rows("frozen").await), (0, 0));
        world.advance(MINUTE * 47);
        world.run_worker().await;
        world.promotion_is_open().await;
        assert_eq!((world.rows("recorded").await, world.rows("passed").await), (1, 0));
        world.finish().await;
    }
}

/// The time that a ticket plans is all that the ticket has to prove, and it proves it only while Jira can be read.
#[tokio::test]
async fn an_old_reading_proves_no_planned_time() {
    let settings = format!(
        "{RECORD}\napproval.planned = {{ start = \"customfield_10301\", end = \"customfield_10302\" }}\n\
         rollout.idle_after = \"3h\""
    );
    for world in World::both(&settings).await {
        world.promotion_is_closed("it is not known when this ticket plans its change").await;
        world.run_worker().await;
        let key = world.newest();
        for (field, value) in [
            ("customfield_10301", "2026-09-21T14:00:00.000+0000"),
            ("customfield_10302", "2026-09-22T14:00:00.000+0000"),
        ] {
            world.jira.set_time(&key, field, Some(value), MIA).unwrap();
        }
        world.advance(MINUTE / 3);
        world.run_worker().await;
        world.promotion_is_open().await;
        world.jira.fault(Operation::Any, Fault::Dropped, Times::Always);
        world.advance(MINUTE * 30);
        world.run_worker().await;
        world
            .promotion_is_closed(
                "the bridge last read its fields at 2026-09-21T14:13:40Z, which is too long ago",
            )
            .await;
        world.jira.clear_faults();
        world.advance(MINUTE);
        world.run_worker().await;
        world.promotion_is_open().await;
        world.finish().await;
    }
}

/// A gate that its question names a ticket for opens once it has that: otherwise nothing would record it, and nobody could stop it.
#[tokio::test]
async fn a_named_ticket_comes_first() {
    for world in World::both(&format!("{RECORD}\nticket.use = \"metadata.change\"")).await {
        let key = world.jira.add_issue("OPS", "Change", "Rejected", BOB).unwrap();
        let mut named = question("Progressing", "new");
        named["metadata"] = serde_json::json!({ "change": key });
        for _ in 0..3 {
            let closed = world.posts("/gate/confirm-promotion", &named).await;
            assert_eq!(closed.status, 403, "{closed:?}");
            world.run_worker().await;
            world.advance(MINUTE);
        }
        let free = world.jira.add_issue("OPS", "Change", "To Do", BOB).unwrap();
        named["metadata"] = serde_json::json!({ "change": free });
        world.posts("/gate/confirm-promotion", &named).await;
        world.run_worker().await;
        let open = world.posts("/gate/confirm-promotion", &named).await;
        assert!(open.status == 200 && open.body.contains(&free), "{open:?}");
        world.finish().await;
    }
}
