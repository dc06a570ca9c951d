//! A ticket says what changes, where the bridge reads the API server.

use std::time::Duration;

use fake_jira::Flavour;

use crate::world::{World, cluster::Cluster, program::until};

/// The part of a ticket's description before its section with this heading.
fn until_section(ticket: &str, heading: &str) -> String {
    ticket.split(&format!("\n{heading}\n")).next().unwrap().to_owned()
}

#[tokio::test]
async fn a_ticket_says_what_changes() {
    let cluster = Cluster::start().await;
    for world in World::both(&cluster.settings("show")).await {
        world.asks("confirm-rollout", "Succeeded", "old").await;
        world.run_worker().await;
        let ticket = world.tickets().pop().unwrap();
        let text = fake_jira::text(&ticket.description);
        if world.is_cloud() {
            insta::assert_snapshot!(until_section(&text, "What"), @r"
            Flagger is about to start rolling out a new revision of cart in namespace shop on cluster default. It waits for this ticket.
            What changes
            Container
            Runs now
            After the rollout
            cart
            registry.example.com/shop/cart:6.4.0
            registry.example.com/shop/cart:6.5.0
            Also changes:
            • Container cart: environment variable PAYMENT_PASSWORD changed
            About this rollout:
            • Target: Deployment cart
            • kubernetes.io/change-cause: https://git.example.com/shop/cart/v6.5.0
            • Strategy: Canary: traffic in steps of 10 % up to 50 %, every minute; rolled back after 5 failed checks; metric request-success-rate.
            ");
        } else {
            insta::assert_snapshot!(until_section(&text, "h3. What"), @r"
            Flagger is about to start rolling out a new revision of cart in namespace shop on cluster default. It waits for this ticket.

            h3. What changes

            || Container || Runs now || After the rollout ||
            | cart | registry.example.com/shop/cart:6.4.0 | registry.example.com/shop/cart:6.5.0 |

            Also changes:

            * Container cart: environment variable PAYMENT\_PASSWORD changed

            About this rollout:

            * {*}Target:{*} Deployment cart
            * {*}kubernetes.io/change-cause:{*} [https\://git.example.com/shop/cart/v6.5.0|https://git.example.com/shop/cart/v6.5.0]
            * {*}Strategy:{*} Canary: traffic in steps of 10 % up to 50 %, every minute; rolled back after 5 failed checks; metric request-success-rate.
            ");
        }
        assert!(!text.contains("hunter"), "{text}");
        let gates = world.sends(world.admin("GET", "/api/gates")).await.json();
        assert_eq!(gates[0]["change"], "cart 6.4.0 → 6.5.0");
        let page = world.sends(world.admin("GET", "/")).await.body;
        assert!(page.contains("cart 6.4.0 → 6.5.0"), "{page}");
        world.finish().await;
    }
    assert_eq!(cluster.api.complaints(), Vec::<String>::new());
}

/// What is read late or not at all keeps no gate closed.
#[tokio::test]
async fn a_ticket_says_why_it_does_not_say_what_changes() {
    let cluster = Cluster::start().await;
    cluster.api.forbid("list", "deployments", None);
    let world = World::start_with(Flavour::Cloud, &cluster.settings("show")).await;
    world.asks("confirm-promotion", "Progressing", "new").await;
    world.run_worker().await;
    let text = fake_jira::text(&world.tickets().pop().unwrap().description);
    insta::assert_snapshot!(until_section(&text, "What"), @r#"
    Flagger is about to replace what is running with the new revision of cart in namespace shop on cluster default. It waits for this ticket.
    What changes
    The bridge could not read what changes: deployments.apps cannot be read since 2026-09-21T14:13:20Z: the API server forbids it: deployments.apps is forbidden: User "system:serviceaccount:flagger:bridge" cannot list resource "deployments" in API group "apps" at the cluster scope.
    You can decide all the same: ask the team what changes. And tell the team that runs the bridge.
    "#);
    let key = world.newest();
    world.decides(&key, "Approved").await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
    world.finish().await;
}

/// One watch for each kind, whatever Flagger asks, and one reading of the Canary when a rollout begins.
#[tokio::test]
async fn questions_cost_no_requests() {
    let cluster = Cluster::start().await;
    let settings = format!("{}\nkubernetes.events = false", cluster.settings("show"));
    let world = World::start_with(Flavour::Cloud, &settings).await;
    let watches = || {
        cluster
            .api
            .requests()
            .iter()
            .filter(|request| request.query.iter().any(|(name, _)| name == "watch"))
            .count()
    };
    until("three watches", async || watches() == 3).await;
    cluster.api.clear_requests();
    for _ in 0..10 {
        world.asks("confirm-promotion", "Progressing", "new").await;
        world.run_worker().await;
        world.advance(Duration::from_secs(10));
    }
    let requests: Vec<String> = cluster.api.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(requests, ["/apis/flagger.app/v1beta1/namespaces/shop/canaries/cart"]);
    world.finish().await;
}
