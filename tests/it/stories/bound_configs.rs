//! With `kubernetes.mode = "bind"` and the right to read ConfigMaps an approval at confirm-rollout is for their content,
//! too.

use std::path::Path;

use fake_jira::Flavour;
use flagger_jira_bridge::{
    check::{Level, Report, check},
    config,
};
use serde_json::json;

use crate::world::{Answer, World, cluster::Cluster, program::until};

crate::world::crash::crash_tests!(
    other_content_needs_another_approval,
    content_that_changes_after_the_answer_is_recorded,
    the_right_is_taken_away,
);

const CONFIG: &str = "cart-config";
/// What no text may show.
const CONTENT: &str = "hunter-";

async fn asks(world: &World, phase: &str) -> Answer {
    world.asks("confirm-rollout", phase, "old").await
}

/// A cluster whose new version of `shop/cart` refers to a ConfigMap, which the bridge may read.
async fn with_config(tracking: &str) -> Cluster {
    let cluster = Cluster::start().await;
    cluster.has_config(CONFIG, "hunter-1", tracking);
    cluster.pushes_with_config("6.5.0", CONFIG);
    cluster.api.allow("get", "configmaps", None);
    cluster
}

/// Flagger asks at confirm-rollout, and the ticket is approved. Returns its key.
async fn approved(cluster: &Cluster) -> (World, String) {
    let world = World::start_with(Flavour::Cloud, &cluster.settings("bind")).await;
    asks(&world, "Succeeded").await;
    world.run_worker().await;
    let key = world.newest();
    world.decides(&key, "Approved").await;
    (world, key)
}

/// What a ticket says: its description, and the comments of the bridge.
fn words(world: &World, key: &str) -> String {
    let ticket = world.jira.issue(key).unwrap();
    let comments = ticket.comments.iter().map(|comment| fake_jira::text(&comment.body));
    let words = std::iter::once(fake_jira::text(&ticket.description)).chain(comments);
    let words = words.collect::<Vec<_>>().join("\n");
    assert!(!words.contains(CONTENT), "{words}");
    words
}

/// How often ConfigMaps were read since the requests were last cleared.
fn config_reads(cluster: &Cluster) -> usize {
    cluster.api.requests().iter().filter(|request| request.path.contains("/configmaps/")).count()
}

/// The content changes after the approval, just before Flagger asks. No watch shows it.
#[tokio::test]
async fn other_content_needs_another_approval() {
    let cluster = with_config("enabled").await;
    let (world, first) = approved(&cluster).await;
    assert!(words(&world, &first).contains("the content that the ConfigMaps tracked by Flagger had"));
    cluster.has_config(CONFIG, "hunter-2", "enabled");
    assert_eq!(asks(&world, "Waiting").await.status, 403);
    world.run_worker().await;
    let second = world.newest();
    assert_ne!(first, second);
    let said = words(&world, &first);
    assert!(
        said.contains(
            "The rollout was superseded: the content of ConfigMap cart-config is not what it was when this \
             ticket was opened."
        ),
        "{said}"
    );
    assert_eq!(asks(&world, "Waiting").await.status, 403, "nobody approved {second}");
    world.decides(&second, "Approved").await;
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
    assert_eq!(world.count("audit WHERE kind = 'unapproved'").await, 0);
    world.finish().await;
    assert_eq!(cluster.api.complaints(), Vec::<String>::new());
}

/// It changes after the answer and before Flagger acts on it.
#[tokio::test]
async fn content_that_changes_after_the_answer_is_recorded() {
    let cluster = with_config("enabled").await;
    let (world, first) = approved(&cluster).await;
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    cluster.has_config(CONFIG, "hunter-2", "enabled");
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
    world.run_worker().await;
    let said = words(&world, &first);
    assert!(
        said.contains("after the approval at confirm-rollout the content of ConfigMap cart-config changed"),
        "{said}"
    );
    let second = world.newest();
    assert!(words(&world, &second).contains("Attention: Flagger started this version although"));
    let other = "with other content than approved: the content of ConfigMap cart-config";
    assert_eq!(world.count(&format!("audit WHERE kind = 'unapproved' AND detail LIKE '%{other}%'")).await, 1);
    world.decides(&second, "Approved").await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 200);
    world.finish().await;
}

