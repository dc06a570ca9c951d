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
            insta::assert_snapshot!(until_section(&text, "Technical details"), @r"
            Flagger, which rolls out new versions in Kubernetes, is about to start a new version of cart in namespace shop on cluster default. It waits for your decision on this ticket.
            The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.
            What changes
            Container
            Runs now
            After the rollout
            cart
            registry.example.com/shop/cart:6.4.0
            registry.example.com/shop/cart:6.5.0
            Also changes:
            • Container cart: environment variable PAYMENT_PASSWORD changed
            The application team says about this rollout (nobody has checked it):
            Name
            Value
            kubernetes.io/change-cause
            https://git.example.com/shop/cart/v6.5.0
            What your decision does
            • Approved: Flagger starts 6.5.0 within about 1 minute and gives it to some users first. If all checks pass, all users get it within about 8 minutes, unless another approval is needed on the way.
            • Rejected: nothing starts. Flagger keeps asking, and starts the rollout if this ticket is approved after all.
            • Any other status: the rollout waits.
            This approval also covers a newer version, if the team deploys one before Flagger starts: Flagger may start that one without asking again.
            Who decides, and until when
            • Who may approve: any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that Jira marks as an app.
            • Who may reject: any Jira user who can move this ticket to Rejected.
            • Until when: there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another way, for instance because the canary is deleted. A comment here says so then.
            • How long an approval counts: it expires if Flagger does not use it within 3 days. To renew it, move this ticket out of Approved and back. Once used, it no longer expires. Moving this ticket out of Approved withdraws it, but undoes nothing that Flagger has already done.
            ");
        } else {
            insta::assert_snapshot!(until_section(&text, "h3. Technical details"), @r"
            Flagger, which rolls out new versions in Kubernetes, is about to start a new version of cart in namespace shop on cluster default. It waits for your decision on this ticket.\\ The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.

            h3. What changes

            || Container || Runs now || After the rollout ||
            | cart | registry.example.com/shop/cart:6.4.0 | registry.example.com/shop/cart:6.5.0 |

            Also changes:

            * Container cart: environment variable PAYMENT\_PASSWORD changed

            The application team says about this rollout \(nobody has checked it\):

            || Name || Value ||
            | kubernetes.io/change-cause | [https\://git.example.com/shop/cart/v6.5.0|https://git.example.com/shop/cart/v6.5.0] |

            h3. What your decision does

            * {*}Approved:{*} Flagger starts 6.5.0 within about 1 minute and gives it to some users first. If all checks pass, all users get it within about 8 minutes, unless another approval is needed on the way.
            * {*}Rejected:{*} nothing starts. Flagger keeps asking, and starts the rollout if this ticket is approved after all.
            * {*}Any other status:{*} the rollout waits.

            This approval also covers a newer version, if the team deploys one before Flagger starts: Flagger may start that one without asking again.

            h3. Who decides, and until when

            * {*}Who may approve:{*} any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that Jira marks as an app.
            * {*}Who may reject:{*} any Jira user who can move this ticket to Rejected.
            * {*}Until when:{*} there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another way, for instance because the canary is deleted. A comment here says so then.
            * {*}How long an approval counts:{*} it expires if Flagger does not use it within 3 days. To renew it, move this ticket out of Approved and back. Once used, it no longer expires. Moving this ticket out of Approved withdraws it, but undoes nothing that Flagger has already done.
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
    insta::assert_snapshot!(until_section(&text, "Technical details"), @r#"
    Flagger, which rolls out new versions in Kubernetes, is about to give all users the new version of cart in namespace shop on cluster default. It waits for your decision on this ticket.
    The bridge between Flagger and Jira opened the ticket, and tells Flagger what you decide.
    What changes
    The bridge could not read what changes. The technical details of this ticket say why.
    You can still decide: ask the team what changes. Please also tell the team that runs the bridge.
    What your decision does
    • Approved: all users get the new version. Flagger begins the next time it asks, which it does once per analysis interval (a minute unless the team changed it).
    • Rejected: the new version does not replace the old version. If the team has set up a rollback hook, Flagger also takes the new version back the next time it asks, so that all users get the old version. Without such a hook, the traffic stays as it is.
    • Any other status: the rollout waits.
    This approves this rollout only: another one, even of the same version, gets its own ticket.
    Who decides, and until when
    • Who may approve: any Jira user who can move this ticket. The bridge's own account does not count, nor does an account that Jira marks as an app.
    • Who may reject: any Jira user who can move this ticket to Rejected. That stops the rollout here. Flagger takes the new version back only if that user may also approve.
    • Until when: there is no deadline. Flagger waits until this ticket is decided, or until this rollout ends in another way, for instance because a newer version replaces it. A comment here says so then.
    • How long an approval counts: it expires if Flagger does not use it within 3 days. To renew it, move this ticket out of Approved and back. Once used, it no longer expires. Moving this ticket out of Approved withdraws it, but undoes nothing that Flagger has already done.
    "#);
    assert!(text.contains("Reading the cluster: deployments.apps cannot be read since "), "{text}");
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
