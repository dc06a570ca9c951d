//! Behaviour of the real Flagger that its questions do not show: restarts without a question, lost reports, a Canary
//! that is created again, hooks without a type.

use std::time::Duration;

use fake_jira::{Flavour, IssueView};
use serde_json::{Value, json};

use crate::world::{Answer, World, crash::Plan, log::Log, question};

crate::world::crash::crash_tests!(
    a_newer_revision_ships_under_an_older_approval,
    another_revision_starts_than_was_asked_about,
    a_success_that_only_the_next_question_shows,
    a_canary_recreated_while_it_waits,
    a_recreated_canary_voids_its_approvals,
    a_missing_checksum_opens_nothing,
    a_checksum_after_a_ticket_without_one,
    the_new_checksum_in_phase_progressing,
);

const MINUTE: Duration = Duration::from_secs(60);

fn comments(ticket: &IssueView) -> Vec<String> {
    ticket.comments.iter().map(|comment| comment.text().replace('\n', " ")).collect()
}

impl World {
    /// The ticket's comments as one text.
    fn comment_text(&self, key: &str) -> String {
        comments(&self.jira.issue(key).unwrap()).join(" / ")
    }

    /// Sends an event with this message of Flagger.
    async fn event(&self, phase: &str, checksum: &str, words: &str) {
        let mut event = question(phase, checksum);
        event["metadata"] = json!({ "eventMessage": words, "eventType": "Normal", "timestamp": "1" });
        assert_eq!(self.posts("/event", &event).await.status, 200);
    }

    /// A question without a checksum.
    async fn asks_without_checksum(&self, stage: &str, phase: &str) -> Answer {
        self.posts(&format!("/gate/{stage}"), &json!({ "name": "cart", "namespace": "shop", "phase": phase }))
            .await
    }

    /// Asks at confirm-rollout, approves the ticket, and gets 200; then Flagger starts the rollout.
    async fn starts_rollout(&self, phase: &str, base: &str) -> String {
        self.asks("confirm-rollout", phase, base).await;
        self.run_worker().await;
        let key = self.newest();
        self.decides(&key, "Approved").await;
        assert_eq!(self.asks("confirm-rollout", "Waiting", base).await.status, 200);
        self.event("Progressing", base, "New revision detected! Scaling up cart.shop").await;
        key
    }

    async fn on_record(&self, kind: &str) -> i64 {
        self.count(&format!("audit WHERE kind = '{kind}'")).await
    }

    async fn status_page(&self) -> String {
        self.sends(self.admin("GET", "/")).await.body
    }

    /// Whether the metrics of a single process contain this line. With restarts or replicas it is not checked: a
    /// counter starts again with its process, and each replica has its own.
    async fn has_metric(&self, line: &str) -> bool {
        Plan::current().is_some() || self.sends(self.admin("GET", "/metrics")).await.body.contains(line)
    }
}

/// confirm-rollout is the only hook with a question. 6.5.0 was approved; 6.6.0 is pushed while 6.5.0 is being analysed.
#[tokio::test]
async fn a_newer_revision_ships_under_an_older_approval() {
    for with_rollback_hook in [false, true] {
        for world in World::both("ticket.transitions.superseded = \"Cancelled\"").await {
            let key = world.starts_rollout("Succeeded", "640").await;
            world.event("Progressing", "650", "Advance cart.shop canary weight 20").await;
            world
                .event("Progressing", "650", "New revision detected! Restarting analysis for cart.shop")
                .await;
            if with_rollback_hook {
                assert_eq!(world.asks("rollback", "Progressing", "660").await.status, 403);
            }
            world.event("Progressing", "660", "Advance cart.shop canary weight 20").await;
            world.run_worker().await;
            let text = world.comment_text(&key);
            assert!(text.contains("superseded") && text.contains("no longer controls anything"), "{text}");
            assert!(text.contains("under this approval without asking"), "{text}");
            assert!(!text.contains("do not carry over"), "{text}");
            assert_eq!(world.on_record("unasked").await, 0, "it has not shipped yet");

            world.reports("/post-rollout", "Succeeded", "660").await;
            world.event("Succeeded", "660", "Promotion completed! Scaling down cart.shop").await;
            world.run_worker().await;
            assert_eq!(world.on_record("unasked").await, 1);
            let text = world.comment_text(&key);
            assert!(text.contains("660") && text.contains("shipped"), "{text}");
            assert!(world.has_metric("flagger_jira_bridge_unasked_total 1\n").await);
            let page = world.status_page().await;
            assert!(page.contains("660") && page.contains(&key), "{page}");
            // Flagger asks about the next revision as usual.
            assert_eq!(world.asks("confirm-rollout", "Succeeded", "660").await.status, 403);
            world.run_worker().await;
            assert_ne!(world.newest(), key);
            assert_eq!(world.on_record("unasked").await, 1);
            world.finish().await;
        }
    }
}

