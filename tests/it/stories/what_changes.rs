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
            insta::assert_snapshot!(until_section(&text, "Technical details, for the application team"), @r"
            Flagger, which rolls out new versions in Kubernetes, is ready to start a new version of cart in namespace shop on cluster default. It waits for your decision on this ticket.
            The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.
            What changes
            Container
            Runs now
            After the rollout
            cart
            registry.example.com/shop/cart:6.4.0
            registry.example.com/shop/cart:6.5.0
            Also changes:
            • Container cart: environment variable PAYMENT_PASSWORD changed
            The application team says about this rollout (not verified):
            Name
            Value
            kubernetes.io/change-cause
            https://git.example.com/shop/cart/v6.5.0
            What your decision does
            • Approved: Flagger starts 6.5.0 within about 1 minute and gives it to some users first. If all checks pass, all users get it within about 8 minutes, unless another approval is needed on the way.
            • Rejected: nothing starts. This can be taken back: Flagger keeps asking, and starts the rollout if this ticket is approved later.
            • Any other status: the rollout waits.
            If the team deploys a newer version before Flagger starts, this approval covers that one instead: Flagger may start it without asking again.
            Who decides, and until when
            • Who may approve: any Jira user who can move this ticket. Approvals by apps, automations or the bridge itself are ignored.
            • Who may reject: any Jira user who can move this ticket to Rejected.
            • Until when: there is no deadline. The rollout waits for a decision here, unless it ends before that, for instance because the team removes the canary. A comment here will say so.
            • How long an approval is valid: if Flagger has not used it within 3 days, it expires, and the rollout waits. To renew it, move this ticket out of Approved and back. Once used, it no longer expires.
            • To withdraw an approval: move this ticket out of Approved before Flagger starts. Later, that does not stop the rollout.
            ");
        } else {
            insta::assert_snapshot!(until_section(&text, "h3. Technical details, for the application team"), @r"
            Flagger, which rolls out new versions in Kubernetes, is ready to start a new version of cart in namespace shop on cluster default. It waits for your decision on this ticket.\\ The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.

            h3. What changes

            || Container || Runs now || After the rollout ||
            | cart | registry.example.com/shop/cart:6.4.0 | registry.example.com/shop/cart:6.5.0 |

            Also changes:

            * Container cart: environment variable PAYMENT\_PASSWORD changed

            The application team says about this rollout \(not verified\):

            || Name || Value ||
            | kubernetes.io/change-cause | [https\://git.example.com/shop/cart/v6.5.0|https://git.example.com/shop/cart/v6.5.0] |

            h3. What your decision does

            * {*}Approved:{*} Flagger starts 6.5.0 within about 1 minute and gives it to some users first. If all checks pass, all users get it within about 8 minutes, unless another approval is needed on the way.
            * {*}Rejected:{*} nothing starts. This can be taken back: Flagger keeps asking, and starts the rollout if this ticket is approved later.
            * {*}Any other status:{*} the rollout waits.

            If the team deploys a newer version before Flagger starts, this approval covers that one instead: Flagger may start it without asking again.

            h3. Who decides, and until when

            * {*}Who may approve:{*} any Jira user who can move this ticket. Approvals by apps, automations or the bridge itself are ignored.
            * {*}Who may reject:{*} any Jira user who can move this ticket to Rejected.
            * {*}Until when:{*} there is no deadline. The rollout waits for a decision here, unless it ends before that, for instance because the team removes the canary. A comment here will say so.
            * {*}How long an approval is valid:{*} if Flagger has not used it within 3 days, it expires, and the rollout waits. To renew it, move this ticket out of Approved and back. Once used, it no longer expires.
            * {*}To withdraw an approval:{*} move this ticket out of Approved before Flagger starts. Later, that does not stop the rollout.
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
async fn a_ticket_that_cannot_say_what_changes() {
    let cluster = Cluster::start().await;
    cluster.api.forbid("list", "deployments", None);
    let world = World::start_with(Flavour::Cloud, &cluster.settings("show")).await;
    world.asks("confirm-promotion", "Progressing", "new").await;
    world.run_worker().await;
    let text = fake_jira::text(&world.tickets().pop().unwrap().description);
    insta::assert_snapshot!(until_section(&text, "Technical details, for the application team"), @r"
    Flagger, which rolls out new versions in Kubernetes, is ready to give all users the new version of cart in namespace shop on cluster default. It waits for your decision on this ticket.
    The bridge between Flagger and Jira opened this ticket, and passes your decision on to Flagger.
    What changes
    The bridge could not read what changes. Its log says why.
    You can still decide: ask the team what changes. Please also tell the team that runs the bridge.
    What your decision does
    • Approved: all users get the new version. Flagger begins the next time it asks, which it does about once a minute, unless the team changed that.
    • Rejected: the new version does not replace the old version. The bridge does not know whether the team has set up a rollback after a rejection. If so, and if the person who rejects may also approve, Flagger rolls back the next time it asks, and all users get the old version again. Otherwise nothing changes, unless Flagger's checks fail.
    • Any other status: the rollout waits.
    This approves this rollout only: another one, even of the same version, gets its own ticket.
    Who decides, and until when
    • Who may approve: any Jira user who can move this ticket. Approvals by apps, automations or the bridge itself are ignored.
    • Who may reject: any Jira user who can move this ticket to Rejected. That stops the rollout here.
    • Until when: there is no deadline. The rollout waits for a decision here, unless it ends before that, for instance because a newer version replaces it. A comment here will say so.
    • How long an approval is valid: if Flagger has not used it within 3 days, it expires, and the rollout waits. To renew it, move this ticket out of Approved and back. Once used, it no longer expires.
    • To withdraw an approval: move this ticket out of Approved before Flagger begins to give the new version to all users. Later, that undoes nothing.
    ");
    assert!(text.contains("Reading the cluster: failed when this ticket was opened."), "{text}");
    assert!(!text.contains("deployments"), "not for every reader: {text}");
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
