//! With `kubernetes.mode = "bind"` an approval at confirm-rollout is for what its ticket shows.

use std::time::Duration;

use fake_jira::Flavour;

use crate::world::{Answer, World, cluster::Cluster, program::until};

crate::world::crash::crash_tests!(
    another_version_needs_another_approval,
    an_approval_is_not_for_what_is_pushed_after_it,
    a_version_that_starts_unapproved_is_recorded,
    an_approval_of_no_change_promotes_nothing,
);

async fn bound(cluster: &Cluster) -> World {
    World::start_with(Flavour::Cloud, &cluster.settings("bind")).await
}

async fn asks(world: &World, phase: &str) -> Answer {
    world.asks("confirm-rollout", phase, "old").await
}

/// A bridge of which Flagger asked at confirm-rollout, with the key of its ticket.
async fn waits() -> (Cluster, World, String) {
    let cluster = Cluster::start().await;
    let world = bound(&cluster).await;
    asks(&world, "Succeeded").await;
    world.run_worker().await;
    let key = world.newest();
    (cluster, world, key)
}

/// The same, and the ticket is approved.
async fn approved() -> (Cluster, World, String) {
    let (cluster, world, key) = waits().await;
    world.decides(&key, "Approved").await;
    (cluster, world, key)
}

/// The comments of the bridge on a ticket, one below the other.
fn comments(world: &World, key: &str) -> String {
    let ticket = world.jira.issue(key).unwrap();
    ticket.comments.iter().map(|comment| fake_jira::text(&comment.body)).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_approved_version_starts() {
    let (cluster, world, key) = waits().await;
    assert_eq!(asks(&world, "Waiting").await.status, 403);
    world.decides(&key, "Approved").await;
    let answer = asks(&world, "Waiting").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
    world.run_worker().await;
    let promotion = world.newest();
    world.decides(&promotion, "Approved").await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
    cluster.promotes("6.5.0");
    assert_eq!(world.posts("/post-rollout", &crate::world::question("Succeeded", "new")).await.status, 200);
    assert_eq!(world.tickets().len(), 2);
    world.finish().await;
    assert_eq!(cluster.api.complaints(), Vec::<String>::new());
}

/// Another version is pushed before anybody decides: the ticket that shows the first one is over.
#[tokio::test]
async fn another_version_needs_another_approval() {
    let (cluster, world, first) = waits().await;
    cluster.pushes("6.6.0");
    // The watch tells it a moment later.
    until("a second ticket", async || {
        assert_eq!(asks(&world, "Waiting").await.status, 403);
        world.run_worker().await;
        world.tickets().len() == 2
    })
    .await;
    let second = world.newest();
    world.decides(&first, "Approved").await;
    assert_eq!(asks(&world, "Waiting").await.status, 403, "{first} is about another version");
    assert!(comments(&world, &first).contains("another version was pushed before Flagger started"));
    assert!(fake_jira::text(&world.jira.issue(&second).unwrap().description).contains("6.6.0"));
    world.decides(&second, "Approved").await;
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    world.finish().await;
}

/// The ticket is approved, and then another version is pushed, just before Flagger asks.
#[tokio::test]
async fn an_approval_is_not_for_what_is_pushed_after_it() {
    let (cluster, world, first) = approved().await;
    // The watches tell nothing any more: what counts is what is read when Flagger asks.
    cluster.api.hold();
    cluster.pushes("6.6.0");
    let answer = asks(&world, "Waiting").await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    world.run_worker().await;
    let second = world.newest();
    assert_ne!(first, second);
    let said = comments(&world, &first);
    assert!(
        said.contains("This ticket showed: cart 6.4.0 → 6.5.0. What would start now: cart 6.4.0 → 6.6.0."),
        "{said}"
    );
    world.decides(&second, "Approved").await;
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    cluster.api.release();
    world.finish().await;
}

#[tokio::test]
async fn a_version_that_is_taken_back() {
    let (cluster, world, first) = approved().await;
    cluster.pushes("6.4.0");
    assert_eq!(asks(&world, "Waiting").await.status, 403);
    world.run_worker().await;
    insta::assert_snapshot!(comments(&world, &first), @r"The rollout was superseded: the pod template was changed back before it started. This ticket showed: cart 6.4.0 → 6.5.0. What would start now is what is already running, except perhaps for the content of ConfigMaps and Secrets. This ticket no longer controls anything. Flagger is still waiting, so there is another ticket. Decide there.");
    world.finish().await;
}

/// It is pushed after the answer and before Flagger acts on it.
#[tokio::test]
async fn a_version_that_starts_unapproved_is_recorded() {
    let (cluster, world, first) = approved().await;
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    cluster.pushes("6.6.0");
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
    world.run_worker().await;
    let second = world.newest();
    assert!(
        fake_jira::text(&world.jira.issue(&second).unwrap().description)
            .contains("Attention: Flagger started this version although")
    );
    let said = comments(&world, &first);
    assert!(said.contains("Deployed is: cart 6.4.0 → 6.6.0, which nobody approved"), "{said}");
    assert_eq!(world.count("audit WHERE kind = 'unapproved'").await, 1);
    world.decides(&second, "Approved").await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
    world.finish().await;
}

/// The same, and it is taken back before Flagger sends any message.
#[tokio::test]
async fn a_version_that_started_unapproved_and_is_taken_back_is_recorded() {
    let (cluster, world, first) = approved().await;
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    cluster.analyses("6.6.0");
    until("it is on record", async || {
        world.run_worker().await;
        world.count("audit WHERE kind = 'unapproved'").await == 1
    })
    .await;
    cluster.pushes("6.5.0");
    let said = comments(&world, &first);
    assert!(said.contains("Deployed is: cart 6.4.0 → 6.6.0, which nobody approved"), "{said}");
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
    world.finish().await;
}

/// While the API server cannot be asked, no ticket that shows a change opens anything. One that shows nothing is for the
/// revision that Flagger's questions name.
#[tokio::test]
async fn the_api_server_is_away() {
    let (cluster, world, _) = approved().await;
    cluster.api.unavailable(true);
    let answer = asks(&world, "Waiting").await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert!(answer.body.contains("stale: approved by Mia"), "{}", answer.body);
    cluster.api.unavailable(false);
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    cluster.api.unavailable(true);
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
    world.run_worker().await;
    let promotion = world.newest();
    world.decides(&promotion, "Approved").await;
    // Its question names the revision, and what was read before still holds.
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
    // Not for longer than that is trusted.
    for _ in 0..12 {
        world.advance(Duration::from_secs(60));
        world.run_worker().await;
        world.asks("confirm-promotion", "Progressing", "new").await;
    }
    let answer = world.asks("confirm-promotion", "Progressing", "new").await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert!(answer.body.contains("stale: approved by Mia"), "{}", answer.body);
    cluster.api.unavailable(false);
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
    world.finish().await;
}

/// The API server is away when confirm-promotion is first asked, and the watch still shows the version before. Minimised
/// from a modelled history.
#[tokio::test]
async fn a_promotion_ticket_that_shows_an_earlier_version_opens_nothing() {
    let cluster = Cluster::start().await;
    let world = bound(&cluster).await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "one").await.status, 403);
    cluster.api.hold();
    cluster.pushes("6.6.0");
    cluster.api.unavailable(true);
    assert_eq!(world.asks("confirm-promotion", "Progressing", "two").await.status, 403);
    world.run_worker().await;
    let late = world.newest();
    assert!(fake_jira::text(&world.jira.issue(&late).unwrap().description).contains("6.5.0"));
    world.decides(&late, "Approved").await;
    cluster.api.unavailable(false);
    let answer = world.asks("confirm-promotion", "Progressing", "two").await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    world.run_worker().await;
    insta::assert_snapshot!(comments(&world, &late), @r"The rollout was superseded: what is deployed while it is running is not what one of its tickets shows. That ticket showed: cart 6.4.0 → 6.5.0. Deployed is: cart 6.4.0 → 6.6.0. This ticket no longer controls anything. If Flagger asks again, another ticket shows what is deployed. Decide there.");
    let true_one = world.newest();
    assert_ne!(late, true_one);
    world.decides(&true_one, "Approved").await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "two").await.status, 200);
    cluster.api.release();
    world.finish().await;
}