/// The same, but Flagger asks about the newer revision; or it fails; or its success becomes visible only later.
#[tokio::test]
async fn a_newer_revision_that_was_asked_about_or_failed() {
    for (then, unasked) in [("asked", 0), ("failed", 0), ("reported later", 1), ("only its end reported", 1)]
    {
        for world in World::both("").await {
            world.starts_rollout("Succeeded", "640").await;
            world.event("Progressing", "650", "Advance cart.shop canary weight 20").await;
            if then != "only its end reported" {
                world.event("Progressing", "660", "Advance cart.shop canary weight 20").await;
            }
            match then {
                "asked" => {
                    world.asks("confirm-promotion", "Progressing", "660").await;
                    world.run_worker().await;
                    world.decides(&world.newest(), "Approved").await;
                    assert_eq!(world.asks("confirm-promotion", "Progressing", "660").await.status, 200);
                    world.reports("/post-rollout", "Succeeded", "660").await;
                }
                "failed" => {
                    world.reports("/post-rollout", "Failed", "660").await;
                    world.reports("/post-rollout", "Succeeded", "670").await;
                }
                "reported later" => {
                    world.asks("confirm-rollout", "Succeeded", "660").await;
                }
                _ => {
                    world.reports("/post-rollout", "Succeeded", "660").await;
                }
            }
            world.run_worker().await;
            assert_eq!(world.on_record("unasked").await, unasked, "{then}");
            world.finish().await;
        }
    }
}

/// After a failure confirm-rollout names the new revision. Another one is pushed while it waits, and starts.
#[tokio::test]
async fn another_revision_starts_than_was_asked_about() {
    for by_event in [true, false] {
        for world in World::both("").await {
            let key = world.starts_rollout("Failed", "v2").await;
            if by_event {
                world.event("Progressing", "v3", "Starting canary analysis for cart.shop").await;
            }
            assert_eq!(world.asks("rollback", "Progressing", "v3").await.status, 403);
            world.run_worker().await;
            let text = world.comment_text(&key);
            assert!(text.contains("v2") && text.contains("v3") && text.contains("pushed"), "{text}");
            assert_eq!(world.on_record("other_revision").await, 1);
            // It is the same rollout, and ends with it.
            world.reports("/post-rollout", "Succeeded", "v3").await;
            world.run_worker().await;
            let text = world.comment_text(&key);
            assert!(text.contains("succeeded") && text.matches("pushed").count() == 1, "{text}");
            world.finish().await;
        }
    }
    for world in World::both("").await {
        let key = world.starts_rollout("Failed", "v2").await;
        world.event("Progressing", "v2", "Starting canary analysis for cart.shop").await;
        assert_eq!(world.asks("rollback", "Progressing", "v2").await.status, 403);
        world.reports("/post-rollout", "Succeeded", "v2").await;
        world.run_worker().await;
        assert_eq!(world.on_record("other_revision").await, 0);
        assert!(world.comment_text(&key).contains("succeeded"));
        world.finish().await;
    }
}

