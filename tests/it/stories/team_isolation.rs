//! Teams that share a bridge: none uses up another's tickets, and with a token of its own none speaks for another.

use std::time::Duration;

use fake_jira::MIA;
use serde_json::{Value, json};

use crate::world::{Answer, World, log::Log, question};

const PROMOTION: &str = "/gate/confirm-promotion";
const SHOP: &str = "token-of-the-shop-0123456789";
const PAY: &str = "token-of-payments-0123456789";
const ALL: &str = "token-of-the-platform-0123456789";

/// A question about a canary of some namespace.
fn about(namespace: &str, name: &str) -> Value {
    let mut question = question("Progressing", "new");
    question["namespace"] = namespace.into();
    question["name"] = name.into();
    question
}

impl World {
    async fn asks_for(&self, namespace: &str, name: &str) -> Answer {
        self.posts(PROMOTION, &about(namespace, name)).await
    }

    async fn series(&self, series: &str) -> String {
        let text = self.sends(self.admin("GET", "/metrics")).await.body;
        let series = format!("flagger_jira_bridge_{series} ");
        text.lines().find_map(|line| line.strip_prefix(&series)).unwrap_or("missing").to_owned()
    }
}

/// One namespace has as many tickets as it may; the others do not notice, before and after a restart.
#[tokio::test]
async fn a_namespace_uses_up_its_own_tickets() {
    for world in World::both("limits = { open_tickets = 10, open_tickets_per_namespace = 4 }").await {
        for number in 0..8 {
            assert_eq!(world.asks_for("loud", &format!("made-up-{number}")).await.status, 403);
        }
        world.works().await;
        assert_eq!(world.tickets().len(), 4);
        let refused = world.asks_for("loud", "made-up-7").await;
        let words = "closed: stuck: no ticket is opened: 4 tickets of namespace loud are open, which is all that \
                     limits.open_tickets_per_namespace allows\n";
        assert_eq!(refused.body, words);
        let page = world.sends(world.admin("GET", "/")).await.body;
        assert!(page.contains("4 for one namespace, so no gate of default&#x2f;loud gets another"), "{page}");
        let gates = world.gates().await;
        let told = |gate: &&Value| gate["reason"].as_str().unwrap().contains("open_tickets_per_namespace");
        assert_eq!(gates.as_array().unwrap().iter().filter(told).count(), 4);
        assert_ne!(world.series("tickets_refused_total{reason=\"open_tickets_per_namespace\"}").await, "0");

        let first = world.asks_for("quiet", "till").await;
        assert_eq!(first.body, "closed: opening: the ticket is being opened\n");
        world.restarts().await;
        assert!(world.asks_for("loud", "made-up-9").await.body.contains("open_tickets_per_namespace"));
        assert_eq!(
            world.asks_for("calm", "till").await.body,
            "closed: opening: the ticket is being opened\n"
        );
        world.works().await;
        assert_eq!(world.tickets().len(), 6);
        world.finish().await;
    }
}

/// A ticket that was deleted is no open one: it takes up no room, also after a restart.
#[tokio::test]
async fn tickets_that_are_gone_make_room() {
    for world in World::both("limits = { open_tickets = 3, open_tickets_per_namespace = 2 }").await {
        for (namespace, name) in [("loud", "a"), ("loud", "b"), ("quiet", "till")] {
            world.asks_for(namespace, name).await;
        }
        world.works().await;
        let tickets = world.tickets();
        assert!(world.asks_for("loud", "c").await.body.contains("limits.open_tickets_per_namespace"));
        assert!(world.asks_for("calm", "c").await.body.contains("limits.open_tickets allows"));
        for ticket in &tickets[..2] {
            world.jira.delete_issue(&ticket.key, MIA).unwrap();
        }
        world.later(Duration::from_mins(4));
        world.works().await;
        world.restarts().await;
        assert_eq!(world.asks_for("calm", "c").await.body, "closed: opening: the ticket is being opened\n");
        assert_eq!(world.asks_for("loud", "c").await.body, "closed: opening: the ticket is being opened\n");
        world.works().await;
        world.finish().await;
    }
}

/// How a caller brings its token.
#[derive(Clone, Copy, Debug)]
enum Brings {
    Basic,
    Bearer,
    Metadata,
}

impl World {
    async fn with(&self, way: Brings, token: &str, path: &str, mut body: Value) -> Answer {
        let request = self.gate("POST", path).header("content-type", "application/json");
        let request = match way {
            Brings::Basic => request.basic_auth("any", Some(token)),
            Brings::Bearer => request.bearer_auth(token),
            Brings::Metadata => {
                body["metadata"] = json!({ "token": token });
                request
            }
        };
        self.sends(request.body(body.to_string())).await
    }
}

/// Each team has a token that is good for its own namespaces. What it says of another's canary changes nothing.
#[tokio::test]
async fn no_team_speaks_for_another() {
    let (log, _guard) = Log::start();
    let settings = format!(
        "flagger.token = \"{ALL}\"\nflagger.tokens = [{{ token = \"{SHOP}\", namespaces = [\"shop\"] }}, \
         {{ token = \"{PAY}\", namespaces = [\"payments-*\", \"ledger\"] }}]\n"
    );
    for world in World::both(&settings).await {
        for way in [Brings::Basic, Brings::Bearer, Brings::Metadata] {
            assert_eq!(world.with(way, SHOP, PROMOTION, about("shop", "cart")).await.status, 403);
            assert_eq!(world.with(way, PAY, PROMOTION, about("payments-eu", "till")).await.status, 403);
        }
        world.works().await;
        let tickets = world.tickets();
        assert_eq!(tickets.len(), 2);
        for ticket in &tickets {
            world.decides(&ticket.key, "Approved").await;
        }
        assert_eq!(world.with(Brings::Basic, SHOP, PROMOTION, about("shop", "cart")).await.status, 200);
        let turns = world.turns().await;
        for way in [Brings::Basic, Brings::Bearer, Brings::Metadata] {
            let question = world.with(way, PAY, PROMOTION, about("shop", "cart")).await;
            let words =
                "closed: the token is not good for namespace \"shop\", see flagger.tokens[1].namespaces\n";
            assert_eq!((question.status, question.body.as_str()), (403, words), "{way:?}");
            let rollback = world.with(way, PAY, "/gate/rollback", about("shop", "cart")).await;
            assert_eq!(rollback.status, 403, "{way:?}");
            for path in ["/post-rollout", "/event"] {
                for phase in ["Succeeded", "Failed"] {
                    let mut report = about("shop", "cart");
                    report["phase"] = phase.into();
                    let report = world.with(way, PAY, path, report).await;
                    assert_eq!(report.status, 200, "{way:?} {path}");
                    assert!(report.body.starts_with("dropped: the token is not good for"), "{}", report.body);
                }
            }
            let good = world.with(way, SHOP, PROMOTION, about("shop", "cart")).await;
            assert_eq!(good.status, 200, "{way:?}: the rollout goes on: {}", good.body);
            let platform = world.with(way, ALL, PROMOTION, about("payments-eu", "till")).await;
            assert_eq!(platform.status, 200, "{way:?}: {}", platform.body);
        }
        // The first use of the approval of payments is the one turn since.
        assert_eq!(world.turns().await, turns + 1);
        let mut report = about("shop", "cart");
        report["phase"] = "Succeeded".into();
        assert_eq!(world.with(Brings::Basic, SHOP, "/post-rollout", report).await.body, "stored\n");
        world.finish().await;
    }
    let log = log.text();
    assert!(!log.contains(SHOP) && !log.contains(PAY) && !log.contains(ALL));
}