/// During the analysis the team deploys again what runs, and Flagger goes on. A ticket from that time says that nothing
/// changes. Minimised from a modelled history.
#[tokio::test]
async fn an_approval_of_no_change_promotes_nothing() {
    let cluster = Cluster::start().await;
    let world = bound(&cluster).await;
    cluster.pushes("6.4.0");
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
    world.run_worker().await;
    let empty = world.newest();
    world.decides(&empty, "Approved").await;
    cluster.pushes("6.5.0");
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
    world.run_worker().await;
    let change = world.newest();
    assert_ne!(empty, change);
    world.decides(&change, "Approved").await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
    world.finish().await;
}

/// One approver rejects it, and then something else is deployed: the other's approval opens nothing, and it is rolled back.
#[tokio::test]
async fn a_rejection_stays_when_something_else_is_deployed() {
    let cluster = Cluster::start().await;
    let world = bound(&cluster).await;
    let asks = async |gate: &str| {
        world.asks(&format!("confirm-promotion?gate={gate}"), "Progressing", "new").await.status
    };
    assert_eq!(asks("qa").await, 403);
    world.run_worker().await;
    let qa = world.newest();
    assert_eq!(asks("security").await, 403);
    world.run_worker().await;
    let security = world.newest();
    world.decides(&qa, "Approved").await;
    world.decides(&security, "Rejected").await;
    cluster.pushes("6.6.0");
    assert_eq!(asks("qa").await, 403);
    assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
    world.finish().await;
}