/// The bridge was down when Flagger reported the success; it infers it from the next question.
#[tokio::test]
async fn a_success_that_only_the_next_question_shows() {
    let transitions = "ticket.transitions = { succeeded = \"Done\", superseded = \"Cancelled\" }";
    for world in World::both(transitions).await {
        let first = world.starts_rollout("Succeeded", "old").await;
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        let second = world.newest();
        world.decides(&second, "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
        assert_eq!(world.asks("confirm-rollout", "Succeeded", "new").await.status, 403);
        world.run_worker().await;
        for key in [first, second] {
            let ticket = world.jira.issue(&key).unwrap();
            assert_eq!(ticket.status, "Done");
            assert!(world.comment_text(&key).contains("succeeded"), "{}", world.comment_text(&key));
        }
        world.finish().await;
    }
    // The ticket of a gate that was bypassed says so.
    for world in World::both("").await {
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        let key = world.newest();
        world.asks("confirm-rollout", "Succeeded", "new").await;
        world.run_worker().await;
        assert!(world.comment_text(&key).contains("WITHOUT this approval"), "{}", world.comment_text(&key));
        assert_eq!(world.on_record("bypassed").await, 1);
        world.finish().await;
    }
}

/// The Canary is deleted and created again while confirm-rollout waits: the waiting revision becomes the primary
/// without a question.
#[tokio::test]
async fn a_canary_recreated_while_it_waits() {
    for reported in ["Initializing", "only the last event", "another checksum"] {
        for world in World::both("").await {
            world.asks("confirm-rollout", "Initialized", "v1").await;
            world.run_worker().await;
            let key = world.newest();
            // This event carries the previous phase, and ends nothing.
            let halt = "Halt cart.shop advancement waiting for approval confirm-rollout";
            world.event("Initialized", "v1", halt).await;
            world.asks("confirm-rollout", "Waiting", "v1").await;
            world.event("Initialized", "v1", "Halt again").await;
            assert_eq!(world.gates().await[0]["ticket"]["key"], key.as_str());
            match reported {
                "Initializing" => {
                    world.event("Initializing", "0", "all the metrics providers are available!").await
                }
                "another checksum" => world.event("Initialized", "v2", "cart-primary.shop not ready").await,
                _ => world.event("Initialized", "v1", "Initialization done! cart.shop").await,
            }
            world.run_worker().await;
            let text = world.comment_text(&key);
            assert!(
                text.contains("created again. What was waiting is now running without this approval"),
                "{text}"
            );
            assert_eq!(world.on_record("bypassed").await, 1, "{reported}");
            assert_eq!(world.gates().await.as_array().unwrap().len(), 0, "{reported}");
            world.finish().await;
        }
    }
}

/// An approval, used or not, ends when its Canary is created again.
#[tokio::test]
async fn a_recreated_canary_voids_its_approvals() {
    for progress in ["waiting", "admitted", "running"] {
        for words in ["all the metrics providers are available!", "Initialization done! cart.shop"] {
            for world in World::both("").await {
                world.asks("confirm-rollout", "Succeeded", "v1").await;
                world.run_worker().await;
                let key = world.newest();
                world.decides(&key, "Approved").await;
                if progress != "waiting" {
                    assert_eq!(world.asks("confirm-rollout", "Waiting", "v1").await.status, 200);
                }
                if progress == "running" {
                    assert_eq!(world.asks("rollback", "Progressing", "v2").await.status, 403);
                }
                let phase = if words.starts_with("all") { "Initializing" } else { "Initialized" };
                // If the process is killed, the test repeats the last question, which may pass then.
                let waits = world.gates().await[0]["rollout"]["course"] == "asked";
                assert!(waits == (progress == "waiting") || Plan::current().is_some(), "{progress}");
                world.event(phase, "v2", words).await;
                let gates = world.gates().await;
                assert_eq!(gates.as_array().unwrap().len(), 0, "{progress}, {words}: {gates}");
                assert_eq!(world.asks("confirm-rollout", "Waiting", "v1").await.status, 403, "{progress}");
                world.run_worker().await;
                assert!(
                    world.comment_text(&key).contains("created again"),
                    "{progress}: {}",
                    world.comment_text(&key)
                );
                assert_eq!(world.on_record("bypassed").await, i64::from(waits), "{progress}, {words}");
                world.finish().await;
            }
        }
    }
}

/// The first question of a wait was lost: whether its checksum is the old or the new revision depends on whether the
/// previous rollout failed.
#[tokio::test]
async fn the_replaced_revision_is_named_only_if_it_is_known() {
    for (first, claimed) in
        [("Succeeded", true), ("Initialized", true), ("Failed", false), ("Waiting", false)]
    {
        for world in World::both("").await {
            world.asks("confirm-rollout", first, "1829384756").await;
            world.run_worker().await;
            let ticket = world.tickets()[0].description.to_string();
            assert_eq!(ticket.contains("Replaces revision"), claimed, "{first}: {ticket}");
            assert!(ticket.contains("1829384756"), "{first}: {ticket}");
            // The same holds for another gate of the same wait.
            world.posts("/gate/confirm-rollout?gate=qa", &question("Waiting", "1829384756")).await;
            world.run_worker().await;
            let ticket = world.tickets()[1].description.to_string();
            assert_eq!(ticket.contains("Replaces revision"), claimed, "{first}, qa: {ticket}");
            let shown = world.gates().await;
            assert_eq!(shown[0]["rollout"]["base"].is_string(), claimed, "{first}: {shown}");
            world.finish().await;
        }
    }
}

/// The ticket shows the team's label as sent. If the same checksum had another label before, the ticket says so.
#[tokio::test]
async fn a_label_is_shown_as_the_team_sent_it() {
    let labelled = |label: &str, checksum: &str| {
        let mut asked = question("Progressing", checksum);
        asked["metadata"] = json!({ "revision": label });
        asked
    };
    for world in World::both("").await {
        world.posts("/gate/confirm-promotion", &labelled("6.6.0", "c1")).await;
        world.run_worker().await;
        let first = world.tickets()[0].description.to_string();
        assert!(
            first.contains("New version, as the application team calls it") && first.contains("6.6.0"),
            "{first}"
        );
        world.posts("/gate/confirm-promotion", &labelled("6.7.0", "c1")).await;
        world.run_worker().await;
        let second = world.tickets()[1].description.to_string();
        assert!(second.contains("6.7.0") && second.contains("6.6.0"), "{second}");
        world.posts("/gate/confirm-promotion", &labelled("6.8.0", "c2")).await;
        world.run_worker().await;
        let third = world.tickets()[2].description.to_string();
        assert!(third.contains("6.8.0") && !third.contains("6.7.0"), "{third}");
        world.finish().await;
    }
}

/// Three hooks ask in each of five attempts within an hour.
#[tokio::test]
async fn several_hooks_of_one_attempt_count_once() {
    for world in World::both("").await {
        for attempt in 0..5 {
            let checksum = format!("v{attempt}");
            for stage in ["confirm-rollout", "confirm-traffic-increase", "confirm-promotion"] {
                let (phase, sent) = match stage {
                    "confirm-rollout" => ("Initialized", "base"),
                    _ => ("Progressing", checksum.as_str()),
                };
                let answer = world.asks(stage, phase, sent).await;
                assert!(!answer.body.contains("limits."), "{attempt} {stage}: {}", answer.body);
                world.run_worker().await;
            }
            world.reports("/post-rollout", "Failed", &checksum).await;
            world.advance(MINUTE);
        }
        assert_eq!(world.tickets().len(), 15);
        world.finish().await;
    }
}

/// Made-up gates and spoilt tickets within one rollout do not exceed the limit.
#[tokio::test]
async fn one_rollout_cannot_open_tickets_without_end() {
    for world in World::both("limits.tickets_per_canary_per_hour = 2").await {
        for gate in 0..40 {
            world
                .posts(&format!("/gate/confirm-promotion?gate=g{gate}"), &question("Progressing", "new"))
                .await;
            world.run_worker().await;
        }
        assert!(world.tickets().len() <= 10, "{}", world.tickets().len());
        world.finish().await;
    }
}

/// The hint "do two clusters use one name?" appears if a superseded revision comes back.
#[tokio::test]
async fn the_hint_at_two_clusters() {
    for two_clusters in [true, false] {
        for world in World::both("limits.tickets_per_canary_per_hour = 4").await {
            let mut said = String::new();
            for number in 0..8 {
                let revision = if two_clusters { number % 2 } else { number };
                said = world.asks("confirm-promotion", "Progressing", &format!("v{revision}")).await.body;
                world.run_worker().await;
            }
            assert!(said.contains("limits.tickets_per_canary_per_hour"), "{said}");
            assert_eq!(said.contains("do two clusters use one name?"), two_clusters, "{said}");
            world.finish().await;
        }
    }
}

/// If a canary ever sent a checksum, a question without one opens no ticket and is answered 403.
#[tokio::test]
async fn a_missing_checksum_opens_nothing() {
    for world in World::both("").await {
        world.asks("confirm-promotion", "Progressing", "v1").await;
        world.run_worker().await;
        world.decides(&world.newest(), "Approved").await;
        assert_eq!(world.asks("confirm-promotion", "Progressing", "v1").await.status, 200);
        for (stage, phase) in [("confirm-promotion", "Progressing"), ("confirm-rollout", "Waiting")] {
            let answer = world.asks_without_checksum(stage, phase).await;
            assert!(answer.status == 403 && answer.body.contains("checksum"), "{}", answer.body);
        }
        // That question ended no rollout.
        assert_eq!(world.asks("confirm-promotion", "Progressing", "v1").await.status, 200);
        world.reports("/post-rollout", "Succeeded", "v1").await;
        world.restarts().await;
        for (stage, phase) in [("confirm-promotion", "Progressing"), ("confirm-rollout", "Succeeded")] {
            let answer = world.asks_without_checksum(stage, phase).await;
            assert!(answer.status == 403 && answer.body.contains("checksum"), "{}", answer.body);
            world.run_worker().await;
        }
        assert_eq!(world.tickets().len(), 1);
        world.finish().await;
    }
}

/// A question without a checksum opened a ticket, which was approved. The next question has a checksum.
#[tokio::test]
async fn a_checksum_after_a_ticket_without_one() {
    for stage in ["confirm-promotion", "confirm-rollout"] {
        for world in World::both("").await {
            let phase = if stage == "confirm-rollout" { "Waiting" } else { "Progressing" };
            world.asks_without_checksum(stage, phase).await;
            world.run_worker().await;
            let key = world.newest();
            world.decides(&key, "Approved").await;
            let answer = world.asks(stage, phase, "v2").await;
            assert_eq!(answer.status, 403, "{stage}: {}", answer.body);
            world.run_worker().await;
            assert_ne!(world.newest(), key, "{stage}");
            assert!(world.comment_text(&key).contains("superseded"), "{}", world.comment_text(&key));
            world.finish().await;
        }
    }
}

/// A Flagger that sends the new checksum at confirm-rollout, in phase Progressing.
#[tokio::test]
async fn the_new_checksum_in_phase_progressing() {
    for world in World::both("").await {
        let asks = async |path: &str, checksum: &str| {
            world.posts(&format!("/gate/{path}"), &question("Progressing", checksum)).await.status
        };
        assert_eq!(asks("confirm-rollout", "v2").await, 403);
        world.run_worker().await;
        let first = world.newest();
        assert!(!world.tickets()[0].description.to_string().contains("Replaces revision"));
        assert_eq!(asks("confirm-rollout", "v2").await, 403);
        assert_eq!(world.gates().await[0]["rollout"]["revision"], "v2");
        world.decides(&first, "Approved").await;
        // Flagger may repeat the question: its answer was lost, or another gate of the stage follows.
        for _ in 0..2 {
            assert_eq!(asks("confirm-rollout", "v2").await, 200);
        }
        assert_eq!(asks("confirm-rollout?gate=qa", "v2").await, 403);
        world.run_worker().await;
        world.decides(&world.newest(), "Approved").await;
        for gate in ["confirm-rollout", "confirm-rollout?gate=qa"] {
            assert_eq!(asks(gate, "v2").await, 200, "{gate}");
        }
        // Flagger's event still carries the old checksum.
        world.event("Progressing", "v1", "New revision detected! Scaling up cart.shop").await;
        assert_eq!(world.asks("rollback", "Progressing", "v2").await.status, 403);
        assert_eq!(asks("confirm-promotion", "v2").await, 403);
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 3);
        world.decides(&world.newest(), "Approved").await;
        assert_eq!(asks("confirm-promotion", "v2").await, 200);
        // The approval holds neither for another revision nor for a retry of the same.
        assert_eq!(asks("confirm-rollout", "v3").await, 403);
        world.run_worker().await;
        world.decides(&world.newest(), "Approved").await;
        assert_eq!(asks("confirm-rollout", "v3").await, 200);
        assert_eq!(world.asks("rollback", "Progressing", "v3").await.status, 403);
        assert_eq!(asks("confirm-rollout", "v3").await, 403, "a retry after a failure that was not received");
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 5);
        world.finish().await;
    }
    // The approval is for the revision that the question named: another one pushed meanwhile does not start under it.
    for world in World::both("").await {
        world.asks("confirm-rollout", "Progressing", "v2").await;
        world.run_worker().await;
        let key = world.newest();
        world.decides(&key, "Approved").await;
        let answer = world.asks("confirm-rollout", "Progressing", "v3").await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        world.run_worker().await;
        assert_ne!(world.newest(), key);
        world.finish().await;
    }
}