/// A ticket that covers ConfigMaps opens nothing while they cannot be read.
#[tokio::test]
async fn the_right_is_taken_away() {
    let cluster = with_config("enabled").await;
    let (world, first) = approved(&cluster).await;
    cluster.api.forbid("get", "configmaps", None);
    let answer = asks(&world, "Waiting").await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert!(answer.body.contains("stale: approved by Mia"), "{}", answer.body);
    assert!(answer.body.contains("the API server forbids it: configmaps"), "{}", answer.body);
    world.run_worker().await;
    assert_eq!(world.newest(), first, "there is no other ticket");
    cluster.api.allow("get", "configmaps", None);
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    // What started is compared as far as it can be read.
    cluster.api.forbid("get", "configmaps", None);
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new").await.status, 403);
    assert_eq!(world.count("audit WHERE kind = 'unapproved'").await, 0);
    world.run_worker().await;
    world.finish().await;
}

/// Without the right only the pod template counts, as the ticket says, also if the right is granted later.
#[tokio::test]
async fn without_the_right_content_is_not_covered() {
    let cluster = with_config("enabled").await;
    cluster.api.forbid("get", "configmaps", None);
    let (world, key) = approved(&cluster).await;
    assert!(words(&world, &key).contains("Not covered: the content of ConfigMaps and Secrets"));
    cluster.api.allow("get", "configmaps", None);
    cluster.has_config(CONFIG, "hunter-2", "enabled");
    cluster.api.clear_requests();
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    assert_eq!(config_reads(&cluster), 0, "there is nothing to compare it with");
    world.finish().await;
}

/// Flagger leaves this ConfigMap alone.
#[tokio::test]
async fn content_that_flagger_does_not_track_is_not_covered() {
    let cluster = with_config("disabled").await;
    let (world, key) = approved(&cluster).await;
    cluster.has_config(CONFIG, "hunter-2", "disabled");
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    assert!(words(&world, &key).contains("Not covered: the content of Secrets and of other ConfigMaps"));
    world.finish().await;
}

/// It is created or deleted, or Flagger is told to leave it alone.
#[tokio::test]
async fn content_that_comes_or_goes() {
    let cluster = with_config("enabled").await;
    cluster.api.delete("ConfigMap", "shop", CONFIG);
    let (world, first) = approved(&cluster).await;
    cluster.has_config(CONFIG, "hunter-1", "enabled");
    assert_eq!(asks(&world, "Waiting").await.status, 403);
    world.run_worker().await;
    let second = world.newest();
    assert_ne!(first, second);
    world.decides(&second, "Approved").await;
    cluster.has_config(CONFIG, "hunter-1", "disabled");
    assert_eq!(asks(&world, "Waiting").await.status, 403);
    world.run_worker().await;
    let third = world.newest();
    assert_ne!(second, third);
    assert!(words(&world, &second).contains("Flagger's tracking of it was turned on or off"));
    world.decides(&third, "Approved").await;
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    world.finish().await;
}

/// Flagger asks at each check: that costs nothing until the ticket is approved.
#[tokio::test]
async fn a_repeated_question_costs_no_request() {
    let cluster = with_config("enabled").await;
    let world = World::start_with(Flavour::Cloud, &cluster.settings("bind")).await;
    asks(&world, "Succeeded").await;
    assert_eq!(config_reads(&cluster), 1);
    world.run_worker().await;
    cluster.api.clear_requests();
    for _ in 0..3 {
        assert_eq!(asks(&world, "Waiting").await.status, 403);
    }
    let gets = cluster.api.requests();
    let gets: Vec<_> =
        gets.iter().filter(|request| request.method == "GET" && request.query.is_empty()).collect();
    assert!(gets.is_empty(), "{gets:?}");
    world.decides(&world.newest(), "Approved").await;
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    assert_eq!(config_reads(&cluster), 1);
    world.finish().await;
}