#[tokio::test]
async fn an_api_server_that_hangs_or_forbids_keeps_it_closed() {
    let (cluster, world, _) = approved().await;
    cluster.api.hang(true);
    let answer = asks(&world, "Waiting").await;
    insta::assert_snapshot!(answer.body.split_once("stale").unwrap().1, @r": approved by Mia Change at 2026-09-21T14:13:20Z, but the bridge cannot read whether that is still what would start: the API server did not answer within a second");
    cluster.api.hang(false);
    cluster.api.forbid("get", "deployments", None);
    let answer = asks(&world, "Waiting").await;
    insta::assert_snapshot!(answer.body.split_once("stale").unwrap().1, @r#": approved by Mia Change at 2026-09-21T14:13:20Z, but the bridge cannot read whether that is still what would start: the API server forbids it: deployments.apps "cart" is forbidden: User "system:serviceaccount:flagger:bridge" cannot get resource "deployments" in API group "apps" in the namespace "shop""#);
    cluster.api.allow("get", "deployments", None);
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    world.finish().await;
}

/// A ticket that does not say what changes approves nothing.
#[tokio::test]
async fn a_ticket_that_shows_nothing_is_replaced() {
    let cluster = Cluster::start().await;
    cluster.api.unavailable(true);
    let world = bound(&cluster).await;
    asks(&world, "Succeeded").await;
    world.run_worker().await;
    let first = world.newest();
    world.decides(&first, "Approved").await;
    assert_eq!(asks(&world, "Waiting").await.status, 403);
    cluster.api.unavailable(false);
    until("a second ticket", async || {
        assert_eq!(asks(&world, "Waiting").await.status, 403);
        world.run_worker().await;
        world.tickets().len() == 2
    })
    .await;
    insta::assert_snapshot!(comments(&world, &first), @r"The rollout was superseded: this ticket could not show what changes. The bridge can read it now: cart 6.4.0 → 6.5.0. This ticket no longer controls anything. Another ticket shows the change. Decide there.");
    let second = world.newest();
    world.decides(&second, "Approved").await;
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    world.finish().await;
}

/// The watch must list again, and the API server is started again: neither opens nor loses anything.
#[tokio::test]
async fn watches_that_end() {
    let (cluster, world, key) = waits().await;
    cluster.api.expire_watches();
    assert_eq!(asks(&world, "Waiting").await.status, 403);
    cluster.api.close_watches();
    assert_eq!(asks(&world, "Waiting").await.status, 403);
    world.run_worker().await;
    assert_eq!(world.tickets().len(), 1);
    world.decides(&key, "Approved").await;
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    world.finish().await;
}

/// A bridge that bound nothing before is started again with `bind`.
#[tokio::test]
async fn tickets_from_before_are_not_bound() {
    let cluster = Cluster::start().await;
    let mut world = World::start(Flavour::Cloud).await;
    asks(&world, "Succeeded").await;
    world.run_worker().await;
    let first = world.newest();
    world.decides(&first, "Approved").await;
    world.restarts_with(&format!("\n{}\n", cluster.settings("bind"))).await;
    assert_eq!(asks(&world, "Waiting").await.status, 403);
    world.run_worker().await;
    let second = world.newest();
    assert_ne!(first, second);
    world.decides(&second, "Approved").await;
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    world.finish().await;
}

/// Flagger starts another version than the approved one, and somebody says no to that: it is rolled back.
#[tokio::test]
async fn a_rejection_of_what_started_instead_rolls_back() {
    let (cluster, world, key) = approved().await;
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    cluster.pushes("6.6.0");
    world.decides(&key, "Rejected").await;
    assert_eq!(world.asks("rollback", "Progressing", "new").await.status, 200);
    assert_eq!(world.count("audit WHERE kind = 'unapproved'").await, 1);
    world.finish().await;
}

/// There is no other hook than the report of the end: it is compared then.
#[tokio::test]
async fn what_started_is_compared_at_the_end_at_the_latest() {
    let (cluster, world, key) = approved().await;
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    cluster.pushes("6.6.0");
    assert_eq!(world.posts("/post-rollout", &crate::world::question("Succeeded", "new")).await.status, 200);
    world.run_worker().await;
    assert!(comments(&world, &key).contains("which nobody approved"));
    assert_eq!(world.count("audit WHERE kind = 'unapproved'").await, 1);
    world.finish().await;
}

/// Who was ruled out at a question of the rollout stays ruled out when another version started.
#[tokio::test]
async fn a_denial_outlives_the_version_that_was_approved() {
    let cluster = Cluster::start().await;
    let settings = format!("approval.deny = [\"{{{{ metadata.author }}}}\"]\n{}", cluster.settings("bind"));
    let world = World::start_with(Flavour::Cloud, &settings).await;
    let asks = async |stage: &str, phase: &str, checksum: &str, author: &str| {
        let mut body = crate::world::question(phase, checksum);
        body["metadata"] = serde_json::json!({ "author": author });
        world.posts(&format!("/gate/{stage}"), &body).await.status
    };
    asks("confirm-rollout", "Succeeded", "old", fake_jira::BOB).await;
    // At this gate another author is named: Mia may approve it.
    world.run_worker().await;
    let key = world.newest();
    world.decides(&key, "Approved").await;
    assert_eq!(asks("confirm-rollout", "Waiting", "old", fake_jira::BOB).await, 200);
    cluster.pushes("6.6.0");
    assert_eq!(asks("confirm-promotion", "Progressing", "new", "somebody-else").await, 403);
    world.run_worker().await;
    let promotion = world.newest();
    world.jira.move_issue(&promotion, "Approved", fake_jira::BOB).unwrap();
    world.advance(Duration::from_secs(20));
    world.run_worker().await;
    assert_eq!(
        asks("confirm-promotion", "Progressing", "new", "somebody-else").await,
        403,
        "Bob was ruled out"
    );
    world.finish().await;
}