/// A hook without a type at the path of confirm-rollout: Flagger calls it at each check, and treats 403 as a failed
/// check.
#[tokio::test]
async fn a_confirm_url_in_a_hook_without_a_type() {
    let (log, _guard) = Log::start();
    for others in [true, false] {
        for world in World::both("").await {
            for _ in 0..4 {
                if others {
                    assert_eq!(world.asks("rollback", "Progressing", "v2").await.status, 403);
                    world
                        .event("Progressing", "v2", "Halt cart.shop advancement external check x failed")
                        .await;
                }
                assert_eq!(world.asks("confirm-rollout", "Progressing", "v2").await.status, 403);
                world.run_worker().await;
                world.advance(MINUTE);
            }
            assert_eq!(world.tickets().len(), 1, "not a ticket for each check");
            let page = world.status_page().await;
            assert!(page.contains("type: confirm-rollout"), "{page}");
            let gates = world.gates().await;
            assert!(gates[0]["reason"].as_str().unwrap().contains("type: confirm-rollout"), "{gates}");
            world.finish().await;
        }
    }
    let text = log.text();
    assert!(text.contains("hook without a type"), "{text}");
}

/// Every answer contains its state's name.
#[tokio::test]
async fn an_answer_contains_its_state() {
    let world = World::start_with(Flavour::Cloud, "approval.valid_for = \"4s\"").await;
    let says = async |word: &str| {
        let answer = world.asks("confirm-promotion", "Progressing", "new").await;
        let state: Value = world.gates().await[0]["state"].clone();
        assert_eq!(state, word, "{}", answer.body);
        assert!(answer.body.contains(word), "{word}: {}", answer.body);
    };
    says("opening").await;
    world.run_worker().await;
    says("waiting").await;
    let key = world.newest();
    world.decides(&key, "Approved").await;
    says("expired").await;
    let answer = world.asks("confirm-promotion", "Progressing", "new").await.body;
    assert!(
        answer.contains("expired: approved by Mia") && answer.contains("not used within 4s; move"),
        "{answer}"
    );
    world.decides(&key, "Rejected").await;
    says("rejected").await;
    world.finish().await;
}