/// No content reaches the database.
#[tokio::test]
async fn only_digests_are_stored() {
    let cluster = with_config("enabled").await;
    let (world, _) = approved(&cluster).await;
    let like = |text: &str| format!("canary WHERE state LIKE '%{text}%'");
    assert_eq!(world.count(&like("cart-config")).await, 1);
    assert_eq!(world.count(&like(CONTENT)).await, 0);
    world.finish().await;
}

/// Another version refers to more ConfigMaps than the bridge reads within the second: its ticket does not cover them, and
/// says so.
#[tokio::test]
async fn too_many_are_not_read() {
    let cluster = with_config("enabled").await;
    let (world, first) = approved(&cluster).await;
    let many =
        (0..51).map(|nth| json!({ "configMapRef": { "name": format!("config-{nth}"), "optional": true } }));
    let mut cart = cluster.api.object("Deployment", "shop", "cart").unwrap();
    cart["spec"]["template"]["spec"]["containers"][0]["envFrom"] = many.collect();
    cluster.api.hold();
    cluster.api.apply(cart);
    cluster.api.clear_requests();
    // As long as the watch does not show it, the first ticket is not over: it covers what cannot be read.
    let answer = asks(&world, "Waiting").await;
    assert_eq!(answer.status, 403);
    let why = "the pods use 51 ConfigMaps, and the bridge reads 50 at most";
    assert!(answer.body.contains(why), "{}", answer.body);
    cluster.api.release();
    until("a second ticket", async || {
        assert_eq!(asks(&world, "Waiting").await.status, 403);
        world.run_worker().await;
        world.newest() != first
    })
    .await;
    let second = world.newest();
    assert!(words(&world, &second).contains("Not covered: the content of ConfigMaps and Secrets"));
    world.decides(&second, "Approved").await;
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    assert_eq!(config_reads(&cluster), 0);
    world.finish().await;
}

/// The right is gone for good: another version gets a ticket all the same.
#[tokio::test]
async fn another_version_after_the_right_was_taken_away() {
    let cluster = with_config("enabled").await;
    let (world, first) = approved(&cluster).await;
    cluster.api.forbid("get", "configmaps", None);
    assert_eq!(asks(&world, "Waiting").await.status, 403);
    cluster.pushes_with_config("6.6.0", CONFIG);
    until("a second ticket", async || {
        assert_eq!(asks(&world, "Waiting").await.status, 403);
        world.run_worker().await;
        world.newest() != first
    })
    .await;
    assert!(words(&world, &first).contains("another version was pushed"));
    let second = world.newest();
    world.decides(&second, "Approved").await;
    assert_eq!(asks(&world, "Waiting").await.status, 200);
    world.finish().await;
}

/// `check` says whether approvals cover ConfigMaps, and fails in neither case.
#[tokio::test]
async fn check_says_what_is_covered() {
    let cluster = with_config("enabled").await;
    let world = World::start_with(Flavour::Cloud, &cluster.settings("bind")).await;
    let finding = async || {
        let config = config::load(Path::new(&world.config()), []).unwrap();
        let Report(findings) = check(&config, world.clock.clone()).await;
        let finding = findings.into_iter().find(|finding| finding.what.contains("ConfigMaps")).unwrap();
        (finding.level, finding.what)
    };
    let covered = "in cluster default approvals cover the content of ConfigMaps";
    assert_eq!(finding().await, (Level::Ok, covered.to_owned()));
    cluster.api.forbid("get", "configmaps", None);
    let not = "in cluster default approvals do not cover the content of ConfigMaps, which the bridge has no right to get";
    assert_eq!(finding().await, (Level::Ok, not.to_owned()));
    world.finish().await;
}
