//! Teams share a bridge: no team uses up another's tickets, and a team's token gives no access to another's canaries.

use std::time::Duration;

use fake_jira::MIA;
use serde_json::{Value, json};

use crate::world::{Answer, World, log::Log, question};

const PROMOTION: &str = "/gate/confirm-promotion";
const SHOP: &str = "token-of-the-shop-0123456789";
const PAY: &str = "token-of-payments-0123456789";
const ALL: &str = "token-of-the-platform-0123456789";

/// A question about a canary in a namespace.
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

/// One namespace reaches its limit of tickets; the others are not affected, before and after a restart.
#[tokio::test]
async fn a_namespace_uses_up_its_own_tickets() {
    for world in World::both("limits = { open_tickets = 10, open_tickets_per_namespace = 4 }").await {
        for number in 0..8 {
            assert_eq!(world.asks_for("loud", &format!("made-up-{number}")).await.status, 403);
        }
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 4);
        let refused = world.asks_for("loud", "made-up-7").await;
        let words = "closed: stuck: no ticket is opened: 4 tickets of namespace loud are open, which is all that \
                     limits.open_tickets_per_namespace allows\n";
        assert_eq!(refused.body, words);
        let page = world.sends(world.admin("GET", "/")).await.body;
        assert!(page.contains("4 for one namespace, so no gate of default&#x2f;loud gets another"), "{page}");
        let gates = world.gates().await;
        let names_limit =
            |gate: &&Value| gate["reason"].as_str().unwrap().contains("open_tickets_per_namespace");
        assert_eq!(gates.as_array().unwrap().iter().filter(names_limit).count(), 4);
        assert_ne!(world.series("tickets_refused_total{reason=\"open_tickets_per_namespace\"}").await, "0");

        let first = world.asks_for("quiet", "till").await;
        assert_eq!(first.body, "closed: opening: the ticket is being opened\n");
        world.restarts().await;
        assert!(world.asks_for("loud", "made-up-9").await.body.contains("open_tickets_per_namespace"));
        assert_eq!(
            world.asks_for("calm", "till").await.body,
            "closed: opening: the ticket is being opened\n"
        );
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 6);
        world.finish().await;
    }
}

/// A deleted ticket does not count towards the limits, also after a restart.
#[tokio::test]
async fn deleted_tickets_do_not_count() {
    for world in World::both("limits = { open_tickets = 3, open_tickets_per_namespace = 2 }").await {
        for (namespace, name) in [("loud", "a"), ("loud", "b"), ("quiet", "till")] {
            world.asks_for(namespace, name).await;
        }
        world.run_worker().await;
        let tickets = world.tickets();
        assert!(world.asks_for("loud", "c").await.body.contains("limits.open_tickets_per_namespace"));
        assert!(world.asks_for("calm", "c").await.body.contains("limits.open_tickets allows"));
        for ticket in &tickets[..2] {
            world.jira.delete_issue(&ticket.key, MIA).unwrap();
        }
        world.advance(Duration::from_mins(4));
        world.run_worker().await;
        world.restarts().await;
        assert_eq!(world.asks_for("calm", "c").await.body, "closed: opening: the ticket is being opened\n");
        assert_eq!(world.asks_for("loud", "c").await.body, "closed: opening: the ticket is being opened\n");
        world.run_worker().await;
        world.finish().await;
    }
}

/// How a caller sends its token.
#[derive(Clone, Copy, Debug)]
enum TokenPlace {
    Basic,
    Bearer,
    Metadata,
}

impl World {
    async fn posts_with_team_token(
        &self,
        way: TokenPlace,
        token: &str,
        path: &str,
        mut body: Value,
    ) -> Answer {
        let request = self.gate("POST", path).header("content-type", "application/json");
        let request = match way {
            TokenPlace::Basic => request.basic_auth("any", Some(token)),
            TokenPlace::Bearer => request.bearer_auth(token),
            TokenPlace::Metadata => {
                body["metadata"] = json!({ "token": token });
                request
            }
        };
        self.sends(request.body(body.to_string())).await
    }
}

/// Each team has a token for its own namespaces. Its requests about another team's canary change nothing.
#[tokio::test]
async fn no_team_speaks_for_another() {
    let (log, _guard) = Log::start();
    let settings = format!(
        "flagger.token = \"{ALL}\"\nflagger.tokens = [{{ token = \"{SHOP}\", namespaces = [\"shop\"] }}, \
         {{ token = \"{PAY}\", namespaces = [\"payments-*\", \"ledger\"] }}]\n"
    );
    for world in World::both(&settings).await {
        for way in [TokenPlace::Basic, TokenPlace::Bearer, TokenPlace::Metadata] {
            assert_eq!(
                world.posts_with_team_token(way, SHOP, PROMOTION, about("shop", "cart")).await.status,
                403
            );
            assert_eq!(
                world.posts_with_team_token(way, PAY, PROMOTION, about("payments-eu", "till")).await.status,
                403
            );
        }
        world.run_worker().await;
        let tickets = world.tickets();
        assert_eq!(tickets.len(), 2);
        for ticket in &tickets {
            world.decides(&ticket.key, "Approved").await;
        }
        assert_eq!(
            world
                .posts_with_team_token(TokenPlace::Basic, SHOP, PROMOTION, about("shop", "cart"))
                .await
                .status,
            200
        );
        let turns = world.turns().await;
        for way in [TokenPlace::Basic, TokenPlace::Bearer, TokenPlace::Metadata] {
            let question = world.posts_with_team_token(way, PAY, PROMOTION, about("shop", "cart")).await;
            let words =
                "closed: the token does not allow namespace \"shop\", see flagger.tokens[1].namespaces\n";
            assert_eq!((question.status, question.body.as_str()), (403, words), "{way:?}");
            let rollback =
                world.posts_with_team_token(way, PAY, "/gate/rollback", about("shop", "cart")).await;
            assert_eq!(rollback.status, 403, "{way:?}");
            for path in ["/post-rollout", "/event"] {
                for phase in ["Succeeded", "Failed"] {
                    let mut report = about("shop", "cart");
                    report["phase"] = phase.into();
                    let report = world.posts_with_team_token(way, PAY, path, report).await;
                    assert_eq!(report.status, 200, "{way:?} {path}");
                    assert!(report.body.starts_with("dropped: the token does not allow"), "{}", report.body);
                }
            }
            let good = world.posts_with_team_token(way, SHOP, PROMOTION, about("shop", "cart")).await;
            assert_eq!(good.status, 200, "{way:?}: the rollout goes on: {}", good.body);
            let platform =
                world.posts_with_team_token(way, ALL, PROMOTION, about("payments-eu", "till")).await;
            assert_eq!(platform.status, 200, "{way:?}: {}", platform.body);
        }
        // The only write since is the first use of the payments team's approval.
        assert_eq!(world.turns().await, turns + 1);
        let mut report = about("shop", "cart");
        report["phase"] = "Succeeded".into();
        assert_eq!(
            world.posts_with_team_token(TokenPlace::Basic, SHOP, "/post-rollout", report).await.body,
            "stored\n"
        );
        world.finish().await;
    }
    let log = log.text();
    assert!(!log.contains(SHOP) && !log.contains(PAY) && !log.contains(ALL));
}
